# otp.spend_daily: per country and sender, with prices apart from estimates, and with failed messages that were billed.
sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER ALL" -c "INSERT INTO otp.verifications (subject, purpose, e164, country, created_at, expires_at) SELECT 'b' || n, 'phone_verification', '+966501000001', CASE n WHEN 1 THEN 'SA' WHEN 2 THEN 'EG' END, now(), now() FROM generate_series(1, 3) n" -c "ALTER TABLE otp.verifications ENABLE TRIGGER ALL"
serial=0
message() {     # subject, sender, status, segments, price, price_unit
    serial=$((serial + 1))
    sql -c "INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, sender, status, segments, price, price_unit) SELECT 'SMbill$serial', $serial, id, 1, true, now(), $2, '$3', $4, $5, $6 FROM otp.verifications WHERE subject = '$1'"
}
sql -c "INSERT INTO otp.countries (region, price_estimate, price_unit) VALUES ('EG', 0.3, 'EUR')"
message b1 "'Mgask'" delivered 1 -0.05 "'USD'"
message b1 "'Mgask'" undelivered 2 -0.10 "'USD'"
message b1 "'Mgask'" sent 1 NULL "'USD'"
message b1 "'+15005550006'" delivered 1 -0.05 "'USD'"
message b1 "'+15005550006'" delivered 1 -0.04 "'EUR'"
message b2 "'Mgask'" sent 2 NULL NULL
message b2 "'Mgask'" accepted NULL NULL NULL
message b2 "'Mgask'" failed 1 NULL "'USD'"
message b2 "'Mgask'" delivered 1 -0.29 "'USD'"
message b3 NULL sent 1 NULL NULL
bill="SELECT country, sender, price_unit, messages, segments, cost, failed_but_billed, unpriced, estimated_cost, estimate_unit FROM otp.spend_daily ORDER BY 1, 2, 3"
gives "prices in one row, what has none in another; no estimate, no guess" "EG|Mgask|USD|1|1|0.29|0|0||
EG|Mgask||3|3||0|2|0.9|EUR
SA|+15005550006|EUR|1|1|0.04|0|0||
SA|+15005550006|USD|1|1|0.05|0|0||
SA|Mgask|USD|2|3|0.15|1|0||
SA|Mgask||1|1||0|1||
|||1|1||0|1||" "$bill"
sql -c "UPDATE otp.countries SET price_estimate = 0.06 WHERE region = 'SA'"
gives "an estimate is data" "0.06|USD" "SELECT estimated_cost, estimate_unit FROM otp.spend_daily WHERE country = 'SA' AND sender = 'Mgask' AND price_unit IS NULL"
sql -c "UPDATE otp.messages SET price = -0.05 WHERE message_sid = 'SMbill3'"
gives "and gives way to the price" "USD|3|4|0.20||" "SELECT price_unit, messages, segments, cost, estimated_cost, estimate_unit FROM otp.spend_daily WHERE country = 'SA' AND sender = 'Mgask'"
gives "every message is in one row" "10" "SELECT sum(messages) FROM otp.spend_daily"
gives "the day is the time zone's" "t" "SELECT bool_and(day = (now() AT TIME ZONE 'Asia/Riyadh')::date) FROM otp.spend_daily"
fails "an estimate is not below zero" 23514 "UPDATE otp.countries SET price_estimate = -1"
fails "a currency has three letters" 23514 "UPDATE otp.countries SET price_unit = 'dollars'"
gives "otp_monitor reads it" "10" "SET ROLE otp_monitor; SELECT sum(messages) FROM otp.spend_daily"
sql -c "DELETE FROM otp.countries WHERE region = 'EG'" -c "UPDATE otp.countries SET price_estimate = NULL"
clean

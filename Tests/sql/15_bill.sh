# otp.spend_daily: per country and sender, with prices apart from estimates, and with failed messages that were billed.
sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER ALL" -c "INSERT INTO otp.verifications (subject, purpose, e164, country, created_at, expires_at) SELECT 'b' || n, 'phone_verification', '+966501000001', CASE n WHEN 1 THEN 'SA' WHEN 2 THEN 'EG' END, now(), now() FROM generate_series(1, 3) n" -c "ALTER TABLE otp.verifications ENABLE TRIGGER ALL"
serial=0
message() {     # subject, sender, status, segments, price, price_unit
    serial=$((serial + 1))
    sql -c "INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, sender, status, segments, price, price_unit, country) SELECT 'SMbill$serial', $serial, id, 1, true, now(), $2, '$3', $4, $5, $6, country FROM otp.verifications WHERE subject = '$1'"
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

# Other channels: their costs come from otp.channel_costs, in the budget's currency. A country's own cost goes first.
clean; serial=20
by() { message "$1" NULL "$3" "$4" "$5" "$6"; sql -c "UPDATE otp.messages SET channel = '$2' WHERE message_sid = 'SMbill$serial'"; }  # subject, channel, as in message
sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER ALL" -c "INSERT INTO otp.verifications (subject, purpose, e164, country, created_at, expires_at) SELECT 'b' || n, 'phone_verification', '+966501000001', CASE n WHEN 1 THEN 'SA' WHEN 2 THEN 'EG' END, now(), now() FROM generate_series(1, 2) n" -c "ALTER TABLE otp.verifications ENABLE TRIGGER ALL" \
    -c "INSERT INTO otp.channel_costs (channel, country, expected_cost) VALUES ('call', 'EG', 0.7)"
by b1 sms sent 2 NULL NULL
by b1 call completed 0 NULL NULL
by b1 call busy 0 NULL NULL
by b1 call completed 0 -0.15 "'USD'"
by b2 call completed 0 NULL NULL
by b1 whatsapp sent NULL NULL NULL
by b1 email sent NULL NULL NULL
gives "channels have rows and estimates of their own; an unanswered call costs nothing" "EG|call||1||1|0.7|USD
SA|call|USD|1|0.15|0||
SA|call||2||1|0.2|USD
SA|email||1||1|0|USD
SA|sms||1||1|0.12|USD
SA|whatsapp||1||1|0.05|USD" "SELECT country, channel, price_unit, messages, cost, unpriced, estimated_cost, estimate_unit FROM otp.spend_daily ORDER BY 1, 2, 3"
gives "the sum is that of the budget" "t" "SELECT sum(coalesce(cost, 0) + coalesce(estimated_cost, 0)) = (SELECT sum(otp.message_cost(m.status, m.segments, m.price, m.price_unit, otp.cost_row(m.channel, c), 'USD')) FROM otp.messages m JOIN otp.verifications v ON v.id = m.verification_id JOIN otp.countries c ON c.region = v.country) FROM otp.spend_daily"
sql -c "DELETE FROM otp.channel_costs WHERE country = 'EG'"
sql -c "DELETE FROM otp.countries WHERE region = 'EG'" -c "UPDATE otp.countries SET price_estimate = NULL"
clean

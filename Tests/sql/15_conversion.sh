# The share of verified codes per day and prefix: which codes count, on which day, and that no number is shown.
# In this zone it is about noon, so no day begins during the test.
zone=$(sql -c "SELECT 'Etc/GMT' || to_char(extract(hour FROM now() AT TIME ZONE 'UTC')::int - 12, 'FMSG99')")
sql -c "UPDATE otp.settings SET timezone = '$zone'"
bare() { sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER ALL" -c "$1" -c "ALTER TABLE otp.verifications ENABLE TRIGGER ALL"; }
# prefix with its plus, count, verified, time of the request
codes() {
    bare "WITH v AS (INSERT INTO otp.verifications (subject, purpose, e164, country, created_at, expires_at, verified_at)
        SELECT 's' || n, 'phone_verification', '$1' || lpad(n::text, 12 - length('$1'), '0'), 'SA', $4, $4 + interval '5 minutes', CASE WHEN n <= $3 THEN $4 + interval '1 minute' END
        FROM generate_series(1, $2) n RETURNING id)
        INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status) SELECT otp.job_range(id * 10), 'SM$1${5:-}' || id, id * 10, id, 1, true, now(), 'delivered' FROM v"
}
# Counts all codes of the last days again. A worker does the same, a minute at a time.
recount() {     # days
    sql -c "TRUNCATE otp.prefix_days, otp.channel_days" -c "UPDATE otp.maintenance SET codes_counted_until = now() - interval '${1:-3} days'" \
        -c "SELECT count(otp.count_codes()) FROM generate_series(1, ${1:-3} * 24)" >/dev/null; }
yesterday="date_trunc('day', now() AT TIME ZONE '$zone') AT TIME ZONE '$zone' - interval '12 hours'"
codes +966501 60 17 "$yesterday"
codes +966502 60 18 "$yesterday"
codes +966503 49 0 "$yesterday"
codes +966504 2 1 "$yesterday"
recount
view="SELECT prefix, sent, verified, share, is_suspicious FROM otp.conversion_daily ORDER BY day, prefix COLLATE \"C\""
expected='+966501…|60|17|0.2833|t
+966502…|60|18|0.3000|f
others|51|1|0.0196|t'
gives "a row per prefix with enough codes, and one for the others" "$expected" "$view"
gives "of the day they were asked for" "t|SA" "SELECT DISTINCT day = (now() AT TIME ZONE '$zone')::date - 1, country FROM otp.conversion_daily"
gives "no whole number" "0" "SELECT count(*) FROM otp.conversion_daily c WHERE c::text ~ '[0-9]{7}'"
sql -c "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status) SELECT otp.job_range(send_job_id + 1), 'SMagain' || verification_id, send_job_id + 1, verification_id, 1, true, now(), 'delivered' FROM otp.messages"
recount
gives "a code that was sent twice is one" "$expected" "$view"
bare "INSERT INTO otp.verifications (subject, purpose, e164, country, created_at, expires_at) SELECT 'n' || n, 'phone_verification', '+966501999999', 'SA', $yesterday, $yesterday FROM generate_series(1, 9) n"
recount
gives "what Twilio never took is none" "$expected" "$view"
codes +966501 9 0 "now() - interval '10 minutes'" live
recount
gives "nor is a code that expired less than ten minutes ago" "$expected" "$view"
sql -c "SELECT otp.count_codes(now() + interval '6 minutes')"
gives "ten minutes later it counts, on its own day" "9" "SELECT sum(sent) FROM otp.conversion_daily WHERE day >= (now() AT TIME ZONE '$zone' - interval '10 minutes')::date"
sql -c "SELECT otp.count_codes(now() + interval '6 minutes')"
gives "once" "9" "SELECT sum(sent) FROM otp.conversion_daily WHERE day >= (now() AT TIME ZONE '$zone' - interval '10 minutes')::date"
sql -c "DELETE FROM otp.verifications WHERE created_at > now() - interval '1 hour'"
codes +966501 9 0 "now() - interval '31 days'" old
recount 40
gives "nor what is older than 30 days" "$expected" "$view"
sql -c "UPDATE otp.settings SET min_conversion = 0.2, min_conversion_samples = 61"
gives "threshold and samples are settings" "others|171|36|0.2105|f" "$view"
sql -c "UPDATE otp.settings SET min_conversion = 0.22"
gives "another threshold" "others|171|36|0.2105|t" "$view"
fails "too few samples would tell numbers" 23514 "UPDATE otp.settings SET min_conversion_samples = 9"
fails "a share is at most 1" 23514 "UPDATE otp.settings SET min_conversion = 1.1"
sql -c "UPDATE otp.settings SET min_conversion = DEFAULT, min_conversion_samples = DEFAULT, timezone = 'UTC'"
clean
codes +966501 50 20 "date_trunc('day', now(), 'UTC') - interval '1 day 1 second'"
codes +966501 50 30 "date_trunc('day', now(), 'UTC') - interval '1 day'" next
recount
gives "days are those of settings.timezone" "2|20
1|30" "SELECT (now() AT TIME ZONE 'UTC')::date - day, verified FROM otp.conversion_daily ORDER BY day"
sql -c "UPDATE otp.settings SET timezone = '$zone'"
clean
# Codes that went by e-mail: alone they say nothing of a prefix, and with a text message they do not count as verified.
codes +966501 60 30 "$yesterday"
sql -c "UPDATE otp.messages SET channel = 'email' WHERE verification_id IN (SELECT id FROM otp.verifications WHERE subject IN ('s1', 's2', 's59'))"
recount
gives "an e-mail alone is no code that a phone got" "+966501…|57|28" "SELECT prefix, sent, verified FROM otp.conversion_daily"
sql -c "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status) SELECT otp.job_range(id * 10 + 1), 'SMboth' || id, id * 10 + 1, id, 1, true, now(), 'sent' FROM otp.verifications WHERE subject = 's1'" \
    -c "UPDATE otp.verifications SET other_channels = '{email}' WHERE subject = 's1'"
recount
gives "with a text message it is sent, and not verified" "+966501…|58|28" "SELECT prefix, sent, verified FROM otp.conversion_daily"
clean

# Per channel: each code counts as sent in all of its channels, and as verified in that of its last message before.
codes +966501 6 5 "$yesterday"
also() {    # subject, channel, time of its message from the verification on
    sql -c "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, accepted_at, status, channel) SELECT otp.job_range(id * 10 + 2 + length('$2')), 'SMalso' || id || '$2', id * 10 + 2 + length('$2'), id, 1, true, now(), v.created_at + interval '1 minute' + interval '$3', 'queued', '$2' FROM otp.verifications v WHERE subject = '$1'"
}
sql -c "UPDATE otp.messages m SET accepted_at = v.created_at FROM otp.verifications v WHERE v.id = m.verification_id"
also s1 call '-10 seconds'; also s2 call '10 seconds'; also s3 call '-20 seconds'; also s3 email '-5 seconds'; also s6 call '-10 seconds'
recount
gives "per channel" "call|4|1|0.2500
email|1|1|1.0000
sms|6|3|0.5000" "SELECT channel, sent, verified, share FROM otp.channel_conversion ORDER BY 1"
gives "the verified codes add up" "5" "SELECT sum(verified) FROM otp.channel_conversion"
sql -c "UPDATE otp.messages SET accepted_at = now() WHERE verification_id = (SELECT id FROM otp.verifications WHERE subject = 's4')"
recount
gives "also one whose acceptance was written after the verification" "5" "SELECT sum(verified) FROM otp.channel_conversion"
clean
codes +966501 20000 15000 "now() - interval '60 days'" old
codes +966501 100 70 "now() - interval '1 day'"
sql -c "ANALYZE otp.verifications, otp.messages"
recount
gives "the count reads a window of codes by its index, and their messages" "messages_verification verifications_expires_at" "$(sql -c "SELECT 1" >/dev/null; echo "SELECT string_agg(DISTINCT m[1], ' ' ORDER BY m[1]) FROM (SELECT 1) one, LATERAL (SELECT regexp_matches(pg_get_indexdef(indexrelid), 'INDEX (messages_verification|verifications_expires_at)') AS m FROM pg_stat_user_indexes WHERE idx_scan > 0 AND schemaname = 'otp') u")"
# Two days later, first digits with few codes are added up.
sql -c "SELECT otp.fold_codes($today + 4)"
gives "first digits with many codes stay" "+966501…|100|70" "SELECT prefix, sent, verified FROM otp.conversion_daily"
sql -c "UPDATE otp.settings SET min_conversion_samples = 101" -c "SELECT otp.fold_codes($today + 4)" -c "UPDATE otp.settings SET min_conversion_samples = DEFAULT"
gives "others lose their digits" "others|100|70" "SELECT prefix, sent, verified FROM otp.conversion_daily"
for role in otp_monitor otp_admin; do
    gives "$role reads it" "t" "SET ROLE $role; SELECT count(*) > 0 FROM otp.conversion_daily"
    gives "$role reads the channels" "t" "SET ROLE $role; SELECT count(*) > 0 FROM otp.channel_conversion"
done
fails "otp_web does not" 42501 "SET ROLE otp_web; SELECT * FROM otp.conversion_daily"
clean
sql -c "UPDATE otp.settings SET timezone = DEFAULT"

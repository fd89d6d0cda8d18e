# The history that the dashboard draws: one row per minute, written once, counted again later, and bounded. Also the cost of reads.
clean
sql -c "TRUNCATE otp.history, otp.history_quarters" -c "TRUNCATE otp.worker_status"
sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER ALL" -c "INSERT INTO otp.verifications (subject, purpose, e164, country, created_at, expires_at) SELECT 'd' || n, 'phone_verification', '+966501000001', CASE WHEN n < 9 THEN 'SA' ELSE 'EG' END, now(), now() FROM generate_series(1, 9) n" -c "ALTER TABLE otp.verifications ENABLE TRIGGER ALL"
sql -c "CREATE SEQUENCE public.history_jobs"
took() {    # SIDs' prefix, when
    sql -c "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, accepted_at, status, segments) SELECT otp.job_range(nextval('public.history_jobs')), '$1' || row_number() OVER (ORDER BY v.id), currval('public.history_jobs'), v.id, 1, true, $2 - interval '1 second', $2, 'sent', 1 FROM otp.verifications v WHERE v.subject LIKE 'd_'"
}
# The database's clock runs meanwhile, so all calls get the same time.
moment=$(sql -c "SELECT date_bin('1 minute', now(), 'epoch') + interval '5 seconds'")
at() { sql -c "SELECT otp.record_history(timestamptz '$moment' + interval '$1 minutes')"; }
took SMa "timestamptz '$moment' - interval '55 seconds'"
took SMb "timestamptz '$moment' + interval '1 second'"
check "it says when the next minute ends" 55 "$(at 0)"
gives "the minute that ended, and what ended in it" "1|9|0|1000|0|0" "SELECT count(*), sum(accepted), sum(failed), max(latency_p95_ms), sum(delivered), sum(undelivered) FROM otp.history WHERE minute = timestamptz '$moment' - interval '65 seconds'"
counted="SELECT string_agg(m.country || ' ' || m.status || ' ' || m.messages || ' ' || m.billed || ' ' || m.currency, ', ' ORDER BY m.country, m.status) FROM otp.history h, jsonb_to_recordset(h.messages) AS m(country text, status text, messages int, billed numeric, currency text) WHERE h.minute = timestamptz '$moment' - interval '65 seconds'"
gives "by country and status" "EG sent 1 0 USD, SA sent 8 0 USD" "$counted"
check "another worker of the same minute" 55 "$(at 0)"
gives "writes nothing" "1|9" "SELECT count(*), max(accepted) FROM otp.history"
gives "a clock that goes back neither" "35|1" "SELECT otp.record_history(timestamptz '$moment' - interval '40 seconds'), (SELECT count(*) FROM otp.history)"
sql -c "UPDATE otp.messages SET status = 'delivered', price = -0.05, price_unit = 'USD' WHERE message_sid BETWEEN 'SMa1' AND 'SMa5'" -c "UPDATE otp.messages SET status = 'undelivered' WHERE message_sid = 'SMa6'"
at 1 >/dev/null
gives "the next minute leaves it as it was" "0|0" "SELECT delivered, undelivered FROM otp.history WHERE minute = timestamptz '$moment' - interval '65 seconds'"
at 5 >/dev/null
gives "five minutes later its receipts have come" "5|1" "SELECT delivered, undelivered FROM otp.history WHERE minute = timestamptz '$moment' - interval '65 seconds'"
gives "and its prices" "EG sent 1 0 USD, SA delivered 5 0.25 USD, SA sent 2 0 USD, SA undelivered 1 0 USD" "$counted"
sql -c "UPDATE otp.messages SET status = 'delivered' WHERE message_sid = 'SMa7'"; at 60 >/dev/null
gives "an hour later the late ones" 6 "SELECT delivered FROM otp.history WHERE minute = timestamptz '$moment' - interval '65 seconds'"
sql -c "UPDATE otp.messages SET status = 'read' WHERE message_sid = 'SMa8'"; at 360 >/dev/null
gives "and six hours later" 7 "SELECT delivered FROM otp.history WHERE minute = timestamptz '$moment' - interval '65 seconds'"
gives "and by the quarter of an hour" "t|18" "SELECT count(*) = (SELECT count(DISTINCT date_bin('15 minutes', minute, 'epoch')) FROM otp.history WHERE messages <> '[]'), sum(m.messages) FROM otp.history_quarters q, LATERAL (SELECT sum((e->>'messages')::int) AS messages FROM jsonb_array_elements(q.messages) e) m"
gives "minutes that nobody wrote down are missing, not 0" 5 "SELECT count(*) FROM otp.history"
sql -c "INSERT INTO otp.history (minute, queued, due, unknown, oldest_due_seconds, workers_alive, pauses, accepted, failed) SELECT timestamptz '$moment' - interval '5 seconds' - n * interval '1 minute', 0, 0, 0, 0, 0, 0, 0, 0 FROM generate_series(2, 3000) n ON CONFLICT DO NOTHING"
at 361 >/dev/null
gives "26 hours are kept" "t" "SELECT count(*) BETWEEN 1190 AND 1210 AND min(minute) >= timestamptz '$moment' + interval '361 minutes' - interval '26 hours 2 minutes' FROM otp.history"

# Two workers at once: one row.
sql -c "TRUNCATE otp.history, otp.history_quarters"
for n in 1 2 3; do sql -c "BEGIN" -c "SELECT otp.record_history('$moment')" -c "SELECT pg_sleep(0.2)" -c "COMMIT" >/dev/null & waits[n]=$!; done; wait "${waits[@]}"
gives "three workers at once" 1 "SELECT count(*) FROM otp.history"

# Today's cost.
now=$(sql -c "SELECT now()")     # the same time for both, because a minute may end between two statements
sql -c "TRUNCATE otp.history, otp.history_quarters" -c "UPDATE otp.settings SET daily_budget = NULL, timezone = 'UTC'" -c "UPDATE otp.countries SET price_estimate = NULL, expected_cost = 0.03 WHERE region = 'SA'"
sql -c "UPDATE otp.messages SET accepted_at = '$now', price = NULL WHERE message_sid LIKE 'SMb%'" -c "DELETE FROM otp.messages WHERE message_sid LIKE 'SMa%'" -c "UPDATE otp.messages SET price = -0.05, price_unit = 'EUR' WHERE message_sid = 'SMb1'" -c "UPDATE otp.messages SET price = -0.04, price_unit = 'USD' WHERE message_sid = 'SMb2'"
sql -c "SELECT otp.record_history(timestamptz '$now' + interval '1 minute')" >/dev/null
spend="SET ROLE otp_monitor; SELECT currency, billed, round(expected, 4), budget FROM otp.spend_today ORDER BY 1"
gives "billed by currency, the rest by its estimate" "EUR|0.05|0.0000|
USD|0.04|0.1800|" "$spend"
sql -c "UPDATE otp.settings SET daily_budget = 5"
gives "with a budget both add up to what the budget counts" "t|5" "SELECT billed + expected = (SELECT sum(amount) FROM otp.spend_tally), budget FROM otp.spend_today WHERE currency = 'USD'"
sql -c "UPDATE otp.settings SET daily_budget = NULL, timezone = 'Asia/Riyadh'" -c "TRUNCATE otp.history, otp.history_quarters"
gives "and of a day without messages something is known too" "USD|0|0.0000|" "$spend"

# By channel: the sum is the whole, and a verified code counts for the step that came last.
clean
sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER ALL" -c "INSERT INTO otp.verifications (subject, purpose, e164, country, created_at, expires_at, verified_at, follower_id) SELECT 'e' || n, 'phone_verification', '+966501000001', 'SA', now(), now(), CASE WHEN n < 4 THEN now() END, CASE WHEN n < 3 THEN 910000 + n END FROM generate_series(1, 5) n" -c "ALTER TABLE otp.verifications ENABLE TRIGGER ALL"
sql -c "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, accepted_at, status, segments, channel) SELECT otp.job_range(900000 + right(v.subject, 1)::int), 'SMs' || v.id, 900000 + right(v.subject, 1)::int, v.id, 1, true, '$now', '$now', 'undelivered', 1, 'sms' FROM otp.verifications v" \
    -c "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, accepted_at, status, segments, channel, price, price_unit) SELECT otp.job_range(910000 + right(v.subject, 1)::int), 'CA' || v.id, 910000 + right(v.subject, 1)::int, v.id, 1, true, '$now', '$now', 'completed', 0, 'call', CASE v.subject WHEN 'e1' THEN -0.15 END, 'USD' FROM otp.verifications v WHERE v.subject IN ('e1', 'e2')"
sql -c "UPDATE otp.settings SET timezone = 'UTC'" -c "SELECT otp.record_history(timestamptz '$now' + interval '1 minute')" >/dev/null
gives "verified by the call that came last, and by the text alone" "call|2|2,sms|5|1" "SELECT string_agg(channel || '|' || messages || '|' || verified, ',' ORDER BY channel) FROM (SELECT m.channel, sum(m.messages) AS messages, sum(m.verified) AS verified FROM otp.history_quarters q, jsonb_to_recordset(q.messages) AS m(channel text, messages int, verified int) GROUP BY 1) g"
gives "and its cost" "USD|call|2|0.15|0.20
USD|sms|5|0.00|0.15" "SET ROLE otp_monitor; SELECT currency, channel, messages, round(billed, 2), round(expected, 2) FROM otp.channel_spend ORDER BY 2"
gives "the channels add up to the whole" "t" "SELECT sum(c.billed) = (SELECT billed FROM otp.spend_today WHERE currency = 'USD') AND sum(c.expected) = (SELECT expected FROM otp.spend_today WHERE currency = 'USD') FROM otp.channel_spend c"
sql -c "UPDATE otp.settings SET timezone = 'Asia/Riyadh'" -c "TRUNCATE otp.history, otp.history_quarters" -c "DELETE FROM otp.messages WHERE message_sid LIKE 'SMs%' OR message_sid LIKE 'CA%'" \
    -c "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status) SELECT otp.job_range(920000), 'SMb2', 920000, id, 1, true, now(), 'sent' FROM otp.verifications WHERE subject = 'e1'"

# The roles that may do this.
fails "otp_monitor writes no history" 42501 "SET ROLE otp_monitor; SELECT otp.record_history()"
fails "nor by hand" 42501 "SET ROLE otp_worker; INSERT INTO otp.history SELECT * FROM otp.history"
gives "a second message is counted" "1" "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status) SELECT otp.job_range(send_job_id), 'SMtwice', send_job_id, verification_id, 2, false, now(), 'sent' FROM otp.messages WHERE message_sid = 'SMb2'; SET ROLE otp_monitor; SELECT messages FROM otp.sent_twice"

# Plans, with enough history to reveal a wrong one: neither the row nor the page reads a table of history as a whole.
clean
sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER ALL" -c "INSERT INTO otp.verifications (subject, purpose, e164, country, created_at, expires_at) SELECT 'h' || n, 'phone_verification', '+96650' || lpad(n::text, 7, '0'), 'SA', now() - n * interval '1 second', now() FROM generate_series(1, 30000) n" -c "ALTER TABLE otp.verifications ENABLE TRIGGER ALL" \
    -c "ALTER TABLE otp.messages DISABLE TRIGGER ALL" -c "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, accepted_at, status) SELECT otp.job_range(id), 'SM' || id, id, id, 1, true, created_at, created_at, 'sent' FROM otp.verifications" -c "ALTER TABLE otp.messages ENABLE TRIGGER ALL" \
    -c "ANALYZE otp.verifications" -c "ANALYZE otp.messages"
read_rows="SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables WHERE schemaname = 'otp' AND relname IN ('messages', 'verifications', 'unsent_jobs', 'send_jobs')"
gives "a minute reads the messages of four minutes, with their countries, and no more" "t" "BEGIN; DO \$\$ BEGIN PERFORM otp.record_history(); END \$\$; SELECT r.sum BETWEEN 100 AND 4 * 60 * 4 FROM ($read_rows) r; ROLLBACK"
check "second messages" 0 "$(sql -c "EXPLAIN SELECT messages FROM otp.sent_twice" | grep -cE 'Seq Scan on messages')"
sql -c "UPDATE otp.settings SET timezone = 'Asia/Riyadh'" -c "DROP SEQUENCE public.history_jobs" -c "TRUNCATE otp.history, otp.history_quarters"
clean

# When a message needs no more polls, and the column with the time of the next poll.
clean
gives "settled: a last status, segments, and a price where one is to come" "delivered,undelivered" "SELECT string_agg(s, ',' ORDER BY s) FROM unnest('{accepted,queued,sending,sent,delivered,undelivered,levitating}'::text[]) s WHERE otp.is_settled(s, 1::smallint, -0.05)"
gives "what failed or was canceled gets no price" "canceled,failed" "SELECT string_agg(s, ',' ORDER BY s) FROM unnest('{accepted,queued,sending,sent,delivered,undelivered,failed,canceled}'::text[]) s WHERE otp.is_settled(s, 1::smallint, NULL)"
gives "segments are always said" "f|f" "SELECT otp.is_settled('failed', NULL, NULL), otp.is_settled('delivered', NULL, -0.05)"
sql -c "SELECT otp.request('s', '0501234567')" >/dev/null
job=$(sql -c "UPDATE otp.send_jobs SET state = 'sending', attempt = 1 RETURNING id")
sql -c "SELECT otp.record_status('SM00000000000000000000000000000001', 'delivered', reference => '$job.1')" >/dev/null
gives "a callback that makes a message final leaves it to be asked for its bill" t "SELECT final_at IS NOT NULL AND next_poll_at <= now() FROM otp.messages"
sql -c "UPDATE otp.messages SET final_at = NULL, status = 'sent', next_poll_at = '2030-01-01'" -c "SELECT otp.record_status('SM00000000000000000000000000000001', 'delivered')" >/dev/null
gives "and moves no poll" "t|t" "SELECT final_at IS NOT NULL, next_poll_at = '2030-01-01' FROM otp.messages"
sql -c "INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status, next_poll_at) SELECT 'SMsettled' || n, n + 1000, n, 1, true, now(), 'delivered', CASE WHEN n % 100 = 0 THEN now() END FROM generate_series(1, 5000) n" -c "ANALYZE otp.messages"
check "the index holds what is to be asked, and finds it" "1" "$(sql -c "EXPLAIN SELECT FROM otp.messages m WHERE m.next_poll_at <= now() ORDER BY m.next_poll_at LIMIT 20" | grep -c 'messages_to_poll')"
gives "no more than that" t "SELECT pg_relation_size('otp.messages_to_poll') < pg_relation_size('otp.messages_pkey') / 4"
gives "texts stay at Twilio unless an operator wants otherwise" f "SELECT redact_bodies FROM otp.settings"
gives "who may say so" t "SET ROLE otp_admin; UPDATE otp.settings SET redact_bodies = true RETURNING redact_bodies"
for role in otp_web otp_worker otp_monitor; do fails "$role may not" 42501 "SET ROLE $role; UPDATE otp.settings SET redact_bodies = false"; done
sql -c "UPDATE otp.settings SET redact_bodies = false"; clean

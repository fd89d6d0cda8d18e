# Traces: which traceparent a send job keeps, and where it goes with the job.
trace=0af7651916cd43dd8448eb211c80319c
span=b7ad6b7169203331
caller=00-$trace-$span-01
kept() { sql -c "SELECT coalesce(traceparent, 'none') FROM otp.send_jobs ORDER BY id DESC LIMIT 1"; }
# What a send job keeps of a traceparent that its request gives.
given() { clean; sql -c "SELECT 1 FROM otp.request('trace', '0501230001', traceparent => '$1')" >/dev/null; kept; }

check "a request without a trace" none "$(given '')"
clean; sql -c "SELECT 1 FROM otp.request('trace', '0501230001')" >/dev/null
check "and one that gives none" none "$(kept)"
check "the trace of a request" "$caller" "$(given "$caller")"
check "one that its caller does not record" "00-$trace-$span-00" "$(given "00-$trace-$span-00")"
check "of its flags only the last counts" "00-$trace-$span-01" "$(given "00-$trace-$span-ff")"
check "a later version, as version 00" "$caller" "$(given "cc-$trace-$span-01")"
check "and its further parts are left out" "$caller" "$(given "cc-$trace-$span-01-what-the-future-will-be-like")"
# Each is ignored, and the code is sent all the same.
for bad in "$caller-" "$caller-01" "cc-$trace-$span-01.what" "ff-$trace-$span-01" "0-$trace-$span-01" "00-$trace-$span" "00-$trace-$span-1" \
        "00-${trace^^}-$span-01" "00-$trace-${span^^}-01" "00-00000000000000000000000000000000-$span-01" "00-$trace-0000000000000000-01" \
        "00-$trace-$span-0g" "00-${trace}0-$span-01" " $caller" "$caller " "00 $trace $span 01" "g0-$trace-$span-01"; do
    check "not a traceparent: $bad" none "$(given "$bad")"
done
check "300 kB are none" none "$(clean; sql -c "SELECT 1 FROM otp.request('trace', '0501230001', traceparent => repeat('0', 300000))" >/dev/null; kept)"
check "nor is a line break" none "$(clean; sql -c "SELECT 1 FROM otp.request('trace', '0501230001', traceparent => E'$caller\\n')" >/dev/null; kept)"

# The session's setting, which a plain INSERT has too.
clean
sql -c "BEGIN" -c "SELECT set_config('otp.traceparent', '$caller', true)" -c "SELECT 1 FROM otp.request('trace', '0501230001')" -c "COMMIT" >/dev/null
check "set_config serves otp.request" "$caller" "$(kept)"
other=00-11111111111111111111111111111111-2222222222222222-01
sql -c "BEGIN" -c "SELECT set_config('otp.traceparent', '$caller', true)" -c "SELECT 1 FROM otp.request('trace', '0501230002', traceparent => '$other')" -c "COMMIT" >/dev/null
check "the argument goes before it" "$other" "$(kept)"
v=$(verification plain)
sql -c "SET ROLE otp_web" -c "BEGIN" -c "SELECT set_config('otp.traceparent', '$caller', true)" -c "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)" -c "COMMIT" >/dev/null
check "a backend's own INSERT" "$caller" "$(kept)"
v=$(verification after)
sql -c "BEGIN" -c "SELECT set_config('otp.traceparent', '$caller', true)" -c "COMMIT" -c "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)" >/dev/null
check "the next transaction has no trace" none "$(kept)"
fails "a backend cannot write the column" 42501 "SET ROLE otp_web; INSERT INTO otp.send_jobs (verification_id, traceparent) VALUES ($v, '$caller')"
fails "nor read it" 42501 "SET ROLE otp_web; SELECT traceparent FROM otp.send_jobs"

# It goes with the job: to a step, to a resend, to what an operator sends again, and to a message that a callback brings.
sid() { printf 'SM%032d' "$1"; }
clean; sql -c "INSERT INTO otp.countries (region) VALUES ('EG') ON CONFLICT DO NOTHING" -c "DELETE FROM otp.routes" -c "INSERT INTO otp.channel_senders VALUES ('call', '*', '+12015550100') ON CONFLICT DO NOTHING" \
    -c "INSERT INTO otp.routes (purpose, country, step, channel, wait) VALUES ('*', '*', 1, 'sms', NULL), ('*', '*', 2, 'call', '30 seconds')"
sql -c "SELECT 1 FROM otp.request('steps', '+201001234501', traceparent => '$caller')" >/dev/null
sql -c "UPDATE otp.step_waits SET due_at = clock_timestamp() - interval '1 second'" -c "SELECT set_config('otp.traceparent', '$other', false)" -c "SELECT begun FROM otp.begin_steps()" >/dev/null
gives "a step has the trace of the first send, and not that of the session" "call|$caller" "SELECT channel, traceparent FROM otp.send_jobs"
gives "the send that it took over from keeps it" "canceled|$caller" "SELECT state, traceparent FROM otp.unsent_jobs"
clean
sql -c "SELECT 1 FROM otp.request('steps', '+201001234502', traceparent => '$caller')" >/dev/null
sql -c "WITH j AS (DELETE FROM otp.send_jobs RETURNING *) INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status, channel, step, traceparent) SELECT '$(sid 1)', id, verification_id, 1, true, requested_at, 'sent', channel, step, traceparent FROM j" \
    -c "SET ROLE otp_worker" -c "SELECT otp.record_status('$(sid 1)', 'failed', 30008)" >/dev/null
gives "a step after a failed message has it too" "call|$caller" "SELECT channel, traceparent FROM otp.send_jobs"
sql -c "DELETE FROM otp.routes" -c "INSERT INTO otp.routes (purpose, country, step, channel) VALUES ('*', '*', 1, 'sms')"
clean
job=$(sql -c "SELECT j.id FROM otp.request('again', '0501230003', traceparent => '$caller') r JOIN otp.send_jobs j USING (verification_id)")
job=${job:-$(sql -c "SELECT max(id) FROM otp.send_jobs")}
sql -c "SELECT otp.cancel_job($job)" >/dev/null
gives "a canceled job keeps it" "$caller" "SELECT traceparent FROM otp.unsent_jobs"
sql -c "SELECT otp.retry_job($job)" >/dev/null
gives "and so does the job that an operator sends again" "$caller|t" "SELECT traceparent, follows = $job FROM otp.send_jobs"
sql -c "UPDATE otp.send_jobs SET state = 'sending', attempt = 1, worker = 1, lease_expires_at = now() + interval '1 minute'"
sql -c "SET ROLE otp_worker" -c "SELECT otp.record_status('$(sid 2)', 'delivered', reference => (SELECT max(id) FROM otp.send_jobs) || '.1')" >/dev/null
gives "a message that a callback brings has it" "$caller" "SELECT traceparent FROM otp.messages WHERE message_sid = '$(sid 2)'"

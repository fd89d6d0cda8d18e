# Sequences that are behind the history, after logical replication or a data-only restore.
sql -c "SELECT otp.request('t', '0501234567')" >/dev/null
behind() { sql -c "SELECT setval('otp.$1_id_seq', (SELECT min(id) FROM otp.$1), false)" >/dev/null; }
behind verifications
fails "a verification's id that is in use: still 23505" 23505 "SELECT otp.request('u', '0501234568')"
behind verifications
says "with what happened" "the id [0-9]+ of otp.verifications is in use: the sequence is behind the table" "SELECT otp.request('u', '0501234568')"
behind verifications
says "and what to do" "HINT: .*setval\\('otp.verifications_id_seq'.*setval\\('otp.send_jobs_id_seq'" "INSERT INTO otp.verifications (subject, phone_number) VALUES ('u', '0501234568')"
sql -c "SELECT setval('otp.verifications_id_seq', (SELECT max(id) FROM otp.verifications))" >/dev/null
behind send_jobs
says "a send job's, likewise" "the id [0-9]+ of otp.send_jobs is in use" "SELECT otp.request('u', '0501234568')"
hint=$(psql -qXAt -d "$PGDATABASE" -c "SELECT otp.refuse_taken_id('send_jobs', 1)" 2>&1 | sed -n "s/^HINT: .*schema: //p")
check "the hint's statement can be run" "1" "$(sql -c "SELECT count(*) FROM (${hint%;}) r")"
gives "and then it goes on" "t" "SELECT verification_id > 0 FROM otp.request('u', '0501234568')"
# With an id that the history has already, both results are kept.
sql -c "INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at) VALUES (7000, 1, 'failed', 1, now() - interval '1 day'), (7000, 2, 'expired', 1, now())"
gives "both are kept" "failed|expired" "SELECT min(job_state) FILTER (WHERE verification_id = 1), min(job_state) FILTER (WHERE verification_id = 2) FROM otp.delivery_status WHERE send_job_id = 7000"
sql -c "INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, id_taken, requested_at, status) VALUES ('SM1', 8000, 1, 1, true, NULL, now() - interval '1 day', 'delivered'), ('SM2', 8000, 2, 1, false, true, now(), 'failed')"
gives "a message beside another job's is a job of its own" "SM1|SM2" "SELECT string_agg(message_sid, '|' ORDER BY message_sid) FROM otp.delivery_status WHERE send_job_id = 8000"
gives "and no second message" "0|0" "SELECT (SELECT messages FROM otp.sent_twice), (SELECT count(*) FROM otp.failure_summary WHERE error_class = 'sent_twice')"
clean

# Sequences that are behind the numbers in use, after a data-only restore or a logical subscription.
v=$(verification "behind")
sql -c "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)"
job=$(sql -c "SELECT max(id) FROM otp.send_jobs")
last() { sql -c "SELECT last_value FROM otp.$1"; }
gives "none is behind" 0 "SELECT count(*) FROM otp.sequences_behind()"
gives "so none is moved" 0 "SET ROLE otp_worker; SELECT count(*) FROM otp.advance_sequences()"
# Rows beyond the sequences, as after a restore: a message, an unsent job, a worker, and a job of that worker.
sql -c "SET session_replication_role = replica" \
    -c "INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status) VALUES ('SM00000000000000000000000000000024', $job + 50, $v + 70, 1, true, now(), 'sent')" \
    -c "INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at) VALUES ($job + 40, $v + 80, 'failed', 1, now())" \
    -c "INSERT INTO otp.worker_status (worker_id, host, pid, version) VALUES (1000000, 'h', 1, '1')"
gives "those that are behind, with the remedy" "otp.send_jobs_id_seq|$((job + 50))|SELECT setval('otp.send_jobs_id_seq', $((job + 50)));
otp.verifications_id_seq|$((v + 80))|SELECT setval('otp.verifications_id_seq', $((v + 80)));
otp.worker_ids|1000000|SELECT setval('otp.worker_ids', 1000000);" "SET ROLE otp_monitor; SELECT sequence, used_number, remedy FROM otp.sequences_behind() ORDER BY 1"
gives "a worker moves them" "otp.send_jobs_id_seq|$((job + 50)) otp.verifications_id_seq|$((v + 80)) otp.worker_ids|1000000" "SET ROLE otp_worker; SELECT string_agg(sequence || '|' || used_number, ' ' ORDER BY sequence) FROM otp.advance_sequences()"
gives "then none is behind" 0 "SELECT count(*) FROM otp.sequences_behind()"
check "and numbers are new" "$((v + 81))" "$(verification "after")"
# A second caller waits for the first, and moves nothing back.
sql -c "SET session_replication_role = replica" -c "UPDATE otp.messages SET send_job_id = $job + 90"
coproc first { sql; }
printf '%s\n' "BEGIN;" "SELECT count(*) FROM otp.advance_sequences();" "SELECT nextval('otp.send_jobs_id_seq');" >&"${first[1]}"
read -r moved <&"${first[0]}"; read -r drawn <&"${first[0]}"
check "the first moves it" "1 $((job + 91))" "$moved $drawn"
gives "the second finds nothing to do" 0 "SELECT count(*) FROM otp.advance_sequences()"
check "so the number that was drawn stays drawn" "$((job + 91))" "$(last send_jobs_id_seq)"
echo "COMMIT;" >&"${first[1]}"; eval "exec ${first[1]}>&-"; wait "$first_PID" 2>/dev/null
sql -c "DELETE FROM otp.worker_status"

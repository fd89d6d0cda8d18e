# Shared pauses: the roles that may create them, the jobs that they may hold, and the release of every job at their end.
clean; sql -c "TRUNCATE otp.pauses" -c "TRUNCATE otp.worker_status"
gives "a pause has a name" "all,country SA,prefix +96650" \
    "INSERT INTO otp.pauses (scope, key, reason) VALUES ('all', '', 'a'), ('country', 'SA', 'b'), ('prefix', '+96650', 'c'); SELECT string_agg(name, ',' ORDER BY name) FROM otp.pauses"
fails "one of a name" 23505 "INSERT INTO otp.pauses (scope, key, reason) VALUES ('country', 'SA', 'again')"
for bad in "'all', 'SA'" "'country', ''" "'country', 'sa'" "'country', 'SAU'" "'prefix', '96650'" "'prefix', '+0'" "'prefix', '+966501234567'" "'worker', '1'" "'country', NULL" "NULL, ''"; do
    check "no pause of ($bad)" "" "$(sql -c "INSERT INTO otp.pauses (scope, key, reason) VALUES ($bad, 'x') RETURNING name" | grep -vE '^ERROR:  (23514|23502|OT007)')"
done
fails "a reason is something" 23514 "INSERT INTO otp.pauses (scope, key, reason) VALUES ('country', 'JO', '')"
gives "queue_status lists them with reason, remedy, since and next probe" "all|a|f|t,country SA|b|f|t,prefix +96650|c|f|t" \
    "SELECT string_agg(concat_ws('|', p->>'scope', p->>'reason', p->'remedy' <> 'null', p->>'next_probe_at' IS NULL AND (p->>'since')::timestamptz <= now()), ',' ORDER BY p->>'scope') FROM otp.queue_status, jsonb_array_elements(paused) p"
sql -c "INSERT INTO otp.worker_status (host, pid, version, state, reason, remedy, paused_since, next_probe_at) VALUES ('a', 1, '1', 'paused', 'r', 'm', now(), now())"
gives "beside those of workers" "4|1" "SELECT jsonb_array_length(paused), (SELECT count(*) FROM jsonb_array_elements(paused) p WHERE p->>'scope' LIKE 'worker %' AND p ? 'since' AND p->>'next_probe_at' IS NOT NULL) FROM otp.queue_status"
gives "and with the count of what waits" "all|0,country SA|0,prefix +96650|0,worker|" "SELECT string_agg(regexp_replace(scope, ' \d+$', '') || '|' || coalesce(held::text, ''), ',' ORDER BY scope) FROM otp.pause_status"
for role in otp_worker otp_monitor otp_admin; do gives "$role reads it" "4|4" "SET ROLE $role; SELECT count(held) + 1, (SELECT jsonb_array_length(paused) FROM otp.queue_status) FROM otp.pause_status"; done
sql -c "TRUNCATE otp.pauses, otp.worker_status"

# Held jobs are live and not due. They are due again when the pause ends, in any way.
pause() { sql -c "INSERT INTO otp.pauses (scope, key, reason) VALUES ('country', 'SA', 'x'), ('prefix', '+96650', 'y')"; }
hold() { sql -c "UPDATE otp.send_jobs SET hold_kind = 'pause', hold_key = '$1', due_at = expires_at WHERE id IN (SELECT id FROM otp.send_jobs WHERE hold_kind IS NULL ORDER BY id LIMIT $2)"; }
held() { sql -c "SELECT count(*) FILTER (WHERE hold_key = 'country SA'), count(*) FILTER (WHERE hold_key = 'prefix +96650'), count(*) FILTER (WHERE due_at <= now() AND hold_kind IS NULL) FROM otp.send_jobs"; }
for n in 1 2 3 4 5; do sql -c "WITH v AS (INSERT INTO otp.verifications (subject, phone_number) VALUES ('p$n', '050123456$n') RETURNING id) INSERT INTO otp.send_jobs (verification_id) SELECT id FROM v"; done
gives "no backend inserts a held job" "" "WITH v AS (INSERT INTO otp.verifications (subject, phone_number) VALUES ('p6', '0501234566') RETURNING id) INSERT INTO otp.send_jobs (verification_id, hold_kind, hold_key) SELECT id, 'pause', 'all' FROM v RETURNING coalesce(hold_kind::text, hold_key)"
pause; hold "country SA" 2; hold "prefix +96650" 3
check "five are held" "2|3|1" "$(held)"
gives "pause_status counts them" "2,3" "SELECT string_agg(held::text, ',' ORDER BY scope) FROM otp.pause_status"
gives "the queue counts them and says that they are not due" "6|1" "SELECT queued, due FROM otp.queue_status"
sql -c "DELETE FROM otp.pauses WHERE scope = 'country'"
check "the end of one releases its own" "0|3|3" "$(held)"
sql -c "DELETE FROM otp.pauses"
check "the end of all releases all" "0|0|6" "$(held)"
pause; hold "country SA" 3; sql -c "TRUNCATE otp.pauses"
check "so does TRUNCATE" "0|0|6" "$(held)"

# A worker locks the pause while it gives a job to it. The end of the pause waits for that, and then releases the job.
pause
(psql -qXAt -d "$PGDATABASE" -c "BEGIN" -c "SELECT FROM otp.pauses WHERE scope = 'country' FOR KEY SHARE" -c "UPDATE otp.send_jobs SET hold_kind = 'pause', hold_key = 'country SA', due_at = expires_at" \
    -c "\\! touch $work/holding; until psql -qXAt -d $PGDATABASE -c \"SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE FROM otp.pauses%'\" | grep -q 1; do :; done" -c "COMMIT" >/dev/null) &
until [ -e "$work/holding" ]; do sleep 0.01; done
sql -c "DELETE FROM otp.pauses"; wait $!
check "no job is given to a pause that has ended" "0|0|6" "$(held)"

# The roles that may do this.
for role in otp_worker otp_admin; do
    check "$role makes, reads and ends pauses" "country SA" "$(sql -c "SET ROLE $role" -c "INSERT INTO otp.pauses (scope, key, reason) VALUES ('country', 'SA', 'x')" -c "UPDATE otp.pauses SET reason = 'y'" -c "SELECT name FROM otp.pauses" -c "DELETE FROM otp.pauses")"
done
pause; hold "country SA" 6
check "otp_admin ends one without a right to the jobs" "0|0|6" "$(sql -c "SET ROLE otp_admin" -c "DELETE FROM otp.pauses"; held)"
for role in otp_web otp_monitor; do
    fails "$role makes none" 42501 "SET ROLE $role; INSERT INTO otp.pauses (scope, key, reason) VALUES ('all', '', 'x')"
done
fails "otp_web reads none" 42501 "SET ROLE otp_web; SELECT FROM otp.pauses"
check "workers are told of each begin and end, and not of probes" "otp_catalog,otp_catalog,otp_send_jobs" "$(psql -qXAt -d "$PGDATABASE" -c "LISTEN otp_catalog; LISTEN otp_send_jobs" \
    -c "INSERT INTO otp.pauses (scope, key, reason) VALUES ('all', '', 'x')" -c "UPDATE otp.pauses SET next_probe_at = now()" -c "DELETE FROM otp.pauses" | grep -oE 'otp_[a-z_]+' | paste -sd,)"
clean

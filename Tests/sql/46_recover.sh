# otp.recover: the database went back in time. Jobs and codes that may have been sent and used end, and no id is given out twice.
recover() { sql -c "SELECT jobs_ended, codes_canceled FROM otp.recover(${1:-})"; }
sql -c "TRUNCATE otp.worker_status"
for role in otp_web otp_worker otp_monitor otp_admin; do
    fails "$role may not" 42501 "SET ROLE $role; SELECT otp.recover()"
done
fails "not from the future" OT007 "SELECT otp.recover(now() + interval '1 minute')"
check "nothing to do" "0|0" "$(recover)"
gives "the owner needs no other right" "0" "SET ROLE otp_owner; SELECT jobs_ended FROM otp.recover()"

# The moment: what a worker wrote last.
sql -c "INSERT INTO otp.worker_status (host, pid, version, heartbeat_at) VALUES ('h', 1, '1', now() - interval '100 seconds')"
gives "the last trace of a worker" "100|1100000" "SELECT round(extract(epoch FROM clock_timestamp() - r.went_back_to)), round(r.ids_skipped, -4) FROM otp.recover() r"
fails "an earlier moment is a mistake" OT007 "SELECT otp.recover(now() - interval '2 minutes')"
says "which names what is known" "A worker wrote to it at .* which is later than .*" "SELECT otp.recover(now() - interval '2 minutes')"
gives "a later moment" "50|1050000" "SELECT round(extract(epoch FROM clock_timestamp() - r.went_back_to)), round(r.ids_skipped, -4) FROM otp.recover(now() - interval '50 seconds') r"

# Jobs in every state, with codes in every state.
sql -c "INSERT INTO otp.channel_senders VALUES ('call', '*', '+12015550100') ON CONFLICT DO NOTHING" -c "INSERT INTO otp.routes (purpose, step, channel, wait) VALUES ('phone_verification', 1, 'sms', NULL), ('phone_verification', 2, 'call', '30 seconds')"
job() { sql -c "SELECT send_job_id FROM otp.delivery_status WHERE verification_id = $1"; }
for name in queued sending unknown used canceled; do
    declare "$name=$(sql -c "SELECT verification_id FROM otp.request('$name', '05012345' || length('$name') || ascii('$name') % 10)")"
done
sql -c "SET session_replication_role = replica" \
    -c "UPDATE otp.send_jobs SET state = 'sending', attempt = 1, worker = 1, lease_expires_at = now() + interval '20 seconds' WHERE verification_id = $sending" \
    -c "UPDATE otp.send_jobs SET state = 'unknown', attempt = 2, worker = 1, unknown_at = now(), next_lookup_at = now() WHERE verification_id = $unknown" \
    -c "UPDATE otp.verifications SET verified_at = now() WHERE id = $used" -c "UPDATE otp.verifications SET canceled_at = now() - interval '1 minute' WHERE id = $canceled" \
    -c "DELETE FROM otp.send_jobs WHERE verification_id IN ($used, $canceled)"
id=$(job "$queued")
before=$(sql -c "SELECT max(id) FROM otp.verifications")
last=$(sql -c "SELECT last_value FROM otp.send_jobs_id_seq")
check "each live job and each live code" "3|3" "$(recover)"
gives "no job is left" 0 "SELECT count(*) FROM otp.send_jobs"
gives "their outcome is unknown, and the next attempt of a queued job too" "queued|failed|unknown|1 sending|failed|unknown|1 unknown|failed|unknown|2" \
    "SELECT string_agg(concat_ws('|', v.subject, u.state, u.error_class, u.attempts), ' ' ORDER BY v.subject) FROM otp.unsent_jobs u JOIN otp.verifications v ON v.id = u.verification_id"
gives "no step of the route follows" "3" "SELECT count(*) FROM otp.unsent_jobs WHERE follow_up = 'Not sent again: it was canceled.'"
gives "nor does a step begin later" 0 "UPDATE otp.step_waits SET due_at = now(); SELECT begun FROM otp.begin_steps()"
gives "a used code stays used, and a canceled one keeps its time" "t|t" \
    "SELECT (SELECT canceled_at IS NULL FROM otp.verifications WHERE id = $used), (SELECT canceled_at < now() - interval '50 seconds' FROM otp.verifications WHERE id = $canceled)"
check "the job cannot be sent again by hand" "OT006" "$(psql -qXAt -v VERBOSITY=sqlstate -d "$PGDATABASE" -c "SELECT otp.retry_job($id)" 2>&1 | sed 's/.*: *//')"

# New ids are far away, and a receipt of the forgotten time counts for its own job alone.
again=$(sql -c "SELECT verification_id FROM otp.request('queued', '0501234567')")
check "the next verification has a new id" "t|t" "$([ "$again" -gt $((before + 1000000)) ] && echo t)|$([ "$(job "$again")" -gt $((last + 1000000)) ] && echo t)"
gives "a receipt of the job that was queued" "t" "SET ROLE otp_worker; SELECT otp.record_status('SM00000000000000000000000000000046', 'delivered', NULL, '$id.1')"
gives "is kept beside its end" "f" "SELECT (SELECT is_primary FROM otp.messages WHERE message_sid = 'SM00000000000000000000000000000046')"
gives "which is no code sent twice" 0 "SELECT messages FROM otp.sent_twice"
gives "a receipt of a forgotten job belongs to no job" "f" "SET ROLE otp_worker; SELECT otp.record_status('SM00000000000000000000000000000047', 'delivered', NULL, '$((last + 1)).1')"
gives "so the new job waits to be sent" "queued" "SELECT state FROM otp.send_jobs WHERE verification_id = $again"
gives "sequences are where they should be" 0 "SELECT count(*) FROM otp.sequences_behind()"

# It does nothing while a worker is connected, whatever role its login inherits.
sql -c "CREATE ROLE group_$$ IN ROLE otp_worker" -c "CREATE ROLE worker_$$ LOGIN PASSWORD '${PGPASSWORD:-}' IN ROLE group_$$"
coproc worker { PGOPTIONS='' psql -qXAt -U "worker_$$" -d "$PGDATABASE" 2>&1; }
printf 'SELECT 1;\n' >&"${worker[1]}"; read -r connected <&"${worker[0]}"
check "a worker is connected" 1 "$connected"
says "it is named" "workers are connected to the database" "SELECT otp.recover()"
says "with its role" "worker_$$" "SELECT otp.recover()"
gives "and its job is still there" "queued" "SELECT state FROM otp.send_jobs WHERE verification_id = $again"
eval "exec ${worker[1]}>&-"; wait "$worker_PID" 2>/dev/null
until [ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE usename = 'worker_$$'")" = 0 ]; do :; done
check "and then it works" "1|1" "$(recover)"
sql -c "DROP ROLE worker_$$, group_$$" -c "DELETE FROM otp.routes WHERE purpose = 'phone_verification'" -c "DELETE FROM otp.channel_senders" -c "DELETE FROM otp.worker_status"

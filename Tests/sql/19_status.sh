# The views and actions of operators: plans of the status views with history, failures, details of a job, retry and cancel.
sid() { printf 'SM%032d' "$1"; }
code() { sql -c "SELECT otp.request('$1', '050123456$2')" >/dev/null; sql -c "SELECT id FROM otp.send_jobs ORDER BY id DESC LIMIT 1"; }   # subject, last digit → job
admin() { sql -c "SET ROLE otp_admin" -c "$1"; }
ends() { sql -c "WITH g AS (DELETE FROM otp.send_jobs WHERE id = $1 RETURNING *) INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at) SELECT id, verification_id, '$2', attempt, requested_at FROM g"; }

# Retry: a waiting job is due, an ended job gets a successor, and a job that Twilio has or may have stays.
job=$(code retry 1)
sql -c "UPDATE otp.send_jobs SET due_at = now() + interval '3 minutes', attempt = 1, last_error = 'x'"
check "a job in its backoff is due at once" "$job" "$(admin "SELECT otp.retry_job($job)")"
gives "and stays what it was" "t|1|x" "SELECT due_at <= clock_timestamp(), attempt, last_error FROM otp.send_jobs WHERE id = $job"
sql -c "INSERT INTO otp.pauses (scope, key, reason) VALUES ('country', 'SA', 'test')" -c "UPDATE otp.send_jobs SET hold_kind = 'pause', hold_key = 'country SA', due_at = expires_at"
says "one that a pause holds waits for its end" "held by a pause: country SA" "SET ROLE otp_admin; SELECT otp.retry_job($job)"
sql -c "DELETE FROM otp.pauses"
sql -c "UPDATE otp.send_jobs SET hold_kind = 'rate', hold_key = 'Mgask', due_at = now() + interval '1 minute'"
says "one that waits for its sender's turn gets no other" "waits for the rate of its sender, Mgask" "SET ROLE otp_admin; SELECT otp.retry_job($job)"
sql -c "UPDATE otp.send_jobs SET hold_kind = NULL, hold_key = NULL, state = 'sending'"
check "not while it is sent" "ERROR:  OT006" "$(admin "SELECT otp.retry_job($job)")"
sql -c "UPDATE otp.send_jobs SET state = 'unknown'"
says "not while its outcome is unknown" "may have reached Twilio" "SET ROLE otp_admin; SELECT otp.retry_job($job)"
ends "$job" failed
again=$(admin "SELECT otp.retry_job($job)")
gives "what failed gets a successor of the same verification" "queued|$job|t" "SELECT j.state, j.follows, j.verification_id = u.verification_id FROM otp.send_jobs j JOIN otp.unsent_jobs u ON u.send_job_id = $job WHERE j.id = $again"
says "but one at a time" "was followed by send job $again, which is under way" "SET ROLE otp_admin; SELECT otp.retry_job($job)"
for state in expired limited canceled; do
    ends "$again" $state; before=$again
    again=$(admin "SELECT otp.retry_job($before)")
    gives "what is $state too" "$before" "SELECT follows FROM otp.send_jobs WHERE id = $again"
done
gives "job_details tells of whom" "$before" "SET ROLE otp_monitor; SELECT follows FROM otp.job_details WHERE send_job_id = $again"
ends "$again" failed
check "it counts against the limits" "ERROR:  OT001" "$(admin "SELECT otp.retry_job($again)" | grep ERROR; sql -c "UPDATE otp.send_counts SET sent_at = '{}'")"
sql -c "DELETE FROM otp.send_counts" -c "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status) SELECT otp.job_range($again), '$(sid 1)', $again, verification_id, 1, false, now(), 'delivered' FROM otp.unsent_jobs WHERE send_job_id = $again"
says "nor what Twilio had after all" "was already accepted by Twilio \\(message status: delivered\\)" "SET ROLE otp_admin; SELECT otp.retry_job($again)"
check "nor what nobody knows" "ERROR:  OT006" "$(admin "SELECT otp.retry_job(999999999)")"
# A message that may have arrived is not sent again: after an unknown outcome, or after a new request for the code.
for class in unknown repeated_sid; do
    job=$(code "may $class" 5); ends "$job" failed; sql -c "UPDATE otp.unsent_jobs SET error_class = '$class' WHERE send_job_id = $job"
    says "nor what Twilio may have ($class)" "may have reached Twilio: its outcome stayed unknown" "SET ROLE otp_admin; SELECT otp.retry_job($job)"
    gives "and nothing is queued ($class)" "0" "SELECT count(*) FROM otp.send_jobs j JOIN otp.verifications v ON v.id = j.verification_id WHERE v.subject = 'may $class'"
done
first=$(code again 6); ends "$first" failed; second=$(code again 6)
sql -c "WITH g AS (DELETE FROM otp.send_jobs WHERE id = $second RETURNING *) INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status) SELECT otp.job_range(id), '$(sid 3)', id, verification_id, 1, true, requested_at, 'sent' FROM g"
says "nor what was asked for again and sent" "was followed by send job $second, which Twilio accepted" "SET ROLE otp_admin; SELECT otp.retry_job($first)"
gives "and the user gets no second message" "0" "SELECT count(*) FROM otp.send_jobs WHERE follows = $first"
sql -c "UPDATE otp.messages SET status = 'undelivered' WHERE message_sid = '$(sid 3)'"
third=$(admin "SELECT otp.retry_job($first)")
gives "unless that one did not arrive" "$first" "SELECT follows FROM otp.send_jobs WHERE id = $third"
ends "$third" failed; sql -c "UPDATE otp.unsent_jobs SET error_class = 'unknown' WHERE send_job_id = $third"
says "nor while the outcome of the later job is unknown" "was followed by send job $third, which Twilio may have accepted" "SET ROLE otp_admin; SELECT otp.retry_job($first)"
sql -c "DELETE FROM otp.messages WHERE message_sid = '$(sid 3)'" -c "DELETE FROM otp.send_counts"
gone=$(code dead 2); ends "$gone" failed
sql -c "UPDATE otp.verifications SET verified_at = now() WHERE subject = 'dead'"
says "of a code that has been used" "cannot be sent again, because verification [0-9]+ cannot be sent: its code has been used" "SET ROLE otp_admin; SELECT otp.retry_job($gone)"
says "and the remedy says so" "Ask the user to request a new code" "SET ROLE otp_admin; SELECT otp.retry_job($gone)"

# Two operators at once: one successor.
twice=$(code twice 3); ends "$twice" failed
for n in 1 2; do admin "BEGIN; SELECT otp.retry_job($twice); COMMIT" >"$work/twice$n" & waits[n]=$!; done; wait "${waits[1]}" "${waits[2]}"
check "two at once make one successor" "1" "$(sql -c "SELECT count(*) FROM otp.send_jobs WHERE follows = $twice")"

# An operator may retry a job of any backend. Another backend may not.
sql -c "CREATE ROLE \"status-$$\" LOGIN IN ROLE otp_admin"
theirs=$(code theirs 4); ends "$theirs" failed
check "an operator may, for a verification of any role" "t" "$(sql -c "SET SESSION AUTHORIZATION \"status-$$\"" -c "SELECT otp.retry_job($theirs) > $theirs")"
check "and no more than that" "ERROR:  42501" "$(sql -c "SET SESSION AUTHORIZATION \"status-$$\"" -c "INSERT INTO otp.send_jobs (verification_id, follows) SELECT 1, 1")"
sql -c "DROP ROLE \"status-$$\""
for role in otp_web otp_worker otp_monitor; do
    fails "$role may not retry" 42501 "SET ROLE $role; SELECT otp.retry_job(1)"
    fails "$role may not cancel" 42501 "SET ROLE $role; SELECT otp.cancel_job(1)"
done
fails "a backend can't call its send a resend" 42501 "SET ROLE otp_web; INSERT INTO otp.send_jobs (verification_id, follows) VALUES (1, 1)"

# Cancel: only queued jobs.
clean
job=$(code cancel 5)
sql -c "UPDATE otp.send_jobs SET state = 'sending'"
says "one under way is not recalled" "is being sent at this moment" "SET ROLE otp_admin; SELECT otp.cancel_job($job)"
sql -c "UPDATE otp.send_jobs SET state = 'unknown'"
says "nor one that may be" "its outcome is unknown" "SET ROLE otp_admin; SELECT otp.cancel_job($job)"
sql -c "UPDATE otp.send_jobs SET state = 'queued'"
check "a queued one is canceled" "$job" "$(admin "SELECT otp.cancel_job($job)")"
gives "and names an operator as the cause" "canceled|An operator canceled the job." "SELECT job_state, error FROM otp.delivery_status WHERE send_job_id = $job"
gives "its code lives" "f" "SELECT canceled_at IS NOT NULL FROM otp.verifications WHERE subject = 'cancel'"
sql -c "UPDATE otp.unsent_jobs SET state = 'failed' WHERE send_job_id = $job"; again=$(admin "SELECT otp.retry_job($job)"); admin "SELECT otp.cancel_job($again)" >/dev/null
gives "of a resend the history still says so" "canceled|$job" "SELECT job_state, follows FROM otp.delivery_status WHERE send_job_id = $again"
job=$again
says "only once" "has already ended: canceled" "SET ROLE otp_admin; SELECT otp.cancel_job($job)"
check "nor what nobody knows" "ERROR:  OT006" "$(admin "SELECT otp.cancel_job(999999999)")"

# Failures: jobs that ended unsent and were not canceled, and messages that did not arrive.
clean
lost=$(code f1 1); ends "$lost" failed
called_off=$(code f2 2); ends "$called_off" canceled
sql -c "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, accepted_at, status, error_code) SELECT otp.job_range(900001), '$(sid 2)', 900001, id, 1, true, now(), now() + interval '1 second', 'undelivered', 30003 FROM otp.verifications WHERE subject = 'f1' UNION ALL SELECT otp.job_range(900002), '$(sid 3)', 900002, id, 1, true, now(), now(), 'delivered', NULL FROM otp.verifications WHERE subject = 'f1' UNION ALL SELECT otp.job_range(900003), '$(sid 4)', 900003, id, 1, true, now(), now(), 'sent', 30003 FROM otp.verifications WHERE subject = 'f1'"
gives "failures, the newest first" "900001|undelivered|+9665•••••561|t
$lost||+9665•••••561|f" "SET ROLE otp_monitor; SELECT send_job_id, message_status, phone_number, remedy IS NOT NULL FROM otp.failures ORDER BY failed_at DESC"
gives "job_details knows no number" "0" "SET ROLE otp_monitor; SELECT count(*) FROM otp.job_details d WHERE d::text LIKE '%501234561%'"
gives "and every job once" "t" "SELECT count(*) = count(DISTINCT send_job_id) AND count(*) = (SELECT count(*) FROM otp.delivery_status) FROM otp.job_details"

# otpd callbacks does not count as a sending worker, and neither does a dead worker.
sql -c "DELETE FROM otp.worker_status" -c "INSERT INTO otp.worker_status (kind, host, pid, version, state, callbacks_received) VALUES ('callbacks', 'h', 1, '1', 'running', 5)"
gives "a receiver is not counted alive" "0" "SELECT workers_alive FROM otp.queue_status"
sql -c "INSERT INTO otp.worker_status (host, pid, version, state) VALUES ('h', 2, '1', 'running'), ('h', 3, '1', 'dead')"
gives "a worker is, a dead one not" "1" "SELECT workers_alive FROM otp.queue_status"
fails "no other kind" 23514 "INSERT INTO otp.worker_status (kind, host, pid, version) VALUES ('x', 'h', 1, '1')"
sql -c "DELETE FROM otp.worker_status"

# The channels: the counts add up to those of the whole queue.
clean
sql -c "SELECT otp.request('c' || n, '05012345' || 60 + n) FROM generate_series(1, 5) n" >/dev/null
sql -c "UPDATE otp.send_jobs SET channel = 'call' WHERE id IN (SELECT id FROM otp.send_jobs ORDER BY id LIMIT 2)" -c "UPDATE otp.send_jobs SET state = 'sending' WHERE id = (SELECT max(id) FROM otp.send_jobs)"
sql -c "WITH g AS (DELETE FROM otp.send_jobs WHERE id = (SELECT min(id) FROM otp.send_jobs) RETURNING *) INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at, channel) SELECT id, verification_id, 'failed', 1, requested_at, channel FROM g"
sql -c "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status, channel) SELECT otp.job_range(800000 + n), 'SMc' || n, 800000 + n, 1, 1, true, now(), 'queued', CASE WHEN n < 3 THEN 'email' ELSE 'sms' END FROM generate_series(1, 5) n"
sql -c "INSERT INTO otp.worker_status (host, pid, version, state, channels) VALUES ('h', 2, '1', 'running', '{sms,whatsapp,call}'), ('h', 3, '1', 'running', '{email}'), ('h', 4, '1', 'dead', '{email}')"
gives "each channel has a row, used or not" "sms|t|1|2|3|3|3|0|0|0
whatsapp|f|1|0|0|0|0|0|0|0
call|f|1|1|0|0|0|1|1|1
email|f|1|0|2|2|2|0|0|0" "SET ROLE otp_monitor; SELECT * FROM otp.channel_status"
gives "and they add up" "t" "SELECT (sum(c.queued), sum(accepted_1h), sum(failed_1h)) = (SELECT q.queued::numeric, q.accepted_1h::numeric, q.failed_1h::numeric FROM otp.queue_status q) FROM otp.channel_status c"
sql -c "DELETE FROM otp.worker_status"

# Plans, with enough history to reveal a wrong one: no statement of otpd status reads a table of history as a whole.
clean
sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER ALL" -c "INSERT INTO otp.verifications (subject, purpose, e164, country, created_at, expires_at) SELECT 'h' || n, 'phone_verification', '+96650' || lpad(n::text, 7, '0'), 'SA', now() - n * interval '1 second', now() FROM generate_series(1, 30000) n" -c "ALTER TABLE otp.verifications ENABLE TRIGGER ALL" \
    -c "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, accepted_at, status) SELECT otp.job_range(id), 'SM' || id, id, id, 1, true, created_at, created_at, 'sent' FROM otp.verifications WHERE id % 10 > 0" \
    -c "INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at, ended_at) SELECT id, id, 'failed', 1, created_at, created_at FROM otp.verifications WHERE id % 10 = 0" -c "ANALYZE otp.verifications" -c "ANALYZE otp.messages" -c "ANALYZE otp.unsent_jobs"
sql -c "SET session_replication_role = replica" -c "INSERT INTO otp.send_jobs (verification_id, channel, state, due_at, expires_at) SELECT id, 'sms', 'queued', now() - interval '1 second', now() + interval '5 minutes' FROM otp.verifications LIMIT 5000"
sql -c "VACUUM ANALYZE otp.send_jobs"
old=$(sql -c "SELECT max(id) FROM otp.verifications")
scans() { sql -c "SET jit = off" -c "EXPLAIN $1" | grep -cE "Seq Scan on (messages|unsent_jobs|verifications|send_jobs)"; }
check "the last sends" 0 "$(scans "SELECT send_job_id, subject, error FROM otp.delivery_status ORDER BY send_job_id DESC LIMIT 10")"
check "the last failures" 0 "$(scans "SELECT * FROM otp.failures ORDER BY failed_at DESC LIMIT 10")"
check "one job" 0 "$(scans "SELECT * FROM otp.job_details WHERE send_job_id = $old")"
check "one verification" 0 "$(scans "SELECT * FROM otp.delivery_status WHERE verification_id = $old")"
# The statements exactly as otpd sends them: a bare name in ORDER BY means the output column, with its cast.
own() { python3 - "$here/../../Sources/Queue/$1" "$2" <<'PY'
import re, sys
blocks = re.findall(r'"""\n(.*?)"""', open(sys.argv[1]).read(), re.S)
print(next(" ".join(b.split()) for b in blocks if sys.argv[2] in b))
PY
}
for read in delivery_status failures queue_status channel_status route_status; do
    check "what otpd status reads of $read" 0 "$(scans "$(own Workers/ReadStatus.swift "FROM otp.$read")")"
done
# Limits that are used up: only the counts of this hour and this day are read, for any number of days.
sql -c "DELETE FROM otp.limits WHERE scope = 'total'" -c "INSERT INTO otp.limits (scope, period, max_sends, digits) VALUES ('prefix', '1 day', 100, 7), ('country', '1 hour', 100, 0), ('total', '1 day', 1000000, 0)" \
    -c "INSERT INTO otp.shared_counts (scope, key, period, starts_at, shard, amount) SELECT 'prefix', '+96650' || lpad(k::text, 2, '0'), '1 day', date_trunc('day', now(), s.timezone) - d * interval '1 day', b, 1 FROM otp.settings s, generate_series(0, 99) k, generate_series(0, 9) d, generate_series(0, 31) b" -c "ANALYZE otp.shared_counts"
check "what otpd status reads of limit_status" "0|1" "$(sql -c "SET jit = off" -c "EXPLAIN $(own Workers/ReadStatus.swift "FROM otp.limit_status")" | awk '/Seq Scan on shared_counts/ { s++ } /shared_counts_pkey/ { i++ } END { print s + 0 "|" (i > 0) }')"
check "and nothing is compiled for it" 0 "$(sql -c "SET jit = on" -c "EXPLAIN $(own Workers/ReadStatus.swift "FROM otp.limit_status")" | grep -c JIT)"
check "and of refusals" 0 "$(sql -c "EXPLAIN $(own Workers/ReadStatus.swift "FROM otp.refusals")" | grep -cE "Seq Scan on history")"
sql -c "DELETE FROM otp.limits WHERE scope IN ('prefix', 'country', 'total')" -c "TRUNCATE otp.shared_counts"
for list in delivery_status failures; do
    # A generic plan of a prepared statement reads the whole table if there is no filter, as here.
    check "what otpd jobs list reads of $list" 0 "$(scans "$(own Jobs/ListJobs.swift "FROM otp.$list" | sed 's/\$[12]\b/NULL/g; s/\$3/20/')")"
done
check "failures whose id was taken have an index of their own" 1 "$(sql -c "EXPLAIN SELECT * FROM otp.failures ORDER BY failed_at DESC LIMIT 10" | grep -c messages_taken_in_error)"
# With a subject, a few rows are sorted.
check "one subject" 0 "$(sql -c "EXPLAIN SELECT * FROM otp.delivery_status WHERE subject = 'h77' ORDER BY send_job_id DESC LIMIT 20" | grep -cE "Seq Scan on (messages|unsent_jobs|verifications|send_jobs)")"
check "the queue's figures" 0 "$(scans "SELECT * FROM otp.queue_status")"
check "nor do the channels" 3 "$(sql -c "EXPLAIN SELECT channel, queued FROM otp.channel_status" | grep -c "Index Only Scan.* on send_jobs")"
check "counting asks nothing of the rows" 2 "$(sql -c "EXPLAIN SELECT queued, due FROM otp.queue_status" | grep -c "Index Only Scan.* on send_jobs")"
clean

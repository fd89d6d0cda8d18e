# Events: what is recorded while the setting is on, and readers that skip none of them.
events() { sql -c "UPDATE otp.settings SET events = $1"; }
fresh() { clean; sql -c "TRUNCATE otp.events, otp.event_readers, otp.event_losses"; }
code() { sql -c "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('$1', '$2', '246810') RETURNING id"; }     # subject, phone number
message() { sql -c "INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status, channel, error_code, final_at) VALUES ('SM' || md5('$1$2'), $2, $1, 1, true, now(), '${3:-queued}', '${4:-sms}', ${5:-NULL}, CASE WHEN otp.status_rank('${3:-queued}') >= 50 THEN now() END)"; }
becomes() { sql -c "UPDATE otp.messages SET status = '$2', error_code = ${3:-NULL}, final_at = CASE WHEN otp.status_rank('$2') >= 50 THEN coalesce(final_at, now()) END WHERE send_job_id = $1"; }  # send job, status, code
unsent() { sql -c "INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at, error_class) VALUES ($2, $1, '$3', 1, now(), ${4:-NULL})"; }
told() { sql -c "SELECT string_agg(concat_ws(' ', send_job_id, channel, event, error_class), ', ' ORDER BY id) FROM otp.events WHERE verification_id = $1"; }
read_all() { sql -c "SELECT string_agg(e.event || ' ' || coalesce(e.send_job_id, 0), ',') FROM otp.read_events('$1', ${2:-100}) e"; }
last() { sql -c "SELECT max(id) FROM otp.events"; }
triggers="SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'record\\_%'"

# Off: nothing is recorded, and no trigger costs anything.
fresh
gives "at first events are off" "f|24:00:00" "SELECT events, make_interval(secs => extract(epoch FROM keep_events)) FROM otp.settings"
gives "and no trigger is there" 0 "$triggers"
v=$(code off 0501234567); message "$v" 11; becomes 11 delivered; unsent "$v" 12 failed
check "nothing is recorded" "" "$(told "$v")"
fails "a reader is told that they are off" OT007 "SET ROLE otp_web; SELECT otp.read_events('web')"
for role in otp_web otp_worker otp_monitor; do fails "$role may not turn them on" 42501 "SET ROLE $role; UPDATE otp.settings SET events = true"; done
check "an operator may" "" "$(sql -c "SET ROLE otp_admin; UPDATE otp.settings SET events = true")"
gives "the triggers are made" 5 "$triggers"
gives "once, however often it is said" 5 "UPDATE otp.settings SET events = true; $triggers"
gives "a change of another setting leaves them" 5 "UPDATE otp.settings SET max_attempts = max_attempts; $triggers"

# What is recorded.
fresh
v=$(code story 0501234567); message "$v" 21; becomes 21 sent; becomes 21 delivered; becomes 21 read
gives "the code is verified" t "SELECT otp.verify('story', '246810')"
check "accepted, delivered once, verified" "21 sms accepted, 21 sms delivered, verified" "$(told "$v")"
gives "a wrong code is no event" "f|3" "SELECT otp.verify('story', '111111'), (SELECT count(*) FROM otp.events)"
v=$(code failures 0501234568); message "$v" 22; becomes 22 undelivered 30003; message "$v" 23 queued call; becomes 23 no-answer; message "$v" 24 failed sms 30005; message "$v" 25; becomes 25 canceled
check "failures have their class, a call that rang is undelivered, canceled is no event" "22 sms accepted, 22 sms undelivered $(sql -c "SELECT class FROM otp.error_classes WHERE code = 30003"), 23 call accepted, 23 call undelivered, 24 sms accepted, 24 sms failed $(sql -c "SELECT class FROM otp.error_classes WHERE code = 30005"), 25 sms accepted" "$(told "$v")"
v=$(code unsent 0501234569); unsent "$v" 26 failed "'permanent'"; unsent "$v" 27 expired "'expired'"; unsent "$v" 28 limited "'limited'"; unsent "$v" 29 canceled; unsent "$v" 30 test
check "jobs that ended without a message" "26 sms failed permanent, 27 sms expired expired, 28 sms failed limited" "$(told "$v")"
v=$(code held 0501234570); j=$(sql -c "INSERT INTO otp.send_jobs (verification_id) VALUES ($v) RETURNING id")
sql -c "UPDATE otp.send_jobs SET hold_kind = 'rate', hold_key = 'Mgask' WHERE id = $j" -c "UPDATE otp.send_jobs SET hold_kind = 'pause', hold_key = 'all' WHERE id = $j" -c "UPDATE otp.send_jobs SET hold_kind = 'pause', hold_key = 'all' WHERE id = $j"
check "a job that a pause holds, once" "$j sms held" "$(told "$v")"
sql -c "BEGIN" -c "INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at) VALUES (31, $v, 'failed', 1, now())" -c "ROLLBACK"
check "what is rolled back is no event" "$j sms held" "$(told "$v")"

# The job that follows is in the event of the failure, which the same transaction writes after it.
fresh
sql -c "INSERT INTO otp.countries (region) VALUES ('US') ON CONFLICT DO NOTHING"
v=$(sql -c "SELECT verification_id FROM otp.request('follows', '+12015550123')"); j=$(sql -c "SELECT id FROM otp.send_jobs"); sql -c "DELETE FROM otp.send_jobs"
message "$v" "$j"; sql -c "UPDATE otp.error_class_defaults SET resend_after = '1 second' WHERE class = (SELECT class FROM otp.error_classes WHERE code = 30003)"
becomes "$j" undelivered 30003
gives "a failure names the job that follows it" t "SELECT e.next_send_job_id = j.id FROM otp.events e, otp.send_jobs j WHERE e.event = 'undelivered' AND j.follows = $j"
sql -c "UPDATE otp.error_class_defaults SET resend_after = NULL WHERE class = (SELECT class FROM otp.error_classes WHERE code = 30003)" -c "DELETE FROM otp.countries WHERE region = 'US'"

# Listeners get the ids of verifications, and nothing else.
fresh; v=$(code heard 0501234571)
check "a notification has the verification's id alone" "Asynchronous notification \"otp_events\" with payload \"$v\" received from server process with PID 0." "$(psql -qXAt -d "$PGDATABASE" -c "LISTEN otp_events" -c "INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at) VALUES (40, $v, 'failed', 1, now())" | sed 's/PID [0-9]*/PID 0/')"
check "many ids are several notifications" "3|1..300|301..600|601..700" "$(psql -qXAt -d "$PGDATABASE" -c "LISTEN otp_events" -c "INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at) SELECT n, n, 'failed', 1, now() FROM generate_series(1, 700) n" | sed -n 's/.*payload "\([0-9]*\) .* \([0-9]*\)" received.*/\1..\2/p' | { mapfile -t lines; IFS='|'; echo "${#lines[@]}|${lines[*]}"; })"

# A reader: the same events until they are confirmed, then the next ones.
fresh; v=$(code reader 0501234572); for n in 51 52 53 54; do unsent "$v" $n failed; done
check "the first two" "failed 51,failed 52" "$(read_all one 2)"
check "the same again" "failed 51,failed 52" "$(read_all one 2)"
first=$(sql -c "SELECT min(id) FROM otp.events")
gives "one is confirmed" t "SELECT otp.confirm_events('one', $first)"
gives "which is so already" f "SELECT otp.confirm_events('one', $first)"
unsent "$v" 55 failed
check "the rest, before what came later" "failed 52,failed 53,failed 54" "$(read_all one)"
gives "are confirmed" t "SELECT otp.confirm_events('one', $first + 3)"
check "then what came later" "failed 55" "$(read_all one)"
gives "an old id confirms nothing of it" f "SELECT otp.confirm_events('one', $first + 2)"
gives "nor does an id that is no event" f "SELECT otp.confirm_events('one', 99999999)"
check "it is still there" "failed 55" "$(read_all one)"
gives "and is confirmed" t "SELECT otp.confirm_events('one', $(last))"
check "then there is nothing" "" "$(read_all one)"
check "another reader has all of them" "failed 51,failed 52,failed 53,failed 54,failed 55" "$(read_all two)"

# A transaction that drew the lower id and commits later. Its event is not skipped, and it holds up nobody else's.
fresh; v=$(code late 0501234573); w=$(code prompt 0501234574)
coproc late { psql -qXAt -d "$PGDATABASE"; }
echo "BEGIN; INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at) VALUES (61, $v, 'failed', 1, now()); SELECT 'written';" >&"${late[1]}"; read -r _ <&"${late[0]}"
unsent "$w" 62 failed
check "what is committed is read at once" "failed 62" "$(read_all one)"
gives "and confirmed" t "SELECT otp.confirm_events('one', $(last))"
check "nothing else is there" "" "$(read_all one)"
unsent "$w" 63 failed
echo "COMMIT; SELECT 'committed';" >&"${late[1]}"; read -r _ <&"${late[0]}"
check "the late one comes with the next, in the order of the ids" "failed 61,failed 63" "$(read_all one)"
gives "both are confirmed" t "SELECT otp.confirm_events('one', $(last))"
check "and gone" "" "$(read_all one)"

# An old transaction reports a later status: never before the acceptance that it has seen.
fresh; v=$(code order 0501234575)
echo "BEGIN; SELECT pg_current_xact_id() IS NOT NULL;" >&"${late[1]}"; read -r _ <&"${late[0]}"
sql -c "BEGIN; INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at) VALUES (70, $v, 'failed', 1, now()); ROLLBACK"
message "$v" 71
echo "UPDATE otp.messages SET status = 'delivered', final_at = now() WHERE send_job_id = 71; COMMIT; SELECT 'committed';" >&"${late[1]}"; read -r _ <&"${late[0]}"
check "the older transaction's event comes second" "accepted 71,delivered 71" "$(read_all one)"
check "in pieces, too" "accepted 71" "$(read_all two 1)"
gives "its writer is the older transaction" t "SELECT (SELECT xid FROM otp.events WHERE event = 'delivered') < (SELECT xid FROM otp.events WHERE event = 'accepted')"

# A transaction reads, confirms, and then writes an event itself.
fresh; v=$(code itself 0501234576); unsent "$v" 81 failed
for isolation in "READ COMMITTED" "REPEATABLE READ"; do
    echo "BEGIN ISOLATION LEVEL $isolation; SELECT pg_current_xact_id() IS NOT NULL;" >&"${late[1]}"; read -r _ <&"${late[0]}"
    sql -c "CREATE TABLE IF NOT EXISTS later (n int)" -c "INSERT INTO later VALUES (1)"      # a transaction that began later has ended
    echo "SELECT string_agg(send_job_id::text, ',') FROM otp.read_events('one'); SELECT otp.confirm_events('one', max(id)) FROM otp.events; SELECT count(*) FROM otp.read_events('one'); INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at) VALUES (82, $v, 'failed', 1, now()); COMMIT; SELECT 'committed';" >&"${late[1]}"
    read -r seen <&"${late[0]}"; read -r confirmed <&"${late[0]}"; read -r empty <&"${late[0]}"; read -r _ <&"${late[0]}"
    check "$isolation: it reads and confirms" "81 t 0" "$seen $confirmed $empty"
    check "$isolation: its own event is not skipped" "failed 82" "$(read_all one)"
    sql -c "TRUNCATE otp.unsent_jobs, otp.events, otp.event_readers"; unsent "$v" 81 failed
done
echo "\\q" >&"${late[1]}"; wait "$late_PID"; sql -c "DROP TABLE later"

# Roles, names and their number.
fresh; v=$(code roles 0501234577); unsent "$v" 91 failed
gives "a backend reads through the function" "failed" "SET ROLE otp_web; SELECT event FROM otp.read_events('web')"
fails "and not the table" 42501 "SET ROLE otp_web; SELECT FROM otp.events"
fails "nor the readers" 42501 "SET ROLE otp_web; DELETE FROM otp.event_readers"
for role in otp_worker otp_monitor otp_admin; do fails "$role reads none" 42501 "SET ROLE $role; SELECT otp.read_events('web')"; done
sql -c "CREATE ROLE other_$$ LOGIN IN ROLE otp_web" -c "CREATE ROLE mine_$$ LOGIN IN ROLE otp_web"
sql -c "SET SESSION AUTHORIZATION mine_$$" -c "SELECT count(*) FROM otp.read_events('mine')" >/dev/null
check "another role cannot read as this reader" "ERROR:  42501" "$(sql -c "SET SESSION AUTHORIZATION other_$$" -c "SELECT otp.read_events('mine')")"
check "nor confirm for it" "ERROR:  42501" "$(sql -c "SET SESSION AUTHORIZATION other_$$" -c "SELECT otp.confirm_events('mine', $(last))")"
sql -c "DROP ROLE other_$$" -c "DROP ROLE mine_$$"
for name in "'Web'" "''" NULL; do says "no reader is called $name" "ERROR: .*" "SELECT otp.read_events($name)"; done
for max in 0 1001 NULL; do fails "no reader takes $max" OT007 "SELECT otp.read_events('web', $max)"; done
sql -c "INSERT INTO otp.event_readers (reader, created_by) SELECT 'r' || n, 'x' FROM generate_series(1, 98) n"
fails "a hundred readers are enough" OT007 "SELECT otp.read_events('one_more')"
gives "an operator removes them" 98 "SET ROLE otp_admin; WITH gone AS (DELETE FROM otp.event_readers WHERE reader LIKE 'r%' RETURNING 1) SELECT count(*) FROM gone"

# Old events are deleted, also if a reader has not read them. That is said.
fresh; v=$(code old 0501234578); unsent "$v" 101 failed; unsent "$v" 102 failed; unsent "$v" 103 failed
check "a reader reads one" "failed 101" "$(read_all slow 1)"; gives "and confirms it" t "SELECT otp.confirm_events('slow', (SELECT min(id) FROM otp.events))"
check "another reads all" "failed 101,failed 102,failed 103" "$(read_all quick)"; gives "and confirms them" t "SELECT otp.confirm_events('quick', $(last))"
sql -c "UPDATE otp.events SET occurred_at = now() - interval '25 hours' WHERE send_job_id < 103"
gives "a monitor sees who lags" "quick 0 f,slow 2 t" "SET ROLE otp_monitor; SELECT string_agg(concat_ws(' ', reader, unread, coalesce(oldest_unread_at < now() - interval '24 hours', false)::text::char), ',' ORDER BY reader) FROM otp.event_status"
sql -c "UPDATE otp.maintenance SET pruned_at = '-infinity'" -c "SELECT otp.prune()" >/dev/null
gives "a prune deletes what is older than a day" "103" "SELECT string_agg(send_job_id::text, ',') FROM otp.events"
gives "and notes the loss of the reader that lags" "quick 0 0,slow 1 1" "SET ROLE otp_monitor; SELECT string_agg(concat_ws(' ', reader, unread, lost), ',' ORDER BY reader) FROM otp.event_status"
check "the reader is told, once" "WARNING:  events that were deleted before the reader 'slow' confirmed them: 1" "$(for n in 1 2; do PGOPTIONS= psql -qXAt -d "$PGDATABASE" -c "SELECT count(*) FROM otp.read_events('slow')" 2>&1 | grep WARNING; done)"
check "and goes on with the next" "failed 103" "$(read_all slow)"
sql -c "UPDATE otp.settings SET keep_events = '1 hour'" -c "UPDATE otp.events SET occurred_at = now() - interval '61 minutes'" -c "UPDATE otp.maintenance SET pruned_at = '-infinity'" -c "SELECT otp.prune()" >/dev/null
gives "the setting says how long" 0 "SELECT count(*) FROM otp.events"
sql -c "UPDATE otp.settings SET keep_events = DEFAULT" -c "UPDATE otp.maintenance SET pruned_at = '-infinity'"

# A dump that is restored on a server with lower transaction numbers.
fresh; v=$(code restored 0501234579); unsent "$v" 111 failed; unsent "$v" 112 failed
check "one is read before the dump" "failed 111" "$(read_all one 1)"; gives "and confirmed" t "SELECT otp.confirm_events('one', (SELECT min(id) FROM otp.events))"
sql -c "UPDATE otp.events SET xid = '90000000000'" -c "UPDATE otp.event_readers SET done = '90000000000:90000000000:', open_window = NULL" -c "INSERT INTO otp.event_readers (reader, created_by) VALUES ('new', current_user)"
unsent "$v" 113 failed
check "after it nothing is skipped" "failed 113" "$(read_all new)"
gives "the foreign rows follow" t "SELECT otp.confirm_events('new', $(last))"
check "once" "failed 111,failed 112" "$(read_all new)"
gives "and are confirmed" t "SELECT otp.confirm_events('new', $(last) - 1)"
check "for good" "" "$(read_all new)"
check "a reader that had read reads again" "failed 111,failed 112,failed 113" "$(read_all one)"
gives "and is through" t "SELECT otp.confirm_events('one', $(last))"
check "as the other" "" "$(read_all one)"

# A person is forgotten here, too; a broken restore is said; and the index finds what is new.
fresh; v=$(code forgetme 0501234580); unsent "$v" 121 failed; w=$(code stays 0501234581); unsent "$w" 122 failed
sql -c "SELECT otp.forget('forgetme')" >/dev/null
check "a forgotten person's events are gone, another's are not" "|122 sms failed" "$(told "$v")|$(told "$w")"
gives "the reader goes on" "failed 122" "SELECT event || ' ' || send_job_id FROM otp.read_events('one')"
sql -c "DROP TRIGGER record_unsent ON otp.unsent_jobs"
gives "a trigger that is missing is found" "UPDATE otp.settings SET events = true" "SET ROLE otp_monitor; SELECT remedy FROM otp.missing_rights()"
gives "and its remedy makes it" 5 "UPDATE otp.settings SET events = true; $triggers"
sql -c "INSERT INTO otp.events (verification_id, event) SELECT 1000000 + n, 'verified' FROM generate_series(1, 20000) n" -c "ANALYZE otp.events"
gives "the last of many" t "SELECT otp.confirm_events('one', 0) IS NOT NULL"
sql -c "UPDATE otp.event_readers SET done = pg_current_snapshot(), open_window = NULL" -c "INSERT INTO otp.events (verification_id, event) VALUES (1000000, 'verified')"
check "a read looks at what is new alone" t "$(sql -c "SET enable_seqscan = off" -c "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT min(e.id + 0) FROM otp.events e, otp.event_readers r WHERE e.xid >= pg_snapshot_xmin(r.done) AND NOT pg_visible_in_snapshot(e.xid, r.done)" | grep -q 'Index.* events_xid' && echo t)"

gives "and is not compiled" t "SELECT proconfig @> '{jit=off}' FROM pg_proc WHERE proname = 'read_events'"

# Off again.
events false
gives "the triggers are gone" 0 "$triggers"
unsent "$w" 123 failed
check "nothing more is recorded" "122 sms failed" "$(told "$w")"
fresh

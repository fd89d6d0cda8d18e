# A person can be forgotten: no row of any table names them afterwards. Limits stay, and show no number. Rows are kept as
# otp.settings says.
forgotten() { sql -c "SET ROLE otp_admin" -c "SELECT string_agg(relation || ' ' || removed, ', ' ORDER BY relation) FROM otp.$1 WHERE removed > 0"; }
# Looks through each column of each table of the schema, whatever its type: as text, and bytes as hexadecimal digits and as text.
sql -c "CREATE OR REPLACE FUNCTION traces(pattern text) RETURNS text LANGUAGE plpgsql AS \$\$
DECLARE c record; n bigint; found text;
BEGIN
    FOR c IN SELECT table_name, column_name, data_type FROM information_schema.columns
        WHERE table_schema = 'otp' AND table_name NOT IN ('regions', 'error_classes', 'schema_migrations') ORDER BY 1, 2
    LOOP
        EXECUTE format('SELECT count(*) FROM otp.%I t WHERE %s ~ \$1', c.table_name,
            CASE c.data_type WHEN 'bytea' THEN format('encode(t.%I, ''escape'')', c.column_name)
                ELSE format('t.%I::text', c.column_name) END) INTO n USING pattern;
        IF n > 0 THEN found := concat_ws(', ', found, c.table_name || '.' || c.column_name); END IF;
    END LOOP;
    RETURN coalesce(found, 'none');
END \$\$"
gives "the search sees every kind of table" "t" "SELECT count(*) > 30 FROM information_schema.columns WHERE table_schema = 'otp'"

# One person with rows in every table, beside another. The subject and the number are found before, and not after.
sql -c "TRUNCATE otp.verified_before"
full() { # subject, phone number as typed, E.164, client address: rows in every table
    sql -c "DELETE FROM otp.send_counts"
    local live
    live=$(sql -c "SELECT verification_id FROM otp.request('$1', '$2', client_ip => '$4', email => '$1@example.com')")
    sql -c "SELECT otp.verify('$1', '000000')" >/dev/null
    sql <<SQL
INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status, follow_up)
    VALUES (otp.job_range(100000 + $live), 'SM' || md5('$1 1'), 100000 + $live, $live, 1, true, now(), 'sent', 'to $3'), (otp.job_range(200000 + $live), 'CA' || md5('$1 2'), 200000 + $live, $live, 1, true, now(), 'completed', NULL);
UPDATE otp.messages SET channel = 'call' WHERE message_sid LIKE 'CA%';
INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at, error) VALUES (300000 + $live, $live, 'failed', 1, now(), 'the number $3 is bad'), (400000 + $live, $live, 'canceled', 1, now(), '$1');
INSERT INTO otp.status_reports (send_job_id, slot, message_sid, attempt) VALUES (100000 + $live, 1, 'SM' || md5('$1 3'), 1);
INSERT INTO otp.step_waits VALUES (100000 + $live, $live, now() + interval '1 minute');
INSERT INTO otp.verified_before (subject, purpose, e164, verified_at) VALUES ('$1', 'login', '$3', now()), ('$1', 'phone_verification', '$3', now());
SQL
}
full forgetme '05 0777 8811' +966507778811 203.0.113.77
full stays '0503339922' +966503339922 203.0.113.78
others="SELECT (SELECT count(*) FROM otp.verifications), (SELECT count(*) FROM otp.send_jobs), (SELECT count(*) FROM otp.messages), (SELECT count(*) FROM otp.unsent_jobs), (SELECT count(*) FROM otp.status_reports), (SELECT count(*) FROM otp.step_waits), (SELECT count(*) FROM otp.verified_before), (SELECT count(*) FROM otp.request_locks)"
gives "the subject is in these tables" t "SELECT traces('forgetme') ~ 'request_locks.subject.*unsent_jobs.error.*verifications.email.*verifications.subject.*verified_before.subject'"
gives "and the number in these" t "SELECT traces('(^|[^0-9])(966)?0?5 ?0 ?777 ?8811|507778811') ~ 'messages.follow_up.*unsent_jobs.error.*verifications.e164.*verifications.phone_number.*verified_before.e164'"
gives "no counter shows a number, a subject or an address" "0|0" "SELECT count(*), (SELECT count(*) FROM otp.verify_failures f WHERE f::text ~ '50777|966') FROM otp.send_counts c WHERE c.key ~ '50777|50333|forgetme|203[.]0|966'"
failures=$(sql -c "SELECT sum(failures) FROM otp.verify_failures"); counted=$(sql -c "SELECT count(*) FROM otp.send_counts")
check "what is removed is said" "messages 2, request_locks 1, send_jobs 1, status_reports 1, step_waits 1, unsent_jobs 2, verifications 1, verified_before 2" "$(forgotten "forget('forgetme')")"
gives "no table names the subject" none "SELECT traces('forgetme')"
gives "or the number, however it is written" none "SELECT traces('50 ?777 ?8811|7778811')"
gives "the address is gone with the verification" none "SELECT traces('203[.]0[.]113[.]77/32|forgetme@')"
gives "the other person's rows are whole" "1|1|2|2|1|1|2|1" "$others"
gives "limits and wrong tries stay, so nobody gets around them" "$failures|$counted" "SELECT (SELECT sum(failures) FROM otp.verify_failures), (SELECT count(*) FROM otp.send_counts)"
gives "nothing is asked of Twilio" 0 "SELECT count(*) FROM otp.pending_redactions"
check "twice does no harm" "" "$(forgotten "forget('forgetme')")"
check "nor does a stranger, or none" "|" "$(forgotten "forget('nobody')")|$(forgotten "forget(NULL)")"
check "by number, in any spelling, with the texts at Twilio" "messages 2, send_jobs 1, status_reports 1, step_waits 1, unsent_jobs 2, verifications 1, verified_before 2" "$(forgotten "forget_phone('٠٥٠٣٣٣٩٩٢٢', redact_at_twilio => true)")"
gives "the number is in no table" none "SELECT traces('503339922')"
gives "the text of the message is to be emptied, and a call has none" "SM$(printf 'stays 1' | md5sum | cut -c1-32)" "SELECT string_agg(message_sid, ',') FROM otp.pending_redactions"
gives "a subject that was not named keeps its lock, for a day" request_locks.subject "SELECT traces('^stays\$')"
fails "a number must be one" OT002 "SELECT otp.forget_phone('none')"
sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER ALL" -c "INSERT INTO otp.verifications (subject, purpose, e164, created_at) VALUES ('old', 'login', '+966529990000', now())" -c "ALTER TABLE otp.verifications ENABLE TRIGGER ALL"
check "or have been one" "verifications 1" "$(forgotten "forget_phone('+966529990000')")"
for role in otp_web otp_worker otp_monitor; do
    fails "$role forgets nobody" 42501 "SET ROLE $role; SELECT otp.forget('x')"
    fails "nor by number" 42501 "SET ROLE $role; SELECT otp.forget_phone('0501234567')"
done
check "only READ COMMITTED shows what ends meanwhile" "ERROR:  OT007" "$(sql -c "BEGIN ISOLATION LEVEL REPEATABLE READ" -c "SELECT otp.forget('x')" | head -1)"
sql -c "DELETE FROM otp.pending_redactions"

# A send under way: its verification ends now, and goes when the send has ended.
clean
v=$(sql -c "SELECT verification_id FROM otp.request('going', '0507778811')")
queued=$(sql -c "SELECT verification_id FROM otp.request('going', '0507778811', purpose => 'phone_verification')")
sql -c "UPDATE otp.send_jobs SET state = 'sending', attempt = 1, worker = 1, lease_expires_at = now() + interval '1 minute' WHERE id = (SELECT min(id) FROM otp.send_jobs)"
check "it is said" "request_locks 1, send_jobs 1, under_way 1" "$(forgotten "forget('going', redact_at_twilio => true)")"
gives "its code is dead, and its other sends are gone" "t|1" "SELECT canceled_at IS NOT NULL, (SELECT count(*) FROM otp.send_jobs) FROM otp.verifications WHERE id = $v"
gives "the worker waits for the send" "0|1|1" "SET ROLE otp_worker; SELECT count(*), (SELECT count(*) FROM otp.pending_forgets), (SELECT count(*) FROM otp.send_jobs) FROM otp.take_redactions(20)"
sql -c "WITH gone AS (DELETE FROM otp.send_jobs RETURNING *) INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status) SELECT otp.job_range(id), 'SM' || md5('going'), id, verification_id, 1, true, requested_at, 'queued' FROM gone"
gives "then it forgets, and takes the message" "SM$(printf going | md5sum | cut -c1-32)|f" "SET ROLE otp_worker; SELECT * FROM otp.take_redactions(20)"
gives "nothing is left" "none|0|0" "SELECT traces('going|7778811'), (SELECT count(*) FROM otp.pending_forgets), (SELECT count(*) FROM otp.messages)"
gives "it is due again in a minute" "0|t" "SELECT (SELECT count(*) FROM otp.take_redactions(20)), due_at BETWEEN now() + interval '50 seconds' AND now() + interval '61 seconds' FROM otp.pending_redactions"
for try in $(seq 11); do sql -c "UPDATE otp.pending_redactions SET due_at = now()" -c "SELECT is_last_try FROM otp.take_redactions(20)"; done >"$work/tries"
check "twelve tries, the last of which is known" "f f f f f f f f f f t" "$(paste -sd' ' "$work/tries")"
gives "then it stays for the operator" "12|t|0" "SELECT tries, due_at IS NULL, (SELECT count(*) FROM otp.take_redactions(20)) FROM otp.pending_redactions"
sql -c "DELETE FROM otp.pending_redactions"

# A request at the same moment waits, and then finds its verification gone.
clean
v=$(sql -c "SELECT verification_id FROM otp.request('race', '0507778811')")
mkfifo "$work/forget"
(psql -qXAt -d "$PGDATABASE" -c BEGIN -c "SELECT count(*) FROM otp.forget('race')" -c "\\! cat $work/forget >/dev/null" -c COMMIT >/dev/null) &
until [ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()")" = 1 ]; do :; done
(patient -c "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)" >"$work/race") &
until [ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")" = 1 ]; do :; done
echo go >"$work/forget"; wait
check "a further send waits for the end, and is refused" "ERROR:  OT006" "$(head -1 "$work/race")"

# A person with a hundred thousand verifications is forgotten in one call. Every table is read by its indexes.
clean
sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER ALL" -c "INSERT INTO otp.verifications (subject, purpose, e164, created_at) SELECT CASE WHEN n % 2 = 0 THEN 'many' ELSE 'other' || n END, 'login', '+966507778811', now() FROM generate_series(1, 200000) n" -c "ALTER TABLE otp.verifications ENABLE TRIGGER ALL"
sql -c "ALTER TABLE otp.messages DISABLE TRIGGER USER" -c "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status) SELECT otp.job_range(1000000 + v.id), 'SM' || md5(v.id::text), 1000000 + v.id, v.id, 1, true, now(), 'sent' FROM otp.verifications v" -c "ALTER TABLE otp.messages ENABLE TRIGGER USER" -c "ANALYZE otp.verifications, otp.messages"
sql -c "SET ROLE otp_admin" -c "EXPLAIN (ANALYZE, COSTS OFF) SELECT 1" >/dev/null; began=$(date +%s%N); check "a hundred thousand" "messages 100000, verifications 100000" "$(forgotten "forget('many')")"
echo "TIMING $(( ($(date +%s%N) - began) / 1000000 )) ms"; gives "of the other subjects none" "100000|100000" "SELECT count(*), (SELECT count(*) FROM otp.messages) FROM otp.verifications"
reads="SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE schemaname = 'otp' AND relname IN ('verifications', 'messages', 'unsent_jobs', 'send_jobs')"
sql -c "SELECT pg_stat_force_next_flush()" >/dev/null 2>&1
first=$(sql -c "$reads"); sql -c "SELECT count(*) FROM otp.forget('other1')" -c "SELECT pg_stat_force_next_flush()" >/dev/null
check "one of very many reads no whole table" "$first" "$(sql -c "$reads")"
clean; sql -c "VACUUM otp.verifications, otp.messages"

# How long rows are kept is a setting of each kind.
fails "a day at least" 23514 "UPDATE otp.settings SET keep_messages = '1 hour'"
fails "verified phones at least as long as verifications" 23514 "UPDATE otp.settings SET keep_verified_phones = '1 day'"
sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER ALL" -c "INSERT INTO otp.verifications (subject, purpose, e164, created_at, verified_at) SELECT 'kept ' || n, 'login', '+966507778811', now() - n * interval '1 day', now() - n * interval '1 day' FROM generate_series(1, 12) n" -c "ALTER TABLE otp.verifications ENABLE TRIGGER ALL"
sql -c "ALTER TABLE otp.messages DISABLE TRIGGER USER" -c "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, accepted_at, status, next_poll_at) SELECT otp.job_range(n), 'SM' || n, n, n, 1, true, now(), now() - n * interval '1 day', 'sent', CASE WHEN n = 12 THEN now() END FROM generate_series(1, 12) n" -c "ALTER TABLE otp.messages ENABLE TRIGGER USER"
sql -c "ALTER TABLE otp.unsent_jobs DISABLE TRIGGER USER" -c "INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at, ended_at) SELECT n, n, 'failed', 1, now(), now() - n * interval '1 day' FROM generate_series(1, 12) n" -c "ALTER TABLE otp.unsent_jobs ENABLE TRIGGER USER"
kept() { sql -c "SELECT more FROM otp.prune(every => '-1 second')" >/dev/null; sql -c "SELECT (SELECT count(*) FROM otp.verifications), (SELECT count(*) FROM otp.messages), (SELECT count(*) FROM otp.unsent_jobs), (SELECT count(*) FROM otp.verified_before)"; }
check "by default all of that stays" "12|12|12|0" "$(kept)"
sql -c "UPDATE otp.settings SET keep_unsent_jobs = '2 days 12 hours'"
check "jobs that ended unsent" "12|12|2|0" "$(kept)"
sql -c "UPDATE otp.settings SET keep_messages = '4 days 12 hours'"
check "messages, but not one that Twilio is still asked about" "12|5|2|0" "$(kept)"
sql -c "UPDATE otp.settings SET keep_verifications = '6 days 12 hours'"
check "verifications, whose phones stay verified" "6|5|2|6" "$(kept)"
sql -c "UPDATE otp.settings SET keep_verified_phones = '8 days 12 hours'"
check "and verified phones" "6|5|2|2" "$(kept)"
sql -c "UPDATE otp.settings SET keep_verifications = '3 days 12 hours', keep_verified_phones = '4 days 12 hours'"
check "one that is too old already is not kept anew" "3|5|2|1" "$(kept)"
sql -c "UPDATE otp.settings SET keep_verifications = '90 days', keep_messages = '90 days', keep_unsent_jobs = '90 days', keep_verified_phones = NULL"
clean; sql -c "TRUNCATE otp.verified_before" -c "DROP FUNCTION traces"

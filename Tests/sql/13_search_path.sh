# The caller puts a schema in front of the path. It has objects with all the names that our functions use: functions,
# operators, types, tables and temporary tables. No SECURITY DEFINER function may use any of them.
sql -c "CREATE ROLE attacker_$$ LOGIN IN ROLE otp_web, otp_worker, otp_admin" -c "GRANT TEMPORARY ON DATABASE $PGDATABASE TO attacker_$$" -c "GRANT EXECUTE ON FUNCTION otp.send_sms_hook TO attacker_$$" -c "CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC"
sql >/dev/null <<'SQL'
DO $$
DECLARE
    ours CONSTANT text := (SELECT string_agg(pg_get_functiondef(oid), E'\n') FROM pg_proc WHERE pronamespace = 'otp'::regnamespace AND prokind = 'f');
    thing record;
    made int := 0;
BEGIN
    FOR thing IN
        SELECT format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION USING ERRCODE = ''EVIL1'', MESSAGE = ''evil''; END $f$',
            p.proname, oidvectortypes(p.proargtypes), format_type(p.prorettype, NULL)) AS ddl
        FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind IN ('f', 'a') AND NOT p.proretset
            AND ours ~ ('\m' || regexp_replace(p.proname, '(\W)', '\\\1', 'g') || '\M')
        UNION ALL
        SELECT format('CREATE FUNCTION evil.operator_%1$s(%2$s) RETURNS %3$s LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION USING ERRCODE = ''EVIL1'', MESSAGE = ''evil''; END $f$; CREATE OPERATOR evil.%4$s (FUNCTION = evil.operator_%1$s, %5$s)',
            o.oid, concat_ws(', ', nullif(o.oprleft, 0)::regtype, o.oprright::regtype), o.oprresult::regtype, o.oprname,
            concat_ws(', ', 'LEFTARG = ' || nullif(o.oprleft, 0)::regtype, 'RIGHTARG = ' || o.oprright::regtype))
        FROM pg_operator o WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprcode <> 0 AND strpos(ours, o.oprname) > 0
        UNION ALL
        SELECT format('CREATE DOMAIN evil.%I AS pg_catalog.%1$I CHECK (false)', t.typname)
        FROM pg_type t WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype = 'b' AND t.typname !~ '^_' AND ours ~ ('\m' || t.typname || '\M')
        UNION ALL
        SELECT format('CREATE TABLE evil.%I (LIKE otp.%1$I)', c.relname)
        FROM pg_class c WHERE c.relnamespace = 'otp'::regnamespace AND c.relkind IN ('r', 'v')
        UNION ALL
        SELECT format('CREATE TABLE evil.%I (LIKE pg_catalog.%1$I)', c.relname)
        FROM pg_class c WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind IN ('r', 'v') AND ours ~ ('\m' || c.relname || '\M')
        UNION ALL    -- and ours by their own names
        SELECT format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION USING ERRCODE = ''EVIL1'', MESSAGE = ''evil''; END $f$',
            p.proname, oidvectortypes(p.proargtypes), format_type(p.prorettype, NULL))
        FROM pg_proc p WHERE p.pronamespace = 'otp'::regnamespace AND NOT p.proretset
        UNION ALL
        SELECT format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION USING ERRCODE = ''EVIL1'', MESSAGE = ''evil''; END $f$',
            p.proname, oidvectortypes(p.proargtypes), format_type(p.prorettype, NULL))
        FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pgcrypto' WHERE NOT p.proretset
    LOOP
        BEGIN
            EXECUTE thing.ddl;
            made := made + 1;
        EXCEPTION WHEN OTHERS THEN NULL;    -- such as one with a pseudo-type, which nobody can make
        END;
    END LOOP;
    CREATE TABLE evil.made AS SELECT made AS count;
END $$;
SQL
gives "the attack has hundreds of things" t "SELECT count > 800 FROM evil.made"
# The same calls in a normal session, and then in the attacker's.
temporary=$(sql -c "SELECT string_agg(format('CREATE TEMP TABLE %I (LIKE %s); GRANT ALL ON pg_temp.%1\$I TO PUBLIC', c.relname, c.oid::regclass), '; ') FROM pg_class c WHERE c.relkind IN ('r', 'v') AND (c.relnamespace = 'otp'::regnamespace OR c.oid IN ('pg_roles'::regclass, 'pg_proc'::regclass))")
sql -c "INSERT INTO otp.verifications (subject, phone_number, code, expires_at) VALUES ('prey', '0501234567', '123456', now() + interval '10 minutes'), ('other', '0501234568', '123456', now() + interval '10 minutes')" -c "INSERT INTO otp.send_jobs (verification_id) SELECT id FROM otp.verifications"
prey=$(sql -c "SELECT id FROM otp.verifications WHERE subject = 'prey'")
job=$(sql -c "SELECT min(id) FROM otp.send_jobs")
declare -A calls=(
    [to_e164]="SELECT otp.to_e164('٠٥٠-123 4567', 'SA')"
    [verifications_before_insert]="INSERT INTO otp.verifications (subject, phone_number, locale, code, client_ip, expires_at) VALUES ('prey', '0501234569', 'ar-SA', '000111', '2001:db8::1', pg_catalog.now() OPERATOR(pg_catalog.+) '2 minutes')"
    [send_jobs_before_insert]="INSERT INTO otp.send_jobs (verification_id) VALUES ($prey)"
    [wake_workers]="INSERT INTO otp.send_jobs (verification_id) VALUES ($prey)"
    [within_limits]="SELECT otp.within_limits(ARRAY[$job], ARRAY[1])"
    [record_status]="SELECT otp.record_status('SM00000000000000000000000000000009', 'sent', 30003, '$job.1')"
    [verify]="SELECT otp.verify('prey', '١٢٣ 456', 'phone_verification', '+966501234567')"
    [unlock]="SELECT otp.unlock('0501234567')"
    [cancel]="SELECT otp.cancel($prey, 'prey')"
    [request]="SELECT (otp.request('prey', '0501234569', 'ar', 'phone_verification', 'SA', '2 minutes', '192.0.2.1')).resend_after IS NOT NULL"
    [delivery]="SELECT (otp.delivery($prey, 'prey')).job_state"
    [verified_phones]="SELECT otp.verified_phones('prey')"
    [delivery_failed]="UPDATE otp.messages SET status = 'undelivered', final_at = accepted_at RETURNING status"
    [retry_job]="SELECT otp.retry_job($((job + 1)))"
    [cancel_job]="SELECT otp.cancel_job($job)"
    [release_held]="DELETE FROM otp.pauses RETURNING name"
    [release_deferred]="DELETE FROM otp.sender_rates WHERE sender OPERATOR(pg_catalog.=) 'prey' RETURNING sender"
    [tally_today]="UPDATE otp.settings SET daily_budget = 1 RETURNING daily_budget"
    [verifications_of_phone]="SELECT otp.verifications_of_phone('0501234567')"
    [record_history]="SELECT otp.record_history(pg_catalog.date_bin('1 minute', pg_catalog.now(), 'epoch') OPERATOR(pg_catalog.+) interval '65 seconds')"
    [send_sms_hook]="SELECT otp.send_sms_hook('{\"user\": {\"id\": \"hook\", \"phone\": \"966501234579\"}, \"sms\": {\"otp\": \"561166\"}}')"
    [add_test_number]="SELECT otp.add_test_number('+15555550100', '482913', pg_catalog.now() OPERATOR(pg_catalog.+) interval '30 days')"
    [remove_test_number]="SELECT otp.remove_test_number('+15555550101')"
    [end_test_send]="INSERT INTO otp.send_jobs (verification_id) VALUES ($prey) RETURNING verification_id"
    [forget]="SELECT otp.forget('nobody')"
    [forget_phone]="SELECT otp.forget_phone('0509999999')"
    [take_redactions]="SELECT otp.take_redactions(5)"
    [record_risk_checks]="SELECT otp.record_risk_checks(ARRAY[$prey], '{passed}', '{1}')"
    [judge_sends]="SELECT otp.judge_sends(ARRAY[($job, '+966501234567', 'SA', '203.0.113.9', 'sms', pg_catalog.now())::otp.claimed_send])"
    [review_fraud]="SELECT otp.review_fraud()"
    [end_hold]="SELECT otp.end_hold('country', 'SA')"
    [usual_limits]="SELECT otp.usual_limits(NULL)"
    [sequences_behind]="SELECT otp.sequences_behind()"
    [advance_sequences]="SELECT otp.advance_sequences()"
    [prune]="SELECT otp.prune(10, '-1 second')"
    [country_before_write]="UPDATE otp.countries SET region = 'SA' RETURNING region"
    [pause_before_write]="INSERT INTO otp.pauses (scope, key, reason) VALUES ('country', 'AE', 'x') RETURNING name"
    [settings_before_write]="UPDATE otp.settings SET timezone = 'UTC' RETURNING timezone"
    [switch_events]="UPDATE otp.settings SET events = true RETURNING events"
    [record_accepted]="INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status, error_code) VALUES ('SM9', 901, $prey, 1, true, pg_catalog.now(), 'failed', 30003) RETURNING status"
    [record_unsent]="INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at) VALUES (901, $prey, 'failed', 1, pg_catalog.now()) RETURNING state"
    [record_event]="UPDATE otp.messages SET status = 'undelivered', final_at = accepted_at WHERE error_code OPERATOR(pg_catalog.=) 30003 RETURNING status"
    [read_events]="SELECT event FROM otp.read_events('reader')"
    [confirm_events]="SELECT otp.confirm_events('reader', (SELECT pg_catalog.max(id) FROM otp.read_events('reader')))"
    [channels_used]="SELECT otp.channels_used($prey, 'prey')"
    [begin_steps]="SELECT (otp.begin_steps()).begun"
    [step_failed]="INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at, step) VALUES (900, $prey, 'failed', 1, pg_catalog.now(), 1) RETURNING state"
)
gives "every SECURITY DEFINER function is called" "$(printf '%s\n' "${!calls[@]}" | LC_ALL=C sort | paste -sd,)" "SELECT string_agg(proname, ',' ORDER BY proname COLLATE \"C\") FROM pg_proc WHERE pronamespace = 'otp'::regnamespace AND prosecdef"
# The jobs that have been claimed by then.
declare -A before=([review_fraud]="TRUNCATE otp.uncounted_codes" [end_hold]="INSERT INTO otp.fraud_holds VALUES ('country', 'SA', now(), now(), true, now(), 0) ON CONFLICT (scope, key) DO UPDATE SET ends_now = false"
    [take_redactions]="DELETE FROM otp.pending_redactions; INSERT INTO otp.pending_redactions (message_sid) VALUES ('SM1') ON CONFLICT DO NOTHING; INSERT INTO otp.pending_forgets VALUES (0, true) ON CONFLICT DO NOTHING" [end_test_send]="UPDATE otp.verifications SET is_test = true WHERE id = $prey" [advance_sequences]="SELECT setval('otp.send_jobs_id_seq', 5)" [within_limits]="UPDATE otp.send_jobs SET state = 'sending' WHERE id = $job"
    [record_accepted]="UPDATE otp.settings SET events = true" [record_unsent]="UPDATE otp.settings SET events = true" [record_event]="UPDATE otp.settings SET events = true"
    [read_events]="TRUNCATE otp.events, otp.event_readers; INSERT INTO otp.events (verification_id, event) VALUES ($prey, 'verified')"
    [confirm_events]="TRUNCATE otp.events, otp.event_readers; INSERT INTO otp.events (verification_id, event) VALUES ($prey, 'verified')"
    [begin_steps]="INSERT INTO otp.step_waits VALUES ($job, $prey, now() - interval '1 second') ON CONFLICT DO NOTHING"
    [pause_before_write]="DELETE FROM otp.pauses WHERE scope = 'country'" [settings_before_write]="UPDATE otp.settings SET timezone = 'Asia/Riyadh'")
attack() {  # function, search_path
    sql -c "$temporary" -c "${before[$1]:-SELECT}" -c "SET SESSION AUTHORIZATION attacker_$$" -c "BEGIN" -c "SET LOCAL search_path = $2" -c "${calls[$1]}" -c "COMMIT"; }
undo() { sql -c "TRUNCATE otp.fraud_holds, otp.history, otp.history_quarters, otp.wake_ups, otp.verify_failures, otp.request_locks, otp.send_counts, otp.messages, otp.unsent_jobs" -c "DELETE FROM otp.verifications WHERE id > $prey + 1" -c "DELETE FROM otp.send_jobs WHERE id > $job + 1" \
    -c "UPDATE otp.verifications SET attempts = 0, verified_at = NULL, canceled_at = NULL, is_test = NULL, created_by = 'attacker_$$'::regrole" -c "INSERT INTO otp.verify_failures SELECT otp.counter_key('phone', '+966501234567'), (now() AT TIME ZONE timezone)::date, 1 FROM otp.settings" -c "SET session_replication_role = replica" -c "UPDATE otp.verifications SET expires_at = now() + interval '4 minutes'" -c "INSERT INTO otp.send_jobs (id, verification_id, channel, state, attempt, worker, expires_at) OVERRIDING SYSTEM VALUE SELECT $job, $prey, 'sms', 'queued', 1, 1, now() + interval '4 minutes' ON CONFLICT (id) DO UPDATE SET attempt = 1, state = 'queued', expires_at = excluded.expires_at" \
    -c "INSERT INTO otp.pauses (scope, reason) VALUES ('all', 'x') ON CONFLICT DO NOTHING" -c "INSERT INTO otp.sender_rates VALUES ('prey', 1) ON CONFLICT DO NOTHING" -c "UPDATE otp.settings SET daily_budget = NULL, events = false" -c "UPDATE otp.send_jobs SET hold_kind = 'pause', hold_key = 'all' WHERE id = $job" \
    -c "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status, error_code) SELECT otp.job_range($job + code), 'SM' || code, $job + code, $prey, 1, true, now(), 'sent', code FROM (VALUES (30003), (30450)) failures (code)"; }
sql -c "UPDATE otp.countries SET receipts_reliable = true"
for function in "${!calls[@]}"; do
    undo; sane=$(attack "$function" "pg_catalog, pg_temp")
    check "otp.$function works" "" "$(grep ERROR <<<"$sane")"
    for path in "evil, pg_temp, pg_catalog, otp" "pg_temp, evil, otp, public, pg_catalog"; do
        undo; check "otp.$function under $path" "$sane" "$(attack "$function" "$path")"
    done
    # The attack works in principle: without a path of its own, each function that resolves names at run time uses these objects.
    if [ "$(sql -c "SELECT prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql') FROM pg_proc WHERE pronamespace = 'otp'::regnamespace AND prosecdef AND proname = '$function'")" = t ]; then
        undo; signature=$(sql -c "SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'otp'::regnamespace AND prosecdef AND proname = '$function'")
        sql -c "ALTER FUNCTION $signature RESET search_path"
        check "without a path of its own otp.$function would fall" "ERROR" "$(attack "$function" "evil, pg_temp, pg_catalog, otp" | grep -o ERROR | head -1)"
        sql -c "ALTER FUNCTION $signature SET search_path = pg_catalog, pg_temp"
    fi
done
gives "the paths are back" "t" "SELECT bool_and(proconfig::text LIKE '%search_path=pg_catalog, pg_temp%') FROM pg_proc WHERE pronamespace = 'otp'::regnamespace AND prosecdef"
sql -c "DELETE FROM otp.pauses" -c "UPDATE otp.countries SET receipts_reliable = region <> 'SA'" -c "DELETE FROM otp.sender_rates WHERE sender = 'prey'" -c "UPDATE otp.settings SET daily_budget = NULL, timezone = DEFAULT, events = false" -c "TRUNCATE otp.events, otp.event_readers"
sql -c "SET client_min_messages = error" -c "DROP SCHEMA evil CASCADE" -c "DROP OWNED BY attacker_$$" -c "DROP ROLE attacker_$$"

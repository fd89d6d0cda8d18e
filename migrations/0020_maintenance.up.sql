-- Maintenance: deletes old rows, moves sequences that are behind their tables forward, and recovers from a database that went back
-- in time.

-- A role or a database may carry settings of its own (ALTER ROLE, ALTER DATABASE). Each file sets those that it relies on.
SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL standard_conforming_strings = on;
SET LOCAL transform_null_equals = off;
SET LOCAL default_table_access_method = 'heap';
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;
SET LOCAL search_path = pg_catalog;

-- When the last prune ended. The row's lock lets one prune run at a time.
CREATE TABLE otp.maintenance (
    only_row boolean PRIMARY KEY DEFAULT true
        CONSTRAINT "otp.maintenance has one row" CHECK (only_row),
    pruned_at timestamptz NOT NULL DEFAULT '-infinity',
    codes_counted_until timestamptz NOT NULL DEFAULT clock_timestamp()  -- for otp.count_codes
);
INSERT INTO otp.maintenance DEFAULT VALUES;

-- Deletes at most `batch` rows of each kind that are older than otp.settings keeps them (keep_…). It never waits for a lock. One
-- caller at a time has the turn, and only when `every` has passed since the last prune that found nothing left to delete.
-- Counters do not depend on the settings: they are deleted when no limit needs them any longer, so a prune never allows an
-- additional send or try. A message stays while its next poll is set: its status, price or text at Twilio is still open.
CREATE FUNCTION otp.prune(
    batch int DEFAULT 1000, every interval DEFAULT '1 hour',
    OUT had_turn boolean, OUT more boolean, OUT verifications bigint, OUT messages bigint, OUT unsent_jobs bigint,
    OUT verified_phones bigint, OUT counters bigint, OUT failures bigint, OUT workers bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    keep otp.settings;
    today CONSTANT date := (moment AT TIME ZONE (SELECT s.timezone FROM otp.settings s))::date;
    -- How long a counter can matter to the limits of today.
    longest CONSTANT interval := greatest(
        interval '2 days', (SELECT max(l.period) FROM otp.limits l) + interval '1 day');
    counted bigint;
BEGIN
    IF batch BETWEEN 1 AND 100000 IS NOT TRUE OR every IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007',
            MESSAGE = 'invalid argument of otp.prune: batch must be 1 to 100000, every not null',
            HINT = 'Without arguments, otp.prune() deletes 1000 rows of each kind at a time.';
    END IF;
    had_turn := false;
    more := false;
    PERFORM FROM otp.maintenance m WHERE m.pruned_at <= moment - every FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    had_turn := true;
    SELECT s.* INTO keep FROM otp.settings s;

    WITH old AS (
        SELECT v.id FROM otp.verifications v
        WHERE v.created_at < moment - keep.keep_verifications AND NOT EXISTS (
            SELECT FROM otp.send_jobs j WHERE j.verification_id = v.id)
        ORDER BY v.created_at LIMIT batch FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM otp.verifications v USING old WHERE v.id = old.id
        RETURNING v.subject, v.purpose, v.e164, v.is_test,
            CASE WHEN 'email' = ANY (v.other_channels) THEN NULL ELSE v.verified_at END AS verified_at
    ), kept AS (
        INSERT INTO otp.verified_before AS b (subject, purpose, e164, verified_at, is_test)
        SELECT g.subject, g.purpose, g.e164, max(g.verified_at), nullif(bool_and(coalesce(g.is_test, false)), false) FROM gone g
        WHERE g.verified_at IS NOT NULL AND (g.verified_at < moment - keep.keep_verified_phones) IS NOT TRUE
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (subject, purpose, e164) DO UPDATE
        SET verified_at = greatest(b.verified_at, excluded.verified_at), is_test = nullif(b.is_test AND excluded.is_test, false)
    )
    SELECT count(*) INTO verifications FROM gone;

    DELETE FROM otp.messages m WHERE m.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.messages o
        WHERE o.accepted_at < moment - keep.keep_messages AND o.next_poll_at IS NULL
        ORDER BY o.accepted_at LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS messages = ROW_COUNT;

    DELETE FROM otp.unsent_jobs u WHERE (u.send_job_id, u.requested_at) IN (
        SELECT o.send_job_id, o.requested_at FROM otp.unsent_jobs o WHERE o.ended_at < moment - keep.keep_unsent_jobs
        ORDER BY o.ended_at LIMIT batch FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS unsent_jobs = ROW_COUNT;

    DELETE FROM otp.verified_before b WHERE b.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.verified_before o WHERE o.verified_at < moment - keep.keep_verified_phones
        ORDER BY o.verified_at LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS verified_phones = ROW_COUNT;

    DELETE FROM otp.send_counts c WHERE c.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.send_counts o WHERE o.sent_at[cardinality(o.sent_at)] < moment - longest
        LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS counters = ROW_COUNT;
    more := counters >= batch;
    DELETE FROM otp.shared_counts c WHERE c.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.shared_counts o WHERE o.starts_at < moment - longest LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS counted = ROW_COUNT;
    counters := counters + counted;
    more := more OR counted >= batch;
    DELETE FROM otp.request_locks r WHERE r.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.request_locks o WHERE o.requested_at < moment - interval '1 day'
        LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS counted = ROW_COUNT;
    counters := counters + counted;
    more := more OR counted >= batch;
    DELETE FROM otp.status_reports r WHERE r.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.status_reports o WHERE o.reported_at < moment - interval '2 days'
        LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS counted = ROW_COUNT;
    counters := counters + counted;
    more := more OR counted >= batch;
    DELETE FROM otp.outcome_counts c WHERE c.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.outcome_counts o WHERE o.starts_at < moment - interval '2 hours'
        LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS counted = ROW_COUNT;
    counters := counters + counted;
    more := more OR counted >= batch;

    counted := otp.prune_events(batch, moment);
    more := more OR counted >= batch;

    counted := otp.prune_fraud(batch, moment);
    counters := counters + counted;
    more := more OR counted >= batch;

    DELETE FROM otp.verify_failures f WHERE f.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.verify_failures o WHERE o.day < today - 1 LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS failures = ROW_COUNT;
    DELETE FROM otp.spend_tally t WHERE t.day < today - 1;
    DELETE FROM otp.wake_ups w WHERE w.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.wake_ups o WHERE o.woken_at < moment - interval '1 minute' LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS counted = ROW_COUNT;
    more := more OR counted >= batch;

    DELETE FROM otp.step_waits w WHERE w.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.step_waits o WHERE o.due_at < moment - interval '1 hour' LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS counted = ROW_COUNT;
    more := more OR counted >= batch;

    -- Workers end these rows themselves within a day, unless the setting is off or no worker sends through Twilio.
    DELETE FROM otp.feedback_due f WHERE f.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.feedback_due o WHERE o.verified_at < moment - interval '2 days' LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS counted = ROW_COUNT;
    more := more OR counted >= batch;

    DELETE FROM otp.worker_status w
    WHERE w.heartbeat_at < moment - CASE w.state WHEN 'stopped' THEN interval '1 day' ELSE interval '3 days' END;
    GET DIAGNOSTICS workers = ROW_COUNT;

    more := more OR verifications >= batch OR messages >= batch OR unsent_jobs >= batch
        OR verified_phones >= batch OR failures >= batch;
    -- Once an hour is enough, because each call reads the sums of all days.
    IF NOT more THEN
        PERFORM otp.fold_days(today);
        PERFORM otp.fold_codes(today);
        UPDATE otp.maintenance m SET pruned_at = moment;
    END IF;
END $$;
COMMENT ON FUNCTION otp.prune IS 'Deletes rows that are older than otp.settings keeps them, in batches. Call it again while it returns more = true. Any number of workers may call it.';

-- A data-only restore or a logical subscription copies rows and not the sequences, so the next numbers of a sequence may be in
-- use. Returns one row per sequence that is behind the highest number in use. An index finds each highest number.
CREATE FUNCTION otp.sequences_behind(OUT sequence text, OUT last_number bigint, OUT used_number bigint, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
    RETURN QUERY
    SELECT s.name, coalesce(pg_sequence_last_value(s.name::regclass), 0), s.used,
        format('SELECT setval(%L, %s);', s.name, s.used)
    FROM (
        SELECT 'otp.verifications_id_seq', greatest((SELECT max(v.id) FROM otp.verifications v),
            (SELECT max(m.verification_id) FROM otp.messages m), (SELECT max(u.verification_id) FROM otp.unsent_jobs u))
        UNION ALL SELECT 'otp.send_jobs_id_seq', greatest((SELECT max(j.id) FROM otp.send_jobs j),
            (SELECT max(m.send_job_id) FROM otp.messages m WHERE m.is_primary),
            (SELECT max(m.send_job_id) FROM otp.messages m WHERE NOT m.is_primary),
            (SELECT max(u.send_job_id) FROM otp.unsent_jobs u))
        UNION ALL SELECT 'otp.events_id_seq', (SELECT max(e.id) FROM otp.events e)
        UNION ALL SELECT 'otp.worker_ids', greatest((SELECT max(w.worker_id) FROM otp.worker_status w),
            (SELECT max(j.worker) FROM otp.send_jobs j WHERE j.state <> 'queued'))
    ) s (name, used)
    WHERE s.used > coalesce(pg_sequence_last_value(s.name::regclass), 0);
END $$;
COMMENT ON FUNCTION otp.sequences_behind IS 'Sequences whose next number is in use, with the statement that corrects each. No rows: all are correct.';

-- Moves such sequences forward, and never back. Workers call it when they connect, so that each number is given out once.
CREATE FUNCTION otp.advance_sequences(OUT sequence text, OUT last_number bigint, OUT used_number bigint)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM otp.sequences_behind()) THEN
        RETURN;
    END IF;
    -- One caller at a time. A second caller sees the moved sequences and moves nothing back.
    LOCK TABLE otp.maintenance IN SHARE UPDATE EXCLUSIVE MODE;
    FOR sequence, last_number, used_number IN SELECT b.sequence, b.last_number, b.used_number FROM otp.sequences_behind() b LOOP
        PERFORM setval(sequence::regclass, used_number);
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION otp.advance_sequences IS 'For workers: moves sequences that are behind to the highest number in use, and returns them.';

-- For the schema's owner, after the database went back in time: a restored backup, a point-in-time recovery, or a failover to a
-- standby that missed commits. The forgotten time is the time from then until now. In it, workers may have sent each job that is
-- live here, users may have used each code that is live here, and ids beyond the sequences may have been given out. So this
-- function
-- - ends each live job as failed ("outcome unknown"), so that no worker sends it again. A receipt of it still counts, also of
--   the attempt that followed the last one that the database knows;
-- - cancels each live code, so that a used code cannot be used again, and no route goes on with it;
-- - skips ids of all sequences, so that no new job takes the receipt of a forgotten one.
--
-- It has no grant. Only the owner and superusers may call it, so it runs with the rights of its caller.
CREATE FUNCTION otp.recover(
    forgotten_after timestamptz DEFAULT NULL,
    OUT went_back_to timestamptz, OUT jobs_ended bigint, OUT codes_canceled bigint, OUT ids_skipped bigint,
    OUT next_send_job_id bigint, OUT next_verification_id bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moment timestamptz;
    known timestamptz;
    users text;
BEGIN
    -- Superusers and the owner have the workers' rights too, and are no workers.
    SELECT string_agg(DISTINCT quote_ident(a.usename), ', ') INTO users
    FROM pg_stat_activity a
    WHERE a.datname = current_database() AND a.usename <> session_user AND pg_has_role(a.usesysid, 'otp_worker', 'USAGE')
        AND NOT pg_has_role(a.usesysid, (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'otp'), 'USAGE');
    IF users IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_in_use', MESSAGE = 'workers are connected to the database',
            DETAIL = format('Their login roles: %s.', users),
            HINT = 'Stop otpd on all hosts, and call otp.recover again. It does nothing while workers may send.';
    END IF;
    -- Inserts that have drawn an id end first, and the next ones draw theirs afterwards.
    LOCK TABLE otp.verifications, otp.send_jobs IN SHARE ROW EXCLUSIVE MODE;
    moment := clock_timestamp();
    -- Only workers write these, so they were written before the database went back, or by a worker that has started too early.
    SELECT greatest((SELECT max(w.heartbeat_at) FROM otp.worker_status w), (SELECT max(m.accepted_at) FROM otp.messages m)) INTO known;
    IF forgotten_after > moment THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'invalid argument of otp.recover: forgotten_after is in the future',
            HINT = 'Give the moment to which the database went back, or leave it out.';
    ELSIF forgotten_after < known THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007',
            MESSAGE = 'invalid argument of otp.recover: the database has not forgotten what happened after forgotten_after',
            DETAIL = format('A worker wrote to it at %s, which is later than %s.', known, forgotten_after),
            HINT = 'Leave forgotten_after out, or give a later moment. If otpd has run since the database went back, it may have '
                'sent codes twice: otp.failure_summary counts them.';
    END IF;
    -- Without any trace of a worker, the last code is as good.
    went_back_to := coalesce(forgotten_after, known, (SELECT max(v.created_at) FROM otp.verifications v), moment);

    -- Before the jobs end, so that no step of a route follows them.
    UPDATE otp.verifications v SET canceled_at = moment
    WHERE v.expires_at > moment AND v.verified_at IS NULL AND v.canceled_at IS NULL;
    GET DIAGNOSTICS codes_canceled = ROW_COUNT;
    WITH gone AS (
        DELETE FROM otp.send_jobs j RETURNING j.*
    )
    INSERT INTO otp.unsent_jobs (send_job_id, verification_id, channel, state, attempts, error_class, error, remedy, requested_at,
        step, follows, traceparent)
    SELECT g.id, g.verification_id, g.channel, 'failed', g.attempt + CASE g.state WHEN 'queued' THEN 1 ELSE 0 END, 'unknown',
        'The database went back in time, so it is unknown whether this job was sent.',
        'If the user has no message, ask them to request the code again.', g.requested_at, g.step, g.follows, g.traceparent
    FROM gone g;
    GET DIAGNOSTICS jobs_ended = ROW_COUNT;

    -- Far more than any cluster sends in the forgotten time.
    PERFORM otp.advance_sequences();
    ids_skipped := 1000000 + 1000 * ceil(extract(epoch FROM moment - least(went_back_to, moment)))::bigint;
    next_send_job_id := 1 + setval('otp.send_jobs_id_seq', nextval('otp.send_jobs_id_seq') + ids_skipped);
    next_verification_id := 1 + setval('otp.verifications_id_seq', nextval('otp.verifications_id_seq') + ids_skipped);
    PERFORM setval('otp.events_id_seq', nextval('otp.events_id_seq') + ids_skipped);
    PERFORM setval('otp.worker_ids', nextval('otp.worker_ids') + ids_skipped);
END $$;
COMMENT ON FUNCTION otp.recover IS 'For the schema''s owner, after the database went back in time: ends live jobs, cancels live codes and skips ids. Stop otpd first. Without forgotten_after, the last trace of a worker is the moment to which the database went back.';

GRANT EXECUTE ON FUNCTION otp.prune TO otp_worker;
GRANT EXECUTE ON FUNCTION otp.advance_sequences TO otp_worker, otp_admin;
GRANT EXECUTE ON FUNCTION otp.sequences_behind TO otp_worker, otp_monitor, otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (20, 'maintenance');

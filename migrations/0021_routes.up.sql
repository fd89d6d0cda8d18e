-- Routes at work: which step is next, when it begins, and what follows a send that did not reach its user.

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

-- Steps that begin by time: the end of the wait after a send job's step. A row is only a timer. Whether the next step may begin
-- is decided by otp.follow_up under the verification's lock, so a row that is late, or there twice, does no harm.
CREATE TABLE otp.step_waits (
    send_job_id bigint PRIMARY KEY,
    verification_id bigint NOT NULL,
    due_at timestamptz NOT NULL
);
CREATE INDEX step_waits_due ON otp.step_waits (due_at);
COMMENT ON TABLE otp.step_waits IS 'When the next step of a route begins, unless the code is verified before.';

-- Whether any route differs from one text message.
CREATE FUNCTION otp.has_routes() RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM otp.routes r WHERE r.channel <> 'sms' OR r.step > 1) OR NOT EXISTS (SELECT FROM otp.routes r WHERE r.purpose = '*' AND r.country = '*');
END $$;

-- Why a channel cannot be used for a code; null if it can.
CREATE FUNCTION otp.channel_problem(channel text, purpose text, locale text, country text, email text) RETURNS text
LANGUAGE sql STABLE
RETURN CASE channel
    WHEN 'email' THEN CASE
        WHEN NOT EXISTS (SELECT FROM otp.purposes p WHERE p.purpose = channel_problem.purpose AND p.allows_email)
            THEN format('codes for %s may not go by e-mail (otp.purposes.allows_email)', purpose)
        WHEN email IS NULL THEN 'the verification has no e-mail address' END
    WHEN 'whatsapp' THEN CASE
        WHEN NOT EXISTS (SELECT FROM otp.templates t
                WHERE t.purpose = channel_problem.purpose AND t.locale = channel_problem.locale AND t.content_sid IS NOT NULL)
            THEN format('the text for %s, %s has no approved template (otp.templates.content_sid)', purpose, locale)
        WHEN NOT EXISTS (SELECT FROM otp.channel_senders s
                WHERE s.channel = 'whatsapp' AND s.country IN (channel_problem.country, '*'))
            THEN format('no WhatsApp sender serves %s (otp.channel_senders)', country) END
    WHEN 'call' THEN CASE
        WHEN NOT EXISTS (SELECT FROM otp.channel_senders s
                WHERE s.channel = 'call' AND s.country IN (channel_problem.country, '*'))
            THEN format('no phone number calls %s (otp.channel_senders)', country) END END;

-- The next step of the route after `earlier` (null: the first) that can be used for this code. Steps whose channel cannot be
-- used are left out. Of the result, `step` is null if no usable step follows.
CREATE FUNCTION otp.next_step(
    purpose text, locale text, country text, email text, earlier smallint DEFAULT NULL,
    OUT channel text, OUT step smallint, OUT is_last boolean, OUT wait interval)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT usable.channel, CASE WHEN usable.later > 0 OR next_step.earlier IS NOT NULL THEN usable.step END, usable.later = 0, usable.wait
    FROM (
        SELECT r.channel, r.step, r.wait,
            count(*) OVER (ORDER BY r.step ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS later
        FROM otp.routes r
        WHERE (r.purpose, r.country) = (
                SELECT o.purpose, o.country FROM otp.routes o
                WHERE o.purpose IN (next_step.purpose, '*') AND o.country IN (next_step.country, '*')
                ORDER BY o.purpose = '*', o.country = '*' LIMIT 1)
            AND r.step > coalesce(next_step.earlier, 0)
            AND otp.channel_problem(r.channel, next_step.purpose, next_step.locale, next_step.country, next_step.email) IS NULL
    ) usable
    ORDER BY usable.step LIMIT 1;
END;

-- Refuses a send by a channel that cannot be used for the code.
CREATE FUNCTION otp.refuse_channel(channel text, purpose text, locale text, country text, email text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    problem CONSTANT text := otp.channel_problem(channel, purpose, locale, country, email);
BEGIN
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = format('cannot send by %s: %s', channel, problem),
            HINT = CASE channel WHEN 'email' THEN 'Give email to otp.request, and allow e-mail for the purpose in otp.purposes.'
                ELSE 'Complete the table that the message names, or use another channel.' END;
    END IF;
END $$;

-- Refuses a send whose route has no channel that can be used.
CREATE FUNCTION otp.refuse_route(purpose text, locale text, country text, email text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = format('no channel can send this code: the route for %s, %s', purpose, country),
        DETAIL = coalesce((SELECT string_agg(format('Step %s: %s.', r.step,
                otp.channel_problem(r.channel, refuse_route.purpose, locale, refuse_route.country, email)), ' ' ORDER BY r.step)
            FROM otp.routes r
            WHERE (r.purpose, r.country) = (
                SELECT o.purpose, o.country FROM otp.routes o
                WHERE o.purpose IN (refuse_route.purpose, '*') AND o.country IN (refuse_route.country, '*')
                ORDER BY o.purpose = '*', o.country = '*' LIMIT 1)), 'otp.routes has no rows for it.'),
        HINT = 'Correct the route in otp.routes, or give the request what its channels need.';
END $$;

-- Sets the timer for the step after a job's, when the job is inserted.
CREATE FUNCTION otp.await_step(job otp.send_jobs) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO otp.step_waits AS w (send_job_id, verification_id, due_at)
    SELECT job.id, job.verification_id, greatest(job.due_at, job.requested_at) + n.wait
    FROM otp.verifications v,
        LATERAL otp.next_step(v.purpose, v.locale, v.country, v.email, job.step) n
    WHERE v.id = job.verification_id AND n.wait IS NOT NULL
    ON CONFLICT (send_job_id) DO UPDATE SET due_at = excluded.due_at;
END $$;

-- Sends a code on after a job that did not reach its user: by the next step of its route, or once more by the same channel
-- where the error's class says that this helps (resend_after). Returns what happened, in words; null if nothing had to be done.
-- Calls for the same verification wait for each other, and only the first finds that nothing has followed yet.
CREATE FUNCTION otp.follow_up(
    send_job_id bigint, verification_id bigint, channel text, step smallint, follows bigint, resend_after interval)
RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz;
    verification otp.verifications;
    next record;
    has_next boolean := false;
    delay interval := '0';
    later bigint;
    job bigint;
    traceparent text;
BEGIN
    -- The lock comes first. A request at the same moment is either visible below, or it sees the job that follows.
    SELECT v.* INTO verification FROM otp.verifications v WHERE v.id = follow_up.verification_id FOR NO KEY UPDATE;
    moment := clock_timestamp();
    IF verification.id IS NULL THEN
        RETURN 'Not sent again: its verification was deleted.';
    ELSIF verification.verified_at IS NOT NULL THEN
        RETURN 'Not sent again: its code has been used.';
    ELSIF verification.canceled_at IS NOT NULL THEN
        RETURN 'Not sent again: it was canceled.';
    END IF;
    SELECT l.follows INTO later FROM (
        SELECT j.id, j.follows FROM otp.send_jobs j WHERE j.verification_id = follow_up.verification_id
        UNION ALL SELECT m.send_job_id, m.follows FROM otp.messages m WHERE m.verification_id = follow_up.verification_id
        UNION ALL SELECT u.send_job_id, u.follows FROM otp.unsent_jobs u WHERE u.verification_id = follow_up.verification_id) l
    WHERE l.id > follow_up.send_job_id ORDER BY l.id LIMIT 1;
    IF FOUND THEN
        RETURN CASE WHEN later IS DISTINCT FROM follow_up.send_job_id
            THEN 'Not sent again: the user had already requested the code again.' END;
    END IF;
    IF follow_up.step IS NOT NULL THEN
        SELECT n.* INTO next FROM otp.next_step(verification.purpose, verification.locale, verification.country,
            verification.email, follow_up.step) n;
        has_next := FOUND;
    END IF;
    IF NOT has_next THEN
        IF follow_up.resend_after IS NULL THEN
            RETURN CASE WHEN follow_up.step IS NOT NULL THEN 'Not sent again: no further step of its route can be used.' END;
        ELSIF follow_up.follows IS NOT NULL THEN
            RETURN 'Not sent again: it was already a resend.';
        END IF;
        SELECT follow_up.channel, NULL::smallint AS step, true AS is_last INTO next;
        delay := follow_up.resend_after;
    END IF;
    -- As in otp.request, a code must have a minute left.
    IF verification.expires_at < moment + delay + interval '60 seconds' THEN
        RETURN 'Not sent again: its code was about to expire.';
    END IF;
    -- The step takes over from a job that still waits in the queue.
    WITH gone AS (
        DELETE FROM otp.send_jobs j WHERE j.id = follow_up.send_job_id AND j.state = 'queued' RETURNING j.*
    )
    INSERT INTO otp.unsent_jobs (send_job_id, verification_id, channel, state, attempts, error_code, error, remedy, requested_at, follows,
        traceparent)
    SELECT g.id, g.verification_id, g.channel, 'canceled', g.attempt, g.last_error_code,
        'The next step of the route took over.' || coalesce(' Last try: ' || g.last_error, ''), g.last_remedy, g.requested_at, g.follows,
        g.traceparent
    FROM gone g;
    SELECT t.traceparent INTO traceparent FROM (
        SELECT m.traceparent FROM otp.messages m WHERE m.send_job_id = follow_up.send_job_id AND m.is_primary
        UNION ALL SELECT u.traceparent FROM otp.unsent_jobs u WHERE u.send_job_id = follow_up.send_job_id
        UNION ALL SELECT j.traceparent FROM otp.send_jobs j WHERE j.id = follow_up.send_job_id) t LIMIT 1;
    BEGIN
        INSERT INTO otp.send_jobs (verification_id, channel, step, follows, due_at, traceparent)
        VALUES (verification.id, next.channel, CASE WHEN NOT next.is_last THEN next.step END, follow_up.send_job_id, moment + delay,
            traceparent)
        RETURNING id INTO job;
        UPDATE otp.verifications v SET follower_id = job WHERE v.id = verification.id;
    EXCEPTION WHEN SQLSTATE 'OT001' OR SQLSTATE 'OT006' OR SQLSTATE 'OT007' THEN
        RETURN 'Not sent again: ' || SQLERRM || '.';
    END;
    RETURN CASE WHEN next.channel = follow_up.channel THEN format('The same code is sent again as send job %s.', job)
        ELSE format('The same code is sent by %s as send job %s.', next.channel, job) END;
END $$;

-- Begins the next step after a job of a route that ended unsent. The end of a job that another step took over, or that an
-- expired or canceled code ended, begins none.
CREATE FUNCTION otp.step_failed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result CONSTANT text := otp.follow_up(NEW.send_job_id, NEW.verification_id, NEW.channel, NEW.step, NEW.follows, NULL);
BEGIN
    UPDATE otp.unsent_jobs u SET follow_up = result
    WHERE u.send_job_id = NEW.send_job_id AND u.requested_at = NEW.requested_at AND result IS NOT NULL;
    RETURN NULL;
END $$;

CREATE TRIGGER step_failed AFTER INSERT ON otp.unsent_jobs FOR EACH ROW
WHEN (NEW.step IS NOT NULL AND NEW.state IN ('failed', 'limited'))
EXECUTE FUNCTION otp.step_failed();

-- For workers: begins the steps whose wait has ended. Returns how many began, and the seconds until the next is due. A step
-- whose beginning raises an error is tried again ten seconds later, and does not stop the others.
CREATE FUNCTION otp.begin_steps(batch int DEFAULT 100, OUT begun int, OUT next_in double precision)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    due record;
    job record;
    result text;
BEGIN
    begun := 0;
    FOR due IN
        SELECT w.send_job_id, w.verification_id FROM otp.step_waits w WHERE w.due_at <= clock_timestamp()
        ORDER BY w.due_at LIMIT batch
    LOOP
        BEGIN
            -- The message's lock comes before the verification's, as where its failure is recorded. The verification's lock comes
            -- before that of the timer. What is locked is left to the next round.
            PERFORM FROM otp.messages m WHERE m.send_job_id = due.send_job_id AND m.is_primary FOR NO KEY UPDATE SKIP LOCKED;
            CONTINUE WHEN NOT FOUND AND EXISTS (
                SELECT FROM otp.messages m WHERE m.send_job_id = due.send_job_id AND m.is_primary);
            PERFORM FROM otp.verifications v WHERE v.id = due.verification_id FOR NO KEY UPDATE SKIP LOCKED;
            CONTINUE WHEN NOT FOUND AND EXISTS (SELECT FROM otp.verifications v WHERE v.id = due.verification_id);
            -- A job that was claimed in the last 3 seconds (a lease is 30 seconds long) is waited for. If it goes back to the queue, the
            -- step takes over from it. Otherwise the user would get the code both ways. A dead worker delays the step by no more.
            UPDATE otp.step_waits w SET due_at = clock_timestamp() + interval '500 milliseconds'
            WHERE w.send_job_id = due.send_job_id AND EXISTS (
                SELECT FROM otp.send_jobs j
                WHERE j.id = due.send_job_id AND j.state = 'sending' AND j.lease_expires_at > clock_timestamp() + interval '27 seconds');
            CONTINUE WHEN FOUND;
            DELETE FROM otp.step_waits w WHERE w.send_job_id = due.send_job_id AND w.due_at <= clock_timestamp();
            CONTINUE WHEN NOT FOUND;
            SELECT e.* INTO job FROM (
                SELECT j.channel, j.step, j.follows, j.state FROM otp.send_jobs j WHERE j.id = due.send_job_id
                UNION ALL SELECT m.channel, m.step, m.follows, 'accepted' FROM otp.messages m
                WHERE m.send_job_id = due.send_job_id AND m.is_primary
                UNION ALL SELECT u.channel, u.step, u.follows, u.state FROM otp.unsent_jobs u
                WHERE u.send_job_id = due.send_job_id AND u.state <> 'canceled') e LIMIT 1;
            CONTINUE WHEN NOT FOUND OR job.step IS NULL;
            result := otp.follow_up(due.send_job_id, due.verification_id, job.channel, job.step, job.follows, NULL);
            IF result LIKE 'The same code%' THEN
                begun := begun + 1;
            END IF;
            -- That the user has verified the code, or asked for it again, is no news.
            IF result NOT IN ('Not sent again: its code has been used.', 'Not sent again: it was canceled.',
                    'Not sent again: the user had already requested the code again.') THEN
                UPDATE otp.messages m SET follow_up = result WHERE m.send_job_id = due.send_job_id AND m.is_primary;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            UPDATE otp.step_waits w SET due_at = clock_timestamp() + interval '10 seconds' WHERE w.send_job_id = due.send_job_id;
            RAISE WARNING 'cannot begin the step after send job %: %', due.send_job_id, SQLERRM;
        END;
    END LOOP;
    SELECT extract(epoch FROM min(w.due_at) - clock_timestamp()) INTO next_in FROM otp.step_waits w;
END $$;
COMMENT ON FUNCTION otp.begin_steps IS 'For workers: begins the steps of routes whose wait has ended. Returns how many began, and the seconds until the next.';

-- What a verification's end means beyond the queue: a call that has not rung yet is canceled at Twilio, and a verified code
-- proves a phone number unless an e-mail with it may have left. The caller holds the verification's lock. A transaction that
-- records the end of a call holds the call and waits for that lock, so a call that is locked is left to its next poll.
CREATE FUNCTION otp.code_ended(verification_id bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE otp.messages m SET next_poll_at = clock_timestamp()
    WHERE m.verification_id = code_ended.verification_id AND m.message_sid = ANY (ARRAY (
        SELECT c.message_sid FROM otp.messages c
        WHERE c.verification_id = code_ended.verification_id AND c.channel = 'call' AND c.final_at IS NULL
        FOR NO KEY UPDATE SKIP LOCKED));
    UPDATE otp.verifications v SET other_channels = array_remove(v.other_channels, 'email')
    WHERE v.id = code_ended.verification_id AND 'email' = ANY (v.other_channels)
        AND NOT EXISTS (SELECT FROM otp.send_jobs j WHERE j.verification_id = v.id AND j.channel = 'email')
        AND NOT EXISTS (SELECT FROM otp.messages m WHERE m.verification_id = v.id AND m.channel = 'email')
        AND NOT EXISTS (SELECT FROM otp.unsent_jobs u WHERE u.verification_id = v.id AND u.channel = 'email' AND u.attempts > 0);
END $$;

-- By which channels a code has gone, or may have gone, to its user.
CREATE FUNCTION otp.channels_used(verification_id bigint, subject text) RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(array_agg(DISTINCT d.channel ORDER BY d.channel), '{}') FROM otp.delivery_status d
    WHERE d.verification_id = channels_used.verification_id AND d.subject = channels_used.subject
        AND (d.job_state IN ('accepted', 'sending', 'unknown') OR d.job_state IN ('failed', 'expired', 'canceled') AND d.attempts > 0 AND d.error_code IS NULL);
END;
COMMENT ON FUNCTION otp.channels_used IS 'The channels by which a code of this subject was sent or may have been sent.';

-- The routes, and why a step cannot serve its users at present.
CREATE VIEW otp.route_status AS
SELECT r.purpose, r.country, r.step, r.channel, r.wait,
    CASE WHEN r.channel = 'email' AND NOT EXISTS (
            SELECT FROM otp.purposes p WHERE p.allows_email AND (r.purpose = '*' OR p.purpose = r.purpose))
        THEN 'The purpose does not allow e-mail: set allows_email in otp.purposes.'
    WHEN r.channel IN ('whatsapp', 'call') AND NOT EXISTS (
            SELECT FROM otp.channel_senders s
            WHERE s.channel = r.channel AND (s.country = '*' OR r.country IN ('*', s.country)))
        THEN format('It has no sender: insert one for %s into otp.channel_senders.', r.channel)
    WHEN r.channel = 'whatsapp' AND NOT EXISTS (
            SELECT FROM otp.templates t WHERE t.content_sid IS NOT NULL AND r.purpose IN ('*', t.purpose))
        THEN 'Its purpose has no approved template: set content_sid in otp.templates.'
    WHEN r.channel <> 'sms' AND EXISTS (
            SELECT FROM otp.worker_status w
            WHERE w.kind = 'worker' AND w.state NOT IN ('stopped', 'dead')
                AND w.heartbeat_at > clock_timestamp() - interval '30 seconds')
        AND NOT EXISTS (
            SELECT FROM otp.worker_status w
            WHERE r.channel = ANY (w.channels) AND w.kind = 'worker' AND w.state NOT IN ('stopped', 'dead')
                AND w.heartbeat_at > clock_timestamp() - interval '30 seconds')
        THEN format('No running worker can send by %s%s.', r.channel,
            CASE r.channel WHEN 'email' THEN ': set OTPD_SMTP_URL and OTPD_MAIL_FROM' ELSE '' END)
    END AS problem
FROM otp.routes r;
COMMENT ON VIEW otp.route_status IS 'The steps of all routes, and the reason why a step cannot be used at present.';

GRANT SELECT ON otp.route_status TO otp_worker, otp_monitor, otp_admin;
GRANT EXECUTE ON FUNCTION otp.channels_used TO otp_web;
GRANT EXECUTE ON FUNCTION otp.begin_steps TO otp_worker;
GRANT SELECT ON otp.step_waits TO otp_worker, otp_monitor, otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (21, 'routes');

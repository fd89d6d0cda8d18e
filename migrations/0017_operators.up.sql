-- Functions for operators: for a phone number, and for a send job.

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

CREATE FUNCTION otp.unlock(phone_number text, region text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    failure_key CONSTANT text COLLATE "C" := otp.counter_key('phone', otp.to_e164(unlock.phone_number, unlock.region));
BEGIN
    -- The shared count, and those of subjects (otp.own_failures). A space sorts directly before an exclamation mark.
    DELETE FROM otp.verify_failures f WHERE f.key = failure_key OR f.key >= failure_key || ' ' AND f.key < failure_key || '!';
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION otp.unlock IS 'For operators: forgets the wrong tries of a phone number, so that it can verify codes again today. False if there were none.';

-- For support, where the number is known and the subject is not. otp_monitor may not call it, because it could be used to guess
-- masked digits.
CREATE FUNCTION otp.verifications_of_phone(phone_number text, region text DEFAULT NULL) RETURNS SETOF bigint
LANGUAGE sql STABLE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
    SELECT v.id FROM otp.verifications v
    WHERE v.e164 = otp.to_e164(verifications_of_phone.phone_number, verifications_of_phone.region)
    ORDER BY v.created_at DESC LIMIT 1000
$$;
COMMENT ON FUNCTION otp.verifications_of_phone IS 'For operators: the ids of the newest verifications of a phone number, in any spelling. OT002 if the number is invalid.';

-- Raises OT006 for a send job that cannot be retried or canceled.
CREATE FUNCTION otp.refuse_job(send_job_id bigint, trouble text, hint text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'OT006', MESSAGE = format('send job %s %s', send_job_id, trouble), HINT = hint;
END $$;

-- For operators. A job that waits for its next attempt becomes due at once. For a job that ended unsent, a new job of the same
-- verification sends the same code. Returns the id of the job that is sent. Raises OT006 with the reason if the code cannot be
-- sent, and OT001 beyond a limit.
CREATE FUNCTION otp.retry_job(send_job_id bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    wanted CONSTANT bigint := retry_job.send_job_id;
    live otp.send_jobs;
    ended otp.unsent_jobs;
    other text;
    again bigint;
BEGIN
    SELECT j.* INTO live FROM otp.send_jobs j WHERE j.id = wanted FOR UPDATE;
    IF live.state = 'queued' THEN
        IF live.hold_kind = 'rate' THEN
            PERFORM otp.refuse_job(wanted, format('waits for the rate of its sender, %s', live.hold_key),
                'It is sent when the rate has room. To send it sooner, raise the sender''s rate in otp.sender_rates.');
        ELSIF live.hold_kind = 'pause' THEN
            PERFORM otp.refuse_job(wanted, format('is held by a pause: %s', live.hold_key),
                'It is sent when the pause ends. otpd pause lists the pauses and their remedies.');
        END IF;
        UPDATE otp.send_jobs j SET due_at = least(j.due_at, clock_timestamp()) WHERE j.id = wanted;
        PERFORM otp.notify('otp_send_jobs');
        RETURN wanted;
    ELSIF live.state = 'sending' THEN
        PERFORM otp.refuse_job(wanted, 'is being sent at this moment', 'Wait a few seconds for the outcome.');
    ELSIF live.id IS NOT NULL THEN
        PERFORM otp.refuse_job(wanted, 'may have reached Twilio: its outcome is unknown',
            'Workers look for it in Twilio''s list, and send it again only if it is not there. This takes about a minute.');
    END IF;

    SELECT u.* INTO ended FROM otp.unsent_jobs u WHERE u.send_job_id = wanted;
    SELECT m.status INTO other FROM otp.messages m WHERE m.send_job_id = wanted ORDER BY m.is_primary DESC LIMIT 1;
    IF FOUND THEN
        PERFORM otp.refuse_job(wanted, format('was already accepted by Twilio (message status: %s)', other),
            'If the user has no message, ask them to request the code again.');
    ELSIF ended.send_job_id IS NULL THEN
        PERFORM otp.refuse_job(wanted, 'does not exist', 'otpd jobs list shows the jobs that exist.');
    END IF;
    IF ended.state = 'test' THEN
        PERFORM otp.refuse_job(wanted, 'is a test: nothing is sent to its phone number', 'Its code is the fixed one.');
    END IF;
    IF ended.error_class IN ('unknown', 'repeated_sid') THEN
        PERFORM otp.refuse_job(wanted, 'may have reached Twilio: its outcome stayed unknown',
            'If the user has no message, ask them to request the code again.');
    END IF;
    -- Calls for the same verification wait for each other, as the inserts of its jobs do.
    PERFORM FROM otp.verifications v WHERE v.id = ended.verification_id FOR NO KEY UPDATE;
    SELECT j.id::text INTO other FROM otp.send_jobs j WHERE j.verification_id = ended.verification_id LIMIT 1;
    IF FOUND THEN
        PERFORM otp.refuse_job(wanted, format('was followed by send job %s, which is under way', other),
            format('See it with: otpd jobs show %s.', other));
    END IF;
    -- This query comes after the one for live jobs. It sees a job that ended between the two.
    SELECT format('send job %s, which Twilio %s', e.send_job_id, e.what) INTO other
    FROM (SELECT 'accepted' AS what, m.send_job_id FROM otp.messages m
            WHERE m.verification_id = ended.verification_id AND m.send_job_id > wanted
                AND m.status NOT IN ('failed', 'undelivered', 'canceled', 'busy', 'no-answer')
        UNION ALL SELECT 'may have accepted', u.send_job_id FROM otp.unsent_jobs u
            WHERE u.verification_id = ended.verification_id AND u.send_job_id > wanted
                AND u.error_class IN ('unknown', 'repeated_sid')) e
    ORDER BY e.send_job_id DESC LIMIT 1;
    IF FOUND THEN
        PERFORM otp.refuse_job(wanted, format('was followed by %s', other),
            'If the user has no message, ask them to request the code again.');
    END IF;
    BEGIN
        INSERT INTO otp.send_jobs (verification_id, channel, follows, traceparent)
        VALUES (ended.verification_id, ended.channel, wanted, ended.traceparent)
        RETURNING id INTO again;
    EXCEPTION WHEN SQLSTATE 'OT006' THEN
        PERFORM otp.refuse_job(wanted, 'cannot be sent again, because ' || SQLERRM,
            'Ask the user to request a new code.');
    END;
    RETURN again;
END $$;
COMMENT ON FUNCTION otp.retry_job IS 'For operators: makes a waiting job due at once, or sends the code of a job that ended unsent again, while the code is live. Returns the id of the job that is sent.';

-- For operators. The verification stays live; otp.cancel ends it.
CREATE FUNCTION otp.cancel_job(send_job_id bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    wanted CONSTANT bigint := cancel_job.send_job_id;
    other text;
BEGIN
    WITH gone AS (
        DELETE FROM otp.send_jobs j WHERE j.id = wanted AND j.state = 'queued' RETURNING j.*
    )
    INSERT INTO otp.unsent_jobs (send_job_id, verification_id, channel, state, attempts, error, requested_at, follows, traceparent)
    SELECT g.id, g.verification_id, g.channel, 'canceled', g.attempt, 'An operator canceled the job.', g.requested_at, g.follows, g.traceparent
    FROM gone g;
    IF FOUND THEN
        RETURN wanted;
    END IF;
    SELECT j.state INTO other FROM otp.send_jobs j WHERE j.id = wanted;
    IF FOUND THEN
        PERFORM otp.refuse_job(wanted, CASE other WHEN 'sending' THEN 'is being sent at this moment'
                ELSE 'may have reached Twilio: its outcome is unknown' END,
            'A message that may have left cannot be recalled. To make its code invalid, call otp.cancel.');
    END IF;
    SELECT d.job_state INTO other FROM otp.delivery_status d WHERE d.send_job_id = wanted;
    IF FOUND THEN
        PERFORM otp.refuse_job(wanted, format('has already ended: %s', other), 'There is nothing left to cancel.');
    END IF;
    PERFORM otp.refuse_job(wanted, 'does not exist', 'otpd jobs list shows the jobs that exist.');
END $$;
COMMENT ON FUNCTION otp.cancel_job IS 'For operators: ends a queued job as canceled. OT006 with the reason if the job is not queued.';

GRANT EXECUTE ON FUNCTION otp.unlock, otp.retry_job, otp.cancel_job, otp.verifications_of_phone TO otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (17, 'operators');

-- The functions that operators call: for a phone, and for a send job.

-- Whatever the role or the database has set (ALTER ROLE, ALTER DATABASE): each file sets what it relies on.
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
BEGIN
    DELETE FROM otp.verify_failures f WHERE f.key = otp.to_e164(unlock.phone_number, unlock.region);
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION otp.unlock IS 'For operators: forgets the wrong tries of a phone, which can then verify again today. False where there were none.';

-- For support, which knows a number and no subject. Not for otp_monitor: with it, masked digits could be tried out.
CREATE FUNCTION otp.verifications_of_phone(phone_number text, region text DEFAULT NULL) RETURNS SETOF bigint
LANGUAGE sql STABLE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
    SELECT v.id FROM otp.verifications v
    WHERE v.e164 = otp.to_e164(verifications_of_phone.phone_number, verifications_of_phone.region)
    ORDER BY v.created_at DESC LIMIT 1000
$$;
COMMENT ON FUNCTION otp.verifications_of_phone IS 'For operators: the ids of a phone''s newest verifications, by any spelling of its number; OT002 where it cannot be one.';

-- What an operator hears of a job that he cannot have back.
CREATE FUNCTION otp.refuse_job(send_job_id bigint, trouble text, hint text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'OT006', MESSAGE = format('Send job %s %s', send_job_id, trouble), HINT = hint;
END $$;

-- For operators: a job that waits for its next attempt is due at once, and of one that ended unsent a new job is made, of
-- the same verification, with the same code. The job that goes; OT006 with the reason where none can, OT001 beyond a limit.
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
            PERFORM otp.refuse_job(wanted, format('waits for the turn of its sender, %s', live.hold_key),
                'It goes by itself; sooner if the sender may send more (otp.sender_rates).');
        ELSIF live.hold_kind = 'pause' THEN
            PERFORM otp.refuse_job(wanted, format('is held by a pause: %s', live.hold_key),
                'It goes when the pause ends, or at once with otpd resume.');
        END IF;
        UPDATE otp.send_jobs j SET due_at = least(j.due_at, clock_timestamp()) WHERE j.id = wanted;
        PERFORM otp.notify('otp_send_jobs');
        RETURN wanted;
    ELSIF live.state = 'sending' THEN
        PERFORM otp.refuse_job(wanted, 'is being sent at this moment', 'Wait for the outcome: a few seconds.');
    ELSIF live.id IS NOT NULL THEN
        PERFORM otp.refuse_job(wanted, 'may have reached Twilio: its outcome is unknown',
            'Workers look for it in Twilio''s list, and send it again only if it is not there: about a minute.');
    END IF;

    SELECT u.* INTO ended FROM otp.unsent_jobs u WHERE u.send_job_id = wanted;
    SELECT m.status INTO other FROM otp.messages m WHERE m.send_job_id = wanted ORDER BY m.is_primary DESC LIMIT 1;
    IF FOUND THEN
        PERFORM otp.refuse_job(wanted, format('was accepted by Twilio already (message %s)', other),
            'If the user has no message, let them ask for a code again.');
    ELSIF ended.send_job_id IS NULL THEN
        PERFORM otp.refuse_job(wanted, 'does not exist', 'otpd jobs list shows those that do.');
    END IF;
    IF ended.error_class IN ('unknown', 'repeated_sid') THEN
        PERFORM otp.refuse_job(wanted, 'may have reached Twilio: its outcome stayed unknown',
            'If the user has no message, let them ask for a code again.');
    END IF;
    -- Operators take turns at a verification, as its jobs do.
    PERFORM FROM otp.verifications v WHERE v.id = ended.verification_id FOR NO KEY UPDATE;
    SELECT j.id::text INTO other FROM otp.send_jobs j WHERE j.verification_id = ended.verification_id LIMIT 1;
    IF FOUND THEN
        PERFORM otp.refuse_job(wanted, format('has a successor that is on its way: send job %s', other),
            'See otpd jobs show for that one.');
    END IF;
    -- After the look at what lives: what leaves there meanwhile is seen here.
    SELECT format('%s: send job %s', e.what, e.send_job_id) INTO other
    FROM (SELECT 'took' AS what, m.send_job_id FROM otp.messages m
            WHERE m.verification_id = ended.verification_id AND m.send_job_id > wanted
                AND m.status NOT IN ('failed', 'undelivered', 'canceled')
        UNION ALL SELECT 'may have', u.send_job_id FROM otp.unsent_jobs u
            WHERE u.verification_id = ended.verification_id AND u.send_job_id > wanted
                AND u.error_class IN ('unknown', 'repeated_sid')) e
    ORDER BY e.send_job_id DESC LIMIT 1;
    IF FOUND THEN
        PERFORM otp.refuse_job(wanted, format('has a successor that Twilio %s', other),
            'If the user has no message, let them ask for a code again.');
    END IF;
    BEGIN
        INSERT INTO otp.send_jobs (verification_id, resend_of) VALUES (ended.verification_id, wanted)
        RETURNING id INTO again;
    EXCEPTION WHEN SQLSTATE 'OT006' THEN
        PERFORM otp.refuse_job(wanted, 'cannot be sent again: its code is dead (' || SQLERRM || ')',
            'Ask the user to request a code again.');
    END;
    RETURN again;
END $$;
COMMENT ON FUNCTION otp.retry_job IS 'For operators: sends a job at once that waits, or one again that ended unsent, while its code lives. The id of the job that goes.';

-- For operators. The code stays alive: otp.cancel ends that.
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
    INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, error, requested_at, resend_of)
    SELECT g.id, g.verification_id, 'canceled', g.attempt, 'It was canceled by an operator.', g.requested_at, g.resend_of
    FROM gone g;
    IF FOUND THEN
        RETURN wanted;
    END IF;
    SELECT j.state INTO other FROM otp.send_jobs j WHERE j.id = wanted;
    IF FOUND THEN
        PERFORM otp.refuse_job(wanted, CASE other WHEN 'sending' THEN 'is being sent at this moment'
                ELSE 'may have reached Twilio: its outcome is unknown' END,
            'What may have left is not recalled. Its code dies with otp.cancel, or by itself.');
    END IF;
    SELECT d.job_state INTO other FROM otp.delivery_status d WHERE d.send_job_id = wanted;
    IF FOUND THEN
        PERFORM otp.refuse_job(wanted, format('has ended already: %s', other), 'There is nothing left to cancel.');
    END IF;
    PERFORM otp.refuse_job(wanted, 'does not exist', 'otpd jobs list shows those that do.');
END $$;
COMMENT ON FUNCTION otp.cancel_job IS 'For operators: a queued job ends as canceled. OT006 with the reason where it is not queued.';

GRANT EXECUTE ON FUNCTION otp.unlock, otp.retry_job, otp.cancel_job, otp.verifications_of_phone TO otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (17, 'operators');

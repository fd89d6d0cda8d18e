-- Message statuses: reports of backends, callbacks, and the reaction to a failed delivery.

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

-- Reports of backends that receive Twilio's callbacks themselves. A backend can invent a report, so a report proves nothing: a
-- worker asks Twilio for the message and records only Twilio's answer. Each job takes at most three SIDs. An intruder in a
-- backend can therefore cause only three requests to Twilio per code, and only for that backend's own jobs.
CREATE TABLE otp.status_reports (
    send_job_id bigint,
    slot smallint CONSTRAINT "slot must be 1 to 3" CHECK (slot BETWEEN 1 AND 3),
    message_sid text COLLATE "C" NOT NULL,
    attempt int NOT NULL,
    reported_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at timestamptz,             -- when a worker asks Twilio next; null: Twilio has answered, or the message is known
    tries smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (send_job_id, slot),
    UNIQUE (send_job_id, message_sid)
);
CREATE INDEX status_reports_due ON otp.status_reports (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX status_reports_reported_at ON otp.status_reports (reported_at);
COMMENT ON TABLE otp.status_reports IS 'SIDs that backends report, at most three per job. Workers ask Twilio for them.';

-- Stores a report without a lock on any row that workers write. Returns false in three cases: the message and its job are
-- unknown; they belong to another login role (created_by, as for send jobs); the job already has three reports.
CREATE FUNCTION otp.report_status(message_sid text, status text, send_job_id bigint, attempt int) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    job record;
BEGIN
    SELECT k.* INTO job FROM (
        SELECT m.send_job_id AS id, m.attempt, m.verification_id, m.requested_at, true AS is_known,
            m.final_at IS NULL AND otp.status_rank(report_status.status) >= 50 AS is_news, false AS is_sending
        FROM otp.messages m
        WHERE m.job_range = otp.range_of_message(report_status.message_sid) AND m.message_sid = report_status.message_sid
        UNION ALL SELECT j.id, report_status.attempt, j.verification_id, j.requested_at, false, true, j.state = 'sending'
        FROM otp.send_jobs j WHERE j.id = report_status.send_job_id AND j.attempt >= report_status.attempt
        UNION ALL SELECT u.send_job_id, report_status.attempt, u.verification_id, u.requested_at, false, true, false
        FROM otp.unsent_jobs u WHERE u.send_job_id = report_status.send_job_id AND u.attempts >= report_status.attempt
        UNION ALL SELECT m.send_job_id, report_status.attempt, m.verification_id, m.requested_at, false, true, false
        FROM otp.messages m
        WHERE m.send_job_id = report_status.send_job_id AND m.is_primary AND m.attempt >= report_status.attempt) k
    WHERE k.is_known OR report_status.attempt > 0
    LIMIT 1;
    IF job IS NULL OR job.requested_at < moment - interval '1 day' OR NOT EXISTS (
        SELECT FROM otp.verifications v
        WHERE v.id = job.verification_id AND otp.has_rights_of(v.created_by))
    THEN
        RETURN false;
    END IF;
    -- For a known message only a final status is news. Until then workers poll the message anyway.
    IF NOT job.is_news OR EXISTS (
        SELECT FROM otp.status_reports r WHERE r.send_job_id = job.id AND r.message_sid = report_status.message_sid)
    THEN
        RETURN true;
    END IF;
    FOR place IN 1..3 LOOP
        INSERT INTO otp.status_reports (send_job_id, slot, message_sid, attempt, due_at)
        VALUES (job.id, place, report_status.message_sid, job.attempt,
            -- While the job's request to Twilio is under way, its answer usually arrives within moments.
            moment + CASE WHEN job.is_sending THEN interval '5 seconds' ELSE interval '0' END)
        ON CONFLICT DO NOTHING;
        IF FOUND THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;

CREATE FUNCTION otp.record_status(
    message_sid text, status text, error_code int DEFAULT NULL, reference text DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    final_since CONSTANT timestamptz := CASE WHEN otp.status_rank(record_status.status) >= 50 THEN moment END;
    -- The worker puts '<send job>.<attempt>' into the callback's URL.
    referenced CONSTANT text[] := regexp_match(record_status.reference, '^([0-9]{1,18})[.]([0-9]{1,9})$');
    range int := otp.job_range(referenced[1]::bigint);
    job record;
BEGIN
    IF record_status.message_sid ~ '^[A-Z]{2}[0-9a-fA-F]{32}$' IS NOT TRUE
        OR record_status.status ~ '^[a-z_-]{1,40}$' IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'invalid message_sid or status: not a value that Twilio uses',
            HINT = 'Pass MessageSid and MessageStatus exactly as in the callback.';
    END IF;
    -- A role that may write otp.messages itself is a worker. Its receiver has checked Twilio's signature, so its word counts.
    IF NOT has_table_privilege(
        CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role') END, 'otp.messages', 'INSERT')
    THEN
        RETURN otp.report_status(record_status.message_sid, record_status.status, referenced[1]::bigint, referenced[2]::int);
    END IF;
    IF range IS NULL OR NOT EXISTS (
        SELECT FROM otp.messages m WHERE m.job_range = range AND m.message_sid = record_status.message_sid)
    THEN
        range := otp.range_of_message(record_status.message_sid);
    END IF;
    UPDATE otp.messages m
    SET status = record_status.status, error_code = coalesce(record_status.error_code, m.error_code),
        final_at = coalesce(m.final_at, final_since)
    WHERE m.job_range = range AND m.message_sid = record_status.message_sid
        AND otp.status_advances(m.status, record_status.status);
    IF FOUND OR range IS NOT NULL THEN
        RETURN true;    -- recorded now or earlier; a repeated or late status changes nothing
    END IF;

    -- A new SID is evidence of a message. It ends the job that it refers to, in any live state.
    DELETE FROM otp.send_jobs j
    WHERE j.id = referenced[1]::bigint AND j.attempt >= referenced[2]::int AND referenced[2]::int > 0
    RETURNING j.id, j.verification_id, j.worker, j.requested_at, j.channel, j.step, j.follows, j.traceparent, true AS is_primary
    INTO job;
    IF job IS NULL THEN
        SELECT e.send_job_id AS id, e.verification_id, NULL::bigint AS worker, e.requested_at, e.channel, e.step, e.follows,
            e.traceparent, false AS is_primary
        INTO job
        FROM (SELECT u.send_job_id, u.verification_id, u.requested_at, u.channel, u.step, u.follows, u.traceparent
                FROM otp.unsent_jobs u
                WHERE u.send_job_id = referenced[1]::bigint AND u.attempts >= referenced[2]::int
            UNION ALL SELECT m.send_job_id, m.verification_id, m.requested_at, m.channel, m.step, m.follows, m.traceparent
                FROM otp.messages m
                WHERE m.send_job_id = referenced[1]::bigint AND m.is_primary AND m.attempt >= referenced[2]::int) e
        LIMIT 1;
    END IF;
    IF job IS NULL THEN
        RETURN false;
    END IF;
    INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, worker, is_primary, requested_at,
        accepted_at, status, error_code, final_at, next_poll_at, channel, step, follows, traceparent, country)
    VALUES (otp.job_range(job.id), record_status.message_sid, job.id, job.verification_id, referenced[2]::int, job.worker, job.is_primary,
        job.requested_at, moment, record_status.status, record_status.error_code, final_since, moment, job.channel,
        job.step, job.follows, job.traceparent, (SELECT v.country FROM otp.verifications v WHERE v.id = job.verification_id))
    -- The worker's own result or another callback may have recorded the message meanwhile.
    ON CONFLICT (job_range, message_sid) DO UPDATE
    SET status = excluded.status, error_code = coalesce(excluded.error_code, messages.error_code),
        final_at = coalesce(messages.final_at, excluded.final_at)
    WHERE otp.status_rank(excluded.status) > otp.status_rank(messages.status);
    RETURN true;
END $$;
COMMENT ON FUNCTION otp.record_status IS 'For backends that receive Twilio''s callbacks themselves: otpd then asks Twilio for the message. Safe to repeat. False if the message is unknown or belongs to another role.';

-- Reacts to the news that a message was not delivered, or that a call was not answered. The news comes from a poll, a callback
-- or a backend. The reaction happens once, in the transaction that records the news, because a status becomes final only once
-- and its row is locked.
--
-- The class of the error code may demand a pause. fraud_hold pauses the number's prefix, and pause_channel pauses the channel if it
-- is not sms, as the same codes do when Twilio answers a request with them. A receipt causes no other pause: if the account, the sender or a
-- country cannot send, Twilio says so itself in its answer to the next request. A receipt that comes more than an hour later
-- causes no pause. The first probe comes after a minute. An accepted probe says little here, because Twilio had accepted the
-- failed message too.
--
-- Then otp.follow_up begins the next step of the route, or sends the code again, or says why nothing follows.
CREATE FUNCTION otp.delivery_failed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    class record;
    verification record;
    result text;
BEGIN
    SELECT d.class, d.resend_after, coalesce(c.explanation, d.explanation) AS explanation,
        coalesce(c.remedy, d.remedy) AS remedy
    INTO class
    FROM otp.error_classes c JOIN otp.error_class_defaults d ON d.class = c.class WHERE c.code = NEW.error_code;
    IF class.resend_after IS NULL AND NEW.step IS NULL AND coalesce(class.class NOT IN ('fraud_hold', 'pause_channel'), true) THEN
        RETURN NULL;
    END IF;
    SELECT v.e164, v.country,
        (SELECT c.receipts_reliable FROM otp.countries c WHERE c.region = v.country) AS is_believed
    INTO verification
    FROM otp.verifications v WHERE v.id = NEW.verification_id;

    IF (class.class = 'fraud_hold' OR class.class = 'pause_channel' AND NEW.channel <> 'sms') AND verification.e164 IS NOT NULL
        AND NEW.accepted_at > moment - interval '1 hour'
    THEN
        INSERT INTO otp.pauses AS p (scope, key, reason, remedy, next_probe_at, created_by)
        VALUES (CASE class.class WHEN 'fraud_hold' THEN 'prefix' ELSE 'channel' END,
            CASE class.class WHEN 'fraud_hold' THEN left(verification.e164, greatest(length(verification.e164) - 4, 2))
                ELSE NEW.channel END,
            left(class.explanation, 500), class.remedy, moment + interval '1 minute', 'a delivery receipt')
        ON CONFLICT (name) DO NOTHING;
    END IF;

    IF NOT NEW.is_primary OR class.resend_after IS NULL AND NEW.step IS NULL THEN
        RETURN NULL;
    END IF;
    result := CASE
        -- A carrier invents 'undelivered'. Twilio itself reports 'failed', and it knows whether a call was answered.
        WHEN verification.country IS NOT NULL AND verification.is_believed IS NOT TRUE AND NEW.channel = 'sms' AND (NEW.step IS NULL OR NEW.status = 'undelivered')
            THEN format('Not sent again: receipts from %s are not reliable (otp.countries.receipts_reliable).', verification.country)
        WHEN EXISTS (SELECT FROM otp.messages m WHERE m.send_job_id = NEW.send_job_id AND NOT m.is_primary
                AND m.status NOT IN ('failed', 'undelivered', 'canceled', 'busy', 'no-answer'))
            THEN 'Not sent again: a second message of its send job arrived, or may arrive.'
        ELSE otp.follow_up(NEW.send_job_id, NEW.verification_id, NEW.channel, NEW.step, NEW.follows, class.resend_after) END;
    UPDATE otp.messages m SET follow_up = result
    WHERE m.job_range = NEW.job_range AND m.message_sid = NEW.message_sid AND result IS NOT NULL;
    RETURN NULL;
END $$;

CREATE TRIGGER failed_on_insert AFTER INSERT ON otp.messages FOR EACH ROW
WHEN (NEW.final_at IS NOT NULL AND (NEW.status IN ('failed', 'undelivered') AND (NEW.error_code IS NOT NULL OR NEW.step IS NOT NULL)
    OR NEW.status IN ('busy', 'no-answer')))
EXECUTE FUNCTION otp.delivery_failed();
-- Fires once: when the status becomes final, or later when the error code of a final status becomes known.
CREATE TRIGGER failed AFTER UPDATE OF status, error_code, final_at ON otp.messages FOR EACH ROW
WHEN (NEW.final_at IS NOT NULL AND (NEW.status IN ('failed', 'undelivered') AND (NEW.error_code IS NOT NULL OR NEW.step IS NOT NULL)
    OR NEW.status IN ('busy', 'no-answer'))
    AND (OLD.final_at IS NULL OR OLD.error_code IS NULL AND NEW.error_code IS NOT NULL))
EXECUTE FUNCTION otp.delivery_failed();

GRANT EXECUTE ON FUNCTION otp.record_status TO otp_web;
GRANT SELECT, UPDATE ON otp.status_reports TO otp_worker;
GRANT EXECUTE ON FUNCTION otp.record_status TO otp_worker;

INSERT INTO otp.schema_migrations (version, name) VALUES (13, 'statuses');

-- Privacy: removes everything that names a person.

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

-- Verifications to be forgotten that had a send under way. A worker forgets each when its last send has ended, which takes
-- seconds, and if the outcome of a send is unknown, until its code has expired.
CREATE TABLE otp.pending_forgets (
    verification_id bigint PRIMARY KEY,
    redact_at_twilio boolean NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE otp.pending_forgets IS 'Verifications that are forgotten when their sends under way have ended.';

-- Messages of forgotten verifications whose texts are still to be emptied at Twilio. A row names nobody: only Twilio knows whose
-- message it is.
CREATE TABLE otp.pending_redactions (
    message_sid text COLLATE "C" PRIMARY KEY,
    due_at timestamptz DEFAULT now(),     -- null: every try failed
    tries smallint NOT NULL DEFAULT 0
);
CREATE INDEX pending_redactions_due ON otp.pending_redactions (due_at) WHERE due_at IS NOT NULL;
COMMENT ON TABLE otp.pending_redactions IS 'Messages of forgotten people whose texts otpd has yet to empty at Twilio.';

-- Forgets verifications with all that belongs to them, and returns how many rows of each table went. Those with a send under way
-- end now, and are forgotten later: a job in a worker's hands needs its row, or its outcome would be lost.
--
-- Locks are taken in the order of the other functions: messages, verifications, send jobs. From the verification's lock on, no
-- further send job of it is inserted. A job that ends meanwhile is either still seen as under way, or its message is seen below.
CREATE FUNCTION otp.forget_verifications(ids bigint[], redact boolean, OUT removed jsonb, OUT under_way bigint[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    rest bigint[];
    jobs bigint[];
    counted bigint;
BEGIN
    PERFORM FROM otp.messages m WHERE m.verification_id = ANY (ids) ORDER BY m.message_sid FOR UPDATE;
    PERFORM FROM otp.verifications v WHERE v.id = ANY (ids) ORDER BY v.id FOR UPDATE;
    DELETE FROM otp.send_jobs j WHERE j.verification_id = ANY (ids) AND j.state = 'queued';
    GET DIAGNOSTICS counted = ROW_COUNT;
    removed := jsonb_build_object('send_jobs', counted);
    under_way := ARRAY(SELECT DISTINCT j.verification_id FROM otp.send_jobs j WHERE j.verification_id = ANY (ids));
    rest := ARRAY(SELECT i FROM unnest(ids) i WHERE i <> ALL (under_way));
    UPDATE otp.verifications v SET canceled_at = clock_timestamp()
    WHERE v.id = ANY (under_way) AND v.verified_at IS NULL AND v.canceled_at IS NULL;
    INSERT INTO otp.pending_forgets AS f (verification_id, redact_at_twilio) SELECT u, redact FROM unnest(under_way) u
    ON CONFLICT (verification_id) DO UPDATE SET redact_at_twilio = f.redact_at_twilio OR excluded.redact_at_twilio;

    jobs := ARRAY(SELECT m.send_job_id FROM otp.messages m WHERE m.verification_id = ANY (rest)
        UNION ALL SELECT u.send_job_id FROM otp.unsent_jobs u WHERE u.verification_id = ANY (rest));
    DELETE FROM otp.status_reports r WHERE r.send_job_id = ANY (jobs);
    GET DIAGNOSTICS counted = ROW_COUNT;
    removed := removed || jsonb_build_object('status_reports', counted);
    DELETE FROM otp.step_waits w WHERE w.send_job_id = ANY (jobs);
    GET DIAGNOSTICS counted = ROW_COUNT;
    removed := removed || jsonb_build_object('step_waits', counted);
    IF redact THEN
        -- A call and an e-mail leave no text at Twilio.
        INSERT INTO otp.pending_redactions (message_sid)
        SELECT m.message_sid FROM otp.messages m
        WHERE m.verification_id = ANY (rest) AND m.channel IN ('sms', 'whatsapp') AND m.redacted_at IS NULL
        ON CONFLICT (message_sid) DO NOTHING;
    END IF;
    DELETE FROM otp.messages m WHERE m.verification_id = ANY (rest);
    GET DIAGNOSTICS counted = ROW_COUNT;
    removed := removed || jsonb_build_object('messages', counted);
    DELETE FROM otp.unsent_jobs u WHERE u.verification_id = ANY (rest);
    GET DIAGNOSTICS counted = ROW_COUNT;
    removed := removed || jsonb_build_object('unsent_jobs', counted);
    DELETE FROM otp.feedback_due f WHERE f.verification_id = ANY (rest);
    DELETE FROM otp.events e WHERE e.verification_id = ANY (rest);
    DELETE FROM otp.uncounted_codes u WHERE u.verification_id = ANY (rest);
    DELETE FROM otp.verifications v WHERE v.id = ANY (rest);
    GET DIAGNOSTICS counted = ROW_COUNT;
    removed := removed || jsonb_build_object('verifications', counted);
    DELETE FROM otp.pending_forgets f WHERE f.verification_id = ANY (rest);
END $$;

-- Forgets the verifications of a subject or of a phone number, a thousand at a time, and adds up the rows.
CREATE FUNCTION otp.forget_all(ids bigint[], redact boolean) RETURNS TABLE (relation text, removed bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sums jsonb := '{}';
    later bigint := 0;
    part record;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'a person can be forgotten only under READ COMMITTED',
            DETAIL = 'An older snapshot does not show the sends that end meanwhile.',
            HINT = 'Call the function in a transaction of its own.';
    END IF;
    FOR place IN 1..coalesce(cardinality(ids), 0) BY 1000 LOOP
        SELECT f.* INTO part FROM otp.forget_verifications(ids[place:place + 999], redact) f;
        later := later + cardinality(part.under_way);
        sums := (SELECT jsonb_object_agg(p.key, p.value::bigint + coalesce((sums ->> p.key)::bigint, 0))
            FROM jsonb_each_text(part.removed) p);
    END LOOP;
    RETURN QUERY SELECT t.name, coalesce((sums ->> t.name)::bigint, 0)
        FROM unnest('{verifications,send_jobs,messages,unsent_jobs,status_reports,step_waits}'::text[]) t (name);
    RETURN QUERY SELECT 'under_way', later;
END $$;

CREATE FUNCTION otp.forget(subject text, redact_at_twilio boolean DEFAULT false)
RETURNS TABLE (relation text, removed bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
#variable_conflict use_column
DECLARE
    counted bigint;
BEGIN
    RETURN QUERY SELECT * FROM otp.forget_all(
        ARRAY(SELECT v.id FROM otp.verifications v WHERE v.subject = forget.subject ORDER BY v.id), forget.redact_at_twilio IS TRUE);
    DELETE FROM otp.verified_before b WHERE b.subject = forget.subject;
    GET DIAGNOSTICS counted = ROW_COUNT;
    RETURN QUERY SELECT 'verified_before', counted;
    DELETE FROM otp.request_locks r WHERE r.subject = forget.subject;
    GET DIAGNOSTICS counted = ROW_COUNT;
    RETURN QUERY SELECT 'request_locks', counted;
END $$;
COMMENT ON FUNCTION otp.forget IS 'For operators: removes every row that names a subject, and with redact_at_twilio the texts at Twilio. Returns the rows per table. under_way: verifications whose sends have to end first; workers remove them. Safe to repeat.';

CREATE FUNCTION otp.forget_phone(phone_number text, region text DEFAULT NULL, redact_at_twilio boolean DEFAULT false)
RETURNS TABLE (relation text, removed bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
#variable_conflict use_column
DECLARE
    parsed record;
    wanted text;
    counted bigint;
BEGIN
    SELECT p.* INTO parsed FROM otp.parse_phone_number(forget_phone.phone_number,
        coalesce(forget_phone.region, (SELECT s.region FROM otp.settings s))) p;
    -- A number that was stored may be invalid by a newer table of numbers.
    wanted := coalesce(parsed.e164, parsed.unused,
        CASE WHEN forget_phone.phone_number COLLATE "C" ~ '^[+][1-9][0-9]{6,14}$' THEN forget_phone.phone_number END);
    IF wanted IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OT002', MESSAGE = 'invalid phone number: ' || parsed.reason,
            HINT = 'Give the number in the form +966501234567.';
    END IF;
    RETURN QUERY SELECT * FROM otp.forget_all(
        ARRAY(SELECT v.id FROM otp.verifications v WHERE v.e164 = wanted ORDER BY v.id), forget_phone.redact_at_twilio IS TRUE);
    DELETE FROM otp.verified_before b WHERE b.e164 = wanted;
    GET DIAGNOSTICS counted = ROW_COUNT;
    RETURN QUERY SELECT 'verified_before', counted;
    DELETE FROM otp.test_numbers t WHERE t.e164 = wanted;
    GET DIAGNOSTICS counted = ROW_COUNT;
    RETURN QUERY SELECT 'test_numbers', counted;
    DELETE FROM otp.number_risks r WHERE r.key = otp.counter_key('phone', wanted);
    GET DIAGNOSTICS counted = ROW_COUNT;
    RETURN QUERY SELECT 'number_risks', counted;
END $$;
COMMENT ON FUNCTION otp.forget_phone IS 'For operators: removes every row that names a phone number in any spelling. Otherwise as otp.forget.';

-- For workers: forgets the verifications whose sends have ended, and takes messages whose texts are to be emptied at Twilio. Sets
-- when each is due again: a minute later, then after twice the time each, at most an hour, twelve times in all.
CREATE FUNCTION otp.take_redactions(batch int, OUT message_sid text, OUT is_last_try boolean) RETURNS SETOF record
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    ended record;
BEGIN
    FOR ended IN
        SELECT f.verification_id, f.redact_at_twilio FROM otp.pending_forgets f
        WHERE NOT EXISTS (SELECT FROM otp.send_jobs j WHERE j.verification_id = f.verification_id AND j.state <> 'queued')
        LIMIT batch FOR UPDATE OF f SKIP LOCKED
    LOOP
        PERFORM otp.forget_verifications(ARRAY[ended.verification_id], ended.redact_at_twilio);
    END LOOP;
    RETURN QUERY
    UPDATE otp.pending_redactions r
    SET tries = r.tries + 1,
        due_at = CASE WHEN r.tries < 11 THEN now() + least(interval '1 hour', interval '1 minute' * 2 ^ r.tries) END
    WHERE r.message_sid = ANY (ARRAY(
        SELECT d.message_sid FROM otp.pending_redactions d WHERE d.due_at <= now() ORDER BY d.due_at LIMIT batch
        FOR UPDATE SKIP LOCKED))
    RETURNING r.message_sid, r.due_at IS NULL;
END $$;
COMMENT ON FUNCTION otp.take_redactions IS 'For workers: forgets verifications whose sends have ended, and takes the messages whose texts are to be emptied at Twilio.';

GRANT SELECT, DELETE ON otp.pending_redactions TO otp_worker;
GRANT SELECT ON otp.pending_forgets TO otp_worker;
GRANT EXECUTE ON FUNCTION otp.take_redactions TO otp_worker;
GRANT SELECT ON otp.pending_redactions, otp.pending_forgets TO otp_monitor, otp_admin;
GRANT EXECUTE ON FUNCTION otp.forget, otp.forget_phone TO otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (25, 'privacy');

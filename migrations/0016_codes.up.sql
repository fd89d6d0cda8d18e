-- The functions that backends call: request, verify, cancel. And the hook that sends a code of Supabase Auth.

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

-- Wrong tries per key and day. The key is otp.counter_key of a phone number. For every other failure (no such verification, used, expired) the key
-- belongs to the calling session. Each failure thus writes a row, so its duration does not reveal its cause. A transaction
-- that stays open does not block the failures of other sessions.
CREATE TABLE otp.verify_failures (
    key text COLLATE "C" NOT NULL,
    day date NOT NULL,
    failures int NOT NULL,
    PRIMARY KEY (key, day)
) WITH (fillfactor = 70);

-- One row per subject and purpose. Its lock lets one caller at a time create the live verification.
CREATE TABLE otp.request_locks (
    subject text COLLATE "C" NOT NULL,
    purpose text COLLATE "C" NOT NULL,
    requests bigint NOT NULL DEFAULT 1,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (subject, purpose)
) WITH (fillfactor = 70);

-- Ends the queued jobs of a verification as canceled. A job under way cannot be recalled. The function is written in PL/pgSQL,
-- which keeps its plan. As an SQL function it is planned at each call, and takes 150 µs instead of 10.
CREATE FUNCTION otp.cancel_queued_sends(verification_id bigint, why text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    WITH gone AS (
        DELETE FROM otp.send_jobs j
        WHERE j.verification_id = cancel_queued_sends.verification_id AND j.state = 'queued'
        RETURNING j.*
    )
    INSERT INTO otp.unsent_jobs (send_job_id, verification_id, channel, state, attempts, error, requested_at, follows)
    SELECT g.id, g.verification_id, g.channel, 'canceled', g.attempt, why, g.requested_at, g.follows FROM gone g;
END $$;

CREATE FUNCTION otp.verify(
    subject text, code text, purpose text DEFAULT 'phone_verification', phone_number text DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    session_secret CONSTANT text := otp.session_secret();
    typed CONSTANT text := CASE WHEN octet_length(verify.code) > 256 THEN NULL
        WHEN verify.code COLLATE "C" ~ '^[0-9]{4,12}$' THEN verify.code ELSE otp.read_typed(verify.code) END;
    -- A text that cannot be a code does not count as a try, such as a word or an empty text. It takes the same time.
    is_code CONSTANT boolean := coalesce(typed COLLATE "C" ~ '^[A-Za-z0-9]{4,12}$', false);
    blind CONSTANT bytea := otp.random_bytes(32);
    moment CONSTANT timestamptz := clock_timestamp();
    settings otp.settings;
    newest otp.verifications;
    secret text;
    failure_key text;
    nobodys_key text;
    failures_today int;
    today date;
    live boolean;
    right_code boolean;
    passed boolean := false;
    wanted_e164 text;
    context text;
    is_unbounded CONSTANT boolean := current_setting('lock_timeout') = '0';
    nothing text;
BEGIN
    IF pg_current_xact_id_if_assigned() IS NOT NULL
        OR statement_timestamp() > transaction_timestamp() + interval '100 milliseconds' THEN
        RAISE WARNING 'otp.verify runs inside a longer transaction: if that rolls back, this try is not counted'
            USING HINT = 'Call otp.verify in autocommit mode, or alone in a transaction.';
    END IF;
    SELECT s.* INTO settings FROM otp.settings s;
    BEGIN
        IF is_unbounded THEN
            nothing := set_config('lock_timeout', otp.lock_timeout(), true);
        END IF;
        SELECT v.* INTO newest FROM otp.verifications v
        WHERE v.subject = verify.subject AND v.purpose = coalesce(verify.purpose, 'phone_verification')
        ORDER BY v.created_at DESC, v.id DESC LIMIT 1 FOR NO KEY UPDATE;
        today := (moment AT TIME ZONE settings.timezone)::date;
        nobodys_key := 'no live verification ' || (pg_backend_pid() & 65535);
        IF newest.id IS NULL THEN   -- lock a row here too, so that this case takes the same time
            PERFORM FROM otp.verify_failures f WHERE f.key = nobodys_key AND f.day = today FOR NO KEY UPDATE;
        END IF;

        -- A code that was sealed with a secret unknown to this session raises OT003, and does not count as a try.
        secret := otp.secret_for(coalesce(newest.key_id, ''));
        IF newest.id IS NULL THEN
            secret := session_secret;
        ELSIF secret IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'OT003',
                MESSAGE = 'the session''s otp.secret is not the one the code was sealed with',
                HINT = 'Give the session the daemon''s OTPD_SECRET as otp.secret. While you change the secret, give it the old one as '
                    'otp.secret_previous.';
        END IF;

        live := newest.id IS NOT NULL AND newest.verified_at IS NULL AND newest.canceled_at IS NULL
            AND newest.expires_at > moment AND newest.attempts < settings.max_attempts;
        -- Both sides are hashed again with a random key of this call, so the comparison's duration reveals nothing.
        right_code := otp.hmac_sha256(otp.hash_code(CASE WHEN newest.is_test THEN 0 ELSE coalesce(newest.id, 0) END,
                CASE WHEN newest.is_test THEN '' ELSE coalesce(newest.subject, '') END,
                CASE WHEN newest.is_test THEN '' ELSE coalesce(newest.purpose, '') END, coalesce(newest.e164, ''), coalesce(typed, ''), secret), blind)
            = otp.hmac_sha256(coalesce(newest.code_hash, E'\\x00'), blind);
        IF verify.phone_number IS NOT NULL THEN
            -- Parse the number even if the code is wrong. In one expression a wrong code would skip it, and be faster.
            wanted_e164 := (otp.parse_phone_number(verify.phone_number, coalesce(newest.region, settings.region))).e164;
            right_code := right_code AND coalesce(newest.e164 = wanted_e164, false);
        END IF;

        -- Count the try first, and take it back if the code was right. The row's lock keeps two calls from using the same last try.
        failure_key := CASE WHEN live AND is_code THEN otp.counter_key('phone', newest.e164) ELSE nobodys_key END;
        INSERT INTO otp.verify_failures AS f (key, day, failures) VALUES (failure_key, today, 1)
        ON CONFLICT (key, day) DO UPDATE SET failures = f.failures + 1
        RETURNING f.failures INTO failures_today;

        IF live AND right_code AND failures_today <= settings.max_failures_per_day THEN
            UPDATE otp.verify_failures f SET failures = f.failures - 1 WHERE f.key = failure_key AND f.day = today;
            UPDATE otp.verifications v SET verified_at = moment WHERE v.id = newest.id;
            nothing := otp.cancel_queued_sends(newest.id, 'The code has been used.');
            IF newest.other_channels IS NOT NULL THEN
                nothing := otp.code_ended(newest.id);
            END IF;
            IF newest.is_test IS NULL THEN
                nothing := otp.note_use(newest.id, newest.other_channels);
            END IF;
            IF settings.message_feedback THEN
                INSERT INTO otp.feedback_due (verification_id, verified_at) VALUES (newest.id, moment) ON CONFLICT DO NOTHING;
            END IF;
            passed := true;
        ELSE
            -- Every failure writes two rows. Without a verification, the second write is to the row of the failure again.
            UPDATE otp.verifications v SET attempts = v.attempts + (live AND is_code)::int WHERE v.id = newest.id;
            IF NOT FOUND THEN
                UPDATE otp.verify_failures f SET failures = f.failures WHERE f.key = failure_key AND f.day = today;
            END IF;
        END IF;
        IF is_unbounded THEN
            nothing := set_config('lock_timeout', '0', true);
        END IF;
    EXCEPTION WHEN lock_not_available THEN
        GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
        PERFORM otp.refuse_wait(context);
    END;
    RETURN passed;
END $$;
COMMENT ON FUNCTION otp.verify IS 'True once, for the right, unexpired and unused code of the newest verification. Call it in a transaction of its own.';

CREATE FUNCTION otp.cancel(verification_id bigint, subject text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_live boolean;
    context text;
    is_unbounded CONSTANT boolean := current_setting('lock_timeout') = '0';
    nothing text;
BEGIN
    BEGIN
        IF is_unbounded THEN
            nothing := set_config('lock_timeout', otp.lock_timeout(), true);
        END IF;
        UPDATE otp.verifications v SET canceled_at = clock_timestamp()
        WHERE v.id = cancel.verification_id AND v.subject = cancel.subject
            AND v.verified_at IS NULL AND v.canceled_at IS NULL;
        is_live := FOUND;
        IF is_live THEN
            PERFORM otp.cancel_queued_sends(cancel.verification_id, 'The verification was canceled.');
            PERFORM otp.code_ended(cancel.verification_id);
        END IF;
        IF is_unbounded THEN
            nothing := set_config('lock_timeout', '0', true);
        END IF;
    EXCEPTION WHEN lock_not_available THEN
        GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
        PERFORM otp.refuse_wait(context);
    END;
    RETURN is_live;
END $$;
COMMENT ON FUNCTION otp.cancel IS 'Ends a verification: no further sends, and its code becomes invalid. False if the subject has no such live verification.';

CREATE FUNCTION otp.request(
    subject text, phone_number text, locale text DEFAULT NULL, purpose text DEFAULT NULL, region text DEFAULT NULL,
    ttl interval DEFAULT NULL, client_ip inet DEFAULT NULL, channel text DEFAULT NULL, email text DEFAULT NULL,
    OUT verification_id bigint, OUT expires_at timestamptz, OUT resend_after timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    settings otp.settings;
    newest otp.verifications;
    wanted_purpose CONSTANT text := coalesce(request.purpose, 'phone_verification');
    wanted_e164 text;
    wanted_locale text;
    wanted_email CONSTANT text := otp.checked_email(request.email);
    phone_key text;
    subject_key text;
    client_key text;
    moment timestamptz;
    context text;
    is_unbounded CONSTANT boolean := current_setting('lock_timeout') = '0';
    nothing text;
BEGIN
    nothing := otp.session_secret();
    SELECT s.* INTO settings FROM otp.settings s;
    -- Values that the insert of a verification refuses take no lock here and leave no row.
    IF length(request.phone_number) BETWEEN 1 AND 256 AND length(request.subject) BETWEEN 1 AND 200
            AND length(wanted_purpose) <= 50 THEN
        BEGIN
            IF is_unbounded THEN
                nothing := set_config('lock_timeout', otp.lock_timeout(), true);
            END IF;
            INSERT INTO otp.request_locks AS r (subject, purpose) VALUES (request.subject, wanted_purpose)
            ON CONFLICT (subject, purpose) DO UPDATE SET requests = r.requests + 1, requested_at = clock_timestamp();
            SELECT v.* INTO newest FROM otp.verifications v
            WHERE v.subject = request.subject AND v.purpose = wanted_purpose
            ORDER BY v.created_at DESC, v.id DESC LIMIT 1 FOR NO KEY UPDATE;
        EXCEPTION WHEN lock_not_available THEN
            GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
            PERFORM otp.refuse_wait(context);
        END;
        moment := clock_timestamp();
        IF newest.verified_at IS NOT NULL OR newest.canceled_at IS NOT NULL OR newest.expires_at <= moment
            OR newest.attempts >= settings.max_attempts THEN
            newest := NULL;
        END IF;
    END IF;
    -- Parse the number once: here to compare it with the live verification's, and otherwise in the insert.
    IF newest.id IS NOT NULL THEN
        wanted_e164 := (otp.parse_phone_number(request.phone_number, coalesce(request.region, settings.region))).e164;
    END IF;
    IF newest.id IS NULL THEN
        NULL;
    ELSIF wanted_e164 IS NULL THEN      -- the insert below raises the error with the reason
        newest := NULL;
    ELSIF newest.e164 <> wanted_e164 OR newest.email IS DISTINCT FROM coalesce(wanted_email, newest.email) THEN
        UPDATE otp.verifications v SET canceled_at = moment WHERE v.id = newest.id;
        PERFORM otp.cancel_queued_sends(newest.id, 'The user requested a code for another phone number or e-mail address.');
        PERFORM otp.code_ended(newest.id);
        newest := NULL;
    ELSIF newest.expires_at < moment + interval '60 seconds' OR otp.secret_for(newest.key_id) IS NULL THEN
        newest := NULL;
    END IF;
    IF newest.id IS NULL THEN
        INSERT INTO otp.verifications (subject, phone_number, locale, purpose, region, expires_at, client_ip, email)
        VALUES (request.subject, request.phone_number, request.locale, wanted_purpose, request.region,
            clock_timestamp() + CASE WHEN request.ttl BETWEEN interval '-1 day' AND interval '1 day' THEN request.ttl
                WHEN request.ttl IS NOT NULL THEN interval '1 day' END, request.client_ip, wanted_email)
        RETURNING id, verifications.expires_at, e164 INTO verification_id, expires_at, wanted_e164;
    ELSE
        verification_id := newest.id;
        expires_at := newest.expires_at;
        -- The caller gave the subject and the phone number, so its login role may send the code too. The text is in the language
        -- of this request, and the send counts for the client address of this request.
        wanted_locale := CASE WHEN request.locale IS NULL THEN newest.locale
            ELSE otp.required_locale(wanted_purpose, request.locale) END;
        UPDATE otp.verifications v
        SET created_by = session_user, locale = wanted_locale, client_ip = request.client_ip
        WHERE v.id = newest.id AND (v.created_by, v.locale, v.client_ip)
            IS DISTINCT FROM (session_user::text, wanted_locale, request.client_ip);
    END IF;
    INSERT INTO otp.send_jobs (verification_id, channel) VALUES (request.verification_id, request.channel);
    IF is_unbounded THEN
        nothing := set_config('lock_timeout', '0', true);
    END IF;
    phone_key := otp.counter_key('phone', wanted_e164);
    subject_key := otp.counter_key('subject', request.subject);
    IF request.client_ip IS NOT NULL THEN
        client_key := otp.counter_key('client_ip', otp.client_key(request.client_ip));
    END IF;
    -- Three reads by the whole key, so that a plan from the time when the table was small never becomes a scan.
    SELECT greatest(clock_timestamp(), max(c.sent_at[cardinality(c.sent_at) + 1 - l.max_sends] + l.period))
    INTO resend_after
    FROM otp.limits l JOIN (
        SELECT p.scope, p.sent_at FROM otp.send_counts p WHERE p.key = phone_key AND p.scope = 'phone'
        UNION ALL
        SELECT u.scope, u.sent_at FROM otp.send_counts u WHERE u.key = subject_key AND u.scope = 'subject'
        UNION ALL
        SELECT i.scope, i.sent_at FROM otp.send_counts i
        WHERE i.key = client_key AND i.scope = 'client_ip') c ON c.scope = l.scope AND l.channel = '*';
END $$;
COMMENT ON FUNCTION otp.request IS 'Sends a code; while a code is live, the same one again. OT001 too many requests, OT002 invalid phone number, OT003 secret, OT004 locale or purpose, OT005 country.';

-- The "Send SMS" hook of Supabase Auth, as a Postgres function. Supabase makes the code and verifies it, so this only sends it.
-- Returns what the hook expects: an empty object, or an error with a status of HTTP. The session needs otp.secret.
CREATE FUNCTION otp.send_sms_hook(event jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Newer versions of Supabase Auth name the phone of this message, which is not the user's if a second factor has its own.
    phone text := coalesce(nullif(event #>> '{sms,phone}', ''), event #>> '{user,phone}');
    verification bigint;
BEGIN
    -- Supabase Auth stores international numbers without the plus.
    IF phone ~ '^[1-9][0-9]{6,14}$' THEN
        phone := '+' || phone;
    END IF;
    INSERT INTO otp.verifications (subject, phone_number, code, locale)
    VALUES (event #>> '{user,id}', phone, coalesce(event #>> '{sms,otp}', ''), (
        SELECT t.locale FROM otp.templates t
        WHERE t.purpose = 'phone_verification' AND t.locale = event #>> '{user,user_metadata,locale}'))
    RETURNING id INTO verification;
    INSERT INTO otp.send_jobs (verification_id) VALUES (verification);
    RETURN '{}';
EXCEPTION
    WHEN SQLSTATE 'OT001' THEN
        RETURN jsonb_build_object('error', jsonb_build_object('http_code', 429, 'message', SQLERRM));
    WHEN SQLSTATE 'OT002' OR SQLSTATE 'OT005' OR SQLSTATE 'OT007' THEN
        RETURN jsonb_build_object('error', jsonb_build_object('http_code', 400, 'message', SQLERRM));
END $$;
COMMENT ON FUNCTION otp.send_sms_hook IS 'The Send SMS hook of Supabase Auth: sends the code of the event to its phone. Supabase verifies the code.';

GRANT EXECUTE ON FUNCTION otp.request, otp.verify, otp.cancel TO otp_web;

INSERT INTO otp.schema_migrations (version, name) VALUES (16, 'codes');

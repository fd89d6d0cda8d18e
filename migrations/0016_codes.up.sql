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

-- Wrong tries per key and day. A subject that has verified the phone number before has a key of its own (otp.own_failures). All
-- other subjects share the key of the phone number (otp.counter_key), so strangers cannot use up the tries of its user. For every other
-- failure (no such verification, used, expired) the key belongs to the calling session. Each failure thus writes a row, so its
-- duration does not reveal its cause. A transaction that stays open does not block the failures of other sessions.
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

-- Registers: wrong tries that a rollback does not undo. A backend may roll back the transaction or the savepoint of a wrong try,
-- and the rows of that try are gone. The state of a sequence stays, because setval is not part of the transaction. Each register
-- is a sequence whose value is the id of a verification, times 32768, plus the number of its wrong tries.
-- A verification uses one of two registers, which a hash chooses. The key of the hash is secret, so that strangers cannot aim at
-- the registers of another code. A register is free for another verification as soon as the rows contain its tries.
-- Without rollbacks that is so at each commit. Otherwise otp.settle_tries writes them to the rows, once a minute.
-- setval is in the WAL, so a crash of the server loses at most the tries of its last moments, and a dump contains the registers.
DO $$
BEGIN
    FOR register IN 0..255 LOOP
        EXECUTE format('CREATE SEQUENCE otp.tries_%s', lpad(register::text, 3, '0'));
    END LOOP;
END $$;

-- The key of that hash and of the locks of the registers.
CREATE SEQUENCE otp.tries_key;
DO $$
BEGIN
    PERFORM setval('otp.tries_key', ('x' || left(replace(gen_random_uuid()::text, '-', ''), 12))::bit(48)::bigint | 1);
END $$;
-- What the failures write that use no register. Each failure thus takes the same time.
CREATE SEQUENCE otp.tries_decoy;
CREATE SEQUENCE otp.refused_decoy;
CREATE SEQUENCE otp.backend_decoy;

-- Wrong and right tries of all backends, in ten minutes each. These are sequences for the same reason, and because all sessions
-- of a backend write them without waiting for each other. Login roles are spread over 16 of each kind by their names; roles with
-- the same one share a limit. The value is the number of the ten minutes, times 2³², plus the count.
DO $$
BEGIN
    FOR number IN 0..15 LOOP
        EXECUTE format('CREATE SEQUENCE otp.backend_wrong_%s', lpad(number::text, 2, '0'));
        EXECUTE format('CREATE SEQUENCE otp.backend_right_%s', lpad(number::text, 2, '0'));
    END LOOP;
END $$;

-- The count of wrong or right tries of the session's login role.
CREATE FUNCTION otp.backend_count(kind text) RETURNS regclass
LANGUAGE sql STABLE
RETURN (format('otp.backend_%s_%s', kind, lpad((hashtext(session_user::text) & 15)::text, 2, '0')))::regclass;

CREATE FUNCTION otp.count_in_window(counter regclass) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    start CONSTANT bigint := floor(date_part('epoch', clock_timestamp()) / 600)::bigint << 32;
BEGIN
    IF pg_sequence_last_value(counter) >= start THEN
        PERFORM nextval(counter);
    ELSE
        PERFORM setval(counter, start + 1);
    END IF;
END $$;

-- The count of these ten minutes.
CREATE FUNCTION otp.window_count(counter regclass) RETURNS bigint
LANGUAGE sql VOLATILE
RETURN greatest(0, coalesce(pg_sequence_last_value(counter), 0)
    - (floor(date_part('epoch', clock_timestamp()) / 600)::bigint << 32));

-- The key of the wrong tries of a subject that has verified the phone number before.
CREATE FUNCTION otp.own_failures(e164 text, subject text) RETURNS text
LANGUAGE sql VOLATILE PARALLEL RESTRICTED
RETURN otp.counter_key('phone', e164) || ' ' || otp.counter_key('subject', subject);

-- Whether the subject has verified the phone number before, by the rule of otp.verified_phones. The indexes begin with the subject.
CREATE FUNCTION otp.has_verified(subject text, e164 text) RETURNS boolean
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
    RETURN EXISTS (
            SELECT FROM otp.verifications v
            WHERE v.subject = has_verified.subject AND v.e164 = has_verified.e164 AND v.verified_at IS NOT NULL
                AND NOT coalesce('email' = ANY (v.other_channels), false))
        OR EXISTS (
            SELECT FROM otp.verified_before b WHERE b.subject = has_verified.subject AND b.e164 = has_verified.e164);
END $$;

CREATE FUNCTION otp.register_of(number bigint) RETURNS regclass
LANGUAGE sql STABLE
RETURN ('otp.tries_' || lpad(number::text, 3, '0'))::regclass;

-- The wrong tries of a verification that its registers hold. The rows may have more, or fewer after a rollback.
CREATE FUNCTION otp.registered_tries(verification_id bigint) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    hash CONSTANT bigint := hashint8extended(verification_id, pg_sequence_last_value('otp.tries_key'));
    held bigint;
    tries int := 0;
BEGIN
    FOR way IN 0..1 LOOP
        held := pg_sequence_last_value(otp.register_of((way << 7) + ((hash >> (7 * way)) & 127)));
        IF held >> 15 = verification_id THEN
            tries := greatest(tries, (held & 32767)::int);
        END IF;
    END LOOP;
    RETURN tries;
END $$;

-- Whether a register with this value may take another verification: its tries are in the rows, or too old to matter.
CREATE FUNCTION otp.is_free(held bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    RETURN held IS NULL OR NOT EXISTS (
        SELECT FROM otp.verifications v
        WHERE v.id = held >> 15 AND v.attempts < held & 32767 AND v.created_at > clock_timestamp() - interval '20 minutes');
END $$;

-- Finds a register for the next wrong try of a verification, and locks it until the transaction ends. Returns also the wrong
-- tries that the registers hold, and whether none knows the verification yet. Only the holder of the lock writes a register,
-- so no try of another verification is lost. If both registers have tries of other verifications that are not in the rows,
-- the one with the fewest is taken over with its number. The registers thus allow at most 256 times max_attempts tries that
-- are not in the rows, however many codes are used.
CREATE FUNCTION otp.hold_register(verification_id bigint, OUT register regclass, OUT tries int, OUT is_new boolean)
LANGUAGE plpgsql AS $$
DECLARE
    key CONSTANT bigint := pg_sequence_last_value('otp.tries_key');
    hash CONSTANT bigint := hashint8extended(verification_id, key);
    held bigint;
    number bigint;
    own bigint;
    unused bigint;
    unused_value bigint;
    fewest bigint;
    found_at bigint;
BEGIN
    tries := 0;
    is_new := true;
    FOR way IN 0..1 LOOP
        number := (way << 7) + ((hash >> (7 * way)) & 127);
        held := pg_sequence_last_value(otp.register_of(number));
        IF held >> 15 = verification_id THEN
            tries := greatest(tries, (held & 32767)::int);
            own := number;
            is_new := false;
        ELSIF unused IS NULL AND otp.is_free(held) THEN
            unused := number;
            unused_value := held;
        END IF;
    END LOOP;
    -- As a rule, one look is enough: the register that it has, or a free one.
    found_at := coalesce(own, unused);
    IF found_at IS NOT NULL AND pg_try_advisory_xact_lock(hashint8extended(found_at, key)) THEN
        held := pg_sequence_last_value(otp.register_of(found_at));
        IF held >> 15 = verification_id OR own IS NULL AND held IS NOT DISTINCT FROM unused_value THEN
            register := otp.register_of(found_at);
            RETURN;
        END IF;
    END IF;
    found_at := NULL;
    -- 1: a register that it has; 2: a free one; 3: the one with the fewest tries. Locks of other transactions are passed over.
    FOR pass IN 1..3 LOOP
        FOR way IN 0..1 LOOP
            number := (way << 7) + ((hash >> (7 * way)) & 127);
            held := pg_sequence_last_value(otp.register_of(number));
            CONTINUE WHEN CASE pass WHEN 1 THEN held >> 15 IS DISTINCT FROM verification_id WHEN 2 THEN NOT otp.is_free(held) END;
            CONTINUE WHEN NOT pg_try_advisory_xact_lock(hashint8extended(number, key));
            held := pg_sequence_last_value(otp.register_of(number));
            CONTINUE WHEN CASE pass WHEN 1 THEN held >> 15 IS DISTINCT FROM verification_id WHEN 2 THEN NOT otp.is_free(held) END;
            IF pass < 3 THEN
                register := otp.register_of(number);
                RETURN;
            ELSIF fewest IS NULL OR held & 32767 < fewest THEN
                fewest := held & 32767;
                found_at := number;
            END IF;
        END LOOP;
    END LOOP;
    IF found_at IS NULL THEN
        found_at := hash & 127;
        PERFORM pg_advisory_xact_lock(hashint8extended(found_at, key));
        held := pg_sequence_last_value(otp.register_of(found_at));
        fewest := CASE WHEN held >> 15 = verification_id OR otp.is_free(held) THEN 0 ELSE held & 32767 END;
    END IF;
    register := otp.register_of(found_at);
    tries := greatest(tries, fewest);
END $$;

-- Adds to this hour's count of wrong tries above right ones of a client address. It is spread over as many rows (shards) as there
-- are writers at once, as in otp.count_send.
CREATE FUNCTION otp.count_try(key text, amount int) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    starts CONSTANT timestamptz := date_bin('1 hour', clock_timestamp(), 'epoch');
BEGIN
    UPDATE otp.shared_counts c SET amount = c.amount + count_try.amount
    WHERE c.starts_at = starts AND c.key = count_try.key AND c.scope = 'client_failures' AND c.period = '1 hour'
        AND c.shard = (
            SELECT o.shard FROM otp.shared_counts o
            WHERE o.starts_at = starts AND o.key = count_try.key AND o.scope = 'client_failures' AND o.period = '1 hour'
                AND o.shard >= 0
            ORDER BY o.shard LIMIT 1 FOR UPDATE SKIP LOCKED);
    IF FOUND THEN
        RETURN;
    END IF;
    INSERT INTO otp.shared_counts AS c (scope, key, period, starts_at, shard, amount)
    VALUES ('client_failures', count_try.key, '1 hour', starts, pg_backend_pid() & 32767, count_try.amount)
    ON CONFLICT (starts_at, key, scope, period, shard) DO UPDATE SET amount = c.amount + excluded.amount;
END $$;

-- Refuses a try whose client address or login role has too many wrong tries above right ones. The decision comes before any
-- comparison, so it does not depend on the code. Subjects that have verified the phone number before are not refused for the
-- tries of others at the same login role.
CREATE FUNCTION otp.refuse_try(client_key text, is_known boolean, settings otp.settings) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    scope text;
    period interval;
BEGIN
    IF client_key IS NOT NULL AND otp.shared_sum('client_failures', client_key, '1 hour', date_bin('1 hour', moment, 'epoch'))
            >= settings.max_failures_per_client THEN
        scope := 'client_failures';
        period := '1 hour';
    ELSIF NOT is_known AND otp.window_count(otp.backend_count('wrong'))
            >= settings.max_failures_per_backend + otp.window_count(otp.backend_count('right')) THEN
        scope := 'backend_failures';
        period := '10 minutes';
    ELSE
        RETURN;
    END IF;
    PERFORM nextval(('otp.refused_' || scope)::regclass);
    RAISE EXCEPTION USING ERRCODE = 'OT001',
        MESSAGE = 'too many wrong codes ' || CASE scope WHEN 'client_failures' THEN 'from this client address'
            ELSE 'from subjects that have not verified their phone number before' END,
        DETAIL = format('retry_after=%s window=%s scope=%s',
            greatest(1, ceil(extract(epoch FROM date_bin(period, moment, 'epoch') + period - moment))::bigint),
            extract(epoch FROM period)::bigint, scope),
        HINT = CASE scope WHEN 'client_failures' THEN 'The limit is otp.settings.max_failures_per_client.'
            ELSE 'Somebody may be guessing codes. The limit is otp.settings.max_failures_per_backend.' END;
END $$;

-- Writes wrong tries that were rolled back to the rows: the verification, the day's count of its phone number, and the count
-- of the client that requested it. The caller holds the verification's lock.
CREATE FUNCTION otp.settle_tries_of(verification otp.verifications, tries int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    is_known CONSTANT boolean := otp.has_verified(verification.subject, verification.e164);
    lost CONSTANT int := tries - verification.attempts;
BEGIN
    UPDATE otp.verifications v SET attempts = tries WHERE v.id = verification.id;
    INSERT INTO otp.verify_failures AS f (key, day, failures)
    SELECT CASE WHEN is_known THEN otp.own_failures(verification.e164, verification.subject) ELSE otp.counter_key('phone', verification.e164) END,
        (clock_timestamp() AT TIME ZONE s.timezone)::date, lost
    FROM otp.settings s
    ON CONFLICT (key, day) DO UPDATE SET failures = f.failures + excluded.failures;
    IF verification.client_ip IS NOT NULL THEN
        PERFORM otp.count_try(otp.counter_key('client_ip', otp.client_key(verification.client_ip)), lost);
    END IF;
END $$;

-- The same for all registers. Workers call it once a minute (otp.record_history). A locked row is left to the next call, and so
-- is a try whose transaction is still open, because that holds its verification.
CREATE FUNCTION otp.settle_tries() RETURNS int
LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    behind record;
    verification otp.verifications;
    lock_timeout CONSTANT text := current_setting('lock_timeout');
    settled int := 0;
BEGIN
    PERFORM set_config('lock_timeout', '100ms', true);
    FOR behind IN
        SELECT r.held >> 15 AS id, max(r.held & 32767)::int AS tries
        FROM (SELECT pg_sequence_last_value(otp.register_of(n)) AS held FROM generate_series(0, 255) n) r
        GROUP BY 1 ORDER BY 1
    LOOP
        BEGIN
            SELECT v.* INTO verification FROM otp.verifications v
            WHERE v.id = behind.id AND v.attempts < behind.tries FOR NO KEY UPDATE SKIP LOCKED;
            IF FOUND THEN
                PERFORM otp.settle_tries_of(verification, behind.tries);
                settled := settled + 1;
            END IF;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN NULL;
        END;
    END LOOP;
    PERFORM set_config('lock_timeout', lock_timeout, true);
    RETURN settled;
END $$;

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
    INSERT INTO otp.unsent_jobs (send_job_id, verification_id, channel, state, attempts, error, requested_at, follows, traceparent)
    SELECT g.id, g.verification_id, g.channel, 'canceled', g.attempt, why, g.requested_at, g.follows, g.traceparent FROM gone g;
END $$;

CREATE FUNCTION otp.verify(
    subject text, code text, purpose text DEFAULT 'phone_verification', phone_number text DEFAULT NULL,
    client_ip inet DEFAULT NULL)
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
    client_key CONSTANT text := CASE WHEN verify.client_ip IS NOT NULL
        THEN otp.counter_key('client_ip', otp.client_key(verify.client_ip)) END;
    failure_key text;
    nobodys_key text;
    shared_key text;
    own_key text;
    failures_today int;
    today date;
    live boolean;
    is_known boolean;   -- the subject has verified the phone number before
    tries int;          -- wrong tries of the code before this one, also those that were rolled back
    register regclass;
    is_new boolean;     -- no register knows the code yet
    is_rolled_back boolean;
    is_counted boolean;
    right_code boolean;
    passed boolean := false;
    wanted_e164 text;
    context text;
    is_unbounded CONSTANT boolean := current_setting('lock_timeout') = '0';
    nothing text;
BEGIN
    IF pg_current_xact_id_if_assigned() IS NOT NULL
        OR statement_timestamp() > transaction_timestamp() + interval '100 milliseconds' THEN
        RAISE WARNING 'otp.verify runs inside a longer transaction: if that rolls back, the result of this try is lost'
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

        is_known := otp.has_verified(verify.subject, coalesce(newest.e164, ''));
        -- Both keys are made in every case, so that the duration does not tell which one counts.
        shared_key := otp.counter_key('phone', coalesce(newest.e164, ''));
        own_key := otp.own_failures(coalesce(newest.e164, ''), verify.subject);
        IF client_key IS NOT NULL OR otp.window_count(otp.backend_count('wrong')) >= settings.max_failures_per_backend THEN
            nothing := otp.refuse_try(client_key, is_known, settings);
        END IF;

        -- Also a failure without a live code finds and locks a register, and does not use it.
        SELECT h.register, greatest(h.tries, newest.attempts), h.is_new INTO register, tries, is_new
        FROM otp.hold_register(coalesce(newest.id, pg_backend_pid())) h;
        live := newest.id IS NOT NULL AND newest.verified_at IS NULL AND newest.canceled_at IS NULL
            AND newest.expires_at > moment AND newest.attempts < settings.max_attempts;
        is_rolled_back := live AND tries >= settings.max_attempts;
        live := live AND NOT is_rolled_back;
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
        is_counted := live AND is_code;
        failure_key := CASE WHEN NOT is_counted THEN nobodys_key
            WHEN is_known THEN own_key ELSE shared_key END;
        -- Tries that were rolled back are counted here too.
        INSERT INTO otp.verify_failures AS f (key, day, failures)
        VALUES (failure_key, today, 1 + CASE WHEN is_counted THEN tries - newest.attempts ELSE 0 END)
        ON CONFLICT (key, day) DO UPDATE SET failures = f.failures + excluded.failures
        RETURNING f.failures INTO failures_today;

        IF live AND right_code AND failures_today <= settings.max_failures_per_day THEN
            UPDATE otp.verify_failures f SET failures = f.failures - 1 WHERE f.key = failure_key AND f.day = today;
            UPDATE otp.verifications v SET verified_at = moment, attempts = tries WHERE v.id = newest.id;
            -- A right code that is rolled back and given again is not counted again.
            PERFORM setval(register, newest.id * 32768 + tries);
            IF is_new THEN
                nothing := otp.count_in_window(otp.backend_count('right'));
            END IF;
            IF client_key IS NOT NULL THEN
                nothing := otp.count_try(client_key, -1);
            END IF;
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
            -- The register comes first: no error that follows can reveal that the code was wrong before the try is counted. Every
            -- failure writes the same number of sequences and rows. Without a verification, the second row is that of the failure
            -- again.
            PERFORM setval(CASE WHEN is_counted THEN register ELSE 'otp.tries_decoy' END,
                coalesce(newest.id, 1) * 32768 + least(tries + 1, 32767));
            PERFORM nextval(CASE WHEN is_rolled_back THEN 'otp.refused_rolled_back' ELSE 'otp.refused_decoy' END::regclass);
            UPDATE otp.verifications v SET attempts = CASE WHEN is_counted THEN tries + 1 ELSE v.attempts END
            WHERE v.id = newest.id;
            IF NOT FOUND THEN
                UPDATE otp.verify_failures f SET failures = f.failures WHERE f.key = failure_key AND f.day = today;
            END IF;
            nothing := otp.count_in_window(CASE WHEN is_counted AND NOT is_known THEN otp.backend_count('wrong')
                ELSE 'otp.backend_decoy' END);
            IF client_key IS NOT NULL THEN
                nothing := otp.count_try(CASE WHEN is_counted THEN client_key ELSE '' END, 1);
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
COMMENT ON FUNCTION otp.verify IS 'True once, for the right, unexpired and unused code of the newest verification. Call it in a transaction of its own. OT001 too many wrong codes from the client or the backend.';

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

-- When this channel may send the code again: resend_after from its last send that is under way or was accepted. Null: at once. A
-- follow-up that still waits is no send yet.
CREATE FUNCTION otp.next_send_at(verification_id bigint, follower_id bigint, channel text, resend_after interval)
RETURNS timestamptz
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF resend_after = '0' THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT max(l.requested_at) FROM (
            SELECT j.requested_at FROM otp.send_jobs j
            WHERE j.verification_id = next_send_at.verification_id AND j.channel = next_send_at.channel
                AND NOT (j.state = 'queued' AND j.id IS NOT DISTINCT FROM next_send_at.follower_id)
            UNION ALL
            SELECT m.requested_at FROM otp.messages m
            WHERE m.verification_id = next_send_at.verification_id AND m.channel = next_send_at.channel
                AND m.status NOT IN ('failed', 'undelivered', 'canceled', 'busy', 'no-answer')) l)
        + resend_after;
END $$;

-- Refuses a send of a code that the same channel sent a moment ago. Jobs that otpd makes itself do not come here.
CREATE FUNCTION otp.refuse_resend(verification_id bigint, follower_id bigint, channel text, resend_after interval) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    wait CONSTANT interval := otp.next_send_at(verification_id, follower_id, channel, resend_after) - clock_timestamp();
BEGIN
    IF wait > '0' THEN
        PERFORM otp.refuse_send('code', '1', resend_after, extract(epoch FROM wait));
    END IF;
END $$;

CREATE FUNCTION otp.request(
    subject text, phone_number text, locale text DEFAULT NULL, purpose text DEFAULT NULL, region text DEFAULT NULL,
    ttl interval DEFAULT NULL, client_ip inet DEFAULT NULL, channel text DEFAULT NULL, email text DEFAULT NULL,
    traceparent text DEFAULT NULL,
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
    sends_by text;
    tries int;
    next_send_at timestamptz;
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
            tries := otp.registered_tries(newest.id);
            IF tries > newest.attempts THEN
                nothing := otp.settle_tries_of(newest, tries);
                newest.attempts := tries;
            END IF;
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
    ELSIF otp.secret_for(newest.key_id) IS NULL THEN
        newest := NULL;
    ELSE
        -- The channel that the insert of the send job would take.
        sends_by := coalesce(request.channel, CASE WHEN otp.has_routes() THEN (SELECT n.channel FROM otp.next_step(
            newest.purpose, newest.locale, newest.country, newest.email) n) ELSE 'sms' END);
        next_send_at := otp.next_send_at(newest.id, newest.follower_id, sends_by, settings.resend_after);
        IF next_send_at <= moment THEN
            next_send_at := NULL;
        END IF;
        IF next_send_at IS NULL AND newest.expires_at < moment + interval '60 seconds' THEN
            newest := NULL;
        END IF;
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
    -- A code that was sent a moment ago is on its way: it is not sent again.
    IF next_send_at IS NULL THEN
        INSERT INTO otp.send_jobs (verification_id, channel, traceparent)
        VALUES (request.verification_id, request.channel, request.traceparent)
        RETURNING requested_at + settings.resend_after INTO next_send_at;
    END IF;
    IF is_unbounded THEN
        nothing := set_config('lock_timeout', '0', true);
    END IF;
    phone_key := otp.counter_key('phone', wanted_e164);
    subject_key := otp.counter_key('subject', request.subject);
    IF request.client_ip IS NOT NULL THEN
        client_key := otp.counter_key('client_ip', otp.client_key(request.client_ip));
    END IF;
    -- Three reads by the whole key, so that a plan from the time when the table was small never becomes a scan.
    SELECT greatest(clock_timestamp(), next_send_at, max(c.sent_at[cardinality(c.sent_at) + 1 - l.max_sends] + l.period))
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

-- Test numbers, for reviewers of app stores: nothing is sent to them, and a fixed code is right.

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

-- A verification of a test number gets the number's hash in place of a code, and no seal: a worker has no code to send. Its
-- send jobs end as `test` in the transaction that inserts them, so no worker sees them. A row whose time is over has no effect.
CREATE TABLE otp.test_numbers (
    e164 text COLLATE "C" PRIMARY KEY,
    country text COLLATE "C" NOT NULL,
    code_hash bytea NOT NULL,       -- otp.hash_code with the id 0, and with an empty subject and purpose
    key_id text COLLATE "C" NOT NULL,   -- of the secret in the hash
    is_real boolean NOT NULL,       -- a number that somebody may have
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text NOT NULL DEFAULT session_user,
    expires_at timestamptz NOT NULL,
    CONSTRAINT "expires_at must be at most 90 days after created_at" CHECK (expires_at <= created_at + interval '90 days')
);
COMMENT ON TABLE otp.test_numbers IS 'Phone numbers to which nothing is sent, and for which a fixed code is right. Add them with otp.add_test_number.';

-- Live test numbers. Expired ones are rows without effect.
CREATE VIEW otp.test_number_status AS
SELECT otp.mask(t.e164) AS phone_number, t.country, t.is_real, t.key_id, t.created_by, t.created_at, t.expires_at
FROM otp.test_numbers t WHERE t.expires_at > now();
COMMENT ON VIEW otp.test_number_status IS 'Live test numbers. is_real: a number that somebody may have.';

-- Whether a valid number is reserved for fiction: 555-0100 to 555-0199 in each area code of the North American plan. The fictional
-- numbers of other countries are mostly invalid, such as 07700 900000 to 900999 in Great Britain.
CREATE FUNCTION otp.is_fictional(e164 text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN e164 COLLATE "C" ~ '^[+]1[2-9][0-9]{2}55501[0-9]{2}$';

CREATE FUNCTION otp.add_test_number(
    phone_number text, code text, expires_at timestamptz, allow_real boolean DEFAULT false, region text DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    secret CONSTANT text := otp.session_secret();
    moment CONSTANT timestamptz := clock_timestamp();
    parsed record;
    real boolean;
    wanted text;
BEGIN
    SELECT p.* INTO parsed FROM otp.parse_phone_number(add_test_number.phone_number,
        coalesce(add_test_number.region, (SELECT s.region FROM otp.settings s))) p;
    wanted := coalesce(parsed.e164, parsed.unused);
    IF wanted IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OT002', MESSAGE = 'invalid phone number: ' || parsed.reason,
            HINT = 'Give a number of a usual length that is not in use, such as +1 555 555 0100 or +44 7700 900123.';
    END IF;
    real := parsed.type IS NOT NULL AND parsed.type <> 'test' AND NOT otp.is_fictional(wanted);
    IF real AND add_test_number.allow_real IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'this phone number can belong to somebody',
            DETAIL = 'Its owner could not log in with it, and everyone who knows the code could log in as its owner.',
            HINT = 'Give a number that is not in use, such as +1 555 555 0100 or +44 7700 900123. If the number is your own, add '
                'allow_real => true.';
    ELSIF add_test_number.code COLLATE "C" ~ '^[A-Za-z0-9]{6,12}$' IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'the code of a test number must be 6 to 12 letters or digits (ASCII)',
            HINT = 'Draw it: SELECT lpad((random() * 999999)::int::text, 6, ''0'').';
    ELSIF add_test_number.code ~ '^(.)\1*$' OR strpos('01234567890123', add_test_number.code) > 0
        OR strpos('98765432109876', add_test_number.code) > 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'the code of a test number must not be a sequence or one character',
            DETAIL = 'The code is right for weeks, and those are the first that a stranger tries.',
            HINT = 'Draw it: SELECT lpad((random() * 999999)::int::text, 6, ''0'').';
    ELSIF (add_test_number.expires_at > moment AND add_test_number.expires_at <= moment + interval '90 days') IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'expires_at must be at most 90 days from now',
            HINT = 'A review takes days: now() + interval ''30 days''. Add the number again before the next review.';
    END IF;
    -- Codes that are live were made under the old row, or for a person.
    PERFORM otp.end_codes_of(wanted, 'Its phone number became a test number.');
    INSERT INTO otp.test_numbers AS t (e164, country, code_hash, key_id, is_real, created_at, expires_at)
    VALUES (wanted, coalesce(parsed.country, (SELECT r.region FROM otp.regions r
            WHERE r.rank = 0 AND starts_with(wanted, '+' || r.country_code))), otp.hash_code(0, '', '', wanted, add_test_number.code, secret), otp.key_id(secret), real,
        moment, add_test_number.expires_at)
    ON CONFLICT (e164) DO UPDATE SET country = excluded.country, code_hash = excluded.code_hash, key_id = excluded.key_id,
        is_real = excluded.is_real, created_at = excluded.created_at, created_by = excluded.created_by,
        expires_at = excluded.expires_at;
    RETURN wanted;
END $$;
COMMENT ON FUNCTION otp.add_test_number IS 'For operators: a phone number to which nothing is sent, and whose code is fixed until expires_at. Returns its E.164 form.';

-- Ends the live codes of a phone number, and their queued sends.
CREATE FUNCTION otp.end_codes_of(e164 text, why text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    ended bigint;
BEGIN
    FOR ended IN
        UPDATE otp.verifications v SET canceled_at = clock_timestamp()
        WHERE v.e164 = end_codes_of.e164 AND v.created_at > now() - interval '1 hour' AND v.expires_at > clock_timestamp()
            AND v.verified_at IS NULL AND v.canceled_at IS NULL
        RETURNING v.id
    LOOP
        PERFORM otp.cancel_queued_sends(ended, why);
    END LOOP;
END $$;

CREATE FUNCTION otp.remove_test_number(phone_number text, region text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parsed record;
BEGIN
    SELECT p.* INTO parsed FROM otp.parse_phone_number(remove_test_number.phone_number,
        coalesce(remove_test_number.region, (SELECT s.region FROM otp.settings s))) p;
    IF coalesce(parsed.e164, parsed.unused) IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OT002', MESSAGE = 'invalid phone number: ' || parsed.reason,
            HINT = 'Give the number as it was added, or in the form +15555550100.';
    END IF;
    DELETE FROM otp.test_numbers t WHERE t.e164 = coalesce(parsed.e164, parsed.unused);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM otp.end_codes_of(coalesce(parsed.e164, parsed.unused), 'Its test number was removed.');
    RETURN true;
END $$;
COMMENT ON FUNCTION otp.remove_test_number IS 'For operators: ends a test number, and the codes that were requested for it. False if it is none.';

-- Ends a send to a test number in the transaction that inserted it. The row keeps the state test until then, which no worker claims.
CREATE FUNCTION otp.end_test_send() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM otp.send_jobs j WHERE j.id = NEW.id;
    INSERT INTO otp.unsent_jobs (send_job_id, verification_id, channel, state, attempts, error, requested_at, follows, traceparent)
    VALUES (NEW.id, NEW.verification_id, NEW.channel, 'test', 0,
        'Nothing was sent: its phone number is a test number, and its code is fixed (otp.test_numbers).',
        NEW.requested_at, NEW.follows, NEW.traceparent);
    RETURN NULL;
END $$;

CREATE TRIGGER end_test_send AFTER INSERT ON otp.send_jobs FOR EACH ROW WHEN (NEW.state = 'test')
EXECUTE FUNCTION otp.end_test_send();

GRANT SELECT (e164, expires_at) ON otp.test_numbers TO otp_worker;
GRANT SELECT ON otp.test_number_status TO otp_worker, otp_monitor, otp_admin;
GRANT EXECUTE ON FUNCTION otp.add_test_number, otp.remove_test_number TO otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (24, 'test_numbers');

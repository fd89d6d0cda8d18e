-- Secrets and codes: the session's secret, the key id of each secret, the code and its hash.

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

-- Returns the session's secret, or raises OT003 if it is missing or not usable.
CREATE FUNCTION otp.session_secret() RETURNS text
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $$
DECLARE
    secret CONSTANT text := current_setting('otp.secret', true);
    others text := secret;
BEGIN
    -- Removes seven different characters. A random secret has more than seven, so something is left.
    FOR n IN 1..7 LOOP
        others := replace(others, left(others, 1), '');
    END LOOP;
    IF length(secret) >= 32 AND NOT secret ~ '[^A-Za-z0-9_-]' AND others <> '' THEN
        RETURN secret;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'OT003',
        MESSAGE = CASE
            WHEN coalesce(secret, '') = '' THEN 'the session''s otp.secret is missing'
            WHEN length(secret) < 32 THEN 'the session''s otp.secret is too short: it has fewer than 32 characters'
            WHEN secret ~ '[^A-Za-z0-9_-]' THEN 'the session''s otp.secret has characters other than A-Z a-z 0-9 - _'
            ELSE 'the session''s otp.secret has fewer than 8 different characters' END,
        HINT = 'Give the session the daemon''s OTPD_SECRET, as a connection option (options=''-c otp.secret=…'') or with '
            'SELECT set_config(''otp.secret'', $1, true) and a bind parameter. You make a new secret with: openssl rand -hex 32.';
END $$;

-- Identifies the secret that sealed a row, without revealing the secret.
CREATE FUNCTION otp.key_id(secret text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN left(encode(sha256(convert_to('otp key id ' || secret, 'UTF8')), 'hex'), 16);

-- Returns the session's secret with this key id: otp.secret or otp.secret_previous. Null if neither has it.
CREATE FUNCTION otp.secret_for(key_id text) RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN CASE key_id
    WHEN otp.key_id(current_setting('otp.secret', true)) THEN current_setting('otp.secret', true)
    WHEN otp.key_id(current_setting('otp.secret_previous', true)) THEN current_setting('otp.secret_previous', true) END;

CREATE FUNCTION otp.hash_code(id bigint, subject text, purpose text, e164 text, code text, secret text) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN otp.hmac_sha256(
    convert_to(id || E'\n' || purpose || E'\n' || e164 || E'\n' || code || E'\n' || subject, 'UTF8'),
    convert_to(secret, 'UTF8'));

-- Draws six digits, all codes equally likely. The last, incomplete million of the 2³² random numbers is drawn again.
CREATE FUNCTION otp.generate_code() RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
    bytes bytea;
    drawn bigint;
BEGIN
    LOOP
        bytes := otp.random_bytes(4);
        drawn := (get_byte(bytes, 0)::bigint << 24) + (get_byte(bytes, 1) << 16) + (get_byte(bytes, 2) << 8)
            + get_byte(bytes, 3);
        EXIT WHEN drawn < 4294000000;
    END LOOP;
    RETURN lpad((drawn % 1000000)::text, 6, '0');
END $$;

INSERT INTO otp.schema_migrations (version, name) VALUES (7, 'secrets');

-- Verifications: one row per code. A trigger checks each row, seals the code and hashes it.

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

CREATE TABLE otp.verifications (
    id bigint GENERATED ALWAYS AS IDENTITY,
    subject text,
    phone_number text,      -- as typed
    region text,
    purpose text,
    locale text,
    code text,              -- write-only: the trigger seals the code and stores null here
    expires_at timestamptz,
    client_ip inet,
    email text,             -- where its code may go by e-mail
    -- triggers and functions set the columns below
    e164 text COLLATE "C",
    country text COLLATE "C",
    sealed_code bytea,
    code_hash bytea,
    key_id text COLLATE "C",
    created_at timestamptz,
    attempts int DEFAULT 0, -- wrong tries
    verified_at timestamptz,
    canceled_at timestamptz,
    -- the login role that created it, or requested it last; other roles cannot send it. It is a name, because a restore into
    -- another cluster gives the roles other oids
    created_by text COLLATE "C",
    follower_id bigint,     -- the last send job that otpd made itself: a further step of the route, or a resend
    other_channels text[],  -- the channels other than sms that send jobs of the code have used; null: none
    is_test boolean         -- true: its number is a test number, whose hash is in code_hash; null: no
) WITH (fillfactor = 85);
-- Ordered by time and not by id. With an order by id, the planner could search for "the newest of this subject" by walking
-- back through all verifications on the primary key.
CREATE INDEX verifications_newest ON otp.verifications (subject, purpose, created_at DESC, id DESC);
CREATE INDEX verifications_created_at ON otp.verifications (created_at);
CREATE INDEX verifications_phone ON otp.verifications (e164, created_at DESC);
-- For otp.count_codes. It costs an insert next to nothing, because rows are written in the order of their expiry, nearly.
CREATE INDEX verifications_expires_at ON otp.verifications USING brin (expires_at) WITH (pages_per_range = 32, autosummarize = on);
-- This index comes last. While PostgreSQL believes that the table is empty, all indexes look equally good to the planner, and
-- it takes the last one.
ALTER TABLE otp.verifications ADD PRIMARY KEY (id);
COMMENT ON TABLE otp.verifications IS 'One row per verification. Backends set subject and phone_number, and optionally region, purpose, locale, code, expires_at, client_ip and email.';

-- Whether the session's login role may act for this one, which may be gone.
CREATE FUNCTION otp.has_rights_of(role_name text) RETURNS boolean
LANGUAGE sql STABLE
RETURN role_name = session_user OR coalesce(pg_has_role(session_user, to_regrole(quote_ident(role_name)), 'USAGE'), false);

-- Raises an error for an id that is in use. Logical replication and a data-only restore copy rows without the sequences.
CREATE FUNCTION otp.refuse_taken_id(table_name text, id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'unique_violation',
        MESSAGE = format('the id %s of otp.%s is in use: the sequence is behind the table', id, table_name),
        DETAIL = 'Rows were copied into the database without the state of its sequences.',
        HINT = 'Set the sequences as the owner of the schema: '
            'SELECT setval(''otp.verifications_id_seq'', (SELECT max(id) FROM otp.verifications)), '
            'setval(''otp.send_jobs_id_seq'', (SELECT max(id) FROM (SELECT id FROM otp.send_jobs '
            'UNION ALL SELECT send_job_id FROM otp.messages UNION ALL SELECT send_job_id FROM otp.unsent_jobs) j));';
END $$;

-- Checks an e-mail address as far as its delivery needs, and returns it without surrounding spaces. RFC 5321 allows 64
-- characters before the @ and 254 in all. Quoted local parts and addresses with an IP address are refused.
CREATE FUNCTION otp.checked_email(email text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    address CONSTANT text := btrim(left(email, 400));
BEGIN
    IF octet_length(email) > 320 OR octet_length(address) > 254 OR octet_length(split_part(address, '@', 1)) > 64 THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'email is longer than an address can be',
            HINT = 'An address has at most 254 bytes, and at most 64 of them before the @.';
    ELSIF address COLLATE "C" ~ E'[\\x01-\\x20\\x7f]' OR address ~ E'[\\u0080-\\u00a0\\u1680\\u2000-\\u200f\\u2028-\\u202f\\u205f-\\u206f\\u3000\\ufeff]'
        -- Labels of the domain: letters, digits and everything beyond ASCII, with hyphens inside.
        OR NOT address COLLATE "C" ~ (E'^[^][@()<>,;:"\\\\.]+([.][^][@()<>,;:"\\\\.]+)*'
            '@([^\\x01-/:-@[-`{-\\x7f]([^\\x01-,./:-@[-`{-\\x7f]{0,61}[^\\x01-/:-@[-`{-\\x7f])?[.])+'
            '[^\\x01-@[-`{-\\x7f]([^\\x01-,./:-@[-`{-\\x7f]{0,61}[^\\x01-/:-@[-`{-\\x7f])?$') THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'email is not an e-mail address',
            HINT = 'Give one plain address, such as user@example.com, without a name, quotes or spaces.';
    END IF;
    RETURN address;
END $$;

CREATE FUNCTION otp.verifications_before_insert() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    secret CONSTANT text := otp.session_secret();
    settings record;
    parsed record;
    test record;
BEGIN
    NEW.purpose := coalesce(NEW.purpose, 'phone_verification');
    NEW.locale := coalesce(NEW.locale, 'en');
    SELECT s.region, s.time_to_live, EXISTS (
            SELECT FROM otp.templates t WHERE t.purpose = NEW.purpose AND t.locale = NEW.locale) AS has_text,
        EXISTS (SELECT FROM otp.verifications v WHERE v.id = NEW.id) AS id_is_taken,
        EXISTS (SELECT FROM otp.test_numbers) AS has_test_numbers
    INTO settings FROM otp.settings s;
    -- A backend cannot set these columns, not even with OVERRIDING SYSTEM VALUE.
    IF NEW.id IS DISTINCT FROM pg_sequence_last_value('otp.verifications_id_seq') THEN
        NEW.id := nextval('otp.verifications_id_seq');
        settings.id_is_taken := EXISTS (SELECT FROM otp.verifications v WHERE v.id = NEW.id);
    END IF;
    IF settings.id_is_taken THEN
        PERFORM otp.refuse_taken_id('verifications', NEW.id);
    END IF;
    NEW.created_at := clock_timestamp();
    NEW.attempts := 0;
    NEW.verified_at := NULL;
    NEW.canceled_at := NULL;
    NEW.created_by := session_user;
    NEW.follower_id := NULL;
    NEW.other_channels := NULL;
    NEW.is_test := NULL;

    IF NEW.subject IS NULL OR NEW.subject = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'subject is empty',
            HINT = 'Give your own reference to the user, such as ''user-42''.';
    ELSIF length(NEW.subject) > 200 THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'subject has more than 200 characters',
            HINT = 'Give a short reference to the user, such as ''user-42''.';
    ELSIF NEW.subject ~ E'[\\x01-\\x1f\\x7f-\\x9f\\u2028\\u2029]' THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'subject contains control characters',
            HINT = 'Remove line breaks, tabs and other control characters.';
    END IF;

    IF NOT settings.has_text THEN
        NEW.locale := otp.required_locale(NEW.purpose, NEW.locale);
    END IF;

    IF NEW.email IS NOT NULL THEN
        NEW.email := otp.checked_email(NEW.email);
    END IF;

    NEW.region := upper(coalesce(NEW.region, settings.region) COLLATE "C");
    parsed := otp.parse_phone_number(NEW.phone_number, NEW.region);
    IF parsed.reason IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OT002', MESSAGE = 'invalid phone number: ' || parsed.reason,
            HINT = 'Ask the user for the number again.';
    END IF;
    IF settings.has_test_numbers THEN
        SELECT t.code_hash, t.key_id, t.expires_at INTO test
        FROM otp.test_numbers t WHERE t.e164 = parsed.e164 AND t.expires_at > NEW.created_at;
        IF FOUND THEN
            NEW.is_test := true;
        END IF;
    END IF;
    -- Nothing is sent to a test number, so its country need not be allowed.
    IF NEW.is_test IS NULL AND NOT EXISTS (SELECT FROM otp.countries c WHERE c.region = parsed.country) THEN
        RAISE EXCEPTION USING ERRCODE = 'OT005', MESSAGE = format('codes are not sent to %s', parsed.country),
            HINT = 'The allowed countries are the rows of otp.countries.';
    END IF;
    NEW.e164 := parsed.e164;
    NEW.country := parsed.country;

    -- The lower end is one second shorter, because a backend computes now() + 1 minute a moment before the row arrives here.
    NEW.expires_at := coalesce(NEW.expires_at, NEW.created_at + settings.time_to_live);
    IF NOT (NEW.expires_at >= transaction_timestamp() + interval '59 seconds' AND NEW.expires_at > NEW.created_at
            AND NEW.expires_at <= NEW.created_at + interval '10 minutes') THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'expires_at must be 1 to 10 minutes from now',
            DETAIL = format('It is %s seconds from now.', CASE WHEN isfinite(NEW.expires_at)
                THEN round(extract(epoch FROM NEW.expires_at - NEW.created_at))::text ELSE 'infinitely many' END),
            HINT = 'Leave expires_at out for the default, or compare the clocks of backend and database.';
    END IF;

    IF NEW.code IS NULL THEN
        NEW.code := otp.generate_code();
    ELSIF NOT NEW.code ~ '^[A-Za-z0-9]{4,12}$' THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'code must be 4 to 12 letters or digits (ASCII)',
            HINT = 'Leave code out, and otpd draws six digits.';
    END IF;
    IF NEW.is_test THEN
        -- The fixed code takes the place of the backend's code, too.
        IF otp.secret_for(test.key_id) IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'OT003',
                MESSAGE = 'the session''s otp.secret is not the one the test number''s code was hashed with',
                HINT = 'After a change of the secret, add the test number again with otp.add_test_number.';
        END IF;
        NEW.sealed_code := NULL;
        NEW.code_hash := test.code_hash;
        NEW.key_id := test.key_id;
        NEW.expires_at := least(NEW.expires_at, test.expires_at);
    ELSE
        NEW.sealed_code := otp.seal(NEW.code, secret);
        NEW.code_hash := otp.hash_code(NEW.id, NEW.subject, NEW.purpose, NEW.e164, NEW.code, secret);
        NEW.key_id := otp.key_id(secret);
    END IF;
    NEW.code := NULL;
    RETURN NEW;
END $$;

-- The columns that the hash covers never change, and the address for e-mail does not either. The columns locale, client_ip and
-- created_by follow the last request for the code.
CREATE FUNCTION otp.verifications_before_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'a verification cannot be changed',
        HINT = 'Create a new verification. otp.cancel ends the old one.';
END $$;

CREATE TRIGGER before_insert BEFORE INSERT ON otp.verifications
FOR EACH ROW EXECUTE FUNCTION otp.verifications_before_insert();

CREATE TRIGGER before_update
BEFORE UPDATE OF id, subject, phone_number, region, purpose, code, email, expires_at, e164, country, sealed_code, code_hash, key_id
ON otp.verifications FOR EACH ROW EXECUTE FUNCTION otp.verifications_before_update();

GRANT INSERT (id, subject, phone_number, region, purpose, locale, code, expires_at, client_ip, email), SELECT (id, expires_at)
    ON otp.verifications TO otp_web;
GRANT SELECT (id, subject, e164, country, region, purpose, locale, email, client_ip, sealed_code, key_id, created_at, expires_at,
    attempts, verified_at, canceled_at) ON otp.verifications TO otp_worker;

INSERT INTO otp.schema_migrations (version, name) VALUES (8, 'verifications');

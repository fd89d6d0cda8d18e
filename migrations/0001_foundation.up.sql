-- The schema otp: what the web tier writes, what the worker takes, what anyone may read.
--
-- Order of this page: ground (encoding, pgcrypto, roles) · settings as data · phone numbers · secrets ·
-- verifications · limits · send jobs · how a job ends · verify, request, cancel · views · privileges.
--
-- Errors that a backend can branch on: OT001 too many requests · OT002 phone number cannot be one · OT003 secret
-- missing, short or another one · OT004 unknown locale or purpose · OT005 country not allowed · OT006 verification
-- cannot be sent · OT007 another value cannot be used (subject, code, expires_at, channel) · 55P03 another transaction
-- holds a row that this call needs (otp.refuse_wait).
-- Checks sit in triggers, never in table CHECKs: a failing CHECK prints the row, with its number.

-- Whatever the role or the database has set (ALTER ROLE, ALTER DATABASE): each file sets what it relies on.
SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL standard_conforming_strings = on;
SET LOCAL transform_null_equals = off;
SET LOCAL default_table_access_method = 'heap';
SET LOCAL client_min_messages = 'warning';

DO $$
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'otpd needs a database with encoding UTF8, this one has %', current_setting('server_encoding')
            USING HINT = 'Create it with: CREATE DATABASE … ENCODING ''UTF8'' TEMPLATE template0';
    END IF;
END $$;

-- Roles belong to the cluster: another database, or another migration running now, may make the same ones.
DO $$
DECLARE
    role_name text;
BEGIN
    IF current_setting('createrole_self_grant', true) IS NOT NULL THEN     -- PostgreSQL 16 and newer
        PERFORM set_config('createrole_self_grant', '', true);
    END IF;
    FOREACH role_name IN ARRAY ARRAY['otp_owner', 'otp_web', 'otp_worker', 'otp_monitor', 'otp_admin'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role_name);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;  -- made by another migration meanwhile
            WHEN insufficient_privilege THEN
                CONTINUE WHEN role_name = 'otp_owner';  -- then the migrating role owns the schema: see below
                RAISE EXCEPTION 'the role % does not exist and % may not create it', role_name, current_user
                    USING ERRCODE = 'insufficient_privilege',
                        HINT = 'As a superuser: CREATE ROLE otp_web; CREATE ROLE otp_worker; '
                        'CREATE ROLE otp_monitor; CREATE ROLE otp_admin;  then migrate again.';
        END;
    END LOOP;
END $$;

-- The functions run with the rights of the schema's owner, so that is never a superuser: otp_owner, which has no other
-- rights. A migrating role that cannot become otp_owner owns the schema itself; it is no superuser either, and is told.
-- pgcrypto may already be there, in any schema; making it takes the migrating role's own rights.
DO $$
DECLARE
    -- To become another role takes SET from PostgreSQL 16 on, and membership before. INHERIT lets later steps read.
    can_become CONSTANT text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
    options CONSTANT text := CASE can_become WHEN 'SET' THEN ' WITH SET TRUE, INHERIT TRUE' ELSE '' END;
    home text;
    home_owner name;
BEGIN
    PERFORM set_config('otp.migrating_role', current_user, true);
    IF to_regrole('otp_owner') IS NOT NULL AND NOT (pg_has_role('otp_owner', can_become) AND pg_has_role('otp_owner', 'USAGE')) THEN
        BEGIN
            EXECUTE format('GRANT otp_owner TO %I', current_user) || options;
        EXCEPTION WHEN insufficient_privilege THEN NULL;
        END;
    END IF;
    IF to_regrole('otp_owner') IS NOT NULL AND pg_has_role('otp_owner', can_become) THEN
        EXECUTE 'CREATE SCHEMA otp AUTHORIZATION otp_owner';
    ELSE
        EXECUTE 'CREATE SCHEMA otp';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pgcrypto') THEN
        home := CASE WHEN has_schema_privilege(to_regnamespace('public')::oid, 'CREATE') THEN 'public' ELSE 'otp' END;
        EXECUTE format('CREATE EXTENSION pgcrypto WITH SCHEMA %I', home);
        PERFORM set_config('otp.made_pgcrypto', 't', true);
    END IF;
    SELECT n.nspname, pg_get_userbyid(n.nspowner) INTO home, home_owner
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pgcrypto';
    IF NOT has_schema_privilege(to_regnamespace(quote_ident(home))::oid, 'USAGE') THEN
        RAISE EXCEPTION 'pgcrypto is in the schema %, which % may not use', home, current_user
            USING ERRCODE = 'insufficient_privilege',
                HINT = format('As %I or a superuser: GRANT USAGE ON SCHEMA %I TO %I;  then migrate again.',
                    home_owner, home, current_user);
    END IF;
    PERFORM set_config('search_path', format('pg_catalog, %I', home), true);
END $$;

COMMENT ON SCHEMA otp IS 'otpd: one-time codes by SMS. Web tier: insert verifications and send_jobs, or call request and verify.';

-- These three are bound to pgcrypto's functions by what those are and not by name (such bodies are resolved once, here),
-- so that no search_path can put others in their place.
CREATE FUNCTION otp.hmac_sha256(message bytea, key bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN hmac(message, key, 'sha256');

CREATE FUNCTION otp.random_bytes(count int) RETURNS bytea
LANGUAGE sql VOLATILE PARALLEL SAFE RETURN gen_random_bytes(count);

-- Opened by the daemon (Sources/Queue/CodeKeys.swift), which reads nothing but what these options write. The secret is
-- random and long: stretching it (s2k-mode=3, the default) would make each seal cost 368 µs more.
CREATE FUNCTION otp.seal(code text, secret text) RETURNS bytea
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN pgp_sym_encrypt(code, secret, 's2k-mode=1, cipher-algo=aes256, compress-algo=0');

DO $$
DECLARE
    bound regprocedure;
    owner CONSTANT name := (
        SELECT pg_catalog.pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname = 'otp');
BEGIN
    FOR bound IN SELECT oid FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'otp'::regnamespace AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO %I', bound, owner);
    END LOOP;
    PERFORM set_config('role', owner, true);    -- what follows is the owner's
END $$;

SET LOCAL search_path = pg_catalog;

CREATE TABLE otp.schema_migrations (
    version int PRIMARY KEY,
    name text NOT NULL,
    checksum text,          -- filled by otpd, in the migration's own transaction; null when psql ran it
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_by text NOT NULL DEFAULT session_user
);

-- ───────────────────────────────────────────────── settings as data ─────────────────────────────────────────────────

CREATE TABLE otp.settings (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    region text NOT NULL DEFAULT 'SA',                   -- how a number without a country code is read
    timezone text NOT NULL DEFAULT 'Asia/Riyadh',        -- whose days the daily budgets are
    time_to_live interval NOT NULL DEFAULT '5 minutes',  -- of a code, where the backend gives no expires_at
    max_attempts smallint NOT NULL DEFAULT 5,            -- wrong tries per verification
    max_failures_per_day smallint NOT NULL DEFAULT 10,   -- wrong tries per phone and day, whatever the verification
    sends_per_second numeric CHECK (sends_per_second > 0 AND sends_per_second <= 100000), -- of all workers; null: any
    daily_budget numeric CHECK (daily_budget > 0 AND daily_budget < 'Infinity'),  -- what a day's messages may cost; null: any
    budget_unit text NOT NULL DEFAULT 'USD' CHECK (budget_unit ~ '^[A-Z]{3}$'),   -- the budget's currency (ISO 4217)
    CHECK (time_to_live BETWEEN '1 minute' AND '10 minutes'),
    -- otp.conversion_daily calls less than this share of verified codes suspicious, from so many codes of a prefix on
    min_conversion numeric NOT NULL DEFAULT 0.3 CHECK (min_conversion BETWEEN 0 AND 1),
    min_conversion_samples int NOT NULL DEFAULT 50 CHECK (min_conversion_samples >= 10),
    redact_bodies boolean NOT NULL DEFAULT false,        -- whether texts are emptied at Twilio once their codes are dead
    fallback_locale text,                                -- whose text serves locales that have none; null: OT004
    CHECK (max_attempts > 0 AND max_failures_per_day > 0)
);
COMMENT ON TABLE otp.settings IS 'One row. Change it with UPDATE.';
INSERT INTO otp.settings DEFAULT VALUES;

CREATE TABLE otp.templates (
    purpose text NOT NULL CHECK (purpose ~ '^[a-z0-9_.-]{1,50}$'),
    locale text NOT NULL CHECK (locale ~ '^[A-Za-z0-9_-]{1,35}$'),
    body text NOT NULL CHECK (position('{code}' IN body) > 0 AND length(body) <= 1000),
    web_otp_host text,      -- the web site whose form phones may fill in: adds the last line '@host #code' (WebOTP)
    PRIMARY KEY (purpose, locale)
);

-- The daemon reads hosts by the same rule (WebOTPHost in Swift): Tests/IntegrationTests/SenderTests holds the two together.
CREATE FUNCTION otp.templates_before_write() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rest text;
    unfilled text;
BEGIN
    IF NEW.web_otp_host COLLATE "C" ~ ('^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+'
        '[a-z]([a-z0-9-]{0,61}[a-z0-9])?$') IS FALSE THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007',
            MESSAGE = format('web_otp_host of the text for %s, %s is no host name', NEW.purpose, NEW.locale),
            HINT = 'Give the host as a browser has it, in lower case: example.com, without https://, port or path; '
                'letters of other alphabets as xn--….';
    END IF;
    -- The daemon reads placeholders by the same rule (Template in Swift): there is no way to write a brace itself.
    rest := regexp_replace(NEW.body, E'\\{(app|code|minutes)\\}', '', 'g');
    IF rest COLLATE "C" ~ '[{}]' THEN
        unfilled := substring(NEW.body COLLATE "C" FROM E'\\{(?!(?:app|code|minutes)\\})[^{}]*\\}');
        RAISE EXCEPTION USING ERRCODE = 'OT007',
            MESSAGE = CASE WHEN unfilled IS NULL
                THEN format('the text for %s, %s has a brace without its partner', NEW.purpose, NEW.locale)
                ELSE format('nothing fills %s in the text for %s, %s', left(unfilled, 40), NEW.purpose, NEW.locale) END,
            HINT = coalesce((SELECT format('Write %s.', p) FROM unnest('{"{app}","{code}","{minutes}"}'::text[]) p
                    WHERE lower(regexp_replace(unfilled, '[^A-Za-z{}]', '', 'g') COLLATE "C") = p),
                'Only {app}, {code} and {minutes} are filled; a text cannot have other braces.');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER before_write BEFORE INSERT OR UPDATE ON otp.templates
FOR EACH ROW EXECUTE FUNCTION otp.templates_before_write();

COMMENT ON TABLE otp.templates IS
    'Texts per purpose and locale; {code} is required, {app} and {minutes} are filled too. A purpose exists when it has a text.';
INSERT INTO otp.templates (purpose, locale, body) VALUES
    ('phone_verification', 'en', 'Your {app} verification code is: {code}. Valid for {minutes} minutes.'),
    ('phone_verification', 'ar', 'رمز التحقق الخاص بك هو: {code}. صالح لمدة {minutes} دقائق.');

CREATE TABLE otp.countries (
    region text PRIMARY KEY CHECK (region ~ '^[A-Z]{2}$|^001$'),
    expected_cost numeric NOT NULL DEFAULT 0.1 CHECK (expected_cost >= 0),  -- of one send, for limits of scope budget
    sender text,            -- whom its messages come from; null: the worker's own sender
    price_estimate numeric CHECK (price_estimate >= 0),     -- of one segment, for messages that Twilio has not priced yet
    price_unit text NOT NULL DEFAULT 'USD' CHECK (price_unit ~ '^[A-Z]{3}$'),   -- its currency (ISO 4217)
    receipts_reliable boolean NOT NULL DEFAULT true     -- whether its carriers' receipts can be believed: else none resends
);
COMMENT ON TABLE otp.countries IS 'Destinations that may be sent to, as ISO 3166 region codes (001: numbers of no country).';

-- What one sender may send in a second, all workers together: what its carrier or its registration allows.
CREATE TABLE otp.sender_rates (
    sender text PRIMARY KEY,    -- as it stands in countries.sender, or in the worker's own settings
    sends_per_second numeric NOT NULL CHECK (sends_per_second > 0 AND sends_per_second <= 100000)
);
COMMENT ON TABLE otp.sender_rates IS 'Sends per second of single senders, all workers together. No row: as fast as Twilio takes them.';

-- Of countries and sender_rates. The daemon reads senders by the same rule (Sender in Swift):
-- Tests/IntegrationTests/SenderTests holds the two together.
CREATE FUNCTION otp.sender_before_write() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.sender COLLATE "C" ~ ('^[+][1-9][0-9]{6,14}$|^[0-9]{3,8}$|^MG[0-9a-fA-F]{32}$'
        '|^(?=.*[A-Za-z])(?=.{1,11}$)[A-Za-z0-9]([A-Za-z0-9 ]*[A-Za-z0-9])?$') IS FALSE THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007',
            MESSAGE = CASE TG_TABLE_NAME WHEN 'countries' THEN format('The sender of %s cannot be one', to_jsonb(NEW)->>'region')
                ELSE 'This cannot be a sender' END,
            HINT = 'Give a phone number in E.164, a short code (3 to 8 digits), a name of 1 to 11 letters (A–Z), digits '
                'and spaces with a letter among them, a messaging service SID (MG and 32 hexadecimal digits), or null.';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER before_write BEFORE INSERT OR UPDATE ON otp.countries
FOR EACH ROW EXECUTE FUNCTION otp.sender_before_write();
CREATE TRIGGER before_write BEFORE INSERT OR UPDATE ON otp.sender_rates
FOR EACH ROW EXECUTE FUNCTION otp.sender_before_write();

INSERT INTO otp.countries (region, receipts_reliable) VALUES ('SA', false);

-- phone, subject, client_ip and block are exact, in any stretch of time as long as the period. A block is the numbers that
-- differ in their last digits alone: it counts different numbers and not sends, so it meets whoever walks through numbers
-- and not who asks again. prefix (the first digits, country code included), country, total and budget are for many writers
-- at once and count by the clock's hours or the days of settings.timezone: refused at the insert as soon as the count is
-- seen to be full, and exactly by otp.within_limits when a job is claimed.
CREATE TABLE otp.limits (
    scope text NOT NULL
        CHECK (scope IN ('phone', 'subject', 'client_ip', 'block', 'prefix', 'country', 'total', 'budget')),
    period interval NOT NULL CHECK (period BETWEEN '1 second' AND '31 days'),
    max_sends int CHECK (max_sends > 0),
    digits smallint NOT NULL DEFAULT 0,     -- block: how many last digits are left open; prefix: how many first ones count
    max_cost numeric CHECK (max_cost > 0),  -- budget: in the currency of countries.expected_cost
    PRIMARY KEY (scope, period, digits),
    CHECK (CASE scope WHEN 'block' THEN digits BETWEEN 1 AND 4 WHEN 'prefix' THEN digits BETWEEN 1 AND 10
        ELSE digits = 0 END),
    CHECK (CASE scope WHEN 'budget' THEN max_sends IS NULL AND max_cost IS NOT NULL
        ELSE max_sends IS NOT NULL AND max_cost IS NULL END),
    CHECK (CASE WHEN scope IN ('phone', 'subject', 'client_ip', 'block') THEN max_sends <= 1000
        ELSE period IN ('1 hour', '1 day') END)
);
COMMENT ON TABLE otp.limits IS 'Sends allowed per scope and period. No rows: no limits.';
INSERT INTO otp.limits (scope, period, max_sends) VALUES
    ('phone', '5 minutes', 5),
    ('phone', '1 day', 20),
    ('subject', '1 day', 20),
    ('client_ip', '1 hour', 100);
INSERT INTO otp.limits (scope, digits, period, max_sends) VALUES    -- a thousand numbers in a row
    ('block', 3, '10 minutes', 15),
    ('block', 3, '1 day', 60);

-- What Twilio's error codes mean here. Classes are data: operators may change them, the worker reads them while running.
CREATE TABLE otp.error_class_defaults (
    class text PRIMARY KEY,
    explanation text NOT NULL,
    remedy text NOT NULL,
    -- how long after a failed delivery the same code is sent again, once; null: never
    resend_after interval CHECK (resend_after BETWEEN '0 seconds' AND '5 minutes')
);
COMMENT ON TABLE otp.error_class_defaults IS
    'Words for a code of a class when the code has none of its own, and whether a failed delivery of the class is sent again.';

CREATE TABLE otp.error_classes (
    code int PRIMARY KEY,
    class text NOT NULL REFERENCES otp.error_class_defaults (class),
    stage text NOT NULL,    -- where Twilio reports it: create, delivery, inbound, verify
    explanation text,       -- what it means, for people
    remedy text             -- what a person does about it
);
COMMENT ON TABLE otp.error_classes IS 'Twilio error code → what otpd does (class), and the words shown for it.';

-- NOTIFY fails, and its transaction with it, when the server's notification queue is full: a session that listens and
-- stays in a transaction keeps everything in it. So nothing is added to a queue that is nearly full. Workers then learn
-- of jobs and changes by their polls and heartbeats, and otpd doctor says why.
CREATE FUNCTION otp.notify(channel text, payload text DEFAULT '') RETURNS void
LANGUAGE sql VOLATILE
RETURN CASE WHEN pg_notification_queue_usage() < 0.9 THEN pg_notify(channel, payload) END;

-- Workers hear of changes at once: texts, senders and classes are read again without a restart.
CREATE FUNCTION otp.catalog_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM otp.notify('otp_catalog');
    RETURN NULL;
END $$;

CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON otp.templates
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON otp.countries
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON otp.sender_rates
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();
CREATE TRIGGER changed AFTER UPDATE ON otp.settings
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON otp.error_classes
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON otp.error_class_defaults
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();

-- ─────────────────────────────────────────────────── phone numbers ──────────────────────────────────────────────────

-- The metadata of libphonenumber as a table. It is data of its own, apart from the steps of the schema: a release brings a
-- newer one in migrations/numbers.sql. Every pattern is anchored: '^(?:…)' or '^(?:…)$'.
CREATE TABLE otp.regions (
    region text COLLATE "C" NOT NULL,       -- ISO 3166, or 001 for a country code of no country
    country_code int NOT NULL,
    rank smallint NOT NULL,                 -- order among the regions of a country code; 0 is its main region
    international_prefix text COLLATE "C",
    national_prefix text COLLATE "C",
    transform text COLLATE "C",             -- what replaces the national prefix, where something does
    general text COLLATE "C" NOT NULL,
    lengths int[] NOT NULL,
    local_lengths int[] NOT NULL,
    leading_digits text COLLATE "C",
    premium_rate text COLLATE "C",
    toll_free text COLLATE "C",
    shared_cost text COLLATE "C",
    voip text COLLATE "C",
    personal text COLLATE "C",
    pager text COLLATE "C",
    uan text COLLATE "C",
    voicemail text COLLATE "C",
    fixed_line text COLLATE "C",
    mobile text COLLATE "C",
    PRIMARY KEY (country_code, rank)
);
CREATE INDEX regions_region ON otp.regions (region);
COMMENT ON TABLE otp.regions IS 'Generated by migrations/tools from the metadata of libphonenumber: do not edit.';

CREATE TABLE otp.number_table (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version text NOT NULL,          -- of libphonenumber: 9.0.43; a fourth number where otpd writes the same one differently
    released_on date NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE otp.number_table IS 'Which table of phone numbers (otp.regions) this database has.';

-- Replaces the table of phone numbers, in the caller's transaction, where this one is newer; false where it is not. Only
-- loaders wait for each other: rows are replaced as rows, so a number that is read meanwhile is read by the table of before,
-- whole, since otp.parse_phone_number sees one snapshot. Verifications that exist keep their numbers.
CREATE FUNCTION otp.load_numbers(version text, released_on date, rows jsonb) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    LOCK TABLE otp.number_table IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM otp.number_table t
               WHERE string_to_array(t.version, '.')::int[] >= string_to_array(load_numbers.version, '.')::int[]) THEN
        RETURN false;
    END IF;
    DELETE FROM otp.regions;
    INSERT INTO otp.regions SELECT r.* FROM jsonb_populate_recordset(NULL::otp.regions, rows) r;
    INSERT INTO otp.number_table AS t (version, released_on) VALUES (load_numbers.version, load_numbers.released_on)
    ON CONFLICT (only_row) DO UPDATE
        SET version = excluded.version, released_on = excluded.released_on, loaded_at = excluded.loaded_at;
    ANALYZE otp.regions;
    RETURN true;
END $$;
COMMENT ON FUNCTION otp.load_numbers IS 'Called by migrations/numbers.sql: takes in a newer table of phone numbers.';


-- Takes the national prefix off, where what remains can still be a number (libphonenumber's rule).
CREATE FUNCTION otp.strip_national_prefix(number text, land otp.regions) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    groups text[];
    stripped text;
BEGIN
    IF land.national_prefix IS NULL OR number = '' THEN
        RETURN number;
    END IF;
    groups := regexp_match(number, land.national_prefix);
    IF groups IS NULL THEN
        RETURN number;
    END IF;
    IF land.transform IS NULL OR groups[cardinality(groups)] IS NULL THEN
        stripped := regexp_replace(number, land.national_prefix, '');
    ELSE
        stripped := regexp_replace(number, land.national_prefix, land.transform);
    END IF;
    IF number ~ land.general AND NOT stripped ~ land.general THEN
        RETURN number;
    END IF;
    RETURN stripped;
END $$;

CREATE FUNCTION otp.phone_number_type(number text, land otp.regions) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CASE
    WHEN NOT number ~ (land).general THEN NULL
    WHEN number ~ (land).premium_rate THEN 'premium rate'
    WHEN number ~ (land).toll_free THEN 'toll free'
    WHEN number ~ (land).shared_cost THEN 'shared cost'
    WHEN number ~ (land).voip THEN 'voip'
    WHEN number ~ (land).personal THEN 'personal'
    WHEN number ~ (land).pager THEN 'pager'
    WHEN number ~ (land).uan THEN 'company'
    WHEN number ~ (land).voicemail THEN 'voicemail'
    WHEN number ~ (land).mobile THEN CASE WHEN number ~ (land).fixed_line THEN 'fixed line or mobile' ELSE 'mobile' END
    WHEN number ~ (land).fixed_line THEN 'fixed line'
END;

-- What people type, with nothing left that is only there for the eye: digits of every script become ASCII; white space, line
-- ends, invisible and direction marks, dashes and dots go; a plus at the end, where a right-to-left field puts it, moves to
-- the front. Everything else stays. Both phone numbers and codes are read so.
CREATE FUNCTION otp.read_typed(typed text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    -- The zeros of all decimal digits of Unicode 18.0 (general category Nd); the others follow in order.
    -- migrations/tools/unicode_digits.py prints them.
    zeros CONSTANT int[] := '{48,1632,1776,1984,2406,2534,2662,2790,2918,3046,3174,3302,3430,3558,3664,3792,3872,4160,4240,'
        '6112,6160,6470,6608,6784,6800,6992,7088,7232,7248,42528,43216,43264,43472,43504,43600,44016,65296,66720,68912,'
        '68928,69734,69872,69942,70096,70384,70736,70864,71248,71360,71376,71386,71472,71904,72016,72688,72784,73040,'
        '73120,73184,73552,90416,92768,92864,93008,93552,118000,120782,120792,120802,120812,120822,123200,123632,124144,'
        '124401,125264,130032}'::int[];
    result text COLLATE "C" := typed;
    character text COLLATE "C";
    point int;
    zero int;
BEGIN
    IF octet_length(result) <> length(result) THEN
        result := translate(result, E'\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669\u06F0\u06F1\u06F2\u06F3\u06F4\u06F5'
            '\u06F6\u06F7\u06F8\u06F9\u00A0\u200E\u200F', '01234567890123456789');     -- those that most people type
        IF octet_length(result) <> length(result) THEN
            -- In order: white space; soft hyphen, marks; dashes and minus signs; dots.
            result := regexp_replace(result, E'[\\u0085\\u00A0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000'
                '\\u00AD\\u061C\\u180E\\u200B-\\u200F\\u202A-\\u202E\\u2060-\\u206F\\uFEFF'
                '\\u058A\\u05BE\\u1400\\u1806\\u2010-\\u2015\\u207B\\u208B\\u2212\\u2E17\\u2E1A\\u2E3A\\u2E3B\\u2E40\\u2E5D\\u301C\\u3030\\u30A0'
                '\\u30FC\\uFE31\\uFE32\\uFE58\\uFE63\\uFF0D\\U00010D6E\\U00010EAD'
                '\\u00B7\\u06D4\\u2022\\u2024\\u2027\\u2219\\u22C5\\u3002\\u30FB\\uFE52\\uFF0E\\uFF61\\uFF65]+', '', 'g');
            FOREACH character IN ARRAY regexp_split_to_array(result, '') LOOP
                point := ascii(character);
                IF point > 127 THEN
                    zero := zeros[width_bucket(point, zeros)];
                    IF point <= zero + 9 THEN
                        result := replace(result, character, (point - zero)::text);
                    ELSIF character = E'\uFF0B' THEN
                        result := replace(result, character, '+');
                    END IF;
                END IF;
            END LOOP;
        END IF;
    END IF;
    result := translate(result, E' -.\t\n\x0B\f\r', '');
    IF right(result, 1) = '+' AND result <> '+' THEN
        result := '+' || btrim(result, '+');
    END IF;
    RETURN result;
END $$;

-- Any spelling → E.164, as libphonenumber reads it; where it cannot be a number, the reason and no number.
CREATE FUNCTION otp.parse_phone_number(
    raw text, region text, OUT e164 text, OUT country text, OUT type text, OUT reason text)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    -- Symbols and punctuation beyond ASCII. What else is not ASCII is a letter, or as good as one.
    symbols CONSTANT text := E'[\\u0080-\\u00BF\\u00D7\\u00F7\\u02C0-\\u02FF\\u0300-\\u036F\\u0600-\\u061F\\u066A-\\u066D\\u06D4\\u2000-\\u2BFF'
        '\\u2E00-\\u2E7F\\u3000-\\u303F\\uE000-\\uF8FF\\uFE00-\\uFE6F\\uFF00-\\uFF0F\\uFF1A-\\uFF20\\uFF3B-\\uFF40\\uFF5B-\\uFF65\\uFFE0-\\uFFFD'
        '\\U0001F000-\\U0001FAFF\\U000E0000-\\U000E01FF]';
    home otp.regions;   -- where a number without a country code is taken to be
    land otp.regions;   -- where the number turns out to be
    home_region CONSTANT text COLLATE "C" := upper(region COLLATE "C");
    digits text COLLATE "C" := raw;
    number text COLLATE "C";
    rest text COLLATE "C";
    code int;
    international boolean;
BEGIN
    IF raw IS NULL OR raw = '' THEN
        reason := 'it is empty';
        RETURN;
    ELSIF octet_length(raw) > 256 THEN
        reason := 'it is far too long';
        RETURN;
    ELSIF NOT home_region ~ '^[A-Z]{2}$' THEN
        reason := 'its region is not an ISO 3166 code such as ' || coalesce(otp.near_region(home_region), 'SA');
        RETURN;
    END IF;
    IF NOT digits ~ '^[+]?[0-9]+$' THEN
        digits := otp.read_typed(raw);
        IF NOT digits ~ '^[+]*[0-9]+$' THEN
            -- As libphonenumber does it: what stands around the number goes, and brackets, slashes and asterisks inside.
            -- Letters and extensions, such as #5 and ~5, are no part of a number that a text can be sent to.
            digits := translate(digits, E'\uFF03\uFF5E\uFF08\uFF09\uFF0F\uFF3B\uFF3D\u223C\u2053', '#~');
            digits := regexp_replace(digits, symbols, '!', 'g');
            digits := regexp_replace(digits, E'^[^0-9A-Za-z+\\u0080-\\U0010FFFF]+', '');
            digits := regexp_replace(digits, E'[^0-9A-Za-z#\\u0080-\\U0010FFFF]+$', '');
            digits := translate(digits, '()/[]*', '');
            IF NOT digits ~ '^[+]*[0-9]+$' THEN
                reason := CASE WHEN NOT digits ~ E'[0-9A-Za-z#\\u0080-\\U0010FFFF]' THEN 'it has no digits'
                    WHEN digits ~ E'[A-Za-z#~;,\\u0080-\\U0010FFFF]' THEN 'it contains letters or an extension'
                    ELSE 'it contains characters that are not part of a phone number' END;
                RETURN;
            END IF;
        END IF;
    END IF;
    -- Which country? A plus, the region's international prefix, or the region's own country code in front.
    number := ltrim(digits, '+');
    international := starts_with(digits, '+');
    IF international THEN
        SELECT r.* INTO land FROM otp.regions r
        WHERE r.rank = 0 AND r.country_code IN (left(number, 1)::int, left(number, 2)::int, left(number, 3)::int)
            AND starts_with(number, r.country_code::text);
    END IF;
    IF land.region IS NULL THEN     -- no plus, or one before nothing known: '+0096650…' is read without it
        SELECT r.* INTO home FROM otp.regions r
        WHERE r.region = home_region AND r.region <> '001';
        IF home.region IS NULL THEN
            IF NOT EXISTS (SELECT FROM otp.regions) THEN
                RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                    MESSAGE = 'the table of phone numbers is empty', HINT = 'Run: otpd migrate up';
            END IF;
            reason := format('its region %s is not one that has phone numbers', home_region)
                || coalesce(': the code is ' || otp.near_region(home_region), '');
            RETURN;
        END IF;
        rest := regexp_replace(number, home.international_prefix, '');
        IF length(rest) < length(number) AND NOT starts_with(rest, '0') THEN
            number := rest;
            international := true;
            IF number <> '' THEN
                SELECT r.* INTO land FROM otp.regions r
                WHERE r.rank = 0
                    AND r.country_code IN (left(number, 1)::int, left(number, 2)::int, left(number, 3)::int)
                    AND starts_with(number, r.country_code::text);
            END IF;
        END IF;
    END IF;
    IF international AND (land.region IS NULL OR length(number) <= 2) THEN
        reason := 'its country code does not exist';
        RETURN;
    ELSIF international THEN
        number := substr(number, length(land.country_code::text) + 1);
    ELSE
        land := home;
        IF starts_with(number, home.country_code::text) THEN
            rest := otp.strip_national_prefix(substr(number, length(home.country_code::text) + 1), home);
            IF NOT number ~ home.general AND rest ~ home.general
                OR length(number) > home.lengths[cardinality(home.lengths)] THEN
                number := rest;
                IF home.rank <> 0 THEN
                    SELECT r.* INTO land FROM otp.regions r WHERE r.country_code = home.country_code AND r.rank = 0;
                END IF;
            END IF;
        END IF;
    END IF;
    code := land.country_code;

    -- Its national prefix goes, unless what remains has a length that no number there has.
    rest := otp.strip_national_prefix(number, land);
    IF length(rest) = ANY (land.lengths) AND NOT length(rest) = ANY (land.local_lengths)
        OR length(rest) > land.lengths[cardinality(land.lengths)] THEN
        number := rest;
    END IF;

    -- Is it one? Of the regions that share a country code, the first that knows the number is its country.
    type := otp.phone_number_type(number, land);
    IF type IS NULL OR land.rank <> 0 OR land.leading_digits IS NOT NULL THEN
        FOR land IN SELECT r.* FROM otp.regions r WHERE r.country_code = code ORDER BY r.rank LOOP
            CONTINUE WHEN NOT number ~ land.leading_digits;
            type := otp.phone_number_type(number, land);
            EXIT WHEN type IS NOT NULL OR land.leading_digits IS NOT NULL;
        END LOOP;
    END IF;
    IF type IS NULL THEN
        SELECT r.* INTO land FROM otp.regions r WHERE r.country_code = code AND r.rank = 0;
        reason := CASE
            WHEN length(number) < land.lengths[1] THEN format('it has too few digits for %s (+%s)', land.region, code)
            WHEN length(number) > land.lengths[cardinality(land.lengths)]
                THEN format('it has too many digits for %s (+%s)', land.region, code)
            ELSE format('no such number is in use in %s (+%s)', land.region, code) END;
    ELSIF type IN ('fixed line', 'toll free', 'premium rate', 'shared cost', 'company', 'voicemail', 'pager') THEN
        reason := format('it is a %s number, which cannot receive SMS', type);
    ELSE
        -- What is stored reads as itself: otherwise the same number, given as E.164, would be another one.
        IF land.rank = 0 THEN
            home := land;
        ELSE
            SELECT r.* INTO home FROM otp.regions r WHERE r.country_code = code AND r.rank = 0;
        END IF;
        rest := otp.strip_national_prefix(number, home);
        IF length(code || number) > 15 THEN
            reason := 'it has more than 15 digits';
        ELSIF rest <> number AND (length(rest) = ANY (home.lengths) AND NOT length(rest) = ANY (home.local_lengths)
            OR length(rest) > home.lengths[cardinality(home.lengths)]) THEN
            reason := format('it reads as another number once its national prefix is taken off (%s, +%s)', land.region, code);
        ELSE
            e164 := '+' || code || number;
            country := land.region;
        END IF;
    END IF;
END $$;

CREATE FUNCTION otp.to_e164(raw text, region text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parsed record;
BEGIN
    parsed := otp.parse_phone_number(raw, coalesce(region, (SELECT s.region FROM otp.settings s)));
    IF parsed.reason IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OT002', MESSAGE = 'The phone number cannot be one: ' || parsed.reason,
            HINT = 'Give it as typed, or in the form +966501234567.';
    END IF;
    RETURN parsed.e164;
END $$;
COMMENT ON FUNCTION otp.to_e164 IS 'Any spelling of a phone number → E.164, as libphonenumber has it; OT002 with the reason otherwise.';

-- ────────────────────────────────────── values that are checked where they are written ──────────────────────────────

-- The region's code that somebody meant: UK → GB, ksa → SA, TUR → TR; null where nothing is near.
CREATE FUNCTION otp.near_region(given text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    plain CONSTANT text COLLATE "C" := upper(regexp_replace(left(given, 40) COLLATE "C", '[^A-Za-z0-9]', '', 'g') COLLATE "C");
    -- Names in daily use, then ISO 3166's codes of three letters with those of two.
    near CONSTANT text COLLATE "C" := ' UKGB ENGB ENGGB SCOGB KSASA UAEAE ELGR SUDSD PALPS KOSXK '
        'ABWAW AFGAF AGOAO AIAAI ALAAX ALBAL ANDAD AREAE ARGAR ARMAM ASMAS ATGAG AUSAU AUTAT AZEAZ BDIBI '
        'BELBE BENBJ BESBQ BFABF BGDBD BGRBG BHRBH BHSBS BIHBA BLMBL BLRBY BLZBZ BMUBM BOLBO BRABR BRBBB '
        'BRNBN BTNBT BWABW CAFCF CANCA CCKCC CHECH CHLCL CHNCN CIVCI CMRCM CODCD COGCG COKCK COLCO COMKM '
        'CPVCV CRICR CUBCU CUWCW CXRCX CYMKY CYPCY CZECZ DEUDE DJIDJ DMADM DNKDK DOMDO DZADZ ECUEC EGYEG '
        'ERIER ESHEH ESPES ESTEE ETHET FINFI FJIFJ FLKFK FRAFR FROFO FSMFM GABGA GBRGB GEOGE GGYGG GHAGH '
        'GIBGI GINGN GLPGP GMBGM GNBGW GNQGQ GRCGR GRDGD GRLGL GTMGT GUFGF GUMGU GUYGY HKGHK HNDHN HRVHR '
        'HTIHT HUNHU IDNID IMNIM INDIN IOTIO IRLIE IRNIR IRQIQ ISLIS ISRIL ITAIT JAMJM JEYJE JORJO JPNJP '
        'KAZKZ KENKE KGZKG KHMKH KIRKI KNAKN KORKR KWTKW LAOLA LBNLB LBRLR LBYLY LCALC LIELI LKALK LSOLS '
        'LTULT LUXLU LVALV MACMO MAFMF MARMA MCOMC MDAMD MDGMG MDVMV MEXMX MHLMH MKDMK MLIML MLTMT MMRMM '
        'MNEME MNGMN MNPMP MOZMZ MRTMR MSRMS MTQMQ MUSMU MWIMW MYSMY MYTYT NAMNA NCLNC NERNE NFKNF NGANG '
        'NICNI NIUNU NLDNL NORNO NPLNP NRUNR NZLNZ OMNOM PAKPK PANPA PERPE PHLPH PLWPW PNGPG POLPL PRIPR '
        'PRKKP PRTPT PRYPY PSEPS PYFPF QATQA REURE ROURO RUSRU RWARW SAUSA SDNSD SENSN SGPSG SHNSH SJMSJ '
        'SLBSB SLESL SLVSV SMRSM SOMSO SPMPM SRBRS SSDSS STPST SURSR SVKSK SVNSI SWESE SWZSZ SXMSX SYCSC '
        'SYRSY TCATC TCDTD TGOTG THATH TJKTJ TKLTK TKMTM TLSTL TONTO TTOTT TUNTN TURTR TUVTV TWNTW TZATZ '
        'UGAUG UKRUA URYUY USAUS UZBUZ VATVA VCTVC VENVE VGBVG VIRVI VNMVN VUTVU WLFWF WSMWS YEMYE ZAFZA '
        'ZMBZM ZWEZW ';
    found_code text;
BEGIN
    found_code := CASE WHEN plain ~ '^[A-Z]{2}$' AND EXISTS (SELECT FROM otp.regions r WHERE r.region = plain) THEN plain
        ELSE substring(near FROM ' ' || plain || '([A-Z]{2}) ') END;
    RETURN found_code;
END $$;

-- Regions and countries are those of the table of phone numbers.
CREATE FUNCTION otp.check_region(given text, what text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF EXISTS (SELECT FROM otp.regions r WHERE r.region = given COLLATE "C") OR NOT EXISTS (SELECT FROM otp.regions) THEN
        RETURN;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = format('%s cannot be %L', what, left(given, 40)),
        DETAIL = 'It is not the code of a region that has phone numbers.',
        HINT = coalesce('Write ' || quote_literal(otp.near_region(given)) || '.', 'Give the two letters of ISO 3166, such as SA.');
END $$;

CREATE FUNCTION otp.country_before_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM otp.check_region(NEW.region, 'otp.countries.region');
    RETURN NEW;
END $$;

CREATE TRIGGER before_write_region BEFORE INSERT OR UPDATE OF region ON otp.countries
FOR EACH ROW EXECUTE FUNCTION otp.country_before_write();

CREATE FUNCTION otp.check_timezone(given text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE
    plain CONSTANT text COLLATE "C" := lower(translate(btrim(left(given, 60)), ' ', '_') COLLATE "C");
    hours CONSTANT text COLLATE "C" := substring(plain FROM '^(?:utc|gmt)?([+-][0-9]{1,2})(?::?00)?$');
    unstable CONSTANT text := '^(posix|right)/|^(localtime|posixrules|Factory)$';  -- those that servers know by other names
    near text;
BEGIN
    IF EXISTS (SELECT FROM pg_timezone_names z WHERE z.name = given COLLATE "C" AND NOT z.name ~ unstable) THEN
        RETURN;
    END IF;
    SELECT z.name INTO near FROM pg_timezone_names z
    WHERE NOT z.name ~ unstable
        AND (lower(z.name COLLATE "C") = plain OR lower(regexp_replace(z.name, '^.*/', '') COLLATE "C") = plain)
    ORDER BY z.name LIKE '%/%' DESC, length(z.name), z.name LIMIT 1;
    RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = format('otp.settings.timezone cannot be %L', left(given, 60)),
        DETAIL = CASE WHEN hours IS NULL THEN 'It is not the name of a time zone.'
            ELSE 'PostgreSQL would read it as POSIX does, with the sign turned round.' END,
        HINT = CASE WHEN near IS NOT NULL THEN format('Write %L.', near)
            WHEN hours IS NOT NULL THEN format('Name the place, such as Asia/Riyadh, or write ''Etc/GMT%s''.',
                translate(left(hours, 1), '+-', '-+') || substr(hours, 2)::int)
            ELSE 'Name a place, such as Asia/Riyadh: SELECT name FROM pg_timezone_names.' END;
END $$;

-- Time zones are read from files: only where one is written.
CREATE FUNCTION otp.settings_before_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.timezone IS DISTINCT FROM OLD.timezone THEN
        PERFORM otp.check_timezone(NEW.timezone);
    END IF;
    IF TG_OP = 'INSERT' OR NEW.region IS DISTINCT FROM OLD.region THEN
        IF NEW.region = '001' THEN
            RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'otp.settings.region cannot be ''001''',
                HINT = 'Give the two letters of ISO 3166, such as SA: numbers of no country always have their country code.';
        END IF;
        PERFORM otp.check_region(NEW.region, 'otp.settings.region');
    END IF;
    IF NEW.fallback_locale IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.fallback_locale IS DISTINCT FROM OLD.fallback_locale)
        AND NOT EXISTS (SELECT FROM otp.templates t WHERE t.locale = NEW.fallback_locale) THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007',
            MESSAGE = format('otp.settings.fallback_locale cannot be %L', left(NEW.fallback_locale, 40)),
            DETAIL = 'No text has that locale.',
            HINT = format('Give one of these, or insert the text first: %s.',
                (SELECT string_agg(DISTINCT t.locale, ', ' ORDER BY t.locale) FROM otp.templates t));
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER before_write BEFORE INSERT OR UPDATE ON otp.settings
FOR EACH ROW EXECUTE FUNCTION otp.settings_before_write();

-- +9665•••••567: enough to recognise one's own number, too little to call it.
CREATE FUNCTION otp.mask(e164 text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN length(e164) >= 12 THEN left(e164, 5) || repeat('•', length(e164) - 8) || right(e164, 3)
    ELSE left(e164, 3) || repeat('•', greatest(length(e164) - 5, 1)) || right(e164, 2) END;

-- ────────────────────────────────────────────────────── secrets ─────────────────────────────────────────────────────

-- The session's secret, or OT003.
CREATE FUNCTION otp.session_secret() RETURNS text
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $$
DECLARE
    secret CONSTANT text := current_setting('otp.secret', true);
    others text := secret;
BEGIN
    -- Takes seven different characters out: a random value has more.
    FOR n IN 1..7 LOOP
        others := replace(others, left(others, 1), '');
    END LOOP;
    IF length(secret) >= 32 AND NOT secret ~ '[^A-Za-z0-9_-]' AND others <> '' THEN
        RETURN secret;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'OT003',
        MESSAGE = CASE
            WHEN coalesce(secret, '') = '' THEN 'This session has no otp.secret'
            WHEN length(secret) < 32 THEN 'This session''s otp.secret is too short: 32 characters or more are needed'
            WHEN secret ~ '[^A-Za-z0-9_-]' THEN 'This session''s otp.secret has characters other than A-Z a-z 0-9 - _'
            ELSE 'This session''s otp.secret has fewer than 8 different characters: make one with openssl rand -hex 32' END,
        HINT = 'Set it as a connection option (options=''-c otp.secret=…'') or with SELECT set_config(''otp.secret'', $1, '
            'true) and a bind parameter; it is the OTPD_SECRET of the daemon.';
END $$;

-- Tells which secret a row was sealed under, without telling the secret.
CREATE FUNCTION otp.key_id(secret text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN left(encode(sha256(convert_to('otp key id ' || secret, 'UTF8')), 'hex'), 16);

-- Of the session's secrets (otp.secret, then otp.secret_previous) the one with this key id; null when neither.
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

-- Six digits, each as likely: numbers of the last, incomplete million of the 2³² are drawn again.
CREATE FUNCTION otp.draw_code() RETURNS text
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

-- ─────────────────────────────────────────────────── verifications ──────────────────────────────────────────────────

CREATE TABLE otp.verifications (
    id bigint GENERATED ALWAYS AS IDENTITY,
    subject text,
    phone_number text,      -- as typed
    region text,
    purpose text,
    locale text,
    code text,              -- write-only: the trigger seals it and leaves null
    expires_at timestamptz,
    client_ip inet,
    -- below: the trigger's and the functions'
    e164 text COLLATE "C",
    country text COLLATE "C",
    sealed_code bytea,
    code_hash bytea,
    key_id text COLLATE "C",
    created_at timestamptz,
    attempts int DEFAULT 0, -- wrong tries
    verified_at timestamptz,
    canceled_at timestamptz,
    made_by oid,            -- the login role that made it, or asked for it last: others cannot send it
    resend_id bigint        -- the send job that a failed delivery led to
) WITH (fillfactor = 85);
-- Ordered by time and not by id: for "the newest of this subject" no planner, whatever its statistics, can then prefer to
-- walk back through everybody's verifications on the primary key.
CREATE INDEX verifications_newest ON otp.verifications (subject, purpose, created_at DESC, id DESC);
CREATE INDEX verifications_created_at ON otp.verifications (created_at);
CREATE INDEX verifications_phone ON otp.verifications (e164, created_at DESC);
-- Last: of indexes that look equally good, as all do while the table is thought to be empty, the planner takes the last.
ALTER TABLE otp.verifications ADD PRIMARY KEY (id);
COMMENT ON TABLE otp.verifications IS 'One row per verification. Backends set subject, phone_number and, if they like, region, purpose, locale, code, expires_at, client_ip.';

CREATE TABLE otp.language_fallbacks (
    language text COLLATE "C" PRIMARY KEY,
    falls_back_to text COLLATE "C" NOT NULL
);
COMMENT ON TABLE otp.language_fallbacks IS 'A language without a text → the language whose text serves it: arz → ar, iw → he, no ↔ nb.';

-- The locale of a purpose's text that serves a wanted one; null when none does. As in RFC 4647: ar-SA and AR_sa by ar. Then
-- by the language that its own falls back to: ars-SA by ar. Then by otp.settings.fallback_locale. Phones and browsers add
-- what does not name a language, and it is cut: @calendar=…, ;q=0.9, further languages, .UTF-8, -u-nu-latn.
CREATE FUNCTION otp.text_locale(purpose text, wanted text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    tag text COLLATE "C" := regexp_replace(left(wanted, 1000) COLLATE "C",
        E'^[\\s\\u00A0\\u00AD\\u200B-\\u200F\\u2028-\\u202F\\u2060-\\u2069\\uFEFF]+', '');
    range text COLLATE "C";
    next_language text COLLATE "C";
    found_locale text;
BEGIN
    tag := lower(translate(substring(tag FROM E'^[^@;,.#[:space:]\\u00A0\\u00AD\\u200B-\\u200F\\u2028-\\u202F\\u2060-\\u2069\\uFEFF]*'), '_', '-'));
    tag := regexp_replace(tag, '-[a-z0-9](-.*)?$|-+$', '');
    IF length(tag) <= 35 THEN
        FOR hop IN 1..4 LOOP     -- no chain of languages is longer
            range := tag;
            WHILE range IS NOT NULL LOOP
                SELECT t.locale INTO found_locale FROM otp.templates t
                WHERE t.purpose = text_locale.purpose AND lower(translate(t.locale COLLATE "C", '_', '-')) = range
                ORDER BY t.locale LIMIT 1;
                IF FOUND THEN
                    RETURN found_locale;
                END IF;
                range := substring(range FROM '^(.+)-[^-]*$');
            END LOOP;
            SELECT f.falls_back_to INTO next_language FROM otp.language_fallbacks f
            WHERE f.language = substring(tag FROM '^[a-z]+');
            EXIT WHEN NOT FOUND;
            tag := regexp_replace(tag, '^[a-z]+', next_language);
        END LOOP;
    END IF;
    SELECT t.locale INTO found_locale FROM otp.templates t JOIN otp.settings s ON t.locale = s.fallback_locale
    WHERE t.purpose = text_locale.purpose;
    RETURN found_locale;
END $$;

-- Logical replication and a restore of data alone bring rows without their sequences.
CREATE FUNCTION otp.refuse_taken_id(table_name text, id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'unique_violation',
        MESSAGE = format('the id %s of otp.%s is in use: the sequence stands behind the table', id, table_name),
        DETAIL = 'Rows were copied into the database without the state of its sequences.',
        HINT = 'Set the sequences, as the owner of the schema: '
            'SELECT setval(''otp.verifications_id_seq'', (SELECT max(id) FROM otp.verifications)), '
            'setval(''otp.send_jobs_id_seq'', (SELECT max(id) FROM (SELECT id FROM otp.send_jobs '
            'UNION ALL SELECT send_job_id FROM otp.messages UNION ALL SELECT send_job_id FROM otp.unsent_jobs) j));';
END $$;

-- The same, or OT004 with the reason.
CREATE FUNCTION otp.required_locale(purpose text, wanted text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    found_locale CONSTANT text := otp.text_locale(purpose, wanted);
BEGIN
    IF found_locale IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OT004',
            MESSAGE = CASE WHEN EXISTS (SELECT FROM otp.templates t WHERE t.purpose = required_locale.purpose)
                THEN format('There is no text in the locale %L for the purpose %L', left(wanted, 40), purpose)
                ELSE format('The purpose %L is unknown', left(purpose, 60)) END,
            HINT = 'Texts are rows of otp.templates; otp.settings.fallback_locale names the one for all other locales.';
    END IF;
    RETURN found_locale;
END $$;

CREATE FUNCTION otp.verifications_before_insert() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    secret CONSTANT text := otp.session_secret();
    settings record;
    parsed record;
BEGIN
    NEW.purpose := coalesce(NEW.purpose, 'phone_verification');
    NEW.locale := coalesce(NEW.locale, 'en');
    SELECT s.region, s.time_to_live, EXISTS (
            SELECT FROM otp.templates t WHERE t.purpose = NEW.purpose AND t.locale = NEW.locale) AS has_text,
        EXISTS (SELECT FROM otp.verifications v WHERE v.id = NEW.id) AS id_is_taken
    INTO settings FROM otp.settings s;
    -- What no backend decides, whatever an ORM or an OVERRIDING SYSTEM VALUE sends along.
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
    NEW.made_by := quote_ident(session_user)::regrole;
    NEW.resend_id := NULL;

    IF NEW.subject IS NULL OR NEW.subject = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'subject is empty',
            HINT = 'Give your own reference to the user, such as ''user:42''.';
    ELSIF length(NEW.subject) > 200 THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'subject has more than 200 characters',
            HINT = 'Give a key of the user, not a description.';
    ELSIF NEW.subject ~ E'[\\x01-\\x1f\\x7f-\\x9f\\u2028\\u2029]' THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'subject contains control characters',
            HINT = 'Remove line breaks, tabs and the like.';
    END IF;

    IF NOT settings.has_text THEN
        NEW.locale := otp.required_locale(NEW.purpose, NEW.locale);
    END IF;

    NEW.region := upper(coalesce(NEW.region, settings.region) COLLATE "C");
    parsed := otp.parse_phone_number(NEW.phone_number, NEW.region);
    IF parsed.reason IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OT002', MESSAGE = 'The phone number cannot be one: ' || parsed.reason,
            HINT = 'Ask the user for the number again.';
    ELSIF NOT EXISTS (SELECT FROM otp.countries c WHERE c.region = parsed.country) THEN
        RAISE EXCEPTION USING ERRCODE = 'OT005', MESSAGE = format('Codes are not sent to %s', parsed.country),
            HINT = 'Countries that are allowed are rows of otp.countries.';
    END IF;
    NEW.e164 := parsed.e164;
    NEW.country := parsed.country;

    -- One second of grace at the lower end: a backend says now() + 1 minute a moment before it arrives here.
    NEW.expires_at := coalesce(NEW.expires_at, NEW.created_at + settings.time_to_live);
    IF NOT (NEW.expires_at >= transaction_timestamp() + interval '59 seconds' AND NEW.expires_at > NEW.created_at
            AND NEW.expires_at <= NEW.created_at + interval '10 minutes') THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'expires_at must be 1 to 10 minutes from now',
            DETAIL = format('It is %s seconds from now.', CASE WHEN isfinite(NEW.expires_at)
                THEN round(extract(epoch FROM NEW.expires_at - NEW.created_at))::text ELSE 'infinitely many' END),
            HINT = 'Leave it out for the default, or compare the clocks of backend and database.';
    END IF;

    IF NEW.code IS NULL THEN
        NEW.code := otp.draw_code();
    ELSIF NOT NEW.code ~ '^[A-Za-z0-9]{4,12}$' THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'code must be 4 to 12 letters or digits (ASCII)',
            HINT = 'Leave it out and six digits are drawn.';
    END IF;
    NEW.sealed_code := otp.seal(NEW.code, secret);
    NEW.code_hash := otp.hash_code(NEW.id, NEW.subject, NEW.purpose, NEW.e164, NEW.code, secret);
    NEW.key_id := otp.key_id(secret);
    NEW.code := NULL;
    RETURN NEW;
END $$;

CREATE TRIGGER before_insert BEFORE INSERT ON otp.verifications
FOR EACH ROW EXECUTE FUNCTION otp.verifications_before_insert();

-- A verification is what it was when it was made: its hash covers these columns. Others follow the last request for its
-- code: locale, client_ip, made_by.
CREATE FUNCTION otp.verifications_before_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'A verification cannot be changed',
        HINT = 'Make a new one; otp.cancel ends one.';
END $$;

CREATE TRIGGER before_update
BEFORE UPDATE OF id, subject, phone_number, region, purpose, code, expires_at, e164, country, sealed_code, code_hash, key_id
ON otp.verifications FOR EACH ROW EXECUTE FUNCTION otp.verifications_before_update();

-- ────────────────────────────────────────────────────── limits ──────────────────────────────────────────────────────

-- The times of the last sends per scope and key, as many as the scope's limits ask for: exact sliding windows in one row,
-- whose lock is what makes them race-free (under REPEATABLE READ the loser of a race gets a serialization failure).
CREATE TABLE otp.send_counts (
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    sent_at timestamptz[] NOT NULL,
    numbers text[],             -- block: the last digits of the number that was sent to at each of these times
    PRIMARY KEY (key, scope)
) WITH (fillfactor = 70);

-- Sums for limits that many writers share, in as many rows (shards) as there are writers at once: none waits for another.
-- Shard -1: what was limited at the claim.
CREATE TABLE otp.shared_counts (
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    period interval NOT NULL,
    starts_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    amount numeric NOT NULL,
    PRIMARY KEY (starts_at, key, scope, period, shard)
) WITH (fillfactor = 70);

-- Whom an address stands for: IPv4 (mapped into IPv6 too) for itself, IPv6 for its /64, all of which one client has.
CREATE FUNCTION otp.client_key(client_ip inet) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN family(client_ip) = 4 THEN host(client_ip)
    WHEN client_ip <<= '::ffff:0:0/96' THEN host(inet '0.0.0.0' + (set_masklen(client_ip, 128) - inet '::ffff:0:0'))
    ELSE network(set_masklen(client_ip, 64))::text END;

-- Where the session sets no lock_timeout, otp.request, otp.verify, otp.cancel and the insert of a send job wait for a row
-- that another transaction has locked for this long.
CREATE FUNCTION otp.lock_timeout() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '2s';

-- What the caller hears after that. Which row it was is read off the statements in the error's context.
CREATE FUNCTION otp.refuse_wait(context text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'lock_not_available',
        MESSAGE = 'another transaction holds ' || CASE
            WHEN context LIKE '%otp.send_counts%numbers)%' THEN 'the send counter of this block of phone numbers'
            WHEN context LIKE '%otp.send_counts%' THEN 'the send counter of this subject, phone number or client address'
            WHEN context LIKE '%otp.shared_counts%' THEN 'a send counter that many share'
            WHEN context LIKE '%otp.verify_failures%' THEN 'the count of wrong codes of this phone number'
            WHEN context LIKE '%otp.requests%' THEN 'the requests of this subject and purpose'
            ELSE 'this verification, or a send job of it' END,
        DETAIL = format('This call waited for %s (lock_timeout).',
            coalesce(nullif(current_setting('lock_timeout'), '0'), otp.lock_timeout())),
        HINT = 'Try again. End each transaction right after otp.request or otp.verify: both lock rows until then.';
END $$;

-- How many sends the limits of a scope have refused. A refusal rolls back everything else, but not a sequence. After a crash
-- of PostgreSQL a count may be up to 32 too high.
CREATE SEQUENCE otp.refused_phone;
CREATE SEQUENCE otp.refused_subject;
CREATE SEQUENCE otp.refused_client_ip;
CREATE SEQUENCE otp.refused_block;
CREATE SEQUENCE otp.refused_prefix;
CREATE SEQUENCE otp.refused_country;
CREATE SEQUENCE otp.refused_total;
CREATE SEQUENCE otp.refused_budget;
CREATE SEQUENCE otp.refused_failures;

-- Refuses a send with OT001, and counts it.
CREATE FUNCTION otp.refuse_send(scope text, allowed text, period interval, wait double precision) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    seconds CONSTANT bigint := greatest(1, coalesce(ceil(wait), 1));
BEGIN
    PERFORM nextval(('otp.refused_' || scope)::regclass);
    RAISE EXCEPTION USING ERRCODE = 'OT001',
        MESSAGE = format('Too many codes for this %s: %s are allowed in %s',
            CASE scope WHEN 'client_ip' THEN 'client address' WHEN 'block' THEN 'block of numbers'
                WHEN 'prefix' THEN 'number prefix' WHEN 'total' THEN 'service' WHEN 'budget' THEN 'budget'
                ELSE scope END, allowed, period),
        DETAIL = format('retry_after=%s window=%s scope=%s', seconds, extract(epoch FROM period)::bigint, scope),
        HINT = format('Ask the user to wait %s seconds.', seconds);
END $$;

-- A phone whose wrong tries of the day are used up verifies nothing until midnight, so nothing is sent to it: OT001 says so,
-- where the user would wait for a code that cannot be right. Strangers can bring a phone to that; otp.unlock undoes it.
CREATE FUNCTION otp.refuse_locked_phone(e164 text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    locked record;
BEGIN
    SELECT s.max_failures_per_day AS failures,
        extract(epoch FROM (f.day + 1)::timestamp AT TIME ZONE s.timezone - clock_timestamp()) AS wait INTO locked
    FROM otp.settings s JOIN otp.verify_failures f ON f.key = refuse_locked_phone.e164
        AND f.day = (clock_timestamp() AT TIME ZONE s.timezone)::date
    WHERE f.failures >= s.max_failures_per_day;
    IF FOUND THEN
        PERFORM nextval('otp.refused_failures');
        RAISE EXCEPTION USING ERRCODE = 'OT001',
            MESSAGE = format('Too many wrong codes for this phone today: %s are allowed', locked.failures),
            DETAIL = format('retry_after=%s window=86400 scope=failures', greatest(1, ceil(locked.wait)::bigint)),
            HINT = 'Codes for it are right again tomorrow. If strangers did it, an operator calls otp.unlock.';
    END IF;
END $$;

-- The shared limits that a send of this moment counts for.
CREATE FUNCTION otp.shared_limits(
    e164 text, country text, moment timestamptz, OUT scope text, OUT key text, OUT period interval,
    OUT starts_at timestamptz, OUT amount numeric, OUT allowed numeric)
RETURNS SETOF record
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT l.scope,
        CASE l.scope WHEN 'prefix' THEN left(shared_limits.e164, l.digits + 1)
            WHEN 'country' THEN shared_limits.country ELSE '' END,
        l.period, date_trunc(CASE l.period WHEN '1 day' THEN 'day' ELSE 'hour' END, shared_limits.moment, s.timezone),
        CASE l.scope WHEN 'budget' THEN coalesce(c.expected_cost, 0) ELSE 1 END,
        CASE l.scope WHEN 'budget' THEN l.max_cost ELSE l.max_sends END
    FROM otp.limits l CROSS JOIN otp.settings s LEFT JOIN otp.countries c ON c.region = shared_limits.country
    WHERE l.scope IN ('prefix', 'country', 'total', 'budget');
END;

-- What has been counted of a shared limit, over all shards. In PL/pgSQL, which keeps its plan (in SQL it was planned at each
-- call, and 32 clients made 60% of the requests); and by the key, however small the table was when that plan was made.
CREATE FUNCTION otp.shared_sum(scope text, key text, period interval, starts_at timestamptz) RETURNS numeric
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
BEGIN
    RETURN (SELECT coalesce(sum(c.amount), 0) FROM otp.shared_counts c
        WHERE c.starts_at = shared_sum.starts_at AND c.key = shared_sum.key AND c.scope = shared_sum.scope
            AND c.period = shared_sum.period AND c.shard >= 0);
END $$;

-- Counts one send against every limit, or refuses it with OT001 (which rolls back what was counted).
CREATE FUNCTION otp.count_send(e164 text, country text, subject text, client_ip inet, moment timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    limits record;
    over record;
    send_key text;
    tail text;
    first_shard smallint;
    is_counted boolean;
    own_shard CONSTANT smallint := pg_backend_pid() & 32767;
BEGIN
    -- Always in the same order, so that two sends never wait for each other; what many share comes last.
    FOR limits IN
        SELECT l.scope, l.digits, array_agg(l.max_sends) AS allowed, array_agg(l.period) AS periods,
            max(l.max_sends) AS kept, max(l.period) AS longest
        FROM otp.limits l WHERE l.scope IN ('subject', 'phone', 'client_ip', 'block')
        GROUP BY l.scope, l.digits ORDER BY l.scope DESC, l.digits
    LOOP
        IF limits.scope = 'block' THEN
            tail := right(e164, limits.digits);
            send_key := rpad(left(e164, -limits.digits), length(e164), 'x');
            INSERT INTO otp.send_counts AS c (scope, key, sent_at, numbers)
            VALUES (limits.scope, send_key, ARRAY[clock_timestamp()], ARRAY[tail])
            ON CONFLICT (key, scope) DO UPDATE SET (sent_at, numbers) = (
                    SELECT array_agg(e.sent_at), array_agg(e.number)
                    FROM (SELECT o.sent_at, o.number FROM unnest(c.sent_at, c.numbers) o (sent_at, number)
                            WHERE o.number <> tail AND o.sent_at > clock_timestamp() - limits.longest
                        UNION ALL SELECT clock_timestamp(), tail) e)
                WHERE NOT EXISTS (
                    SELECT FROM unnest(limits.allowed, limits.periods) l (allowed, period)
                    WHERE l.allowed <= (SELECT count(*) FROM unnest(c.sent_at, c.numbers) o (sent_at, number)
                        WHERE o.number <> tail AND o.sent_at > clock_timestamp() - l.period));
            CONTINUE WHEN FOUND;
            SELECT l.allowed, l.period, extract(epoch FROM o.sent_at[cardinality(o.sent_at) + 1 - l.allowed]
                + l.period - clock_timestamp()) AS wait INTO over
            FROM unnest(limits.allowed, limits.periods) l (allowed, period), LATERAL (
                SELECT array_agg(u.sent_at ORDER BY u.sent_at) AS sent_at
                FROM otp.send_counts c, unnest(c.sent_at, c.numbers) u (sent_at, number)
                WHERE c.key = send_key AND c.scope = limits.scope AND u.number <> tail) o
            WHERE o.sent_at[cardinality(o.sent_at) + 1 - l.allowed] > clock_timestamp() - l.period
            ORDER BY wait DESC LIMIT 1;
        ELSE
            send_key := CASE limits.scope WHEN 'phone' THEN e164 WHEN 'subject' THEN subject ELSE otp.client_key(client_ip) END;
            CONTINUE WHEN send_key IS NULL;
            INSERT INTO otp.send_counts AS c (scope, key, sent_at)
            VALUES (limits.scope, send_key, ARRAY[clock_timestamp()])
            ON CONFLICT (key, scope) DO UPDATE
                SET sent_at = (c.sent_at || clock_timestamp())[greatest(1, cardinality(c.sent_at) + 2 - limits.kept):]
                WHERE NOT EXISTS (
                    SELECT FROM unnest(limits.allowed, limits.periods) l (allowed, period)
                    WHERE c.sent_at[cardinality(c.sent_at) + 1 - l.allowed] > clock_timestamp() - l.period);
            CONTINUE WHEN FOUND;
            SELECT l.allowed, l.period, extract(epoch FROM c.sent_at[cardinality(c.sent_at) + 1 - l.allowed]
                + l.period - clock_timestamp()) AS wait INTO over
            FROM otp.send_counts c, unnest(limits.allowed, limits.periods) l (allowed, period)
            WHERE c.key = send_key AND c.scope = limits.scope
                AND c.sent_at[cardinality(c.sent_at) + 1 - l.allowed] > clock_timestamp() - l.period
            ORDER BY wait DESC LIMIT 1;
        END IF;
        PERFORM otp.refuse_send(limits.scope, coalesce(over.allowed, limits.kept)::text,
            coalesce(over.period, limits.longest), over.wait);
    END LOOP;

    IF EXISTS (SELECT FROM otp.limits l WHERE l.scope IN ('prefix', 'country', 'total', 'budget')) THEN
        -- In a row that no open transaction holds: from the own number on, then any, else a new one.
        FOR limits IN SELECT l.* FROM otp.shared_limits(e164, country, moment) l LOOP
            FOREACH first_shard IN ARRAY ARRAY[own_shard, 0] LOOP
                UPDATE otp.shared_counts c SET amount = c.amount + limits.amount
                WHERE c.starts_at = limits.starts_at AND c.key = limits.key AND c.scope = limits.scope
                    AND c.period = limits.period AND c.shard = (
                        SELECT o.shard FROM otp.shared_counts o
                        WHERE o.starts_at = limits.starts_at AND o.key = limits.key AND o.scope = limits.scope
                            AND o.period = limits.period AND o.shard >= first_shard
                        ORDER BY o.shard LIMIT 1 FOR UPDATE SKIP LOCKED);
                is_counted := FOUND;
                EXIT WHEN is_counted;
            END LOOP;
            CONTINUE WHEN is_counted;
            INSERT INTO otp.shared_counts AS c (scope, key, period, starts_at, shard, amount)
            VALUES (limits.scope, limits.key, limits.period, limits.starts_at, own_shard, limits.amount)
            ON CONFLICT (starts_at, key, scope, period, shard) DO UPDATE SET amount = c.amount + excluded.amount;
        END LOOP;
        SELECT l.scope, trim_scale(l.allowed) AS allowed, l.period,
            extract(epoch FROM l.starts_at + l.period - clock_timestamp()) AS wait INTO over
        FROM otp.shared_limits(e164, country, moment) l
        WHERE otp.shared_sum(l.scope, l.key, l.period, l.starts_at) > l.allowed
        ORDER BY wait DESC LIMIT 1;
        IF FOUND THEN
            PERFORM otp.refuse_send(over.scope, over.allowed::text, over.period, over.wait);
        END IF;
    END IF;
END $$;

-- ───────────────────────────────────────────────────── send jobs ────────────────────────────────────────────────────

-- Live jobs only, so that a claim costs the same after a year: a job that ends leaves (DELETE) in the statement that
-- writes its ending to messages or unsent_jobs. At any time a job is in exactly one of the three.
CREATE TABLE otp.send_jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    verification_id bigint,
    channel text DEFAULT 'sms',
    state text COLLATE "C" DEFAULT 'queued',    -- queued → sending → (gone | queued again | unknown)
    attempt int DEFAULT 0,                      -- claims so far; with worker the fencing token
    worker bigint,
    lease_expires_at timestamptz,
    due_at timestamptz DEFAULT clock_timestamp(),
    requested_at timestamptz DEFAULT clock_timestamp(),
    expires_at timestamptz,                     -- the verification's, copied
    resend_of bigint,                           -- the job whose code it sends again: of its failure, or for an operator
    lost_claims int DEFAULT 0,                  -- claims that ended with their worker: three, and the job is poisonous
    unknown_at timestamptz,                     -- unknown: since when nothing of the attempt can leave any more
    look_at timestamptz,                        -- unknown: when to look at Twilio's list next; a look's fencing token
    looks int DEFAULT 0,                        -- unknown: looks after the grace that did not find it
    last_error_code int,
    last_error text,                            -- why the last attempt failed, while the job waits for the next
    last_remedy text,                           -- and what to do about it
    held_by text COLLATE "C",                   -- queued: the pause (otp.pauses.name) that holds it, not due before its end;
                                                -- due all the same, it is that pause's probe. Or 'rate ' and the sender
                                                -- (otp.sender_rates) for whose turn it waits until due_at
    returned int DEFAULT 0,                     -- of the claims so far, those after which it was given back untried
    has_elder boolean DEFAULT true,             -- an earlier job of its verification lived when it was made: that goes first
    client_ip inet                              -- write-only: who asks for this send, where the verification does not say
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_insert_threshold = 10000,
    autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX send_jobs_due ON otp.send_jobs (due_at, id) WHERE state = 'queued';
CREATE INDEX send_jobs_expiring ON otp.send_jobs (expires_at) WHERE state = 'queued';
CREATE INDEX send_jobs_leased ON otp.send_jobs (lease_expires_at) WHERE state <> 'queued';
CREATE INDEX send_jobs_unknown ON otp.send_jobs (look_at) WHERE state = 'unknown';
CREATE INDEX send_jobs_suspect ON otp.send_jobs (due_at) WHERE state = 'queued' AND lost_claims > 0;
CREATE INDEX send_jobs_verification ON otp.send_jobs (verification_id);
CREATE UNIQUE INDEX send_jobs_resend ON otp.send_jobs (verification_id) WHERE resend_of IS NOT NULL;
CREATE INDEX send_jobs_held ON otp.send_jobs (held_by, id) WHERE state = 'queued' AND held_by IS NOT NULL;
COMMENT ON TABLE otp.send_jobs IS 'Sends that have not ended. Backends insert verification_id. History: otp.delivery_status.';

CREATE FUNCTION otp.send_jobs_before_insert() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    verification record;
    queue record;
    trouble text;
    context text;
    is_unbounded CONSTANT boolean := current_setting('lock_timeout') = '0';
    nothing text;
BEGIN
    IF NEW.channel IS DISTINCT FROM 'sms' THEN
        IF NEW.channel IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = format('The channel %L is unknown', left(NEW.channel, 40)),
                HINT = 'Leave it out: codes are sent by sms.';
        END IF;
        NEW.channel := 'sms';
    END IF;
    BEGIN
        IF is_unbounded THEN
            nothing := set_config('lock_timeout', otp.lock_timeout(), true);
        END IF;
        -- Jobs of one verification take turns here, and an id that is no longer the last one drawn is drawn again while the
        -- lock is held: within a verification the order of ids is the order of commits, so "the lowest live id" names one
        -- job for everybody.
        SELECT v.subject, v.e164, v.country, v.client_ip, v.expires_at, v.attempts, v.verified_at, v.canceled_at,
            v.made_by, v.resend_id, (SELECT s.max_attempts FROM otp.settings s) AS max_attempts,
            (SELECT n.id FROM otp.verifications n WHERE n.subject = v.subject AND n.purpose = v.purpose
                ORDER BY n.created_at DESC, n.id DESC LIMIT 1) AS newest_id
        INTO verification
        FROM otp.verifications v WHERE v.id = NEW.verification_id FOR NO KEY UPDATE OF v;
        NEW.requested_at := clock_timestamp();
        trouble := CASE
            WHEN verification IS NULL THEN 'it does not exist'
            -- Only the owner's functions can write resend_of: whoever brings the news of a failure sends nothing himself.
            WHEN NEW.resend_of IS NULL AND NOT pg_has_role(session_user, verification.made_by, 'USAGE')
                THEN 'another role made it'
            WHEN verification.verified_at IS NOT NULL THEN 'its code has been used'
            WHEN verification.canceled_at IS NOT NULL THEN 'it was canceled'
            WHEN verification.expires_at <= NEW.requested_at THEN 'it has expired'
            WHEN verification.attempts >= verification.max_attempts THEN 'it had too many wrong tries'
            WHEN verification.newest_id <> NEW.verification_id THEN 'a newer one of this subject and purpose has replaced it'
        END;
        IF trouble IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'OT006',
                MESSAGE = format('Verification %s cannot be sent: %s', coalesce(NEW.verification_id::text, 'null'), trouble),
                HINT = 'Make a new verification.';
        END IF;
        nothing := otp.refuse_locked_phone(verification.e164);
        -- A job goes when no lower id of its verification lives: whoever asks again would wait for the resend, and get two.
        IF verification.resend_id IS NOT NULL THEN
            WITH gone AS (
                DELETE FROM otp.send_jobs j WHERE j.id = verification.resend_id AND j.state = 'queued' RETURNING j.*
            )
            INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, error, requested_at, resend_of)
            SELECT g.id, g.verification_id, 'canceled', g.attempt, 'The code was asked for again before it was resent.',
                g.requested_at, g.resend_of
            FROM gone g;
        END IF;
        -- A send counts for the address that asks for it; a resend, for the one that asked last.
        IF NEW.client_ip IS NOT NULL THEN
            UPDATE otp.verifications v SET client_ip = NEW.client_ip
            WHERE v.id = NEW.verification_id AND v.client_ip IS DISTINCT FROM NEW.client_ip;
            verification.client_ip := NEW.client_ip;
            NEW.client_ip := NULL;
        END IF;
        nothing := otp.count_send(verification.e164, verification.country, verification.subject, verification.client_ip,
            NEW.requested_at);
        IF is_unbounded THEN
            nothing := set_config('lock_timeout', '0', true);
        END IF;
    EXCEPTION WHEN lock_not_available THEN
        GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
        PERFORM otp.refuse_wait(context);
    END;
    IF NEW.id IS DISTINCT FROM pg_sequence_last_value('otp.send_jobs_id_seq') THEN
        NEW.id := nextval('otp.send_jobs_id_seq');
    END IF;
    -- With a snapshot of its own, taken under the lock, which only READ COMMITTED gives: otherwise the claim has to look.
    SELECT EXISTS (SELECT FROM otp.send_jobs j WHERE j.id = NEW.id) AS id_is_taken,
        current_setting('transaction_isolation') <> 'read committed'
            OR EXISTS (SELECT FROM otp.send_jobs j WHERE j.verification_id = NEW.verification_id) AS has_elder
    INTO queue;
    IF queue.id_is_taken THEN
        PERFORM otp.refuse_taken_id('send_jobs', NEW.id);
    END IF;
    NEW.state := 'queued';
    NEW.attempt := 0;
    NEW.worker := NULL;
    NEW.lease_expires_at := NULL;
    NEW.due_at := least(coalesce(NEW.due_at, NEW.requested_at), verification.expires_at);
    NEW.expires_at := verification.expires_at;
    NEW.lost_claims := 0;
    NEW.unknown_at := NULL;
    NEW.look_at := NULL;
    NEW.looks := 0;
    NEW.last_error_code := NULL;
    NEW.last_error := NULL;
    NEW.last_remedy := NULL;
    NEW.held_by := NULL;
    NEW.returned := 0;
    NEW.has_elder := queue.has_elder;
    RETURN NEW;
END $$;

CREATE TRIGGER before_insert BEFORE INSERT ON otp.send_jobs
FOR EACH ROW EXECUTE FUNCTION otp.send_jobs_before_insert();

-- A wake-up at commit. NOTIFY in every transaction would make all commits of the cluster take turns. So a transaction
-- stays silent while another one notifies: the workers look again 5 to 80 ms after each wake-up, and then at least every
-- half second for 10 s. A transaction that does not end (its trigger has fired early, by SET CONSTRAINTS … IMMEDIATE)
-- delays the others by no more than those looks:
-- - The guard is another advisory lock every 250 ms, and its key is a secret of the schema's owner. Such a transaction
--   keeps the lock of one moment, and other roles cannot take the place of the next.
-- - A transaction stays silent only if a wake-up was committed within the last 5 s, so that workers are awake. The guard's
--   transaction writes one down when the last is 2 s old: often enough that there is always one under load.
CREATE TABLE otp.wake_ups (
    woken_at timestamptz NOT NULL
);
CREATE INDEX wake_ups_woken_at ON otp.wake_ups (woken_at);

-- The secret part of the guard's keys: a sequence, because a function reads it ten times as fast as a row of a table.
CREATE SEQUENCE otp.wake_key;
DO $$
BEGIN
    -- The first 48 bits of such a UUID are all random. pgcrypto's functions may not be granted to the owner yet.
    PERFORM setval('otp.wake_key', ('x' || left(replace(gen_random_uuid()::text, '-', ''), 12))::bit(48)::bigint | 1);
END $$;

-- All workers hear a wake-up. By the transaction's number, one for all its jobs, they share out who looks when.
CREATE FUNCTION otp.wake_workers() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    has_guard CONSTANT boolean := pg_try_advisory_xact_lock(
        hashint8extended((date_part('epoch', moment) * 4)::bigint, pg_sequence_last_value('otp.wake_key')));
    -- Of a clock that has gone back, later rows do not count.
    last_wake_up CONSTANT timestamptz := (SELECT w.woken_at FROM otp.wake_ups w
        WHERE w.woken_at BETWEEN moment - interval '5 seconds' AND moment + interval '1 second'
        ORDER BY w.woken_at DESC LIMIT 1);
    nothing text;   -- assigned, an expression costs half of what PERFORM does
BEGIN
    IF NOT has_guard AND last_wake_up IS NOT NULL THEN
        RETURN NULL;
    END IF;
    nothing := otp.notify('otp_send_jobs', right(pg_current_xact_id()::text, 2));
    -- Not under SERIALIZABLE: the row would make transactions fail that have looked for it.
    IF has_guard AND coalesce(last_wake_up < moment - interval '2 seconds', true)
            AND current_setting('transaction_isolation') = 'read committed' THEN
        INSERT INTO otp.wake_ups (woken_at) VALUES (moment);
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER wake_workers AFTER INSERT ON otp.send_jobs DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION otp.wake_workers();

-- Jobs that wait for their sender's turn were given their times by the rate of before: at another one they are shared out
-- anew. Workers that have not heard of it yet give jobs no times by the rate of before (FinishUnsent).
CREATE FUNCTION otp.release_deferred() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE otp.send_jobs j SET held_by = NULL, due_at = clock_timestamp()
    WHERE j.state = 'queued' AND j.due_at > clock_timestamp()
        AND j.held_by IN (SELECT 'rate ' || r.sender FROM changed_rates r);
    PERFORM otp.notify('otp_catalog'), otp.notify('otp_send_jobs');
    RETURN NULL;
END $$;

CREATE TRIGGER release_deferred AFTER UPDATE ON otp.sender_rates REFERENCING OLD TABLE AS changed_rates
FOR EACH STATEMENT EXECUTE FUNCTION otp.release_deferred();
CREATE TRIGGER release_removed AFTER DELETE ON otp.sender_rates REFERENCING OLD TABLE AS changed_rates
FOR EACH STATEMENT EXECUTE FUNCTION otp.release_deferred();

-- ───────────────────────────────────────────────────── pauses ───────────────────────────────────────────────────────

-- What is not sent for the time being, shared by all workers: everything, a country, or the numbers that begin alike. A
-- worker makes one when Twilio refuses a country or a prefix; a person by hand; otp.check_budget when the day's budget is
-- used up, of everything. Jobs that a pause holds wait until it ends or their code dies. Deleting the row ends it, whoever
-- deletes it.
CREATE TABLE otp.pauses (
    scope text NOT NULL,
    key text COLLATE "C" NOT NULL DEFAULT '',
    name text COLLATE "C" NOT NULL GENERATED ALWAYS AS (CASE key WHEN '' THEN scope ELSE scope || ' ' || key END) STORED
        PRIMARY KEY,
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    remedy text,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_probe_at timestamptz,              -- null: by hand, and so ended by hand
    probes int NOT NULL DEFAULT 0,
    made_by text NOT NULL DEFAULT session_user,
    -- A prefix leaves four digits open even of the longest number: a whole one is nobody's to read here.
    CHECK (CASE scope WHEN 'all' THEN key = '' WHEN 'budget' THEN key = '' WHEN 'country' THEN key ~ '^([A-Z]{2}|001)$'
        WHEN 'prefix' THEN key ~ '^\+[1-9][0-9]{0,10}$' ELSE false END)
);
COMMENT ON TABLE otp.pauses IS 'What is not sent for now: all, budget (all, too), a country (SA), a prefix (+96650). DELETE resumes it; held jobs are due again at once.';

-- Countries that a person names; a worker names those that its jobs have.
CREATE FUNCTION otp.pause_before_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM otp.check_region(NEW.key, 'the country of a pause');
    RETURN NEW;
END $$;

CREATE TRIGGER before_write BEFORE INSERT OR UPDATE OF scope, key ON otp.pauses
FOR EACH ROW WHEN (NEW.scope = 'country' AND NEW.next_probe_at IS NULL) EXECUTE FUNCTION otp.pause_before_write();

CREATE TRIGGER changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF scope, key, reason, remedy ON otp.pauses
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();

-- With a snapshot of its own, taken when the pause is locked: a worker that gives a job to a pause holds the pause's row
-- (FOR KEY SHARE) until the job is written, so none is given to a pause that has ended.
CREATE FUNCTION otp.release_held() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE otp.send_jobs j SET held_by = NULL, due_at = clock_timestamp()
    WHERE j.state = 'queued' AND j.held_by IS NOT NULL AND (TG_OP = 'TRUNCATE' OR j.held_by = OLD.name);
    -- In this order: a worker should know that the pause has ended before it claims what it held.
    PERFORM otp.notify('otp_catalog'), otp.notify('otp_send_jobs');
    RETURN NULL;
END $$;

CREATE TRIGGER release_held AFTER DELETE ON otp.pauses
FOR EACH ROW EXECUTE FUNCTION otp.release_held();
CREATE TRIGGER release_all AFTER TRUNCATE ON otp.pauses
FOR EACH STATEMENT EXECUTE FUNCTION otp.release_held();

-- ────────────────────────────────────────────────── how a job ends ──────────────────────────────────────────────────

-- One row per message of Twilio's, which is also the history of a job that ended accepted.
CREATE TABLE otp.messages (
    message_sid text COLLATE "C" PRIMARY KEY,
    send_job_id bigint NOT NULL,
    verification_id bigint NOT NULL,
    attempt int NOT NULL,
    worker bigint,
    sender text,                    -- number, name or messaging service that it was sent from; null until it is known
    ended_job boolean NOT NULL,     -- false: evidence that came after the job had ended otherwise, or a second message
    requested_at timestamptz NOT NULL,
    accepted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    status text NOT NULL,           -- Twilio's word, verbatim
    error_code int,
    segments smallint,
    price numeric,
    price_unit text,
    final_at timestamptz,           -- when the status became one that stays
    next_poll_at timestamptz,       -- when Twilio is asked next: for the status, the bill, then to empty the text; or never
    polls smallint NOT NULL DEFAULT 0,
    resend_of bigint,               -- its send job's
    follow_up text,                 -- what came of its failure: the resend, or why there is none
    redacted_at timestamptz,        -- since when Twilio has no text of it
    redactions smallint NOT NULL DEFAULT 0,     -- tries to empty it
    -- True where another job of the history has this send_job_id, since the sequence stood behind; ended_job is then false.
    id_taken boolean
) WITH (fillfactor = 80, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1);
-- A job ends once; what else turns up of it is kept beside that.
CREATE UNIQUE INDEX messages_send_job ON otp.messages (send_job_id) WHERE ended_job;
CREATE INDEX messages_beside ON otp.messages (send_job_id) WHERE NOT ended_job;
CREATE INDEX messages_taken ON otp.messages (send_job_id) WHERE id_taken;
CREATE INDEX messages_verification ON otp.messages (verification_id);
CREATE INDEX messages_to_poll ON otp.messages (next_poll_at) WHERE next_poll_at IS NOT NULL;
CREATE INDEX messages_accepted_at ON otp.messages (accepted_at);
-- For otp.failures. By error_code and not by status, which every message changes.
CREATE INDEX messages_in_error ON otp.messages (accepted_at) WHERE error_code IS NOT NULL;

-- Jobs that ended without a message. With requested_at, an id that a sequence gave out twice loses no result.
CREATE TABLE otp.unsent_jobs (
    send_job_id bigint,
    verification_id bigint NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('failed', 'expired', 'limited', 'canceled')),
    attempts int NOT NULL,
    error_code int,
    error text,
    remedy text,
    error_class text,
    requested_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    resend_of bigint,
    PRIMARY KEY (send_job_id, requested_at)
);
CREATE INDEX unsent_jobs_verification ON otp.unsent_jobs (verification_id);
CREATE INDEX unsent_jobs_ended_at ON otp.unsent_jobs (ended_at);
CREATE INDEX unsent_jobs_failed ON otp.unsent_jobs (ended_at) WHERE state <> 'canceled';

-- How many jobs ended, by five seconds and writer, so that otp.queue_status costs the same however many there were.
CREATE TABLE otp.outcome_counts (
    starts_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    accepted int NOT NULL DEFAULT 0,
    failed int NOT NULL DEFAULT 0,
    PRIMARY KEY (starts_at, shard)
) WITH (fillfactor = 70);

-- The calling session's row of a sum that many write. Workers never share theirs with other roles, whose transactions
-- may stay open.
CREATE FUNCTION otp.own_shard() RETURNS smallint
LANGUAGE sql STABLE
RETURN (pg_backend_pid() & 63) + CASE WHEN pg_has_role(session_user, 'otp_worker', 'USAGE') THEN 0 ELSE 64 END;

CREATE FUNCTION otp.count_outcomes() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'messages' THEN
        INSERT INTO otp.outcome_counts AS c (starts_at, shard, accepted)
        SELECT date_bin('5 seconds', e.accepted_at, 'epoch'), otp.own_shard(), count(*)
        FROM ended e WHERE e.ended_job GROUP BY 1 ORDER BY 1
        ON CONFLICT (starts_at, shard) DO UPDATE SET accepted = c.accepted + excluded.accepted;
    ELSE
        INSERT INTO otp.outcome_counts AS c (starts_at, shard, failed)
        SELECT date_bin('5 seconds', e.ended_at, 'epoch'), otp.own_shard(), count(*)
        FROM ended e WHERE e.state <> 'canceled' GROUP BY 1 ORDER BY 1
        ON CONFLICT (starts_at, shard) DO UPDATE SET failed = c.failed + excluded.failed;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER count_outcomes AFTER INSERT ON otp.messages REFERENCING NEW TABLE AS ended
FOR EACH STATEMENT EXECUTE FUNCTION otp.count_outcomes();
CREATE TRIGGER count_outcomes AFTER INSERT ON otp.unsent_jobs REFERENCING NEW TABLE AS ended
FOR EACH STATEMENT EXECUTE FUNCTION otp.count_outcomes();

-- ────────────────────────────────────────────────── the day's budget ────────────────────────────────────────────────

-- What today's messages cost, by writer: kept while settings.daily_budget is set, so that nothing ever adds up the day.
CREATE TABLE otp.spend_tally (
    day date NOT NULL,              -- of settings.timezone
    shard smallint NOT NULL,
    amount numeric NOT NULL,        -- in settings.budget_unit
    PRIMARY KEY (day, shard)
) WITH (fillfactor = 70);

-- What a message costs, in `unit`: its price; before there is one, or where it is in another currency, the country's
-- estimate for its segments; where there is none in that currency either, the country's expected_cost, whose currency is
-- taken to be the budget's. Nothing is converted. What failed or was canceled without a price never left.
CREATE FUNCTION otp.message_cost(
    status text, segments smallint, price numeric, price_unit text, country otp.countries, unit text) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN price IS NOT NULL AND price_unit = unit THEN -price
    WHEN price IS NULL AND status IN ('failed', 'canceled') THEN 0
    WHEN (country).price_estimate IS NOT NULL AND (country).price_unit = unit
        THEN (country).price_estimate * greatest(segments, 1)
    ELSE coalesce((country).expected_cost, 0) END;

-- Begins the pause of everything when the budget of today is used up, and ends that of another day. Called where the tally
-- grows, so that no send of this writer's is too many, and by every sweep, for midnight and for writers that did not see
-- each other. Not ended by a price that turns out lower: each time, what is under way would be sent on top.
-- Returns the seconds until such a pause ends; null while there is none.
CREATE FUNCTION otp.check_budget() RETURNS double precision
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    budget record;
    spent numeric;
    paused_since timestamptz;
BEGIN
    SELECT s.daily_budget AS amount, s.budget_unit AS unit, s.timezone, b.today,
        b.today::timestamp AT TIME ZONE s.timezone AS starts_at, (b.today + 1)::timestamp AT TIME ZONE s.timezone AS ends_at
    INTO budget FROM otp.settings s, LATERAL (SELECT (clock_timestamp() AT TIME ZONE s.timezone)::date AS today) b
    WHERE s.daily_budget IS NOT NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT p.since INTO paused_since FROM otp.pauses p WHERE p.name = 'budget';
    IF paused_since < budget.starts_at THEN     -- not asked of the DELETE: its trigger tells workers also of no row
        DELETE FROM otp.pauses p WHERE p.name = 'budget';
        paused_since := NULL;
    END IF;
    IF paused_since IS NULL THEN
        SELECT coalesce(sum(t.amount), 0) INTO spent FROM otp.spend_tally t WHERE t.day = budget.today;
        IF spent < budget.amount THEN
            RETURN NULL;
        END IF;
        INSERT INTO otp.pauses (scope, reason, remedy, made_by)
        VALUES ('budget', format('The budget of %s %s for today is used up: %s %s spent or expected.',
                trim_scale(budget.amount), budget.unit, trim_scale(round(spent, 4)), budget.unit),
            format('Raise otp.settings.daily_budget, or wait until 00:00 %s: then sending goes on by itself.', budget.timezone),
            'otp.settings.daily_budget')
        ON CONFLICT (name) DO NOTHING;
    END IF;
    RETURN extract(epoch FROM budget.ends_at - clock_timestamp());
END $$;
COMMENT ON FUNCTION otp.check_budget IS 'For workers: begins and ends the pause that the daily budget demands; seconds until it ends by itself.';

CREATE FUNCTION otp.tally_accepted() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    budget record;
BEGIN
    SELECT s.budget_unit AS unit, s.timezone INTO budget FROM otp.settings s WHERE s.daily_budget IS NOT NULL;
    IF FOUND THEN
        INSERT INTO otp.spend_tally AS t (day, shard, amount)
        SELECT (e.accepted_at AT TIME ZONE budget.timezone)::date, otp.own_shard(),
            sum(otp.message_cost(e.status, e.segments, e.price, e.price_unit, c, budget.unit))
        FROM accepted e LEFT JOIN otp.verifications v ON v.id = e.verification_id
        LEFT JOIN otp.countries c ON c.region = v.country GROUP BY 1 ORDER BY 1
        ON CONFLICT (day, shard) DO UPDATE SET amount = t.amount + excluded.amount;
        PERFORM otp.check_budget();
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER tally_accepted AFTER INSERT ON otp.messages REFERENCING NEW TABLE AS accepted
FOR EACH STATEMENT EXECUTE FUNCTION otp.tally_accepted();

-- Prices come later, and one by one.
CREATE FUNCTION otp.tally_priced() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    budget record;
BEGIN
    SELECT s.budget_unit AS unit, (NEW.accepted_at AT TIME ZONE s.timezone)::date AS day INTO budget
    FROM otp.settings s WHERE s.daily_budget IS NOT NULL
        AND (NEW.accepted_at AT TIME ZONE s.timezone)::date = (clock_timestamp() AT TIME ZONE s.timezone)::date;
    IF FOUND THEN
        INSERT INTO otp.spend_tally AS t (day, shard, amount)
        SELECT budget.day, otp.own_shard(),
            otp.message_cost(NEW.status, NEW.segments, NEW.price, NEW.price_unit, c, budget.unit)
            - otp.message_cost(OLD.status, OLD.segments, OLD.price, OLD.price_unit, c, budget.unit)
        FROM (VALUES (1)) one LEFT JOIN otp.verifications v ON v.id = NEW.verification_id
        LEFT JOIN otp.countries c ON c.region = v.country
        ON CONFLICT (day, shard) DO UPDATE SET amount = t.amount + excluded.amount;
        PERFORM otp.check_budget();
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER tally_priced AFTER UPDATE OF status, segments, price, price_unit ON otp.messages FOR EACH ROW
WHEN ((OLD.segments, OLD.price, OLD.price_unit) IS DISTINCT FROM (NEW.segments, NEW.price, NEW.price_unit)
    OR (OLD.status IN ('failed', 'canceled')) <> (NEW.status IN ('failed', 'canceled')))
EXECUTE FUNCTION otp.tally_priced();

-- Another budget, or other estimates: what is not known yet of today is added up, once, and the pause begun or ended by
-- what comes out. At the commit, whatever else the transaction does: nobody writes messages meanwhile, so that none is
-- missed and none counted twice.
CREATE FUNCTION otp.tally_today() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    is_known boolean := current_setting('otp.tallied_in', true) IS NOT DISTINCT FROM pg_current_xact_id()::text;
BEGIN
    IF NOT EXISTS (SELECT FROM otp.settings s WHERE s.daily_budget IS NOT NULL) THEN
        DELETE FROM otp.pauses p WHERE p.name = 'budget';
        DELETE FROM otp.spend_tally;
        RETURN NULL;
    END IF;
    IF TG_TABLE_NAME = 'settings' THEN
        is_known := is_known OR OLD.daily_budget IS NOT NULL
            AND (OLD.budget_unit, OLD.timezone) IS NOT DISTINCT FROM (NEW.budget_unit, NEW.timezone);
        DELETE FROM otp.pauses p WHERE p.name = 'budget';
    END IF;
    IF NOT is_known THEN
        PERFORM set_config('otp.tallied_in', pg_current_xact_id()::text, true);
        -- No send can be written down while this lock is held, or waited for. So it is waited for briefly, and its session is
        -- ended when it idles in a transaction that keeps it (after SET CONSTRAINTS … IMMEDIATE).
        PERFORM set_config('idle_in_transaction_session_timeout', '1s', true);
        BEGIN
            LOCK TABLE otp.messages IN SHARE MODE;
        EXCEPTION WHEN lock_not_available THEN
            RAISE EXCEPTION USING ERRCODE = 'lock_not_available',
                MESSAGE = 'another transaction is writing to otp.messages',
                DETAIL = 'The day''s cost is added up while none does. This change waited for 2 seconds, and was not made.',
                HINT = 'Try again. If that repeats: SELECT pid, usename, xact_start FROM pg_stat_activity ORDER BY '
                    'xact_start LIMIT 5 shows the transactions that stay open.';
        END;
        DELETE FROM otp.spend_tally;
        INSERT INTO otp.spend_tally (day, shard, amount)
        SELECT b.today, 0,
            coalesce(sum(otp.message_cost(m.status, m.segments, m.price, m.price_unit, c, b.budget_unit)), 0)
        FROM (SELECT s.budget_unit, s.timezone, (clock_timestamp() AT TIME ZONE s.timezone)::date AS today
            FROM otp.settings s OFFSET 0) b
        LEFT JOIN otp.messages m ON m.accepted_at >= b.today::timestamp AT TIME ZONE b.timezone
        LEFT JOIN otp.verifications v ON v.id = m.verification_id
        LEFT JOIN otp.countries c ON c.region = v.country
        GROUP BY b.today;
    END IF;
    PERFORM otp.check_budget();
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER tally_today AFTER UPDATE OF daily_budget, budget_unit, timezone ON otp.settings
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN ((OLD.daily_budget, OLD.budget_unit, OLD.timezone) IS DISTINCT FROM (NEW.daily_budget, NEW.budget_unit, NEW.timezone))
EXECUTE FUNCTION otp.tally_today();
CREATE CONSTRAINT TRIGGER tally_today AFTER UPDATE OF price_estimate, price_unit, expected_cost ON otp.countries
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN ((OLD.price_estimate, OLD.price_unit, OLD.expected_cost) IS DISTINCT FROM (NEW.price_estimate, NEW.price_unit, NEW.expected_cost))
EXECUTE FUNCTION otp.tally_today();

-- ─────────────────────────────────────────────────── claim and status ───────────────────────────────────────────────

-- Of jobs that have just been claimed, by these attempts, those that shared limits allow; the others end as limited, here
-- and now, before anything of the claim is sent. What is in other hands by now is left alone, and not returned.
-- A count can be over its limit only by writers that did not see each other: then exactly as many jobs as are too many end
-- here, counted in rows whose locks make claims take turns. Otherwise nothing is written, and nothing locked but the jobs.
CREATE FUNCTION otp.within_limits(send_job_ids bigint[], attempts int[]) RETURNS SETOF bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    job record;
    over record;
    within bigint[] := ARRAY(
        SELECT j.id
        FROM unnest(send_job_ids, attempts) AS claimed(id, attempt)
        CROSS JOIN LATERAL (
            SELECT j.id FROM otp.send_jobs j
            WHERE j.id = claimed.id AND j.attempt = claimed.attempt AND CASE j.state WHEN 'sending' THEN true END
            FOR UPDATE) j);
BEGIN
    IF EXISTS (SELECT FROM otp.limits l WHERE l.scope IN ('prefix', 'country', 'total', 'budget'))
        AND EXISTS (
            SELECT FROM (
                SELECT DISTINCT l.scope, l.key, l.period, l.starts_at, l.allowed
                FROM otp.send_jobs j JOIN otp.verifications v ON v.id = j.verification_id,
                    LATERAL otp.shared_limits(v.e164, v.country, j.requested_at) l
                WHERE j.id = ANY (within) AND j.attempt - j.returned - j.lost_claims = 1) l
            WHERE otp.shared_sum(l.scope, l.key, l.period, l.starts_at) > l.allowed)
    THEN
        INSERT INTO otp.shared_counts AS c (scope, key, period, starts_at, shard, amount)
        SELECT DISTINCT l.scope, l.key, l.period, l.starts_at, -1, 0
        FROM otp.send_jobs j JOIN otp.verifications v ON v.id = j.verification_id,
            LATERAL otp.shared_limits(v.e164, v.country, j.requested_at) l
        WHERE j.id = ANY (within) ORDER BY l.starts_at, l.key, l.scope, l.period
        ON CONFLICT (starts_at, key, scope, period, shard) DO UPDATE SET amount = c.amount;
        -- What was tried before was within the limits then.
        FOR job IN
            SELECT j.id, j.requested_at, v.e164, v.country
            FROM otp.send_jobs j JOIN otp.verifications v ON v.id = j.verification_id
            WHERE j.id = ANY (within) AND j.attempt - j.returned - j.lost_claims = 1 ORDER BY j.id DESC
        LOOP
            SELECT l.* INTO over
            FROM otp.shared_limits(job.e164, job.country, job.requested_at) l JOIN otp.shared_counts c
                ON c.starts_at = l.starts_at AND c.key = l.key AND c.scope = l.scope AND c.period = l.period
                AND c.shard = -1
            WHERE otp.shared_sum(l.scope, l.key, l.period, l.starts_at) - c.amount > l.allowed LIMIT 1;
            CONTINUE WHEN NOT FOUND;
            UPDATE otp.shared_counts c SET amount = c.amount + l.amount
            FROM otp.shared_limits(job.e164, job.country, job.requested_at) l
            WHERE c.starts_at = l.starts_at AND c.key = l.key AND c.scope = l.scope AND c.period = l.period
                AND c.shard = -1;
            WITH gone AS (
                DELETE FROM otp.send_jobs j WHERE j.id = job.id RETURNING j.*
            )
            INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, error, remedy, error_class,
                requested_at, resend_of)
            SELECT g.id, g.verification_id, 'limited', g.attempt - 1,
                format('More codes were asked for at once than otp.limits allows: %s %s in %s.', over.scope,
                    trim_scale(over.allowed), over.period),
                'See who asks for so many; if they are real users, raise the limit in otp.limits.', 'limited',
                g.requested_at, g.resend_of
            FROM gone g;
            within := array_remove(within, job.id);
        END LOOP;
    END IF;
    RETURN QUERY SELECT unnest(within);
END $$;
COMMENT ON FUNCTION otp.within_limits IS 'For the worker''s claim: which of these jobs, just claimed, may be sent; the rest end as limited.';

-- How far along a status is; 50 and above stay. This is the one place that decides it: a word that
-- Twilio invents later counts as on its way, and statuses of one rank exclude each other.
CREATE FUNCTION otp.status_rank(status text) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CASE status
    WHEN 'scheduled' THEN 0
    WHEN 'accepted' THEN 10
    WHEN 'queued' THEN 20
    WHEN 'receiving' THEN 20
    WHEN 'sending' THEN 30
    WHEN 'sent' THEN 40
    WHEN 'partially_delivered' THEN 45
    WHEN 'delivered' THEN 50
    WHEN 'undelivered' THEN 50
    WHEN 'failed' THEN 50
    WHEN 'canceled' THEN 50
    WHEN 'received' THEN 50
    WHEN 'read' THEN 60
    ELSE 30 END;

-- Whether a message may move from one status to another; callbacks come out of order and more than once. Only what was
-- delivered can be read.
CREATE FUNCTION otp.status_advances(earlier text, later text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN otp.status_rank(later) > otp.status_rank(earlier)
    AND (later <> 'read' OR otp.status_rank(earlier) < 50 OR earlier = 'delivered');

-- Whether Twilio has no more to say of a message: its status stays, and its bill is known. What failed or was canceled
-- never left, and gets no price.
CREATE FUNCTION otp.is_settled(status text, segments smallint, price numeric) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN otp.status_rank(status) >= 50 AND segments IS NOT NULL AND (price IS NOT NULL OR status IN ('failed', 'canceled'));

-- What backends report that receive Twilio's callbacks themselves. Anybody in the web tier can invent a report, so it
-- proves nothing and counts for nothing: a worker asks Twilio for the message, and records Twilio's answer alone. At most
-- three SIDs a job, so that an intruder costs three requests to Twilio a code, and rows of his own jobs only.
CREATE TABLE otp.status_reports (
    send_job_id bigint,
    slot smallint CHECK (slot BETWEEN 1 AND 3),
    message_sid text COLLATE "C" NOT NULL,
    attempt int NOT NULL,
    reported_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at timestamptz,             -- when Twilio is asked next; null: it has answered, or the message is known
    tries smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (send_job_id, slot),
    UNIQUE (send_job_id, message_sid)
);
CREATE INDEX status_reports_due ON otp.status_reports (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX status_reports_reported_at ON otp.status_reports (reported_at);
COMMENT ON TABLE otp.status_reports IS 'SIDs that backends report, at most three a job; workers ask Twilio for them.';

-- Takes a report without a lock on any row that workers write. False where the message and its job are unknown, or another
-- login role's (made_by, as for send jobs), or where the job has three reports.
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
        FROM otp.messages m WHERE m.message_sid = report_status.message_sid
        UNION ALL SELECT j.id, report_status.attempt, j.verification_id, j.requested_at, false, true, j.state = 'sending'
        FROM otp.send_jobs j WHERE j.id = report_status.send_job_id AND j.attempt >= report_status.attempt
        UNION ALL SELECT u.send_job_id, report_status.attempt, u.verification_id, u.requested_at, false, true, false
        FROM otp.unsent_jobs u WHERE u.send_job_id = report_status.send_job_id AND u.attempts >= report_status.attempt
        UNION ALL SELECT m.send_job_id, report_status.attempt, m.verification_id, m.requested_at, false, true, false
        FROM otp.messages m
        WHERE m.send_job_id = report_status.send_job_id AND m.ended_job AND m.attempt >= report_status.attempt) k
    WHERE k.is_known OR report_status.attempt > 0
    LIMIT 1;
    IF job IS NULL OR job.requested_at < moment - interval '1 day' OR NOT EXISTS (
        SELECT FROM otp.verifications v
        WHERE v.id = job.verification_id AND pg_has_role(session_user, v.made_by, 'USAGE'))
    THEN
        RETURN false;
    END IF;
    -- Of a known message only its end is news: until then it is polled as it is.
    IF NOT job.is_news OR EXISTS (
        SELECT FROM otp.status_reports r WHERE r.send_job_id = job.id AND r.message_sid = report_status.message_sid)
    THEN
        RETURN true;
    END IF;
    FOR place IN 1..3 LOOP
        INSERT INTO otp.status_reports (send_job_id, slot, message_sid, attempt, due_at)
        VALUES (job.id, place, report_status.message_sid, job.attempt,
            -- The answer to a request that is under way mostly follows at once.
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
    -- '<send job>.<attempt>', which the worker puts into the callback's URL
    referenced CONSTANT text[] := regexp_match(record_status.reference, '^([0-9]{1,18})[.]([0-9]{1,9})$');
    job record;
BEGIN
    IF record_status.message_sid ~ '^[A-Z]{2}[0-9a-fA-F]{32}$' IS NOT TRUE
        OR record_status.status ~ '^[a-z_-]{1,40}$' IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'message_sid or status is not one of Twilio''s',
            HINT = 'Pass MessageSid and MessageStatus as the callback has them.';
    END IF;
    -- A role that may write otp.messages itself is believed: a worker, whose receiver has checked Twilio's signature.
    IF NOT has_table_privilege(
        CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role') END, 'otp.messages', 'INSERT')
    THEN
        RETURN otp.report_status(record_status.message_sid, record_status.status, referenced[1]::bigint, referenced[2]::int);
    END IF;
    UPDATE otp.messages m
    SET status = record_status.status, error_code = coalesce(record_status.error_code, m.error_code),
        final_at = coalesce(m.final_at, final_since)
    WHERE m.message_sid = record_status.message_sid
        AND otp.status_advances(m.status, record_status.status);
    IF FOUND OR EXISTS (SELECT FROM otp.messages m WHERE m.message_sid = record_status.message_sid) THEN
        RETURN true;    -- recorded now, or before: a repeat or a latecomer changes nothing
    END IF;

    -- A SID that nobody has seen yet is evidence: it settles the job it refers to, in whatever live state that is.
    DELETE FROM otp.send_jobs j
    WHERE j.id = referenced[1]::bigint AND j.attempt >= referenced[2]::int AND referenced[2]::int > 0
    RETURNING j.id, j.verification_id, j.worker, j.requested_at, j.resend_of, true AS ended_job INTO job;
    IF job IS NULL THEN
        SELECT e.send_job_id AS id, e.verification_id, NULL::bigint AS worker, e.requested_at, e.resend_of,
            false AS ended_job
        INTO job
        FROM (SELECT u.send_job_id, u.verification_id, u.requested_at, u.resend_of FROM otp.unsent_jobs u
                WHERE u.send_job_id = referenced[1]::bigint AND u.attempts >= referenced[2]::int
            UNION ALL SELECT m.send_job_id, m.verification_id, m.requested_at, m.resend_of FROM otp.messages m
                WHERE m.send_job_id = referenced[1]::bigint AND m.ended_job AND m.attempt >= referenced[2]::int) e
        LIMIT 1;
    END IF;
    IF job IS NULL THEN
        RETURN false;
    END IF;
    INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, worker, ended_job, requested_at,
        accepted_at, status, error_code, final_at, next_poll_at, resend_of)
    VALUES (record_status.message_sid, job.id, job.verification_id, referenced[2]::int, job.worker, job.ended_job,
        job.requested_at, moment, record_status.status, record_status.error_code, final_since, moment, job.resend_of)
    -- Somebody else recorded it meanwhile: the worker's finish, or another callback.
    ON CONFLICT (message_sid) DO UPDATE
    SET status = excluded.status, error_code = coalesce(excluded.error_code, messages.error_code),
        final_at = coalesce(messages.final_at, excluded.final_at)
    WHERE otp.status_rank(excluded.status) > otp.status_rank(messages.status);
    RETURN true;
END $$;
COMMENT ON FUNCTION otp.record_status IS 'For backends that receive Twilio''s callbacks themselves: otpd then asks Twilio for the message. Safe to repeat; false where the message is not known, or not this role''s.';

-- The news that a message was not delivered, by poll, callback or a backend: what the class of its code asks for is done
-- in the transaction that records it, once, since a status becomes final once and its row is locked.
--
-- fraud_hold pauses the number's prefix, as the same code at creation does. No receipt pauses more than that: whatever
-- keeps an account, a sender or a country from sending is said to the next request too, by Twilio itself and not by
-- whoever brings a receipt. Later than an hour it is no news. The first probe comes after a minute: that Twilio takes a
-- message says little here, since it took this one.
--
-- resend_after sends the same code once more. What says no (limits too) leaves its words in follow_up; any other error is
-- the caller's, who repeats. A minute to live is what otp.request asks of a code as well.
CREATE FUNCTION otp.delivery_failed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    class record;
    verification record;
    resend bigint;
    refusal text;
BEGIN
    SELECT d.class, d.resend_after, coalesce(c.explanation, d.explanation) AS explanation,
        coalesce(c.remedy, d.remedy) AS remedy
    INTO class
    FROM otp.error_classes c JOIN otp.error_class_defaults d ON d.class = c.class WHERE c.code = NEW.error_code;
    IF class.resend_after IS NULL AND class.class IS DISTINCT FROM 'fraud_hold' THEN
        RETURN NULL;
    END IF;
    SELECT v.e164, v.country, v.expires_at,
        (SELECT c.receipts_reliable FROM otp.countries c WHERE c.region = v.country) AS is_believed
    INTO verification
    FROM otp.verifications v WHERE v.id = NEW.verification_id;

    IF class.class = 'fraud_hold' AND verification.e164 IS NOT NULL AND NEW.accepted_at > moment - interval '1 hour' THEN
        INSERT INTO otp.pauses AS p (scope, key, reason, remedy, next_probe_at, made_by)
        VALUES ('prefix', left(verification.e164, greatest(length(verification.e164) - 4, 2)),
            left(class.explanation, 500), class.remedy, moment + interval '1 minute', 'a delivery receipt')
        ON CONFLICT (name) DO NOTHING;
    END IF;

    IF class.resend_after IS NULL OR NOT NEW.ended_job THEN
        RETURN NULL;
    END IF;
    refusal := CASE
        WHEN NEW.resend_of IS NOT NULL THEN 'it was a resend already.'
        WHEN verification.expires_at IS NULL THEN 'its verification is gone.'
        WHEN verification.is_believed IS NOT TRUE
            THEN format('receipts of %s are not believed (otp.countries.receipts_reliable).', verification.country)
        WHEN verification.expires_at < moment + class.resend_after + interval '60 seconds'
            THEN 'too little of its code''s life was left.'
    END;
    IF refusal IS NULL THEN
        -- Locked first, so that a request of the same moment is either seen here or sees the resend.
        PERFORM FROM otp.verifications v WHERE v.id = NEW.verification_id FOR NO KEY UPDATE;
        IF EXISTS (SELECT FROM otp.send_jobs j
                WHERE j.verification_id = NEW.verification_id AND j.id > NEW.send_job_id)
            OR EXISTS (SELECT FROM otp.messages m
                WHERE m.verification_id = NEW.verification_id AND m.send_job_id > NEW.send_job_id)
            OR EXISTS (SELECT FROM otp.unsent_jobs u
                WHERE u.verification_id = NEW.verification_id AND u.send_job_id > NEW.send_job_id)
        THEN
            refusal := 'it had been asked for again already.';
        ELSIF EXISTS (SELECT FROM otp.messages m
            WHERE m.send_job_id = NEW.send_job_id AND NOT m.ended_job AND m.status NOT IN ('failed', 'undelivered', 'canceled'))
        THEN
            refusal := 'a second message of its send job has arrived, or may.';
        ELSE
            BEGIN
                INSERT INTO otp.send_jobs (verification_id, resend_of, due_at)
                VALUES (NEW.verification_id, NEW.send_job_id, clock_timestamp() + class.resend_after)
                RETURNING id INTO resend;
                UPDATE otp.verifications v SET resend_id = resend WHERE v.id = NEW.verification_id;
            EXCEPTION WHEN SQLSTATE 'OT001' OR SQLSTATE 'OT006' THEN
                refusal := SQLERRM || '.';
            END;
        END IF;
    END IF;
    UPDATE otp.messages m
    SET follow_up = coalesce('Not sent again: ' || refusal, format('The same code is sent again as send job %s.', resend))
    WHERE m.message_sid = NEW.message_sid;
    RETURN NULL;
END $$;

CREATE TRIGGER born_failed AFTER INSERT ON otp.messages FOR EACH ROW
WHEN (NEW.status IN ('failed', 'undelivered') AND NEW.final_at IS NOT NULL AND NEW.error_code IS NOT NULL)
EXECUTE FUNCTION otp.delivery_failed();
-- Once: when the status becomes final, or when its code is told later than that.
CREATE TRIGGER failed AFTER UPDATE OF status, error_code, final_at ON otp.messages FOR EACH ROW
WHEN (NEW.status IN ('failed', 'undelivered') AND NEW.final_at IS NOT NULL AND NEW.error_code IS NOT NULL
    AND (OLD.final_at IS NULL OR OLD.error_code IS NULL))
EXECUTE FUNCTION otp.delivery_failed();

CREATE SEQUENCE otp.worker_ids;

CREATE TABLE otp.worker_status (
    worker_id bigint PRIMARY KEY DEFAULT nextval('otp.worker_ids'),
    kind text NOT NULL DEFAULT 'worker' CHECK (kind IN ('worker', 'callbacks')),    -- callbacks: a receiver alone, sends nothing
    host text NOT NULL,
    pid int NOT NULL,
    version text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL DEFAULT 'starting'
        CHECK (state IN ('starting', 'running', 'paused', 'draining', 'stopped', 'dead')),  -- dead: so said another worker
    reason text,
    remedy text,
    paused_since timestamptz,
    next_probe_at timestamptz,
    in_flight int NOT NULL DEFAULT 0,
    claimed bigint NOT NULL DEFAULT 0,
    accepted bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    unknown bigint NOT NULL DEFAULT 0,
    latency_p50_ms double precision,
    latency_p95_ms double precision,
    latency_p99_ms double precision,
    database_state text,        -- null: dead, or stopped
    twilio_state text,
    callbacks_received bigint,  -- since the start; null: it receives none
    callbacks_refused bigint,
    callbacks_dropped bigint,
    callbacks_written bigint
) WITH (fillfactor = 50);
ALTER SEQUENCE otp.worker_ids OWNED BY otp.worker_status.worker_id;
COMMENT ON TABLE otp.worker_status IS 'One row per worker process, and per receiver of callbacks alone; alive while heartbeat_at is younger than 30 seconds.';

-- Rates are divided among the workers that are running: who begins or ceases to, or comes back after its heartbeat was
-- overdue, tells the others, where there are rates.
CREATE FUNCTION otp.shares_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM otp.settings s WHERE s.sends_per_second IS NOT NULL) OR EXISTS (SELECT FROM otp.sender_rates) THEN
        PERFORM otp.notify('otp_catalog');
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER shares_begin AFTER INSERT ON otp.worker_status FOR EACH ROW
WHEN (NEW.state = 'running' AND NEW.kind = 'worker')
EXECUTE FUNCTION otp.shares_changed();
CREATE TRIGGER shares_changed AFTER UPDATE OF state ON otp.worker_status FOR EACH ROW
WHEN (NEW.kind = 'worker' AND ((OLD.state = 'running') <> (NEW.state = 'running')
    OR NEW.heartbeat_at > OLD.heartbeat_at + interval '20 seconds'))
EXECUTE FUNCTION otp.shares_changed();

-- ─────────────────────────────────────────── request, verify, cancel, deliver ───────────────────────────────────────

-- Wrong tries per key and day: a phone, or a row of the calling session, which takes every other failure (no such
-- verification, used, expired). So each failure writes a row, none tells its cause by being faster, and a transaction that
-- stays open keeps no other session from failing.
CREATE TABLE otp.verify_failures (
    key text COLLATE "C" NOT NULL,
    day date NOT NULL,
    failures int NOT NULL,
    PRIMARY KEY (key, day)
) WITH (fillfactor = 70);

-- One live verification per subject and purpose is drawn by one caller at a time: this row is the turnstile.
CREATE TABLE otp.requests (
    subject text COLLATE "C" NOT NULL,
    purpose text COLLATE "C" NOT NULL,
    requests bigint NOT NULL DEFAULT 1,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (subject, purpose)
) WITH (fillfactor = 70);

-- Sends of a verification that are still queued end as canceled; one under way is not recalled.
-- In PL/pgSQL, which keeps its plan: in SQL it is planned at each call, and takes 150 µs instead of 10.
CREATE FUNCTION otp.cancel_queued_sends(verification_id bigint, why text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    WITH gone AS (
        DELETE FROM otp.send_jobs j
        WHERE j.verification_id = cancel_queued_sends.verification_id AND j.state = 'queued'
        RETURNING j.*
    )
    INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, error, requested_at, resend_of)
    SELECT g.id, g.verification_id, 'canceled', g.attempt, why, g.requested_at, g.resend_of FROM gone g;
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
    -- What cannot be any code is no try: a wrong field, a word, nothing. It costs the same time.
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
            USING HINT = 'Call it in autocommit, or alone in its transaction.';
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
        IF newest.id IS NULL THEN   -- a row is locked all the same, since that takes time
            PERFORM FROM otp.verify_failures f WHERE f.key = nobodys_key AND f.day = today FOR NO KEY UPDATE;
        END IF;

        -- A row sealed under a secret that this session lacks says so, and costs no try.
        secret := otp.secret_for(coalesce(newest.key_id, ''));
        IF newest.id IS NULL THEN
            secret := session_secret;
        ELSIF secret IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'OT003',
                MESSAGE = 'This verification was sealed under another otp.secret than this session''s',
                HINT = 'While rotating, sessions carry otp.secret_previous too.';
        END IF;

        live := newest.id IS NOT NULL AND newest.verified_at IS NULL AND newest.canceled_at IS NULL
            AND newest.expires_at > moment AND newest.attempts < settings.max_attempts;
        -- Both sides hashed again under a key of this call: how far they agree cannot be timed.
        right_code := otp.hmac_sha256(otp.hash_code(coalesce(newest.id, 0), coalesce(newest.subject, ''),
                coalesce(newest.purpose, ''), coalesce(newest.e164, ''), coalesce(typed, ''), secret), blind)
            = otp.hmac_sha256(coalesce(newest.code_hash, E'\\x00'), blind);
        IF verify.phone_number IS NOT NULL THEN
            -- Parsed whether or not the code is right: in one expression a wrong code would skip it, and show.
            wanted_e164 := (otp.parse_phone_number(verify.phone_number, coalesce(newest.region, settings.region))).e164;
            right_code := right_code AND coalesce(newest.e164 = wanted_e164, false);
        END IF;

        -- Counted first and given back if it was right: the row's lock lets no two tries share the last one.
        failure_key := CASE WHEN live AND is_code THEN newest.e164 ELSE nobodys_key END;
        INSERT INTO otp.verify_failures AS f (key, day, failures) VALUES (failure_key, today, 1)
        ON CONFLICT (key, day) DO UPDATE SET failures = f.failures + 1
        RETURNING f.failures INTO failures_today;

        IF live AND right_code AND failures_today <= settings.max_failures_per_day THEN
            UPDATE otp.verify_failures f SET failures = f.failures - 1 WHERE f.key = failure_key AND f.day = today;
            UPDATE otp.verifications v SET verified_at = moment WHERE v.id = newest.id;
            nothing := otp.cancel_queued_sends(newest.id, 'The code has been used.');
            passed := true;
        ELSE
            -- Two rows are written whatever the cause: where there is no verification, the same failure once more.
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
COMMENT ON FUNCTION otp.verify IS 'True once, for the newest verification''s right, unexpired, unused code. Call it in a transaction of its own.';

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
COMMENT ON FUNCTION otp.cancel IS 'No further sends, code dead; false where there is no such live verification of the subject.';

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
        IF live.held_by LIKE 'rate %' THEN
            PERFORM otp.refuse_job(wanted, format('waits for the turn of its sender, %s', substr(live.held_by, 6)),
                'It goes by itself; sooner if the sender may send more (otp.sender_rates).');
        ELSIF live.held_by IS NOT NULL THEN
            PERFORM otp.refuse_job(wanted, format('is held by a pause: %s', live.held_by),
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
    SELECT m.status INTO other FROM otp.messages m WHERE m.send_job_id = wanted ORDER BY m.ended_job DESC LIMIT 1;
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

CREATE FUNCTION otp.request(
    subject text, phone_number text, locale text DEFAULT NULL, purpose text DEFAULT NULL, region text DEFAULT NULL,
    ttl interval DEFAULT NULL, client_ip inet DEFAULT NULL,
    OUT verification_id bigint, OUT expires_at timestamptz, OUT resend_after timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    settings otp.settings;
    newest otp.verifications;
    wanted_purpose CONSTANT text := coalesce(request.purpose, 'phone_verification');
    wanted_e164 text;
    wanted_locale text;
    moment timestamptz;
    context text;
    is_unbounded CONSTANT boolean := current_setting('lock_timeout') = '0';
    nothing text;
BEGIN
    nothing := otp.session_secret();
    SELECT s.* INTO settings FROM otp.settings s;
    -- What the insert of a verification refuses takes no lock and leaves no row here.
    IF length(request.phone_number) BETWEEN 1 AND 256 AND length(request.subject) BETWEEN 1 AND 200
            AND length(wanted_purpose) <= 50 THEN
        BEGIN
            IF is_unbounded THEN
                nothing := set_config('lock_timeout', otp.lock_timeout(), true);
            END IF;
            INSERT INTO otp.requests AS r (subject, purpose) VALUES (request.subject, wanted_purpose)
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
    -- A number is parsed once: here where there is a code to compare it with, else by the insert.
    IF newest.id IS NOT NULL THEN
        wanted_e164 := (otp.parse_phone_number(request.phone_number, coalesce(request.region, settings.region))).e164;
    END IF;
    IF newest.id IS NULL THEN
        NULL;
    ELSIF wanted_e164 IS NULL THEN      -- the insert says why
        newest := NULL;
    ELSIF newest.e164 <> wanted_e164 THEN
        UPDATE otp.verifications v SET canceled_at = moment WHERE v.id = newest.id;
        PERFORM otp.cancel_queued_sends(newest.id, 'The user asked for a code on another phone.');
        newest := NULL;
    ELSIF newest.expires_at < moment + interval '60 seconds' OR otp.secret_for(newest.key_id) IS NULL THEN
        newest := NULL;
    END IF;
    IF newest.id IS NULL THEN
        INSERT INTO otp.verifications (subject, phone_number, locale, purpose, region, expires_at, client_ip)
        VALUES (request.subject, request.phone_number, request.locale, wanted_purpose, request.region,
            clock_timestamp() + CASE WHEN request.ttl BETWEEN interval '-1 day' AND interval '1 day' THEN request.ttl
                WHEN request.ttl IS NOT NULL THEN interval '1 day' END, request.client_ip)
        RETURNING id, verifications.expires_at, e164 INTO verification_id, expires_at, wanted_e164;
    ELSE
        verification_id := newest.id;
        expires_at := newest.expires_at;
        -- Its subject and phone were given, so this login role may send it, too. Its text is in the language asked for
        -- last, and this send counts for the address that asks for it now.
        wanted_locale := CASE WHEN request.locale IS NULL THEN newest.locale
            ELSE otp.required_locale(wanted_purpose, request.locale) END;
        UPDATE otp.verifications v
        SET made_by = quote_ident(session_user)::regrole, locale = wanted_locale, client_ip = request.client_ip
        WHERE v.id = newest.id AND (v.made_by, v.locale, v.client_ip)
            IS DISTINCT FROM (quote_ident(session_user)::regrole::oid, wanted_locale, request.client_ip);
    END IF;
    INSERT INTO otp.send_jobs (verification_id) VALUES (request.verification_id);
    IF is_unbounded THEN
        nothing := set_config('lock_timeout', '0', true);
    END IF;
    -- Three lookups by the whole key: no plan, made when the table was small, can become a scan of it.
    SELECT greatest(clock_timestamp(), max(c.sent_at[cardinality(c.sent_at) + 1 - l.max_sends] + l.period))
    INTO resend_after
    FROM otp.limits l JOIN (
        SELECT p.scope, p.sent_at FROM otp.send_counts p WHERE p.key = wanted_e164 AND p.scope = 'phone'
        UNION ALL
        SELECT u.scope, u.sent_at FROM otp.send_counts u WHERE u.key = request.subject AND u.scope = 'subject'
        UNION ALL
        SELECT i.scope, i.sent_at FROM otp.send_counts i
        WHERE i.key = otp.client_key(request.client_ip) AND i.scope = 'client_ip') c ON c.scope = l.scope;
END $$;
COMMENT ON FUNCTION otp.request IS 'Sends a code: the same again while one lives. OT001 too many, OT002 not a number, OT003 secret, OT004 locale or purpose, OT005 country.';

-- ─────────────────────────────────────────────────────── views ──────────────────────────────────────────────────────

-- Every send job, live or ended, exactly once. Each branch is a table and nothing else, so that the planner takes the view
-- apart: ORDER BY send_job_id DESC LIMIT 10, or one verification, reads ten rows, or one, of a million.
CREATE VIEW otp.delivery_status AS
SELECT j.send_job_id, j.verification_id, v.subject, otp.mask(v.e164) AS phone_number, j.channel, j.job_state,
    coalesce(j.message_status, m.status) AS message_status, j.attempts, coalesce(j.error_code, m.error_code) AS error_code,
    CASE WHEN j.error IS NOT NULL THEN j.error
        WHEN coalesce(j.error_code, m.error_code) IS NOT NULL THEN coalesce(c.explanation, d.explanation,
            'Twilio reported error ' || coalesce(j.error_code, m.error_code)
            || ', which otp.error_classes does not know.') END AS error,
    CASE WHEN j.remedy IS NOT NULL THEN j.remedy
        WHEN coalesce(j.error_code, m.error_code) IS NOT NULL THEN coalesce(c.remedy, d.remedy,
            'Look it up at https://www.twilio.com/docs/api/errors/' || coalesce(j.error_code, m.error_code)
            || ' and add a row to otp.error_classes.') END AS remedy,
    coalesce(j.message_sid, m.message_sid) AS message_sid, coalesce(j.segments, m.segments) AS segments,
    coalesce(j.price, m.price) AS price, coalesce(j.price_unit, m.price_unit) AS price_unit, j.requested_at,
    coalesce(j.accepted_at, m.accepted_at) AS accepted_at,
    CASE WHEN j.is_unsent THEN coalesce(m.final_at, j.final_at) ELSE j.final_at END AS final_at,
    j.resend_of, coalesce(j.follow_up, m.follow_up) AS follow_up
FROM (
    SELECT id AS send_job_id, verification_id, channel, state AS job_state, NULL::text AS message_status,
        attempt AS attempts, last_error_code AS error_code, last_error AS error, last_remedy AS remedy,
        NULL::text COLLATE "C" AS message_sid, NULL::smallint AS segments, NULL::numeric AS price,
        NULL::text AS price_unit, requested_at, NULL::timestamptz AS accepted_at, NULL::timestamptz AS final_at,
        resend_of, NULL::text AS follow_up, false AS is_unsent, true AS ended_job
    FROM otp.send_jobs
    UNION ALL
    SELECT send_job_id, verification_id, 'sms', 'accepted', status, attempt, error_code, NULL, NULL,
        message_sid, segments, price, price_unit, requested_at, accepted_at, final_at, resend_of, follow_up,
        false, ended_job
    FROM otp.messages
    UNION ALL
    SELECT send_job_id, verification_id, 'sms', 'accepted', status, attempt, error_code, NULL, NULL,
        message_sid, segments, price, price_unit, requested_at, accepted_at, final_at, resend_of, follow_up,
        false, id_taken
    FROM otp.messages
    UNION ALL
    SELECT send_job_id, verification_id, 'sms', state, NULL, attempts, error_code, error, remedy,
        NULL, NULL, NULL, NULL, requested_at, NULL, ended_at, resend_of, NULL, true, true
    FROM otp.unsent_jobs
) j
LEFT JOIN LATERAL (     -- evidence that came after a job had ended unsent
    SELECT e.* FROM otp.messages e
    WHERE e.send_job_id = j.send_job_id AND NOT e.ended_job AND e.id_taken IS NULL AND j.is_unsent
    ORDER BY e.accepted_at DESC LIMIT 1
) m ON true
LEFT JOIN otp.verifications v ON v.id = j.verification_id
LEFT JOIN otp.error_classes c ON c.code = coalesce(j.error_code, m.error_code)
LEFT JOIN otp.error_class_defaults d ON d.class = c.class
WHERE j.ended_job;
COMMENT ON VIEW otp.delivery_status IS 'Send jobs and how far they got. job_state is otpd''s word, message_status Twilio''s.';

-- What failed, and when: ORDER BY failed_at DESC LIMIT n reads n rows, however much history there is (no WHERE in the
-- branches, as in otp.delivery_status).
CREATE VIEW otp.failures AS
SELECT f.failed_at, f.send_job_id, f.verification_id, v.subject, otp.mask(v.e164) AS phone_number, f.job_state,
    f.message_status, f.attempts, f.error_code,
    coalesce(f.error, c.explanation, d.explanation,
        'Twilio reported error ' || f.error_code || ', which otp.error_classes does not know.') AS error,
    coalesce(f.remedy, c.remedy, d.remedy,
        'Look it up at https://www.twilio.com/docs/api/errors/' || f.error_code || ' and add a row to otp.error_classes.')
        AS remedy
FROM (
    SELECT ended_at AS failed_at, send_job_id, verification_id, state AS job_state, NULL::text AS message_status, attempts,
        error_code, error, remedy, 'failed'::text AS word, 0 AS message_error, true AS ended_job
    FROM otp.unsent_jobs
    UNION ALL
    SELECT accepted_at, send_job_id, verification_id, 'accepted', status, attempt, error_code, NULL, NULL, status,
        error_code, ended_job
    FROM otp.messages
    UNION ALL
    SELECT accepted_at, send_job_id, verification_id, 'accepted', status, attempt, error_code, NULL, NULL, status,
        error_code, id_taken
    FROM otp.messages
) f
LEFT JOIN otp.verifications v ON v.id = f.verification_id
LEFT JOIN otp.error_classes c ON c.code = f.error_code
LEFT JOIN otp.error_class_defaults d ON d.class = c.class
WHERE f.job_state <> 'canceled' AND f.word IN ('failed', 'undelivered') AND f.message_error IS NOT NULL AND f.ended_job;
COMMENT ON VIEW otp.failures IS 'Jobs that ended unsent, and messages that did not arrive (by the time Twilio took them): read the newest.';

-- One job's whole story, by its send_job_id: what otp.delivery_status has, and what only the job, its message or its
-- verification knows.
CREATE VIEW otp.job_details AS
SELECT d.*, v.purpose, v.locale, v.country, coalesce(j.worker, m.worker) AS worker, j.due_at, j.held_by,
    j.lease_expires_at, j.unknown_at, j.look_at, j.looks, j.lost_claims, m.sender, m.polls, m.next_poll_at,
    u.ended_at, u.error_class, v.created_at AS code_drawn_at, v.expires_at AS code_expires_at, v.verified_at,
    v.canceled_at, v.attempts AS wrong_tries
FROM otp.delivery_status d
LEFT JOIN otp.send_jobs j ON j.id = d.send_job_id
LEFT JOIN otp.messages m ON m.message_sid = d.message_sid
LEFT JOIN otp.unsent_jobs u ON u.send_job_id = d.send_job_id
LEFT JOIN otp.verifications v ON v.id = d.verification_id;
COMMENT ON VIEW otp.job_details IS 'One send job with everything that is known of it: WHERE send_job_id = …';

CREATE FUNCTION otp.delivery(verification_id bigint, subject text) RETURNS SETOF otp.delivery_status
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT d.* FROM otp.delivery_status d
    WHERE d.verification_id = delivery.verification_id AND d.subject = delivery.subject ORDER BY d.send_job_id;
END;
COMMENT ON FUNCTION otp.delivery IS 'How far a verification of this subject got, a row per send.';

-- Those that all workers share, and those of one worker alone while it is alive.
CREATE VIEW otp.pause_status AS
SELECT p.name AS scope, p.reason, p.remedy, p.since, p.next_probe_at, p.probes, p.made_by,
    (SELECT count(*) FROM otp.send_jobs j WHERE j.state = 'queued' AND j.held_by = p.name) AS held
FROM otp.pauses p
UNION ALL
SELECT 'worker ' || w.worker_id, w.reason, w.remedy, w.paused_since, w.next_probe_at, NULL,
    'otpd worker ' || w.worker_id, NULL
FROM otp.worker_status w
WHERE w.state = 'paused' AND w.heartbeat_at > clock_timestamp() - interval '30 seconds';
COMMENT ON VIEW otp.pause_status IS 'What is not sent for now, why, what to do, and how many jobs wait for it. next_probe_at null: ended by hand.';

-- Each column pays for itself alone: what a query does not select is not computed. Counts come in steps of five seconds,
-- latencies from the last 500 acceptances of the last minute: it may be polled every second.
CREATE VIEW otp.queue_status AS
SELECT queued.count AS queued, queued.count - later.count AS due, taken.sending, taken.unknown, oldest.oldest_due_seconds,
    ended.accepted_1m, ended.accepted_5m, ended.accepted_1h,
    ended.failed_1m, ended.failed_5m, ended.failed_1h,
    round(ended.accepted_5m::numeric / nullif(ended.accepted_5m + ended.failed_5m, 0), 4) AS success_share,
    latency.ms[1] AS latency_p50_ms, latency.ms[2] AS latency_p95_ms, latency.ms[3] AS latency_p99_ms,
    workers.alive AS workers_alive,
    pauses.paused
FROM (VALUES (1)) one
-- Three looks at indexes instead of one at every row: a count that asks nothing of the row is four times as quick.
LEFT JOIN (
    SELECT count(*) AS count FROM otp.send_jobs WHERE state = 'queued'
) queued ON true
LEFT JOIN (
    SELECT count(*) AS count FROM otp.send_jobs WHERE state = 'queued' AND due_at > now()
) later ON true
LEFT JOIN (
    SELECT coalesce(greatest(extract(epoch FROM now() - min(due_at)), 0), 0)::double precision AS oldest_due_seconds
    FROM otp.send_jobs WHERE state = 'queued'
) oldest ON true
LEFT JOIN (
    SELECT count(*) FILTER (WHERE state = 'sending') AS sending, count(*) FILTER (WHERE state = 'unknown') AS unknown
    FROM otp.send_jobs WHERE state <> 'queued'
) taken ON true
LEFT JOIN (
    SELECT coalesce(sum(accepted) FILTER (WHERE starts_at > now() - interval '65 seconds'), 0) AS accepted_1m,
        coalesce(sum(accepted) FILTER (WHERE starts_at > now() - interval '305 seconds'), 0) AS accepted_5m,
        coalesce(sum(accepted), 0) AS accepted_1h,
        coalesce(sum(failed) FILTER (WHERE starts_at > now() - interval '65 seconds'), 0) AS failed_1m,
        coalesce(sum(failed) FILTER (WHERE starts_at > now() - interval '305 seconds'), 0) AS failed_5m,
        coalesce(sum(failed), 0) AS failed_1h
    FROM otp.outcome_counts WHERE starts_at > now() - interval '3605 seconds'
) ended ON true
LEFT JOIN (
    SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99])
        WITHIN GROUP (ORDER BY extract(epoch FROM m.accepted_at - m.requested_at)::double precision * 1000) AS ms
    FROM (SELECT accepted_at, requested_at FROM otp.messages
        WHERE accepted_at > now() - interval '1 minute' AND ended_job ORDER BY accepted_at DESC LIMIT 500) m
) latency ON true
LEFT JOIN (
    SELECT count(*) FILTER (WHERE kind = 'worker' AND state NOT IN ('stopped', 'dead')) AS alive
    FROM otp.worker_status WHERE heartbeat_at > clock_timestamp() - interval '30 seconds'
) workers ON true
LEFT JOIN (
    SELECT coalesce(jsonb_agg(jsonb_build_object('scope', scope, 'reason', reason, 'remedy', remedy,
        'since', since, 'next_probe_at', next_probe_at) ORDER BY scope), '[]') AS paused
    FROM otp.pause_status
) pauses ON true;
COMMENT ON VIEW otp.queue_status IS 'One row: the queue now, and the last minute, five minutes and hour.';

-- cost is what Twilio said, in price_unit. What it has not priced yet is counted in unpriced, and estimated, in a currency
-- of its own, where otp.countries has an estimate; failed and canceled messages never left and cost nothing as a rule.
CREATE VIEW otp.spend_daily AS
SELECT (m.accepted_at AT TIME ZONE s.timezone)::date AS day, v.country, m.sender,
    CASE WHEN m.price IS NOT NULL THEN m.price_unit END AS price_unit,
    count(*) AS messages, sum(m.segments) AS segments, -sum(m.price) AS cost,
    count(*) FILTER (WHERE m.status IN ('failed', 'undelivered') AND m.price < 0) AS failed_but_billed,
    count(*) FILTER (WHERE m.price IS NULL AND m.status NOT IN ('failed', 'canceled')) AS unpriced,
    sum(greatest(m.segments, 1) * c.price_estimate)
        FILTER (WHERE m.price IS NULL AND m.status NOT IN ('failed', 'canceled')) AS estimated_cost,
    CASE WHEN m.price IS NULL AND c.price_estimate IS NOT NULL THEN c.price_unit END AS estimate_unit
FROM otp.messages m CROSS JOIN otp.settings s
LEFT JOIN otp.verifications v ON v.id = m.verification_id
LEFT JOIN otp.countries c ON c.region = v.country
GROUP BY 1, 2, 3, 4, estimate_unit;
COMMENT ON VIEW otp.spend_daily IS 'Messages and what they cost, per day, country and sender; what has no price yet in rows of its own, with an estimate.';

-- Codes that were used ÷ codes that Twilio took, per day and prefix of numbers: where strangers have codes sent to numbers
-- that earn them a share of the fee, the codes are never used. A code counts once, however often it was sent, on the day
-- it was asked for, and only when its life has ended. A prefix is named from min_conversion_samples codes a day on, the
-- others of its country are one row: with few numbers behind it, it would tell digits that otp.mask hides.
-- The last 30 days, by verifications_created_at; messages_verification tells which were sent.
CREATE VIEW otp.conversion_daily AS
SELECT g.day, g.country, g.prefix, g.sent, g.verified, round(g.verified::numeric / g.sent, 4) AS share,
    g.sent >= s.min_conversion_samples AND g.verified < g.sent * s.min_conversion AS is_suspicious
FROM otp.settings s
CROSS JOIN LATERAL (
    SELECT p.day, p.country, CASE WHEN p.sent >= s.min_conversion_samples THEN p.prefix || '…' ELSE 'others' END AS prefix,
        sum(p.sent)::bigint AS sent, sum(p.verified)::bigint AS verified
    FROM (
        SELECT (v.created_at AT TIME ZONE s.timezone)::date AS day, v.country,
            left(v.e164, least(7, length(v.e164) - 4)) AS prefix,
            count(*) AS sent, count(v.verified_at) AS verified
        FROM otp.verifications v
        WHERE v.created_at > now() - interval '30 days' AND v.expires_at <= now()
            AND EXISTS (SELECT FROM otp.messages m WHERE m.verification_id = v.id)
        GROUP BY 1, 2, 3
    ) p
    GROUP BY 1, 2, 3
) g;
COMMENT ON VIEW otp.conversion_daily IS 'Verified ÷ sent codes per day and prefix; suspicious below settings.min_conversion, from min_conversion_samples on.';

CREATE VIEW otp.failure_summary AS
SELECT f.error_class, f.error_code, f.explanation, count(*) AS failures, max(f.failed_at) AS last_failed_at
FROM (
    SELECT coalesce(u.error_class, c.class, u.state) AS error_class, u.error_code,
        coalesce(c.explanation, u.error) AS explanation, u.ended_at AS failed_at
    FROM otp.unsent_jobs u LEFT JOIN otp.error_classes c ON c.code = u.error_code WHERE u.state <> 'canceled'
    UNION ALL
    SELECT coalesce(c.class, 'unknown'), m.error_code, c.explanation, coalesce(m.final_at, m.accepted_at)
    FROM otp.messages m LEFT JOIN otp.error_classes c ON c.code = m.error_code
    WHERE m.status IN ('failed', 'undelivered')
    UNION ALL
    -- What the promise leaves possible in principle: counted here, and alarmed by the worker that recorded it.
    SELECT 'sent_twice', NULL, 'A second message of the same send job turned up: its user got the same code twice.',
        m.accepted_at
    FROM otp.messages m JOIN otp.messages first ON first.send_job_id = m.send_job_id AND first.ended_job
    WHERE NOT m.ended_job AND m.id_taken IS NULL
) f
GROUP BY 1, 2, 3;

-- Verified phones outlive the verifications that prove them: otp.prune leaves the last of each here.
CREATE TABLE otp.verified_before (
    subject text NOT NULL,
    purpose text NOT NULL,
    e164 text COLLATE "C" NOT NULL,
    verified_at timestamptz NOT NULL,
    PRIMARY KEY (subject, purpose, e164)
);

CREATE VIEW otp.verified_phones AS
SELECT subject, e164, verified_at, purpose FROM otp.verifications WHERE verified_at IS NOT NULL
UNION ALL
SELECT subject, e164, verified_at, purpose FROM otp.verified_before;
COMMENT ON VIEW otp.verified_phones IS 'Phones that were verified, and when; several times, if they were. Everybody''s, so nobody''s by default.';

-- What otp_web has of it: a web tier that is broken into must ask for each subject that it can name.
CREATE FUNCTION otp.verified_phones(subject text) RETURNS SETOF otp.verified_phones
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT p.* FROM otp.verified_phones p WHERE p.subject = verified_phones.subject ORDER BY p.verified_at;
END;
COMMENT ON FUNCTION otp.verified_phones IS 'The phones that this subject verified, and when.';

-- ──────────────────────────────────────────────────── history ───────────────────────────────────────────────────────

-- What otpd dashboard draws: a row a minute, 26 hours of them, so that no day is cut (25 hours where clocks go back).
CREATE TABLE otp.history (
    minute timestamptz PRIMARY KEY,     -- its beginning
    queued int NOT NULL,                -- these six at its end
    due int NOT NULL,
    unknown int NOT NULL,
    oldest_due_seconds double precision NOT NULL,
    workers_alive int NOT NULL,
    pauses int NOT NULL,
    accepted int NOT NULL,              -- the rest within it
    failed int NOT NULL,
    latency_p50_ms double precision,    -- of its last 500 messages; null: there were none
    latency_p95_ms double precision,
    latency_p99_ms double precision,
    delivered int NOT NULL DEFAULT 0,   -- of the messages of this minute, as they stood when they were last counted
    undelivered int NOT NULL DEFAULT 0,
    refused jsonb NOT NULL DEFAULT '{}',    -- by scope: sends that the limits had refused until its end, since the beginning
    -- The same by country, status and currency: messages, billed (Twilio's prices), expected (what has none, estimated)
    messages jsonb NOT NULL DEFAULT '[]'
) WITH (fillfactor = 70);
COMMENT ON TABLE otp.history IS 'A row a minute for 26 hours, written by one of the workers: what otpd dashboard draws.';

-- Its messages added up by the quarter of an hour, so that a day is 96 of them: every time zone's day begins with one.
CREATE TABLE otp.history_quarters (
    starts_at timestamptz PRIMARY KEY,
    messages jsonb NOT NULL
) WITH (fillfactor = 70);
COMMENT ON TABLE otp.history_quarters IS 'The messages of otp.history by the quarter of an hour, country, status and currency.';

-- The counts of all refusals, read as relations: that takes no privilege of the reader's.
CREATE VIEW otp.refused_totals AS
SELECT c.scope, CASE WHEN c.is_called THEN c.last_value ELSE 0 END AS refused
FROM (
    SELECT 'phone' AS scope, last_value, is_called FROM otp.refused_phone
    UNION ALL SELECT 'subject', last_value, is_called FROM otp.refused_subject
    UNION ALL SELECT 'client_ip', last_value, is_called FROM otp.refused_client_ip
    UNION ALL SELECT 'block', last_value, is_called FROM otp.refused_block
    UNION ALL SELECT 'prefix', last_value, is_called FROM otp.refused_prefix
    UNION ALL SELECT 'country', last_value, is_called FROM otp.refused_country
    UNION ALL SELECT 'total', last_value, is_called FROM otp.refused_total
    UNION ALL SELECT 'budget', last_value, is_called FROM otp.refused_budget
    UNION ALL SELECT 'failures', last_value, is_called FROM otp.refused_failures
) c;

-- refused_1h goes by otp.history, and so by the minute. Where no worker ran an hour ago it counts from the last minute known.
CREATE VIEW otp.refusals AS
SELECT t.scope, t.refused, greatest(t.refused - coalesce((h.refused ->> t.scope)::bigint, 0), 0) AS refused_1h
FROM otp.refused_totals t
LEFT JOIN (
    SELECT r.refused FROM otp.history r WHERE r.minute <= now() - interval '61 minutes' ORDER BY r.minute DESC LIMIT 1
) h ON true;
COMMENT ON VIEW otp.refusals IS 'Sends that otp.limits refused, by scope: in all and in the last hour. failures: phones with too many wrong codes.';

-- The shared limits and what is used of them now. A prefix is shown with its first seven digits at most. A limit is used up
-- when it lets nothing more through: of a budget, when it does not suffice for the cheapest country.
CREATE VIEW otp.limit_status AS
SELECT l.scope,
    CASE l.scope WHEN 'prefix' THEN left(c.key, 8) || CASE WHEN length(c.key) > 8 THEN '…' ELSE '' END
        WHEN 'country' THEN c.key END AS key,
    l.period, coalesce(l.max_sends, l.max_cost) AS allowed, trim_scale(c.used) AS used,
    CASE WHEN c.used + CASE WHEN l.scope = 'budget' THEN coalesce((
            SELECT min(p.expected_cost) FROM otp.countries p WHERE p.expected_cost > 0), 1) ELSE 1 END
            > coalesce(l.max_sends, l.max_cost)
        THEN CASE l.period WHEN '1 day' THEN (w.starts_at AT TIME ZONE z.timezone + l.period) AT TIME ZONE z.timezone
            ELSE w.starts_at + l.period END END AS used_up_until
FROM otp.limits l
-- Not as a join: the planner takes settings for hundreds of rows, and would compile the statement for seconds.
CROSS JOIN LATERAL (SELECT (SELECT s.timezone FROM otp.settings s) AS timezone) z
CROSS JOIN LATERAL (
    SELECT date_trunc(CASE l.period WHEN '1 day' THEN 'day' ELSE 'hour' END, now(), z.timezone) AS starts_at
) w
CROSS JOIN LATERAL (
    SELECT t.key, sum(t.amount) AS used FROM otp.shared_counts t
    WHERE t.starts_at = w.starts_at AND t.scope = l.scope AND t.period = l.period AND t.shard >= 0
        -- Keys of prefixes begin with a plus, of countries with a letter: the index leads to each kind by itself.
        AND t.key >= CASE l.scope WHEN 'prefix' THEN '+' WHEN 'country' THEN 'A' ELSE '' END COLLATE "C"
        AND t.key <= CASE l.scope WHEN 'prefix' THEN '+:' WHEN 'country' THEN 'ZZ' ELSE '' END COLLATE "C"
        AND (l.scope <> 'prefix' OR length(t.key) = l.digits + 1)
    GROUP BY t.key
) c
WHERE l.scope IN ('prefix', 'country', 'total', 'budget');
COMMENT ON VIEW otp.limit_status IS 'Shared limits (prefix, country, total, budget): what is used of each now, and until when it is used up.';

-- Enters the minute that has ended, if nobody has, and counts again how the messages of some minutes before stand, whose
-- receipts and prices have come meanwhile. Reads the messages of four minutes and nothing else of the history. Returns
-- the seconds until the next minute ends. Any number of workers may call it: one does the work.
CREATE FUNCTION otp.record_history(moment timestamptz DEFAULT clock_timestamp()) RETURNS double precision
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    ended CONSTANT timestamptz := date_bin('1 minute', moment, 'epoch') - interval '1 minute';
    looks CONSTANT timestamptz[] := ARRAY[ended, ended - interval '5 minutes', ended - interval '1 hour', ended - interval '6 hours'];
BEGIN
    IF NOT EXISTS (SELECT FROM otp.history h WHERE h.minute >= ended) THEN
        INSERT INTO otp.history (minute, queued, due, unknown, oldest_due_seconds, workers_alive, pauses, accepted, failed,
            latency_p50_ms, latency_p95_ms, latency_p99_ms, refused)
        SELECT ended, q.queued, q.due, q.unknown, q.oldest_due_seconds, q.workers_alive,
            (SELECT count(*) FROM otp.pause_status), counts.accepted, counts.failed,
            latency.ms[1], latency.ms[2], latency.ms[3],
            (SELECT coalesce(jsonb_object_agg(r.scope, r.refused), '{}') FROM otp.refused_totals r WHERE r.refused > 0)
        FROM otp.queue_status q
        CROSS JOIN (
            SELECT coalesce(sum(o.accepted), 0) AS accepted, coalesce(sum(o.failed), 0) AS failed
            FROM otp.outcome_counts o WHERE o.starts_at >= ended AND o.starts_at < ended + interval '1 minute'
        ) counts
        CROSS JOIN (
            SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99])
                WITHIN GROUP (ORDER BY extract(epoch FROM m.accepted_at - m.requested_at)::double precision * 1000) AS ms
            FROM (SELECT accepted_at, requested_at FROM otp.messages
                WHERE accepted_at >= ended AND accepted_at < ended + interval '1 minute' AND ended_job
                ORDER BY accepted_at DESC LIMIT 500) m
        ) latency
        ON CONFLICT (minute) DO NOTHING;
        IF FOUND THEN
            UPDATE otp.history h
            SET messages = counted.messages, delivered = counted.delivered, undelivered = counted.undelivered
            FROM unnest(looks) AS look(minute)
            CROSS JOIN LATERAL (
                SELECT coalesce(jsonb_agg(g), '[]') AS messages,
                    coalesce(sum(g.messages) FILTER (WHERE g.status IN ('delivered', 'read')), 0) AS delivered,
                    coalesce(sum(g.messages) FILTER (WHERE g.status IN ('undelivered', 'failed')), 0) AS undelivered
                FROM (
                    SELECT v.country, m.status, coalesce(m.price_unit, s.budget_unit) AS currency, count(*) AS messages,
                        coalesce(-sum(m.price), 0) AS billed,
                        coalesce(sum(otp.message_cost(m.status, m.segments, m.price, m.price_unit, c, s.budget_unit))
                            FILTER (WHERE m.price IS NULL), 0) AS expected
                    FROM otp.settings s CROSS JOIN otp.messages m
                    LEFT JOIN otp.verifications v ON v.id = m.verification_id
                    LEFT JOIN otp.countries c ON c.region = v.country
                    WHERE m.accepted_at >= look.minute AND m.accepted_at < look.minute + interval '1 minute'
                    GROUP BY 1, 2, 3
                ) g
            ) counted
            WHERE h.minute = look.minute;
            INSERT INTO otp.history_quarters AS q (starts_at, messages)
            SELECT b.starts_at, added.messages
            FROM (SELECT DISTINCT date_bin('15 minutes', l.minute, 'epoch') AS starts_at FROM unnest(looks) AS l(minute)) b
            CROSS JOIN LATERAL (
                SELECT jsonb_agg(g) AS messages
                FROM (
                    SELECT m.country, m.status, m.currency, sum(m.messages) AS messages, sum(m.billed) AS billed,
                        sum(m.expected) AS expected
                    FROM otp.history h
                    CROSS JOIN LATERAL jsonb_to_recordset(h.messages)
                        AS m(country text, status text, currency text, messages bigint, billed numeric, expected numeric)
                    WHERE h.minute >= b.starts_at AND h.minute < b.starts_at + interval '15 minutes'
                    GROUP BY 1, 2, 3
                ) g
            ) added
            WHERE added.messages IS NOT NULL
            ON CONFLICT (starts_at) DO UPDATE SET messages = excluded.messages;
            DELETE FROM otp.history h WHERE h.minute < ended - interval '26 hours';
            DELETE FROM otp.history_quarters q WHERE q.starts_at < ended - interval '26 hours';
        END IF;
    END IF;
    RETURN 60 - extract(epoch FROM moment - date_bin('1 minute', moment, 'epoch'));
END $$;
COMMENT ON FUNCTION otp.record_history IS 'For workers: writes the row of otp.history for the minute that has ended; seconds until the next.';

-- Today's cost, a row per currency: what Twilio has billed, and what is expected for the rest; both from otp.history, and
-- so by the minute. Of the budget's currency the two add up to what the budget counts, where there is one.
CREATE VIEW otp.spend_today AS
SELECT u.currency, u.billed,
    CASE WHEN u.currency = s.budget_unit AND s.daily_budget IS NOT NULL THEN greatest(
        (SELECT coalesce(sum(t.amount), 0) FROM otp.spend_tally t WHERE t.day = d.today) - u.billed, 0)
        ELSE u.expected END AS expected,
    CASE WHEN u.currency = s.budget_unit THEN s.daily_budget END AS budget
FROM otp.settings s
CROSS JOIN LATERAL (SELECT (now() AT TIME ZONE s.timezone)::date AS today) d
CROSS JOIN LATERAL (
    SELECT g.currency, sum(g.billed) AS billed, sum(g.expected) AS expected
    FROM (
        SELECT m.currency, m.billed, m.expected
        FROM otp.history_quarters q
        CROSS JOIN LATERAL jsonb_to_recordset(q.messages) AS m(currency text, billed numeric, expected numeric)
        WHERE q.starts_at >= d.today::timestamp AT TIME ZONE s.timezone
        UNION ALL
        SELECT s.budget_unit, 0, 0
    ) g
    GROUP BY 1
) u;
COMMENT ON VIEW otp.spend_today IS 'Today''s cost per currency: billed, expected for what has no price yet, and the budget.';

-- What the promise leaves possible in principle, as failure_summary has it, without reading everything.
CREATE VIEW otp.sent_twice AS
SELECT count(*) AS messages
FROM otp.messages m JOIN otp.messages first ON first.send_job_id = m.send_job_id AND first.ended_job
WHERE NOT m.ended_job AND m.id_taken IS NULL;
COMMENT ON VIEW otp.sent_twice IS 'How many second messages of one send job there are: users that got the same code twice.';

-- ─────────────────────────────────────────────────────── retention ──────────────────────────────────────────────────

-- When the last prune ended; its lock is the turn.
CREATE TABLE otp.maintenance (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    pruned_at timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO otp.maintenance DEFAULT VALUES;

-- Deletes at most `batch` rows of each kind that are older than `keep`, never waiting for a lock. Of all callers one has
-- the turn, and only when `every` has passed since a prune found nothing left to do. Counters go when no limit can look
-- at them any more, whatever `keep` says: no prune gives anybody another try.
CREATE FUNCTION otp.prune(
    keep interval DEFAULT '90 days', batch int DEFAULT 1000, every interval DEFAULT '1 hour',
    OUT had_turn boolean, OUT more boolean, OUT verifications bigint, OUT messages bigint, OUT unsent_jobs bigint,
    OUT counters bigint, OUT failures bigint, OUT workers bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    today CONSTANT date := (moment AT TIME ZONE (SELECT s.timezone FROM otp.settings s))::date;
    -- The longest that a counter can matter, should a limit be changed to any that is allowed.
    longest CONSTANT interval := greatest(
        interval '2 days', (SELECT max(l.period) FROM otp.limits l) + interval '1 day');
    counted bigint;
BEGIN
    IF keep >= interval '1 day' IS NOT TRUE OR batch BETWEEN 1 AND 100000 IS NOT TRUE OR every IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007',
            MESSAGE = 'keep must be a day or more, batch 1 to 100000, every an interval',
            HINT = 'otp.prune() keeps 90 days and deletes 1000 rows of each kind at a time.';
    END IF;
    had_turn := false;
    more := false;
    PERFORM FROM otp.maintenance m WHERE m.pruned_at <= moment - every FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    had_turn := true;

    WITH old AS (
        SELECT v.id FROM otp.verifications v
        WHERE v.created_at < moment - keep AND NOT EXISTS (
            SELECT FROM otp.send_jobs j WHERE j.verification_id = v.id)
        ORDER BY v.created_at LIMIT batch FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM otp.verifications v USING old WHERE v.id = old.id
        RETURNING v.subject, v.purpose, v.e164, v.verified_at
    ), kept AS (
        INSERT INTO otp.verified_before AS b (subject, purpose, e164, verified_at)
        SELECT g.subject, g.purpose, g.e164, max(g.verified_at) FROM gone g WHERE g.verified_at IS NOT NULL
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (subject, purpose, e164) DO UPDATE SET verified_at = greatest(b.verified_at, excluded.verified_at)
    )
    SELECT count(*) INTO verifications FROM gone;

    DELETE FROM otp.messages m WHERE m.message_sid IN (
        SELECT o.message_sid FROM otp.messages o WHERE o.accepted_at < moment - keep
        ORDER BY o.accepted_at LIMIT batch FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS messages = ROW_COUNT;

    DELETE FROM otp.unsent_jobs u WHERE (u.send_job_id, u.requested_at) IN (
        SELECT o.send_job_id, o.requested_at FROM otp.unsent_jobs o WHERE o.ended_at < moment - keep
        ORDER BY o.ended_at LIMIT batch FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS unsent_jobs = ROW_COUNT;

    DELETE FROM otp.send_counts c WHERE c.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.send_counts o WHERE o.sent_at[cardinality(o.sent_at)] < moment - longest
        LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS counters = ROW_COUNT;
    more := counters >= batch;
    DELETE FROM otp.shared_counts c WHERE c.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.shared_counts o WHERE o.starts_at < moment - longest LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS counted = ROW_COUNT;
    counters := counters + counted;
    more := more OR counted >= batch;
    DELETE FROM otp.requests r WHERE r.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.requests o WHERE o.requested_at < moment - interval '1 day'
        LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS counted = ROW_COUNT;
    counters := counters + counted;
    more := more OR counted >= batch;
    DELETE FROM otp.status_reports r WHERE r.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.status_reports o WHERE o.reported_at < moment - interval '2 days'
        LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS counted = ROW_COUNT;
    counters := counters + counted;
    more := more OR counted >= batch;
    DELETE FROM otp.outcome_counts c WHERE c.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.outcome_counts o WHERE o.starts_at < moment - interval '2 hours'
        LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS counted = ROW_COUNT;
    counters := counters + counted;
    more := more OR counted >= batch;

    DELETE FROM otp.verify_failures f WHERE f.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.verify_failures o WHERE o.day < today - 1 LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS failures = ROW_COUNT;
    DELETE FROM otp.spend_tally t WHERE t.day < today - 1;
    DELETE FROM otp.wake_ups w WHERE w.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.wake_ups o WHERE o.woken_at < moment - interval '1 minute' LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS counted = ROW_COUNT;
    more := more OR counted >= batch;

    DELETE FROM otp.worker_status w
    WHERE w.heartbeat_at < moment - CASE w.state WHEN 'stopped' THEN interval '1 day' ELSE interval '3 days' END;
    GET DIAGNOSTICS workers = ROW_COUNT;

    more := more OR verifications >= batch OR messages >= batch OR unsent_jobs >= batch OR failures >= batch;
    IF NOT more THEN
        UPDATE otp.maintenance m SET pruned_at = moment;
    END IF;
END $$;
COMMENT ON FUNCTION otp.prune IS 'Deletes what is older than keep, in batches; call it again while it says more. Any number of workers may call it.';

-- ──────────────────────────────────────────── sequences, rights of others ───────────────────────────────────────────

-- A data-only restore or a logical subscription brings rows and leaves the sequences where they were: their next numbers
-- are then taken already. One row per sequence that is behind the highest number in use; an index finds each of those.
CREATE FUNCTION otp.sequences_behind(OUT sequence text, OUT last_number bigint, OUT used_number bigint, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
    RETURN QUERY
    SELECT s.name, coalesce(pg_sequence_last_value(s.name::regclass), 0), s.used,
        format('SELECT setval(%L, %s);', s.name, s.used)
    FROM (
        SELECT 'otp.verifications_id_seq', greatest((SELECT max(v.id) FROM otp.verifications v),
            (SELECT max(m.verification_id) FROM otp.messages m), (SELECT max(u.verification_id) FROM otp.unsent_jobs u))
        UNION ALL SELECT 'otp.send_jobs_id_seq', greatest((SELECT max(j.id) FROM otp.send_jobs j),
            (SELECT max(m.send_job_id) FROM otp.messages m WHERE m.ended_job),
            (SELECT max(m.send_job_id) FROM otp.messages m WHERE NOT m.ended_job),
            (SELECT max(u.send_job_id) FROM otp.unsent_jobs u))
        UNION ALL SELECT 'otp.worker_ids', greatest((SELECT max(w.worker_id) FROM otp.worker_status w),
            (SELECT max(j.worker) FROM otp.send_jobs j WHERE j.state <> 'queued'))
    ) s (name, used)
    WHERE s.used > coalesce(pg_sequence_last_value(s.name::regclass), 0);
END $$;
COMMENT ON FUNCTION otp.sequences_behind IS 'Sequences whose next number is taken already, with the statement that mends each. No row: all are right.';

-- Mends them, only ever forward. Workers call it when they connect: numbers that they give out must be theirs alone.
CREATE FUNCTION otp.advance_sequences(OUT sequence text, OUT last_number bigint, OUT used_number bigint)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM otp.sequences_behind()) THEN
        RETURN;
    END IF;
    -- One caller at a time, so that the second sees what the first has moved and moves nothing back.
    LOCK TABLE otp.maintenance IN SHARE UPDATE EXCLUSIVE MODE;
    FOR sequence, last_number, used_number IN SELECT b.sequence, b.last_number, b.used_number FROM otp.sequences_behind() b LOOP
        PERFORM setval(sequence::regclass, used_number);
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION otp.advance_sequences IS 'For workers: moves sequences that are behind to the highest number in use; says which.';

-- What others have taken away: default privileges and hardening scripts revoke EXECUTE, event triggers turn on row level
-- security or change owners, a broken restore leaves triggers off. One row per trouble, with the statement that mends it.
-- The functions run as the schema's owner, which must therefore be able to call whatever they call.
CREATE FUNCTION otp.missing_rights(OUT trouble text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH owner AS (
        SELECT n.oid AS schema, n.nspowner AS id, quote_ident(pg_get_userbyid(n.nspowner)) AS name
        FROM pg_namespace n WHERE n.nspname = 'otp'
    ), ours AS MATERIALIZED (
        SELECT p.oid, p.proowner, NOT p.prosecdef AS runs_as_caller, p.prorettype = 'trigger'::regtype AS is_trigger,
            p.prosrc || coalesce(pg_get_function_sqlbody(p.oid), '') AS body
        FROM pg_proc p JOIN owner o ON p.pronamespace = o.schema
        WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    )
    SELECT format('%s may not call %s', r.name, f.oid::regprocedure),
        format('GRANT EXECUTE ON FUNCTION %s TO %s', f.oid::regprocedure, r.name)
    FROM owner o CROSS JOIN LATERAL (
        SELECT o.id, o.name, true AS is_owner
        UNION ALL SELECT m.oid, quote_ident(m.rolname), false FROM pg_roles m
        WHERE m.rolname IN ('otp_web', 'otp_worker', 'otp_admin')
    ) r CROSS JOIN pg_proc f
    WHERE f.proacl IS NOT NULL AND NOT has_function_privilege(r.id, f.oid, 'EXECUTE')
        AND (r.is_owner AND EXISTS (
                SELECT FROM pg_depend d JOIN ours u ON u.oid = d.objid
                WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid = f.oid)
            -- What does not run as the owner runs as the role that calls it, and triggers as the role that writes.
            OR f.pronamespace = 'pg_catalog'::regnamespace AND EXISTS (
                SELECT FROM ours u
                WHERE (r.is_owner OR u.runs_as_caller AND (u.is_trigger OR has_function_privilege(r.id, u.oid, 'EXECUTE')))
                    AND strpos(u.body, f.proname || '(') > 0))
    UNION ALL
    SELECT format('%s belongs to %s and not to %s', c.oid::regclass, pg_get_userbyid(c.relowner), o.name),
        format('ALTER %s %s OWNER TO %s', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
            c.oid::regclass, o.name)
    FROM owner o JOIN pg_class c ON c.relnamespace = o.schema AND c.relkind IN ('r', 'v', 'S') AND c.relowner <> o.id
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i'))
    UNION ALL
    SELECT format('%s belongs to %s and not to %s', u.oid::regprocedure, pg_get_userbyid(u.proowner), o.name),
        format('ALTER FUNCTION %s OWNER TO %s', u.oid::regprocedure, o.name)
    FROM owner o JOIN ours u ON u.proowner <> o.id
    UNION ALL
    SELECT format('row level security of %s hides its rows', c.oid::regclass),
        format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', c.oid::regclass)
    FROM owner o JOIN pg_class c ON c.relnamespace = o.schema AND (c.relrowsecurity OR c.relforcerowsecurity)
    UNION ALL
    SELECT format('the trigger %s of %s is off', t.tgname, t.tgrelid::regclass),
        format('ALTER TABLE %s ENABLE TRIGGER %I', t.tgrelid::regclass, t.tgname)
    FROM owner o JOIN pg_class c ON c.relnamespace = o.schema JOIN pg_trigger t ON t.tgrelid = c.oid
    WHERE NOT t.tgisinternal AND t.tgenabled IN ('D', 'R');
END;
COMMENT ON FUNCTION otp.missing_rights IS 'What the functions of this schema need and lack, with the statement that gives it. No row: nothing.';

-- ──────────────────────────────────────────────────── privileges ────────────────────────────────────────────────────

-- Not those of pgcrypto, should it live here: they belong to whoever made the extension.
DO $$
DECLARE
    ours regprocedure;
BEGIN
    FOR ours IN SELECT p.oid FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'otp'::regnamespace AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', ours);
    END LOOP;
END $$;
GRANT USAGE ON SCHEMA otp TO otp_web, otp_worker, otp_monitor, otp_admin;
GRANT SELECT ON otp.schema_migrations, otp.number_table TO otp_worker, otp_monitor, otp_admin;

-- id is granted because many ORMs name it (with DEFAULT); the triggers draw it in any case. What is readable is for
-- INSERT … RETURNING, and of everybody's rows: keys and an expiry, nothing that leads to a person.
GRANT INSERT (id, subject, phone_number, region, purpose, locale, code, expires_at, client_ip),
    SELECT (id, expires_at) ON otp.verifications TO otp_web;
GRANT INSERT (id, verification_id, channel, client_ip), SELECT (id, verification_id) ON otp.send_jobs TO otp_web;
GRANT EXECUTE ON FUNCTION otp.request, otp.verify, otp.cancel, otp.delivery, otp.record_status, otp.to_e164,
    otp.verified_phones TO otp_web;

GRANT SELECT (id, subject, e164, country, region, purpose, locale, sealed_code, key_id, created_at, expires_at, attempts,
    verified_at, canceled_at) ON otp.verifications TO otp_worker;
GRANT SELECT, UPDATE, DELETE ON otp.send_jobs TO otp_worker;
GRANT SELECT, INSERT, UPDATE ON otp.messages TO otp_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON otp.unsent_jobs, otp.worker_status, otp.pauses TO otp_worker;
GRANT SELECT, UPDATE ON otp.status_reports TO otp_worker;
GRANT USAGE ON SEQUENCE otp.worker_ids TO otp_worker;
GRANT SELECT ON otp.settings, otp.templates, otp.countries, otp.sender_rates, otp.limits, otp.error_classes,
    otp.error_class_defaults, otp.delivery_status, otp.failures, otp.queue_status, otp.pause_status TO otp_worker;
GRANT SELECT, INSERT, UPDATE ON otp.outcome_counts, otp.spend_tally TO otp_worker;
GRANT EXECUTE ON FUNCTION otp.notify TO otp_worker, otp_admin;
GRANT EXECUTE ON FUNCTION otp.own_shard TO otp_worker;
GRANT EXECUTE ON FUNCTION otp.check_budget, otp.message_cost, otp.prune, otp.within_limits, otp.status_rank,
    otp.is_settled, otp.status_advances, otp.mask, otp.record_status TO otp_worker;

GRANT SELECT ON otp.worker_status, otp.queue_status, otp.delivery_status, otp.spend_daily, otp.failure_summary,
    otp.failures, otp.job_details, otp.outcome_counts, otp.conversion_daily, otp.error_classes, otp.error_class_defaults,
    otp.pauses, otp.pause_status, otp.spend_tally TO otp_monitor, otp_admin;
GRANT SELECT ON otp.limit_status, otp.refusals TO otp_worker, otp_monitor, otp_admin;
GRANT SELECT ON otp.history, otp.history_quarters, otp.spend_today, otp.sent_twice TO otp_worker, otp_monitor, otp_admin;
GRANT EXECUTE ON FUNCTION otp.record_history TO otp_worker;
GRANT EXECUTE ON FUNCTION otp.advance_sequences TO otp_worker, otp_admin;
GRANT EXECUTE ON FUNCTION otp.missing_rights, otp.sequences_behind TO otp_worker, otp_monitor, otp_admin;
GRANT EXECUTE ON FUNCTION otp.mask, otp.status_rank TO otp_monitor, otp_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON otp.templates, otp.countries, otp.sender_rates, otp.limits, otp.error_classes,
    otp.error_class_defaults, otp.pauses TO otp_admin;
GRANT SELECT, UPDATE ON otp.settings TO otp_admin;
GRANT EXECUTE ON FUNCTION otp.unlock, otp.retry_job, otp.cancel_job, otp.verifications_of_phone TO otp_admin;

-- A statement that fails is logged with its literals, and where log_parameter_max_length_on_error asks for it with its bind
-- parameters: here those are numbers and codes. The functions keep both out of the log, and a refusal to one line of it; to
-- set these two settings, and each time one of them is called, their owner needs the right to.
CREATE FUNCTION otp.conceal_statements() RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    concealed record;
BEGIN
    FOR concealed IN
        SELECT p.oid::regprocedure AS function, has_parameter_privilege(p.proowner, 'log_min_error_statement', 'SET')
            AND has_parameter_privilege(p.proowner, 'log_error_verbosity', 'SET') AS may
        FROM pg_proc p WHERE p.pronamespace = 'otp'::regnamespace AND p.prosecdef
    LOOP
        IF NOT concealed.may THEN
            RETURN false;
        END IF;
        EXECUTE format('ALTER FUNCTION %s SET log_min_error_statement = ''panic''', concealed.function);
        EXECUTE format('ALTER FUNCTION %s SET log_error_verbosity = ''terse''', concealed.function);
    END LOOP;
    RETURN true;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN false;
END $$;
REVOKE ALL ON FUNCTION otp.conceal_statements FROM PUBLIC;

INSERT INTO otp.schema_migrations (version, name) VALUES (1, 'foundation');

DO $$
DECLARE
    owner CONSTANT name := current_user;
    missing record;
    excess record;
BEGIN
    PERFORM set_config('role', current_setting('otp.migrating_role'), true);
    WHILE (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
        AND NOT (has_parameter_privilege(owner, 'log_min_error_statement', 'SET')
            AND has_parameter_privilege(owner, 'log_error_verbosity', 'SET'))
    LOOP
        BEGIN
            EXECUTE format('GRANT SET ON PARAMETER log_min_error_statement, log_error_verbosity TO %I', owner);
        EXCEPTION WHEN unique_violation OR internal_error THEN NULL;    -- another migration was at it: look again
        END;
    END LOOP;
    -- What default privileges, event triggers and the like have taken away meanwhile is given back, or nothing is migrated.
    FOR missing IN SELECT m.remedy FROM otp.missing_rights() m LOOP
        BEGIN
            EXECUTE missing.remedy;
        EXCEPTION WHEN insufficient_privilege THEN NULL;
        END;
    END LOOP;
    SELECT string_agg(m.trouble, '; ') AS troubles, string_agg(m.remedy, '; ') AS remedies INTO missing
    FROM otp.missing_rights() m;
    IF missing.troubles IS NOT NULL THEN
        -- The owner may have been made just now: it is gone after this error, so the migrating role passes the rights on.
        RAISE EXCEPTION 'the functions of otpd would not work: %', missing.troubles
            USING ERRCODE = 'insufficient_privilege',
                HINT = format('As a superuser: %s%s;  then migrate again.',
                    CASE WHEN current_setting('otp.made_pgcrypto', true) = 't' THEN (
                        SELECT format('CREATE EXTENSION pgcrypto WITH SCHEMA %I; ', n.nspname) FROM pg_catalog.pg_extension e
                        JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pgcrypto') END,
                    regexp_replace(missing.remedies, format('(GRANT [^;]*) TO %I', owner),
                        format(E'\\1 TO %I WITH GRANT OPTION', current_user), 'g'));
    END IF;
    IF owner <> 'otp_owner' THEN
        SET LOCAL client_min_messages = 'notice';
        SELECT string_agg(w.word, ', ') AS words INTO excess
        FROM pg_catalog.pg_roles r, LATERAL (VALUES (r.rolcreaterole, 'CREATEROLE'), (r.rolcreatedb, 'CREATEDB'),
            (r.rolreplication, 'REPLICATION'), (r.rolbypassrls, 'BYPASSRLS')) w (has, word)
        WHERE r.rolname = owner AND w.has;
        IF excess.words IS NULL THEN
            RAISE NOTICE 'the functions of otpd run with the rights of %, which owns the schema', owner
                USING HINT = 'Let no application connect as that role. '
                    'See "Who owns the schema" in deploy/README.md for a role that has no other rights.';
        ELSE
            RAISE WARNING 'the functions of otpd run with the rights of %, which has more than they need: %', owner, excess.words
                USING HINT = format('As the role that made otp_owner, or a superuser: %sGRANT otp_owner TO %I%s;  then '
                    'see "Who owns the schema" in deploy/README.md.',
                    CASE WHEN to_regrole('otp_owner') IS NULL THEN 'CREATE ROLE otp_owner NOLOGIN; ' END, current_user,
                    CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH SET TRUE, INHERIT TRUE' END);
        END IF;
    END IF;
    IF NOT otp.conceal_statements() THEN
        SET LOCAL client_min_messages = 'notice';
        RAISE NOTICE 'Failing statements of the web tier may be logged with the phone numbers they carry as literals'
            USING HINT = format('As a superuser: GRANT SET ON PARAMETER log_min_error_statement, log_error_verbosity TO %I;  '
                'then as %I: SELECT otp.conceal_statements();', owner, current_user);
    END IF;
END $$;

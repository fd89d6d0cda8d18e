-- Settings as data: what operators change while everything runs. Texts, countries, rates of senders, and one row of settings.
-- Workers hear of a change at once. Values are checked where they are written.

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

INSERT INTO otp.countries (region, receipts_reliable) VALUES ('SA', false);

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

CREATE TRIGGER before_write BEFORE INSERT OR UPDATE ON otp.templates
FOR EACH ROW EXECUTE FUNCTION otp.templates_before_write();

CREATE TRIGGER before_write BEFORE INSERT OR UPDATE ON otp.countries
FOR EACH ROW EXECUTE FUNCTION otp.sender_before_write();
CREATE TRIGGER before_write BEFORE INSERT OR UPDATE ON otp.sender_rates
FOR EACH ROW EXECUTE FUNCTION otp.sender_before_write();

CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON otp.templates
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON otp.countries
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON otp.sender_rates
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();
CREATE TRIGGER changed AFTER UPDATE ON otp.settings
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();

CREATE TRIGGER before_write BEFORE INSERT OR UPDATE ON otp.settings
FOR EACH ROW EXECUTE FUNCTION otp.settings_before_write();

GRANT SELECT ON otp.settings, otp.templates, otp.countries, otp.sender_rates TO otp_worker;
GRANT EXECUTE ON FUNCTION otp.notify TO otp_worker, otp_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON otp.templates, otp.countries, otp.sender_rates TO otp_admin;
GRANT SELECT, UPDATE ON otp.settings TO otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (2, 'settings');

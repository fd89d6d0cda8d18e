-- Settings that operators change while otpd runs: texts, countries, rates of senders, and one row of general settings.
-- A change reaches the workers at once. Triggers and constraints check each value when it is written.

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

CREATE TABLE otp.settings (
    only_row boolean PRIMARY KEY DEFAULT true
        CONSTRAINT "otp.settings has one row: change it with UPDATE" CHECK (only_row),
    region text NOT NULL DEFAULT 'SA',                   -- reads numbers without a country code
    timezone text NOT NULL DEFAULT 'Asia/Riyadh',        -- decides when a day begins, for limits and budgets per day
    time_to_live interval NOT NULL DEFAULT '5 minutes'   -- of a code for which the backend gives no expires_at
        CONSTRAINT "time_to_live must be 1 to 10 minutes" CHECK (time_to_live BETWEEN '1 minute' AND '10 minutes'),
    max_attempts smallint NOT NULL DEFAULT 5             -- wrong tries per verification
        CONSTRAINT "max_attempts must be at least 1" CHECK (max_attempts > 0),
    -- Wrong tries per phone number and day, over all verifications. Each subject that has verified the phone number has so many
    -- of its own, and all other subjects together have so many.
    max_failures_per_day smallint NOT NULL DEFAULT 10
        CONSTRAINT "max_failures_per_day must be at least 1" CHECK (max_failures_per_day > 0),
    max_failures_per_client int NOT NULL DEFAULT 30      -- wrong tries above right ones, per client address and hour
        CONSTRAINT "max_failures_per_client must be at least 1" CHECK (max_failures_per_client > 0),
    max_failures_per_backend int NOT NULL DEFAULT 200    -- wrong tries above right ones, per login role and 10 minutes
        CONSTRAINT "max_failures_per_backend must be at least 1" CHECK (max_failures_per_backend > 0),
    resend_after interval NOT NULL DEFAULT '30 seconds'  -- between two sends of one code by one channel; 0: no such limit
        CONSTRAINT "resend_after must be 0 seconds to 10 minutes" CHECK (resend_after BETWEEN '0 seconds' AND '10 minutes'),
    sends_per_second numeric                             -- of all workers together; null: unlimited
        CONSTRAINT "sends_per_second must be above 0 and at most 100000, or null"
        CHECK (sends_per_second > 0 AND sends_per_second <= 100000),
    daily_budget numeric                                 -- what one day's messages may cost; null: unlimited
        CONSTRAINT "daily_budget must be a number above 0, or null" CHECK (daily_budget > 0 AND daily_budget < 'Infinity'),
    budget_unit text NOT NULL DEFAULT 'USD'              -- the budget's currency (ISO 4217)
        CONSTRAINT "budget_unit must be three capital letters, such as USD" CHECK (budget_unit ~ '^[A-Z]{3}$'),
    -- otp.conversion_daily marks a prefix as suspicious below this share of verified codes, from this many codes on.
    min_conversion numeric NOT NULL DEFAULT 0.3
        CONSTRAINT "min_conversion must be 0 to 1" CHECK (min_conversion BETWEEN 0 AND 1),
    min_conversion_samples int NOT NULL DEFAULT 50
        CONSTRAINT "min_conversion_samples must be at least 10" CHECK (min_conversion_samples >= 10),
    redact_bodies boolean NOT NULL DEFAULT false,        -- whether otpd empties texts at Twilio when their codes are no longer live
    -- How long otp.prune keeps rows. A verification is also kept while a send of it is in the queue, and a message while otpd
    -- has something left to ask Twilio about it. Limits and wrong tries depend on none of these.
    keep_verifications interval NOT NULL DEFAULT '90 days'
        CONSTRAINT "keep_verifications must be at least 1 day" CHECK (keep_verifications >= '1 day'),
    keep_messages interval NOT NULL DEFAULT '90 days'
        CONSTRAINT "keep_messages must be at least 1 day" CHECK (keep_messages >= '1 day'),
    keep_unsent_jobs interval NOT NULL DEFAULT '90 days'
        CONSTRAINT "keep_unsent_jobs must be at least 1 day" CHECK (keep_unsent_jobs >= '1 day'),
    keep_verified_phones interval,                       -- after their last verification; null: for ever
    fallback_locale text,                                -- the text of this locale serves locales without one; null: OT004
    -- What happens to a key whose codes are sent and not used: hold lets probes through, refuse lets none, observe records only.
    fraud_action text NOT NULL DEFAULT 'hold'
        CONSTRAINT "fraud_action must be observe, hold or refuse" CHECK (fraud_action IN ('observe', 'hold', 'refuse')),
    -- Whether otpd asks Twilio for the risk of a phone number before a text leaves although its key is held. Twilio charges for it.
    lookup_suspicious boolean NOT NULL DEFAULT false,
    lookups_per_day int NOT NULL DEFAULT 200             -- the most numbers that are looked up in 24 hours
        CONSTRAINT "lookups_per_day must be 1 to 10000" CHECK (lookups_per_day BETWEEN 1 AND 10000),
    max_risk_score int NOT NULL DEFAULT 90               -- a text to a number with a higher risk is not sent
        CONSTRAINT "max_risk_score must be 0 to 100" CHECK (max_risk_score BETWEEN 0 AND 100),
    message_feedback boolean NOT NULL DEFAULT false,     -- whether otpd tells Twilio which codes were used
    events boolean NOT NULL DEFAULT false,               -- whether otp.events records what became of codes, for backends
    keep_events interval NOT NULL DEFAULT '1 day'        -- then they are deleted, read or not
        CONSTRAINT "keep_events must be 1 hour to 30 days" CHECK (keep_events BETWEEN '1 hour' AND '30 days'),
    -- The verifications themselves show the verified phones, too.
    CONSTRAINT "keep_verified_phones: at least keep_verifications, or null" CHECK (keep_verified_phones >= keep_verifications)
);
COMMENT ON TABLE otp.settings IS 'General settings, in one row. Change it with UPDATE.';
INSERT INTO otp.settings DEFAULT VALUES;

CREATE TABLE otp.templates (
    purpose text NOT NULL
        CONSTRAINT "purpose must be 1 to 50 of the characters a-z 0-9 _ . -" CHECK (purpose ~ '^[a-z0-9_.-]{1,50}$'),
    locale text NOT NULL
        CONSTRAINT "locale must be 1 to 35 of the characters A-Z a-z 0-9 _ -" CHECK (locale ~ '^[A-Za-z0-9_-]{1,35}$'),
    body text NOT NULL
        CONSTRAINT "body must contain {code}" CHECK (position('{code}' IN body) > 0)
        CONSTRAINT "body must have at most 1000 characters" CHECK (length(body) <= 1000),
    web_otp_host text,      -- the web site whose form a phone may fill in (WebOTP); adds the last line '@host #code'
    content_sid text        -- WhatsApp: the template that WhatsApp has approved; its variable 1 is the code. Null: no WhatsApp
        CONSTRAINT "content_sid must be HX and 32 hexadecimal digits" CHECK (content_sid ~ '^HX[0-9a-fA-F]{32}$'),
    call_text text          -- what a call says; null: the daemon's own words in the language
        CONSTRAINT "call_text must contain {code}" CHECK (position('{code}' IN call_text) > 0)
        CONSTRAINT "call_text must have at most 500 characters" CHECK (length(call_text) <= 500),
    mail_subject text       -- null: the name of the app
        CONSTRAINT "mail_subject must have at most 150 characters" CHECK (length(mail_subject) <= 150),
    mail_body text          -- plain text; null: the body of the text message
        CONSTRAINT "mail_body must contain {code}" CHECK (position('{code}' IN mail_body) > 0)
        CONSTRAINT "mail_body must have at most 4000 characters" CHECK (length(mail_body) <= 4000),
    PRIMARY KEY (purpose, locale)
);

COMMENT ON TABLE otp.templates IS
    'Texts per purpose and locale. {code} is required; {app} and {minutes} are filled too. A purpose exists when it has a text.';
INSERT INTO otp.templates (purpose, locale, body) VALUES
    ('phone_verification', 'en', 'Your {app} verification code is: {code}. Valid for {minutes} minutes.'),
    ('phone_verification', 'ar', 'رمز التحقق الخاص بك هو: {code}. صالح لمدة {minutes} دقائق.');

CREATE TABLE otp.countries (
    region text PRIMARY KEY
        CONSTRAINT "region must be two capital letters, such as SA, or 001" CHECK (region ~ '^[A-Z]{2}$|^001$'),
    expected_cost numeric NOT NULL DEFAULT 0.1          -- of one send, for limits of scope budget
        CONSTRAINT "expected_cost must be 0 or more" CHECK (expected_cost >= 0),
    sender text,            -- the sender of its messages; null: the worker's own sender
    price_estimate numeric                              -- of one segment, for messages that Twilio has not priced yet
        CONSTRAINT "price_estimate must be 0 or more, or null" CHECK (price_estimate >= 0),
    price_unit text NOT NULL DEFAULT 'USD'              -- the estimate's currency (ISO 4217)
        CONSTRAINT "price_unit must be three capital letters, such as USD" CHECK (price_unit ~ '^[A-Z]{3}$'),
    receipts_reliable boolean NOT NULL DEFAULT true     -- false: receipts of its carriers never lead to a resend
);
COMMENT ON TABLE otp.countries IS 'Countries that may be sent to, as ISO 3166 region codes (001: numbers of no country).';

-- How many messages one sender may send in a second: the limit of its carrier or of its registration.
CREATE TABLE otp.sender_rates (
    sender text PRIMARY KEY,    -- as in countries.sender or the worker's settings; 'call': all calls; 'email': all e-mails
    sends_per_second numeric NOT NULL
        CONSTRAINT "sends_per_second must be above 0 and at most 100000"
        CHECK (sends_per_second > 0 AND sends_per_second <= 100000)
);
COMMENT ON TABLE otp.sender_rates IS 'Sends per second of single senders, over all workers. A sender without a row has no limit here.';
-- All calls together. Twilio starts one call a second per account, and silently queues the others.
INSERT INTO otp.sender_rates (sender, sends_per_second) VALUES ('call', 1);

INSERT INTO otp.countries (region, receipts_reliable) VALUES ('SA', false);

-- What differs between purposes, besides their texts. A purpose without a row has the defaults.
CREATE TABLE otp.purposes (
    purpose text PRIMARY KEY
        CONSTRAINT "purpose must be 1 to 50 of the characters a-z 0-9 _ . -" CHECK (purpose ~ '^[a-z0-9_.-]{1,50}$'),
    app_name text           -- fills {app} in its texts; null: OTPD_APP_NAME of the worker
        CONSTRAINT "app_name must have 1 to 100 characters" CHECK (length(app_name) BETWEEN 1 AND 100),
    sender text,            -- the sender of its text messages, before that of the country; null: the country's or the worker's
    allows_email boolean NOT NULL DEFAULT false     -- whether its codes may go by e-mail, which proves no phone number
);
COMMENT ON TABLE otp.purposes IS 'What differs between purposes: the name of the app, the sender, and whether codes may go by e-mail.';

-- Which channels a code takes, in which order. The most specific rows count, all of one purpose and country: those of the
-- purpose and country, then of the purpose, then of the country, then '*' for both.
CREATE TABLE otp.routes (
    purpose text NOT NULL DEFAULT '*'
        CONSTRAINT "purpose must be * or 1 to 50 of the characters a-z 0-9 _ . -" CHECK (purpose ~ '^([*]|[a-z0-9_.-]{1,50})$'),
    country text NOT NULL DEFAULT '*'
        CONSTRAINT "country must be * or two capital letters, such as SA, or 001" CHECK (country ~ '^([*]|[A-Z]{2}|001)$'),
    step smallint NOT NULL
        CONSTRAINT "step must be 1 to 9" CHECK (step BETWEEN 1 AND 9),
    channel text NOT NULL
        CONSTRAINT "channel must be sms, whatsapp, call or email" CHECK (channel IN ('sms', 'whatsapp', 'call', 'email')),
    -- From the beginning of the step before until this step begins, if the code has not been verified. A step before that
    -- failed begins this step at once. Null: this step begins only after a failure.
    wait interval
        CONSTRAINT "wait must be 5 seconds to 9 minutes, or null" CHECK (wait BETWEEN '5 seconds' AND '9 minutes'),
    PRIMARY KEY (purpose, country, step),
    CONSTRAINT "step 1 has no wait: it begins with the request" CHECK (step > 1 OR wait IS NULL)
);
COMMENT ON TABLE otp.routes IS 'The channels that a code takes, step by step, per purpose and country (* for any).';
INSERT INTO otp.routes (step, channel) VALUES (1, 'sms');

-- The senders of WhatsApp messages and calls. A channel without a row here for the country or for '*' cannot be used there.
CREATE TABLE otp.channel_senders (
    channel text NOT NULL
        CONSTRAINT "channel must be whatsapp or call" CHECK (channel IN ('whatsapp', 'call')),
    country text NOT NULL DEFAULT '*'
        CONSTRAINT "country must be * or two capital letters, such as SA, or 001" CHECK (country ~ '^([*]|[A-Z]{2}|001)$'),
    sender text NOT NULL,   -- call: a phone number; whatsapp: a phone number or a messaging service
    PRIMARY KEY (channel, country),
    CONSTRAINT "sender must be E.164, or for whatsapp also MG and 32 digits"
        CHECK (sender ~ '^[+][1-9][0-9]{6,14}$' OR channel = 'whatsapp' AND sender ~ '^MG[0-9a-fA-F]{32}$')
);
COMMENT ON TABLE otp.channel_senders IS 'The senders of WhatsApp messages and calls, per country (* for any).';

-- What one send by another channel than sms is expected to cost, for limits of scope budget and for messages without a price.
CREATE TABLE otp.channel_costs (
    channel text NOT NULL
        CONSTRAINT "channel must be whatsapp, call or email" CHECK (channel IN ('whatsapp', 'call', 'email')),
    country text NOT NULL DEFAULT '*'
        CONSTRAINT "country must be * or two capital letters, such as SA, or 001" CHECK (country ~ '^([*]|[A-Z]{2}|001)$'),
    expected_cost numeric NOT NULL      -- in settings.budget_unit
        CONSTRAINT "expected_cost must be 0 or more" CHECK (expected_cost >= 0),
    PRIMARY KEY (channel, country)
);
COMMENT ON TABLE otp.channel_costs IS 'The expected cost of a send by whatsapp, call or email, per country (* for any).';
INSERT INTO otp.channel_costs (channel, expected_cost) VALUES ('whatsapp', 0.05), ('call', 0.2), ('email', 0);

-- What a send by a channel to a country is expected to cost, as a row of otp.countries.
CREATE FUNCTION otp.cost_row(channel text, country otp.countries) RETURNS otp.countries
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF channel <> 'sms' THEN
        country.expected_cost := coalesce((SELECT c.expected_cost FROM otp.channel_costs c
            WHERE c.channel = cost_row.channel AND c.country IN ((cost_row.country).region, '*')
            ORDER BY c.country = '*' LIMIT 1), country.expected_cost);
        country.price_estimate := NULL;
    END IF;
    RETURN country;
END $$;

CREATE FUNCTION otp.expected_cost(channel text, country otp.countries) RETURNS numeric
LANGUAGE sql STABLE
RETURN coalesce(CASE channel WHEN 'sms' THEN (country).expected_cost ELSE (otp.cost_row(channel, country)).expected_cost END, 0);

-- The daemon reads hosts by the same rule (WebOTPHost in Swift). Tests/IntegrationTests/SenderTests compares the two.
CREATE FUNCTION otp.templates_before_write() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    texts CONSTANT text := concat_ws(E'\n', NEW.body, NEW.call_text, NEW.mail_subject, NEW.mail_body);
    rest CONSTANT text := regexp_replace(texts, E'\\{(app|code|minutes)\\}', '', 'g');
    unfilled text;
BEGIN
    IF NEW.web_otp_host COLLATE "C" ~ ('^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+'
        '[a-z]([a-z0-9-]{0,61}[a-z0-9])?$') IS FALSE THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007',
            MESSAGE = format('web_otp_host of the text for %s, %s is not a host name', NEW.purpose, NEW.locale),
            HINT = 'Write the host in lower case, such as example.com, without https://, port or path. '
                'Write letters of other alphabets as xn--….';
    END IF;
    IF NEW.mail_subject ~ E'[\\x01-\\x1f\\x7f-\\x9f\\u2028\\u2029]' THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007',
            MESSAGE = format('control characters in the mail_subject of %s, %s', NEW.purpose, NEW.locale),
            HINT = 'Write the subject as one line, without tabs.';
    END IF;
    -- The daemon reads placeholders by the same rule (Template in Swift). A text cannot contain a literal brace.
    IF rest COLLATE "C" ~ '[{}]' THEN
        unfilled := substring(texts COLLATE "C" FROM E'\\{(?!(?:app|code|minutes)\\})[^{}]*\\}');
        RAISE EXCEPTION USING ERRCODE = 'OT007',
            MESSAGE = CASE WHEN unfilled IS NULL
                THEN format('unmatched brace in the text for %s, %s', NEW.purpose, NEW.locale)
                ELSE format('unknown placeholder %s in the text for %s, %s', left(unfilled, 40), NEW.purpose, NEW.locale) END,
            HINT = coalesce((SELECT format('Write %s.', p) FROM unnest('{"{app}","{code}","{minutes}"}'::text[]) p
                    WHERE lower(regexp_replace(unfilled, '[^A-Za-z{}]', '', 'g') COLLATE "C") = p),
                'The placeholders are {app}, {code} and {minutes}. A text cannot have other braces.');
    END IF;
    RETURN NEW;
END $$;

-- For countries, purposes and sender_rates. The daemon reads senders by the same rule (Sender in Swift).
-- Tests/IntegrationTests/SenderTests compares the two.
CREATE FUNCTION otp.sender_before_write() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.sender COLLATE "C" ~ ('^[+][1-9][0-9]{6,14}$|^[0-9]{3,8}$|^MG[0-9a-fA-F]{32}$'
        '|^(?=.*[A-Za-z])(?=.{1,11}$)[A-Za-z0-9]([A-Za-z0-9 ]*[A-Za-z0-9])?$') IS FALSE THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007',
            MESSAGE = 'invalid sender' || CASE TG_TABLE_NAME WHEN 'countries' THEN ' for ' || (to_jsonb(NEW)->>'region')
                WHEN 'purposes' THEN ' for ' || (to_jsonb(NEW)->>'purpose') ELSE '' END,
            HINT = 'Give one of these: a phone number in E.164; a short code (3 to 8 digits); a name of 1 to 11 letters (A–Z), '
                'digits and spaces with at least one letter; a messaging service SID (MG and 32 hexadecimal digits)'
                || CASE WHEN TG_TABLE_NAME IN ('countries', 'purposes') THEN '; null for the worker''s own sender.' ELSE '.' END;
    END IF;
    RETURN NEW;
END $$;

-- When the server's notification queue is full, NOTIFY fails and its transaction with it. The queue fills up while a session
-- that listens stays in a transaction. This function therefore adds nothing to a queue that is nearly full. Workers then
-- learn of jobs and changes from their own regular reads, and otpd doctor says why.
CREATE FUNCTION otp.notify(channel text, payload text DEFAULT '') RETURNS void
LANGUAGE sql VOLATILE
RETURN CASE WHEN pg_notification_queue_usage() < 0.9 THEN pg_notify(channel, payload) END;

-- Tells the workers of a change at once: they read texts, senders and error classes again without a restart.
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
    unstable CONSTANT text := '^(posix|right)/|^(localtime|posixrules|Factory)$';  -- names that differ between servers
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
            ELSE 'PostgreSQL would read it as POSIX does, with the opposite sign.' END,
        HINT = CASE WHEN near IS NOT NULL THEN format('Write %L.', near)
            WHEN hours IS NOT NULL THEN format('Name the place, such as Asia/Riyadh, or write ''Etc/GMT%s''.',
                translate(left(hours, 1), '+-', '-+') || substr(hours, 2)::int)
            ELSE 'Name a place, such as Asia/Riyadh. This query lists them: SELECT name FROM pg_timezone_names.' END;
END $$;

-- A time zone is checked only when it changes, because PostgreSQL reads time zones from files.
CREATE FUNCTION otp.settings_before_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.timezone IS DISTINCT FROM OLD.timezone THEN
        PERFORM otp.check_timezone(NEW.timezone);
    END IF;
    IF TG_OP = 'INSERT' OR NEW.region IS DISTINCT FROM OLD.region THEN
        IF NEW.region = '001' THEN
            RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'otp.settings.region cannot be ''001''',
                DETAIL = '001 stands for numbers of no country, and those always have their country code.',
                HINT = 'Give the two letters of ISO 3166, such as SA.';
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
CREATE TRIGGER before_write BEFORE INSERT OR UPDATE ON otp.purposes
FOR EACH ROW EXECUTE FUNCTION otp.sender_before_write();
CREATE TRIGGER before_write BEFORE INSERT OR UPDATE ON otp.sender_rates
FOR EACH ROW EXECUTE FUNCTION otp.sender_before_write();

CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON otp.templates
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON otp.countries
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON otp.sender_rates
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON otp.routes
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON otp.purposes
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON otp.channel_senders
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();
CREATE TRIGGER changed AFTER UPDATE ON otp.settings
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();

CREATE TRIGGER before_write BEFORE INSERT OR UPDATE ON otp.settings
FOR EACH ROW EXECUTE FUNCTION otp.settings_before_write();

GRANT SELECT ON otp.settings, otp.templates, otp.countries, otp.sender_rates, otp.purposes, otp.routes, otp.channel_senders,
    otp.channel_costs TO otp_worker;
GRANT SELECT ON otp.routes TO otp_monitor;
GRANT SELECT (events) ON otp.settings TO otp_monitor;
GRANT EXECUTE ON FUNCTION otp.cost_row TO otp_worker;
GRANT EXECUTE ON FUNCTION otp.notify TO otp_worker, otp_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON otp.templates, otp.countries, otp.sender_rates, otp.purposes, otp.routes,
    otp.channel_senders, otp.channel_costs TO otp_admin;
GRANT SELECT, UPDATE ON otp.settings TO otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (2, 'settings');

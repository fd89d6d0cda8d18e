-- Pauses: sends that are held back for a while.

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

-- Pauses that all workers share. A pause applies to everything, to a channel, to a country, or to a prefix of phone numbers. A
-- worker creates one when Twilio refuses a channel, a country or a prefix. An operator creates one by hand. otp.check_budget creates one of everything
-- when the day's budget is used up. Held jobs wait until the pause ends or their code expires. To end a pause, delete its row.
CREATE TABLE otp.pauses (
    scope text NOT NULL,
    key text COLLATE "C" NOT NULL DEFAULT '',
    name text COLLATE "C" NOT NULL GENERATED ALWAYS AS (CASE key WHEN '' THEN scope ELSE scope || ' ' || key END) STORED
        PRIMARY KEY,
    reason text NOT NULL
        CONSTRAINT "reason must have 1 to 500 characters" CHECK (length(reason) BETWEEN 1 AND 500),
    remedy text,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_probe_at timestamptz,              -- null: created by hand, and ends only by hand
    probes int NOT NULL DEFAULT 0,
    created_by text NOT NULL DEFAULT session_user,
    CONSTRAINT "scope must be all, budget, channel, country or prefix"
        CHECK (scope IN ('all', 'budget', 'channel', 'country', 'prefix')),
    CONSTRAINT "scopes all and budget need an empty key" CHECK (scope NOT IN ('all', 'budget') OR key = ''),
    CONSTRAINT "scope channel needs a key of sms, whatsapp, call or email" CHECK (scope <> 'channel' OR key IN ('sms', 'whatsapp', 'call', 'email')),
    CONSTRAINT "scope country needs a key of two capital letters, or 001"
        CHECK (scope <> 'country' OR key ~ '^([A-Z]{2}|001)$'),
    -- Even the longest number has four more digits than the longest prefix, so no row shows a whole number.
    CONSTRAINT "scope prefix needs a key of + and 1 to 11 digits: +96650"
        CHECK (scope <> 'prefix' OR key ~ '^\+[1-9][0-9]{0,10}$')
);
COMMENT ON TABLE otp.pauses IS 'What is not sent for now: all, budget (also all), a channel (call), a country (SA), a prefix (+96650). DELETE ends a pause, and its held jobs are due at once.';

-- Checks a country that a person names. Workers name only countries of their jobs.
CREATE FUNCTION otp.pause_before_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM otp.check_region(NEW.key, 'the country of a pause');
    RETURN NEW;
END $$;

-- Releases the jobs that an ended pause holds. A worker that gives a job to a pause locks the pause's row (FOR KEY SHARE) until
-- the job is written. The DELETE waits for that lock, and this UPDATE then sees the job. No job is left with an ended pause.
CREATE FUNCTION otp.release_held() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE otp.send_jobs j SET hold_kind = NULL, hold_key = NULL, due_at = clock_timestamp()
    WHERE j.state = 'queued' AND j.hold_kind = 'pause' AND (TG_OP = 'TRUNCATE' OR j.hold_key = OLD.name);
    -- In this order, so that a worker knows of the pause's end before it claims the released jobs.
    PERFORM otp.notify('otp_catalog'), otp.notify('otp_send_jobs');
    RETURN NULL;
END $$;

CREATE TRIGGER before_write BEFORE INSERT OR UPDATE OF scope, key ON otp.pauses
FOR EACH ROW WHEN (NEW.scope = 'country' AND NEW.next_probe_at IS NULL) EXECUTE FUNCTION otp.pause_before_write();

CREATE TRIGGER changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF scope, key, reason, remedy ON otp.pauses
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();

CREATE TRIGGER release_held AFTER DELETE ON otp.pauses
FOR EACH ROW EXECUTE FUNCTION otp.release_held();
CREATE TRIGGER release_all AFTER TRUNCATE ON otp.pauses
FOR EACH STATEMENT EXECUTE FUNCTION otp.release_held();

GRANT SELECT, INSERT, UPDATE, DELETE ON otp.pauses TO otp_worker;
GRANT SELECT ON otp.pauses TO otp_monitor, otp_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON otp.pauses TO otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (11, 'pauses');

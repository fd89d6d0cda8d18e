-- Pauses: what is not sent for the time being, whoever asks for it.

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
    created_by text NOT NULL DEFAULT session_user,
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

-- With a snapshot of its own, taken when the pause is locked: a worker that gives a job to a pause holds the pause's row
-- (FOR KEY SHARE) until the job is written, so none is given to a pause that has ended.
CREATE FUNCTION otp.release_held() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE otp.send_jobs j SET hold_kind = NULL, hold_key = NULL, due_at = clock_timestamp()
    WHERE j.state = 'queued' AND j.hold_kind = 'pause' AND (TG_OP = 'TRUNCATE' OR j.hold_key = OLD.name);
    -- In this order: a worker should know that the pause has ended before it claims what it held.
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

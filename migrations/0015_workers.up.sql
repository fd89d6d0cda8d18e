-- Workers: a row per process, with its heartbeat.

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
        CHECK (state IN (
            'starting',     -- connects and looks at the schema
            'running',
            'paused',       -- sends nothing for the reason given, until a probe succeeds
            'draining',     -- claims nothing more, and ends what is under way
            'stopped',      -- said so itself
            'dead'          -- another worker said so: its heartbeats ended
        )),
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

GRANT SELECT, INSERT, UPDATE, DELETE ON otp.worker_status TO otp_worker;
GRANT USAGE ON SEQUENCE otp.worker_ids TO otp_worker;
GRANT SELECT ON otp.worker_status TO otp_monitor, otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (15, 'workers');

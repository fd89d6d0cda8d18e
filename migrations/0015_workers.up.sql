-- Workers: one row per process, with its heartbeat.

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

CREATE SEQUENCE otp.worker_ids;

CREATE TABLE otp.worker_status (
    worker_id bigint PRIMARY KEY DEFAULT nextval('otp.worker_ids'),
    kind text NOT NULL DEFAULT 'worker'     -- callbacks: otpd callbacks, a receiver that sends nothing
        CONSTRAINT "kind must be worker or callbacks" CHECK (kind IN ('worker', 'callbacks')),
    host text NOT NULL,
    pid int NOT NULL,
    version text NOT NULL,
    channels text[] NOT NULL DEFAULT '{sms,whatsapp,call}',     -- the channels that it can send by
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL DEFAULT 'starting'
        CONSTRAINT "state: starting, running, paused, draining, stopped or dead" CHECK (state IN (
            'starting',     -- connects and checks the schema
            'running',
            'paused',       -- sends nothing for the given reason, until a probe succeeds
            'draining',     -- claims nothing more, and finishes the attempts that it handed over
            'stopped',      -- the process wrote this itself
            'dead'          -- another worker wrote this, because the heartbeats ended
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
    mail_state text,            -- null: it sends no e-mail
    callbacks_received bigint,  -- since the start; null: it has no receiver
    callbacks_refused bigint,
    callbacks_dropped bigint,
    callbacks_written bigint,
    spans_exported bigint,      -- since the start; null: it exports no traces
    spans_dropped bigint,
    spans_failed bigint
) WITH (fillfactor = 50);
ALTER SEQUENCE otp.worker_ids OWNED BY otp.worker_status.worker_id;
COMMENT ON TABLE otp.worker_status IS 'One row per otpd run and per otpd callbacks. A process is alive while heartbeat_at is younger than 30 seconds.';

-- The running workers share the rates. If rates are set, a worker tells the others when it starts, when it stops, and when it
-- comes back after an overdue heartbeat.
CREATE FUNCTION otp.shares_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM otp.settings s WHERE s.sends_per_second IS NOT NULL)
        OR EXISTS (SELECT FROM otp.sender_rates r WHERE r.sender <> 'call')
        OR EXISTS (SELECT FROM otp.channel_senders s WHERE s.channel = 'call')
    THEN
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

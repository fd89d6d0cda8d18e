-- The end of a job: as a message at Twilio, or without one. Also the counts of both, and the order of Twilio's statuses.

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

-- One row per message or call at Twilio, and per e-mail. It is also the history of a job that ended as accepted.
CREATE TABLE otp.messages (
    message_sid text COLLATE "C" PRIMARY KEY,    -- Twilio's SID; of an e-mail, the part of its Message-ID before the @
    send_job_id bigint NOT NULL,
    verification_id bigint NOT NULL,
    attempt int NOT NULL,
    worker bigint,
    sender text,                    -- the number, name or messaging service that sent it; null until it is known
    is_primary boolean NOT NULL,    -- false: a second message, or evidence that came after the job had ended differently
    requested_at timestamptz NOT NULL,
    accepted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Twilio's own word, including words that Twilio adds later. otp.status_rank gives their order.
    status text NOT NULL,
    error_code int,
    segments smallint,
    price numeric,
    price_unit text,
    final_at timestamptz,           -- when the status became final
    next_poll_at timestamptz,       -- the next poll: for the status, then the price, then to empty the text; null: none
    polls smallint NOT NULL DEFAULT 0,
    channel text COLLATE "C" NOT NULL DEFAULT 'sms',
    step smallint,                  -- this and the next: copies of its send job's
    follows bigint,
    follow_up text,                 -- what followed when it failed or its wait ended: a further job, or why there is none
    redacted_at timestamptz,        -- when otpd emptied its text at Twilio
    redactions smallint NOT NULL DEFAULT 0,     -- tries to empty it
    -- True: another job of the history has this send_job_id, because the sequence was behind. is_primary is then false.
    id_taken boolean,
    traceparent text COLLATE "C"    -- a copy of its send job's
) WITH (fillfactor = 80, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1);
-- A job ends once. Further messages of it are kept with is_primary = false.
CREATE UNIQUE INDEX messages_send_job ON otp.messages (send_job_id) WHERE is_primary;
CREATE INDEX messages_surplus ON otp.messages (send_job_id) WHERE NOT is_primary;
CREATE INDEX messages_taken ON otp.messages (send_job_id) WHERE id_taken;
CREATE INDEX messages_verification ON otp.messages (verification_id);
CREATE INDEX messages_to_poll ON otp.messages (next_poll_at) WHERE next_poll_at IS NOT NULL;
CREATE INDEX messages_accepted_at ON otp.messages (accepted_at);
-- For otp.failures. The condition uses error_code, because every message changes its status.
CREATE INDEX messages_in_error ON otp.messages (accepted_at) WHERE error_code IS NOT NULL;

-- Jobs that ended without a message. The key includes requested_at, so a result is kept even if a sequence gave out its id
-- twice.
CREATE TABLE otp.unsent_jobs (
    send_job_id bigint,
    verification_id bigint NOT NULL,
    state text COLLATE "C" NOT NULL CONSTRAINT "state must be failed, expired, limited, canceled or test" CHECK (state IN (
        'failed',       -- refused for good, or its outcome stayed unknown
        'expired',      -- its code expired before the job could be sent
        'limited',      -- a shared limit was exceeded
        'canceled',     -- canceled, used or replaced before the job could be sent
        'test'          -- its phone number is a test number, to which nothing is sent
    )),
    attempts int NOT NULL,
    error_code int,
    error text,
    remedy text,
    error_class text,
    requested_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    channel text COLLATE "C" NOT NULL DEFAULT 'sms',
    step smallint,
    follows bigint,
    follow_up text,
    traceparent text COLLATE "C",   -- a copy of its send job's
    PRIMARY KEY (send_job_id, requested_at)
);
CREATE INDEX unsent_jobs_verification ON otp.unsent_jobs (verification_id);
CREATE INDEX unsent_jobs_ended_at ON otp.unsent_jobs (ended_at);
CREATE INDEX unsent_jobs_failed ON otp.unsent_jobs (ended_at) WHERE state NOT IN ('canceled', 'test');

-- How many jobs ended, per five seconds, writer and channel. With these counts otp.queue_status costs the same for any number of jobs.
CREATE TABLE otp.outcome_counts (
    starts_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    accepted int NOT NULL DEFAULT 0,
    failed int NOT NULL DEFAULT 0,
    channel text COLLATE "C" NOT NULL DEFAULT 'sms',
    PRIMARY KEY (starts_at, shard, channel)
) WITH (fillfactor = 70);

-- The number of the calling session's row in a sum with many writers. Workers never share a row with other roles, because
-- transactions of other roles may stay open.
CREATE FUNCTION otp.own_shard() RETURNS smallint
LANGUAGE sql STABLE
RETURN (pg_backend_pid() & 63) + CASE WHEN pg_has_role(session_user, 'otp_worker', 'USAGE') THEN 0 ELSE 64 END;

CREATE FUNCTION otp.count_outcomes() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'messages' THEN
        INSERT INTO otp.outcome_counts AS c (starts_at, channel, shard, accepted)
        SELECT date_bin('5 seconds', e.accepted_at, 'epoch'), e.channel, otp.own_shard(), count(*)
        FROM ended e WHERE e.is_primary GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (starts_at, shard, channel) DO UPDATE SET accepted = c.accepted + excluded.accepted;
    ELSE
        INSERT INTO otp.outcome_counts AS c (starts_at, channel, shard, failed)
        SELECT date_bin('5 seconds', e.ended_at, 'epoch'), e.channel, otp.own_shard(), count(*)
        FROM ended e WHERE e.state NOT IN ('canceled', 'test') GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (starts_at, shard, channel) DO UPDATE SET failed = c.failed + excluded.failed;
    END IF;
    RETURN NULL;
END $$;

-- The order of Twilio's statuses. A rank of 50 or more is final. A word that Twilio adds later counts as under way. Statuses of
-- the same rank exclude each other. This function is the only place that defines the order.
CREATE FUNCTION otp.status_rank(status text) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CASE status
    WHEN 'scheduled' THEN 0
    WHEN 'accepted' THEN 10
    WHEN 'queued' THEN 20
    WHEN 'receiving' THEN 20
    WHEN 'initiated' THEN 25
    WHEN 'ringing' THEN 30
    WHEN 'in-progress' THEN 40
    WHEN 'sending' THEN 30
    WHEN 'sent' THEN 40
    WHEN 'partially_delivered' THEN 45
    WHEN 'delivered' THEN 50
    WHEN 'undelivered' THEN 50
    WHEN 'failed' THEN 50
    WHEN 'canceled' THEN 50
    WHEN 'received' THEN 50
    WHEN 'completed' THEN 50
    WHEN 'busy' THEN 50
    WHEN 'no-answer' THEN 50
    WHEN 'read' THEN 60
    ELSE 30 END;

-- Whether a message may move from one status to another. Callbacks come out of order and more than once. Only a delivered
-- message can become read.
CREATE FUNCTION otp.status_advances(earlier text, later text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN otp.status_rank(later) > otp.status_rank(earlier)
    AND (later <> 'read' OR otp.status_rank(earlier) < 50 OR earlier = 'delivered');

-- Whether a message needs no more polls: its status is final, and its price is known. Failed and canceled messages get no
-- price, because they never left Twilio. The poller gives calls 0 segments.
CREATE FUNCTION otp.is_settled(status text, segments smallint, price numeric) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN otp.status_rank(status) >= 50 AND segments IS NOT NULL
    AND (price IS NOT NULL OR status IN ('failed', 'canceled', 'busy', 'no-answer'));

CREATE TRIGGER count_outcomes AFTER INSERT ON otp.messages REFERENCING NEW TABLE AS ended
FOR EACH STATEMENT EXECUTE FUNCTION otp.count_outcomes();
CREATE TRIGGER count_outcomes AFTER INSERT ON otp.unsent_jobs REFERENCING NEW TABLE AS ended
FOR EACH STATEMENT EXECUTE FUNCTION otp.count_outcomes();

GRANT SELECT, INSERT, UPDATE ON otp.messages, otp.outcome_counts TO otp_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON otp.unsent_jobs TO otp_worker;
GRANT EXECUTE ON FUNCTION otp.own_shard, otp.status_rank, otp.is_settled, otp.status_advances TO otp_worker;
GRANT SELECT ON otp.outcome_counts TO otp_monitor, otp_admin;
GRANT EXECUTE ON FUNCTION otp.status_rank TO otp_monitor, otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (12, 'messages');

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

-- The range of 16,384 send jobs that a job belongs to. SIDs are random: in an index of SIDs alone, each new message would change
-- another page of months of history, and WAL would have that whole page (4,800 bytes a message at 10 million messages, in place
-- of 600). So the key of otp.messages begins with the range.
CREATE FUNCTION otp.job_range(send_job_id bigint) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (send_job_id >> 14)::int;

-- One row per message or call at Twilio, and per e-mail. It is also the history of a job that ended as accepted.
CREATE TABLE otp.messages (
    -- otp.job_range of its send job. The default suits the first range; the constraint refuses it in any other.
    job_range int NOT NULL DEFAULT 0 CONSTRAINT "job_range must be that of send_job_id" CHECK (job_range = otp.job_range(send_job_id)),
    message_sid text COLLATE "C" NOT NULL,      -- Twilio's SID; of an e-mail, the part of its Message-ID before the @
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
    country text COLLATE "C",       -- its verification's, for the sums per day; null: unknown
    step smallint,                  -- this and the next: copies of its send job's
    follows bigint,
    follow_up text,                 -- what followed when it failed or its wait ended: a further job, or why there is none
    redacted_at timestamptz,        -- when otpd emptied its text at Twilio
    redactions smallint NOT NULL DEFAULT 0,     -- tries to empty it
    -- True: another job of the history has this send_job_id, because the sequence was behind. is_primary is then false.
    id_taken boolean,
    traceparent text COLLATE "C",   -- a copy of its send job's
    PRIMARY KEY (job_range, message_sid)
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
-- For its other branch. Such rows are rare: without this index it reads all failures to find none (280 ms at 3 million messages).
CREATE INDEX messages_taken_in_error ON otp.messages (accepted_at) WHERE id_taken AND error_code IS NOT NULL;

-- Jobs that ended without a message. The key includes requested_at, so a result is kept even if a sequence gave out its id
-- twice.
CREATE TABLE otp.unsent_jobs (
    send_job_id bigint,
    verification_id bigint NOT NULL,
    state text COLLATE "C" NOT NULL CONSTRAINT "state must be failed, expired, limited, canceled or test" CHECK (state IN (
        'failed',       -- refused for good, or its outcome stayed unknown
        'expired',      -- its code expired before the job could be sent
        'limited',      -- a shared limit was exceeded, its key was held, or its phone number is too risky
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

-- The range of the job that a message belongs to; null if the message is not recorded, or is older than the last 4 million jobs. With
-- the job, one look into the index finds a message. This function needs up to 256, and serves callers that have only the SID.
CREATE FUNCTION otp.range_of_message(message_sid text) RETURNS int
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    newest CONSTANT int := (SELECT m.job_range FROM otp.messages m ORDER BY m.job_range DESC LIMIT 1);
    oldest CONSTANT int := (SELECT m.job_range FROM otp.messages m ORDER BY m.job_range LIMIT 1);
BEGIN
    IF newest IS NULL THEN
        RETURN NULL;
    END IF;
    FOR candidate IN REVERSE newest..greatest(oldest, newest - 255) LOOP
        IF EXISTS (SELECT FROM otp.messages m WHERE m.job_range = candidate AND m.message_sid = range_of_message.message_sid) THEN
            RETURN candidate;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

-- How many jobs ended, per five seconds, writer and channel. With these counts otp.queue_status costs the same for any number of jobs.
CREATE TABLE otp.outcome_counts (
    starts_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    accepted int NOT NULL DEFAULT 0,
    failed int NOT NULL DEFAULT 0,
    channel text COLLATE "C" NOT NULL DEFAULT 'sms',
    PRIMARY KEY (starts_at, shard, channel)
) WITH (fillfactor = 70);

-- Whether a message has no price yet. Messages that failed or were canceled, and calls that nobody answered, usually cost nothing.
CREATE FUNCTION otp.awaits_price(status text, price numeric) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN price IS NULL AND status NOT IN ('failed', 'canceled', 'busy', 'no-answer');

-- The number of the calling session's row in a sum with many writers. Workers never share a row with other roles, because
-- transactions of other roles may stay open.
CREATE FUNCTION otp.own_shard() RETURNS smallint
LANGUAGE sql STABLE
RETURN (pg_backend_pid() & 63) + CASE WHEN pg_has_role(session_user, 'otp_worker', 'USAGE') THEN 0 ELSE 64 END;

-- The messages of each day and what they cost, per writer (shard). Late prices and receipts change the day of their message. These
-- sums stay when messages are pruned or forgotten. otp.spend_daily adds up the shards. Past days have one, of the number -1.
CREATE TABLE otp.message_days (
    day date NOT NULL,              -- of settings.timezone, when it was counted
    channel text COLLATE "C" NOT NULL,
    country text COLLATE "C" NOT NULL,      -- this and the next two: empty if unknown
    sender text COLLATE "C" NOT NULL,
    price_unit text COLLATE "C" NOT NULL,   -- empty: messages that have no price
    shard smallint NOT NULL,
    messages int NOT NULL,
    segments int NOT NULL,
    cost numeric NOT NULL,
    failed_but_billed int NOT NULL,
    unpriced int NOT NULL,          -- without a price, although they may cost something
    unpriced_segments int NOT NULL, -- of these
    PRIMARY KEY (day, channel, country, sender, price_unit, shard)
) WITH (fillfactor = 70);

-- The failures of each day, per writer. otp.failure_summary adds them up.
CREATE TABLE otp.failure_days (
    day date NOT NULL,
    channel text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,        -- of the unsent job; message: a message that did not arrive
    error_class text COLLATE "C" NOT NULL,  -- of the unsent job; empty: that of the code
    error_code int NOT NULL,                -- 0: none
    shard smallint NOT NULL,
    failures int NOT NULL,
    last_failed_at timestamptz,
    PRIMARY KEY (day, channel, state, error_class, error_code, shard)
) WITH (fillfactor = 70);

-- Adds to the sum of a day.
CREATE FUNCTION otp.add_to_day(
    day date, channel text, country text, sender text, price_unit text, messages bigint, segments bigint, cost numeric,
    failed_but_billed bigint, unpriced bigint, unpriced_segments bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO otp.message_days AS d
    VALUES (day, channel, coalesce(country, ''), coalesce(sender, ''), coalesce(price_unit, ''), otp.own_shard(), messages, segments, cost,
        failed_but_billed, unpriced, unpriced_segments)
    ON CONFLICT ON CONSTRAINT message_days_pkey DO UPDATE SET messages = d.messages + excluded.messages,
        segments = d.segments + excluded.segments, cost = d.cost + excluded.cost,
        failed_but_billed = d.failed_but_billed + excluded.failed_but_billed, unpriced = d.unpriced + excluded.unpriced,
        unpriced_segments = d.unpriced_segments + excluded.unpriced_segments;
END $$;

-- Counts new messages. They are added up per quarter of an hour and status first, because in every time zone a day begins with a
-- quarter of an hour. The time zone and the rules of a status are thus applied to few sums. One plan with all of this costs a
-- statement of one message twice as much.
CREATE FUNCTION otp.count_messages() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    timezone CONSTANT text := (SELECT s.timezone FROM otp.settings s);
    g record;
    has_failures boolean := false;
BEGIN
    INSERT INTO otp.outcome_counts AS c (starts_at, channel, shard, accepted)
    SELECT h.starts_at, h.channel, otp.own_shard(), h.count
    FROM (SELECT date_bin('5 seconds', e.accepted_at, 'epoch') AS starts_at, e.channel, count(*) AS count
        FROM ended e WHERE e.is_primary GROUP BY 1, 2 OFFSET 0) h
    ORDER BY 1, 2
    ON CONFLICT (starts_at, shard, channel) DO UPDATE SET accepted = c.accepted + excluded.accepted;
    FOR g IN
        SELECT h.* FROM (
            SELECT date_bin('15 minutes', e.accepted_at, 'epoch') AS quarter, e.channel, e.country, e.sender, e.status,
                CASE WHEN e.price IS NOT NULL THEN e.price_unit END AS price_unit, count(*) AS messages, sum(e.segments) AS segments,
                sum(e.price) AS price, count(e.price) AS priced, count(*) FILTER (WHERE e.price < 0) AS billed,
                count(*) FILTER (WHERE e.price IS NULL AND coalesce(e.segments, 0) < 1) AS without_segments,
                sum(e.segments) FILTER (WHERE e.price IS NULL) AS unpriced_segments
            FROM ended e GROUP BY 1, 2, 3, 4, 5, 6 OFFSET 0) h     -- hashed, and then a few sums are sorted
        ORDER BY 1, 2, 3, 4, 5, 6
    LOOP
        has_failures := has_failures OR g.status IN ('failed', 'undelivered');
        PERFORM otp.add_to_day((g.quarter AT TIME ZONE timezone)::date, g.channel, g.country, g.sender, g.price_unit, g.messages,
            coalesce(g.segments, 0), -coalesce(g.price, 0), CASE WHEN g.status IN ('failed', 'undelivered') THEN g.billed ELSE 0 END,
            CASE WHEN otp.awaits_price(g.status, NULL) THEN g.messages - g.priced ELSE 0 END,
            CASE WHEN otp.awaits_price(g.status, NULL) THEN coalesce(g.unpriced_segments, 0) + g.without_segments ELSE 0 END);
    END LOOP;
    IF has_failures THEN
        INSERT INTO otp.failure_days AS f (day, channel, state, error_class, error_code, shard, failures, last_failed_at)
        SELECT (e.accepted_at AT TIME ZONE timezone)::date, e.channel, 'message', '', coalesce(e.error_code, 0), otp.own_shard(), count(*),
            max(coalesce(e.final_at, e.accepted_at))
        FROM ended e WHERE e.status IN ('failed', 'undelivered') GROUP BY 1, 2, 5 ORDER BY 1, 2, 5
        ON CONFLICT (day, channel, state, error_class, error_code, shard) DO UPDATE SET failures = f.failures + excluded.failures,
            last_failed_at = greatest(f.last_failed_at, excluded.last_failed_at);
    END IF;
    RETURN NULL;
END $$;

-- Counts what changes later: prices, segments, senders, receipts. A message leaves its old sum and joins its new one.
CREATE FUNCTION otp.recount_messages() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    timezone CONSTANT text := (SELECT s.timezone FROM otp.settings s);
    g record;
BEGIN
    FOR g IN
        SELECT date_bin('15 minutes', e.accepted_at, 'epoch') AS quarter, e.channel, e.country, e.sender,
            CASE WHEN e.price IS NOT NULL THEN e.price_unit END AS price_unit, sum(e.sign) AS messages, sum(e.sign * e.segments) AS segments,
            sum(e.sign * e.price) AS price, sum(e.sign) FILTER (WHERE e.price < 0 AND e.status IN ('failed', 'undelivered')) AS billed,
            sum(e.sign) FILTER (WHERE otp.awaits_price(e.status, e.price)) AS unpriced,
            sum(e.sign * greatest(e.segments, 1)) FILTER (WHERE otp.awaits_price(e.status, e.price)) AS unpriced_segments
        FROM (
            SELECT -1 AS sign, o.accepted_at, o.channel, o.country, o.sender, o.status, o.price, o.price_unit, o.segments FROM earlier o
            UNION ALL
            SELECT 1, n.accepted_at, n.channel, n.country, n.sender, n.status, n.price, n.price_unit, n.segments FROM later n) e
        GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    LOOP
        CONTINUE WHEN g.messages = 0 AND coalesce(g.segments, 0) = 0 AND coalesce(g.price, 0) = 0 AND coalesce(g.billed, 0) = 0
            AND coalesce(g.unpriced, 0) = 0 AND coalesce(g.unpriced_segments, 0) = 0;
        PERFORM otp.add_to_day((g.quarter AT TIME ZONE timezone)::date, g.channel, g.country, g.sender, g.price_unit, g.messages,
            coalesce(g.segments, 0), -coalesce(g.price, 0), coalesce(g.billed, 0), coalesce(g.unpriced, 0), coalesce(g.unpriced_segments, 0));
    END LOOP;
    RETURN NULL;
END $$;

-- Counts a message that did not arrive. An error code that becomes known later moves it to the sum of that code.
CREATE FUNCTION otp.count_failed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO otp.failure_days AS f (day, channel, state, error_class, error_code, shard, failures, last_failed_at)
    SELECT (NEW.accepted_at AT TIME ZONE s.timezone)::date, NEW.channel, 'message', '', c.code, otp.own_shard(), c.failures,
        CASE WHEN c.failures >= 0 AND NEW.status IN ('failed', 'undelivered') THEN coalesce(NEW.final_at, NEW.accepted_at) END
    FROM otp.settings s CROSS JOIN (
        SELECT u.code, sum(u.failures) AS failures FROM (
            SELECT coalesce(NEW.error_code, 0) AS code, 1 AS failures WHERE NEW.status IN ('failed', 'undelivered')
            UNION ALL SELECT coalesce(OLD.error_code, 0), -1 WHERE OLD.status IN ('failed', 'undelivered')) u
        GROUP BY 1 ORDER BY 1) c
    ON CONFLICT (day, channel, state, error_class, error_code, shard) DO UPDATE SET failures = f.failures + excluded.failures,
        last_failed_at = greatest(f.last_failed_at, excluded.last_failed_at);
    RETURN NULL;
END $$;

-- Counts jobs that ended unsent.
CREATE FUNCTION otp.count_unsent() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    writer CONSTANT smallint := otp.own_shard();
BEGIN
    INSERT INTO otp.outcome_counts AS c (starts_at, channel, shard, failed)
    SELECT date_bin('5 seconds', e.ended_at, 'epoch'), e.channel, writer, count(*)
    FROM ended e WHERE e.state NOT IN ('canceled', 'test') GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (starts_at, shard, channel) DO UPDATE SET failed = c.failed + excluded.failed;
    INSERT INTO otp.failure_days AS f (day, channel, state, error_class, error_code, shard, failures, last_failed_at)
    SELECT (e.ended_at AT TIME ZONE s.timezone)::date, e.channel, e.state, coalesce(e.error_class, ''), coalesce(e.error_code, 0), writer,
        count(*), max(e.ended_at)
    FROM otp.settings s CROSS JOIN ended e WHERE e.state NOT IN ('canceled', 'test') GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (day, channel, state, error_class, error_code, shard) DO UPDATE SET failures = f.failures + excluded.failures,
        last_failed_at = greatest(f.last_failed_at, excluded.last_failed_at);
    RETURN NULL;
END $$;

-- Adds up the shards of past days, so that a day keeps one row per sum. Late prices add further shards, until the next call.
CREATE FUNCTION otp.fold_days(today date) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    WITH gone AS (
        DELETE FROM otp.message_days d WHERE d.day < today AND d.shard >= 0 RETURNING d.*
    )
    INSERT INTO otp.message_days AS d (day, channel, country, sender, price_unit, shard, messages, segments, cost, failed_but_billed,
        unpriced, unpriced_segments)
    SELECT g.day, g.channel, g.country, g.sender, g.price_unit, -1, sum(g.messages), sum(g.segments), sum(g.cost), sum(g.failed_but_billed),
        sum(g.unpriced), sum(g.unpriced_segments)
    FROM gone g GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (day, channel, country, sender, price_unit, shard) DO UPDATE SET messages = d.messages + excluded.messages,
        segments = d.segments + excluded.segments, cost = d.cost + excluded.cost,
        failed_but_billed = d.failed_but_billed + excluded.failed_but_billed, unpriced = d.unpriced + excluded.unpriced,
        unpriced_segments = d.unpriced_segments + excluded.unpriced_segments;
    WITH gone AS (
        DELETE FROM otp.failure_days f WHERE f.day < today AND f.shard >= 0 RETURNING f.*
    )
    INSERT INTO otp.failure_days AS f (day, channel, state, error_class, error_code, shard, failures, last_failed_at)
    SELECT g.day, g.channel, g.state, g.error_class, g.error_code, -1, sum(g.failures), max(g.last_failed_at)
    FROM gone g GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (day, channel, state, error_class, error_code, shard) DO UPDATE SET failures = f.failures + excluded.failures,
        last_failed_at = greatest(f.last_failed_at, excluded.last_failed_at);
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
RETURN otp.status_rank(status) >= 50 AND segments IS NOT NULL AND NOT otp.awaits_price(status, price);

CREATE TRIGGER count_messages AFTER INSERT ON otp.messages REFERENCING NEW TABLE AS ended
FOR EACH STATEMENT EXECUTE FUNCTION otp.count_messages();
CREATE TRIGGER recount_messages AFTER UPDATE ON otp.messages REFERENCING OLD TABLE AS earlier NEW TABLE AS later
FOR EACH STATEMENT EXECUTE FUNCTION otp.recount_messages();
CREATE TRIGGER count_failed AFTER UPDATE ON otp.messages FOR EACH ROW
WHEN ((OLD.status IN ('failed', 'undelivered') OR NEW.status IN ('failed', 'undelivered'))
    AND (OLD.status, OLD.error_code, OLD.final_at) IS DISTINCT FROM (NEW.status, NEW.error_code, NEW.final_at))
EXECUTE FUNCTION otp.count_failed();
CREATE TRIGGER count_unsent AFTER INSERT ON otp.unsent_jobs REFERENCING NEW TABLE AS ended
FOR EACH STATEMENT EXECUTE FUNCTION otp.count_unsent();

GRANT SELECT, INSERT, UPDATE ON otp.messages, otp.outcome_counts, otp.message_days, otp.failure_days TO otp_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON otp.unsent_jobs TO otp_worker;
GRANT EXECUTE ON FUNCTION otp.job_range TO otp_worker, otp_monitor, otp_admin;
GRANT EXECUTE ON FUNCTION otp.range_of_message, otp.own_shard, otp.awaits_price, otp.add_to_day, otp.status_rank, otp.is_settled, otp.status_advances TO otp_worker;
GRANT SELECT ON otp.outcome_counts TO otp_monitor, otp_admin;
GRANT EXECUTE ON FUNCTION otp.status_rank TO otp_monitor, otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (12, 'messages');

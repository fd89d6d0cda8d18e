-- Send jobs that have not ended: the queue, the wake-up of the workers at commit, and the check of the shared limits at the
-- claim.

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

-- What a queued job waits for, besides its due time.
CREATE TYPE otp.hold_kind AS ENUM (
    'pause',    -- the end of a pause; hold_key is its otp.pauses.name. A held job that is due anyway is the pause's probe
    'rate'      -- its turn at its sender's rate; hold_key is the otp.sender_rates.sender, and due_at is the turn
);
COMMENT ON TYPE otp.hold_kind IS 'What a queued job waits for: the end of a pause, or its turn at its sender''s rate.';

-- This table holds live jobs only, so a claim costs the same after a year. When a job ends, one statement deletes it here and
-- writes its end to messages or unsent_jobs. At any time a job is in exactly one of the three tables.
-- A claim writes a second entry for its job into the key and into send_jobs_verification. Their pages are filled by half, so that
-- both entries have room. In full pages PostgreSQL would look for entries to delete, which costs a send 4% more.
CREATE TABLE otp.send_jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY WITH (fillfactor = 50),
    verification_id bigint,
    channel text COLLATE "C" NOT NULL,          -- sms, whatsapp, call or email
    -- queued: waits until due_at, and for its turn among the jobs of its verification
    -- sending: a worker has claimed it, until lease_expires_at
    -- unknown: it may have been sent; a worker looks for it in Twilio's list at next_lookup_at
    -- test: for a moment, within the transaction that inserts it (otp.end_test_send)
    -- The type is text and not an enum, because the view otp.delivery_status adds the states of ended jobs. There is no CHECK,
    -- because it would make a claim 3% slower, and only the owner and otp_worker can write the column.
    state text COLLATE "C" DEFAULT 'queued',
    attempt int DEFAULT 0,                      -- claims so far; together with worker, the fencing token
    worker bigint,
    lease_expires_at timestamptz,
    due_at timestamptz DEFAULT clock_timestamp(),
    requested_at timestamptz DEFAULT clock_timestamp(),
    expires_at timestamptz,                     -- a copy of the verification's
    step smallint,                              -- its step of a route that has a further step; null: none follows it
    follows bigint,                             -- the job that did not reach the user, and that this job follows
    lost_claims int DEFAULT 0,                  -- claims whose worker was lost; after three the job counts as poisonous
    unknown_at timestamptz,                     -- unknown: the time from which the attempt can no longer leave
    next_lookup_at timestamptz,                 -- unknown: the time of the next lookup, and the lookup's fencing token
    lookups int DEFAULT 0,                      -- unknown: lookups after the grace that found nothing
    last_error_code int,
    last_error text,                            -- why the last attempt failed, while the job waits for the next one
    last_remedy text,                           -- and what to do about it
    hold_kind otp.hold_kind,                    -- queued: what the job waits for; null: only for due_at
    hold_key text COLLATE "C",                  -- the name of the pause, or the sender
    returned int DEFAULT 0,                     -- claims that gave the job back without an attempt
    has_predecessor boolean DEFAULT true,       -- its verification had an earlier live job at the insert, which goes first
    client_ip inet,                             -- write-only: the client of this send, if the verification has another one
    traceparent text COLLATE "C"                -- the caller's span, as W3C Trace Context writes it; null: no trace
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
CREATE INDEX send_jobs_unknown ON otp.send_jobs (next_lookup_at) WHERE state = 'unknown';
CREATE INDEX send_jobs_quarantined ON otp.send_jobs (due_at) WHERE state = 'queued' AND lost_claims > 0;
CREATE INDEX send_jobs_other_channels ON otp.send_jobs (channel, due_at) WHERE state = 'queued' AND channel <> 'sms';
CREATE INDEX send_jobs_verification ON otp.send_jobs (verification_id) WITH (fillfactor = 50);
CREATE UNIQUE INDEX send_jobs_follower ON otp.send_jobs (follows) WHERE follows IS NOT NULL;
CREATE INDEX send_jobs_held ON otp.send_jobs (hold_kind, hold_key, id)
    WHERE state = 'queued' AND hold_kind IS NOT NULL;
COMMENT ON TABLE otp.send_jobs IS 'Send jobs that have not ended. Backends insert verification_id. The view otp.delivery_status also shows ended jobs.';

-- The wake-up of the workers at commit. NOTIFY in every transaction would make all commits of the cluster wait in line. A
-- transaction therefore stays silent while another one notifies. The workers read the queue again 5 to 80 ms after each
-- wake-up, and then at least every half second for 10 s. A transaction may also stay open after its trigger has fired (SET
-- CONSTRAINTS … IMMEDIATE). It delays other jobs by no more than these reads take, for two reasons:
-- - The guard is a different advisory lock every 250 ms, and only the schema's owner knows its key. The open transaction keeps
--   the lock of one moment, and other roles cannot take the next lock in advance.
-- - A transaction stays silent only if a wake-up was committed within the last 5 s, so that workers are awake. The transaction
--   that holds the guard records a wake-up when the last record is 2 s old. Under load there is therefore always a recent one.
CREATE TABLE otp.wake_ups (
    woken_at timestamptz NOT NULL
);
CREATE INDEX wake_ups_woken_at ON otp.wake_ups (woken_at);

-- The secret part of the guard's keys. It is a sequence, because a function reads a sequence ten times as fast as a row.
CREATE SEQUENCE otp.wake_key;
DO $$
BEGIN
    -- The first 48 bits of such a UUID are all random. pgcrypto's functions may not be granted to the owner yet.
    PERFORM setval('otp.wake_key', ('x' || left(replace(gen_random_uuid()::text, '-', ''), 12))::bit(48)::bigint | 1);
END $$;

-- The traceparent of a request in the form of version 00 of W3C Trace Context, with no flag but "sampled". Null if it is invalid:
-- the specification says to go on without it. A later version may have more parts, which are left out.
-- Each digit becomes a 0 and the form is compared, because a regular expression of this length takes 350 µs, and this takes 10.
CREATE FUNCTION otp.checked_traceparent(traceparent text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    form CONSTANT text := translate(left(traceparent, 56), '123456789abcdef', '000000000000000');
BEGIN
    IF left(form, 55) <> '00-00000000000000000000000000000000-0000000000000000-00'
        OR length(form) > 55 AND (left(traceparent, 2) = '00' OR right(form, 1) <> '-')
        OR left(traceparent, 2) = 'ff'
        OR substr(traceparent, 4, 32) = '00000000000000000000000000000000'
        OR substr(traceparent, 37, 16) = '0000000000000000'
    THEN
        RETURN NULL;
    END IF;
    RETURN '00-' || substr(traceparent, 4, 50) || CASE WHEN strpos('13579bdf', substr(traceparent, 55, 1)) > 0 THEN '01' ELSE '00' END;
END $$;

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
    IF NEW.channel NOT IN ('sms', 'whatsapp', 'call', 'email') THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = format('unknown channel: %L', left(NEW.channel, 40)),
            HINT = 'Give sms, whatsapp, call or email. Leave channel out for the route in otp.routes.';
    END IF;
    BEGIN
        IF is_unbounded THEN
            nothing := set_config('lock_timeout', otp.lock_timeout(), true);
        END IF;
        -- The inserts of one verification wait for each other here. An id that is no longer the last one drawn is drawn again
        -- while the lock is held. Within a verification, ids are therefore in the order of commits, and all sessions agree on
        -- the job with the lowest live id.
        SELECT v.subject, v.purpose, v.locale, v.email, v.e164, v.country, v.client_ip, v.other_channels, v.expires_at, v.attempts, v.verified_at, v.canceled_at,
            v.created_by, v.follower_id, v.is_test, otp.has_routes() AS has_routes, EXISTS (SELECT FROM otp.fraud_holds) AS has_holds,
            (SELECT s.max_attempts FROM otp.settings s) AS max_attempts, (SELECT s.resend_after FROM otp.settings s) AS resend_after,
            otp.registered_tries(v.id) AS registered_tries,
            (SELECT n.id FROM otp.verifications n WHERE n.subject = v.subject AND n.purpose = v.purpose
                ORDER BY n.created_at DESC, n.id DESC LIMIT 1) AS newest_id
        INTO verification
        FROM otp.verifications v WHERE v.id = NEW.verification_id FOR NO KEY UPDATE OF v;
        NEW.requested_at := clock_timestamp();
        trouble := CASE
            WHEN verification IS NULL THEN 'it does not exist'
            -- Only the owner's functions can write follows, so a resend needs no check of the role that reported a failure.
            WHEN NEW.follows IS NULL AND NOT otp.has_rights_of(verification.created_by)
                THEN 'another role created it'
            WHEN verification.verified_at IS NOT NULL THEN 'its code has been used'
            WHEN verification.canceled_at IS NOT NULL THEN 'it was canceled'
            WHEN verification.expires_at <= NEW.requested_at THEN 'it has expired'
            WHEN greatest(verification.attempts, verification.registered_tries) >= verification.max_attempts THEN 'it had too many wrong tries'
            WHEN verification.newest_id <> NEW.verification_id THEN 'a newer one of this subject and purpose has replaced it'
        END;
        IF trouble IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'OT006',
                MESSAGE = format('verification %s cannot be sent: %s', coalesce(NEW.verification_id::text, 'null'), trouble),
                HINT = 'Create a new verification.';
        END IF;
        nothing := otp.refuse_locked_phone(verification.e164, verification.subject);
        -- Without a channel the send begins the route of its purpose and country. Only the owner's functions write step.
        IF NEW.follows IS NULL THEN
            NEW.step := NULL;
            IF verification.is_test THEN        -- nothing is sent, so no channel has to be usable
                NEW.channel := coalesce(NEW.channel, 'sms');
            ELSIF NEW.channel IS NOT NULL THEN
                nothing := otp.refuse_channel(NEW.channel, verification.purpose, verification.locale, verification.country,
                    verification.email);
            ELSIF verification.has_routes THEN
                SELECT n.channel, n.step INTO NEW.channel, NEW.step
                FROM otp.next_step(verification.purpose, verification.locale, verification.country, verification.email) n;
                IF NEW.channel IS NULL THEN
                    nothing := otp.refuse_route(verification.purpose, verification.locale, verification.country,
                        verification.email);
                END IF;
            ELSE
                NEW.channel := 'sms';
            END IF;
        ELSIF NEW.channel IS NULL THEN
            NEW.channel := 'sms';
        END IF;
        IF NEW.follows IS NULL THEN
            nothing := otp.refuse_resend(NEW.verification_id, verification.follower_id, NEW.channel, verification.resend_after);
        END IF;
        -- A queued follow-up is canceled: it would delay the new job, which waits for lower live ids, and the user would get two
        -- messages.
        IF verification.follower_id IS NOT NULL THEN
            WITH gone AS (
                DELETE FROM otp.send_jobs j WHERE j.id = verification.follower_id AND j.state = 'queued' RETURNING j.*
            )
            INSERT INTO otp.unsent_jobs (send_job_id, verification_id, channel, state, attempts, error, requested_at, follows, traceparent)
            SELECT g.id, g.verification_id, g.channel, 'canceled', g.attempt, 'The user requested the code again before this send.',
                g.requested_at, g.follows, g.traceparent
            FROM gone g;
        END IF;
        -- A send counts for the client address that requests it. A resend counts for the address of the last request.
        IF NEW.client_ip IS NOT NULL THEN
            UPDATE otp.verifications v SET client_ip = NEW.client_ip
            WHERE v.id = NEW.verification_id AND v.client_ip IS DISTINCT FROM NEW.client_ip;
            verification.client_ip := NEW.client_ip;
            NEW.client_ip := NULL;
        END IF;
        IF verification.has_holds AND NEW.channel <> 'email' AND verification.is_test IS NULL THEN
            nothing := otp.refuse_held(verification.e164, verification.country, verification.client_ip, NEW.requested_at);
        END IF;
        nothing := otp.count_send(verification.e164, verification.country, verification.subject, verification.client_ip,
            NEW.channel, NEW.requested_at);
        IF NEW.channel <> 'sms' AND verification.is_test IS NULL AND NOT coalesce(NEW.channel = ANY (verification.other_channels), false) THEN
            UPDATE otp.verifications v SET other_channels = v.other_channels || NEW.channel WHERE v.id = NEW.verification_id;
        END IF;
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
    -- This query needs a snapshot taken under the lock, which only READ COMMITTED gives. Under another isolation level the
    -- claim has to look for an earlier job.
    SELECT EXISTS (SELECT FROM otp.send_jobs j WHERE j.id = NEW.id) AS id_is_taken,
        current_setting('transaction_isolation') <> 'read committed'
            OR EXISTS (SELECT FROM otp.send_jobs j WHERE j.verification_id = NEW.verification_id) AS has_predecessor
    INTO queue;
    IF queue.id_is_taken THEN
        PERFORM otp.refuse_taken_id('send_jobs', NEW.id);
    END IF;
    NEW.state := CASE WHEN verification.is_test THEN 'test' ELSE 'queued' END;
    NEW.attempt := 0;
    NEW.worker := NULL;
    NEW.lease_expires_at := NULL;
    NEW.due_at := least(coalesce(NEW.due_at, NEW.requested_at), verification.expires_at);
    NEW.expires_at := verification.expires_at;
    NEW.lost_claims := 0;
    NEW.unknown_at := NULL;
    NEW.next_lookup_at := NULL;
    NEW.lookups := 0;
    NEW.last_error_code := NULL;
    NEW.last_error := NULL;
    NEW.last_remedy := NULL;
    NEW.hold_kind := NULL;
    NEW.hold_key := NULL;
    NEW.returned := 0;
    NEW.has_predecessor := queue.has_predecessor;
    -- A job that follows another one has that one's trace, whatever the session that inserts it has.
    IF NEW.follows IS NULL THEN
        NEW.traceparent := coalesce(NEW.traceparent, current_setting('otp.traceparent', true));
        IF NEW.traceparent IS NOT NULL THEN
            NEW.traceparent := otp.checked_traceparent(NEW.traceparent);
        END IF;
    END IF;
    IF NEW.step IS NOT NULL AND verification.is_test IS NULL THEN
        nothing := otp.await_step(NEW);
    END IF;
    RETURN NEW;
END $$;

-- Wakes all workers. The payload is the end of the transaction's number. Workers use it to share out the order in which they
-- look.
CREATE FUNCTION otp.wake_workers() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    has_guard CONSTANT boolean := pg_try_advisory_xact_lock(
        hashint8extended((date_part('epoch', moment) * 4)::bigint, pg_sequence_last_value('otp.wake_key')));
    -- If the clock was set back, rows from the future do not count.
    last_wake_up CONSTANT timestamptz := (SELECT w.woken_at FROM otp.wake_ups w
        WHERE w.woken_at BETWEEN moment - interval '5 seconds' AND moment + interval '1 second'
        ORDER BY w.woken_at DESC LIMIT 1);
    nothing text;   -- an assignment costs half as much as PERFORM
BEGIN
    IF NOT has_guard AND last_wake_up IS NOT NULL THEN
        RETURN NULL;
    END IF;
    nothing := otp.notify('otp_send_jobs', right(pg_current_xact_id()::text, 2));
    -- Only under READ COMMITTED: under SERIALIZABLE this row would make transactions fail that have looked for it.
    IF has_guard AND coalesce(last_wake_up < moment - interval '2 seconds', true)
            AND current_setting('transaction_isolation') = 'read committed' THEN
        INSERT INTO otp.wake_ups (woken_at) VALUES (moment);
    END IF;
    RETURN NULL;
END $$;

-- Makes the deferred jobs of a sender due when its rate changes, because their due times came from the old rate. Workers that
-- do not know of the change yet cannot defer more jobs by the old rate (FinishUnsent).
CREATE FUNCTION otp.release_deferred() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE otp.send_jobs j SET hold_kind = NULL, hold_key = NULL, due_at = clock_timestamp()
    WHERE j.state = 'queued' AND j.due_at > clock_timestamp()
        AND j.hold_kind = 'rate' AND j.hold_key IN (SELECT r.sender FROM changed_rates r);
    PERFORM otp.notify('otp_catalog'), otp.notify('otp_send_jobs');
    RETURN NULL;
END $$;

-- Checks jobs that have just been claimed, by these attempts, against the shared limits, before any of them is sent. Returns
-- the allowed jobs; the others end as limited. Jobs that another worker has claimed meanwhile stay as they are and are not
-- returned.
-- A count exceeds its limit only if writers did not see each other. Then exactly the surplus of jobs ends here. The count is
-- kept in rows whose locks make claims wait for each other. Otherwise nothing is written, and only the jobs are locked.
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
    IF EXISTS (SELECT FROM otp.limits l WHERE l.scope IN ('prefix', 'country', 'total', 'budget') AND l.times_usual IS NULL)
        AND EXISTS (
            SELECT FROM (
                SELECT DISTINCT l.scope, l.key, l.period, l.starts_at, l.allowed
                FROM otp.send_jobs j JOIN otp.verifications v ON v.id = j.verification_id,
                    LATERAL otp.shared_limits(v.e164, v.country, j.channel, j.requested_at) l
                WHERE j.id = ANY (within) AND j.attempt - j.returned - j.lost_claims = 1) l
            WHERE otp.shared_sum(l.scope, l.key, l.period, l.starts_at) > l.allowed)
    THEN
        INSERT INTO otp.shared_counts AS c (scope, key, period, starts_at, shard, amount)
        SELECT DISTINCT l.scope, l.key, l.period, l.starts_at, -1, 0
        FROM otp.send_jobs j JOIN otp.verifications v ON v.id = j.verification_id,
            LATERAL otp.shared_limits(v.e164, v.country, j.channel, j.requested_at) l
        WHERE j.id = ANY (within) ORDER BY l.starts_at, l.key, l.scope, l.period
        ON CONFLICT (starts_at, key, scope, period, shard) DO UPDATE SET amount = c.amount;
        -- Only first attempts are checked: an earlier attempt was within the limits at its time.
        FOR job IN
            SELECT j.id, j.requested_at, j.channel, v.e164, v.country
            FROM otp.send_jobs j JOIN otp.verifications v ON v.id = j.verification_id
            WHERE j.id = ANY (within) AND j.attempt - j.returned - j.lost_claims = 1 ORDER BY j.id DESC
        LOOP
            SELECT l.* INTO over
            FROM otp.shared_limits(job.e164, job.country, job.channel, job.requested_at) l JOIN otp.shared_counts c
                ON c.starts_at = l.starts_at AND c.key = l.key AND c.scope = l.scope AND c.period = l.period
                AND c.shard = -1
            WHERE otp.shared_sum(l.scope, l.key, l.period, l.starts_at) - c.amount > l.allowed LIMIT 1;
            CONTINUE WHEN NOT FOUND;
            UPDATE otp.shared_counts c SET amount = c.amount + l.amount
            FROM otp.shared_limits(job.e164, job.country, job.channel, job.requested_at) l
            WHERE c.starts_at = l.starts_at AND c.key = l.key AND c.scope = l.scope AND c.period = l.period
                AND c.shard = -1;
            WITH gone AS (
                DELETE FROM otp.send_jobs j WHERE j.id = job.id RETURNING j.*
            )
            INSERT INTO otp.unsent_jobs (send_job_id, verification_id, channel, step, state, attempts, error, remedy, error_class,
                requested_at, follows, traceparent)
            SELECT g.id, g.verification_id, g.channel, g.step, 'limited', g.attempt - 1,
                format('More codes were requested at once than otp.limits allows: %s %s in %s.', over.scope,
                    trim_scale(over.allowed), over.period),
                'Find out where the requests come from. If they come from real users, raise the limit in otp.limits.', 'limited',
                g.requested_at, g.follows, g.traceparent
            FROM gone g;
            within := array_remove(within, job.id);
        END LOOP;
    END IF;
    RETURN QUERY SELECT unnest(within);
END $$;
COMMENT ON FUNCTION otp.within_limits IS 'For the worker''s claim: returns the jobs that shared limits allow. The others end as limited.';

CREATE TRIGGER before_insert BEFORE INSERT ON otp.send_jobs
FOR EACH ROW EXECUTE FUNCTION otp.send_jobs_before_insert();

CREATE CONSTRAINT TRIGGER wake_workers AFTER INSERT ON otp.send_jobs DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION otp.wake_workers();

CREATE TRIGGER release_deferred AFTER UPDATE ON otp.sender_rates REFERENCING OLD TABLE AS changed_rates
FOR EACH STATEMENT EXECUTE FUNCTION otp.release_deferred();
CREATE TRIGGER release_removed AFTER DELETE ON otp.sender_rates REFERENCING OLD TABLE AS changed_rates
FOR EACH STATEMENT EXECUTE FUNCTION otp.release_deferred();

GRANT INSERT (id, verification_id, channel, client_ip), SELECT (id, verification_id) ON otp.send_jobs TO otp_web;
GRANT SELECT, UPDATE, DELETE ON otp.send_jobs TO otp_worker;
GRANT EXECUTE ON FUNCTION otp.within_limits TO otp_worker;

INSERT INTO otp.schema_migrations (version, name) VALUES (10, 'send_jobs');

-- Limits: how many codes may be sent in a period to one phone number, subject, client address, block, prefix, country, or in
-- all. Each send is counted when it is requested, in the backend's transaction.

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

-- The scopes phone, subject, client_ip and block are exact, in every stretch of time as long as the period. A block is the
-- phone numbers that differ only in their last digits. It counts different numbers and not sends, so it stops a client that
-- walks through numbers, and not a user who requests a code again.
--
-- The scopes prefix (the first digits, with the country code), country, total and budget are shared by many writers. They
-- count by the hours of the clock or by the days of settings.timezone. An insert is refused as soon as its session sees that
-- the limit is full. otp.within_limits enforces the limit exactly when a job is claimed.
CREATE TABLE otp.limits (
    scope text NOT NULL
        CONSTRAINT "scope must be one of those that \d otp.limits shows"
        CHECK (scope IN ('phone', 'subject', 'client_ip', 'block', 'prefix', 'country', 'total', 'budget',
            'unused_network', 'unused_asn', 'unused_block', 'unused_country', 'unused_all')),
    period interval NOT NULL
        CONSTRAINT "period must be 1 second to 31 days" CHECK (period BETWEEN '1 second' AND '31 days'),
    max_sends int
        CONSTRAINT "max_sends must be at least 1" CHECK (max_sends > 0),
    channel text NOT NULL DEFAULT '*'       -- *: sends by all channels together; otherwise those of this channel alone
        CONSTRAINT "channel must be *, sms, whatsapp, call or email" CHECK (channel IN ('*', 'sms', 'whatsapp', 'call', 'email')),
    -- block, unused_block: the number of last digits left open; prefix: the number of first digits
    digits smallint NOT NULL DEFAULT 0,
    max_cost numeric                        -- budget: in the currency of countries.expected_cost
        CONSTRAINT "max_cost must be above 0" CHECK (max_cost > 0),
    -- total, budget per day: at least max_sends or max_cost, and this many times the greatest day of the last weeks (otp.usual_limits)
    times_usual numeric
        CONSTRAINT "times_usual must be 1 to 100, or null" CHECK (times_usual BETWEEN 1 AND 100),
    PRIMARY KEY (scope, period, digits, channel),
    CONSTRAINT "scope block needs digits 1 to 4" CHECK (scope <> 'block' OR digits BETWEEN 1 AND 4),
    CONSTRAINT "scope prefix needs digits 1 to 10" CHECK (scope <> 'prefix' OR digits BETWEEN 1 AND 10),
    CONSTRAINT "scope unused_block needs digits 3 to 8" CHECK (scope <> 'unused_block' OR digits BETWEEN 3 AND 8),
    CONSTRAINT "only block, prefix and unused_block have digits other than 0"
        CHECK (scope IN ('block', 'prefix', 'unused_block') OR digits = 0),
    CONSTRAINT "only total and budget per day, channel *, have times_usual"
        CHECK (times_usual IS NULL OR scope IN ('total', 'budget') AND period = '1 day' AND channel = '*'),
    CONSTRAINT "scopes that begin with unused: period 1 day, channel *"
        CHECK (scope NOT LIKE 'unused%' OR period = '1 day' AND channel = '*'),
    CONSTRAINT "scope budget needs max_cost and no max_sends"
        CHECK (scope <> 'budget' OR max_sends IS NULL AND max_cost IS NOT NULL),
    CONSTRAINT "scopes other than budget need max_sends and no max_cost"
        CHECK (scope = 'budget' OR max_sends IS NOT NULL AND max_cost IS NULL),
    CONSTRAINT "max_sends of phone, subject, client_ip, block: at most 1000"
        CHECK (scope NOT IN ('phone', 'subject', 'client_ip', 'block') OR max_sends <= 1000),
    CONSTRAINT "period of prefix, country, total, budget: 1 hour or 1 day"
        CHECK (scope NOT IN ('prefix', 'country', 'total', 'budget') OR period IN ('1 hour', '1 day'))
);
COMMENT ON TABLE otp.limits IS 'How many sends are allowed per scope and period. Without rows there are no limits.';
INSERT INTO otp.limits (scope, period, max_sends) VALUES
    ('phone', '5 minutes', 5),
    ('phone', '1 day', 20),
    ('subject', '1 day', 20),
    ('client_ip', '1 hour', 100);
INSERT INTO otp.limits (scope, digits, period, max_sends) VALUES    -- a block of a thousand numbers
    ('block', 3, '10 minutes', 15),
    ('block', 3, '1 day', 60);
-- The least numbers of texts that may be out unused before a key is held (0022_fraud). They grow with the codes that are used.
INSERT INTO otp.limits (scope, digits, period, max_sends) VALUES
    ('unused_network', 0, '1 day', 5),
    ('unused_asn', 0, '1 day', 10),
    ('unused_block', 4, '1 day', 10),
    ('unused_block', 6, '1 day', 20),
    ('unused_country', 0, '1 day', 30),
    ('unused_all', 0, '1 day', 30);
-- What a day may cost while nobody has thought about it.
INSERT INTO otp.limits (scope, period, max_sends, max_cost, times_usual) VALUES
    ('total', '1 day', 1000, NULL, 3),
    ('budget', '1 day', NULL, 100, 3);

-- The key of the hashes in otp.counter_key: two random numbers. They are sequences for the reason given at otp.wake_key. No
-- role may read them.
CREATE SEQUENCE otp.counter_key_high;
CREATE SEQUENCE otp.counter_key_low;
DO $$
BEGIN
    -- The last 15 hexadecimal digits of such a UUID are all random. pgcrypto's functions may not be granted to the owner yet.
    PERFORM setval(k.name::regclass, ('x' || right(replace(gen_random_uuid()::text, '-', ''), 15))::bit(60)::bigint | 1)
    FROM (VALUES ('otp.counter_key_high'), ('otp.counter_key_low')) k (name);
END $$;

-- The key under which a phone number, subject, client address or block is counted: a keyed hash. The counters thus show no
-- number and no subject, and stay when otp.forget removes a person. Nobody gets around a limit by being forgotten.
CREATE FUNCTION otp.counter_key(kind text, value text) RETURNS text
LANGUAGE sql VOLATILE PARALLEL RESTRICTED
RETURN encode(substring(sha256(convert_to(concat(pg_sequence_last_value('otp.counter_key_high'),
    pg_sequence_last_value('otp.counter_key_low'), kind, ' ', value), 'UTF8')) FROM 1 FOR 12), 'base64');

-- The times of the last sends per scope and key, as many as the scope's limits need. One row holds an exact sliding window.
-- The key is otp.counter_key of the phone number, subject, client address or block.
-- Limits of one channel have rows of their own, whose scope ends with the channel: 'phone call'.
-- The row's lock prevents races. Under REPEATABLE READ the loser of a race gets a serialization failure.
CREATE TABLE otp.send_counts (
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    sent_at timestamptz[] NOT NULL,
    numbers text[],             -- block: the last digits of the number for each of these times
    PRIMARY KEY (key, scope)
) WITH (fillfactor = 70);

-- Sums for limits that many writers share. Each sum is spread over as many rows (shards) as there are writers at once, so no
-- writer waits for another. Shard -1 counts the jobs that ended as limited at the claim.
CREATE TABLE otp.shared_counts (
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    period interval NOT NULL,
    starts_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    amount numeric NOT NULL,
    PRIMARY KEY (starts_at, key, scope, period, shard)
) WITH (fillfactor = 70);

-- How many sends the limits of each scope have refused. These are sequences, because a refusal rolls back everything except a
-- sequence. After a crash of PostgreSQL a count may be up to 32 too high.
CREATE SEQUENCE otp.refused_phone;
CREATE SEQUENCE otp.refused_subject;
CREATE SEQUENCE otp.refused_client_ip;
CREATE SEQUENCE otp.refused_block;
CREATE SEQUENCE otp.refused_prefix;
CREATE SEQUENCE otp.refused_country;
CREATE SEQUENCE otp.refused_total;
CREATE SEQUENCE otp.refused_budget;
CREATE SEQUENCE otp.refused_failures;
CREATE SEQUENCE otp.refused_fraud;
CREATE SEQUENCE otp.refused_code;                   -- sent again too soon (settings.resend_after)
-- Tries of otp.verify: too many wrong ones from the client address, at the login role, or rolled back for the same code.
CREATE SEQUENCE otp.refused_client_failures;
CREATE SEQUENCE otp.refused_backend_failures;
CREATE SEQUENCE otp.refused_rolled_back;

-- The key under which a client address is counted: an IPv4 address (also one mapped into IPv6) by itself, an IPv6 address by
-- its /64, because one client usually has a whole /64.
CREATE FUNCTION otp.client_key(client_ip inet) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN family(client_ip) = 4 THEN host(client_ip)
    WHEN client_ip <<= '::ffff:0:0/96' THEN host(inet '0.0.0.0' + (set_masklen(client_ip, 128) - inet '::ffff:0:0'))
    ELSE network(set_masklen(client_ip, 64))::text END;

-- How long otp.request, otp.verify, otp.cancel and the insert of a send job wait for a row that another transaction has
-- locked. It applies if the session sets no lock_timeout.
CREATE FUNCTION otp.lock_timeout() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '2s';

-- Raises the error for such a wait that took too long. The statements in the error's context tell which row it was.
CREATE FUNCTION otp.refuse_wait(context text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'lock_not_available',
        MESSAGE = 'another transaction holds ' || CASE
            WHEN context LIKE '%otp.send_counts%numbers)%' THEN 'the send counter of this block of phone numbers'
            WHEN context LIKE '%otp.send_counts%' THEN 'the send counter of this subject, phone number or client address'
            WHEN context LIKE '%otp.shared_counts%' THEN 'a shared send counter'
            WHEN context LIKE '%otp.verify_failures%' THEN 'the count of wrong codes of this phone number'
            WHEN context LIKE '%otp.request_locks%' THEN 'the requests of this subject and purpose'
            ELSE 'this verification or one of its send jobs' END,
        DETAIL = format('This call waited for %s (lock_timeout).',
            coalesce(nullif(current_setting('lock_timeout'), '0'), otp.lock_timeout())),
        HINT = 'Try again. End each transaction right after otp.request or otp.verify, because both lock rows until it ends.';
END $$;

-- Refuses a send with OT001, and counts it.
CREATE FUNCTION otp.refuse_send(scope text, allowed text, period interval, wait double precision) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    seconds CONSTANT bigint := greatest(1, coalesce(ceil(wait), 1));
BEGIN
    PERFORM nextval(('otp.refused_' || scope)::regclass);
    RAISE EXCEPTION USING ERRCODE = 'OT001',
        MESSAGE = format(CASE scope WHEN 'budget' THEN 'the budget for codes is used up: %2$s is allowed in %3$s'
                WHEN 'code' THEN 'this code was sent a moment ago: one send by a channel is allowed in %3$s'
                ELSE 'too many codes for this %1$s: %2$s are allowed in %3$s' END,
            CASE scope WHEN 'phone' THEN 'phone number' WHEN 'client_ip' THEN 'client address'
                WHEN 'block' THEN 'block of phone numbers' WHEN 'prefix' THEN 'prefix of phone numbers'
                WHEN 'total' THEN 'service' ELSE scope END, allowed, period),
        DETAIL = format('retry_after=%s window=%s scope=%s', seconds, extract(epoch FROM period)::bigint, scope),
        HINT = format('Ask the user to wait %s seconds.', seconds);
END $$;

-- Refuses a send to a phone number for a subject whose wrong tries of the day are used up: its own, if it has verified the phone
-- number before, and otherwise those that all other subjects share. Its code could not be verified until midnight, so a message
-- would only cost money. Strangers can use up the shared tries only. otp.unlock ends it.
CREATE FUNCTION otp.refuse_locked_phone(e164 text, subject text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    locked record;
    shared_key CONSTANT text COLLATE "C" := otp.counter_key('phone', e164);
    own_key CONSTANT text := otp.own_failures(e164, subject);
BEGIN
    SELECT s.max_failures_per_day AS failures,
        extract(epoch FROM (f.day + 1)::timestamp AT TIME ZONE s.timezone - clock_timestamp()) AS wait,
        f.key = shared_key AS is_shared INTO locked
    FROM otp.settings s JOIN otp.verify_failures f ON f.key IN (shared_key, own_key)
        AND f.day = (clock_timestamp() AT TIME ZONE s.timezone)::date
    WHERE f.failures >= s.max_failures_per_day
    ORDER BY is_shared LIMIT 1;
    -- Whether the subject has verified the phone number is read only if it matters.
    IF FOUND AND NOT (locked.is_shared AND otp.has_verified(subject, e164)) THEN
        PERFORM nextval('otp.refused_failures');
        RAISE EXCEPTION USING ERRCODE = 'OT001',
            MESSAGE = format('too many wrong codes for this phone number today: %s are allowed', locked.failures),
            DETAIL = format('retry_after=%s window=86400 scope=failures', greatest(1, ceil(locked.wait)::bigint)),
            HINT = 'The user can try again tomorrow. If strangers entered the wrong codes, an operator can call otp.unlock.';
    END IF;
END $$;

-- The shared limits that a send at this moment counts against.
CREATE FUNCTION otp.shared_limits(
    e164 text, country text, channel text, moment timestamptz, OUT scope text, OUT key text, OUT period interval,
    OUT starts_at timestamptz, OUT amount numeric, OUT allowed numeric)
RETURNS SETOF record
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT l.scope || CASE l.channel WHEN '*' THEN '' ELSE ' ' || l.channel END,
        CASE l.scope WHEN 'prefix' THEN left(shared_limits.e164, l.digits + 1)
            WHEN 'country' THEN shared_limits.country ELSE '' END,
        l.period, date_trunc(CASE l.period WHEN '1 day' THEN 'day' ELSE 'hour' END, shared_limits.moment, s.timezone),
        CASE l.scope WHEN 'budget' THEN otp.expected_cost(shared_limits.channel, c) ELSE 1 END,
        CASE l.scope WHEN 'budget' THEN l.max_cost ELSE l.max_sends END
    FROM otp.limits l CROSS JOIN otp.settings s LEFT JOIN otp.countries c ON c.region = shared_limits.country
    WHERE l.scope IN ('prefix', 'country', 'total', 'budget') AND l.times_usual IS NULL AND l.channel IN ('*', shared_limits.channel);
END;

-- The sum of a shared limit over all shards. It is written in PL/pgSQL, which keeps its plan: as an SQL function it is planned
-- at each call, and 32 clients reach only 60% of the requests. Sequential scans are off, because the plan may have been made
-- while the table was small.
CREATE FUNCTION otp.shared_sum(scope text, key text, period interval, starts_at timestamptz) RETURNS numeric
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
BEGIN
    RETURN (SELECT coalesce(sum(c.amount), 0) FROM otp.shared_counts c
        WHERE c.starts_at = shared_sum.starts_at AND c.key = shared_sum.key AND c.scope = shared_sum.scope
            AND c.period = shared_sum.period AND c.shard >= 0);
END $$;

-- Counts one send against every limit, or refuses it with OT001. The refusal rolls back all counts.
CREATE FUNCTION otp.count_send(
    e164 text, country text, subject text, client_ip inet, channel text, moment timestamptz) RETURNS void
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
    -- Always in the same order, so that two sends never wait for each other. Shared limits come last.
    FOR limits IN
        SELECT l.scope, l.digits, l.scope || CASE l.channel WHEN '*' THEN '' ELSE ' ' || l.channel END AS counted_as,
            array_agg(l.max_sends) AS allowed, array_agg(l.period) AS periods, max(l.max_sends) AS kept,
            max(l.period) AS longest
        FROM otp.limits l
        WHERE l.scope IN ('subject', 'phone', 'client_ip', 'block') AND l.channel IN ('*', count_send.channel)
        GROUP BY l.scope, l.digits, l.channel ORDER BY l.scope DESC, l.digits, l.channel
    LOOP
        IF limits.scope = 'block' THEN
            tail := right(e164, limits.digits);
            send_key := otp.counter_key('block', rpad(left(e164, -limits.digits), length(e164), 'x'));
            INSERT INTO otp.send_counts AS c (scope, key, sent_at, numbers)
            VALUES (limits.counted_as, send_key, ARRAY[clock_timestamp()], ARRAY[tail])
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
                WHERE c.key = send_key AND c.scope = limits.counted_as AND u.number <> tail) o
            WHERE o.sent_at[cardinality(o.sent_at) + 1 - l.allowed] > clock_timestamp() - l.period
            ORDER BY wait DESC LIMIT 1;
        ELSE
            CONTINUE WHEN limits.scope = 'client_ip' AND client_ip IS NULL;
            send_key := otp.counter_key(limits.scope,
                CASE limits.scope WHEN 'phone' THEN e164 WHEN 'subject' THEN subject ELSE otp.client_key(client_ip) END);
            INSERT INTO otp.send_counts AS c (scope, key, sent_at)
            VALUES (limits.counted_as, send_key, ARRAY[clock_timestamp()])
            ON CONFLICT (key, scope) DO UPDATE
                SET sent_at = (c.sent_at || clock_timestamp())[greatest(1, cardinality(c.sent_at) + 2 - limits.kept):]
                WHERE NOT EXISTS (
                    SELECT FROM unnest(limits.allowed, limits.periods) l (allowed, period)
                    WHERE c.sent_at[cardinality(c.sent_at) + 1 - l.allowed] > clock_timestamp() - l.period);
            CONTINUE WHEN FOUND;
            SELECT l.allowed, l.period, extract(epoch FROM c.sent_at[cardinality(c.sent_at) + 1 - l.allowed]
                + l.period - clock_timestamp()) AS wait INTO over
            FROM otp.send_counts c, unnest(limits.allowed, limits.periods) l (allowed, period)
            WHERE c.key = send_key AND c.scope = limits.counted_as
                AND c.sent_at[cardinality(c.sent_at) + 1 - l.allowed] > clock_timestamp() - l.period
            ORDER BY wait DESC LIMIT 1;
        END IF;
        PERFORM otp.refuse_send(limits.scope, coalesce(over.allowed, limits.kept)::text,
            coalesce(over.period, limits.longest), over.wait);
    END LOOP;

    IF EXISTS (SELECT FROM otp.limits l WHERE l.scope IN ('prefix', 'country', 'total', 'budget') AND l.times_usual IS NULL) THEN
        -- Count in a row that no open transaction holds. Try the shards from the session's own number on, then any shard, and
        -- otherwise add a new one.
        FOR limits IN SELECT l.* FROM otp.shared_limits(e164, country, channel, moment) l LOOP
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
        FROM otp.shared_limits(e164, country, channel, moment) l
        WHERE otp.shared_sum(l.scope, l.key, l.period, l.starts_at) > l.allowed
        ORDER BY wait DESC LIMIT 1;
        IF FOUND THEN
            PERFORM otp.refuse_send(split_part(over.scope, ' ', 1), over.allowed::text, over.period, over.wait);
        END IF;
    END IF;
END $$;

GRANT SELECT ON otp.limits TO otp_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON otp.limits TO otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (9, 'limits');

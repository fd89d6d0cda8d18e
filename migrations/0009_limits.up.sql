-- Limits: how many codes a phone, subject, client address, block of numbers, prefix, country or all may be sent in a period.
-- Each send is counted where it is asked for, in the backend's transaction.

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

-- phone, subject, client_ip and block are exact, in any stretch of time as long as the period. A block is the numbers that
-- differ in their last digits alone: it counts different numbers and not sends, so it meets whoever walks through numbers
-- and not who asks again. prefix (the first digits, country code included), country, total and budget are for many writers
-- at once and count by the clock's hours or the days of settings.timezone: refused at the insert as soon as the count is
-- seen to be full, and exactly by otp.within_limits when a job is claimed.
CREATE TABLE otp.limits (
    scope text NOT NULL
        CHECK (scope IN ('phone', 'subject', 'client_ip', 'block', 'prefix', 'country', 'total', 'budget')),
    period interval NOT NULL CHECK (period BETWEEN '1 second' AND '31 days'),
    max_sends int CHECK (max_sends > 0),
    digits smallint NOT NULL DEFAULT 0,     -- block: how many last digits are left open; prefix: how many first ones count
    max_cost numeric CHECK (max_cost > 0),  -- budget: in the currency of countries.expected_cost
    PRIMARY KEY (scope, period, digits),
    CHECK (CASE scope WHEN 'block' THEN digits BETWEEN 1 AND 4 WHEN 'prefix' THEN digits BETWEEN 1 AND 10
        ELSE digits = 0 END),
    CHECK (CASE scope WHEN 'budget' THEN max_sends IS NULL AND max_cost IS NOT NULL
        ELSE max_sends IS NOT NULL AND max_cost IS NULL END),
    CHECK (CASE WHEN scope IN ('phone', 'subject', 'client_ip', 'block') THEN max_sends <= 1000
        ELSE period IN ('1 hour', '1 day') END)
);
COMMENT ON TABLE otp.limits IS 'Sends allowed per scope and period. No rows: no limits.';
INSERT INTO otp.limits (scope, period, max_sends) VALUES
    ('phone', '5 minutes', 5),
    ('phone', '1 day', 20),
    ('subject', '1 day', 20),
    ('client_ip', '1 hour', 100);
INSERT INTO otp.limits (scope, digits, period, max_sends) VALUES    -- a thousand numbers in a row
    ('block', 3, '10 minutes', 15),
    ('block', 3, '1 day', 60);

-- The times of the last sends per scope and key, as many as the scope's limits ask for: exact sliding windows in one row,
-- whose lock is what makes them race-free (under REPEATABLE READ the loser of a race gets a serialization failure).
CREATE TABLE otp.send_counts (
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    sent_at timestamptz[] NOT NULL,
    numbers text[],             -- block: the last digits of the number that was sent to at each of these times
    PRIMARY KEY (key, scope)
) WITH (fillfactor = 70);

-- Sums for limits that many writers share, in as many rows (shards) as there are writers at once: none waits for another.
-- Shard -1: what was limited at the claim.
CREATE TABLE otp.shared_counts (
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    period interval NOT NULL,
    starts_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    amount numeric NOT NULL,
    PRIMARY KEY (starts_at, key, scope, period, shard)
) WITH (fillfactor = 70);

-- How many sends the limits of a scope have refused. A refusal rolls back everything else, but not a sequence. After a crash
-- of PostgreSQL a count may be up to 32 too high.
CREATE SEQUENCE otp.refused_phone;
CREATE SEQUENCE otp.refused_subject;
CREATE SEQUENCE otp.refused_client_ip;
CREATE SEQUENCE otp.refused_block;
CREATE SEQUENCE otp.refused_prefix;
CREATE SEQUENCE otp.refused_country;
CREATE SEQUENCE otp.refused_total;
CREATE SEQUENCE otp.refused_budget;
CREATE SEQUENCE otp.refused_failures;

-- Whom an address stands for: IPv4 (mapped into IPv6 too) for itself, IPv6 for its /64, all of which one client has.
CREATE FUNCTION otp.client_key(client_ip inet) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN family(client_ip) = 4 THEN host(client_ip)
    WHEN client_ip <<= '::ffff:0:0/96' THEN host(inet '0.0.0.0' + (set_masklen(client_ip, 128) - inet '::ffff:0:0'))
    ELSE network(set_masklen(client_ip, 64))::text END;

-- Where the session sets no lock_timeout, otp.request, otp.verify, otp.cancel and the insert of a send job wait for a row
-- that another transaction has locked for this long.
CREATE FUNCTION otp.lock_timeout() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '2s';

-- What the caller hears after that. Which row it was is read off the statements in the error's context.
CREATE FUNCTION otp.refuse_wait(context text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'lock_not_available',
        MESSAGE = 'another transaction holds ' || CASE
            WHEN context LIKE '%otp.send_counts%numbers)%' THEN 'the send counter of this block of phone numbers'
            WHEN context LIKE '%otp.send_counts%' THEN 'the send counter of this subject, phone number or client address'
            WHEN context LIKE '%otp.shared_counts%' THEN 'a send counter that many share'
            WHEN context LIKE '%otp.verify_failures%' THEN 'the count of wrong codes of this phone number'
            WHEN context LIKE '%otp.request_locks%' THEN 'the requests of this subject and purpose'
            ELSE 'this verification, or a send job of it' END,
        DETAIL = format('This call waited for %s (lock_timeout).',
            coalesce(nullif(current_setting('lock_timeout'), '0'), otp.lock_timeout())),
        HINT = 'Try again. End each transaction right after otp.request or otp.verify: both lock rows until then.';
END $$;

-- Refuses a send with OT001, and counts it.
CREATE FUNCTION otp.refuse_send(scope text, allowed text, period interval, wait double precision) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    seconds CONSTANT bigint := greatest(1, coalesce(ceil(wait), 1));
BEGIN
    PERFORM nextval(('otp.refused_' || scope)::regclass);
    RAISE EXCEPTION USING ERRCODE = 'OT001',
        MESSAGE = format('Too many codes for this %s: %s are allowed in %s',
            CASE scope WHEN 'client_ip' THEN 'client address' WHEN 'block' THEN 'block of numbers'
                WHEN 'prefix' THEN 'number prefix' WHEN 'total' THEN 'service' WHEN 'budget' THEN 'budget'
                ELSE scope END, allowed, period),
        DETAIL = format('retry_after=%s window=%s scope=%s', seconds, extract(epoch FROM period)::bigint, scope),
        HINT = format('Ask the user to wait %s seconds.', seconds);
END $$;

-- A phone whose wrong tries of the day are used up verifies nothing until midnight, so nothing is sent to it: OT001 says so,
-- where the user would wait for a code that cannot be right. Strangers can bring a phone to that; otp.unlock undoes it.
CREATE FUNCTION otp.refuse_locked_phone(e164 text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    locked record;
BEGIN
    SELECT s.max_failures_per_day AS failures,
        extract(epoch FROM (f.day + 1)::timestamp AT TIME ZONE s.timezone - clock_timestamp()) AS wait INTO locked
    FROM otp.settings s JOIN otp.verify_failures f ON f.key = refuse_locked_phone.e164
        AND f.day = (clock_timestamp() AT TIME ZONE s.timezone)::date
    WHERE f.failures >= s.max_failures_per_day;
    IF FOUND THEN
        PERFORM nextval('otp.refused_failures');
        RAISE EXCEPTION USING ERRCODE = 'OT001',
            MESSAGE = format('Too many wrong codes for this phone today: %s are allowed', locked.failures),
            DETAIL = format('retry_after=%s window=86400 scope=failures', greatest(1, ceil(locked.wait)::bigint)),
            HINT = 'Codes for it are right again tomorrow. If strangers did it, an operator calls otp.unlock.';
    END IF;
END $$;

-- The shared limits that a send of this moment counts for.
CREATE FUNCTION otp.shared_limits(
    e164 text, country text, moment timestamptz, OUT scope text, OUT key text, OUT period interval,
    OUT starts_at timestamptz, OUT amount numeric, OUT allowed numeric)
RETURNS SETOF record
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT l.scope,
        CASE l.scope WHEN 'prefix' THEN left(shared_limits.e164, l.digits + 1)
            WHEN 'country' THEN shared_limits.country ELSE '' END,
        l.period, date_trunc(CASE l.period WHEN '1 day' THEN 'day' ELSE 'hour' END, shared_limits.moment, s.timezone),
        CASE l.scope WHEN 'budget' THEN coalesce(c.expected_cost, 0) ELSE 1 END,
        CASE l.scope WHEN 'budget' THEN l.max_cost ELSE l.max_sends END
    FROM otp.limits l CROSS JOIN otp.settings s LEFT JOIN otp.countries c ON c.region = shared_limits.country
    WHERE l.scope IN ('prefix', 'country', 'total', 'budget');
END;

-- What has been counted of a shared limit, over all shards. In PL/pgSQL, which keeps its plan (in SQL it was planned at each
-- call, and 32 clients made 60% of the requests); and by the key, however small the table was when that plan was made.
CREATE FUNCTION otp.shared_sum(scope text, key text, period interval, starts_at timestamptz) RETURNS numeric
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
BEGIN
    RETURN (SELECT coalesce(sum(c.amount), 0) FROM otp.shared_counts c
        WHERE c.starts_at = shared_sum.starts_at AND c.key = shared_sum.key AND c.scope = shared_sum.scope
            AND c.period = shared_sum.period AND c.shard >= 0);
END $$;

-- Counts one send against every limit, or refuses it with OT001 (which rolls back what was counted).
CREATE FUNCTION otp.count_send(e164 text, country text, subject text, client_ip inet, moment timestamptz) RETURNS void
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
    -- Always in the same order, so that two sends never wait for each other; what many share comes last.
    FOR limits IN
        SELECT l.scope, l.digits, array_agg(l.max_sends) AS allowed, array_agg(l.period) AS periods,
            max(l.max_sends) AS kept, max(l.period) AS longest
        FROM otp.limits l WHERE l.scope IN ('subject', 'phone', 'client_ip', 'block')
        GROUP BY l.scope, l.digits ORDER BY l.scope DESC, l.digits
    LOOP
        IF limits.scope = 'block' THEN
            tail := right(e164, limits.digits);
            send_key := rpad(left(e164, -limits.digits), length(e164), 'x');
            INSERT INTO otp.send_counts AS c (scope, key, sent_at, numbers)
            VALUES (limits.scope, send_key, ARRAY[clock_timestamp()], ARRAY[tail])
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
                WHERE c.key = send_key AND c.scope = limits.scope AND u.number <> tail) o
            WHERE o.sent_at[cardinality(o.sent_at) + 1 - l.allowed] > clock_timestamp() - l.period
            ORDER BY wait DESC LIMIT 1;
        ELSE
            send_key := CASE limits.scope WHEN 'phone' THEN e164 WHEN 'subject' THEN subject ELSE otp.client_key(client_ip) END;
            CONTINUE WHEN send_key IS NULL;
            INSERT INTO otp.send_counts AS c (scope, key, sent_at)
            VALUES (limits.scope, send_key, ARRAY[clock_timestamp()])
            ON CONFLICT (key, scope) DO UPDATE
                SET sent_at = (c.sent_at || clock_timestamp())[greatest(1, cardinality(c.sent_at) + 2 - limits.kept):]
                WHERE NOT EXISTS (
                    SELECT FROM unnest(limits.allowed, limits.periods) l (allowed, period)
                    WHERE c.sent_at[cardinality(c.sent_at) + 1 - l.allowed] > clock_timestamp() - l.period);
            CONTINUE WHEN FOUND;
            SELECT l.allowed, l.period, extract(epoch FROM c.sent_at[cardinality(c.sent_at) + 1 - l.allowed]
                + l.period - clock_timestamp()) AS wait INTO over
            FROM otp.send_counts c, unnest(limits.allowed, limits.periods) l (allowed, period)
            WHERE c.key = send_key AND c.scope = limits.scope
                AND c.sent_at[cardinality(c.sent_at) + 1 - l.allowed] > clock_timestamp() - l.period
            ORDER BY wait DESC LIMIT 1;
        END IF;
        PERFORM otp.refuse_send(limits.scope, coalesce(over.allowed, limits.kept)::text,
            coalesce(over.period, limits.longest), over.wait);
    END LOOP;

    IF EXISTS (SELECT FROM otp.limits l WHERE l.scope IN ('prefix', 'country', 'total', 'budget')) THEN
        -- In a row that no open transaction holds: from the own number on, then any, else a new one.
        FOR limits IN SELECT l.* FROM otp.shared_limits(e164, country, moment) l LOOP
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
        FROM otp.shared_limits(e164, country, moment) l
        WHERE otp.shared_sum(l.scope, l.key, l.period, l.starts_at) > l.allowed
        ORDER BY wait DESC LIMIT 1;
        IF FOUND THEN
            PERFORM otp.refuse_send(over.scope, over.allowed::text, over.period, over.wait);
        END IF;
    END IF;
END $$;

GRANT SELECT ON otp.limits TO otp_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON otp.limits TO otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (9, 'limits');

-- The history of the last day, minute by minute. Workers write it, otpd dashboard draws it, and it is kept for 26 hours.

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

-- One row per minute. It is kept for 26 hours, so that a whole day is there even when clocks go back (25 hours).
CREATE TABLE otp.history (
    minute timestamptz PRIMARY KEY,     -- when the minute begins
    queued int NOT NULL,                -- this and the next five: at its end
    due int NOT NULL,
    unknown int NOT NULL,
    oldest_due_seconds double precision NOT NULL,
    workers_alive int NOT NULL,
    pauses int NOT NULL,
    accepted int NOT NULL,              -- this and the rest: within the minute
    failed int NOT NULL,
    latency_p50_ms double precision,    -- of its last 500 messages; null: no messages
    latency_p95_ms double precision,
    latency_p99_ms double precision,
    delivered int NOT NULL DEFAULT 0,   -- of the messages of this minute, as of the last count
    undelivered int NOT NULL DEFAULT 0,
    refused jsonb NOT NULL DEFAULT '{}',    -- per scope: all sends that limits had refused by the end of the minute
    -- Per country, channel, status and currency: messages, verified (those whose codes were verified before a later step began),
    -- billed (Twilio's prices), expected (estimates for messages without a price)
    messages jsonb NOT NULL DEFAULT '[]'
) WITH (fillfactor = 70);
COMMENT ON TABLE otp.history IS 'One row per minute, for 26 hours. One of the workers writes it, and otpd dashboard draws it.';

-- The messages of otp.history, added up per quarter of an hour. A day has 96 of them, and in every time zone a day begins with
-- a new one.
CREATE TABLE otp.history_quarters (
    starts_at timestamptz PRIMARY KEY,
    messages jsonb NOT NULL
) WITH (fillfactor = 70);
COMMENT ON TABLE otp.history_quarters IS 'The messages of otp.history per quarter of an hour, country, channel, status and currency.';

-- The counts of all refusals. The view reads the sequences as relations, so its readers need no privilege on them.
CREATE VIEW otp.refused_totals AS
SELECT c.scope, CASE WHEN c.is_called THEN c.last_value ELSE 0 END AS refused
FROM (
    SELECT 'phone' AS scope, last_value, is_called FROM otp.refused_phone
    UNION ALL SELECT 'subject', last_value, is_called FROM otp.refused_subject
    UNION ALL SELECT 'client_ip', last_value, is_called FROM otp.refused_client_ip
    UNION ALL SELECT 'block', last_value, is_called FROM otp.refused_block
    UNION ALL SELECT 'prefix', last_value, is_called FROM otp.refused_prefix
    UNION ALL SELECT 'country', last_value, is_called FROM otp.refused_country
    UNION ALL SELECT 'total', last_value, is_called FROM otp.refused_total
    UNION ALL SELECT 'budget', last_value, is_called FROM otp.refused_budget
    UNION ALL SELECT 'failures', last_value, is_called FROM otp.refused_failures
    UNION ALL SELECT 'fraud', last_value, is_called FROM otp.refused_fraud
    UNION ALL SELECT 'code', last_value, is_called FROM otp.refused_code
    UNION ALL SELECT 'client_failures', last_value, is_called FROM otp.refused_client_failures
    UNION ALL SELECT 'backend_failures', last_value, is_called FROM otp.refused_backend_failures
    UNION ALL SELECT 'rolled_back', last_value, is_called FROM otp.refused_rolled_back
) c;

-- refused_1h comes from otp.history and therefore covers whole minutes. If no worker ran an hour ago, it counts from the last
-- known minute before that.
CREATE VIEW otp.refusals AS
SELECT t.scope, t.refused, greatest(t.refused - coalesce((h.refused ->> t.scope)::bigint, 0), 0) AS refused_1h
FROM otp.refused_totals t
LEFT JOIN (
    SELECT r.refused FROM otp.history r WHERE r.minute <= now() - interval '61 minutes' ORDER BY r.minute DESC LIMIT 1
) h ON true;
COMMENT ON VIEW otp.refusals IS 'Sends that otp.limits refused, per scope: in all and in the last hour. Scope failures: phone numbers with too many wrong codes. Scopes client_failures, backend_failures, rolled_back: tries of otp.verify.';

-- Today's cost, one row per currency: the amount that Twilio has billed, and the amount expected for the rest. Both come from
-- otp.history and are therefore up to a minute old. In the budget's currency, the two add up to the amount that the budget
-- counts, if a budget is set.
CREATE VIEW otp.spend_today AS
SELECT u.currency, u.billed,
    CASE WHEN u.currency = s.budget_unit AND s.daily_budget IS NOT NULL THEN greatest(
        (SELECT coalesce(sum(t.amount), 0) FROM otp.spend_tally t WHERE t.day = d.today) - u.billed, 0)
        ELSE u.expected END AS expected,
    CASE WHEN u.currency = s.budget_unit THEN s.daily_budget END AS budget
FROM otp.settings s
CROSS JOIN LATERAL (SELECT (now() AT TIME ZONE s.timezone)::date AS today) d
CROSS JOIN LATERAL (
    SELECT g.currency, sum(g.billed) AS billed, sum(g.expected) AS expected
    FROM (
        SELECT m.currency, m.billed, m.expected
        FROM otp.history_quarters q
        CROSS JOIN LATERAL jsonb_to_recordset(q.messages) AS m(currency text, billed numeric, expected numeric)
        WHERE q.starts_at >= d.today::timestamp AT TIME ZONE s.timezone
        UNION ALL
        SELECT s.budget_unit, 0, 0
    ) g
    GROUP BY 1
) u;
COMMENT ON VIEW otp.spend_today IS 'Today''s cost per currency: billed, expected for messages without a price, and the budget.';

-- The same per channel. Where a budget is set, the amounts of otp.spend_today are newer by up to a minute.
CREATE VIEW otp.channel_spend AS
SELECT m.currency, coalesce(m.channel, 'sms') AS channel, sum(m.messages)::bigint AS messages, sum(m.billed) AS billed, sum(m.expected) AS expected
FROM otp.settings s
CROSS JOIN otp.history_quarters q
CROSS JOIN LATERAL jsonb_to_recordset(q.messages)
    AS m(currency text, channel text, messages bigint, billed numeric, expected numeric)
WHERE q.starts_at >= (now() AT TIME ZONE s.timezone)::date::timestamp AT TIME ZONE s.timezone
GROUP BY 1, 2;
COMMENT ON VIEW otp.channel_spend IS 'Today''s messages and their cost per currency and channel: billed, and expected for messages without a price.';

-- Writes the row of the minute that has just ended, unless another worker has. Also counts the messages of three earlier
-- minutes again, because receipts and prices have arrived since. Reads only the messages of these four minutes. Returns the
-- seconds until the next minute ends. Any number of workers may call it, and one of them does the work.
CREATE FUNCTION otp.record_history(moment timestamptz DEFAULT clock_timestamp()) RETURNS double precision
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    ended CONSTANT timestamptz := date_bin('1 minute', moment, 'epoch') - interval '1 minute';
    looks CONSTANT timestamptz[] := ARRAY[ended, ended - interval '5 minutes', ended - interval '1 hour', ended - interval '6 hours'];
BEGIN
    IF NOT EXISTS (SELECT FROM otp.history h WHERE h.minute >= ended) THEN
        INSERT INTO otp.history (minute, queued, due, unknown, oldest_due_seconds, workers_alive, pauses, accepted, failed,
            latency_p50_ms, latency_p95_ms, latency_p99_ms, refused)
        SELECT ended, q.queued, q.due, q.unknown, q.oldest_due_seconds, q.workers_alive,
            (SELECT count(*) FROM otp.pause_status), counts.accepted, counts.failed,
            latency.ms[1], latency.ms[2], latency.ms[3],
            (SELECT coalesce(jsonb_object_agg(r.scope, r.refused), '{}') FROM otp.refused_totals r WHERE r.refused > 0)
        FROM otp.queue_status q
        CROSS JOIN (
            SELECT coalesce(sum(o.accepted), 0) AS accepted, coalesce(sum(o.failed), 0) AS failed
            FROM otp.outcome_counts o WHERE o.starts_at >= ended AND o.starts_at < ended + interval '1 minute'
        ) counts
        CROSS JOIN (
            SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99])
                WITHIN GROUP (ORDER BY extract(epoch FROM m.accepted_at - m.requested_at)::double precision * 1000) AS ms
            FROM (SELECT accepted_at, requested_at FROM otp.messages
                WHERE accepted_at >= ended AND accepted_at < ended + interval '1 minute' AND is_primary
                ORDER BY accepted_at DESC LIMIT 500) m
        ) latency
        ON CONFLICT (minute) DO NOTHING;
        IF FOUND THEN
            UPDATE otp.history h
            SET messages = counted.messages, delivered = counted.delivered, undelivered = counted.undelivered
            FROM unnest(looks) AS look(minute)
            CROSS JOIN LATERAL (
                SELECT coalesce(jsonb_agg(g), '[]') AS messages,
                    coalesce(sum(g.messages) FILTER (WHERE g.status IN ('delivered', 'read')), 0) AS delivered,
                    coalesce(sum(g.messages) FILTER (WHERE g.status IN ('undelivered', 'failed', 'busy', 'no-answer')), 0) AS undelivered
                FROM (
                    SELECT v.country, m.channel, m.status, coalesce(m.price_unit, s.budget_unit) AS currency, count(*) AS messages,
                        count(*) FILTER (WHERE v.verified_at IS NOT NULL AND m.send_job_id >= coalesce(v.follower_id, 0)) AS verified,
                        coalesce(-sum(m.price), 0) AS billed,
                        coalesce(sum(otp.message_cost(m.status, m.segments, m.price, m.price_unit,
                            CASE m.channel WHEN 'sms' THEN c ELSE otp.cost_row(m.channel, c) END, s.budget_unit))
                            FILTER (WHERE m.price IS NULL), 0) AS expected
                    FROM otp.settings s CROSS JOIN otp.messages m
                    LEFT JOIN otp.verifications v ON v.id = m.verification_id
                    LEFT JOIN otp.countries c ON c.region = v.country
                    WHERE m.accepted_at >= look.minute AND m.accepted_at < look.minute + interval '1 minute'
                    GROUP BY 1, 2, 3, 4
                ) g
            ) counted
            WHERE h.minute = look.minute;
            INSERT INTO otp.history_quarters AS q (starts_at, messages)
            SELECT b.starts_at, added.messages
            FROM (SELECT DISTINCT date_bin('15 minutes', l.minute, 'epoch') AS starts_at FROM unnest(looks) AS l(minute)) b
            CROSS JOIN LATERAL (
                SELECT jsonb_agg(g) AS messages
                FROM (
                    SELECT m.country, m.channel, m.status, m.currency, sum(m.messages) AS messages,
                        coalesce(sum(m.verified), 0) AS verified, sum(m.billed) AS billed, sum(m.expected) AS expected
                    FROM otp.history h
                    CROSS JOIN LATERAL jsonb_to_recordset(h.messages)
                        AS m(country text, channel text, status text, currency text, messages bigint, verified bigint, billed numeric,
                            expected numeric)
                    WHERE h.minute >= b.starts_at AND h.minute < b.starts_at + interval '15 minutes'
                    GROUP BY 1, 2, 3, 4
                ) g
            ) added
            WHERE added.messages IS NOT NULL
            ON CONFLICT (starts_at) DO UPDATE SET messages = excluded.messages;
            PERFORM otp.settle_tries();
            PERFORM otp.count_codes(moment);
            DELETE FROM otp.history h WHERE h.minute < ended - interval '26 hours';
            DELETE FROM otp.history_quarters q WHERE q.starts_at < ended - interval '26 hours';
        END IF;
    END IF;
    RETURN 60 - extract(epoch FROM moment - date_bin('1 minute', moment, 'epoch'));
END $$;
COMMENT ON FUNCTION otp.record_history IS 'For workers: writes the row of otp.history for the minute that has ended. Returns the seconds until the next one ends.';

GRANT SELECT ON otp.refusals, otp.history, otp.history_quarters, otp.spend_today, otp.channel_spend TO otp_worker, otp_monitor, otp_admin;
GRANT EXECUTE ON FUNCTION otp.record_history TO otp_worker;

INSERT INTO otp.schema_migrations (version, name) VALUES (19, 'history');

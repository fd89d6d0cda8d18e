-- Views: send jobs and their progress, failures, the queue, pauses, limits, costs, conversion, and verified phones.

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

-- Verified phones are kept longer than their verifications: otp.prune stores the latest of each here.
CREATE TABLE otp.verified_before (
    subject text NOT NULL,
    purpose text NOT NULL,
    e164 text COLLATE "C" NOT NULL,
    verified_at timestamptz NOT NULL,
    is_test boolean,                -- true: always as a test number; null: no
    PRIMARY KEY (subject, purpose, e164)
);
CREATE INDEX verified_before_verified_at ON otp.verified_before (verified_at);     -- for otp.prune
CREATE INDEX verified_before_phone ON otp.verified_before (e164);                  -- for otp.forget_phone

-- Every send job, live or ended, exactly once. Each branch reads one table without a condition, so that the planner can use the
-- indexes of each: ORDER BY send_job_id DESC LIMIT 10 reads ten rows of a million, and a search for one verification reads one.
CREATE VIEW otp.delivery_status AS
SELECT j.send_job_id, j.verification_id, v.subject, otp.mask(v.e164) AS phone_number, j.channel, j.job_state,
    coalesce(j.message_status, m.status) AS message_status, j.attempts, coalesce(j.error_code, m.error_code) AS error_code,
    CASE WHEN j.error IS NOT NULL THEN j.error
        WHEN coalesce(j.error_code, m.error_code) IS NOT NULL THEN coalesce(c.explanation, d.explanation,
            'Twilio reported error ' || coalesce(j.error_code, m.error_code)
            || ', which has no row in otp.error_classes.') END AS error,
    CASE WHEN j.remedy IS NOT NULL THEN j.remedy
        WHEN coalesce(j.error_code, m.error_code) IS NOT NULL THEN coalesce(c.remedy, d.remedy,
            'Look it up at https://www.twilio.com/docs/api/errors/' || coalesce(j.error_code, m.error_code)
            || ' and add a row to otp.error_classes.') END AS remedy,
    coalesce(j.message_sid, m.message_sid) AS message_sid, coalesce(j.segments, m.segments) AS segments,
    coalesce(j.price, m.price) AS price, coalesce(j.price_unit, m.price_unit) AS price_unit, j.requested_at,
    coalesce(j.accepted_at, m.accepted_at) AS accepted_at,
    CASE WHEN j.is_unsent THEN coalesce(m.final_at, j.final_at) ELSE j.final_at END AS final_at,
    j.step, j.follows, coalesce(j.follow_up, m.follow_up) AS follow_up
FROM (
    SELECT id AS send_job_id, verification_id, channel, state AS job_state, NULL::text AS message_status,
        attempt AS attempts, last_error_code AS error_code, last_error AS error, last_remedy AS remedy,
        NULL::text COLLATE "C" AS message_sid, NULL::smallint AS segments, NULL::numeric AS price,
        NULL::text AS price_unit, requested_at, NULL::timestamptz AS accepted_at, NULL::timestamptz AS final_at,
        step, follows, NULL::text AS follow_up, false AS is_unsent, true AS is_primary
    FROM otp.send_jobs
    UNION ALL
    SELECT send_job_id, verification_id, channel, 'accepted', status, attempt, error_code, NULL, NULL,
        message_sid, segments, price, price_unit, requested_at, accepted_at, final_at, step, follows, follow_up,
        false, is_primary
    FROM otp.messages
    UNION ALL
    SELECT send_job_id, verification_id, channel, 'accepted', status, attempt, error_code, NULL, NULL,
        message_sid, segments, price, price_unit, requested_at, accepted_at, final_at, step, follows, follow_up,
        false, id_taken
    FROM otp.messages
    UNION ALL
    SELECT send_job_id, verification_id, channel, state, NULL, attempts, error_code, error, remedy,
        NULL, NULL, NULL, NULL, requested_at, NULL, ended_at, step, follows, follow_up, true, true
    FROM otp.unsent_jobs
) j
LEFT JOIN LATERAL (     -- a message that was found after its job had ended unsent
    SELECT e.* FROM otp.messages e
    WHERE e.send_job_id = j.send_job_id AND NOT e.is_primary AND e.id_taken IS NULL AND j.is_unsent
    ORDER BY e.accepted_at DESC LIMIT 1
) m ON true
LEFT JOIN otp.verifications v ON v.id = j.verification_id
LEFT JOIN otp.error_classes c ON c.code = coalesce(j.error_code, m.error_code)
LEFT JOIN otp.error_class_defaults d ON d.class = c.class
WHERE j.is_primary;
COMMENT ON VIEW otp.delivery_status IS 'All send jobs and their progress. job_state is otpd''s word, and message_status is Twilio''s.';

-- Failures with their times. ORDER BY failed_at DESC LIMIT n reads n rows, for any amount of history, because the branches have
-- no WHERE (as in otp.delivery_status).
CREATE VIEW otp.failures AS
SELECT f.failed_at, f.send_job_id, f.verification_id, v.subject, otp.mask(v.e164) AS phone_number, f.channel, f.job_state,
    f.message_status, f.attempts, f.error_code,
    coalesce(f.error, c.explanation, d.explanation,
        'Twilio reported error ' || f.error_code || ', which has no row in otp.error_classes.') AS error,
    coalesce(f.remedy, c.remedy, d.remedy,
        'Look it up at https://www.twilio.com/docs/api/errors/' || f.error_code || ' and add a row to otp.error_classes.')
        AS remedy
FROM (
    SELECT ended_at AS failed_at, send_job_id, verification_id, channel, state AS job_state, NULL::text AS message_status, attempts,
        error_code, error, remedy, 'failed'::text AS word, 0 AS message_error, true AS is_primary
    FROM otp.unsent_jobs
    UNION ALL
    SELECT accepted_at, send_job_id, verification_id, channel, 'accepted', status, attempt, error_code, NULL, NULL, status,
        error_code, is_primary
    FROM otp.messages
    UNION ALL
    SELECT accepted_at, send_job_id, verification_id, channel, 'accepted', status, attempt, error_code, NULL, NULL, status,
        error_code, id_taken
    FROM otp.messages
) f
LEFT JOIN otp.verifications v ON v.id = f.verification_id
LEFT JOIN otp.error_classes c ON c.code = f.error_code
LEFT JOIN otp.error_class_defaults d ON d.class = c.class
WHERE f.job_state NOT IN ('canceled', 'test') AND f.word IN ('failed', 'undelivered', 'busy', 'no-answer')
    AND f.message_error IS NOT NULL AND f.is_primary;
COMMENT ON VIEW otp.failures IS 'Jobs that ended unsent, and messages that did not arrive (at the time when Twilio accepted them). Read only the newest rows.';

-- All that is known of one job: the columns of otp.delivery_status, and details of the job, its message and its verification.
CREATE VIEW otp.job_details AS
SELECT d.*, v.purpose, v.locale, v.country, coalesce(j.worker, m.worker) AS worker, j.due_at, j.hold_kind, j.hold_key,
    j.lease_expires_at, j.unknown_at, j.next_lookup_at, j.lookups, j.lost_claims, m.sender, m.polls, m.next_poll_at,
    u.ended_at, u.error_class, v.created_at AS code_drawn_at, v.expires_at AS code_expires_at, v.verified_at,
    v.canceled_at, v.attempts AS wrong_tries
FROM otp.delivery_status d
LEFT JOIN otp.send_jobs j ON j.id = d.send_job_id
LEFT JOIN otp.messages m ON m.job_range = otp.job_range(d.send_job_id) AND m.message_sid = d.message_sid
LEFT JOIN otp.unsent_jobs u ON u.send_job_id = d.send_job_id
LEFT JOIN otp.verifications v ON v.id = d.verification_id;
COMMENT ON VIEW otp.job_details IS 'All that is known of one send job: WHERE send_job_id = …';

-- The pauses that all workers share, and the pauses of single workers that are alive.
CREATE VIEW otp.pause_status AS
SELECT p.name AS scope, p.reason, p.remedy, p.since, p.next_probe_at, p.probes, p.created_by,
    (SELECT count(*) FROM otp.send_jobs j WHERE j.state = 'queued' AND j.hold_kind = 'pause' AND j.hold_key = p.name) AS held
FROM otp.pauses p
UNION ALL
SELECT 'worker ' || w.worker_id, w.reason, w.remedy, w.paused_since, w.next_probe_at, NULL,
    'otpd worker ' || w.worker_id, NULL
FROM otp.worker_status w
WHERE w.state = 'paused' AND w.heartbeat_at > clock_timestamp() - interval '30 seconds';
COMMENT ON VIEW otp.pause_status IS 'Pauses with their reasons, their remedies and the number of held jobs. A pause without next_probe_at ends only by hand.';

-- A column that a query does not select is not computed. Counts have steps of five seconds, and latencies come from the last
-- 500 messages of the last minute. You may read this view every second.
CREATE VIEW otp.queue_status AS
SELECT queued.count AS queued, queued.count - later.count AS due, taken.sending, taken.unknown, oldest.oldest_due_seconds,
    ended.accepted_1m, ended.accepted_5m, ended.accepted_1h,
    ended.failed_1m, ended.failed_5m, ended.failed_1h,
    round(ended.accepted_5m::numeric / nullif(ended.accepted_5m + ended.failed_5m, 0), 4) AS success_share,
    latency.ms[1] AS latency_p50_ms, latency.ms[2] AS latency_p95_ms, latency.ms[3] AS latency_p99_ms,
    workers.alive AS workers_alive,
    pauses.paused
FROM (VALUES (1)) one
-- Three reads of indexes instead of one read of all rows: a count that needs no columns of the row is four times as fast.
LEFT JOIN (
    SELECT count(*) AS count FROM otp.send_jobs WHERE state = 'queued'
) queued ON true
LEFT JOIN (
    SELECT count(*) AS count FROM otp.send_jobs WHERE state = 'queued' AND due_at > now()
) later ON true
LEFT JOIN (
    SELECT coalesce(greatest(extract(epoch FROM now() - min(due_at)), 0), 0)::double precision AS oldest_due_seconds
    FROM otp.send_jobs WHERE state = 'queued'
) oldest ON true
LEFT JOIN (
    SELECT count(*) FILTER (WHERE state = 'sending') AS sending, count(*) FILTER (WHERE state = 'unknown') AS unknown
    FROM otp.send_jobs WHERE state <> 'queued'
) taken ON true
LEFT JOIN (
    SELECT coalesce(sum(accepted) FILTER (WHERE starts_at > now() - interval '65 seconds'), 0) AS accepted_1m,
        coalesce(sum(accepted) FILTER (WHERE starts_at > now() - interval '305 seconds'), 0) AS accepted_5m,
        coalesce(sum(accepted), 0) AS accepted_1h,
        coalesce(sum(failed) FILTER (WHERE starts_at > now() - interval '65 seconds'), 0) AS failed_1m,
        coalesce(sum(failed) FILTER (WHERE starts_at > now() - interval '305 seconds'), 0) AS failed_5m,
        coalesce(sum(failed), 0) AS failed_1h
    FROM otp.outcome_counts WHERE starts_at > now() - interval '3605 seconds'
) ended ON true
LEFT JOIN (
    SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99])
        WITHIN GROUP (ORDER BY extract(epoch FROM m.accepted_at - m.requested_at)::double precision * 1000) AS ms
    FROM (SELECT accepted_at, requested_at FROM otp.messages
        WHERE accepted_at > now() - interval '1 minute' AND is_primary ORDER BY accepted_at DESC LIMIT 500) m
) latency ON true
LEFT JOIN (
    SELECT count(*) FILTER (WHERE kind = 'worker' AND state NOT IN ('stopped', 'dead')) AS alive
    FROM otp.worker_status WHERE heartbeat_at > clock_timestamp() - interval '30 seconds'
) workers ON true
LEFT JOIN (
    SELECT coalesce(jsonb_agg(jsonb_build_object('scope', scope, 'reason', reason, 'remedy', remedy,
        'since', since, 'next_probe_at', next_probe_at) ORDER BY scope), '[]') AS paused
    FROM otp.pause_status
) pauses ON true;
COMMENT ON VIEW otp.queue_status IS 'One row: the queue now, and the last minute, five minutes and hour.';

-- The channels now: their jobs in the queue, the workers that serve them, and the jobs that ended. The counts of all channels add
-- up to those of otp.queue_status. There is one row per channel, used or not.
CREATE VIEW otp.channel_status AS
SELECT c.channel, EXISTS (SELECT FROM otp.routes r WHERE r.channel = c.channel) AS is_routed,
    (SELECT count(*) FROM otp.worker_status w
        WHERE c.channel = ANY (w.channels) AND w.kind = 'worker' AND w.state NOT IN ('stopped', 'dead')
            AND w.heartbeat_at > clock_timestamp() - interval '30 seconds') AS workers_alive,
    -- The index send_jobs_other_channels counts the jobs of other channels. A backlog of text messages is counted once, without
    -- its channel: see otp.queue_status.
    CASE c.channel WHEN 'sms' THEN (SELECT count(*) FROM otp.send_jobs WHERE state = 'queued')
            - (SELECT count(*) FROM otp.send_jobs WHERE state = 'queued' AND channel <> 'sms')
        ELSE (SELECT count(*) FROM otp.send_jobs j WHERE j.state = 'queued' AND j.channel <> 'sms' AND j.channel = c.channel)
        END AS queued,
    coalesce(ended.accepted_1m, 0) AS accepted_1m, coalesce(ended.accepted_5m, 0) AS accepted_5m,
    coalesce(ended.accepted_1h, 0) AS accepted_1h, coalesce(ended.failed_1m, 0) AS failed_1m,
    coalesce(ended.failed_5m, 0) AS failed_5m, coalesce(ended.failed_1h, 0) AS failed_1h
FROM (VALUES ('sms', 1), ('whatsapp', 2), ('call', 3), ('email', 4)) c (channel, place)
LEFT JOIN (
    SELECT o.channel, sum(o.accepted) FILTER (WHERE o.starts_at > now() - interval '65 seconds') AS accepted_1m,
        sum(o.accepted) FILTER (WHERE o.starts_at > now() - interval '305 seconds') AS accepted_5m,
        sum(o.accepted) AS accepted_1h,
        sum(o.failed) FILTER (WHERE o.starts_at > now() - interval '65 seconds') AS failed_1m,
        sum(o.failed) FILTER (WHERE o.starts_at > now() - interval '305 seconds') AS failed_5m,
        sum(o.failed) AS failed_1h
    FROM otp.outcome_counts o WHERE o.starts_at > now() - interval '3605 seconds'
    GROUP BY 1
) ended ON ended.channel = c.channel
ORDER BY c.place;
COMMENT ON VIEW otp.channel_status IS 'One row per channel: its queued jobs, its workers, and the jobs that ended in the last minute, five minutes and hour.';

-- cost is Twilio's price, in price_unit. Messages without a price are counted in unpriced. If otp.countries has an estimate,
-- estimated_cost has their estimated cost, in estimate_unit. For other channels than sms it comes from otp.channel_costs. Messages
-- that failed or were canceled, and calls that nobody answered, usually cost nothing. E-mails never get a price.
CREATE VIEW otp.spend_daily AS
SELECT d.day, nullif(d.country, '') AS country, d.channel, nullif(d.sender, '') AS sender, nullif(d.price_unit, '') AS price_unit,
    d.messages, nullif(d.segments, 0) AS segments, CASE WHEN d.price_unit <> '' THEN d.cost END AS cost, d.failed_but_billed, d.unpriced,
    CASE WHEN d.unpriced > 0 THEN
        CASE d.channel WHEN 'sms' THEN d.unpriced_segments * c.price_estimate ELSE d.unpriced * k.expected_cost END END AS estimated_cost,
    CASE WHEN d.price_unit = '' THEN CASE WHEN d.channel <> 'sms' THEN s.budget_unit
        WHEN c.price_estimate IS NOT NULL THEN c.price_unit END END AS estimate_unit
FROM otp.settings s
CROSS JOIN (
    SELECT m.day, m.country, m.channel, m.sender, m.price_unit, sum(m.messages) AS messages, sum(m.segments) AS segments,
        sum(m.cost) AS cost, sum(m.failed_but_billed) AS failed_but_billed, sum(m.unpriced) AS unpriced,
        sum(m.unpriced_segments) AS unpriced_segments
    FROM otp.message_days m GROUP BY 1, 2, 3, 4, 5 HAVING sum(m.messages) <> 0
) d
LEFT JOIN otp.countries c ON c.region = d.country
LEFT JOIN LATERAL (     -- as in otp.cost_row
    SELECT coalesce((SELECT o.expected_cost FROM otp.channel_costs o
        WHERE o.channel = d.channel AND o.country IN (d.country, '*') ORDER BY o.country = '*' LIMIT 1), c.expected_cost) AS expected_cost
    WHERE d.channel <> 'sms'
) k ON true;
COMMENT ON VIEW otp.spend_daily IS 'Messages and their cost per day, country, channel and sender. Messages without a price have rows of their own, with an estimate.';

-- Codes that were sent, and those of them that were used, per day and the first digits of their numbers. A code counts once, on the
-- day of its request, after it has expired (otp.count_codes). Days older than two days keep only first digits with at least
-- settings.min_conversion_samples codes. The others are added up in a row without digits.
CREATE TABLE otp.prefix_days (
    day date NOT NULL,                      -- of settings.timezone, when it was counted
    country text COLLATE "C" NOT NULL,      -- this and the next: empty if unknown
    prefix text COLLATE "C" NOT NULL,
    sent int NOT NULL,
    verified int NOT NULL,
    PRIMARY KEY (day, country, prefix)
) WITH (fillfactor = 70);

-- The same per channel. A code counts as sent in each channel that it went by, and as used in that of its last message before.
CREATE TABLE otp.channel_days (
    day date NOT NULL,
    country text COLLATE "C" NOT NULL,
    channel text COLLATE "C" NOT NULL,
    sent int NOT NULL,
    verified int NOT NULL,
    PRIMARY KEY (day, country, channel)
) WITH (fillfactor = 70);

-- Counts the codes that expired since the last call, up to ten minutes ago: by then the transactions of their last tries have ended,
-- and late receipts have arrived. It is called once a minute, and looks at a window of five minutes at a time. After a pause it
-- catches up with at most an hour at each call. A code counts as sent if Twilio took a message with it. A code that went by e-mail
-- alone does not count. One that also went by e-mail counts as sent, but not as verified, because it proves no phone number.
-- Otherwise a fraudster could hide by reading the codes in e-mails.
CREATE FUNCTION otp.count_codes(moment timestamptz DEFAULT clock_timestamp()) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
    timezone CONSTANT text := (SELECT s.timezone FROM otp.settings s);
    from_time timestamptz;
    until timestamptz;
BEGIN
    SELECT m.codes_counted_until INTO from_time FROM otp.maintenance m FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    FOR window_number IN 1..12 LOOP
        until := least(from_time + interval '5 minutes', moment - interval '10 minutes');
        EXIT WHEN until <= from_time;
        WITH ended AS MATERIALIZED (
            SELECT v.id, (v.created_at AT TIME ZONE timezone)::date AS day, coalesce(v.country, '') AS country,
                coalesce(left(v.e164, least(7, length(v.e164) - 4)), '') AS prefix, v.verified_at,
                v.verified_at IS NOT NULL AND NOT coalesce('email' = ANY (v.other_channels), false) AS proves
            FROM otp.verifications v WHERE v.expires_at > from_time AND v.expires_at <= until
        ), sent AS MATERIALIZED (
            SELECT e.id, e.day, e.country, e.prefix, e.proves, e.verified_at IS NOT NULL AS is_verified, g.channel,
                row_number() OVER (PARTITION BY e.id ORDER BY g.last_before DESC NULLS LAST, g.first_at, g.channel) = 1 AS is_last
            FROM ended e CROSS JOIN LATERAL (
                SELECT m.channel, min(m.accepted_at) AS first_at, max(m.accepted_at) FILTER (WHERE m.accepted_at <= e.verified_at) AS last_before
                FROM otp.messages m WHERE m.verification_id = e.id GROUP BY 1) g
        ), by_channel AS (
            INSERT INTO otp.channel_days AS d (day, country, channel, sent, verified)
            SELECT s.day, s.country, s.channel, count(*), count(*) FILTER (WHERE s.is_verified AND s.is_last)
            FROM sent s GROUP BY 1, 2, 3
            ON CONFLICT (day, country, channel) DO UPDATE SET sent = d.sent + excluded.sent, verified = d.verified + excluded.verified
        )
        INSERT INTO otp.prefix_days AS d (day, country, prefix, sent, verified)
        SELECT s.day, s.country, s.prefix, count(*), count(*) FILTER (WHERE s.proves)
        FROM (SELECT DISTINCT s.id, s.day, s.country, s.prefix, s.proves FROM sent s WHERE s.channel <> 'email') s GROUP BY 1, 2, 3
        ON CONFLICT (day, country, prefix) DO UPDATE SET sent = d.sent + excluded.sent, verified = d.verified + excluded.verified;
        from_time := until;
    END LOOP;
    UPDATE otp.maintenance m SET codes_counted_until = from_time WHERE m.codes_counted_until < from_time;
END $$;

-- Adds up first digits with few codes, and deletes sums of more than three years ago. otp.prune calls it.
CREATE FUNCTION otp.fold_codes(today date) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    WITH gone AS (
        DELETE FROM otp.prefix_days d USING otp.settings s
        WHERE d.day < today - 2 AND d.prefix <> '' AND d.sent < s.min_conversion_samples RETURNING d.*
    )
    INSERT INTO otp.prefix_days AS d (day, country, prefix, sent, verified)
    SELECT g.day, g.country, '', sum(g.sent), sum(g.verified) FROM gone g GROUP BY 1, 2
    ON CONFLICT (day, country, prefix) DO UPDATE SET sent = d.sent + excluded.sent, verified = d.verified + excluded.verified;
    DELETE FROM otp.prefix_days d WHERE d.day < today - 1100;
    DELETE FROM otp.channel_days d WHERE d.day < today - 1100;
    DELETE FROM otp.message_days d WHERE d.day < today - 1100;
    DELETE FROM otp.failure_days d WHERE d.day < today - 1100;
END $$;

-- The share of sent codes that users typed in, per day and prefix. Fraudsters have codes sent to numbers that earn them a share
-- of the fee, and such codes are never typed in. A prefix is named from min_conversion_samples codes per day on. All other prefixes
-- of a country share one row, because a prefix with few numbers would reveal digits that otp.mask hides. The view covers the last
-- 30 days, and codes that expired at least ten minutes ago.
CREATE VIEW otp.conversion_daily AS
SELECT g.day, g.country, g.prefix, g.sent, g.verified, round(g.verified::numeric / g.sent, 4) AS share,
    g.sent >= s.min_conversion_samples AND g.verified < g.sent * s.min_conversion AS is_suspicious
FROM otp.settings s
CROSS JOIN LATERAL (
    SELECT p.day, nullif(p.country, '') AS country,
        CASE WHEN p.sent >= s.min_conversion_samples AND p.prefix <> '' THEN p.prefix || '…' ELSE 'others' END AS prefix,
        sum(p.sent)::bigint AS sent, sum(p.verified)::bigint AS verified
    FROM otp.prefix_days p
    WHERE p.day >= (now() - interval '30 days')::date
    GROUP BY 1, 2, 3
) g;
COMMENT ON VIEW otp.conversion_daily IS 'The share of sent codes that were verified, per day and prefix. A share below settings.min_conversion is suspicious, from min_conversion_samples codes on.';

-- The share of sent codes that users typed in, per day, country and channel. A code counts as sent in each channel that it went by,
-- and as verified in one alone: that of its last message before the verification. So the numbers of verified codes add up.
CREATE VIEW otp.channel_conversion AS
SELECT d.day, nullif(d.country, '') AS country, d.channel, d.sent::bigint AS sent, d.verified::bigint AS verified,
    round(d.verified::numeric / d.sent, 4) AS share
FROM otp.channel_days d
WHERE d.day >= (now() - interval '30 days')::date;
COMMENT ON VIEW otp.channel_conversion IS 'The share of sent codes that were verified, per day, country and channel. A verified code counts for the channel of its last message before.';

-- The count of codes sent twice, without reading all failures.
CREATE VIEW otp.sent_twice AS
SELECT count(*) AS messages, max(m.accepted_at) AS last_accepted_at
FROM otp.messages m JOIN otp.messages first ON first.send_job_id = m.send_job_id AND first.is_primary
WHERE NOT m.is_primary AND m.id_taken IS NULL;
COMMENT ON VIEW otp.sent_twice IS 'How many send jobs have a second message. Their users got the same code twice.';

-- The failures of three years, as otp.failure_days counts them.
CREATE VIEW otp.failure_summary AS
SELECT f.error_class, f.error_code, f.explanation, sum(f.failures)::bigint AS failures, max(f.last_failed_at) AS last_failed_at
FROM (
    SELECT coalesce(nullif(d.error_class, ''), c.class, CASE d.state WHEN 'message' THEN 'unknown' ELSE d.state END) AS error_class,
        nullif(d.error_code, 0) AS error_code, d.failures, d.last_failed_at,
        -- An error without a code is explained in the words of its last job, as long as that is kept.
        coalesce(c.explanation, (SELECT max(u.error) FROM otp.unsent_jobs u WHERE u.ended_at = d.last_failed_at AND u.state = d.state
            AND u.state NOT IN ('canceled', 'test') AND coalesce(u.error_class, '') = d.error_class
            AND coalesce(u.error_code, 0) = d.error_code)) AS explanation
    FROM (
        SELECT o.state, o.error_class, o.error_code, sum(o.failures) AS failures, max(o.last_failed_at) AS last_failed_at
        FROM otp.failure_days o GROUP BY 1, 2, 3
    ) d LEFT JOIN otp.error_classes c ON c.code = d.error_code
    WHERE d.failures > 0
    UNION ALL
    -- A code sent twice is rare and cannot be ruled out. It is counted here, and the worker that recorded it raises an alert.
    SELECT 'sent_twice', NULL, t.messages, t.last_accepted_at, 'A send job has a second message: its user got the same code twice.'
    FROM otp.sent_twice t WHERE t.messages > 0
) f
GROUP BY 1, 2, 3;
COMMENT ON VIEW otp.failure_summary IS 'Failures per error class and code, and the last of each.';

CREATE VIEW otp.verified_phones AS
SELECT subject, e164, verified_at, purpose, coalesce(is_test, false) AS is_test FROM otp.verifications
WHERE verified_at IS NOT NULL AND NOT coalesce('email' = ANY (other_channels), false)
UNION ALL
SELECT subject, e164, verified_at, purpose, coalesce(is_test, false) FROM otp.verified_before;
COMMENT ON VIEW otp.verified_phones IS 'The verified phone numbers of all subjects, with the time of each verification. A code that also went by e-mail proves no phone number, and nor does a test number (is_test). No role is granted it.';

CREATE FUNCTION otp.delivery(verification_id bigint, subject text) RETURNS SETOF otp.delivery_status
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT d.* FROM otp.delivery_status d
    WHERE d.verification_id = delivery.verification_id AND d.subject = delivery.subject ORDER BY d.send_job_id;
END;
COMMENT ON FUNCTION otp.delivery IS 'The progress of a verification of this subject, one row per send job.';

-- otp_web may call this function and may not read the view. An intruder in a backend must therefore know each subject.
CREATE FUNCTION otp.verified_phones(subject text) RETURNS SETOF otp.verified_phones
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT p.* FROM otp.verified_phones p WHERE p.subject = verified_phones.subject ORDER BY p.verified_at;
END;
COMMENT ON FUNCTION otp.verified_phones IS 'The phone numbers that this subject verified, with their times.';

GRANT EXECUTE ON FUNCTION otp.delivery, otp.verified_phones TO otp_web;
GRANT SELECT ON otp.delivery_status, otp.failures, otp.queue_status, otp.channel_status, otp.pause_status TO otp_worker;
GRANT SELECT ON otp.queue_status, otp.channel_status, otp.delivery_status, otp.spend_daily, otp.failure_summary, otp.failures,
    otp.job_details, otp.conversion_daily, otp.channel_conversion, otp.pause_status TO otp_monitor, otp_admin;
GRANT SELECT ON otp.sent_twice TO otp_worker, otp_monitor, otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (18, 'views');

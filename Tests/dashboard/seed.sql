-- A day of sends, for the pictures and the browser's test. Run it as the owner, right after otpd migrate up.
SET session_replication_role = replica;
INSERT INTO otp.countries (region) VALUES ('AE'), ('EG');
UPDATE otp.settings SET daily_budget = 250, timezone = 'UTC';
INSERT INTO otp.verifications (subject, purpose, e164, country, created_at, expires_at)
SELECT 'user-' || n, 'phone_verification', CASE n % 20 WHEN 0 THEN '+2010' WHEN 1 THEN '+97150' ELSE '+96650' END || lpad((n * 7919 % 10000000)::text, 7, '0'),
    CASE n % 20 WHEN 0 THEN 'EG' WHEN 1 THEN 'AE' ELSE 'SA' END, now() - n * interval '0.4 seconds', now() - n * interval '0.4 seconds' + interval '5 minutes'
FROM generate_series(1, 3000) n;
INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, worker, is_primary, requested_at, accepted_at, status, error_code, segments, price, price_unit, final_at)
SELECT 'SM' || lpad(id::text, 32, '0'), id, id, 1, 1, true, created_at, created_at + (40 + id * 31 % 60) * interval '1 millisecond' + CASE WHEN id % 50 = 0 THEN interval '700 milliseconds' ELSE '0' END,
    CASE WHEN id % 97 = 0 THEN 'undelivered' WHEN id % 12 = 0 THEN 'sent' ELSE 'delivered' END, CASE WHEN id % 97 = 0 THEN 30003 END, 1, -0.0135, 'USD', created_at
FROM otp.verifications WHERE id % 101 > 0;
INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, error, remedy, error_class, error_code, requested_at, ended_at)
SELECT id, id, 'failed', 1, 'The user has opted out of messages from this sender.', 'Ask the user to text START to the sender, or to give another number.', 'permanent', 21610, created_at, created_at
FROM otp.verifications WHERE id % 101 = 0;
INSERT INTO otp.outcome_counts (starts_at, shard, accepted, failed)
SELECT date_bin('5 seconds', accepted_at, 'epoch'), 0, count(*), 0 FROM otp.messages GROUP BY 1
UNION ALL SELECT date_bin('5 seconds', ended_at, 'epoch'), 1, 0, count(*) FROM otp.unsent_jobs GROUP BY 1;
INSERT INTO otp.worker_status (host, pid, version, started_at, heartbeat_at, state, reason, remedy, in_flight, claimed, accepted, failed, database_state, twilio_state, callbacks_received, callbacks_refused, callbacks_dropped, callbacks_written, latency_p50_ms, latency_p95_ms, latency_p99_ms)
VALUES ('sms-1', 812, '0.1.0', now() - interval '9 hours', now(), 'running', NULL, NULL, 3, 84210, 83950, 260, 'connected', 'answering', 83120, 2, 0, 83120, 60, 95, 120),
    ('sms-2', 1204, '0.1.0', now() - interval '9 hours', now(), 'running', NULL, NULL, 2, 83007, 82801, 206, 'connected', 'answering', NULL, NULL, NULL, NULL, 61, 96, 130),
    ('sms-2', 977, '0.1.0', now() - interval '10 hours', now() - interval '8 minutes', 'dead', 'Its heartbeats ended while it was running.', 'See the end of its log: journalctl -u otpd.', 0, 510, 500, 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO otp.send_jobs (verification_id, channel, state, requested_at, due_at, expires_at, hold_kind, hold_key)
SELECT id, 'sms', 'queued', now() - interval '2 seconds', now() - interval '1 second', now() + interval '5 minutes', NULL::otp.hold_kind, NULL FROM otp.verifications ORDER BY id LIMIT 7;
INSERT INTO otp.send_jobs (verification_id, channel, state, requested_at, due_at, expires_at, hold_kind, hold_key)
SELECT id, 'sms', 'queued', now() - interval '2 seconds', now() + interval '4 minutes', now() + interval '5 minutes', 'pause'::otp.hold_kind, 'country AE' FROM otp.verifications WHERE country = 'AE' ORDER BY id LIMIT 4;
INSERT INTO otp.pauses (scope, key, reason, remedy, since, next_probe_at, created_by)
VALUES ('country', 'AE', 'Sending to this country is not enabled in the Twilio account.', 'Enable it in the Twilio console under Messaging > Settings > Geo permissions, or remove it from otp.countries.', now() - interval '11 minutes', now() + interval '40 seconds', 'otpd worker 1');
-- The day before, with a quiet night, a busy evening and ten minutes in which no worker ran.
INSERT INTO otp.history (minute, queued, due, unknown, oldest_due_seconds, workers_alive, pauses, accepted, failed, latency_p50_ms, latency_p95_ms, latency_p99_ms, delivered, undelivered, messages)
SELECT minute, queue + held, queue, 0, queue / 20.0, 2, 0, sent, sent / 100, 55 + n % 9, 88 + n % 17 + queue / 4, 120 + n % 41 + queue / 2, sent * 93 / 100, sent * 2 / 100,
    jsonb_build_array(
        jsonb_build_object('country', 'SA', 'status', 'delivered', 'messages', sent * 85 / 100, 'currency', 'USD', 'billed', sent * 85 / 100 * 0.0009, 'expected', 0),
        jsonb_build_object('country', 'SA', 'status', 'sent', 'messages', sent * 5 / 100, 'currency', 'USD', 'billed', 0, 'expected', sent * 0.00005),
        jsonb_build_object('country', 'SA', 'status', 'undelivered', 'messages', sent * 2 / 100, 'currency', 'USD', 'billed', 0, 'expected', 0),
        jsonb_build_object('country', 'EG', 'status', 'delivered', 'messages', sent * 5 / 100, 'currency', 'USD', 'billed', sent * 5 / 100 * 0.0011, 'expected', 0),
        jsonb_build_object('country', 'AE', 'status', 'delivered', 'messages', sent * 3 / 100, 'currency', 'USD', 'billed', sent * 3 / 100 * 0.001, 'expected', 0))
FROM (
    SELECT n, minute, (load * (0.9 + n * 7919 % 23 / 100.0))::int AS sent, CASE WHEN n BETWEEN 33 AND 41 THEN (42 - n) * 25 ELSE n % 4 END AS queue, CASE WHEN n < 12 THEN 4 ELSE 0 END AS held
    FROM (
        SELECT n, date_bin('1 minute', now(), 'epoch') - n * interval '1 minute' AS minute, 130 + 110 * sin(n / 230.0) AS load FROM generate_series(1, 1440) n
    ) g WHERE n NOT BETWEEN 300 AND 340
) g;
INSERT INTO otp.history_quarters (starts_at, messages)
SELECT starts_at, jsonb_agg(to_jsonb(g) - 'starts_at')
FROM (
    SELECT date_bin('15 minutes', minute, 'epoch') AS starts_at, m.country, m.status, m.currency, sum(m.messages) AS messages,
        sum(m.billed) AS billed, sum(m.expected) AS expected
    FROM otp.history, jsonb_to_recordset(messages) AS m(country text, status text, currency text, messages int, billed numeric, expected numeric)
    GROUP BY 1, 2, 3, 4
) g GROUP BY 1;
INSERT INTO otp.spend_tally (day, shard, amount)
SELECT (now() AT TIME ZONE 'UTC')::date, 0, coalesce(sum((m->>'billed')::numeric + (m->>'expected')::numeric), 0)
FROM otp.history, jsonb_array_elements(messages) m WHERE minute >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
-- A country's limit that is used up, refused sends, and workers that stopped after the running ones began.
INSERT INTO otp.limits (scope, period, max_sends) VALUES ('country', '1 day', 2000);
INSERT INTO otp.shared_counts (scope, key, period, starts_at, shard, amount)
SELECT 'country', 'SA', '1 day', date_trunc('day', now(), timezone), 0, 2000 FROM otp.settings;
SELECT setval('otp.refused_country', 30), setval('otp.refused_phone', 1);
INSERT INTO otp.worker_status (host, pid, version, started_at, heartbeat_at, state, in_flight, claimed, accepted, failed)
SELECT 'sms-' || n, 3000 + n, '0.1.0', now() - interval '50 minutes', now() - n * interval '2 minutes', 'stopped', 0, 10, 10, 0
FROM generate_series(1, 12) n;

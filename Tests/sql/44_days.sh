# The sums per day (otp.message_days, failure_days, prefix_days, channel_days) against full counts of the same rows.
recounted_spend="SELECT (m.accepted_at AT TIME ZONE s.timezone)::date AS day, v.country, m.channel, m.sender,
    CASE WHEN m.price IS NOT NULL THEN m.price_unit END AS price_unit, count(*) AS messages, nullif(coalesce(sum(m.segments), 0), 0) AS segments,
    -sum(m.price) AS cost, count(*) FILTER (WHERE m.status IN ('failed', 'undelivered') AND m.price < 0) AS failed_but_billed,
    count(*) FILTER (WHERE m.price IS NULL AND m.status NOT IN ('failed', 'canceled', 'busy', 'no-answer')) AS unpriced,
    sum(CASE m.channel WHEN 'sms' THEN greatest(m.segments, 1) * c.price_estimate ELSE otp.expected_cost(m.channel, c) END)
        FILTER (WHERE m.price IS NULL AND m.status NOT IN ('failed', 'canceled', 'busy', 'no-answer')) AS estimated_cost,
    CASE WHEN m.price IS NULL THEN CASE WHEN m.channel <> 'sms' THEN s.budget_unit WHEN c.price_estimate IS NOT NULL THEN c.price_unit END END
    FROM otp.messages m CROSS JOIN otp.settings s LEFT JOIN otp.verifications v ON v.id = m.verification_id
    LEFT JOIN otp.countries c ON c.region = v.country GROUP BY 1, 2, 3, 4, 5, 12"
recounted_failures="SELECT coalesce(u.error_class, c.class, u.state) AS error_class, u.error_code, count(*)::bigint AS failures, max(u.ended_at) AS last_failed_at
    FROM otp.unsent_jobs u LEFT JOIN otp.error_classes c ON c.code = u.error_code WHERE u.state NOT IN ('canceled', 'test') GROUP BY 1, 2
    UNION ALL SELECT coalesce(c.class, 'unknown'), m.error_code, count(*)::bigint, max(coalesce(m.final_at, m.accepted_at))
    FROM otp.messages m LEFT JOIN otp.error_classes c ON c.code = m.error_code WHERE m.status IN ('failed', 'undelivered') GROUP BY 1, 2"
# The rows of either that the other has not.
differ() { echo "SELECT count(*) FROM ((($1) EXCEPT ALL ($2)) UNION ALL (($2) EXCEPT ALL ($1))) d"; }
spend="SELECT * FROM otp.spend_daily"
failures="SELECT error_class, error_code, sum(failures)::bigint FROM otp.failure_summary GROUP BY 1, 2"
counted_failures="SELECT error_class, error_code, sum(failures)::bigint FROM ($recounted_failures) f GROUP BY 1, 2"

# Random messages of many kinds, in 15 batches; then receipts, prices, segments, senders and error codes, one by one and in batches.
sql -c "SELECT setseed(0.4)" -c "UPDATE otp.countries SET price_estimate = 0.06, price_unit = 'USD' WHERE region = 'SA'" -c "ALTER TABLE otp.verifications DISABLE TRIGGER ALL" \
    -c "INSERT INTO otp.verifications (subject, purpose, e164, country, created_at, expires_at) SELECT 'd' || n, 'phone_verification', '+9665' || lpad(n::text, 8, '0'), (ARRAY['SA', 'EG', NULL])[1 + n % 3], now() - n * interval '1 hour', now() FROM generate_series(1, 100) n" -c "ALTER TABLE otp.verifications ENABLE TRIGGER ALL"
some() {    # a random element
    local list="'${1// /\', \'}'"; echo "(ARRAY[${list//\'null\'/NULL}])[1 + floor(random() * $(wc -w <<<"$1"))::int]"; }
for batch in $(seq 1 15); do cat <<SQL
    INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, accepted_at, sender, status, channel, segments, price, price_unit, error_code, country)
    SELECT 'SMd$batch-' || n, $batch * 100 + n, v.id, 1, true, v.created_at, v.created_at + random() * interval '1 minute', $(some 'Mgask +15005550006 null'),
        $(some 'queued sent delivered failed undelivered canceled busy'), $(some 'sms sms sms whatsapp call email'), $(some '1 2 null')::smallint, CASE WHEN random() < 0.2 THEN -round((random() / 10)::numeric, 4) END,
        $(some 'USD USD EUR'), $(some 'null null 30003 30450')::int, v.country
    FROM generate_series(1, 1 + ($batch * 7) % 23) n JOIN otp.verifications v ON v.subject = 'd' || (1 + (n * $batch) % 100);
    INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, error_class, error_code, error, requested_at, ended_at)
    SELECT $batch * 100 + 50 + n, v.id, $(some 'failed expired limited canceled'), 1, $(some 'null retry null')::text, $(some 'null 21211 21610')::int, 'It did not leave.', now(), now() - random() * interval '3 days'
    FROM generate_series(1, $batch % 5) n JOIN otp.verifications v ON v.subject = 'd' || n;
    UPDATE otp.messages SET status = $(some 'delivered failed undelivered'), final_at = now() - random() * interval '1 day', error_code = coalesce(error_code, $(some 'null 30003 30005')::int) WHERE random() < 0.2 AND final_at IS NULL;
    UPDATE otp.messages SET price = -round((random() / 10)::numeric, 4), price_unit = $(some 'USD EUR'), segments = coalesce(segments, 1) WHERE price IS NULL AND random() < 0.1;
    UPDATE otp.messages SET sender = 'Mgask' WHERE sender IS NULL AND random() < 0.1;
    UPDATE otp.messages SET next_poll_at = now() WHERE random() < 0.3;
SQL
done >"$work/days.sql"
psql -qX -v ON_ERROR_STOP=1 -d "$PGDATABASE" -c "SET session_replication_role = origin" -f "$work/days.sql" >/dev/null
gives "there are many kinds" t "SELECT count(*) > 60 FROM otp.spend_daily"
gives "the bill is that of a full count" 0 "$(differ "$spend" "$recounted_spend")"
gives "and so are the failures" 0 "$(differ "$failures" "$counted_failures")"
gives "with the time of the last" t "SELECT (SELECT max(last_failed_at) FROM otp.failure_summary) = (SELECT max(last_failed_at) FROM ($recounted_failures) f)"
sql -c "SELECT otp.fold_days($today + 2)"
gives "each past day has one row per sum" t "SELECT count(*) > 0 AND bool_and(shard = -1) FROM otp.message_days"
gives "with the same sums" 0 "$(differ "$spend" "$recounted_spend")"
sql -c "UPDATE otp.messages SET price = -0.07, price_unit = 'USD' WHERE price IS NULL AND accepted_at < now() - interval '1 day' AND random() < 0.5"
gives "late prices reach their day" 0 "$(differ "$spend" "$recounted_spend")"
sql -c "SELECT otp.fold_days($today + 2)"
gives "and are added up again" 0 "$(differ "$spend" "$recounted_spend")"
before=$(sql -c "SELECT sum(messages) FROM otp.spend_daily"); sql -c "DELETE FROM otp.messages"
gives "sums stay without their messages" "$before" "SELECT sum(messages) FROM otp.spend_daily"
clean
sql -c "UPDATE otp.countries SET price_estimate = NULL, price_unit = DEFAULT WHERE region = 'SA'"

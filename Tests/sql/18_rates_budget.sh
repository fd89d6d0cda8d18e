# Rates that all workers share, and the day's budget: the cost of a message, a tally that equals the sum for any concurrent
# writers, and the begin and end of the pause.
reset() { clean; sql -c "TRUNCATE otp.pauses, otp.worker_status, otp.spend_tally, otp.sender_rates" -c "UPDATE otp.settings SET daily_budget = NULL, budget_unit = 'USD', sends_per_second = NULL, timezone = 'Asia/Riyadh'" -c "DELETE FROM otp.countries WHERE region <> 'SA'" -c "UPDATE otp.countries SET price_estimate = NULL, price_unit = 'USD', expected_cost = 0.1, sender = NULL"; }
reset
for bad in "sends_per_second = 0" "sends_per_second = -1" "sends_per_second = 'NaN'" "sends_per_second = 'Infinity'" "daily_budget = 0" "daily_budget = -5" "daily_budget = 'NaN'" "daily_budget = 'Infinity'" "budget_unit = 'usd'" "budget_unit = NULL"; do
    check "no setting $bad" "" "$(sql -c "UPDATE otp.settings SET $bad RETURNING 'taken'" | grep -vE '^ERROR:  (23514|23502)')"
done
for bad in "'+123'" "'12'" "'Twelve-Chars'" "''" "'MG1-'"; do fails "no sender $bad" OT007 "INSERT INTO otp.sender_rates VALUES ($bad, 1)"; done
for bad in 0 -1 "'NaN'" NULL; do check "no rate $bad" "" "$(sql -c "INSERT INTO otp.sender_rates VALUES ('Mgask', $bad) RETURNING 'taken'" | grep -vE '^ERROR:  (23514|23502)')"; done
gives "senders of every kind have rates" "4" "INSERT INTO otp.sender_rates VALUES ('+15005550006', 0.5), ('Mgask', 10), ('12345', 1), ('MG0123456789abcdef0123456789abcdef', 100); SELECT count(*) FROM otp.sender_rates"
told() { psql -qXAt -d "$PGDATABASE" -c "LISTEN otp_catalog; LISTEN otp_send_jobs" "$@" | grep -oE 'otp_(catalog|send_jobs)' | paste -sd,; }
check "workers hear of a total" "otp_catalog" "$(told -c "UPDATE otp.settings SET sends_per_second = 40")"
check "and of each change of a sender's" "otp_catalog,otp_catalog,otp_send_jobs,otp_catalog,otp_send_jobs" "$(told -c "INSERT INTO otp.sender_rates VALUES ('A', 1)" -c "UPDATE otp.sender_rates SET sends_per_second = 2 WHERE sender = 'A'" -c "DELETE FROM otp.sender_rates WHERE sender = 'A'")"

# A worker that starts or stops notifies the others. A worker that continues does not.
beat() { echo "INSERT INTO otp.worker_status AS w (worker_id, host, pid, version, state) VALUES ($1, 'a', 1, '1', '$2') ON CONFLICT (worker_id) DO UPDATE SET heartbeat_at = now(), state = excluded.state"; }
check "a worker that begins" "otp_catalog" "$(told -c "$(beat 1 running)")"
check "and one that does not run yet" "" "$(told -c "$(beat 2 starting)" -c "$(beat 2 paused)")"
check "its heartbeats" "" "$(told -c "$(beat 1 running)" -c "$(beat 1 running)")"
check "its pause and its end" "otp_catalog,otp_catalog,otp_catalog" "$(told -c "$(beat 1 paused)" -c "$(beat 1 paused)" -c "$(beat 1 running)" -c "$(beat 1 draining)" -c "$(beat 1 stopped)")"
sql -c "$(beat 1 running)" -c "UPDATE otp.worker_status SET heartbeat_at = now() - interval '21 seconds'"
check "and that it is back" "otp_catalog" "$(told -c "$(beat 1 running)" -c "$(beat 1 running)")"
sql -c "UPDATE otp.settings SET sends_per_second = NULL" -c "TRUNCATE otp.sender_rates"
check "without rates nobody hears" "" "$(told -c "$(beat 1 paused)" -c "$(beat 1 running)" -c "$(beat 3 running)")"

# When a sender's rate changes, its deferred jobs are due at once. Other jobs stay as they are.
sql -c "INSERT INTO otp.sender_rates VALUES ('A', 1), ('B', 1)"
for n in 1 2 3 4; do sql -c "WITH v AS (INSERT INTO otp.verifications (subject, phone_number) VALUES ('r$n', '050123456$n') RETURNING id) INSERT INTO otp.send_jobs (verification_id) SELECT id FROM v"; done
sql -c "UPDATE otp.send_jobs j SET hold_kind = ('{rate,rate,pause,NULL}'::otp.hold_kind[])[n], hold_key = (ARRAY['A', 'B', 'country SA', NULL])[n], due_at = now() + interval '1 minute' FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM otp.send_jobs) o WHERE o.id = j.id"
sql -c "UPDATE otp.sender_rates SET sends_per_second = 2 WHERE sender = 'A'"
gives "a raised rate lets its own go" "1:t,2:f,3:f,4:f" "SELECT string_agg(n || ':' || CASE WHEN due THEN 't' ELSE 'f' END, ',' ORDER BY n) FROM (SELECT row_number() OVER (ORDER BY id) n, due_at <= clock_timestamp() AND hold_kind IS NULL AS due FROM otp.send_jobs) j"
sql -c "DELETE FROM otp.sender_rates"
gives "one that is removed too" "2" "SELECT count(*) FROM otp.send_jobs WHERE due_at <= clock_timestamp()"

# The cost of a message.
reset
sql -c "INSERT INTO otp.countries (region, expected_cost, price_estimate, price_unit) VALUES ('EG', 0.2, 0.3, 'EUR'), ('JO', 0.15, 0.25, 'USD')"
cost() { gives "$1" "$2" "SELECT otp.message_cost($3, c, '${5:-USD}') FROM otp.countries c WHERE region = '$4'"; }
cost "its price, in the budget's currency" 0.05 "'delivered', 1::smallint, -0.05, 'USD'" SA
cost "a price in another one is not converted" 0.1 "'delivered', 1::smallint, -0.05, 'EUR'" SA
cost "there the estimate counts, by segment" 0.50 "'sent', 2::smallint, -0.05, 'EUR'" JO
cost "before there is a price too" 0.25 "'queued', NULL, NULL, NULL" JO
cost "an estimate in another currency does not" 0.2 "'queued', 3::smallint, NULL, NULL" EG
cost "but in a budget of that one" 0.9 "'queued', 3::smallint, NULL, NULL" EG EUR
cost "what failed without a price is free" 0 "'failed', 1::smallint, NULL, NULL" JO
cost "with one it is not" 0.05 "'undelivered', 1::smallint, -0.05, 'USD'" JO
gives "a country that is gone costs its price or nothing" "0" "SELECT otp.message_cost('sent', 1::smallint, NULL, NULL, NULL, 'USD')"

# A call that nobody answers leaves the day's cost as it was, whichever comes first: its status, or its end at Twilio.
sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER ALL" -c "INSERT INTO otp.verifications (subject, purpose, e164, country, created_at, expires_at) VALUES ('ring', 'phone_verification', '+966501000001', 'SA', now(), now())" -c "ALTER TABLE otp.verifications ENABLE TRIGGER ALL" -c "UPDATE otp.settings SET daily_budget = 100"
for status in completed busy no-answer; do
    sql -c "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status, channel) SELECT otp.job_range(700000 + length('$status')), 'CA$status', 700000 + length('$status'), id, 1, true, now(), 'ringing', 'call' FROM otp.verifications WHERE subject = 'ring'"
    gives "a call that rings is expected to cost 0.2 ($status)" "0.2" "SELECT trim_scale(sum(amount)) FROM otp.spend_tally"
    sql -c "UPDATE otp.messages SET status = '$status' WHERE message_sid = 'CA$status'"
    gives "at its end: $status" "$([ "$status" = completed ] && echo 0.2 || echo 0)" "SELECT trim_scale(sum(amount)) FROM otp.spend_tally"
    sql -c "UPDATE otp.messages SET segments = 0 WHERE message_sid = 'CA$status'"
    gives "and after its poll: $status" "$([ "$status" = completed ] && echo 0.2 || echo 0)" "SELECT trim_scale(sum(amount)) FROM otp.spend_tally"
    sql -c "DELETE FROM otp.messages" -c "TRUNCATE otp.spend_tally"
done
sql -c "UPDATE otp.settings SET daily_budget = NULL" -c "DELETE FROM otp.verifications"

# The tally equals the sum.
sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER ALL" -c "INSERT INTO otp.verifications (subject, purpose, e164, country, created_at, expires_at) SELECT 'b' || n, 'phone_verification', '+966501000001', (ARRAY['SA', 'EG', 'JO'])[n], now(), now() FROM generate_series(1, 3) n" -c "ALTER TABLE otp.verifications ENABLE TRIGGER ALL"
echo 0 >"$work/serial"
messages() {    # subject, count, status, segments, price, price_unit, accepted
    local serial=$(($(cat "$work/serial") + 1000))
    echo $serial >"$work/serial"
    echo "INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, accepted_at, status, segments, price, price_unit) SELECT otp.job_range($serial + n), 'SMtally' || $serial + n, $serial + n, id, 1, true, now(), ${7:-now()}, '$3', $4, $5, $6 FROM otp.verifications, generate_series(1, $2) n WHERE subject = '$1'"
}
by_hand="SELECT coalesce(sum(otp.message_cost(m.status, m.segments, m.price, m.price_unit, c, s.budget_unit)), 0) FROM otp.settings s CROSS JOIN otp.messages m LEFT JOIN otp.verifications v ON v.id = m.verification_id LEFT JOIN otp.countries c ON c.region = v.country WHERE (m.accepted_at AT TIME ZONE s.timezone)::date = (now() AT TIME ZONE s.timezone)::date"
agrees() { gives "the tally agrees: $1" "$2|t" "SELECT trim_scale(t.amount), t.amount = ($by_hand) FROM (SELECT coalesce(sum(amount), 0) AS amount FROM otp.spend_tally WHERE day = (now() AT TIME ZONE 'Asia/Riyadh')::date) t"; }
sql -c "$(messages b1 5 sent 1 NULL NULL)" -c "$(messages b1 2 delivered 1 -0.05 "'USD'")" -c "$(messages b3 3 sent 2 NULL NULL)" -c "$(messages b1 9 sent 1 NULL NULL "now() - interval '1 day'")"
gives "without a budget nothing is tallied" "0" "SELECT count(*) FROM otp.spend_tally"
sql -c "UPDATE otp.settings SET daily_budget = 1000"
agrees "a budget adds the day up once" "2.1"
sql -c "$(messages b2 4 accepted NULL NULL NULL)" -c "$(messages b3 2 queued 1 NULL NULL)"
agrees "then each message as it comes" "3.4"
sql -c "UPDATE otp.messages SET price = -0.07, price_unit = 'USD' WHERE message_sid LIKE 'SMtally100_'"
agrees "a price replaces the estimate" "3.25"
sql -c "UPDATE otp.messages SET price = -0.07 WHERE message_sid LIKE 'SMtally100_'" -c "UPDATE otp.messages SET status = 'delivered', final_at = now() WHERE message_sid LIKE 'SMtally300_'" -c "UPDATE otp.messages SET polls = polls + 1"
agrees "what changes no cost changes nothing" "3.25"
sql -c "UPDATE otp.messages SET segments = 2 WHERE message_sid LIKE 'SMtally600_'" -c "UPDATE otp.messages SET status = 'failed' WHERE message_sid = 'SMtally3001'"
agrees "segments and a failure do" "3.25"
sql -c "UPDATE otp.messages SET price = -50, price_unit = 'USD' WHERE accepted_at < now() - interval '20 hours'"
agrees "a price of yesterday does not" "3.25"
gives "nor does it leave a row of its own" "1" "SELECT count(DISTINCT day) FROM otp.spend_tally"
sql -c "UPDATE otp.countries SET price_estimate = 1, price_unit = 'USD'"
agrees "other estimates count for the whole day" "12.45"
sql -c "UPDATE otp.settings SET budget_unit = 'EUR'"
gives "another currency adds the day up again" "t" "SELECT (SELECT sum(amount) FROM otp.spend_tally) = ($by_hand)"
sql -c "UPDATE otp.settings SET daily_budget = 2000"
gives "another amount does not have to" "t" "SELECT (SELECT sum(amount) FROM otp.spend_tally) = ($by_hand)"
sql -c "UPDATE otp.settings SET daily_budget = NULL"
gives "without a budget there is no tally" "0" "SELECT count(*) FROM otp.spend_tally"

# With several writers while a budget is set, each message counts once.
reset
sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER ALL" -c "INSERT INTO otp.verifications (subject, purpose, e164, country, created_at, expires_at) VALUES ('b1', 'phone_verification', '+966501000001', 'SA', now(), now())" -c "ALTER TABLE otp.verifications ENABLE TRIGGER ALL"
for n in $(seq 60); do messages b1 3 sent 1 NULL NULL; echo ";"; done >"$work/first"
sed 's/SMtally/SMother/; s/, 1, true, /, 1, false, /' "$work/first" >"$work/second"
(psql -qXAt -d "$PGDATABASE" -f "$work/first") & (psql -qXAt -d "$PGDATABASE" -f "$work/second") &
for n in $(seq 12); do sql -c "UPDATE otp.settings SET daily_budget = CASE WHEN daily_budget IS NULL THEN 1000 + $n END"; done
sql -c "UPDATE otp.settings SET daily_budget = 5000"; wait
gives "all were written" "360" "SELECT count(*) FROM otp.messages"
agrees "with writers at work" "36"

# The change waits for a message that is written and not committed yet.
day() { sql -c "UPDATE otp.settings SET daily_budget = $1"; }
day NULL; mkfifo "$work/write"
(psql -qXAt -d "$PGDATABASE" -c "BEGIN" -c "$(messages b1 1 sent 1 NULL NULL)" -c "\\! touch $work/written; cat $work/write >/dev/null" -c "COMMIT") &
until [ -e "$work/written" ]; do sleep 0.01; done
(day 5000; touch "$work/set") &
until [ -e "$work/set" ] || sql -c "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()" | grep -q 1; do :; done
echo go >"$work/write"; wait
agrees "with one who was before it" "36.1"
sql -c "DELETE FROM otp.messages WHERE message_sid = 'SMtally$(($(cat "$work/serial") + 1))'"; day NULL

# Begin and end of the pause.
state() { sql -c "SELECT coalesce((SELECT name FROM otp.pauses), 'none')"; }
day 36.01; check "below the budget there is no pause" none "$(state)"
gives "and no end of it" "" "SELECT otp.check_budget()"
check "nobody is told of what changes nothing" "" "$(told -c "SELECT otp.check_budget()" -c "UPDATE otp.messages SET segments = 1 WHERE segments IS NULL" -c "UPDATE otp.messages SET segments = 2 WHERE message_sid LIKE 'SMother%'")"
sql -c "INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status) SELECT 'SMlast', 9, id, 1, true, now(), 'queued' FROM otp.verifications"
check "the message that reaches it begins one, in its own transaction" budget "$(state)"
gives "that says why and what to do" "The budget of 36.01 USD for today is used up: 36.1 USD spent or expected.|Raise otp.settings.daily_budget, or wait: sending resumes by itself at 00:00 Asia/Riyadh.|t" "SELECT reason, remedy, next_probe_at IS NULL FROM otp.pause_status WHERE scope = 'budget'"
gives "check_budget knows when it ends" "t" "SELECT abs(otp.check_budget() - extract(epoch FROM ((now() AT TIME ZONE 'Asia/Riyadh')::date + 1)::timestamp AT TIME ZONE 'Asia/Riyadh' - now())) < 1"
sql -c "UPDATE otp.messages SET price = -0.01, price_unit = 'USD' WHERE message_sid LIKE 'SMtally%'"
check "a price that turns out lower does not end it" budget "$(state)"
day 10; check "a lower budget goes on with it" budget "$(state)"
gives "in its own words" "t" "SELECT reason LIKE 'The budget of 10 USD%' FROM otp.pauses"
check "workers hear of a raise" "otp_catalog,otp_send_jobs" "$(told -c "UPDATE otp.settings SET daily_budget = 50" | tr , '\n' | sort -u | paste -sd,)"
check "which ends it" none "$(state)"
day 10; day NULL; check "so does no budget" none "$(state)"
day 10; sql -c "UPDATE otp.pauses SET since = since - interval '1 day'" -c "UPDATE otp.spend_tally SET day = day - 1" -c "SELECT otp.check_budget()" >/dev/null
check "and another day" none "$(state)"
sql -c "UPDATE otp.messages SET price = -20, price_unit = 'USD' WHERE message_sid = 'SMlast'"
check "a price that turns out higher begins one" budget "$(state)"
sql -c "DELETE FROM otp.pauses" -c "SELECT otp.check_budget()" >/dev/null
check "who deletes it finds it again" budget "$(state)"
reset

# The roles that may do this.
fails "a monitor changes no budget" 42501 "SET ROLE otp_monitor; UPDATE otp.settings SET daily_budget = 1"
fails "a worker changes no rate" 42501 "SET ROLE otp_worker; INSERT INTO otp.sender_rates VALUES ('A', 1)"
check "an admin does, without a right to messages" "budget" "$(sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER ALL" -c "INSERT INTO otp.verifications (subject, purpose, e164, country, created_at, expires_at) VALUES ('b1', 'phone_verification', '+966501000001', 'SA', now(), now())" -c "ALTER TABLE otp.verifications ENABLE TRIGGER ALL"; sql -c "$(messages b1 3 sent 1 NULL NULL)" -c "SET ROLE otp_admin" -c "INSERT INTO otp.sender_rates VALUES ('A', 1)" -c "UPDATE otp.sender_rates SET sends_per_second = 2" -c "DELETE FROM otp.sender_rates" -c "UPDATE otp.settings SET daily_budget = 0.3"; state)"
check "a worker tallies, begins and ends" "none|1000.4|budget" "$(sql -c "SET ROLE otp_admin" -c "UPDATE otp.settings SET daily_budget = 1000"; sql -c "SET ROLE otp_worker" -c "$(messages b1 1 sent 1 NULL NULL | sed 's/FROM otp.verifications,/FROM (SELECT id, subject FROM otp.verifications) v,/')"; a=$(state); sql -c "SET ROLE otp_worker" -c "UPDATE otp.messages SET price = -1000.1, price_unit = 'USD' WHERE message_sid = 'SMtally$(($(cat "$work/serial") + 1))'"; b=$(sql -c "SELECT sum(amount) FROM otp.spend_tally"); echo "$a|$b|$(state)")"
reset

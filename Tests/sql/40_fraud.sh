# Fraud: keys whose codes are sent and never used are held. The claim judges, the insert refuses what is held already.
claimed="SELECT coalesce(array_agg((j.id, v.e164, v.country, v.client_ip, j.channel, v.created_at)::otp.claimed_send ORDER BY j.id), '{}') FROM otp.send_jobs j JOIN otp.verifications v ON v.id = j.verification_id WHERE j.state = 'queued'"
# A worker claims all jobs: it judges them, and the rest becomes messages. Prints how many were sent, and how many not.
work() {
    sql <<SQL
CREATE TEMP TABLE judged AS SELECT (j.judgement).* FROM (SELECT otp.judge_sends(($claimed)) AS judgement OFFSET 0) j;
WITH j AS (DELETE FROM otp.send_jobs WHERE state = 'queued' RETURNING *)
INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status, channel)
SELECT 'SM' || lpad(id::text, 32, '0'), id, verification_id, 1, true, requested_at, 'queued', channel FROM j;
SQL
}
sql -c "TRUNCATE otp.limits" -c "INSERT INTO otp.limits SELECT * FROM shipped_limits" -c "UPDATE otp.countries SET expected_cost = 0.1"
fresh() { clean; sql -c "TRUNCATE otp.fraud_counts, otp.fraud_holds, otp.fraud_decisions, otp.uncounted_codes, otp.fraud_exceptions, otp.networks, otp.number_risks"; }
# Requests for numbers that are not near each other, each from one address of a network of its own.
request_many() {    # subject, count, first network, host of the address
    sql -c "SELECT count(*) FROM generate_series(1, $2) n, LATERAL otp.request('$1-' || n, '+96655' || (n * 79 % 900 + 100) || lpad((n * 104729 % 10000)::text, 4, '0'), client_ip => format('203.%s.%s.%s', ($3 + n) / 250, ($3 + n) % 250, ${4:-1})::inet)"
}
sent() { sql -c "SELECT count(*) FROM otp.messages"; }
limited() { sql -c "SELECT count(*) FROM otp.unsent_jobs WHERE state = 'limited'"; }
review() { sql -c "SELECT counted || ' ' || ended || ' ' || held FROM otp.review_fraud(clock_timestamp()${1:+ + interval '$1'})"; }
score() { sql -c "SELECT score FROM otp.fraud_counts WHERE scope = '$1' AND key = '$2'"; }
holds() { sql -c "SELECT string_agg(concat_ws(' ', scope, key), ',' ORDER BY scope, key) FROM otp.fraud_holds"; }
use() {             # subject: its newest code is used
    sql -c "SELECT otp.note_use((SELECT max(id) FROM otp.verifications WHERE subject = '$1'), NULL)" >/dev/null
}

# The keys.
for pair in '203.0.113.9 203.0.113.0/24' '::ffff:203.0.113.9 203.0.113.0/24' '2001:db8:1:2:3::4 2001:db8:1::/48' '8.1.2.3/8 8.1.2.0/24' '172.15.9.9 172.15.9.0/24'; do
    gives "the network of ${pair% *}" "${pair#* }" "SELECT otp.network_key('${pair% *}')"
done
gives "no address, no network" "" "SELECT otp.network_key(NULL)"
gives "nor has an address of a private network or of this machine" "0" "SELECT count(otp.network_key(a)) FROM unnest('{127.0.0.1,10.1.2.3,172.16.0.1,172.31.255.255,192.168.1.1,100.64.0.1,169.254.1.1,::ffff:10.1.2.3,::1,fc00::1,fd12::1,fe80::1}'::inet[]) a"
sent_for() { sql -c "SELECT string_agg(scope || ' ' || key, ',' ORDER BY scope, key) FROM otp.fraud_keys(ARRAY[(1, '+966501234567', 'SA', $1, 'sms', now())::otp.claimed_send])"; }
fresh
check "a text of a new network counts for these" "all ,block +96650123xxxx,block +966501xxxxxx,country SA,network 203.0.113.0/24" "$(sent_for "'203.0.113.9'")"
check "one without an address for these" "block +96650123xxxx,block +966501xxxxxx,no_address ,no_address SA" "$(sent_for NULL)"
sql -c "INSERT INTO otp.networks VALUES ('203.0.0.0/8', 64500, 'wide'), ('203.0.113.0/25', 64501, 'narrow')"
check "a table of systems adds the nearest one" "all ,asn AS64501,block +96650123xxxx,block +966501xxxxxx,country SA,network 203.0.113.0/24" "$(sent_for "'203.0.113.9'")"
sql -c "INSERT INTO otp.fraud_counts (scope, key, day, hour, proven_at) VALUES ('network', '203.0.113.0/24', $today, now(), now() - interval '1 hour')"
check "one of a proven network counts for it alone" "network 203.0.113.0/24" "$(sent_for "'203.0.113.9'")"

# An attack on a new installation.
fresh; request_many attack 28 0 >/dev/null; work
check "28 texts leave" "28|0|" "$(sent)|$(limited)|$(holds)"
check "the score is their number" "28|28|28" "$(score country SA)|$(score all '')|$(sql -c "SELECT sum(score) FROM otp.fraud_counts WHERE scope = 'network'")"
request_many again 100 100 >/dev/null; work
check "of a burst of a hundred, those leave that fill the allowance, and the next from new networks" "48|80" "$(sent)|$(limited)"
check "and the country and all together are held" "all ,country SA" "$(holds)"
gives "each decision has its figures" "all||held|30|128|0,country|SA|held|30|128|0" "SELECT string_agg(concat_ws('|', scope, key, decision, allowed, sent_today, used_today), ',' ORDER BY scope) FROM otp.fraud_decisions"
gives "and says them" "2" "SELECT count(*) FROM otp.fraud_decisions WHERE explanation LIKE '128 texts are out whose codes were not used; 30 are allowed.%'"
gives "the jobs that did not leave say why" "80" "SELECT count(*) FROM otp.unsent_jobs WHERE error LIKE 'The text was held back%' AND remedy LIKE '%otp.fraud_status%' AND error_class = 'limited'"

# While it is held. (Without probes, chance has no part.)
sql -c "UPDATE otp.fraud_counts SET probes = 2"
says "a request of a network that has had its first text is refused, and says so" "no code is sent for now: codes that were sent before to (new networks and numbers of this country|new networks and numbers) were not used" \
    "SELECT otp.request('second', '0551112222', client_ip => '203.0.28.7')"
says "with its scope, and when to ask again" "retry_after=[0-9]+ window=86400 scope=fraud" "SELECT otp.request('second', '0551112222', client_ip => '203.0.28.7')"
gives "and counted" "t" "SELECT refused >= 2 FROM otp.refusals WHERE scope = 'fraud'"
check "the first of a new network passes" "1" "$(sql -c "SELECT count(*) FROM otp.request('new', '0551112223', client_ip => '198.51.100.1')")"
sql -c "DELETE FROM otp.send_jobs" -c "UPDATE otp.fraud_counts SET score = 50, held_sent = 6 WHERE scope = 'country'"
fails "but not when twenty came beyond the allowance, and six in this hour" OT001 "SELECT otp.request('new', '0551112223', client_ip => '198.51.100.1')"
check "one in twenty may ask" "t" "$(sql <<'SQL' | tail -1
SELECT setseed(0.25);
UPDATE otp.fraud_counts SET probes = 0, held_sent = 0;
CREATE FUNCTION pg_temp.may() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM otp.refuse_held(''+966551112224'', ''SA'', ''203.0.28.8''); RETURN true; EXCEPTION WHEN SQLSTATE ''OT001'' THEN RETURN false; END';
SELECT count(*) FILTER (WHERE pg_temp.may()) BETWEEN 1 AND 20 FROM generate_series(1, 2000);
SQL
)"
sql -c "UPDATE otp.fraud_counts SET probes = 2"
sql -c "INSERT INTO otp.fraud_counts (scope, key, day, hour, proven_at, used_today) VALUES ('network', '198.18.0.0/24', $today, now(), now() - interval '1 hour', 3)"
check "a request of a proven network passes" "1" "$(sql -c "SELECT count(*) FROM otp.request('proven', '0551112225', client_ip => '198.18.0.9')")"
before=$(sent); work
check "and leaves" "$((before + 1))" "$(sent)"
sql -c "INSERT INTO otp.verified_before (subject, purpose, e164, verified_at) VALUES ('someone', 'phone_verification', '+966551112226', now())"
check "a phone number that used a code before passes from anywhere" "1" "$(sql -c "SELECT count(*) FROM otp.request('known', '0551112226', client_ip => '203.0.28.7')")"
work; check "and leaves" "$((before + 2))" "$(sent)"
sql -c "INSERT INTO otp.purposes (purpose, allows_email) VALUES ('phone_verification', true)"
check "e-mail is not held" "1" "$(sql -c "SELECT count(*) FROM otp.request('mail', '0551112227', client_ip => '203.0.28.7', channel => 'email', email => 'a@example.com')")"
sql -c "DELETE FROM otp.purposes" -c "DELETE FROM otp.send_jobs"
gives "an exception for a network lets it pass" "1" "INSERT INTO otp.fraud_exceptions (scope, key) VALUES ('network', '203.0.28.0/24'); SELECT count(*) FROM otp.request('excepted', '0551112228', client_ip => '203.0.28.7')"
work; check "and its texts are not counted" "2" "$(sql -c "SELECT sent_today FROM otp.fraud_counts WHERE scope = 'network' AND key = '203.0.28.0/24'")"
gives "so does one for first digits" "1" "INSERT INTO otp.fraud_exceptions (scope, key) VALUES ('block', '+966559'); SELECT count(*) FROM otp.request('excepted 2', '0559112228', client_ip => '203.0.28.7')"
gives "and for a country" "1" "INSERT INTO otp.fraud_exceptions (scope, key) VALUES ('country', 'SA'); SELECT count(*) FROM otp.request('excepted 3', '0551112229', client_ip => '203.0.28.7')"
sql -c "TRUNCATE otp.fraud_exceptions" -c "DELETE FROM otp.send_jobs"
gives "what is held is shown with its remedy" "all||t|t,country|SA|t|t" "SELECT string_agg(concat_ws('|', scope, key, is_enforced, remedy LIKE '%otp.end_hold(%'), ',' ORDER BY scope) FROM otp.fraud_status"

# The end of a hold.
sql -c "UPDATE otp.fraud_counts SET held_sent = 20, held_used = 0"
check "a hold lasts ten minutes" "0 0 2" "$(review '9 minutes')"
check "while many requests are refused, it goes on" "0 0 2" "$(sql -c "SELECT count(nextval('otp.refused_fraud')) FROM generate_series(1, 100)" >/dev/null; review '11 minutes')"
sql -c "UPDATE otp.fraud_holds SET window_refused = (SELECT last_value FROM otp.refused_fraud)"
check "while the texts that were let through are not used, too" "0 0 2" "$(review '11 minutes')"
sql -c "UPDATE otp.fraud_counts SET held_used = held_sent / 2"
check "then it ends" "0 2 0" "$(review '11 minutes')"
check "with half the allowance, so that an attack that goes on is held again sooner" "15|15" "$(score country SA)|$(score all '')"
gives "which is a decision with its figures" "2" "SELECT count(*) FROM otp.fraud_decisions WHERE decision = 'ended' AND explanation LIKE 'Of the % texts that were let through lately, % were used%'"
request_many third 20 400 >/dev/null; work
check "the next hold of the day lasts four times as long" "40" "$(sql -c "SELECT round(extract(epoch FROM until - since) / 60) FROM otp.fraud_holds WHERE scope = 'country'")"
gives "an operator ends it" "t" "SET ROLE otp_admin; SELECT otp.end_hold('country', 'SA') AND otp.end_hold('all', '')"
check "at the next review" "0 2 0" "$(review)"
check "from zero" "0" "$(score country SA)"
gives "what is not held cannot be ended" "f" "SET ROLE otp_admin; SELECT otp.end_hold('country', 'SA')"

# Used codes.
fresh; request_many user 10 0 >/dev/null; work
for n in 1 2 3; do use "user-$n"; done
check "a worker counts the codes that were used" "3 0 0" "$(review)"
check "each takes back its text and one more" "4|4" "$(score country SA)|$(score all '')"
gives "and proves its network" "3" "SELECT count(*) FROM otp.fraud_counts WHERE scope = 'network' AND proven_at IS NOT NULL AND used_today = 1"
for n in 4 5 6; do use "user-$n"; done; review >/dev/null
check "a score is never below zero" "0" "$(score country SA)"
sql -c "SELECT otp.request('user-1', '0551119999', client_ip => '203.0.1.1')" >/dev/null; work
check "a text of a proven network does not count for its country" "0|1" "$(score country SA)|$(score network 203.0.1.0/24)"
gives "verify notes the use itself" "t" "INSERT INTO otp.verifications (subject, phone_number, code, client_ip) VALUES ('own', '0551118888', '246810', '203.0.250.1'); SELECT otp.verify('own', '246810')" | tail -1
check "and a worker counts it" "1 0 0" "$(review)"
gives "a code that also went by e-mail proves nothing" "" "SELECT otp.note_use(1, '{email}')"
check "so it is not noted" "0" "$(sql -c "SELECT count(*) FROM otp.uncounted_codes")"

# Texts that did not leave.
fresh; request_many gone 10 0 >/dev/null
sql -c "SELECT otp.judge_sends(($claimed))" -c "WITH j AS (DELETE FROM otp.send_jobs RETURNING *) INSERT INTO otp.unsent_jobs (send_job_id, verification_id, channel, state, attempts, requested_at) SELECT id, verification_id, channel, 'failed', 1, requested_at FROM j" >/dev/null
check "jobs that fail are counted back" "10 0 0" "$(review)"
check "to zero" "0|0" "$(score country SA)|$(score all '')"

# A network.
fresh; sql -c "INSERT INTO otp.fraud_counts (scope, key, day, hour, proven_at, peak_day) VALUES ('network', '198.18.0.0/24', $today, now(), now() - interval '1 hour', 4)"
sql -c "SELECT count(*) FROM generate_series(1, 12) n, LATERAL otp.request('bad-' || n, '055' || (n * 77 % 900 + 100) || '1234', client_ip => '198.18.0.9')" >/dev/null; work
check "a proven network may have twice as many unused as on its greatest day, and two probes" "10|2|network 198.18.0.0/24" "$(sent)|$(limited)|$(holds)"
check "then it is proven no longer" "t" "$(sql -c "SELECT proven_at IS NULL FROM otp.fraud_counts WHERE scope = 'network'")"

# observe and refuse.
fresh; sql -c "UPDATE otp.settings SET fraud_action = 'observe'"; request_many seen 60 0 >/dev/null; work
check "observe records, and lets everything pass" "60|0|all ,country SA|observed" "$(sent)|$(limited)|$(holds)|$(sql -c "SELECT DISTINCT decision FROM otp.fraud_decisions")"
check "requests too" "1" "$(sql -c "SELECT count(*) FROM otp.request('seen-61', '0551117777', client_ip => '203.0.3.3')")"
sql -c "UPDATE otp.settings SET fraud_action = 'refuse'"; review >/dev/null
says "refuse takes over at the next review" "no code is sent for now" "SELECT otp.request('seen-62', '0551117778', client_ip => '198.51.100.9')"
fresh; request_many none 60 0 >/dev/null; work
check "refuse lets only the allowance pass" "30|30" "$(sent)|$(limited)"
sql -c "UPDATE otp.settings SET fraud_action = 'hold'"

# The risk of numbers, by Twilio's Lookup.
risk() { sql -c "SELECT string_agg(concat_ws('|', coalesce(score::text, 'none'), looked_up_at > now() - interval '1 minute'), ',' ORDER BY score NULLS FIRST) FROM otp.number_risks"; }
judge() { sql -c "SELECT concat_ws('|', coalesce(cardinality((j.judgement).refused), 0), coalesce(cardinality((j.judgement).suspicious), 0), (j.judgement).max_risk_score) FROM (SELECT otp.judge_sends(($claimed)) AS judgement OFFSET 0) j"; }
ask() { sql -c "SELECT count(*) FROM otp.request('$1', '$2', client_ip => '$3')" >/dev/null; }
fresh; request_many look 30 0 >/dev/null; work
check "while nothing is held, nothing is to be looked up" "30|" "$(sent)|$(risk)"
request_many more 1 200 >/dev/null
check "and by default nothing is, either" "0|0|90" "$(judge)"
check "so no number is written down" "" "$(risk)"
sql -c "UPDATE otp.risk_check_counts SET checks = 0"
fresh; sql -c "UPDATE otp.settings SET lookup_suspicious = true"
request_many look 28 0 >/dev/null; work
request_many more 5 200 >/dev/null; ask known 0551112226 198.51.100.77
sql -c "INSERT INTO otp.verified_before (subject, purpose, e164, verified_at) VALUES ('someone', 'phone_verification', '+966551112226', now()) ON CONFLICT DO NOTHING"
check "the first of new networks are looked up, and neither those with room nor known numbers" "3" "$(judge | cut -d'|' -f2)"
check "their numbers are written down before Twilio is asked" "none|t,none|t,none|t" "$(risk)"
gives "as hashes" "0" "SELECT count(*) FROM otp.number_risks WHERE key LIKE '%966%'"
check "a second text to the same number needs none" "0" "$(judge | cut -d'|' -f2)"
sql -c "DELETE FROM otp.send_jobs" -c "UPDATE otp.fraud_counts SET score = CASE WHEN scope IN ('country', 'all') THEN 30 ELSE 0 END, held_sent = 0, probes = 2"
sql -c "SET ROLE otp_worker; SELECT otp.record_risk_checks(ARRAY[v.id, v.id, v.id], '{refused,unknown,failed}', ARRAY[97, NULL, NULL]::int[]) FROM otp.verifications v WHERE subject = 'more-5'" >/dev/null
check "a worker records the score" "none|t,none|t,97|t" "$(risk)"
gives "and counts how the checks ended" "failed 1,passed 0,refused 1,unknown 1" "SELECT string_agg(outcome || ' ' || checks, ',' ORDER BY outcome) FROM otp.risk_check_counts"
number=$(sql -c "SELECT e164 FROM otp.verifications WHERE subject = 'more-5'")
ask again "$number" 198.51.99.9
held=$(sql -c "SELECT held_sent FROM otp.fraud_counts WHERE scope = 'country'"); before=$(score country SA)
check "the claim itself ends a text to a number whose risk is known to be too high" "1|0|90" "$(judge)"
gives "says why, and what to do" "1" "SELECT count(*) FROM otp.unsent_jobs WHERE state = 'limited' AND error LIKE 'Twilio rates the risk%' AND remedy LIKE '%otp.fraud_exceptions%max_risk_score%' AND error_class = 'limited'"
check "and counts it for nothing" "$before|$held" "$(score country SA)|$(sql -c "SELECT held_sent FROM otp.fraud_counts WHERE scope = 'country'")"
sql -c "UPDATE otp.settings SET max_risk_score = 97"; ask third "$number" 198.51.101.9
check "a score that is not above the highest is not too high, and asks no second time" "0|0|97" "$(judge)"
sql -c "DELETE FROM otp.send_jobs" -c "UPDATE otp.settings SET max_risk_score = DEFAULT" -c "UPDATE otp.number_risks SET looked_up_at = now() - interval '25 hours'" -c "UPDATE otp.fraud_counts SET held_sent = 0"; ask fourth "$number" 198.51.102.9
check "after a day it is looked up again" "0|1|90" "$(judge)"
check "and its old score counts no longer" "none|f,none|f,none|t" "$(risk)"
gives "the holds say how many numbers were looked up" "2" "SELECT count(*) FROM otp.fraud_status WHERE explanation LIKE '% Numbers of texts that pass are looked up at Twilio: 1 in the last 24 hours, 200 are allowed, and 0 were too risky.'"
sql -c "UPDATE otp.settings SET lookups_per_day = 2" -c "UPDATE otp.fraud_counts SET held_sent = 0" -c "DELETE FROM otp.send_jobs"; request_many cap 3 300 >/dev/null
check "beyond the count of a day, texts pass without" "0|1|90" "$(judge)"
check "and no more numbers are written down" "2" "$(sql -c "SELECT looked_up FROM otp.risk_check_use")"
sql -c "UPDATE otp.settings SET lookups_per_day = DEFAULT" -c "UPDATE otp.fraud_counts SET held_sent = 7" -c "DELETE FROM otp.send_jobs"
sql -c "WITH v AS (SELECT id FROM otp.verifications WHERE subject = 'cap-1') INSERT INTO otp.unsent_jobs (send_job_id, verification_id, channel, state, attempts, requested_at) SELECT -1, id, 'sms', 'limited', 1, now() FROM v"
before=$(score country SA)
check "a text that a worker refused is counted back" "1" "$(review | cut -d' ' -f1)"
check "from the score, and from those that were let through" "$((before - 1))|6" "$(score country SA)|$(sql -c "SELECT held_sent FROM otp.fraud_counts WHERE scope = 'country'")"
sql -c "UPDATE otp.maintenance SET pruned_at = '-infinity'" -c "SELECT otp.prune()" >/dev/null
check "a prune deletes numbers after a day" "none|t,none|t" "$(risk)"
gives "a forgotten phone number loses its row" "1" "SELECT removed FROM otp.forget_phone('$number') WHERE relation = 'number_risks'"
for action in observe refuse; do
    fresh; sql -c "UPDATE otp.settings SET fraud_action = '$action'"; request_many "look-$action" 40 0 >/dev/null
    check "with the action $action nothing is looked up" "0" "$(judge | cut -d'|' -f2)"
done
sql -c "UPDATE otp.settings SET fraud_action = DEFAULT, lookup_suspicious = DEFAULT" -c "DELETE FROM otp.verified_before" -c "UPDATE otp.risk_check_counts SET checks = 0"

# The total and the budget.
gives "the limits that follow the usual traffic" "total|1000||3,budget||100|3" "SELECT string_agg(concat_ws('|', scope, coalesce(max_sends::text, ''), coalesce(max_cost::text, ''), times_usual), ',' ORDER BY scope DESC) FROM otp.limits WHERE times_usual IS NOT NULL"
fresh; sql -c "UPDATE otp.limits SET max_sends = 20 WHERE scope = 'total' AND times_usual IS NOT NULL"
request_many total 25 0 >/dev/null; work
check "sends beyond the total end as limited" "20|5|total " "$(sent)|$(limited)|$(holds)"
says "and requests are refused until midnight" "too many codes for this service: 20 are allowed in 1 day" "SELECT otp.request('total-26', '0551116666')"
gives "the limit is shown as used up" "total|20|20|t" "SELECT concat_ws('|', scope, used, allowed, used_up_until > now()) FROM otp.limit_status WHERE scope = 'total'"
for n in 1 2 3 4 5; do use "total-$n"; done; review >/dev/null
check "used codes raise it" "25|" "$(sql -c "SELECT allowed FROM otp.limit_status WHERE scope = 'total'")|$(holds)"
sql -c "UPDATE otp.fraud_counts SET peak_day = 100 WHERE scope = 'sends'"
check "and so does the greatest day of the past" "300" "$(sql -c "SELECT allowed FROM otp.limit_status WHERE scope = 'total'")"
fresh; sql -c "UPDATE otp.limits SET max_sends = 1000 WHERE scope = 'total' AND times_usual IS NOT NULL" -c "UPDATE otp.limits SET max_cost = 1 WHERE scope = 'budget' AND times_usual IS NOT NULL"
request_many cost 15 0 >/dev/null; work
check "the budget counts what texts are expected to cost" "10|5|budget " "$(sent)|$(limited)|$(holds)"
sql -c "UPDATE otp.limits SET max_cost = 100 WHERE scope = 'budget' AND times_usual IS NOT NULL"

# The next days.
fresh; request_many day 20 0 >/dev/null; work; for n in 1 2 3 4; do use "day-$n"; done; review >/dev/null
gives "a new day halves the score, and the peaks fade" "6|0|0|3.8|19|3.8" "SELECT concat_ws('|', (t).score, (t).sent_today, (t).used_today, round((t).peak_day::numeric, 2)::real, round((t).sent_before::numeric, 2)::real, round((t).used_before::numeric, 2)::real) FROM (SELECT otp.fraud_turned(f, f.day + 1, f.hour + interval '1 day') AS t FROM otp.fraud_counts f WHERE scope = 'country') x"
gives "after two weeks without use a network is proven no longer" "t|f" "SELECT concat_ws('|', (otp.fraud_turned(f, f.day + 13, f.hour)).proven_at IS NOT NULL, (otp.fraud_turned(f, f.day + 15, f.hour)).proven_at IS NOT NULL) FROM otp.fraud_counts f WHERE scope = 'network' AND used_today = 1 LIMIT 1"
sql -c "UPDATE otp.fraud_counts SET day = day - 3, hour = hour - interval '3 days'"
request_many day 3 0 9 >/dev/null; work
gives "the claim turns the row" "3|0" "SELECT sent_today || '|' || used_today FROM otp.fraud_counts WHERE scope = 'sends'"
sql -c "UPDATE otp.fraud_counts SET day = day - 40" -c "UPDATE otp.maintenance SET pruned_at = '-infinity'"
sql -c "SELECT otp.prune()" >/dev/null
gives "a prune deletes keys that have been quiet" "0" "SELECT count(*) FROM otp.fraud_counts WHERE scope = 'block'"

# Without its rows in otp.limits nothing is counted or held.
fresh; sql -c "CREATE TABLE saved_limits AS SELECT * FROM otp.limits" -c "TRUNCATE otp.limits"
request_many free 60 0 >/dev/null
check "no code is noted" "f|0" "$(sql -c "SELECT otp.counts_use()")|$(use free-1; sql -c "SELECT count(*) FROM otp.uncounted_codes")"
sql -c "INSERT INTO otp.limits SELECT * FROM saved_limits" -c "DROP TABLE saved_limits"

# Who may do what.
for role in otp_web otp_monitor otp_admin; do fails "$role may not record risks" 42501 "SET ROLE $role; SELECT otp.record_risk_checks('{1}', '{passed}', '{1}')"; done
fails "a worker may not read the hashes of numbers" 42501 "SET ROLE otp_worker; SELECT * FROM otp.number_risks"
for role in otp_web otp_monitor; do
    fails "$role may not end a hold" 42501 "SET ROLE $role; SELECT otp.end_hold('all', '')"
    fails "$role may not add an exception" 42501 "SET ROLE $role; INSERT INTO otp.fraud_exceptions (scope, key) VALUES ('country', 'SA')"
done
fails "a backend may not read what is held" 42501 "SET ROLE otp_web; SELECT * FROM otp.fraud_status"
fails "an exception is a network" 23514 "INSERT INTO otp.fraud_exceptions (scope, key) VALUES ('network', '203.0.113.9')"
fresh

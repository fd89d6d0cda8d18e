# Send jobs: their owner, their order, and their limits.
verification jobs >/dev/null
v=$(sql -c "SELECT id FROM otp.verifications WHERE subject = 'jobs'")
gives "a job is queued" "queued|0|sms|t" "INSERT INTO otp.send_jobs (verification_id) VALUES ($v) RETURNING state, attempt, channel, expires_at = (SELECT expires_at FROM otp.verifications WHERE id = $v)"
gives "nobody inserts a job half done" "queued|0||" "INSERT INTO otp.send_jobs (verification_id, state, attempt, worker, last_error) VALUES ($v, 'sending', 9, 9, 'x') RETURNING state, attempt, worker, last_error"
fails "OT006 no such verification" OT006 "INSERT INTO otp.send_jobs (verification_id) VALUES (999999)"
fails "OT006 null" OT006 "INSERT INTO otp.send_jobs DEFAULT VALUES"
fails "OT007 channel" OT007 "INSERT INTO otp.send_jobs (verification_id, channel) VALUES ($v, 'pigeon')"
sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER before_update" >/dev/null
for dead in "expires_at = now() - interval '1 second'" "verified_at = now()" "canceled_at = now()" "attempts = 5"; do
    d=$(sql -c "INSERT INTO otp.verifications (subject, phone_number) VALUES ('dead', '0509999999') RETURNING id")
    sql -c "UPDATE otp.verifications SET $dead WHERE id = $d" >/dev/null
    fails "OT006 $dead" OT006 "INSERT INTO otp.send_jobs (verification_id) VALUES ($d)"
done
sql -c "ALTER TABLE otp.verifications ENABLE TRIGGER before_update" >/dev/null
old=$(sql -c "INSERT INTO otp.verifications (subject, phone_number) VALUES ('twice', '0508888888') RETURNING id")
sql -c "INSERT INTO otp.verifications (subject, phone_number) VALUES ('twice', '0508888888')"
fails "OT006 replaced by a newer one" OT006 "INSERT INTO otp.send_jobs (verification_id) VALUES ($old)"

clean; v=$(verification five)
fails "OT001 the sixth within five minutes" OT001 "INSERT INTO otp.send_jobs (verification_id) SELECT $v FROM generate_series(1, 6)"
gives "and none of that statement is left" "0|0" "SELECT (SELECT count(*) FROM otp.send_jobs), (SELECT count(*) FROM otp.send_counts)"
gives "five pass" "5" "WITH i AS (INSERT INTO otp.send_jobs (verification_id) SELECT $v FROM generate_series(1, 5) RETURNING 1) SELECT count(*) FROM i"
w=$(verification other "" "" '+966 50 123 4567')
fails "another spelling and subject count as the same phone" OT001 "INSERT INTO otp.send_jobs (verification_id) VALUES ($w)"
says "DETAIL can be parsed" "DETAIL:  retry_after=([1-9]|[1-9][0-9]|[12][0-9][0-9]|300) window=300 scope=phone" "INSERT INTO otp.send_jobs (verification_id) VALUES ($w)"
sql -c "UPDATE otp.send_counts SET sent_at = ARRAY(SELECT t - interval '150 seconds' FROM unnest(sent_at) t) WHERE scope = 'phone'"
says "the window slides" "retry_after=([1-9]|[1-9][0-9]|1[0-4][0-9]|150) " "INSERT INTO otp.send_jobs (verification_id) VALUES ($w)"
sql -c "UPDATE otp.send_counts SET sent_at = ARRAY(SELECT t - interval '150 seconds' FROM unnest(sent_at) t) WHERE scope = 'phone'"
gives "and lets pass again" "1" "WITH i AS (INSERT INTO otp.send_jobs (verification_id) VALUES ($w) RETURNING 1) SELECT count(*) FROM i"
sql -c "DELETE FROM otp.verifications" ; w=$(verification again)
sql -c "UPDATE otp.limits SET max_sends = 1 WHERE scope = 'phone' AND period = '5 minutes'"
fails "deleting codes resets nothing" OT001 "INSERT INTO otp.send_jobs (verification_id) VALUES ($w)"
sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER before_update" -c "UPDATE otp.verifications SET expires_at = now() - interval '1 second'" -c "ALTER TABLE otp.verifications ENABLE TRIGGER before_update"
w=$(verification again)
fails "expiring codes resets nothing" OT001 "INSERT INTO otp.send_jobs (verification_id) VALUES ($w)"
gives "nor canceling" t "SELECT otp.cancel($w, 'again')"
w=$(verification again)
fails "codes that were canceled count" OT001 "INSERT INTO otp.send_jobs (verification_id) VALUES ($w)"
sql -c "DELETE FROM otp.send_jobs" -c "UPDATE otp.settings SET keep_verifications = '1 day'" -c "SELECT otp.prune(every => '-1 second')" -c "UPDATE otp.settings SET keep_verifications = '90 days'" >/dev/null
fails "nor does pruning, or deleting the jobs" OT001 "INSERT INTO otp.send_jobs (verification_id) VALUES ($w)"
sql -c "UPDATE otp.limits SET max_sends = 5 WHERE scope = 'phone' AND period = '5 minutes'"
clean
fails "per client address" OT001 "UPDATE otp.limits SET max_sends = 2 WHERE scope = 'client_ip'; WITH v AS (INSERT INTO otp.verifications (subject, phone_number, client_ip) SELECT 'ip' || n, '050000000' || n, '192.0.2.7' FROM generate_series(1, 3) n RETURNING id) INSERT INTO otp.send_jobs (verification_id) SELECT id FROM v"

# IPv6: one client has a /64, and IPv4 mapped into IPv6 is IPv4.
gives "addresses that are one client" "192.0.2.7|192.0.2.7|192.0.2.7|2001:db8:1:2::/64|2001:db8:1:2::/64|::/64|" "SELECT otp.client_key('192.0.2.7'), otp.client_key('192.0.2.7/24'), otp.client_key('::ffff:192.0.2.7'), otp.client_key('2001:db8:1:2::1'), otp.client_key('2001:db8:1:2:ffff:ffff:ffff:ffff/48'), otp.client_key('::1'), otp.client_key(NULL)"
gives "255.255.255.255 and 0.0.0.0, mapped" "255.255.255.255|0.0.0.0" "SELECT otp.client_key('::ffff:255.255.255.255'), otp.client_key('::ffff:0.0.0.0/96')"
clean; sql -c "UPDATE otp.limits SET max_sends = 2 WHERE scope = 'client_ip'"
gives "two sends from one /64: when the next may go" "f|t" "SELECT a.resend_after > now() + '59 minutes', b.resend_after > now() + '59 minutes' FROM otp.request('v6 a', '0503000001', client_ip => '2001:db8::1') a, otp.request('v6 b', '0503000002', client_ip => '2001:db8::2') b"
fails "the third, with an address of its own again" OT001 "SELECT otp.request('v6 c', '0503000003', client_ip => '2001:db8::3')"
gives "the next /64 is somebody else" t "SELECT verification_id > 0 FROM otp.request('v6 d', '0503000004', client_ip => '2001:db8:0:1::1')"
sql -c "UPDATE otp.limits SET max_sends = 100 WHERE scope = 'client_ip'"

clean; v=$(verification race)
for n in $(seq 64); do (patient -c "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)" >"$work/race$n") & done; wait
gives "64 at once: exactly five sends" "5" "SELECT count(*) FROM otp.send_jobs"
gives "one of them has no earlier job: the first" "1|t" "SELECT count(*) FILTER (WHERE NOT has_predecessor), min(id) FILTER (WHERE NOT has_predecessor) = min(id) FROM otp.send_jobs"
check "the other 59 hear OT001" "59" "$(cat "$work"/race* | grep -c OT001)"
clean; v=$(verification race2)
for n in $(seq 64); do (for try in $(seq 80); do patient -c "BEGIN ISOLATION LEVEL REPEATABLE READ" -c "SELECT 1" -c "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)" -c COMMIT >"$work/rr$n"; grep -qE '40001|40P01' "$work/rr$n" || break; done) & done; wait
gives "64 at once under REPEATABLE READ, retrying: exactly five" "5" "SELECT count(*) FROM otp.send_jobs"
gives "of these each may have: no snapshot tells" "t" "SELECT bool_and(has_predecessor) FROM otp.send_jobs"
check "the other 59 hear OT001 there too" "59" "$(cat "$work"/rr* | grep -c OT001)"
gives "ids of a verification grow as they commit" "t" "SELECT bool_and(ordered) FROM (SELECT requested_at >= lag(requested_at, 1, requested_at) OVER (ORDER BY id) ordered FROM otp.send_jobs) x"
clean; v=$(verification earlier)
gives "which has an earlier job, in one statement" "f,t,t" "WITH i AS (INSERT INTO otp.send_jobs (verification_id) VALUES ($v), ($v), ($v) RETURNING id, has_predecessor) SELECT string_agg(has_predecessor::text, ',' ORDER BY id) FROM (SELECT id, left(has_predecessor::text, 1) AS has_predecessor FROM i) x"
sql -c "DELETE FROM otp.send_jobs"
gives "none, once those before have ended" f "INSERT INTO otp.send_jobs (verification_id, has_predecessor) VALUES ($v, true) RETURNING has_predecessor"
clean; spelled=(0501234567 501234567 966501234567 +966501234567 00966501234567 '+966 (0)50 123-4567' ٠٥٠١٢٣٤٥٦٧ '050.123.4567'); rm -f "$work"/sp*
for n in $(seq 64); do (patient -c "SELECT 'sent' FROM otp.request('spelled $n', '${spelled[n % 8]}', client_ip => '192.0.2.$n')" >"$work/sp$n") & done; wait
gives "64 strangers in eight spellings, one phone: exactly five sends, and no verification of the refused" "5|5" "SELECT (SELECT count(*) FROM otp.send_jobs), (SELECT count(*) FROM otp.verifications)"
check "the other 59 hear OT001 too" "59" "$(cat "$work"/sp* | grep -c OT001)"
sql -c "LISTEN otp_send_jobs" -c "TRUNCATE otp.limits" >/dev/null
v=$(verification wake)
check "an insert notifies at commit" "otp_send_jobs" "$(psql -qXAt -d "$PGDATABASE" -c "LISTEN otp_send_jobs" -c "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)" 2>&1 | grep -o otp_send_jobs)"
check "with two digits of its transaction's number" "t" "$(psql -qXAt -d "$PGDATABASE" -c "LISTEN otp_send_jobs" -c "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)" 2>&1 | grep -q 'otp_send_jobs" with payload "[0-9]\{1,2\}"' && echo t)"
check "one notice for many jobs" "1" "$(psql -qXAt -d "$PGDATABASE" -c "LISTEN otp_send_jobs" -c "INSERT INTO otp.send_jobs (verification_id) SELECT $v FROM generate_series(1, 100)" 2>&1 | grep -c otp_send_jobs)"
check "none when rolled back" "0" "$(psql -qXAt -d "$PGDATABASE" -c "LISTEN otp_send_jobs" -c "BEGIN" -c "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)" -c "ROLLBACK" -c "SELECT 1" 2>&1 | grep -c otp_send_jobs)"
sql -c "INSERT INTO otp.limits (scope, period, max_sends) VALUES ('phone', '5 minutes', 5), ('phone', '1 day', 20), ('subject', '1 day', 20), ('client_ip', '1 hour', 100)"

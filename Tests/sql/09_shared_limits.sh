# Limits that many share (prefix, country, total, budget) and blocks of numbers; what is too many at the claim ends as limited.
limits() { sql -c "TRUNCATE otp.limits" -c "${1:+INSERT INTO otp.limits (scope, period, max_sends, digits, max_cost) VALUES $1}"; }
send() { sql -c "SELECT 'sent' FROM otp.request('$1', '$2'${3:+, client_ip => '$3'})"; }
defaults=$(sql -c "SELECT string_agg(format('(%L, %L, %L, %L, %L)', scope, period, max_sends, digits, max_cost), ', ') FROM otp.limits" | sed "s/''/NULL/g")
for wrong in "('total', '2 hours', 5, 0, NULL)" "('budget', '1 day', 5, 0, NULL)" "('phone', '1 day', 5, 3, NULL)" "('block', '1 day', 5, 0, NULL)" "('block', '1 day', 5, 9, NULL)" "('phone', '1 day', 0, 0, NULL)" "('phone', '1 day', 2000, 0, NULL)" "('total', '1 day', 5, 0, 1)" "('planet', '1 day', 5, 0, NULL)"; do
    fails "no such limit: $wrong" 23514 "INSERT INTO otp.limits (scope, period, max_sends, digits, max_cost) VALUES $wrong"
done
for limit in "('total', '1 day', 3, 0, NULL)" "('country', '1 hour', 3, 0, NULL)" "('prefix', '1 day', 3, 5, NULL)" "('budget', '1 day', NULL, 0, 0.35)" "('block', '10 minutes', 3, 3, NULL)"; do
    clean; limits "$limit"
    scope=$(cut -d"'" -f2 <<<"$limit")
    check "$scope: three pass, the fourth hears OT001" "sent sent sent ERROR:  OT001" "$(for n in 1 2 3 4; do send "s$n" "050123456$n" | head -1; done | paste -sd' ')"
    says "$scope: the DETAIL says so" "DETAIL:  retry_after=[1-9][0-9]* window=(86400|3600|600) scope=$scope" "SELECT otp.request('s5', '0501234565')"
    gives "$scope: the refused left nothing" "3|3" "SELECT (SELECT count(*) FROM otp.send_jobs), (SELECT count(*) FROM otp.verifications)"
done
clean; limits "('block', '10 minutes', 3, 3, NULL)"
check "a block counts numbers, not sends" "sent sent sent sent sent" "$(for n in 1 1 2 1 3; do send "s$n" "050123456$n"; done | paste -sd' ')"
check "and another block is another" "sent" "$(send s 0501235567)"
sql -c "UPDATE otp.send_counts SET sent_at = ARRAY(SELECT t - interval '400 seconds' FROM unnest(sent_at) t) WHERE scope = 'block'"
says "a block's wait is until the first of them leaves" "retry_after=([1-9]|[1-9][0-9]|1[0-9][0-9]|200) window=600 scope=block" "SELECT otp.request('s7', '0501234567')"
sql -c "UPDATE otp.send_counts SET sent_at = ARRAY(SELECT t - interval '200 seconds' FROM unnest(sent_at) t) WHERE scope = 'block'"
check "then it passes" "sent" "$(send s7 0501234567)"
clean; limits "('prefix', '1 hour', 2, 7, NULL)"
check "prefixes are apart" "sent sent ERROR:  OT001 sent" "$(for n in 50123456 50123457 50123458 50223456; do send "s$n" "0${n}0" | head -1; done | paste -sd' ')"
clean; limits "('block', '10 minutes', 5, 3, NULL)"; rm -f "$work"/b*
for n in $(seq 10 73); do (send "b$n" "05012345$n" >"$work/b$n") & done; wait
gives "64 numbers of one block at once: exactly five" "5" "SELECT count(*) FROM otp.send_jobs"

# Writers that do not see each other: three transactions of four sends each, all within a total of 10 as far as they know.
clean; limits "('total', '1 day', 10, 0, NULL), ('country', '1 day', 10, 0, NULL)"
mkfifo "$work/go1" "$work/go2" "$work/go3"
for n in 1 2 3; do
    (psql -qXAt -d "$PGDATABASE" -c "BEGIN" -c "SELECT count(otp.request('u$n' || k, '0501${n}3456' || k)) FROM generate_series(1, 4) k" -c "\\! cat $work/go$n >/dev/null" -c "COMMIT" >"$work/blind$n") &
done
for try in $(seq 3000); do [ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()")" = 3 ] && break; done
for n in 1 2 3; do echo go >"$work/go$n"; done; wait
gives "unseen by each other, twelve are queued" "12" "SELECT count(*) FROM otp.send_jobs"
claim() {
    local taken
    taken=$(sql -c "SET ROLE otp_worker" -c "WITH due AS MATERIALIZED (SELECT id FROM otp.send_jobs WHERE state = 'queued' ORDER BY due_at, id LIMIT $1 FOR UPDATE SKIP LOCKED), taken AS (UPDATE otp.send_jobs j SET state = 'sending', attempt = attempt + 1, worker = 1 FROM due WHERE j.id = due.id RETURNING j.id, j.attempt) SELECT format('%L, %L', coalesce(array_agg(id), '{}'), coalesce(array_agg(attempt), '{}')) FROM taken" | grep '^.{')
    sql -c "SET ROLE otp_worker" -c "SELECT count(*) FROM otp.within_limits($taken)" | grep '^[0-9]'
}
rm -f "$work"/c[0-9]*; for n in $(seq 12); do (claim 1 >"$work/c$n") & done; wait; claim 12 >"$work/c13"
check "twelve claims at once: exactly ten are sent" "10" "$(cat "$work"/c[0-9]* | paste -sd+ | bc)"
gives "the other two end as limited, and say why" "2" "SELECT count(*) FROM otp.unsent_jobs WHERE state = 'limited' AND error LIKE 'More codes were asked for at once than otp.limits allows: % 10 in 1 day.'"
gives "the queue holds the ten" "10" "SELECT count(*) FROM otp.send_jobs WHERE state = 'sending'"
gives "what is in other hands by now is left alone" "0" "SELECT count(*) FROM otp.within_limits(ARRAY(SELECT id FROM otp.send_jobs), ARRAY(SELECT attempt + 1 FROM otp.send_jobs))"
sql -c "UPDATE otp.send_jobs SET state = 'queued'"
check "a job that was claimed once is not limited later" "10" "$(claim 12)"
limits "('total', '1 day', 4, 0, NULL)"; sql -c "UPDATE otp.send_jobs SET state = 'queued', attempt = 0"
check "a limit lowered below what is queued ends the rest" "4" "$(claim 12)"
limits "('total', '1 day', 1000, 0, NULL)"; clean; rm -f "$work"/t*
for n in $(seq 32); do (send "t$n" "05012345$((n + 10))" >"$work/t$n") & done; wait
check "under its maximum a shared limit refuses nobody" "32" "$(cat "$work"/t[0-9]* | grep -c sent)"
gives "and each is counted" "32" "SELECT sum(amount) FROM otp.shared_counts"
clean; limits "$defaults"
limits "('block', '10 minutes', 15, 3, NULL), ('block', '1 day', 60, 3, NULL)"
check "a run of a hundred numbers in sequence from twenty addresses: fifteen pass" "15" "$(psql -qXAt -d "$PGDATABASE" -c "DO 'BEGIN FOR n IN 100 .. 199 LOOP BEGIN PERFORM otp.request(''bot '' || n, ''0501234'' || n, client_ip => (''192.0.2.'' || n % 20)::inet); EXCEPTION WHEN SQLSTATE ''OT001'' THEN NULL; END; END LOOP; END'" -c "SELECT count(*) FROM otp.send_jobs")"
clean; limits "$defaults"

# Shared limits (prefix, country, total, budget) and blocks of numbers. Surplus jobs end as limited at the claim.
limits() { sql -c "TRUNCATE otp.limits" -c "${1:+INSERT INTO otp.limits (scope, period, max_sends, digits, max_cost) VALUES $1}"; }
send() { patient -c "SELECT 'sent' FROM otp.request('$1', '$2'${3:+, client_ip => '$3'})"; }
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

# Three transactions of four sends each do not see each other. To each of them, the total of 10 is not exceeded.
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
check "twelve claims at once: exactly ten are sent" "10" "$(cat "$work"/c[0-9]* | awk '{ sum += $1 } END { print sum + 0 }')"
gives "the other two end as limited, and say why" "2" "SELECT count(*) FROM otp.unsent_jobs WHERE state = 'limited' AND error LIKE 'More codes were requested at once than otp.limits allows: % 10 in 1 day.'"
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

# Refused sends are counted per scope, although each refusal rolls back. A limit that is used up is shown as such.
refused() { sql -c "SELECT refused FROM otp.refusals WHERE scope = '$1'"; }
until_midnight="used_up_until = ((now() AT TIME ZONE s.timezone)::date + 1)::timestamp AT TIME ZONE s.timezone"
for row in "phone|('phone', '1 day', 2, 0, NULL)" "subject|('subject', '1 day', 2, 0, NULL)" "client_ip|('client_ip', '1 day', 2, 0, NULL)" "block|('block', '1 day', 2, 3, NULL)" "prefix|('prefix', '1 day', 2, 9, NULL)" "country|('country', '1 day', 2, 0, NULL)" "total|('total', '1 hour', 2, 0, NULL)" "budget|('budget', '1 day', NULL, 0, 0.25)"; do
    scope=${row%%|*}; clean; limits "${row#*|}"; before=$(refused "$scope")
    case $scope in
        phone) who() { echo "s$1 0501234567"; } ;;
        subject) who() { echo "same 050123456$1"; } ;;
        *) who() { echo "s$1 050123456$1 192.0.2.1"; } ;;
    esac
    for n in 1 2 3 4; do send $(who $n) >/dev/null; done
    check "$scope: two refusals are counted" "$((before + 2))" "$(refused "$scope")"
    case $scope in
        prefix) key="+9665012…" ;; country) key=SA ;; *) key= ;;
    esac
    case $scope in
        prefix | country | budget) gives "$scope: it is used up until midnight" "$key|t" "SET ROLE otp_monitor; SELECT key, used_up_until BETWEEN now() AND now() + interval '1 day' FROM otp.limit_status WHERE scope = '$scope'"
            gives "$scope: of settings.timezone" "t" "SELECT $until_midnight FROM otp.limit_status, otp.settings s" ;;
        total) gives "$scope: it is used up until the hour ends" "|2|2|t" "SET ROLE otp_monitor; SELECT key, used, allowed, used_up_until BETWEEN now() AND now() + interval '1 hour' FROM otp.limit_status" ;;
        *) gives "$scope: it is shared by nobody, and no row" "0" "SELECT count(*) FROM otp.limit_status" ;;
    esac
done
clean; limits "('country', '1 day', 3, 0, NULL)"; send one 0501234561 >/dev/null; send two 0501234562 >/dev/null
gives "what is not used up yet says how far it is" "country|SA|2|3|t" "SELECT scope, key, used, allowed, used_up_until IS NULL FROM otp.limit_status"
gives "a limit that is raised is used up no more" "t" "UPDATE otp.limits SET max_sends = 2; SELECT used_up_until IS NOT NULL FROM otp.limit_status" 
gives "yesterday's counts are not today's" "0" "UPDATE otp.shared_counts SET starts_at = starts_at - interval '1 day'; SELECT count(*) FROM otp.limit_status"
clean; limits "('phone', '1 day', 1, 0, NULL)"; before=$(refused phone)
sql -c "BEGIN" -c "SELECT otp.request('back', '0501234567')" -c "SAVEPOINT a" -c "SELECT otp.request('back', '0501234567')" >/dev/null
check "a transaction that is rolled back for it counts" "$((before + 1))" "$(refused phone)"
before=$(refused failures); sql -c "INSERT INTO otp.verify_failures (key, day, failures) SELECT otp.counter_key('phone', '+966501234567'), (clock_timestamp() AT TIME ZONE timezone)::date, max_failures_per_day FROM otp.settings"
fails "a phone with too many wrong codes" OT001 "SELECT otp.request('locked', '0501234567')"
check "is counted too" "$((before + 1))" "$(refused failures)"
sql -c "TRUNCATE otp.history" -c "INSERT INTO otp.history (minute, queued, due, unknown, oldest_due_seconds, workers_alive, pauses, accepted, failed, refused) SELECT date_bin('1 minute', now(), 'epoch') - age, 0, 0, 0, 0, 1, 0, 0, 0, jsonb_build_object('failures', $before - extra) FROM (VALUES (interval '2 hours', 5), ('62 minutes', 0), ('10 minutes', -1)) v (age, extra)"
gives "the last hour is what came since the minute before it" "1" "SET ROLE otp_monitor; SELECT refused_1h FROM otp.refusals WHERE scope = 'failures'"
sql -c "TRUNCATE otp.history" -c "SELECT otp.record_history()" >/dev/null
gives "each minute keeps the counts" "t" "SELECT (refused ->> 'failures')::bigint = $before + 1 FROM otp.history"
sql -c "TRUNCATE otp.history, otp.history_quarters"
for role in otp_web otp_worker otp_monitor otp_admin; do fails "$role can't make refusals up" 42501 "SET ROLE $role; SELECT nextval('otp.refused_phone')"; done
fails "a web role does not see them" 42501 "SET ROLE otp_web; SELECT * FROM otp.refusals"
fails "nor what is left of a limit" 42501 "SET ROLE otp_web; SELECT * FROM otp.limit_status"
clean; limits "$defaults"

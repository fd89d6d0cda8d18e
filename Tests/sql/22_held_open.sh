# Transactions that stay open: their locks delay others only for a bounded time, with a clear error, and no wake-up is lost.
# The second of two statements never depends on speed, because it has a lock_timeout.
hold() {        # name, statements: a transaction with these, open until `release name [COMMIT]`
    local name=$1; shift
    mkfifo "$work/hold-$name"
    psql -qXAt -v ON_ERROR_STOP=1 -d "$PGDATABASE" <"$work/hold-$name" >"$work/held-$name" 2>&1 &
    holders[$name]=$!
    exec {holding[$name]}>"$work/hold-$name"
    printf 'BEGIN;\n%s;\n\\echo ready\n' "$@" >&"${holding[$name]}"
    until grep -q ready "$work/held-$name"; do kill -0 "${holders[$name]}" || { cat "$work/held-$name"; break; }; sleep 0.01; done
}
release() { echo "${2:-ROLLBACK};" >&"${holding[$1]}"; exec {holding[$1]}>&-; wait "${holders[$1]}"; rm -f "$work/hold-$1" "$work/held-$1"; }
declare -A holders holding
notices() { psql -qXAt -d "$PGDATABASE" -c "LISTEN otp_send_jobs" -c "$1" 2>&1 | grep -c 'notification "otp_send_jobs"'; }
soon="SET lock_timeout = '20ms'"

# ── wake-ups
clean; sql -c "TRUNCATE otp.wake_ups"
for role in otp_web otp_worker otp_monitor otp_admin; do
    fails "$role cannot know the keys of the guard" 42501 "SET ROLE $role; SELECT last_value FROM otp.wake_key"
    fails "$role cannot read or write wake-ups" 42501 "SET ROLE $role; TABLE otp.wake_ups"
done
gives "the key is set, another one in each database" t "SELECT pg_sequence_last_value('otp.wake_key') > 0"
# From PostgreSQL 18 on, the function returns null in a case where earlier versions raise an error.
check "nor by its function" "" "$(sql -c "SET ROLE otp_web; SELECT pg_sequence_last_value('otp.wake_key')" | grep -E '^[0-9]')"
hold early "SET CONSTRAINTS ALL IMMEDIATE" "SELECT otp.request('early', '0501110001', client_ip => '192.0.2.1')"
check "a transaction whose trigger fired early, and stays open, keeps nobody's wake-up" "1 1 1" "$(for n in 1 2 3; do notices "SELECT otp.request('waker $n', '050222000$n')"; done | paste -sd' ')"
release early
# Every lock that the guard uses in the next ten minutes. Only the owner can know these.
hold guards "SELECT count(pg_advisory_lock(hashint8extended((date_part('epoch', clock_timestamp()) * 4)::bigint + n, pg_sequence_last_value('otp.wake_key')))) FROM generate_series(-4, 2400) n"
sql -c "TRUNCATE otp.wake_ups"
check "even all the guard's locks keep nobody's wake-up while workers may sleep" "1" "$(notices "SELECT otp.request('guarded 1', '0502220011')")"
# A wake-up for each second of the next hour, so that one is recent even on a slow machine.
sql -c "TRUNCATE otp.wake_ups" -c "INSERT INTO otp.wake_ups SELECT now() + n * interval '1 second' FROM generate_series(0, 3600) n"
check "while they are awake, a transaction beside another's wake-up is silent" "0" "$(notices "SELECT otp.request('guarded 2', '0502220012')")"
sql -c "TRUNCATE otp.wake_ups" -c "INSERT INTO otp.wake_ups VALUES (now() - interval '6 seconds'), (now() + interval '1 day')"
check "a wake-up of long ago, or of a clock that was ahead, does not count" "1" "$(notices "SELECT otp.request('guarded 3', '0502220013')")"
hold unsaid "INSERT INTO otp.wake_ups VALUES (now())"
sql -c "DELETE FROM otp.wake_ups"
check "nor does one that has not been committed" "1" "$(notices "SELECT otp.request('guarded 4', '0502220014')")"
release unsaid; release guards
sql -c "TRUNCATE otp.wake_ups"
sql -c "SELECT otp.request('first', '0502220015')" >/dev/null
gives "the first wake-up is written down" "1" "SELECT count(*) FROM otp.wake_ups"
sql -c "INSERT INTO otp.wake_ups SELECT now() + n * interval '1 second' FROM generate_series(1, 3600) n"
sql -c "SELECT otp.request('next', '0502220016')" >/dev/null
gives "none is while one is fresh" "3601" "SELECT count(*) FROM otp.wake_ups"
sql -c "TRUNCATE otp.wake_ups"
sql -c "INSERT INTO otp.wake_ups SELECT now() - interval '1 hour' FROM generate_series(1, 30)" -c "INSERT INTO otp.wake_ups VALUES (now())" -c "UPDATE otp.maintenance SET pruned_at = '-infinity'" -c "SELECT otp.prune()" >/dev/null
gives "old ones are pruned" "1" "SELECT count(*) FROM otp.wake_ups"

# ── what a request locks until its transaction ends
clean
hold block "SELECT otp.request('holder', '0503330001', client_ip => '198.51.100.1')"
busy() {        # what, the message, statement
    says "$1" "ERROR:  $2" "$soon; $3"
    fails "$1: SQLSTATE" 55P03 "$soon; $3"
}
busy "another number of the same block" "another transaction holds the send counter of this block of phone numbers" "SELECT otp.request('stranger', '0503330002', client_ip => '198.51.100.2')"
busy "the same client address" "another transaction holds the send counter of this subject, phone number or client address" "SELECT otp.request('stranger', '0504440002', client_ip => '198.51.100.1')"
busy "the same phone" "another transaction holds the send counter of this subject, phone number or client address" "SELECT otp.request('stranger', '0503330001')"
busy "the same subject" "another transaction holds the requests of this subject and purpose" "SELECT otp.request('holder', '0503330001')"
says "it says how long it waited" "DETAIL:  This call waited for 20ms" "$soon; SELECT otp.request('stranger', '0503330002')"
says "and what to do" "HINT:  Try again. End each transaction right after otp.request" "$soon; SELECT otp.request('stranger', '0503330002')"
v=$(verification inserted "" "" 0503330003)
busy "a backend that inserts hears the same" "another transaction holds the send counter of this block of phone numbers" "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)"
check "a session without a lock_timeout waits 2 seconds, and DETAIL says so" "DETAIL:  This call waited for 2s (lock_timeout)." "$(psql -qXAt -d "$PGDATABASE" -c "SELECT otp.request('stranger', '0503330002')" 2>&1 | grep DETAIL)"
gives "another block and address waits for nothing" t "$soon; SELECT verification_id > 0 FROM otp.request('stranger', '0504440001', client_ip => '198.51.100.9')"
gives "nothing of the refused is left" "0" "SELECT count(*) FROM otp.verifications WHERE e164 = '+966503330002'"
release block COMMIT
gives "afterwards it passes" t "SELECT verification_id > 0 FROM otp.request('stranger', '0503330002')"
check "the session's lock_timeout is as it was, also within the transaction" "0 0 0 0 7s" "$(sql -c BEGIN \
    -c "SELECT FROM otp.request('after', '0505550001')" -c "SELECT current_setting('lock_timeout')" \
    -c "SELECT FROM otp.verify('after', '0')" -c "SELECT current_setting('lock_timeout')" -c "SELECT FROM otp.cancel(0, 'x')" -c "SELECT current_setting('lock_timeout')" \
    -c "INSERT INTO otp.send_jobs (verification_id) SELECT max(id) FROM otp.verifications WHERE subject = 'after'" -c "SELECT current_setting('lock_timeout')" \
    -c "SET lock_timeout = '7s'" -c "SELECT FROM otp.request('after', '0505550001')" -c "SELECT current_setting('lock_timeout')" | grep . | paste -sd' ')"

# ── verify
clean; v=$(verification tried code "'123456'" 0506660001)
hold tries "SELECT otp.verify('tried', '000000')"
busy "the verification itself" "another transaction holds this verification or one of its send jobs" "SELECT otp.verify('tried', '123456')"
busy "its cancel" "another transaction holds this verification or one of its send jobs" "SELECT otp.cancel($v, 'tried')"
busy "its send" "another transaction holds this verification or one of its send jobs" "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)"
verification same code "'123456'" 0506660001 >/dev/null
busy "another subject with the same phone" "another transaction holds the count of wrong codes of this phone number" "SELECT otp.verify('same', '123456')"
release tries
gives "nothing of the refused is counted" "0" "SELECT count(*) FROM otp.verify_failures"
hold failed "SELECT otp.verify('nobody', '000000')"
gives "a failure that is held open keeps no other from failing, not even for the same subject" f "$soon; SELECT otp.verify('nobody', '000000')"
release failed COMMIT
gives "each is counted" "2" "SELECT sum(failures) FROM otp.verify_failures"

# ── shared counters
clean; sql -c "DELETE FROM otp.limits WHERE scope = 'total'" -c "INSERT INTO otp.limits (scope, period, max_sends) VALUES ('total', '1 day', 4), ('country', '1 day', 100)"
hold share "SELECT otp.request('share 1', '0507770001')"
gives "a shared counter's row that is held is passed over" t "$soon; SELECT verification_id > 0 FROM otp.request('share 2', '0508880001')"
release share COMMIT
gives "both are counted, each in a row" "2|2" "SELECT sum(amount), count(*) FROM otp.shared_counts WHERE scope = 'total'"
hold shares "SELECT FROM otp.shared_counts FOR UPDATE"
gives "all rows held: a new one" t "$soon; SELECT verification_id > 0 FROM otp.request('share 3', '0509990001')"
release shares
gives "rows that nobody holds are used again" t "SELECT verification_id > 0 FROM otp.request('share 4', '0501990001')"
gives "four in three rows" "4|3" "SELECT sum(amount), count(*) FROM otp.shared_counts WHERE scope = 'total'"
fails "the fifth is one too many" OT001 "SELECT otp.request('share 5', '0502990001')"
sql -c "DELETE FROM otp.limits WHERE scope IN ('total', 'country')"
sql -c "CREATE ROLE teller_$$ LOGIN IN ROLE otp_worker" -c "CREATE ROLE clerk_$$ LOGIN IN ROLE otp_web"
sql -c "GRANT EXECUTE ON FUNCTION otp.own_shard TO clerk_$$"
for role in teller clerk; do gives "workers share no row of a sum with other roles: $role" "$role|$([ $role = teller ] && echo t || echo f)" "SET SESSION AUTHORIZATION ${role}_$$; SELECT '$role', otp.own_shard() < 64"; done
sql -c "REVOKE EXECUTE ON FUNCTION otp.own_shard FROM clerk_$$"
sql -c "DROP ROLE teller_$$, clerk_$$"

# ── the day's cost, added up under a lock on otp.messages
message="INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status) VALUES ('SM1', 1, 1, 1, true, now(), 'queued')"
hold web "$message"
says "an operator's budget waits for 2 seconds" "ERROR:  another transaction is writing to otp.messages" "UPDATE otp.settings SET daily_budget = 5"
gives "and is not set" "t" "SELECT daily_budget IS NULL FROM otp.settings"
release web
hold admin "SET CONSTRAINTS ALL IMMEDIATE" "UPDATE otp.settings SET daily_budget = 5"
check "who sets it early, and stays in the transaction, is thrown out, and sends are written down" "" "$(sql -c "SET lock_timeout = '2min'" -c "$message")"
release admin 2>/dev/null
gives "the budget is not set" "1|t" "SELECT count(*), (SELECT daily_budget IS NULL FROM otp.settings) FROM otp.messages"
clean

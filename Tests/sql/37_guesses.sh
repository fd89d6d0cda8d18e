# Guesses: a wrong try counts although its transaction rolls back, strangers cannot lock a phone out, and spraying is bounded.
clean; sql -c "UPDATE otp.settings SET max_failures_per_backend = DEFAULT"
quiet() { psql -qXAt -v ON_ERROR_STOP=1 -d "$PGDATABASE" 2>&1; }
code() { sql -c "INSERT INTO otp.verifications (subject, phone_number, code${3:+, client_ip}) VALUES ('$1', '$2', '123456'${3:+, '$3'}) RETURNING id"; }
tries() { sql -c "SELECT otp.registered_tries($1)"; }
refused() { sql -c "SELECT refused FROM otp.refusals WHERE scope = '$1'"; }
forget() { sql -c "SELECT count(setval(otp.register_of(n), 1)), setval(otp.backend_count('wrong'), 1), setval(otp.backend_count('right'), 1) FROM generate_series(0, 255) n" >/dev/null; }
# Calls otp.verify in savepoints that are rolled back: subject, and the codes as an SQL query.
in_savepoints() {
    sql -c "DO \$\$ DECLARE guess text; BEGIN FOR guess IN $2 LOOP BEGIN
        PERFORM otp.verify('$1', guess); RAISE EXCEPTION USING ERRCODE = 'ZZ001';
        EXCEPTION WHEN SQLSTATE 'ZZ001' THEN NULL; END; END LOOP; END \$\$"
}
in_transactions() { for n in $(seq "$2" "$3"); do echo "BEGIN; SELECT otp.verify('$1', '$n'); ROLLBACK;"; done | quiet | sort | uniq -c | tr -s ' '; }

forget; v=$(code savepoints 0501000001); before=$(refused rolled_back)
in_savepoints savepoints "SELECT (200000 + n)::text FROM generate_series(1, 5000) n"
check "5,000 guesses in savepoints that are rolled back: five are compared" "5 4995" "$(tries "$v") $(($(refused rolled_back) - before))"
gives "the rows know nothing of them" 0 "SELECT attempts FROM otp.verifications WHERE id = $v"
gives "then the right code is too late" f "SELECT otp.verify('savepoints', '123456')"
v=$(code fifth 0501000002); in_savepoints fifth "SELECT (200000 + n)::text FROM generate_series(1, 4) n"
gives "after four the right code is not" t "SELECT otp.verify('fifth', '123456')"
v=$(code whole 0501000003)
check "5,000 in whole transactions: all hear false" " 5000 f" "$(in_transactions whole 200001 205000)"
check "and five were compared" 5 "$(tries "$v")"
gives "the right code is too late" f "SELECT otp.verify('whole', '123456')"
v=$(code sessions 0501000004)
for n in 1 2 3 4; do (in_transactions sessions "${n}00000" "${n}01249" >"$work/session$n") & done; wait
check "5,000 from four sessions at once" "5 5000" "$(tries "$v") $(cat "$work"/session[1-4] | awk '$2 == "f" { sum += $1 } END { print sum }')"
v=$(code connections 0501000005)
for n in $(seq 12); do in_transactions connections "20000$n" "20000$n" >/dev/null; done
check "a connection of its own for each" 5 "$(tries "$v")"
gives "the right code is too late there too" f "SELECT otp.verify('connections', '123456')"
v=$(code undone 0501000006)
sql -c BEGIN -c "SELECT otp.verify('undone', '123456')" -c ROLLBACK >/dev/null
check "a right code that is rolled back is no wrong try" 0 "$(tries "$v")"
gives "and is right again" t "SELECT otp.verify('undone', '123456')"
says "the warning stays" "WARNING: +otp.verify runs inside a longer transaction" "SET client_min_messages = warning; BEGIN; CREATE TEMP TABLE t (); SELECT otp.verify('undone', '1'); ROLLBACK"

# The next call that commits writes tries that were rolled back to the rows. So does a worker, once a minute.
v=$(code caught 0501000007); in_savepoints caught "VALUES ('1111'), ('2222'), ('3333')"
gives "a wrong try that commits" f "SELECT otp.verify('caught', '4444')"
gives "writes those before it too" "4|4" "SELECT attempts, (SELECT failures FROM otp.verify_failures WHERE key = otp.counter_key('phone', '+966501000007')) FROM otp.verifications WHERE id = $v"
gives "so does a right one" "t|4|4" "SELECT otp.verify('caught', '123456'), attempts, (SELECT failures FROM otp.verify_failures WHERE key = otp.counter_key('phone', '+966501000007')) FROM otp.verifications WHERE id = $v"
v=$(code again 0501000008 192.0.2.8); in_savepoints again "SELECT (200000 + n)::text FROM generate_series(1, 50) n"
gives "a request after guesses draws a new code" t "SELECT verification_id > $v FROM otp.request('again', '0501000008')"
gives "and counts them, for the phone and the client" "5|5|5" "SELECT attempts, (SELECT failures FROM otp.verify_failures WHERE key = otp.counter_key('phone', '+966501000008')), (SELECT amount FROM otp.shared_counts WHERE key = otp.counter_key('client_ip', '192.0.2.8')) FROM otp.verifications WHERE id = $v"
v=$(code send 0501000009); in_savepoints send "SELECT (200000 + n)::text FROM generate_series(1, 50) n"
fails "a send after guesses is refused as after wrong tries" OT006 "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)"
v=$(code minute 0501000010); in_savepoints minute "SELECT (200000 + n)::text FROM generate_series(1, 50) n"
sql -c "TRUNCATE otp.history" -c "SET ROLE otp_worker" -c "SELECT otp.record_history()" >/dev/null
gives "a worker's minute counts them" "5|5" "SELECT attempts, (SELECT failures FROM otp.verify_failures WHERE key = otp.counter_key('phone', '+966501000010')) FROM otp.verifications WHERE id = $v"
gives "once" 0 "SELECT otp.settle_tries()"
sql -c "TRUNCATE otp.history, otp.history_quarters"

# Registers: many codes share them, and no code pushes out tries that are not in the rows.
clean; forget; v=$(code kept 0501000011); in_savepoints kept "VALUES ('1111'), ('2222'), ('3333')"
sql -c "INSERT INTO otp.verifications (subject, phone_number, code) SELECT 'other ' || n, '0502' || 100000 + n, '123456' FROM generate_series(1, 700) n"
gives "700 codes with a wrong try that stays" 700 "SELECT count(*) FROM generate_series(1, 700) n WHERE NOT otp.verify('other ' || n, '1111')"
check "leave the tries of the one that rolls back" 3 "$(tries "$v")"
forget; before=$(refused rolled_back)
sql -c "DO \$\$ BEGIN FOR n IN 1..700 LOOP FOR try IN 1..4 LOOP BEGIN
    PERFORM otp.verify('other ' || n, '22' || n % 90 + 10); RAISE EXCEPTION USING ERRCODE = 'ZZ001';
    EXCEPTION WHEN SQLSTATE 'ZZ001' THEN NULL; END; END LOOP; END LOOP; END \$\$"
compared=$((2800 - ($(refused rolled_back) - before)))
check "2,800 guesses at 700 codes, rolled back: at most 256 times five are compared" "t" "$([ "$compared" -le 1280 ] && [ "$compared" -ge 256 ] && echo t || echo "$compared")"
for role in otp_web otp_worker otp_monitor otp_admin; do fails "$role cannot read a register" 42501 "SET ROLE $role; SELECT last_value FROM otp.tries_000"; done
fails "nor write one" 42501 "SET ROLE otp_web; SELECT setval('otp.tries_000', 1)"

# A subject that has verified the phone number before has ten wrong tries of its own. All others share ten.
clean; forget; code owner 0503000001 >/dev/null; sql -c "SELECT otp.verify('owner', '123456')" >/dev/null
guess() { code "$1" "$2" >/dev/null; sql -c "SELECT count(*) FROM generate_series(1, $3) n WHERE NOT otp.verify('$1', (1000 + n)::text)"; }
check "a stranger's ten wrong codes" "5 5" "$(guess thief 0503000001 5) $(guess thief 0503000001 5)"
fails "lock strangers out" OT001 "SELECT otp.request('thief', '0503000001')"
fails "each of them" OT001 "SELECT otp.request('another', '0503000001')"
code another 0503000001 >/dev/null
gives "also with the right code" f "SELECT otp.verify('another', '123456')"
gives "but not the owner, who gets a code" t "SELECT verification_id > 0 FROM otp.request('owner', '0503000001')"
code owner 0503000001 >/dev/null
gives "and verifies" t "SELECT otp.verify('owner', '123456')"
sql -c "INSERT INTO otp.verified_before SELECT 'pruned', 'phone_verification', '+966503000001', now() - interval '1 year'"
gives "nor one whose verification was pruned" t "SELECT verification_id > 0 FROM otp.request('pruned', '0503000001')"
code mailed 0503000001 >/dev/null; sql -c "UPDATE otp.verifications SET verified_at = now(), other_channels = '{email}' WHERE subject = 'mailed'"
fails "an e-mail proves no phone number" OT001 "SELECT otp.request('mailed', '0503000001')"
check "the owner's own ten" "5 5" "$(guess owner 0503000001 5) $(guess owner 0503000001 5)"
fails "lock the owner out" OT001 "SELECT otp.request('owner', '0503000001')"
gives "and not the other who verified it" t "SELECT verification_id > 0 FROM otp.request('pruned', '0503000001')"
check "of another phone the owner is a stranger" "5" "$(guess owner 0503000002 5)"
gives "whose tries go to the shared ten" 5 "SELECT failures FROM otp.verify_failures WHERE key = otp.counter_key('phone', '+966503000002')"
gives "unlock clears all groups of the phone" "t|f" "SELECT otp.unlock('0503000001'), otp.unlock('0503000001')"
gives "and no other phone" "t" "SELECT key = otp.counter_key('phone', '+966503000002') FROM otp.verify_failures WHERE key NOT LIKE 'no live%'"
gives "strangers may again" t "SELECT verification_id > 0 FROM otp.request('another', '0503000001')"

# Spraying: one guess at each of many phones.
clean; forget; sql -c "UPDATE otp.settings SET max_failures_per_backend = DEFAULT"
sql -c "INSERT INTO otp.verifications (subject, phone_number, code) SELECT 'spray ' || n, '0504' || 100000 + n, '123456' FROM generate_series(1, 260) n"
gives "30 wrong codes from a client" 30 "SELECT count(*) FROM generate_series(1, 30) n WHERE NOT otp.verify('spray ' || n, '1111', client_ip => '2001:db8::1')"
fails "are all for the hour, from its whole /64" OT001 "SELECT otp.verify('spray 31', '1111', client_ip => '2001:db8::2')"
fails "also a right one, so the refusal tells nothing" OT001 "SELECT otp.verify('spray 31', '123456', client_ip => '2001:db8::1')"
fails "also without a live code" OT001 "SELECT otp.verify('nobody', '123456', client_ip => '2001:db8::1')"
says "the DETAIL says until when" "DETAIL:  retry_after=[1-9][0-9]* window=3600 scope=client_failures" "SELECT otp.verify('spray 31', '1111', client_ip => '2001:db8::1')"
gives "another client is not concerned" t "SELECT otp.verify('spray 32', '123456', client_ip => '2001:db8:0:1::1')"
check "each refusal is counted" 4 "$(refused client_failures)"
gives "right codes make room: 20 right ones" 20 "SELECT count(*) FROM generate_series(41, 60) n WHERE otp.verify('spray ' || n, '123456', client_ip => '192.0.2.1')"
gives "and 50 wrong ones" 50 "SELECT count(*) FROM generate_series(61, 110) n WHERE NOT otp.verify('spray ' || n, '1111', client_ip => '192.0.2.1')"
fails "not one more" OT001 "SELECT otp.verify('spray 111', '1111', client_ip => '192.0.2.1')"
forget; sql -c "UPDATE otp.settings SET max_failures_per_backend = 20"
gives "twenty wrong codes at a backend" 20 "SELECT count(*) FROM generate_series(121, 140) n WHERE NOT otp.verify('spray ' || n, '1111')"
says "are all for these ten minutes" "DETAIL:  retry_after=[1-9][0-9]* window=600 scope=backend_failures" "SELECT otp.verify('spray 141', '123456')"
gives "for strangers" f "SELECT otp.verify('spray 32', '1111')"
forget
gives "right codes make room: ten right ones" 10 "SELECT count(*) FROM generate_series(141, 150) n WHERE otp.verify('spray ' || n, '123456')"
gives "and thirty wrong ones" 30 "SELECT count(*) FROM generate_series(151, 180) n WHERE NOT otp.verify('spray ' || n, '1111')"
fails "not one more at the backend" OT001 "SELECT otp.verify('spray 181', '1111')"
forget; code credit 0505000001 >/dev/null
for n in 1 2 3; do sql -c BEGIN -c "SELECT otp.verify('credit', '123456')" -c ROLLBACK >/dev/null; done
gives "a right code that is rolled back three times makes room for one" 1 "SELECT otp.window_count(otp.backend_count('right'))"
sql -c "UPDATE otp.settings SET max_failures_per_backend = DEFAULT"; forget; clean

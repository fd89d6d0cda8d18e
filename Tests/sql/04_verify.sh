# otp.verify is true once, for the right code. Tries are counted, one caller wins a race, and a code never verifies another phone.
make() { sql -c "INSERT INTO otp.verifications (subject, phone_number, code${3:+, $3}) VALUES ('$1', '${2:-0501234567}', '123456'${4:+, $4}) RETURNING id"; }
make a >/dev/null
gives "a wrong code" f "SELECT otp.verify('a', '000000')"
gives "the right code" t "SELECT otp.verify('a', '123456')"
gives "but once" f "SELECT otp.verify('a', '123456')"
gives "one wrong try counted" "1|t" "SELECT attempts, verified_at IS NOT NULL FROM otp.verifications WHERE subject = 'a'"
gives "verified_phones" "a|+966501234567" "SELECT subject, e164 FROM otp.verified_phones"
make digits >/dev/null
gives "digits as people type them" t "SELECT otp.verify('digits', ' ١٢٣-٤٥٦ ')"
# Codes are read like numbers: digits of any script count, and spaces, dashes and invisible marks do not.
for typed in '१२३४५६' '১২৩৪৫৬' '١٢٣٤٥٦' '۱۲۳۴۵۶' '１２３４５６' '೧೨೩೪೫೬' '𝟏𝟐𝟑𝟒𝟓𝟔' '١٢३४５6' $'123\u2011456' $'123\u2013456' $'123\u2014456' $'\uFEFF123456' $'\u202D123456\u202C' \
    $'123\u200B456' $'123\u202F456' '123 456.' '123.456' $'\t123456\r\n' $'123456\u2028' $'\u2067123456\u2069' $'1\u00AD23\u2060456' $'\u200F123456\u061C' '１２３-４５６' '1 2 3 4 5 6'; do
    make typed >/dev/null
    gives "a code typed as $typed" "t" "SELECT otp.verify('typed', '$typed')"
done
# A text that cannot be a code gives false and does not count as a try. It writes as much as any other failure.
clean; make none >/dev/null
for typed in '' ' ' 123 1234567890123 'hello world, again' '12345é' '123456/' "123'456" '123456 is my code' '+123456' $'\u200b' '①②③④⑤⑥' '0x1234;' '1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890'; do
    gives "no code: '$typed'" f "SELECT otp.verify('none', '${typed//\'/\'\'}')"
done
gives "a right code behind a page of blanks is none either" f "SELECT otp.verify('none', repeat(' ', 300) || '123456')"
gives "nor one before a page of blanks and more" f "SELECT otp.verify('none', '123456' || repeat(' ', 100) || '!')"
gives "no try was counted" "0|0" "SELECT attempts, (SELECT coalesce(sum(failures), 0) FROM otp.verify_failures WHERE key = otp.counter_key('phone', '+966501234567')) FROM otp.verifications WHERE subject = 'none'"
writes() { psql -qXAt -d "$PGDATABASE" -c "BEGIN" -c "SELECT otp.verify('none', '$1')" -c "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_xact_user_tables WHERE schemaname = 'otp'" -c "ROLLBACK" 2>/dev/null | tail -1; }
writes hello world, again >/dev/null; writes 000000 >/dev/null
check "as much is written as for a wrong code" "$(writes 000000)" "$(writes 'hello world, again')"
gives "the right code still is" t "SELECT otp.verify('none', '123456')"
sql -c "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('letters', '0501234567', 'aBv39f')" >/dev/null
gives "letters stay as they are" "f|t" "SELECT otp.verify('letters', 'ABV39F'), otp.verify('letters', ' aBv-39f')"
for nonsense in "'nobody', '123456'" "NULL, NULL" "'', ''" "'a', NULL" "'a', repeat('1', 10000000)" "repeat('a', 10000000), '1'" "'a', '''; DROP TABLE otp.verifications; --'" "'a', '1', repeat('p', 100000)" "'a', '123456', 'phone_verification', repeat('5', 10000000)"; do
    gives "false for ${nonsense:0:40}" f "SELECT otp.verify($nonsense)"
done
make five >/dev/null
gives "five wrong tries" "f|f|f|f|f" "SELECT otp.verify('five', '1111'), otp.verify('five', '2222'), otp.verify('five', '3333'), otp.verify('five', '4444'), otp.verify('five', '5555')"
gives "then the right one is too late" f "SELECT otp.verify('five', '123456')"
clean; make x 0501111111 >/dev/null
gives "five of ten failures of the day" "5" "SELECT count(*) FROM generate_series(1, 5) n WHERE NOT otp.verify('x', (1000 + n)::text)"
make x 0501111111 >/dev/null
gives "a new code has its own five tries, not its own day" "5" "SELECT count(*) FROM generate_series(1, 5) n WHERE NOT otp.verify('x', (1000 + n)::text)"
make x 0501111111 >/dev/null
gives "after ten failures the right code fails too" f "SELECT otp.verify('x', '123456')"
make y 0501111111 >/dev/null
gives "for every subject of that phone number" f "SELECT otp.verify('y', '123456')"
make z 0502222222 >/dev/null
gives "another phone is not concerned" t "SELECT otp.verify('z', '123456')"
make new 0503333333 >/dev/null
sql -c "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('new', '0503333333', '654321')"
gives "only the newest code" "f" "SELECT otp.verify('new', '123456')"
gives "only the newest code" "t" "SELECT otp.verify('new', '654321')"
make hijack 0504444444 >/dev/null
gives "a code for my phone does not verify yours" f "SELECT otp.verify('hijack', '123456', phone_number => '0505555555')"
gives "any spelling of mine will do" t "SELECT otp.verify('hijack', '123456', phone_number => '+966 (0)50 444 4444')"
# A hijack: the attacker requests a code for another person's phone, and enters the code that came to their own phone.
sql -c "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('switch', '0504444444', '111111')" -c "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('switch', '0505555555', '222222')"
gives "my phone's code verifies neither phone" "f|f|f" "SELECT otp.verify('switch', '111111'), otp.verify('switch', '111111', phone_number => '0505555555'), otp.verify('switch', '111111', phone_number => '0504444444')"
gives "nothing is verified" "0" "SELECT count(*) FROM otp.verified_phones('switch')"
gives "the phone that was asked for last still can" "t" "SELECT otp.verify('switch', '222222', phone_number => '0505555555')"
# A verify during the commit of such a switch waits for the switch, and then finds the code canceled.
sql -c "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('race', '0504444445', '111111')"
mkfifo "$work/switched"
(psql -qXAt -d "$PGDATABASE" -c BEGIN -c "SELECT verification_id > 0 FROM otp.request('race', '0505555556')" -c "\\! cat $work/switched >/dev/null" -c COMMIT >"$work/switcher" 2>&1) &
until [ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()")" = 1 ]; do :; done
(sql -c "SELECT otp.verify('race', '111111')" >"$work/verifier") &
until [ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%otp.verify%' AND datname = current_database()")" = 1 ]; do :; done
echo go >"$work/switched"; wait
check "a verify beside an uncommitted switch of phones" f "$(cat "$work/verifier")"
make canceled 0506666666 >/dev/null
gives "cancel is for the subject" "f|t|f" "SELECT otp.cancel(id, 'somebody'), otp.cancel(id, 'canceled'), otp.cancel(id, 'canceled') FROM otp.verifications WHERE subject = 'canceled'"
gives "a canceled code is dead" f "SELECT otp.verify('canceled', '123456')"
sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER before_update"
make late 0507777777 >/dev/null; sql -c "UPDATE otp.verifications SET expires_at = now() - interval '1 second' WHERE subject = 'late'"
sql -c "ALTER TABLE otp.verifications ENABLE TRIGGER before_update"
gives "an expired code is dead" f "SELECT otp.verify('late', '123456')"
clean; make secret 0501212121 >/dev/null
fails "OT003 another secret" OT003 "SET otp.secret = '$other'; SELECT otp.verify('secret', '123456')"
gives "and no try was counted" "0|0" "SELECT attempts, (SELECT count(*) FROM otp.verify_failures) FROM otp.verifications WHERE subject = 'secret'"
gives "nor does such a row stop others" "t|t" "SET otp.secret = '$other'; INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('neighbour', '0502121212', '777777'); SELECT otp.verify('neighbour', '777777'), (SELECT count(*) = 2 AND count(unseal(sealed_code, key_id)) = 1 FROM otp.verifications)"
gives "unseal answers null under another secret" "t" "SET otp.secret = '$other'; SELECT unseal(sealed_code, key_id) IS NULL FROM otp.verifications WHERE subject = 'secret'"
gives "while rotating, the previous secret opens and verifies" "t|t" "SET otp.secret = '$other'; SET otp.secret_previous = '$secret'; SELECT unseal(sealed_code, key_id) = '123456', otp.verify('secret', '123456') FROM otp.verifications WHERE subject = 'secret'"
make undone 0502323232 >/dev/null
gives "in a longer transaction" "false|true" "BEGIN; SELECT otp.verify('undone', '1111') || '|' || otp.verify('undone', '123456'); ROLLBACK"
gives "a caller's rollback undoes what was counted, and what was won" "0|0|t" "SELECT attempts, (SELECT count(*) FROM otp.verify_failures WHERE key = otp.counter_key('phone', v.e164) AND failures > 0), verified_at IS NULL FROM otp.verifications v WHERE subject = 'undone'"
says "inside a longer transaction it warns" "WARNING: +otp.verify runs inside a longer transaction" "SET client_min_messages = warning; BEGIN; CREATE TEMP TABLE t (); SELECT otp.verify('a', '1'); ROLLBACK"
check "and not in its own" "f" "$(psql -qXAt -d "$PGDATABASE" -c "SET client_min_messages = warning" -c "SELECT otp.verify('a', '1')" 2>&1)"

clean; make winner >/dev/null; rm -f "$work"/w*
for n in $(seq 64); do (patient -c "SELECT otp.verify('winner', '123456')" >"$work/w$n") & done; wait
check "64 right answers at once: one winner" "1" "$(cat "$work"/w* | grep -c '^t$')"
check "the others hear false" "63" "$(cat "$work"/w* | grep -c '^f$')"
clean; make winner >/dev/null; rm -f "$work"/w*
for n in $(seq 64); do (for try in $(seq 80); do patient -c "BEGIN ISOLATION LEVEL REPEATABLE READ" -c "SELECT 1" -c "SELECT otp.verify('winner', '123456')" -c COMMIT >"$work/w$n"; grep -q 40001 "$work/w$n" || break; done) & done; wait
check "under REPEATABLE READ, retrying: one winner" "1 63" "$(cat "$work"/w* | grep -c '^t$') $(cat "$work"/w* | grep -c '^f$')"
clean; make guess >/dev/null
for n in $(seq 64); do (patient -c "SELECT otp.verify('guess', '$((1000 + n))')" >/dev/null) & done; wait
gives "64 wrong answers at once: five counted" "5" "SELECT attempts FROM otp.verifications WHERE subject = 'guess'"
clean; for n in $(seq 30); do make "many$n" >/dev/null; done; rm -f "$work"/m*
for n in $(seq 30); do (patient -c "SELECT otp.verify('many$n', '0000')" >/dev/null) & done; wait
gives "30 subjects, one phone: no right answer after ten wrong" f "SELECT otp.verify('many1', '123456')"
# A phone number that is locked for the day gets no codes, because none could be verified. An operator can unlock it.
clean; v=$(make locked); sql -c "INSERT INTO otp.verify_failures SELECT otp.counter_key('phone', '+966501234567'), $today, 10"
fails "nothing is sent to a phone whose tries of the day are used up" OT001 "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)"
says "and the DETAIL says until when" "DETAIL:  retry_after=[1-9][0-9]* window=86400 scope=failures" "SELECT otp.request('anybody', '+966 50 123 4567')"
says "until midnight" t "SELECT substring(otp.x FROM 'retry_after=([0-9]+)')::int - extract(epoch FROM date_trunc('day', now() AT TIME ZONE 'Asia/Riyadh') + '1 day' - now() AT TIME ZONE 'Asia/Riyadh') BETWEEN -5 AND 5 FROM (SELECT '$(psql -qXAt -d "$PGDATABASE" -c "SELECT otp.request('anybody', '0501234567')" 2>&1 | grep DETAIL)' AS x) otp"
gives "another phone may" t "SELECT verification_id > 0 FROM otp.request('anybody', '0501234568')"
gives "unlocked" "t|f" "SELECT otp.unlock('0501234567'), otp.unlock('0501234567')"
gives "it may again" t "SELECT verification_id > 0 FROM otp.request('locked', '0501234567')"
gives "with the code that it had" t "SELECT otp.verify('locked', '123456')"
sql -c "INSERT INTO otp.verify_failures VALUES ('+966501234567', $today - 2, 10)"
gives "days before do not count" t "SELECT verification_id > 0 FROM otp.request('today', '0501234567')"
clean; make counted >/dev/null; sql -c "SELECT otp.verify('counted', '123456')" >/dev/null
gives "a right answer leaves the day's budget whole" "0" "SELECT failures FROM otp.verify_failures"
v=$(make queued); sql -c "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)"
gives "a used code is not sent again" "t" "SELECT otp.verify('queued', '123456')"
gives "its queued job ends canceled" "canceled|The code has been used." "SELECT job_state, error FROM otp.delivery_status WHERE verification_id = $v"

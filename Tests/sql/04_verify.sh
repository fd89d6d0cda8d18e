# otp.verify: true once, for the right code; counted; one winner; never across phones.
make() { sql -c "INSERT INTO otp.verifications (subject, phone_number, code${3:+, $3}) VALUES ('$1', '${2:-0501234567}', '123456'${4:+, $4}) RETURNING id"; }
make a >/dev/null
gives "a wrong code" f "SELECT otp.verify('a', '000000')"
gives "the right code" t "SELECT otp.verify('a', '123456')"
gives "but once" f "SELECT otp.verify('a', '123456')"
gives "one wrong try counted" "1|t" "SELECT attempts, verified_at IS NOT NULL FROM otp.verifications WHERE subject = 'a'"
gives "verified_phones" "a|+966501234567" "SELECT subject, e164 FROM otp.verified_phones"
make digits >/dev/null
gives "digits as people type them" t "SELECT otp.verify('digits', ' ١٢٣-٤٥٦ ')"
for nonsense in "'nobody', '123456'" "NULL, NULL" "'', ''" "'a', NULL" "'a', repeat('1', 10000000)" "repeat('a', 10000000), '1'" "'a', '''; DROP TABLE otp.verifications; --'" "'a', '1', repeat('p', 100000)" "'a', '123456', 'phone_verification', repeat('5', 10000000)"; do
    gives "false for ${nonsense:0:40}" f "SELECT otp.verify($nonsense)"
done
make five >/dev/null
gives "five wrong tries" "f|f|f|f|f" "SELECT otp.verify('five', '1'), otp.verify('five', '2'), otp.verify('five', '3'), otp.verify('five', '4'), otp.verify('five', '5')"
gives "then the right one is too late" f "SELECT otp.verify('five', '123456')"
clean; make x 0501111111 >/dev/null
gives "five of ten failures of the day" "5" "SELECT count(*) FROM generate_series(1, 5) n WHERE NOT otp.verify('x', n::text)"
make x 0501111111 >/dev/null
gives "a new code has its own five tries, not its own day" "5" "SELECT count(*) FROM generate_series(1, 5) n WHERE NOT otp.verify('x', n::text)"
make x 0501111111 >/dev/null
gives "after ten failures the right code fails too" f "SELECT otp.verify('x', '123456')"
make y 0501111111 >/dev/null
gives "whoever asks" f "SELECT otp.verify('y', '123456')"
make z 0502222222 >/dev/null
gives "another phone is not concerned" t "SELECT otp.verify('z', '123456')"
make new 0503333333 >/dev/null
sql -c "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('new', '0503333333', '654321')"
gives "only the newest code" "f" "SELECT otp.verify('new', '123456')"
gives "only the newest code" "t" "SELECT otp.verify('new', '654321')"
make hijack 0504444444 >/dev/null
gives "a code for my phone does not verify yours" f "SELECT otp.verify('hijack', '123456', phone_number => '0505555555')"
gives "any spelling of mine will do" t "SELECT otp.verify('hijack', '123456', phone_number => '+966 (0)50 444 4444')"
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
gives "unseal answers null under another secret" "t" "SET otp.secret = '$other'; SELECT otp.unseal(sealed_code, key_id) IS NULL FROM otp.verifications WHERE subject = 'secret'"
gives "unseal answers null for a corrupt seal" "t" "SELECT bool_and(otp.unseal(bad, key_id) IS NULL) FROM otp.verifications, unnest(ARRAY[''::bytea, '\\x00', '\\xc30d04', substr(sealed_code, 1, 30), set_byte(sealed_code, 40, 0), set_byte(sealed_code, 2, 9)]) bad WHERE subject = 'secret'"
gives "while rotating, the previous secret opens and verifies" "t|t" "SET otp.secret = '$other'; SET otp.secret_previous = '$secret'; SELECT otp.unseal(sealed_code, key_id) = '123456', otp.verify('secret', '123456') FROM otp.verifications WHERE subject = 'secret'"
says "inside a longer transaction it warns" "WARNING: +otp.verify runs inside a longer transaction" "SET client_min_messages = warning; BEGIN; CREATE TEMP TABLE t (); SELECT otp.verify('a', '1'); ROLLBACK"
check "and not in its own" "f" "$(psql -qXAt -d "$PGDATABASE" -c "SET client_min_messages = warning" -c "SELECT otp.verify('a', '1')" 2>&1)"

clean; make winner >/dev/null; rm -f "$work"/w*
for n in $(seq 64); do (sql -c "SELECT otp.verify('winner', '123456')" >"$work/w$n") & done; wait
check "64 right answers at once: one winner" "1" "$(cat "$work"/w* | grep -c '^t$')"
check "the others hear false" "63" "$(cat "$work"/w* | grep -c '^f$')"
clean; make guess >/dev/null
for n in $(seq 64); do (sql -c "SELECT otp.verify('guess', '$n')" >/dev/null) & done; wait
gives "64 wrong answers at once: five counted" "5" "SELECT attempts FROM otp.verifications WHERE subject = 'guess'"
clean; for n in $(seq 30); do make "many$n" >/dev/null; done; rm -f "$work"/m*
for n in $(seq 30); do (sql -c "SELECT otp.verify('many$n', '0')" >/dev/null) & done; wait
gives "30 subjects, one phone: no right answer after ten wrong" f "SELECT otp.verify('many1', '123456')"
clean; make counted >/dev/null; sql -c "SELECT otp.verify('counted', '123456')" >/dev/null
gives "a right answer leaves the day's budget whole" "0" "SELECT failures FROM otp.verify_failures"
v=$(make queued); sql -c "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)"
gives "a used code is not sent again" "t" "SELECT otp.verify('queued', '123456')"
gives "its queued job ends canceled" "canceled|The code has been used." "SELECT job_state, error FROM otp.delivery_status WHERE verification_id = $v"

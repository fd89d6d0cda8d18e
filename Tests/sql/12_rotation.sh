# The secret is changed while codes are live, in the documented steps. Every code stays valid, and no step causes an OT003.
with() { sql -c "SELECT set_config('otp.secret', '$1', false), set_config('otp.secret_previous', '$2', false)" -c "$3" | tail -n +2; }
code() { with "$1" "$2" "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('$3', '0501$4', '123456') RETURNING key_id"; }
opens() { with "$1" "$2" "SELECT count(unseal(sealed_code, key_id)) = count(*) FROM otp.verifications"; }     # as the worker opens codes
old_key=$(code "$secret" "" before 000001)
# 1: otpd and then every backend get the new secret as the previous one. It is not used yet, and all could open its codes.
check "step 1 seals under the old one" "$old_key" "$(code "$secret" "$other" one 000002)"
# 2: the two secrets change places, one process after the other. Changed and unchanged processes can open all codes.
new_key=$(code "$other" "$secret" two 000003)
check "key ids are of the secret: sixteen hex digits, one per secret" "t|t|t" "$(sql -c "SELECT '$old_key' ~ '^[0-9a-f]{16}\$', '$new_key' ~ '^[0-9a-f]{16}\$', '$old_key' <> '$new_key'")"
check "a worker that has changed opens all" t "$(opens "$other" "$secret")"
check "and one that has not" t "$(opens "$secret" "$other")"
check "a backend that has not verifies what one that has sealed" t "$(with "$secret" "$other" "SELECT otp.verify('two', '123456')")"
check "and the other way round" t "$(with "$other" "$secret" "SELECT otp.verify('one', '123456')")"
check "a request in between sends the same code" "1 1" "$(for pair in "$secret $other" "$other $secret"; do with ${pair% *} ${pair#* } "SELECT otp.request('asks', '0501000004')" >/dev/null; sql -c "SELECT count(*) FROM otp.verifications WHERE subject = 'asks'"; done | paste -sd' ')"
# 3: ten minutes later, all codes of the old secret have expired, and the old secret is removed.
check "without the old one, its codes are OT003" "ERROR:  OT003" "$(with "$other" "" "SELECT otp.verify('before', '123456')" | grep ERROR)"
check "which costs them nothing" "0|t" "$(with "$other" "$secret" "SELECT attempts, otp.verify('before', '123456') FROM otp.verifications WHERE subject = 'before'")"
code "$secret" "" gone 000005 >/dev/null
check "a new request of the same user draws a new code, under the new secret" "t $new_key" "$(with "$other" "" "SELECT verification_id > 0 FROM otp.request('gone', '0501000005')") $(sql -c "SELECT key_id FROM otp.verifications WHERE subject = 'gone' ORDER BY id DESC LIMIT 1")"
check "only otp.secret seals: alone, the previous one is OT003" "ERROR:  OT003" "$(with "" "$secret" "INSERT INTO otp.verifications (subject, phone_number) VALUES ('a', '0501234567')" | grep ERROR)"
gives "no secret is stored" "0" "SELECT count(*) FROM otp.verifications v WHERE v::text LIKE '%$secret%' OR v::text LIKE '%$other%'"

for weak in 00000000000000000000000000000000 abcdefgabcdefgabcdefgabcdefgabcdefg; do
    fails "OT003 a secret of fewer than 8 different characters" OT003 "SELECT set_config('otp.secret', '$weak', false); SELECT otp.request('weak', '0501234567')"
done

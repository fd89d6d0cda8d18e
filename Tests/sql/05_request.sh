# otp.request sends the same code while it is live, serves one caller at a time, and never mixes up phone numbers.
gives "a request sends" "t|t|t" "SELECT verification_id > 0, expires_at > now() + '4 minutes', resend_after IS NOT NULL FROM otp.request('r', '0501234567')"
gives "again, in another spelling" "t" "SELECT verification_id > 0 FROM otp.request('r', '+966501234567')"
gives "the same verification, another job" "1|2" "SELECT count(DISTINCT verification_id), count(*) FROM otp.send_jobs"
gives "with the same expiry" "1" "SELECT count(*) FROM otp.verifications"
old=$(sql -c "SELECT max(id) FROM otp.verifications")
gives "another phone, another code" "t" "SELECT verification_id <> $old FROM otp.request('r', '0507654321')"
gives "and the old one is dead, its queued jobs canceled" "t|canceled" "SELECT canceled_at IS NOT NULL, (SELECT string_agg(DISTINCT job_state, ',') FROM otp.delivery_status WHERE verification_id = $old) FROM otp.verifications WHERE id = $old"
gives "all arguments, named" "t" "SELECT expires_at < now() + '2 minutes 1 second' FROM otp.request(subject => 'named', phone_number => '501234560', locale => 'ar', purpose => 'phone_verification', region => 'SA', ttl => '2 minutes', client_ip => '192.0.2.1')"
gives "from drivers that send typed text, with casts" "t" "PREPARE typed (text, text, text, text) AS SELECT expires_at < now() + '2 minutes 1 second' FROM otp.request(\$1, \$2, ttl => CAST(\$3 AS interval), client_ip => CAST(\$4 AS inet)); EXECUTE typed ('typed', '501234561', '2 minutes', '2001:db8::1')"
gives "a client address that is null counts for nobody" "t|0" "SELECT verification_id > 0, (SELECT count(*) FROM otp.send_counts WHERE key IS NULL OR scope = 'client_ip' AND key <> otp.counter_key('client_ip', '192.0.2.1') AND key <> otp.counter_key('client_ip', '2001:db8::/64')) FROM otp.request('nowhere', '501234562', client_ip => NULL)"
gives "delivery is for the subject" "1|0" "SELECT (SELECT count(*) FROM otp.delivery(v.id, 'named')), (SELECT count(*) FROM otp.delivery(v.id, 'r')) FROM otp.verifications v WHERE subject = 'named'"
fails "OT002" OT002 "SELECT otp.request('r', 'none')"
fails "OT002 null" OT002 "SELECT otp.request('r', NULL)"
fails "OT002 10 MB" OT002 "SELECT otp.request('r', repeat('5', 10000000))"
fails "OT004" OT004 "SELECT otp.request('r2', '0501234567', locale => 'xx')"
fails "OT004 purpose" OT004 "SELECT otp.request('r2', '0501234567', purpose => 'nope')"
fails "OT005" OT005 "SELECT otp.request('r2', '+14155552671')"
fails "OT007 subject" OT007 "SELECT otp.request('', '0501234567')"
fails "OT007 null subject" OT007 "SELECT otp.request(NULL, '0501234567')"
fails "OT007 ttl" OT007 "SELECT otp.request('r2', '0501234567', ttl => '-1 minute')"
fails "OT007 huge ttl" OT007 "SELECT otp.request('r2', '0501234567', ttl => '1 year')"
fails "OT003" OT003 "SET otp.secret = ''; SELECT otp.request('r2', '0501234567')"
gives "nothing half-written" "0|0" "SELECT (SELECT count(*) FROM otp.verifications WHERE subject = 'r2'), (SELECT count(*) FROM otp.request_locks WHERE subject = 'r2')"
clean
for n in $(seq 32); do (patient -c "SELECT otp.request('one', '0501231231')" >"$work/q$n") & done; wait
gives "32 at once draw one code" "1|5" "SELECT (SELECT count(*) FROM otp.verifications), (SELECT count(*) FROM otp.send_jobs)"
check "the rest are over the limit" "27" "$(cat "$work"/q* | grep -c OT001)"
clean
for n in $(seq 32); do (for try in $(seq 80); do patient -c "BEGIN ISOLATION LEVEL REPEATABLE READ" -c "SELECT 1" -c "SELECT otp.request('one', '0501231231')" -c COMMIT >"$work/qr$n"; grep -q 40001 "$work/qr$n" || break; done) & done; wait
gives "also under REPEATABLE READ, retrying" "1|5" "SELECT (SELECT count(*) FROM otp.verifications), (SELECT count(*) FROM otp.send_jobs)"
# A second request for a live code uses the latest locale and the first expiry. Each send counts for its own client address.
clean
counted() { sql -c "SELECT coalesce(string_agg(coalesce(a, 'another') || ' ' || cardinality(sent_at), ', ' ORDER BY a), 'none') FROM otp.send_counts LEFT JOIN unnest(ARRAY['192.0.2.1', '192.0.2.2', '2001:db8:1::/64']) a ON key = otp.counter_key('client_ip', a) WHERE scope = 'client_ip'"; }
first=$(sql -c "SELECT expires_at FROM otp.request('again', '0501231231', locale => 'en', client_ip => '192.0.2.1')")
sql -c "SELECT otp.request('again', '0501231231', client_ip => '192.0.2.2')" >/dev/null
check "a resend counts for the address that asks for it" "192.0.2.1 1, 192.0.2.2 1" "$(counted)"
sql -c "SELECT otp.request('again', '0501231231')" >/dev/null
check "without an address, for none" "192.0.2.1 1, 192.0.2.2 1" "$(counted)"
gives "without a locale it stays" "en" "SELECT locale FROM otp.verifications"
gives "another locale, and another ttl" "$first" "SELECT expires_at FROM otp.request('again', '0501231231', locale => 'ar_SA', ttl => '9 minutes', client_ip => '::ffff:192.0.2.1')"
gives "is the text of that locale, with the same code and the same expiry" "1|ar|$first" "SELECT count(*), max(locale), max(expires_at) FROM otp.verifications"
check "and counts for its own address, by whatever spelling" "192.0.2.1 2, 192.0.2.2 1" "$(counted)"
fails "an unknown locale is one the second time too" OT004 "SELECT otp.request('again', '0501231231', locale => 'xx')"
gives "and changes nothing" "ar|4" "SELECT locale, (SELECT count(*) FROM otp.send_jobs) FROM otp.verifications"
clean; sql -c "UPDATE otp.limits SET max_sends = 1 WHERE scope = 'client_ip'"
sql -c "SELECT otp.request('again', '0501231231', locale => 'en', client_ip => '192.0.2.1')" >/dev/null
fails "an address whose sends are used up" OT001 "SELECT otp.request('again', '0501231231', locale => 'ar', client_ip => '192.0.2.1')"
gives "changes nothing either" "en|1" "SELECT locale, (SELECT count(*) FROM otp.send_jobs) FROM otp.verifications"
gives "another one may send" t "SELECT verification_id > 0 FROM otp.request('again', '0501231231', client_ip => '192.0.2.3')"
clean; sql -c "UPDATE otp.limits SET max_sends = 100 WHERE scope = 'client_ip'"
v=$(verification inserted client_ip "'192.0.2.1'")
sql -c "SET ROLE otp_web" -c "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)" -c "INSERT INTO otp.send_jobs (verification_id, client_ip) VALUES ($v, '2001:db8:1::7')"
check "who inserts names the address of a further send, or it is the verification's" "192.0.2.1 1, 2001:db8:1::/64 1" "$(counted)"
gives "which is then the last" "2001:db8:1::7|0" "SELECT client_ip, (SELECT count(client_ip) FROM otp.send_jobs) FROM otp.verifications"
clean

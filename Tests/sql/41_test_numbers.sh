# Test numbers: nothing is sent to them, a fixed code is right, and only numbers that are not in use are taken without a word.
add() { sql -c "SET ROLE otp_admin" -c "SELECT otp.add_test_number($1)"; }
month="now() + interval '30 days'"
fails "a number that somebody may have" OT007 "SELECT otp.add_test_number('0501234567', '482913', $month)"
says "says why, and what to do" "HINT: .*not in use.*allow_real => true" "SELECT otp.add_test_number('0501234567', '482913', $month)"
fails "nor with a null" OT007 "SELECT otp.add_test_number('0501234567', '482913', $month, allow_real => NULL)"
fails "a landline can never be one" OT002 "SELECT otp.add_test_number('+442079460000', '482913', $month, allow_real => true)"
fails "a number too short to be one" OT002 "SELECT otp.add_test_number('+1555', '482913', $month)"
fails "it ends one day" OT007 "SELECT otp.add_test_number('+15555550100', '482913', NULL)"
fails "within 90 days" OT007 "SELECT otp.add_test_number('+15555550100', '482913', now() + interval '91 days')"
fails "not for ever" OT007 "SELECT otp.add_test_number('+15555550100', '482913', 'infinity')"
fails "and not yesterday" OT007 "SELECT otp.add_test_number('+15555550100', '482913', now())"
for code in 48291 123456 987654 000000 4829131234567 48-291 ''; do fails "the code '$code' is refused" OT007 "SELECT otp.add_test_number('+15555550100', '$code', $month)"; done
fails "a code is needed" OT007 "SELECT otp.add_test_number('+15555550100', NULL, $month)"
fails "a secret is needed" OT003 "SET otp.secret = ''; SELECT otp.add_test_number('+15555550100', '482913', $month)"
gives "nothing of that left a row" 0 "SELECT count(*) FROM otp.test_numbers"
fails "its number is invalid before it is one" OT002 "SELECT otp.request('reviewer', '+1 555 555 0100')"
check "an operator adds one" +15555550100 "$(add "'(555) 555-0100', '482913', $month, region => 'US'")"
check "of Great Britain" +447700900123 "$(add "'07700 900123', '739154', $month, region => 'GB'")"
check "a fictional one that is valid" +12025550123 "$(add "'+1 202 555 0123', '739154', $month")"
check "a real one, when told" +966501234567 "$(add "'0501234567', '739154', $month, allow_real => true")"
gives "what somebody may have is marked" "+12025550123 f,+15555550100 f,+447700900123 f,+966501234567 t" "SELECT string_agg(e164 || ' ' || left(is_real::text, 1), ',' ORDER BY e164) FROM otp.test_numbers"
gives "nowhere stands a code" 0 "SELECT count(*) FROM otp.test_numbers t WHERE t::text ~ '482913|739154' OR encode(code_hash, 'escape') ~ '482913|739154'"
for role in otp_web otp_worker otp_monitor; do fails "$role adds none" 42501 "SET ROLE $role; SELECT otp.add_test_number('+15555550101', '482913', $month)"; fails "$role reads no hash" 42501 "SET ROLE $role; SELECT code_hash FROM otp.test_numbers"; done
gives "otp_monitor sees them masked" "+1555••••100|US|f" "SET ROLE otp_monitor; SELECT phone_number, country, is_real FROM otp.test_number_status WHERE country = 'US' AND phone_number LIKE '+1555%'"

# A request makes a code that is right, and a send that has ended. The country US is not allowed for others.
fails "another number of the country" OT005 "SELECT otp.request('reviewer', '+14155552671')"
outcomes=$(sql -c "SELECT coalesce(sum(accepted + failed), 0) FROM otp.outcome_counts")
v=$(sql -c "SET ROLE otp_web" -c "SELECT verification_id FROM otp.request('reviewer', '+1 (555) 555-0100')")
gives "the queue is empty" 0 "SELECT count(*) FROM otp.send_jobs"
gives "the backend sees what happened" "test||0|t|t|sms" "SET ROLE otp_web; SELECT job_state, message_status, attempts, error ~ 'Nothing was sent.*test number', final_at IS NOT NULL, channel FROM otp.delivery($v, 'reviewer')"
gives "the operator, too" "test|US|test" "SET ROLE otp_monitor; SELECT d.job_state, d.country, s.job_state FROM otp.job_details d JOIN otp.delivery_status s USING (send_job_id) WHERE d.verification_id = $v"
gives "it is no failure, and no outcome" "0|0|$outcomes" "SELECT (SELECT count(*) FROM otp.failures), (SELECT count(*) FROM otp.failure_summary), (SELECT coalesce(sum(accepted + failed), 0) FROM otp.outcome_counts)"
gives "no channel was used" "{}" "SELECT otp.channels_used($v, 'reviewer')"
gives "there is nothing to send" "t|t" "SELECT sealed_code IS NULL, is_test FROM otp.verifications WHERE id = $v"
gives "a second request is for the same code" $v "SELECT verification_id FROM otp.request('reviewer', '5555550100', region => 'US')"
gives "another code is wrong, and counts" "f|1" "SELECT otp.verify('reviewer', '111111'), (SELECT attempts + 1 FROM otp.verifications WHERE id = $v)"
gives "the code of another test number is wrong" f "SELECT otp.verify('reviewer', '739154')"
gives "nor is it right for another number" f "SELECT otp.verify('reviewer', '482913', phone_number => '+447700900123')"
gives "it is right once" "t|f" "SELECT otp.verify('reviewer', '482 913', phone_number => '+1 555 555 0100'), otp.verify('reviewer', '482913')"
gives "the phone is verified, and marked" "+15555550100|t" "SELECT e164, is_test FROM otp.verified_phones('reviewer')"
gives "it is no conversion" 0 "SELECT count(*) FROM otp.conversion_daily"
v=$(sql -c "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('orm', '+15555550100', '111111') RETURNING id")
check "INSERT … RETURNING answers as for others" t "$(sql -c "SET ROLE otp_web" -c "INSERT INTO otp.send_jobs (verification_id) VALUES ($v) RETURNING id > 0")"
gives "the code of a backend does not count" "f|t" "SELECT otp.verify('orm', '111111'), otp.verify('orm', '482913')"
gives "for every subject" t "SELECT otp.verify('another', '739154') FROM otp.request('another', '0501234567')"
job=$(sql -c "SELECT send_job_id FROM otp.delivery($v, 'orm')")
fails "it is not tried again" OT006 "SELECT otp.retry_job($job)"
for try in $(seq 6); do sql -c "SELECT otp.request('limited$try', '+447700900123')"; done >"$work/limited"
check "limits are as for others: five in five minutes" "5|1" "$(grep -c '^(' "$work/limited")|$(grep -c OT001 "$work/limited")"

# Routes and channels: no step begins, and no channel has to be usable.
sql -c "DELETE FROM otp.send_counts" -c "INSERT INTO otp.routes (country, step, channel, wait) VALUES ('*', 2, 'sms', '5 seconds')" -c "INSERT INTO otp.routes (country, step, channel) VALUES ('US', 1, 'call')"
v=$(sql -c "SELECT verification_id FROM otp.request('routed', '+15555550100')")
gives "no further step is awaited" "0|0|test" "SELECT (SELECT count(*) FROM otp.step_waits), (SELECT count(*) FROM otp.send_jobs), string_agg(job_state, ',') FROM otp.delivery($v, 'routed')"
v=$(sql -c "SELECT verification_id FROM otp.request('called', '+15555550100', channel => 'call')")
gives "a call rings nowhere" "test call" "SELECT string_agg(job_state || ' ' || channel, ',') FROM otp.delivery($v, 'called')"
sql -c "DELETE FROM otp.routes WHERE country = 'US' OR step = 2"

# The row is added or removed between the insert and the claim.
clean
sql -c "SELECT otp.remove_test_number('0501234567')" >/dev/null
v=$(sql -c "SELECT verification_id FROM otp.request('early', '0501234567')")
gives "a number that is none is sent to" queued "SELECT job_state FROM otp.delivery($v, 'early')"
add "'0501234567', '739154', $month, allow_real => true" >/dev/null
gives "what was queued before ends" "canceled|t" "SELECT job_state, (SELECT canceled_at IS NOT NULL FROM otp.verifications WHERE id = $v) FROM otp.delivery($v, 'early')"
v=$(sql -c "SELECT verification_id FROM otp.request('late', '0501234567')")
gives "when it is removed" t "SELECT otp.remove_test_number('0501234567')"
gives "its codes end" "f|0" "SELECT otp.verify('late', '739154'), (SELECT count(*) FROM otp.send_jobs)"
fails "and send nothing any more" OT006 "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)"
gives "it is none twice" f "SELECT otp.remove_test_number('0501234567')"
v=$(sql -c "SELECT verification_id FROM otp.request('late', '0501234567')")
gives "then it is sent to as others are" queued "SELECT job_state FROM otp.delivery($v, 'late')"

# A row whose time is over has no effect, and a code never outlives it.
clean
sql -c "UPDATE otp.test_numbers SET expires_at = now() + interval '90 seconds' WHERE e164 = '+15555550100'"
gives "the code ends with the number" t "SELECT expires_at < now() + interval '91 seconds' FROM otp.request('last', '+15555550100', ttl => '5 minutes')"
sql -c "UPDATE otp.test_numbers SET expires_at = now()"
fails "an expired one is an invalid number again" OT002 "SELECT otp.request('after', '+15555550100')"
fails "or one of a country that is not allowed" OT005 "SELECT otp.request('after', '+12025550123')"
gives "and is not shown" 0 "SELECT count(*) FROM otp.test_number_status"

# The secret changes.
add "'+15555550100', '482913', $month" >/dev/null
both="SET otp.secret = '$other'; SET otp.secret_previous = '$secret'"
gives "while both secrets are known, the code is right" t "$both; SELECT otp.verify('rotating', '482913') FROM otp.request('rotating', '+15555550100')"
fails "later the number asks to be added again" OT003 "SET otp.secret = '$other'; SELECT otp.request('rotated', '+15555550100')"
says "and says so" "add the test number again" "SET otp.secret = '$other'; SELECT otp.request('rotated', '+15555550100')"
sql -c "SET otp.secret = '$other'" -c "SELECT otp.add_test_number('+15555550100', '482913', $month)" >/dev/null
gives "then it works" t "SET otp.secret = '$other'; SELECT otp.verify('rotated', '482913') FROM otp.request('rotated', '+15555550100')"
sql -c "DELETE FROM otp.test_numbers"
clean

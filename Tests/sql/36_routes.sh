# Routes: which channel a code takes, what follows a step that failed, and when a step begins by time.
sid() { printf 'SM%032d' "$1"; }
route() { sql -c "DELETE FROM otp.routes" -c "INSERT INTO otp.routes (purpose, country, step, channel, wait) VALUES $1"; }
clean; sql -c "INSERT INTO otp.countries (region) VALUES ('EG'), ('AE') ON CONFLICT DO NOTHING"
jobs() { sql -c "SELECT string_agg(concat_ws(' ', channel, step, state, CASE WHEN follows IS NOT NULL THEN 'follows' END), ',' ORDER BY id) FROM otp.send_jobs"; }
# The live job of a subject becomes a message.
taken() {       # subject, SID, status
    sql -c "WITH j AS (DELETE FROM otp.send_jobs WHERE id = (SELECT max(j.id) FROM otp.send_jobs j JOIN otp.verifications v ON v.id = j.verification_id WHERE v.subject = '$1') RETURNING *) INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status, channel, step, follows) SELECT '$2', id, verification_id, 1, true, requested_at, '${3:-queued}', channel, step, follows FROM j RETURNING send_job_id"
}
# The live job of a subject ends unsent.
ended() {       # subject, state
    sql -c "WITH j AS (DELETE FROM otp.send_jobs WHERE id = (SELECT max(j.id) FROM otp.send_jobs j JOIN otp.verifications v ON v.id = j.verification_id WHERE v.subject = '$1') RETURNING *) INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at, channel, step, follows) SELECT id, verification_id, '$2', 1, requested_at, channel, step, follows FROM j RETURNING send_job_id"
}
request() { sql -c "SELECT verification_id FROM otp.request('$1', '$2'${3:+, $3})"; }
begin() { sql -c "UPDATE otp.step_waits SET due_at = clock_timestamp() - interval '1 second'" -c "SELECT begun FROM otp.begin_steps()"; }

# What a row of a route may be.
gives "at first there is one route, of one step" "*|*|1|sms|" "SELECT * FROM otp.routes"
fails "step 1 waits for nothing" 23514 "INSERT INTO otp.routes VALUES ('x', '*', 1, 'sms', '30 seconds')"
fails "no step 0" 23514 "INSERT INTO otp.routes VALUES ('x', '*', 0, 'sms')"
fails "no other channel" 23514 "INSERT INTO otp.routes VALUES ('x', '*', 1, 'pigeon')"
fails "a wait is 5 seconds at least" 23514 "INSERT INTO otp.routes VALUES ('x', '*', 2, 'sms', '4 seconds')"
fails "and at most nine minutes" 23514 "INSERT INTO otp.routes VALUES ('x', '*', 2, 'sms', '10 minutes')"
fails "a call needs a number" 23514 "INSERT INTO otp.channel_senders VALUES ('call', '*', 'Mgask')"
fails "a call cannot come from a messaging service" 23514 "INSERT INTO otp.channel_senders VALUES ('call', '*', 'MG00000000000000000000000000000000')"
fails "a template has HX" 23514 "UPDATE otp.templates SET content_sid = 'SM00000000000000000000000000000000'"
fails "a call says the code" 23514 "UPDATE otp.templates SET call_text = 'Hello.'"
fails "a subject is one line" OT007 "UPDATE otp.templates SET mail_subject = E'a\\nBcc: b@example.com'"
fails "a subject has known placeholders" OT007 "UPDATE otp.templates SET mail_subject = 'Hello {name}'"

# Without a route of several steps, nothing changes.
request plain +201001234501 >/dev/null
gives "one step leaves no trace" "sms||queued|0" "SELECT channel, step, state, (SELECT count(*) FROM otp.step_waits) FROM otp.send_jobs"
clean

# A channel on demand, and what it needs.
fails "an unknown channel" OT007 "SELECT otp.request('bad', '+201001234502', channel => 'pigeon')"
fails "a call without a number to call from" OT007 "SELECT otp.request('bad', '+201001234502', channel => 'call')"
fails "an e-mail without an address" OT007 "SELECT otp.request('bad', '+201001234502', channel => 'email')"
fails "an e-mail for a purpose that allows none" OT007 "SELECT otp.request('bad', '+201001234502', channel => 'email', email => 'a@example.com')"
says "the error says so" "cannot send by email: codes for phone_verification may not go by e-mail \(otp.purposes.allows_email\)" "SELECT otp.request('bad', '+201001234502', channel => 'email', email => 'a@example.com')"
fails "WhatsApp without an approved template" OT007 "SELECT otp.request('bad', '+201001234502', channel => 'whatsapp')"
gives "and nothing is left of them" "0|0" "SELECT (SELECT count(*) FROM otp.verifications), (SELECT count(*) FROM otp.send_counts)"
sql -c "INSERT INTO otp.channel_senders VALUES ('call', '*', '+12015550100'), ('whatsapp', 'EG', '+12015550101')" -c "INSERT INTO otp.purposes (purpose, allows_email) VALUES ('phone_verification', true)" \
    -c "UPDATE otp.templates SET content_sid = 'HX0123456789abcdef0123456789abcdef' WHERE purpose = 'phone_verification' AND locale = 'en'"
request want +201001234503 "channel => 'call'" >/dev/null
check "call me instead" "call queued" "$(jobs)"
request want +201001234503 "channel => 'email', email => 'a@example.com'" >/dev/null
check "an e-mail address makes another code" "email queued" "$(jobs)"
fails "an Arabic text without a template" OT007 "SELECT otp.request('bad', '+201001234504', locale => 'ar', channel => 'whatsapp')"
sql -c "INSERT INTO otp.countries (region) VALUES ('QA') ON CONFLICT DO NOTHING"
fails "no WhatsApp sender for the country" OT007 "SELECT otp.request('bad', '+97433123456', channel => 'whatsapp')"

# E-mail addresses.
for bad in '' 'a' 'a@' '@example.com' 'a@b' 'a@example.com, b@example.com' 'A <a@example.com>' 'a b@example.com' '"a b"@example.com' 'a@[192.0.2.1]' 'a..b@example.com' '.a@example.com' 'a@-example.com' 'a@example..com' 'a@example.com.'; do
    fails "not an address: $bad" OT007 "SELECT otp.request('mail', '+201001234505', channel => 'email', email => '$bad')"
done
fails "a line break in an address" OT007 "SELECT otp.request('mail', '+201001234505', channel => 'email', email => E'a@example.com\\r\\nBcc: b@example.com')"
fails "a line separator in an address" OT007 "SELECT otp.request('mail', '+201001234505', channel => 'email', email => E'a\\u2028@example.com')"
fails "300 kB" OT007 "SELECT otp.request('mail', '+201001234505', channel => 'email', email => repeat('a', 300000) || '@example.com')"
fails "65 characters before the @" OT007 "SELECT otp.checked_email(repeat('a', 65) || '@example.com')"
for good in 'a@example.com' "o''brien+tag@mail.example.co" 'مستخدم@مثال.السعودية' 'user@xn--mgbh0fb.xn--kgbechtv' 'a_b-c.d@sub-domain.example.museum'; do
    gives "an address: $good" "${good//\'\'/\'}" "SELECT otp.checked_email(' $good ')"
done

# Two steps: what begins the second.
clean; route "('*', '*', 1, 'sms', NULL), ('*', '*', 2, 'call', '30 seconds')"
request two +201001234506 >/dev/null
check "the first step" "sms 1 queued" "$(jobs)"
gives "its timer runs from the request" t "SELECT w.due_at = j.requested_at + interval '30 seconds' FROM otp.step_waits w JOIN otp.send_jobs j ON j.id = w.send_job_id"
gives "which is not due yet" "0|t" "SELECT begun, next_in BETWEEN 1 AND 30 FROM otp.begin_steps()"
first=$(taken two "$(sid 1)")
check "after the wait" 1 "$(begin)"
check "the call follows" "call queued follows" "$(jobs)"
gives "and the message says so" t "SELECT follow_up = format('The same code is sent by call as send job %s.', (SELECT max(id) FROM otp.send_jobs)) FROM otp.messages"
check "once" 0 "$(begin)"
sql -c "SELECT otp.record_status('$(sid 1)', 'failed', 30008)" >/dev/null
check "a failure that comes later begins no other" "call queued follows" "$(jobs)"
clean; request fast +201001234507 >/dev/null; taken fast "$(sid 2)" >/dev/null
sql -c "SELECT otp.record_status('$(sid 2)', 'failed', 30008)" >/dev/null
check "a failed message begins the next step at once" "call queued follows" "$(jobs)"
check "and the timer begins none after that" "0|call queued follows" "$(begin)|$(jobs)"
clean; request nocode +201001234508 >/dev/null; taken nocode "$(sid 3)" >/dev/null
sql -c "SELECT otp.record_status('$(sid 3)', 'undelivered')" >/dev/null
check "also without an error code" "call queued follows" "$(jobs)"
clean; request unsent +201001234509 >/dev/null; ended unsent failed >/dev/null
check "a job that ended unsent begins the next step at once" "call queued follows" "$(jobs)"
gives "and says so" t "SELECT follow_up LIKE 'The same code is sent by call as send job %' FROM otp.unsent_jobs"
clean; request gone +201001234510 >/dev/null; ended gone canceled >/dev/null
check "one that was canceled begins none" "" "$(jobs)"
clean; request late +201001234511 >/dev/null; ended late expired >/dev/null
check "nor one that expired" "" "$(jobs)"
clean; request slow +201001234512 >/dev/null
check "a job that still waits gives way" 1 "$(begin)"
check "to the call" "call queued follows" "$(jobs)"
gives "and ends as canceled" "canceled|The next step of the route took over." "SELECT state, error FROM otp.unsent_jobs"
clean; route "('*', '*', 1, 'sms', NULL), ('*', '*', 2, 'call', '30 seconds'), ('*', '*', 3, 'sms', '30 seconds')"
request third +201001234529 >/dev/null; taken third "$(sid 12)" >/dev/null; begin >/dev/null
sql -c "UPDATE otp.send_jobs SET state = 'sending', attempt = 1, worker = 1, lease_expires_at = now()"
check "a third step begins while the second one is being sent" "1|call 2 sending follows,sms queued follows" "$(begin)|$(jobs)"
check "once" "0|call 2 sending follows,sms queued follows" "$(begin)|$(jobs)"
clean; route "('*', '*', 1, 'sms', NULL), ('*', '*', 2, 'call', '30 seconds')"

# What ends a route.
clean; code=$(sql -c "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('used', '+201001234513', '123456') RETURNING id"); sql -c "INSERT INTO otp.send_jobs (verification_id) VALUES ($code)"
taken used "$(sid 4)" >/dev/null
gives "the code is used" t "SELECT otp.verify('used', '123456')"
check "then no step begins" "0|" "$(begin)|$(jobs)"
clean; v=$(request cancel +201001234514); taken cancel "$(sid 5)" >/dev/null; sql -c "SELECT otp.cancel($v, 'cancel')" >/dev/null
check "nor after a cancel" "0|" "$(begin)|$(jobs)"
clean; request again +201001234515 >/dev/null; taken again "$(sid 6)" >/dev/null; request again +201001234515 >/dev/null
sql -c "DELETE FROM otp.step_waits WHERE send_job_id IN (SELECT id FROM otp.send_jobs)"
check "a new request starts the route again, and the old timer is void" "0|sms 1 queued" "$(begin)|$(jobs)"
clean; request short +201001234516 "ttl => '1 minute'" >/dev/null; taken short "$(sid 7)" >/dev/null
check "a code that is about to expire has no next step" "0|" "$(begin)|$(jobs)"
clean; sql -c "INSERT INTO otp.limits (scope, channel, period, max_sends) VALUES ('phone', 'call', '1 day', 1)"
request costly +201001234517 "channel => 'call'" >/dev/null; ended costly canceled >/dev/null
request costly +201001234517 >/dev/null; taken costly "$(sid 8)" >/dev/null
check "a limit of the channel stops the step" "0|" "$(begin)|$(jobs)"
sql -c "SELECT otp.record_status('$(sid 8)', 'failed', 30008)" >/dev/null
gives "and the message says so" t "SELECT follow_up LIKE 'Not sent again: too many codes for this phone number: 1 are allowed in %' FROM otp.messages"
fails "the limit counts calls alone" OT001 "SELECT otp.request('costly', '+201001234517', channel => 'call')"
gives "texts go on" t "SELECT verification_id > 0 FROM otp.request('costly', '+201001234517', channel => 'sms')"
sql -c "DELETE FROM otp.limits WHERE channel = 'call'"

# Calls that nobody answers, and receipts that are not reliable.
clean; route "('*', '*', 1, 'call', NULL), ('*', '*', 2, 'sms', NULL)"
request ring +201001234518 >/dev/null; call=CA00000000000000000000000000000001; taken ring $call >/dev/null
sql -c "SELECT otp.record_status('$call', 'ringing')" -c "SELECT otp.record_status('$call', 'no-answer')" >/dev/null
check "a call without an answer begins the next step" "sms queued follows" "$(jobs)"
clean; request heard +201001234519 >/dev/null; taken heard $call >/dev/null
sql -c "SELECT otp.record_status('$call', 'completed')" >/dev/null
check "an answered call proves no ear, and is no failure" "" "$(jobs)"
clean; route "('*', '*', 1, 'sms', NULL), ('*', '*', 2, 'call', NULL)"
request sa 0501234520 >/dev/null; taken sa "$(sid 9)" >/dev/null; sql -c "SELECT otp.record_status('$(sid 9)', 'undelivered', 30003)" >/dev/null
check "an undelivered of unreliable carriers begins nothing" "" "$(jobs)"
clean; request sa 0501234520 >/dev/null; taken sa "$(sid 10)" >/dev/null; sql -c "SELECT otp.record_status('$(sid 10)', 'failed', 30008)" >/dev/null
check "a failure at Twilio does" "call queued follows" "$(jobs)"

# A failure is recorded while the code ends, or while the next step begins by time: neither waits for the other.
clean; route "('*', '*', 1, 'call', NULL), ('*', '*', 2, 'sms', '30 seconds')"
sql -c "INSERT INTO otp.channel_senders VALUES ('call', '*', '+12015550100') ON CONFLICT DO NOTHING"
crossing() {    # statement of the transaction that has locked the verification while a failure of its call is being recorded
    mkfifo "$work/user"
    psql -qXAt -v ON_ERROR_STOP=1 -v VERBOSITY=sqlstate -d "$PGDATABASE" <"$work/user" >"$work/user.out" 2>&1 & local user=$!
    exec 7>"$work/user"
    echo "BEGIN; SELECT 'locked' FROM otp.verifications FOR NO KEY UPDATE;" >&7
    until grep -q locked "$work/user.out"; do kill -0 $user || break; sleep 0.01; done
    sql -c "SELECT otp.record_status('$call', 'busy')" >"$work/news.out" & local news=$!
    until [ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%record_status%' AND pid <> pg_backend_pid()")" = 1 ]; do kill -0 $news || break; sleep 0.01; done
    echo "$1; COMMIT;" >&7; exec 7>&-
    wait $user; wait $news
    echo "$(sed 1d "$work/user.out" | paste -sd' ')|$(cat "$work/news.out")"
    rm -f "$work/user" "$work/user.out" "$work/news.out"
}
v=$(request cross +201001234528); taken cross $call >/dev/null
check "a call fails while its code is canceled" "t|t" "$(crossing "SELECT otp.cancel($v, 'cross')")"
check "and no step begins" "Not sent again: it was canceled.|" "$(sql -c "SELECT follow_up FROM otp.messages")|$(jobs)"
clean; request cross +201001234528 >/dev/null; taken cross $call >/dev/null; sql -c "UPDATE otp.step_waits SET due_at = clock_timestamp()"
check "a call fails while the next step is due" "0|t" "$(crossing "SELECT begun FROM otp.begin_steps()")"
check "the step begins once" "sms queued follows" "$(jobs)"
check "and its timer is void" "0|sms queued follows" "$(begin)|$(jobs)"

# The most specific route counts as a whole, and steps that cannot be used are left out.
clean; route "('*', '*', 1, 'sms', NULL), ('*', 'EG', 1, 'call', NULL), ('phone_verification', '*', 1, 'whatsapp', NULL), ('phone_verification', '*', 2, 'sms', NULL)"
request purpose +201001234521 >/dev/null
check "a purpose goes before a country" "whatsapp 1 queued" "$(jobs)"
clean; request qa +97433123457 >/dev/null
check "without a WhatsApp sender there, the next step is the first" "sms queued" "$(jobs)"
clean; route "('*', '*', 1, 'whatsapp', NULL)"
says "a route without a usable channel is refused, with the reason" "no WhatsApp sender serves QA" "SELECT otp.request('qa', '+97433123458')"
fails "as OT007" OT007 "SELECT otp.request('qa', '+97433123458')"
sql -c "DELETE FROM otp.routes"
fails "no route at all" OT007 "SELECT otp.request('none', '+201001234522')"

# What a code proves.
clean; route "('*', '*', 1, 'email', NULL), ('*', '*', 2, 'sms', '30 seconds')"
code=$(sql -c "INSERT INTO otp.verifications (subject, phone_number, code, email) VALUES ('proof', '+201001234523', '123456', 'a@example.com') RETURNING id"); sql -c "INSERT INTO otp.send_jobs (verification_id) VALUES ($code)"
taken proof otpd-1-abc >/dev/null; begin >/dev/null; taken proof "$(sid 11)" >/dev/null
gives "the code is right" t "SELECT otp.verify('proof', '123456')"
gives "a code that also went by e-mail proves no phone" 0 "SELECT count(*) FROM otp.verified_phones('proof')"
gives "the channels of a code" "{email,sms}" "SELECT otp.channels_used($code, 'proof')"
gives "of another subject nothing" "{}" "SELECT otp.channels_used($code, 'other')"
clean; route "('*', '*', 1, 'sms', NULL), ('*', '*', 2, 'email', '30 seconds')"
code=$(sql -c "INSERT INTO otp.verifications (subject, phone_number, code, email) VALUES ('queued', '+201001234524', '123456', 'a@example.com') RETURNING id"); sql -c "INSERT INTO otp.send_jobs (verification_id) VALUES ($code)"
taken queued "$(sid 12)" >/dev/null; begin >/dev/null
check "an e-mail waits" "email queued follows" "$(jobs)"
gives "the code is used before it left" t "SELECT otp.verify('queued', '123456')"
gives "so the phone is proven" "+201001234524" "SELECT e164 FROM otp.verified_phones('queued')"

# Costs and budgets by channel.
clean; route "('*', '*', 1, 'sms', NULL)"
sql -c "DELETE FROM otp.limits" -c "INSERT INTO otp.limits (scope, period, max_cost) VALUES ('budget', '1 day', 0.45)" -c "UPDATE otp.channel_costs SET expected_cost = 0.2 WHERE channel = 'call'"
gives "two calls fit" "2" "SELECT count(*) FROM (SELECT otp.request('b1', '+201001234525', channel => 'call') UNION ALL SELECT otp.request('b2', '+201001234526', channel => 'call')) x"
fails "a third does not" OT001 "SELECT otp.request('b3', '+201001234527', channel => 'call')"
sql -c "DELETE FROM otp.limits" -c "INSERT INTO otp.limits (scope, period, max_sends) VALUES ('phone', '5 minutes', 5), ('phone', '1 day', 20), ('subject', '1 day', 20), ('client_ip', '1 hour', 100)" -c "DELETE FROM otp.channel_senders" -c "DELETE FROM otp.purposes" -c "UPDATE otp.templates SET content_sid = NULL"

# One resend after a failed delivery: the permitted and the forbidden effects of a receipt.
clean; sql -c "TRUNCATE otp.pauses" -c "INSERT INTO otp.countries (region) VALUES ('EG')"
sid() { printf 'SM%032d' "$1"; }
# A job of a verification that has become a message, in a country with reliable receipts: subject, SID → its id.
accepted() {    # subject, number of the SID, phone number
    sql -c "WITH v AS (INSERT INTO otp.verifications (subject, phone_number) VALUES ('$1', '${3:-+201001234567}') RETURNING id) INSERT INTO otp.send_jobs (verification_id) SELECT id FROM v" >/dev/null
    taken "$1" "$2"
}
taken() {       # subject, number of the SID
    sql -c "WITH j AS (DELETE FROM otp.send_jobs WHERE id = (SELECT max(j.id) FROM otp.send_jobs j JOIN otp.verifications v ON v.id = j.verification_id WHERE v.subject = '$1') RETURNING *) INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status, follows) SELECT '$(sid "$2")', id, verification_id, 1, true, requested_at, 'queued', follows FROM j RETURNING send_job_id"
}
follow_up() { sql -c "SELECT follow_up FROM otp.messages WHERE message_sid = '$(sid "$1")'"; }
live() { sql -c "SELECT count(*) FROM otp.send_jobs"; }

job=$(accepted once 1)
sql -c "SELECT otp.record_status('$(sid 1)', 'sent')" -c "SELECT otp.record_status('$(sid 1)', 'undelivered', 30003)" >/dev/null
gives "an undelivered message is sent again, of the same verification, in ten seconds" "t|t|queued|t" "SELECT j.follows = $job, j.verification_id = m.verification_id, j.state, j.due_at BETWEEN m.final_at + interval '10 seconds' AND j.requested_at + interval '10 seconds' FROM otp.send_jobs j, otp.messages m"
check "and the message says so" "The same code is sent again as send job $(sql -c "SELECT id FROM otp.send_jobs")." "$(follow_up 1)"
gives "both are in delivery_status" "$job||true,queued|$job|false" "SELECT string_agg(CASE job_state WHEN 'queued' THEN 'queued' ELSE send_job_id::text END || '|' || coalesce(follows::text, '') || '|' || (follow_up IS NOT NULL), ',' ORDER BY send_job_id) FROM otp.delivery_status"
gives "it is counted by the limits" "2" "SELECT cardinality(sent_at) FROM otp.send_counts WHERE scope = 'phone'"
sql -c "SELECT otp.record_status('$(sid 1)', 'undelivered', 30003)" -c "SELECT otp.record_status('$(sid 1)', 'failed', 30003)" -c "SELECT otp.record_status('$(sid 1)', 'undelivered', 30008)" >/dev/null
check "news of it again changes nothing" "1" "$(live)"
taken once 2 >/dev/null
sql -c "SELECT otp.record_status('$(sid 2)', 'undelivered', 30003)" >/dev/null
check "a resend is not sent again" "0|Not sent again: it was already a resend." "$(live)|$(follow_up 2)"
gives "follows is in the history" "$job" "SELECT follows FROM otp.delivery_status WHERE message_sid = '$(sid 2)'"

# A poll and a callback bring the same news at the same moment.
job=$(accepted race 3)
sql -c "BEGIN" -c "UPDATE otp.messages SET status = 'undelivered', error_code = 30003, final_at = now() WHERE message_sid = '$(sid 3)' AND final_at IS NULL" \
    -c "\\! (psql -qXAt -d $PGDATABASE -c \"SELECT otp.record_status('$(sid 3)', 'undelivered', 30003)\" > $work/second) & until psql -qXAt -d $PGDATABASE -c \"SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'SELECT otp.record_status%'\" | grep -q 1; do :; done" -c "COMMIT"
until [ -s "$work/second" ]; do sleep 0.01; done
check "of two at once one resends" "1" "$(live)"
told=$(follow_up 3)
sql -c "UPDATE otp.messages SET status = status, error_code = error_code, final_at = final_at, price = -0.05 WHERE message_sid = '$(sid 3)'"
check "the bill that comes later is no news of the failure" "1|$told" "$(live)|$(follow_up 3)"
sql -c "DELETE FROM otp.send_jobs"

# A receipt and a new request at the same moment: the second one sees the first, and one job is live.
crossing() {    # subject, number of the SID, phone, first statement, second statement
    accepted "$1" "$2" "$3" >/dev/null
    psql -qXAt -d "$PGDATABASE" -c "BEGIN" -c "$4" -c "\\! (psql -qXAt -d $PGDATABASE -c \"$5\" > $work/$1) & until psql -qXAt -d $PGDATABASE -c \"SELECT count(*) FROM pg_stat_activity WHERE datname = '$PGDATABASE' AND wait_event_type = 'Lock'\" | grep -q 1; do :; done" -c "COMMIT" >/dev/null
    until [ -s "$work/$1" ]; do sleep 0.01; done
}
crossing asked 6 +201001234561 "SELECT verification_id FROM otp.request('asked', '+201001234561')" "SELECT otp.record_status('$(sid 6)', 'undelivered', 30003)"
check "a receipt waits for a request of its verification, and then resends nothing" "1|0|Not sent again: the user had already requested the code again." "$(sql -c "SELECT count(*), count(follows) FROM otp.send_jobs")|$(follow_up 6)"
sql -c "DELETE FROM otp.send_jobs"
crossing told 7 +201001234562 "SELECT otp.record_status('$(sid 7)', 'undelivered', 30003)" "SELECT verification_id FROM otp.request('told', '+201001234562')"
check "a request waits for a receipt, and takes the place of its resend" "1|0" "$(sql -c "SELECT count(*), count(follows) FROM otp.send_jobs")"
sql -c "DELETE FROM otp.send_jobs"

# Final from the start: a callback of an unknown message. Also an error code that comes after the status.
job=$(sql -c "SELECT verification_id FROM otp.request('born', '+201001234568')" >/dev/null; sql -c "UPDATE otp.send_jobs SET state = 'unknown', attempt = 1 RETURNING id")
sql -c "SELECT otp.record_status('$(sid 4)', 'failed', 30008, '$job.1')" >/dev/null
gives "a message that is final when it is first heard of" "$job" "SELECT follows FROM otp.send_jobs"
sql -c "DELETE FROM otp.send_jobs"
job=$(accepted late 5 +201001234569)
sql -c "SELECT otp.record_status('$(sid 5)', 'undelivered')" >/dev/null
check "no code, no class, no resend" "0|" "$(live)|$(follow_up 5)"
sql -c "UPDATE otp.messages SET error_code = 30003 WHERE message_sid = '$(sid 5)'"
gives "until the code is told" "$job" "SELECT follows FROM otp.send_jobs"
sql -c "DELETE FROM otp.send_jobs"

# Error classes are data.
n=10
for class in $(sql -c "SELECT class FROM otp.error_class_defaults WHERE resend_after IS NULL ORDER BY 1"); do
    n=$((n + 1)); code=$(sql -c "SELECT min(code) FROM otp.error_classes WHERE class = '$class'")
    accepted "class $class" $n "+20100222$((3000 + n))" >/dev/null; sql -c "SELECT otp.record_status('$(sid $n)', 'undelivered', $code)" >/dev/null
    check "nothing is sent again for $class" "0|" "$(live)|$(follow_up $n)"
done
gives "two classes are sent again" "one_resend,retry_safe" "SELECT string_agg(class, ',' ORDER BY class) FROM otp.error_class_defaults WHERE resend_after = '10 seconds'"
accepted nobody 30 +201003333330 >/dev/null; sql -c "SELECT otp.record_status('$(sid 30)', 'undelivered', 39999)" >/dev/null
check "nor for a code that nobody knows" "0" "$(live)"
sql -c "UPDATE otp.error_class_defaults SET resend_after = '40 seconds' WHERE class = 'content'"
accepted data 31 +201003333331 >/dev/null; sql -c "SELECT otp.record_status('$(sid 31)', 'undelivered', 30007)" >/dev/null
gives "an operator decides otherwise" t "SELECT j.due_at BETWEEN m.final_at + interval '40 seconds' AND j.requested_at + interval '40 seconds' FROM otp.send_jobs j JOIN otp.messages m ON m.send_job_id = j.follows"
sql -c "UPDATE otp.error_class_defaults SET resend_after = NULL WHERE class = 'content'" -c "DELETE FROM otp.send_jobs"
fails "not later than a code can live" 23514 "UPDATE otp.error_class_defaults SET resend_after = '6 minutes'"
sql -c "UPDATE otp.error_class_defaults SET resend_after = '0' WHERE class = 'one_resend'"
accepted delivered 32 +201003333332 >/dev/null; sql -c "SELECT otp.record_status('$(sid 32)', 'delivered', 30003)" -c "SELECT otp.record_status('$(sid 32)', 'undelivered', 30003)" >/dev/null
check "what was delivered is not sent again" "0" "$(live)"
sql -c "UPDATE otp.error_class_defaults SET resend_after = '10 seconds' WHERE class = 'one_resend'"

# The reasons against a resend, and their texts.
refused() {     # what, words, number of the SID
    sql -c "SELECT otp.record_status('$(sid "$3")', 'undelivered', 30003)" >/dev/null
    check "no resend: $1" "0|Not sent again: $2|undelivered" "$(sql -c "SELECT count(*) FROM otp.send_jobs WHERE follows IS NOT NULL")|$(follow_up "$3")|$(sql -c "SELECT status FROM otp.messages WHERE message_sid = '$(sid "$3")'")"
}
accepted sa 40 0501234567 >/dev/null; refused "Saudi Arabia, by default" "receipts from SA are not reliable (otp.countries.receipts_reliable)." 40
accepted old 41 +201004444441 >/dev/null
sql -c "ALTER TABLE otp.verifications DISABLE TRIGGER before_update" -c "UPDATE otp.verifications SET expires_at = now() + interval '65 seconds' WHERE subject = 'old'"
refused "the code is about to die" "its code was about to expire." 41
accepted younger 42 +201004444442 >/dev/null; sql -c "UPDATE otp.verifications SET expires_at = now() + interval '5 minutes' WHERE subject = 'younger'" -c "ALTER TABLE otp.verifications ENABLE TRIGGER before_update" -c "SELECT otp.record_status('$(sid 42)', 'undelivered', 30003)" >/dev/null
check "but with longer than seventy seconds to live it is sent" "1" "$(live)"
sql -c "DELETE FROM otp.send_jobs"
for again in queued unsent messages; do
    n=$(( ${n:-0} + 1 )); [ "$n" -lt 50 ] && n=50
    accepted "again $again" $n "+2010055555$n" >/dev/null; sql -c "SELECT otp.request('again $again', '+2010055555$n')" >/dev/null
    case $again in
        unsent) sql -c "SELECT otp.cancel_queued_sends(id, 'x') FROM otp.verifications WHERE subject = 'again unsent'" >/dev/null ;;
        messages) taken "again $again" $((n + 40)) >/dev/null ;;
    esac
    refused "the user had asked again ($again)" "the user had already requested the code again." $n
    sql -c "DELETE FROM otp.send_jobs"
done
accepted used 60 +201006666660 >/dev/null; sql -c "UPDATE otp.verifications SET verified_at = now() WHERE subject = 'used'"
refused "the code has been used" "its code has been used." 60
accepted canceled 61 +201006666661 >/dev/null; sql -c "SELECT otp.cancel(id, 'canceled') FROM otp.verifications WHERE subject = 'canceled'" >/dev/null
refused "it was canceled" "it was canceled." 61
accepted replaced 62 +201006666662 >/dev/null; verification replaced "" "" +201006666669 >/dev/null
refused "a newer one has replaced it" "verification $(sql -c "SELECT min(id) FROM otp.verifications WHERE subject = 'replaced'") cannot be sent: a newer one of this subject and purpose has replaced it." 62
accepted limited 63 +201006666663 >/dev/null; sql -c "UPDATE otp.limits SET max_sends = 1 WHERE scope = 'phone' AND period = '5 minutes'"
refused "the limits" "too many codes for this phone number: 1 are allowed in 00:05:00." 63
sql -c "UPDATE otp.limits SET max_sends = 5 WHERE scope = 'phone' AND period = '5 minutes'"
gives "and nothing of it is counted" "1" "SELECT cardinality(sent_at) FROM otp.send_counts WHERE scope = 'phone' AND key = otp.counter_key('phone', '+201006666663')"
accepted gone 64 +201006666664 >/dev/null; sql -c "DELETE FROM otp.verifications WHERE subject = 'gone'"
refused "its verification is gone" "its verification was deleted." 64
accepted beside 65 +201006666665 >/dev/null; sql -c "UPDATE otp.messages SET is_primary = false WHERE message_sid = '$(sid 65)'" -c "SELECT otp.record_status('$(sid 65)', 'undelivered', 30003)" >/dev/null
check "what came beside the end of its job is not sent again" "0|" "$(live)|$(follow_up 65)"
job=$(accepted double 67 +201006666667); sql -c "INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status) SELECT '$(sid 68)', send_job_id, verification_id, 1, false, requested_at, 'sent' FROM otp.messages WHERE message_sid = '$(sid 67)'"
refused "its job was sent twice, and the other message may have arrived" "a second message of its send job arrived, or may arrive." 67
accepted double2 69 +201006666668 >/dev/null; sql -c "INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status) SELECT '$(sid 59)', send_job_id, verification_id, 1, false, requested_at, 'undelivered' FROM otp.messages WHERE message_sid = '$(sid 69)'" -c "SELECT otp.record_status('$(sid 69)', 'undelivered', 30003)" >/dev/null
check "if neither has, it is sent again" "1" "$(live)"
sql -c "DELETE FROM otp.send_jobs"

# Any other error goes to the caller: the status is not recorded without its effect.
accepted locked 66 +201006666666 >/dev/null
(psql -qXAt -d "$PGDATABASE" -c "BEGIN" -c "SELECT FROM otp.verifications WHERE subject = 'locked' FOR UPDATE" -c "\\! touch $work/locking; until [ -e $work/refused ]; do sleep 0.01; done" -c "COMMIT" >/dev/null) &
until [ -e "$work/locking" ]; do sleep 0.01; done
fails "a verification that somebody holds is waited for, and not passed over" 55P03 "SET lock_timeout = '100ms'; SELECT otp.record_status('$(sid 66)', 'undelivered', 30003)"
check "and the status is not recorded" "queued" "$(sql -c "SELECT status FROM otp.messages WHERE message_sid = '$(sid 66)'")"
touch "$work/refused"; wait $!
rm -f "$work/locking" "$work/refused"
(psql -qXAt -d "$PGDATABASE" -c "BEGIN" -c "SELECT FROM otp.send_counts WHERE key = otp.counter_key('phone', '+201006666666') FOR UPDATE" -c "\\! touch $work/locking; until [ -e $work/refused ]; do sleep 0.01; done" -c "COMMIT" >/dev/null) &
until [ -e "$work/locking" ]; do sleep 0.01; done
fails "nor is a count that somebody holds a reason for no resend" 55P03 "SET lock_timeout = '100ms'; SELECT otp.record_status('$(sid 66)', 'undelivered', 30003)"
touch "$work/refused"; wait $!
sql -c "SELECT otp.record_status('$(sid 66)', 'undelivered', 30003)" >/dev/null
check "told again, it is, and the resend with it" "1" "$(live)"
sql -c "DELETE FROM otp.send_jobs"

# A waiting resend is canceled by verify, by cancel, and by a new request.
resent() { accepted "$1" "$2" "$3" >/dev/null; sql -c "SELECT otp.record_status('$(sid "$2")', 'undelivered', 30003)" >/dev/null; sql -c "SELECT id FROM otp.send_jobs WHERE follows IS NOT NULL"; }
job=$(resent cancel 70 +201007777770); sql -c "SELECT otp.cancel(id, 'cancel') FROM otp.verifications WHERE subject = 'cancel'" >/dev/null
gives "otp.cancel ends it" "canceled|The verification was canceled.|t" "SELECT job_state, error, follows IS NOT NULL FROM otp.delivery_status WHERE send_job_id = $job"
job=$(resent ask 71 +201007777771); sql -c "SELECT otp.request('ask', '+201007777771')" >/dev/null
gives "who asks again does not wait for it" "canceled|The user requested the code again before this send.|t" "SELECT job_state, error, follows IS NOT NULL FROM otp.delivery_status WHERE send_job_id = $job"
gives "and has one job, the lowest of its verification" "1||t" "SELECT count(*), max(follows), bool_and(due_at <= now()) FROM otp.send_jobs"
sql -c "DELETE FROM otp.send_jobs"
job=$(resent going 72 +201007777772); sql -c "UPDATE otp.send_jobs SET state = 'sending', attempt = 1" -c "SELECT otp.request('going', '+201007777772')" >/dev/null
gives "one under way is left alone" "2" "SELECT count(*) FROM otp.send_jobs"
sql -c "DELETE FROM otp.send_jobs"
job=$(resent found 74 +201007777774); sql -c "UPDATE otp.send_jobs SET state = 'unknown', attempt = 1" -c "SELECT otp.record_status('$(sid 75)', 'sent', reference => '$job.1')" >/dev/null
gives "one that a callback settles is known for a resend" t "SELECT follows IS NOT NULL FROM otp.delivery_status WHERE message_sid = '$(sid 75)'"
sql -c "DELETE FROM otp.limits WHERE scope = 'total'" -c "INSERT INTO otp.limits (scope, period, max_sends) VALUES ('total', '1 day', 100)"
job=$(resent many 76 +201007777776); sql -c "UPDATE otp.limits SET max_sends = 1 WHERE scope = 'total'" -c "UPDATE otp.send_jobs SET state = 'sending', attempt = 1 WHERE id = $job" -c "SELECT otp.within_limits(ARRAY[$job], ARRAY[1])" >/dev/null
gives "one too many ends as limited" "limited|t" "SELECT job_state, follows IS NOT NULL FROM otp.delivery_status WHERE send_job_id = $job"
sql -c "DELETE FROM otp.limits WHERE scope = 'total'"
sql -c "UPDATE otp.limits SET max_sends = 2 WHERE scope = 'phone' AND period = '5 minutes'"
job=$(resent full 73 +201007777773)
fails "who may not ask again" OT001 "SELECT otp.request('full', '+201007777773')"
check "leaves the resend" "1" "$(live)"
sql -c "UPDATE otp.limits SET max_sends = 5 WHERE scope = 'phone' AND period = '5 minutes'" -c "DELETE FROM otp.send_jobs"

# Roles: only the owner's functions create a resend, and any role may bring the news.
v=$(verification mine "" "" +201008888880)
for role in otp_web otp_worker otp_monitor otp_admin; do fails "$role cannot say follows" 42501 "SET ROLE $role; INSERT INTO otp.send_jobs (verification_id, follows) VALUES ($v, 1)"; done
fails "not with an ORM's OVERRIDING either" 42501 "SET ROLE otp_web; INSERT INTO otp.send_jobs (id, verification_id, follows) OVERRIDING SYSTEM VALUE VALUES (1, $v, 1)"
sql -c "CREATE ROLE postman_$$ LOGIN IN ROLE otp_web"
accepted theirs 80 +201008888881 >/dev/null
fails "a stranger cannot send a verification" OT006 "SET SESSION AUTHORIZATION postman_$$; INSERT INTO otp.send_jobs (verification_id) SELECT id FROM otp.record_status('$(sid 99)', 'sent') CROSS JOIN (VALUES ($v)) v (id)"
gives "nor is its word of the receipt believed" f "SET SESSION AUTHORIZATION postman_$$; SELECT otp.record_status('$(sid 80)', 'undelivered', 30003)"
gives "so nothing is resent" "0" "SELECT count(*) FROM otp.send_jobs WHERE follows IS NOT NULL"
sql -c "DROP ROLE postman_$$"
sql -c "DELETE FROM otp.send_jobs"
check "a wake-up goes out for it" "otp_send_jobs" "$(accepted wake 81 +201008888882 >/dev/null; psql -qXAt -d "$PGDATABASE" -c "LISTEN otp_send_jobs" -c "SELECT otp.record_status('$(sid 81)', 'undelivered', 30003)" | grep -oE 'otp_[a-z_]+' | head -1)"
clean

# A prefix that Twilio suspects of fraud: sends to it are paused.
fraud() {       # number of the SID, phone, code
    accepted "fraud $1" "$1" "$2" >/dev/null; sql -c "SELECT otp.record_status('$(sid "$1")', 'undelivered', $3)" >/dev/null
}
sql -c "TRUNCATE otp.pauses"
fraud 100 0501234567 30450
gives "fraud_hold pauses the block of its number, first probed after a minute" "prefix +96650123|Twilio blocked the message as likely fraud (SMS pumping).|t|t|a delivery receipt" "SELECT name, reason, remedy IS NOT NULL, next_probe_at <= since + interval '1 minute' AND next_probe_at >= (SELECT max(final_at) FROM otp.messages) + interval '1 minute', created_by FROM otp.pauses"
fraud 101 0501239999 30453
gives "another number of the block adds none" "1" "SELECT count(*) FROM otp.pauses"
fraud 102 0501299999 30453
gives "one of another block does" "prefix +96650123,prefix +96650129" "SELECT string_agg(name, ',' ORDER BY name) FROM otp.pauses"
sql -c "TRUNCATE otp.pauses" -c "INSERT INTO otp.pauses (scope, key, reason) VALUES ('prefix', '+96650123', 'by hand')"
fraud 103 0501230001 30450
gives "one made by hand stays as it is" "by hand|" "SELECT reason, next_probe_at FROM otp.pauses"
sql -c "TRUNCATE otp.pauses"; clean
accepted others 110 0501234567 >/dev/null
for code in $(sql -c "SELECT code FROM otp.error_classes WHERE class <> 'fraud_hold'"); do sql -c "SELECT otp.record_status(message_sid, 'undelivered', $code) FROM otp.messages" >/dev/null; sql -c "UPDATE otp.messages SET final_at = NULL, error_code = NULL, status = 'sent'"; done
gives "no receipt of another class pauses anything" "0" "SELECT count(*) FROM otp.pauses"
clean; accepted template 105 0501234567 >/dev/null; sql -c "UPDATE otp.messages SET channel = 'whatsapp'" -c "SELECT otp.record_status('$(sid 105)', 'undelivered', 63016)" >/dev/null
gives "pause_channel pauses the channel of its message" "channel whatsapp|a delivery receipt" "SELECT name, created_by FROM otp.pauses"
sql -c "TRUNCATE otp.pauses"
clean; accepted stale 104 0501234567 >/dev/null; sql -c "UPDATE otp.messages SET accepted_at = now() - interval '61 minutes'" -c "SELECT otp.record_status('$(sid 104)', 'undelivered', 30450)" >/dev/null
gives "late news pauses nothing" "0|undelivered" "SELECT count(*), (SELECT status FROM otp.messages) FROM otp.pauses"
sql -c "TRUNCATE otp.pauses" -c "DELETE FROM otp.countries WHERE region = 'EG'"; clean

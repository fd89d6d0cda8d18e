# Between two sends of one code by one channel there are 30 seconds.
clean; sql -c "UPDATE otp.settings SET resend_after = DEFAULT"
gives "the shipped setting" "00:00:30" "SELECT resend_after FROM otp.settings"
sql -c "INSERT INTO otp.channel_senders (channel, sender) VALUES ('call', '+12015550100')"
jobs() { sql -c "SELECT coalesce(string_agg(channel, ' ' ORDER BY id), 'none') FROM otp.send_jobs"; }
aged() { sql -c "UPDATE otp.send_jobs SET requested_at = requested_at - interval '31 seconds'" -c "UPDATE otp.messages SET requested_at = requested_at - interval '31 seconds'"; }
first=$(sql -c "SELECT verification_id, expires_at, resend_after FROM otp.request('tap', '0501234567')")
gives "the next send is possible after 30 seconds" t "SELECT r.resend_after - j.requested_at = '30 seconds' FROM (SELECT '${first##*|}'::timestamptz AS resend_after) r, otp.send_jobs j"
for n in 2 3 4 5; do sql -c "SELECT verification_id, expires_at, resend_after FROM otp.request('tap', '0501234567')"; done >"$work/taps"
check "four further taps are no send, and hear the same" "4 $first" "$(sort "$work/taps" | uniq -c | tr -s ' ' | sed 's/^ //')"
check "so five taps are one text" sms "$(jobs)"
gives "which count once" 1 "SELECT cardinality(sent_at) FROM otp.send_counts WHERE scope = 'phone'"
v=${first%%|*}
fails "an INSERT is refused" OT001 "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)"
says "with its scope" "DETAIL:  retry_after=([1-9]|[12][0-9]|30) window=30 scope=code" "INSERT INTO otp.send_jobs (verification_id) VALUES ($v)"
gives "and counted" t "SELECT refused >= 2 FROM otp.refusals WHERE scope = 'code'"
gives "another channel is not held back" t "SELECT verification_id = $v FROM otp.request('tap', '0501234567', channel => 'call')"
check "it is a call" "sms call" "$(jobs)"
sql -c "SELECT otp.request('tap', '0501234567', channel => 'call')" >/dev/null
check "a second call is" "sms call" "$(jobs)"
aged; sql -c "SELECT otp.request('tap', '0501234567')" >/dev/null
check "after 30 seconds the code is sent again" "sms call sms" "$(jobs)"
gives "by the same verification" 1 "SELECT count(*) FROM otp.verifications"
gives "the job that otpd makes itself is free of it" t "INSERT INTO otp.send_jobs (verification_id, channel, follows) SELECT $v, 'sms', max(id) FROM otp.send_jobs RETURNING id > 0"
# A send that failed may be repeated at once. One that Twilio accepted may not.
ends() {    # state of the message, or of the unsent job
    clean; sql -c "UPDATE otp.settings SET resend_after = DEFAULT" -c "SELECT otp.request('end', '0501234567')" >/dev/null
    sql -c "SET session_replication_role = replica" -c "WITH gone AS (DELETE FROM otp.send_jobs RETURNING *) $1"
    sql -c "SELECT otp.request('end', '0501234567')" >/dev/null; jobs
}
message() { ends "INSERT INTO otp.messages (message_sid, send_job_id, verification_id, channel, attempt, is_primary, requested_at, status) SELECT 'SM000000000000000000000000000000$(printf %02d $1)', id, verification_id, channel, 1, true, requested_at, '$2' FROM gone"; }
check "an accepted text" none "$(message 1 sent)"
check "a delivered one" none "$(message 2 delivered)"
check "an undelivered one" sms "$(message 3 undelivered)"
for state in failed expired limited; do
    check "a job that ended as $state" sms "$(ends "INSERT INTO otp.unsent_jobs (send_job_id, verification_id, channel, state, attempts, requested_at) SELECT id, verification_id, channel, '$state', 1, requested_at FROM gone")"
done
clean; sql -c "UPDATE otp.settings SET resend_after = DEFAULT"; rm -f "$work"/q*
for n in $(seq 16); do (patient -c "SELECT verification_id FROM otp.request('crowd', '0501231231')" >"$work/q$n") & done; wait
check "16 taps at once in as many sessions: one text, and one answer" "sms 1" "$(jobs) $(cat "$work"/q* | sort -u | wc -l)"
clean; sql -c "UPDATE otp.settings SET resend_after = DEFAULT"
for n in 1 2 3; do sql -c "SELECT otp.request('brief', '0501234567', ttl => '1 minute')" >/dev/null; done
check "also for a code that lives a minute" "sms" "$(jobs)"
gives "another number is another code" t "SELECT verification_id > 0 FROM otp.request('brief', '0501234568')"
gives "in one transaction, too" "1" "DELETE FROM otp.send_jobs; DO \$\$ BEGIN FOR n IN 1..5 LOOP PERFORM otp.request('block', '0501234569'); END LOOP; END \$\$; SELECT count(*) FROM otp.send_jobs"
sql -c "UPDATE otp.settings SET resend_after = '0'" -c "SELECT otp.request('off', '0501234570')" -c "SELECT otp.request('off', '0501234570')" >/dev/null
gives "0 turns it off" 2 "SELECT count(*) FROM otp.send_jobs j JOIN otp.verifications v ON v.id = j.verification_id WHERE v.subject = 'off'"
sql -c "DELETE FROM otp.channel_senders WHERE channel = 'call'"
clean

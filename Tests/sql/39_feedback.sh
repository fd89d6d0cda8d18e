# Feedback: verified codes of which Twilio is told, and what otp.verify does for that.
clean; sql -c "UPDATE otp.feedback_counts SET codes = 0"
used() {        # subject, phone number: a code that was verified
    sql -c "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('$1', '$2', '246810')" >/dev/null
    sql -c "SELECT otp.verify('$1', '246810')"
}
due() { sql -c "SELECT string_agg(v.subject, ',' ORDER BY v.id) FROM otp.feedback_due f JOIN otp.verifications v ON v.id = f.verification_id"; }

gives "at first Twilio is not told" f "SELECT message_feedback FROM otp.settings"
check "a code is verified" t "$(used off 0501234501)"
check "and nothing is kept of it" "" "$(due)"
gives "an operator may turn it on" t "SET ROLE otp_admin; UPDATE otp.settings SET message_feedback = true RETURNING message_feedback"
for role in otp_web otp_worker otp_monitor; do fails "$role may not" 42501 "SET ROLE $role; UPDATE otp.settings SET message_feedback = false"; done

check "a code is verified with it" t "$(used on 0501234502)"
check "and is due" "on" "$(due)"
gives "at once, with no try" "t|0|t" "SELECT f.due_at <= clock_timestamp(), f.tries, f.verified_at = v.verified_at FROM otp.feedback_due f JOIN otp.verifications v ON v.id = f.verification_id"
gives "once only" f "SELECT otp.verify('on', '246810')"
sql -c "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('wrong', '0501234503', '246810')" >/dev/null
gives "a wrong code" f "SELECT otp.verify('wrong', '111111')"
check "is not due" "on" "$(due)"
sql -c "BEGIN; INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('undone', '0501234504', '246810'); SELECT otp.verify('undone', '246810'); ROLLBACK" >/dev/null
check "nor is a code whose verification was rolled back" "on" "$(due)"

# A verification waits for no other, even if a worker holds the rows that are due.
coproc held { psql -qXAt -d "$PGDATABASE"; }
echo "BEGIN; SELECT count(*) FROM (SELECT FROM otp.feedback_due FOR UPDATE) f;" >&"${held[1]}"; read -r rows <&"${held[0]}"
check "a worker holds the rows" 1 "$rows"
check "and otp.verify does not wait" t "$(PGOPTIONS="$PGOPTIONS -c lock_timeout=100" used free 0501234505)"
echo "ROLLBACK; \q" >&"${held[1]}"; wait "$held_PID"
check "both are due" "on,free" "$(due)"
gives "a row that is there already is no error" t "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('twice', '0501234506', '246810'); INSERT INTO otp.feedback_due (verification_id, verified_at) SELECT id, now() FROM otp.verifications WHERE subject = 'twice'; SELECT otp.verify('twice', '246810')"

# Who may see and change it.
fails "a backend sees nothing of it" 42501 "SET ROLE otp_web; SELECT FROM otp.feedback_due"
fails "a monitor changes nothing" 42501 "SET ROLE otp_monitor; DELETE FROM otp.feedback_due"
gives "a monitor sees the counts" "confirmed,given_up,no_message,unavailable" "SET ROLE otp_monitor; SELECT string_agg(outcome, ',' ORDER BY outcome) FROM otp.feedback_counts"
fails "no other outcome" 23514 "INSERT INTO otp.feedback_counts (outcome) VALUES ('lost')"
gives "a worker ends rows" 3 "SET ROLE otp_worker; WITH gone AS (DELETE FROM otp.feedback_due RETURNING 1) SELECT count(*) FROM gone"
fails "a worker adds none" 42501 "SET ROLE otp_worker; INSERT INTO otp.feedback_due (verification_id, verified_at) VALUES (1, now())"

# Rows that no worker takes end with the prune.
sql -c "INSERT INTO otp.feedback_due (verification_id, verified_at) VALUES (1, now() - interval '3 days'), (2, now() - interval '1 day')"
sql -c "UPDATE otp.maintenance SET pruned_at = '-infinity'" -c "SELECT otp.prune()" >/dev/null
gives "a prune deletes rows of two days ago" "2" "SELECT string_agg(verification_id::text, ',') FROM otp.feedback_due"

# The index finds what is due among many.
sql -c "INSERT INTO otp.feedback_due (verification_id, verified_at, due_at) SELECT n + 10, now(), now() + interval '1 hour' FROM generate_series(1, 5000) n" -c "ANALYZE otp.feedback_due"
check "due rows are found by the index" 1 "$(sql -c "EXPLAIN SELECT FROM otp.feedback_due f WHERE f.due_at <= now() ORDER BY f.due_at LIMIT 10" | grep -c 'feedback_due_due_at')"
sql -c "UPDATE otp.settings SET message_feedback = false"; clean

# Every text argument is tried as null, empty, huge, quoted and odd. Each gives a clear SQLSTATE and a reason, and writes nothing.
clean; rows() { sql -c "SELECT (SELECT count(*) FROM otp.verifications) + (SELECT count(*) FROM otp.send_jobs) + (SELECT count(*) FROM otp.request_locks) + (SELECT count(*) FROM otp.send_counts) + (SELECT count(*) FROM otp.messages)"; }
odd=("NULL" "''" "' '" "repeat('x', 1000000)" "repeat('9', 1000000)" "'''; DROP TABLE otp.verifications; --'" "'%s %L {code}'" "E'\\u202e\\u0000'" "E'\\xff'" "E'a\\nb'" "'\$1'" "'😀'")
before=$(rows)
for value in "${odd[@]}"; do
    for call in "otp.request(\$, '0501234567')" "otp.request('a', \$)" "otp.request('a', '0501234567', locale => \$)" "otp.request('a', '0501234567', purpose => \$)" "otp.request('a', '0501234567', region => \$)" "otp.to_e164(\$)" "otp.to_e164('0501234567', \$)" "otp.record_status(\$, 'sent')" "otp.record_status('SM00000000000000000000000000000001', \$)" "otp.record_status('SM00000000000000000000000000000001', 'sent', 1, \$)" "otp.verify(\$, '1')" "otp.verify('a', \$)" "otp.verify('a', '1', \$)" "otp.verify('a', '1', phone_number => \$)" "otp.cancel(1, \$)" "otp.delivery(1, \$)"; do
        # Values that are valid after all (null for an optional argument, an odd subject) are rolled back.
        check "${call/\$/${value:0:30}}: a clear answer" "clear" "$(sql -c "BEGIN; SELECT ${call/\$/$value}; ROLLBACK" | awk '/^ERROR:  (OT00[2-7]|22021|22025|22P05|42601)$/ { next } /^ERROR/ { print; bad = 1 } END { if (!bad) print "clear" }')"
    done
    for column in subject phone_number region purpose locale code; do
        check "verifications.$column ${value:0:30}: a clear answer" "clear" "$(sql -c "BEGIN; INSERT INTO otp.verifications (subject, phone_number, region, purpose, locale, code) SELECT subject, phone_number, region, purpose, locale, code FROM json_populate_record(NULL::otp.verifications, json_build_object('subject', 'a', 'phone_number', '0501234567', '$column', $value::text)); ROLLBACK" | awk '/^ERROR:  (OT00[2-7]|22021|22025|22P05|42601)$/ { next } /^ERROR/ { print; bad = 1 } END { if (!bad) print "clear" }')"
    done
done
for bad in "ttl => '-1 minute'" "ttl => '0'" "ttl => '1 hour'" "ttl => '178000000 years'"; do
    check "request $bad" "OT007 or out of range" "$(sql -c "SELECT otp.request('a', '0501234567', $bad)" | sed -nE 's/^ERROR:  (OT007|22008|22015)$/OT007 or out of range/p')"
done
check "nothing is half-written" "$before" "$(rows)"
says "a refusal says what to do" "HINT:  Texts are rows of otp.templates" "SELECT otp.request('a', '0501234567', 'xx')"
check "and repeats no value of a megabyte" "t" "$([ "$(psql -qXAt -d "$PGDATABASE" -c "SELECT otp.request('a', '0501234567', repeat('x', 1000000))" 2>&1 | wc -c)" -lt 2000 ] && echo t)"

# The order of statuses: every pair of Twilio's words, and one unknown word.
ranks="('scheduled', 0), ('accepted', 1), ('queued', 2), ('receiving', 2), ('sending', 3), ('sent', 4), ('partially_delivered', 5), ('delivered', 6), ('undelivered', 6), ('failed', 6), ('canceled', 6), ('received', 6), ('read', 7)"
gives "every pair of statuses has its order" "" "WITH twilio (status, rank) AS (VALUES $ranks, ('a_word_of_next_year', 3)) SELECT string_agg(a.status || ' ' || b.status, ', ') FROM twilio a, twilio b WHERE sign(a.rank - b.rank) <> sign(otp.status_rank(a.status) - otp.status_rank(b.status)) OR otp.status_advances(a.status, b.status) <> CASE WHEN b.status = 'read' THEN a.rank < 6 OR a.status = 'delivered' ELSE b.rank > a.rank END"
gives "50 and above is final" "" "WITH twilio (status, rank) AS (VALUES $ranks) SELECT string_agg(status, ', ') FROM twilio WHERE (rank >= 6) <> (otp.status_rank(status) >= 50)"
sql -c "INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status) VALUES ('SMabcdefABCDEF00000000000000000001', 1, 1, 1, true, now(), 'undelivered')"
gives "what was not delivered is never read" "undelivered" "DO 'BEGIN PERFORM otp.record_status(''SMabcdefABCDEF00000000000000000001'', ''read''); END'; SELECT status FROM otp.messages WHERE message_sid = 'SMabcdefABCDEF00000000000000000001'"
clean

# A backend's report of a message has no effect until Twilio confirms it.
sid() { printf 'SM%032d' "$1"; }
sql -c "CREATE ROLE reports_web_$$ LOGIN IN ROLE otp_web" -c "CREATE ROLE reports_other_$$ LOGIN IN ROLE otp_web" -c "CREATE ROLE reports_worker_$$ LOGIN IN ROLE otp_worker"
as_role() { sql -c "SET SESSION AUTHORIZATION $1_$$" -c "$2"; }
sql -c "UPDATE otp.settings SET daily_budget = 10, budget_unit = 'USD'" -c "UPDATE otp.countries SET price_estimate = 0.05, price_unit = 'USD'"
as_role reports_web "SELECT otp.request('own', '0501234567')" >/dev/null
as_role reports_other "SELECT otp.request('foreign', '0501234568')" >/dev/null
sql -c "UPDATE otp.send_jobs SET state = 'sending', attempt = 1, worker = 7, lease_expires_at = now() + interval '30 seconds'"
own=$(sql -c "SELECT j.id FROM otp.send_jobs j JOIN otp.verifications v ON v.id = j.verification_id WHERE subject = 'own'")
foreign=$(sql -c "SELECT j.id FROM otp.send_jobs j JOIN otp.verifications v ON v.id = j.verification_id WHERE subject = 'foreign'")
state="SELECT (SELECT string_agg(state, ',') FROM otp.send_jobs), (SELECT count(*) FROM otp.messages), (SELECT count(*) FROM otp.pauses), (SELECT messages FROM otp.sent_twice), (SELECT count(*) FROM otp.failure_summary), (SELECT coalesce(sum(amount), 0) FROM otp.spend_tally), (SELECT count(*) FROM otp.outcome_counts), (SELECT count(*) FROM otp.spend_daily), (SELECT count(*) FROM otp.conversion_daily)"
nothing="sending,sending|0|0|0|0|0|0|0|0"

check "ten thousand invented SIDs of an own job: three are noted" "3" "$(as_role reports_web "SELECT count(*) FROM generate_series(1, 10000) n WHERE otp.record_status('SM' || lpad(n::text, 32, '0'), 'undelivered', 30450, '$own.1')")"
gives "and nothing has come of them" "$nothing" "$state"
gives "three rows" "3|3" "SELECT count(*), max(slot) FROM otp.status_reports"
check "the same again is no other row" "t" "$(as_role reports_web "SELECT otp.record_status('$(sid 1)', 'delivered', NULL, '$own.1')")"
check "another role's job is not known" "f" "$(as_role reports_web "SELECT otp.record_status('$(sid 20001)', 'delivered', NULL, '$foreign.1')")"
check "nor one that does not exist" "f" "$(as_role reports_web "SELECT otp.record_status('$(sid 20001)', 'delivered', NULL, '999999.1')")"
for reference in "$own.0" "$own.2" "$own.-1" "-$own.1" "$own" "$own.1.1" "$own.1e0" "99999999999999999999.1" "$own.99999999999" " $own.1" "1.1; DROP TABLE otp.messages"; do
    check "a strange reference: $reference" "f" "$(as_role reports_other "SELECT otp.record_status('$(sid 20002)', 'sent', NULL, '$reference')")"
done
for call in "repeat('S', 100000), 'sent'" "E'SM\\\\x00', 'sent'" "'$(sid 1) ', 'sent'" "'$(sid 1)', repeat('x', 41)" "'$(sid 1)', 'Sent'" "'$(sid 1)', ''" "NULL, 'sent'" "'$(sid 1)', NULL"; do
    check "OT007: ${call:0:40}" "ERROR:  OT007" "$(as_role reports_web "SELECT otp.record_status($call)")"
done
gives "still three rows" "3|$nothing" "SELECT (SELECT count(*) FROM otp.status_reports), s.* FROM ($state) s (a, b, c, d, e, f, g, h, i)"

# Only Twilio's own answer changes a recorded message. A report of a final status causes a poll at once.
message() { sql -c "WITH g AS (DELETE FROM otp.send_jobs WHERE id = $1 RETURNING *) INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status, next_poll_at) SELECT '$2', id, verification_id, attempt, true, requested_at, 'sent', now() + interval '1 hour' FROM g"; }
message "$foreign" "$(sid 30001)"
check "somebody else's message" "f" "$(as_role reports_web "SELECT otp.record_status('$(sid 30001)', 'delivered')")"
check "also with a job of one's own" "f" "$(as_role reports_web "SELECT otp.record_status('$(sid 30001)', 'failed', 30450, '$own.1')")"
check "an own message: noted" "t" "$(as_role reports_other "SELECT otp.record_status('$(sid 30001)', 'undelivered', 30450)")"
check "on its way: the next poll says it" "t" "$(as_role reports_other "SELECT otp.record_status('$(sid 30001)', 'sending')")"
gives "its status is what it was" "sent||" "SELECT status, error_code, final_at FROM otp.messages WHERE message_sid = '$(sid 30001)'"
gives "no pause" "0" "SELECT count(*) FROM otp.pauses"
gives "one row" "1" "SELECT count(*) FROM otp.status_reports WHERE send_job_id = $foreign AND due_at <= clock_timestamp()"
sql -c "UPDATE otp.send_jobs SET requested_at = requested_at - interval '25 hours'" -c "DELETE FROM otp.status_reports"
check "a job of yesterday is no longer asked for" "f" "$(as_role reports_web "SELECT otp.record_status('$(sid 40001)', 'sent', NULL, '$own.1')")"

# A backend's transaction locks no row that a worker writes.
sql -c "UPDATE otp.send_jobs SET requested_at = now()"
mkfifo "$work/held"; psql -qXAt -d "$PGDATABASE" <"$work/held" >"$work/held.out" 2>&1 & holder=$!
exec 9>"$work/held"
echo "SET SESSION AUTHORIZATION reports_web_$$; BEGIN; SELECT otp.record_status('$(sid 50001)', 'sent', NULL, '$own.1'); SELECT 'held';" >&9
until grep -q held "$work/held.out"; do sleep 0.05; done
gives "the job's row is free" "$own" "SELECT id FROM otp.send_jobs WHERE id = $own FOR UPDATE NOWAIT"
exec 9>&-; wait "$holder"

# A worker's report counts, because its receiver has checked Twilio's signature. So does that of any role that may write the table.
check "a worker's word settles the job" "t" "$(as_role reports_worker "SELECT otp.record_status('$(sid 60001)', 'undelivered', 30450, '$own.1')")"
gives "and counts" "undelivered|30450|1" "SELECT status, error_code, (SELECT count(*) FROM otp.pauses) FROM otp.messages WHERE message_sid = '$(sid 60001)'"
check "also in a role that it has set" "t" "$(sql -c "SET ROLE otp_worker; SELECT otp.record_status('$(sid 60001)', 'undelivered')")"
check "a role without that right is not, even if a member set it" "f" "$(sql -c "SET ROLE otp_web; SELECT otp.record_status('$(sid 60002)', 'sent', NULL, '777777.1')")"
sql -c "UPDATE otp.status_reports SET reported_at = now() - interval '3 days'"
sql -c "UPDATE otp.maintenance SET pruned_at = '-infinity'" -c "SELECT otp.prune()" >/dev/null
gives "they are gone" "0" "SELECT count(*) FROM otp.status_reports"
sql -c "DELETE FROM otp.pauses" -c "UPDATE otp.settings SET daily_budget = NULL" -c "UPDATE otp.countries SET price_estimate = NULL"
clean
sql -c "DROP ROLE reports_web_$$, reports_other_$$, reports_worker_$$"

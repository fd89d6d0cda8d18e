# What each role can do, and what it cannot.
may() { gives "$1 may: ${2:0:70}" "$3" "SET ROLE $1; $2"; }
may_not() { fails "$1 may not: ${2:0:70}" 42501 "SET ROLE $1; $2"; }
may otp_web "INSERT INTO otp.verifications (subject, phone_number) VALUES ('web', '0501234567') RETURNING id > 0" t
may otp_web "INSERT INTO otp.verifications (id, subject, phone_number) VALUES (DEFAULT, 'web', '0501234567') RETURNING id > 0, expires_at > now()" "t|t"
may otp_web "WITH v AS (INSERT INTO otp.verifications (subject, phone_number) VALUES ('web', '0501234567') RETURNING id) SELECT count(*) FROM v" 1
v=$(sql -c "SELECT max(id) FROM otp.verifications")
may otp_web "INSERT INTO otp.send_jobs (verification_id) VALUES ($v) RETURNING id > 0" t
may otp_web "SELECT otp.verify('web', 'x')" f
may otp_web "SELECT verification_id > 0 FROM otp.request('web2', '0501234568')" t
may otp_web "SELECT count(*) FROM otp.delivery($v, 'web')" 1
may otp_web "SELECT otp.cancel($v, 'web')" t
may otp_web "SELECT count(*) FROM otp.verified_phones" 0
may otp_web "SELECT otp.to_e164('0501234567')" +966501234567
for table in verifications send_jobs messages unsent_jobs settings templates limits countries error_classes send_counts verify_failures requests worker_status; do
    may_not otp_web "SELECT * FROM otp.$table"
    may_not otp_web "DELETE FROM otp.$table"
    may_not otp_monitor "DELETE FROM otp.$table"
done
may_not otp_web "SELECT subject FROM otp.verifications"
may_not otp_web "UPDATE otp.verifications SET attempts = 0"
may_not otp_web "INSERT INTO otp.verifications (subject, phone_number, e164) VALUES ('a', 'b', 'c')"
may_not otp_web "INSERT INTO otp.send_jobs (verification_id, state) VALUES ($v, 'sending')"
may_not otp_web "SELECT otp.unseal('\\x00', 'x')"
may_not otp_web "SELECT otp.seal('1', 'x')"
may_not otp_web "SELECT otp.draw_code()"
may_not otp_web "SELECT otp.session_secret()"
may_not otp_web "SELECT otp.conceal_statements()"
may_not otp_web "SELECT otp.cancel_queued_sends(1, 'x')"
may_not otp_web "SELECT * FROM otp.delivery_status"
may_not otp_web "ALTER TABLE otp.verifications DISABLE TRIGGER ALL"
may_not otp_web "CREATE TABLE otp.mine ()"
gives "otp_web cannot choose an id" "t" "SET ROLE otp_web; INSERT INTO otp.verifications (id, subject, phone_number) OVERRIDING SYSTEM VALUE VALUES (9000000000000, 'web', '0501234567') RETURNING id < 1000000"
may otp_worker "SELECT count(otp.unseal(sealed_code, key_id)) > 0 FROM otp.verifications WHERE expires_at > now()" t
may otp_worker "SELECT nextval('otp.worker_ids') > 0" t
may otp_worker "WITH e AS (DELETE FROM otp.send_jobs RETURNING *), u AS (INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at) SELECT id, verification_id, 'failed', attempt, requested_at FROM e RETURNING 1) SELECT count(*) > 0 FROM u" t
may otp_worker "WITH w AS (INSERT INTO otp.worker_status (host, pid, version) VALUES ('h', 1, '1') RETURNING 1) SELECT count(*) FROM w" 1
may_not otp_worker "SELECT phone_number FROM otp.verifications"
may_not otp_worker "SELECT code_hash FROM otp.verifications"
may_not otp_worker "UPDATE otp.verifications SET verified_at = now()"
may_not otp_worker "INSERT INTO otp.send_jobs (verification_id) VALUES (1)"
may_not otp_worker "SELECT otp.verify('web', 'x')"
may_not otp_worker "UPDATE otp.error_classes SET class = 'ignore'"
for view in worker_status queue_status delivery_status spend_daily failure_summary; do
    may otp_monitor "SELECT count(*) >= 0 FROM otp.$view" t
done
may_not otp_monitor "SELECT e164 FROM otp.verifications"
may_not otp_monitor "SELECT * FROM otp.verified_phones"
may_not otp_monitor "SELECT otp.verify('web', 'x')"
gives "no full number in what otp_monitor sees" "0" "SET ROLE otp_monitor; SELECT count(*) FROM otp.delivery_status d WHERE d::text LIKE '%501234567%'"
may otp_admin "WITH u AS (UPDATE otp.limits SET max_sends = max_sends RETURNING 1) SELECT count(*) = (SELECT count(*) FROM otp.limits) FROM u" t
may_not otp_admin "SELECT sealed_code FROM otp.verifications"
gives "none is superuser, none can log in" "0" "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'otp\\_%' AND (rolsuper OR rolcanlogin OR rolcreaterole OR rolbypassrls)"
gives "no function is anybody's" "" "SELECT string_agg(proname, ',') FROM pg_proc WHERE pronamespace = 'otp'::regnamespace AND has_function_privilege('public', oid, 'EXECUTE')"
gives "every SECURITY DEFINER function has its search_path and keeps statements out of the log" "0" "SELECT count(*) FROM pg_proc WHERE pronamespace = 'otp'::regnamespace AND prosecdef AND NOT (proconfig::text LIKE '%search_path=pg_catalog, pg_temp%' AND proconfig::text LIKE '%log_min_error_statement=panic%')"
sql -c "CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO otp_web; CREATE FUNCTION evil.evil(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil''; END'; CREATE FUNCTION evil.left(text, int) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil''; END'; CREATE FUNCTION evil.translate(text, text, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil''; END'; CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil''; END'; CREATE FUNCTION evil.hmac(bytea, bytea, text) RETURNS bytea LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil''; END'"
gives "a search_path of the caller's is not used" "t|f" "SET ROLE otp_web; SET search_path = evil, pg_catalog; SELECT verification_id > 0, otp.verify('web3', '1') FROM otp.request('web3', '0501234569')"
gives "nor a temporary table of the caller's" "t" "SET ROLE otp_web; CREATE TEMP TABLE settings (region text); SET search_path = pg_temp, otp; SELECT verification_id > 0 FROM otp.request('web4', '0501234570')"
sql -c "DROP SCHEMA evil CASCADE"
log=$(psql -qXAt -d "$PGDATABASE" -c "SHOW log_min_error_statement")
check "failing statements are logged by default" error "$log"

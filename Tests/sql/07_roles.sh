# The rights of each role, and their limits.
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
may otp_web "SELECT count(*) FROM otp.verified_phones('web')" 0
may otp_web "SELECT otp.to_e164('0501234567')" +966501234567
for table in verifications send_jobs messages unsent_jobs settings templates limits countries error_classes send_counts verify_failures request_locks worker_status; do
    may_not otp_web "SELECT * FROM otp.$table"
    may_not otp_web "DELETE FROM otp.$table"
    may_not otp_monitor "DELETE FROM otp.$table"
done
# Of other subjects' rows it sees only keys and an expiry, which INSERT … RETURNING needs.
for column in subject phone_number region purpose locale code client_ip e164 country sealed_code code_hash key_id created_at attempts verified_at canceled_at created_by; do
    may_not otp_web "SELECT $column FROM otp.verifications"
done
for column in channel state attempt due_at requested_at last_error; do may_not otp_web "SELECT $column FROM otp.send_jobs"; done
gives "those are all columns" "expires_at,id|id,verification_id" "SELECT (SELECT string_agg(attname, ',' ORDER BY attname) FROM pg_attribute WHERE attrelid = 'otp.verifications'::regclass AND attnum > 0 AND has_column_privilege('otp_web', attrelid, attnum, 'SELECT')), (SELECT string_agg(attname, ',' ORDER BY attname) FROM pg_attribute WHERE attrelid = 'otp.send_jobs'::regclass AND attnum > 0 AND has_column_privilege('otp_web', attrelid, attnum, 'SELECT'))"
may_not otp_web "SELECT * FROM otp.verified_phones"
may_not otp_web "INSERT INTO otp.verifications (subject, phone_number) VALUES ('a', '0501234567') RETURNING e164"
may_not otp_web "DELETE FROM otp.verifications WHERE subject LIKE 'a%'"
may_not otp_web "SELECT otp.unlock('0501234567')"
sql -c "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('mine', '0501110001', '111111'), ('theirs', '0501110002', '222222')"
theirs=$(sql -c "SELECT id FROM otp.verifications WHERE subject = 'theirs'")
may otp_web "SELECT otp.verify('mine', '111111'), otp.verify('theirs', '222222')" "t|t"
may otp_web "SELECT string_agg(e164, ',') FROM otp.verified_phones('mine')" +966501110001
may otp_web "SELECT count(*), otp.cancel($theirs, 'mine') FROM otp.delivery($theirs, 'mine')" "0|f"

# Another backend with its own login role cannot send a verification that it did not create, unless it knows the subject.
sql -c "CREATE ROLE \"Web-$$\" LOGIN IN ROLE otp_web" -c "CREATE ROLE web2_$$ LOGIN IN ROLE otp_web"
as_role() { sql -c "SET SESSION AUTHORIZATION \"$1\"" -c "$2"; }
made=$(as_role "Web-$$" "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('first backend', '0501110003', '333333') RETURNING id")
check "OT006 not yours" "ERROR:  OT006" "$(as_role "web2_$$" "INSERT INTO otp.send_jobs (verification_id) VALUES ($made)")"
check "its own role may" "t" "$(as_role "Web-$$" "INSERT INTO otp.send_jobs (verification_id) VALUES ($made) RETURNING id > 0")"
gives "the superuser may" "t" "INSERT INTO otp.send_jobs (verification_id) VALUES ($made) RETURNING id > 0"
check "who names subject and phone may, and is then one of those who made it" "$made t" "$(as_role "web2_$$" "SELECT verification_id FROM otp.request('first backend', '0501110003')") $(as_role "web2_$$" "INSERT INTO otp.send_jobs (verification_id) VALUES ($made) RETURNING id > 0")"
sql -c "DROP ROLE web2_$$"
check "a role that is gone does no harm" "ERROR:  OT006" "$(as_role "Web-$$" "INSERT INTO otp.send_jobs (verification_id) VALUES ($made)")"
check "nor to a request" "$made" "$(as_role "Web-$$" "SELECT verification_id FROM otp.request('first backend', '0501110003')")"
made=$(as_role "Web-$$" "INSERT INTO otp.verifications (subject, phone_number) VALUES ('first backend', '0501110004') RETURNING id")
sql -c "DROP ROLE \"Web-$$\"" -c "CREATE ROLE \"Web-$$\" LOGIN IN ROLE otp_web"
check "a role is known by its name, because a restore gives it another oid" "t" "$(as_role "Web-$$" "INSERT INTO otp.send_jobs (verification_id) VALUES ($made) RETURNING id > 0")"
sql -c "DROP ROLE \"Web-$$\""
may_not otp_web "UPDATE otp.verifications SET attempts = 0"
may_not otp_web "INSERT INTO otp.verifications (subject, phone_number, e164) VALUES ('a', 'b', 'c')"
may_not otp_web "INSERT INTO otp.send_jobs (verification_id, state) VALUES ($v, 'sending')"
may_not otp_web "SELECT otp.seal('1', 'x')"
may_not otp_web "SELECT otp.generate_code()"
may_not otp_web "SELECT otp.session_secret()"
may_not otp_web "SELECT otp.conceal_statements()"
may_not otp_web "SELECT otp.cancel_queued_sends(1, 'x')"
may_not otp_web "SELECT * FROM otp.delivery_status"
may_not otp_web "SELECT otp.counter_key('phone', '+966501234567')"
may_not otp_web "SELECT last_value FROM otp.counter_key_low"
may_not otp_admin "SELECT last_value FROM otp.counter_key_high"
may_not otp_monitor "SELECT * FROM otp.test_numbers"
may_not otp_admin "SELECT * FROM otp.test_numbers"
may_not otp_worker "DELETE FROM otp.pending_forgets"
may_not otp_web "ALTER TABLE otp.verifications DISABLE TRIGGER ALL"
may_not otp_web "CREATE TABLE otp.mine ()"
gives "otp_web cannot choose an id" "t" "SET ROLE otp_web; INSERT INTO otp.verifications (id, subject, phone_number) OVERRIDING SYSTEM VALUE VALUES (9000000000000, 'web', '0501234567') RETURNING id < 1000000"
may otp_worker "SELECT count(sealed_code) > 0 AND count(key_id) > 0 FROM otp.verifications WHERE expires_at > now()" t
may_not otp_worker "SELECT otp.secret_for('x')"
may_not otp_worker "SELECT otp.session_secret()"
may otp_worker "SELECT nextval('otp.worker_ids') > 0" t
may otp_worker "WITH e AS (DELETE FROM otp.send_jobs RETURNING *), u AS (INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at) SELECT id, verification_id, 'failed', attempt, requested_at FROM e RETURNING 1) SELECT count(*) > 0 FROM u" t
may otp_worker "WITH w AS (INSERT INTO otp.worker_status (host, pid, version) VALUES ('h', 1, '1') RETURNING 1) SELECT count(*) FROM w" 1
may_not otp_worker "SELECT phone_number FROM otp.verifications"
may_not otp_worker "SELECT code_hash FROM otp.verifications"
may_not otp_worker "UPDATE otp.verifications SET verified_at = now()"
may_not otp_worker "INSERT INTO otp.send_jobs (verification_id) VALUES (1)"
may_not otp_worker "SELECT otp.verify('web', 'x')"
may_not otp_worker "UPDATE otp.error_classes SET class = 'ignore'"
for view in worker_status queue_status delivery_status spend_daily conversion_daily failure_summary; do
    may otp_monitor "SELECT count(*) >= 0 FROM otp.$view" t
done
may_not otp_monitor "SELECT e164 FROM otp.verifications"
may_not otp_monitor "SELECT * FROM otp.verified_phones"
may_not otp_monitor "SELECT otp.verify('web', 'x')"
gives "no full number in what otp_monitor sees" "0" "SET ROLE otp_monitor; SELECT count(*) FROM otp.delivery_status d WHERE d::text LIKE '%501234567%'"
may otp_admin "WITH u AS (UPDATE otp.limits SET max_sends = max_sends RETURNING 1) SELECT count(*) = (SELECT count(*) FROM otp.limits) FROM u" t
may_not otp_admin "SELECT sealed_code FROM otp.verifications"
gives "none is superuser, none can log in" "0" "SELECT count(*) FROM pg_roles WHERE rolname IN ($our_roles) AND (rolsuper OR rolcanlogin OR rolcreaterole OR rolbypassrls)"
gives "no function is anybody's" "" "SELECT string_agg(proname, ',') FROM pg_proc WHERE pronamespace = 'otp'::regnamespace AND has_function_privilege('public', oid, 'EXECUTE')"
gives "every SECURITY DEFINER function has its search_path and keeps statements out of the log" "0" "SELECT count(*) FROM pg_proc WHERE pronamespace = 'otp'::regnamespace AND prosecdef AND NOT (proconfig::text LIKE '%search_path=pg_catalog, pg_temp%' AND proconfig::text LIKE '%log_min_error_statement=panic%' AND proconfig::text LIKE '%log_error_verbosity=terse%')"
log=$(psql -qXAt -d "$PGDATABASE" -c "SHOW log_min_error_statement")
check "failing statements are logged by default" error "$log"

# Tries every action of every role on every relation, and calls every function. The results must agree with the grants.
tried() { sql -c "DO \$\$
    DECLARE role_name text; object record; action text; done text := '';
    BEGIN
        FOREACH role_name IN ARRAY ARRAY['otp_web', 'otp_worker', 'otp_monitor', 'otp_admin'] LOOP
            FOR object IN SELECT c.oid::regclass AS name, (SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND attidentity = '' ORDER BY attnum LIMIT 1) AS col,
                    -- but those that are generated always
                    (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND attgenerated = '') AS cols,
                    (SELECT string_agg(format('(NULL::%s).%I', c.oid::regclass, attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND attgenerated = '') AS nulls
                FROM pg_class c WHERE c.relnamespace = 'otp'::regnamespace AND c.relkind IN ('r', 'v') ORDER BY 1
            LOOP
                FOREACH action IN ARRAY ARRAY['SELECT * FROM %1\$s LIMIT 0', 'INSERT INTO %1\$s (%3\$s) OVERRIDING SYSTEM VALUE SELECT %4\$s WHERE false', 'UPDATE %1\$s SET %2\$I = NULL WHERE false', 'DELETE FROM %1\$s WHERE false', 'TRUNCATE %1\$s', 'ALTER TABLE %1\$s OWNER TO otp_web', 'CREATE TRIGGER evil BEFORE INSERT ON %1\$s FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()', 'LOCK TABLE %1\$s IN ACCESS EXCLUSIVE MODE'] LOOP
                    BEGIN
                        EXECUTE format('SET LOCAL ROLE %I', role_name);
                        EXECUTE format(action, object.name, object.col, object.cols, object.nulls);
                        RAISE EXCEPTION 'done';
                    EXCEPTION WHEN insufficient_privilege THEN NULL;
                        WHEN OTHERS THEN
                            CONTINUE WHEN SQLERRM LIKE '%is not updatable%' OR SQLSTATE IN ('55000', '42809', '0A000');  -- a view
                            done := done || E'\\n' || role_name || ' ' || split_part(action, ' ', 1) || ' ' || object.name || CASE WHEN SQLERRM <> 'done' THEN ' ' || SQLERRM ELSE '' END;
                    END;
                END LOOP;
            END LOOP;
            FOR object IN SELECT p.oid::regprocedure AS name, format('%I.%I(%s)', 'otp', p.proname, (SELECT string_agg('NULL::' || t::regtype, ', ') FROM unnest(p.proargtypes) t)) AS call
                FROM pg_proc p WHERE p.pronamespace = 'otp'::regnamespace AND p.prorettype <> 'trigger'::regtype AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e') ORDER BY 1
            LOOP
                BEGIN
                    EXECUTE format('SET LOCAL ROLE %I', role_name);
                    EXECUTE 'SELECT ' || object.call;
                    RAISE EXCEPTION 'done';
                EXCEPTION WHEN insufficient_privilege THEN NULL;
                    WHEN OTHERS THEN done := done || E'\\n' || role_name || ' EXECUTE ' || object.name;
                END;
            END LOOP;
        END LOOP;
        CREATE TABLE public.tried AS SELECT unnest(string_to_array(substr(done, 2), E'\\n')) AS what;
    END \$\$"; sql -c "SELECT what FROM tried ORDER BY what COLLATE \"C\"" -c "DROP TABLE tried"; }
tried >"$work/tried"
granted() { sql -c "SELECT what FROM (
    SELECT r || ' ' || a.privilege_type || ' ' || c.oid::regclass AS what FROM pg_class c, aclexplode(c.relacl) a, unnest(ARRAY['otp_web', 'otp_worker', 'otp_monitor', 'otp_admin']) r WHERE c.relnamespace = 'otp'::regnamespace AND c.relkind IN ('r', 'v') AND a.grantee = r::regrole
    UNION ALL SELECT r || ' LOCK ' || c.oid::regclass FROM pg_class c, unnest(ARRAY['otp_web', 'otp_worker', 'otp_monitor', 'otp_admin']) r WHERE c.relnamespace = 'otp'::regnamespace AND c.relkind IN ('r') AND has_table_privilege(r, c.oid, 'UPDATE, DELETE, TRUNCATE')
    UNION ALL SELECT r || ' EXECUTE ' || p.oid::regprocedure FROM pg_proc p, unnest(ARRAY['otp_web', 'otp_worker', 'otp_monitor', 'otp_admin']) r WHERE p.pronamespace = 'otp'::regnamespace AND p.prorettype <> 'trigger'::regtype AND EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = r::regrole)) x ORDER BY what COLLATE \"C\""; }
granted >"$work/granted"
check "what each role could really do is what it was granted, and no more" "" "$(diff "$work/granted" "$work/tried")"
check "and that is something" "t" "$([ "$(wc -l <"$work/tried")" -gt 60 ] && echo t)"
gives "none is a member of another" "0" "SELECT count(*) FROM pg_auth_members WHERE member IN (SELECT oid FROM pg_roles WHERE rolname IN ($our_roles))"

# Settings of roles and databases that change the meaning or the execution of statements, with all calls of a backend and a
# worker. There is one session per row. Rows that this server does not know are left out. Settings that refuse by design are
# left out too (restrict_nonsystem_relation_kind, default_transaction_read_only). otpd doctor shows them as stored-settings.
sql -c "DELETE FROM otp.limits"
session() {     # settings as libpq takes them; every call in turn, its answers in one line
    PGOPTIONS="$PGOPTIONS $1" psql -qXAt -v ON_ERROR_STOP=1 -d "$PGDATABASE" <<SQL 2>&1 | paste -sd' '
SET ROLE otp_web;
INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('row $row', '٠٥٠-' || 1000000 + $row, '004321') RETURNING id AS v \gset
INSERT INTO otp.send_jobs (verification_id) VALUES (:v) RETURNING id AS j \gset
SELECT verification_id AS r, expires_at - now() <= interval '150 seconds' AS ttl FROM otp.request('other $row', '0502' || 100000 + $row, 'ar', 'phone_verification', 'SA', '2 minutes', '2001:db8::$row') \gset
SELECT :'ttl';
SELECT otp.verify('row $row', '1 2-3');
SELECT otp.verify('row $row', '٠٠٤٣٢١');
SELECT otp.verify('row $row', '004321');
SELECT count(*) FROM otp.delivery(:v, 'row $row');
SELECT otp.cancel(:r, 'other $row');
INSERT INTO otp.verifications (subject, phone_number) VALUES ('sent $row', '0503' || 100000 + $row) RETURNING id AS v \gset
INSERT INTO otp.send_jobs (verification_id) VALUES (:v) RETURNING id AS j \gset
RESET ROLE;
UPDATE otp.send_jobs SET attempt = 1, state = 'sending' WHERE id = :j;
SET ROLE otp_web;
SELECT otp.record_status('SM' || md5('$row'), 'delivered', NULL, :'j' || '.1');
SET ROLE otp_monitor;
SELECT count(q::text) FROM otp.queue_status q;
SELECT count(d::text) > 0 FROM otp.delivery_status d;
SELECT count(d::text) FROM otp.spend_today d;
SELECT count(f::text) >= 0 FROM otp.failure_summary f, otp.spend_daily s, otp.conversion_daily c, otp.job_details j;
SET ROLE otp_worker;
SELECT otp.record_history() > 0;
SELECT verifications FROM otp.prune(1000, '-1 second');
SELECT count(*) FROM otp.within_limits('{}', '{}');
SELECT count(*) FROM otp.advance_sequences();
SET ROLE otp_admin;
SELECT otp.unlock('0501234599');
SQL
}
row=1
usual=$(session "-c jit=on")
check "what the calls answer" "t f t f 1 t t 1 t 1 t t 0 0 0 f" "$usual"
# Only a superuser may set session_replication_role to replica. Then triggers do not run, and otpd doctor reports it (stored-settings).
while IFS= read -r settings; do
    [ -n "$settings" ] || continue
    name=${settings#-c }; name=${name%%=*}
    case $name in plpgsql.*) ;; *) [ "$(sql -c "SELECT count(*) FROM pg_settings WHERE name = lower('$name') OR name = '$name'")" = 1 ] || continue ;; esac
    row=$((row + 1))
    check "with $settings" "$usual" "$(session "$settings")"
done <<'SETTINGS'
-c standard_conforming_strings=off
-c backslash_quote=on -c standard_conforming_strings=off -c escape_string_warning=off
-c bytea_output=escape -c DateStyle=German,DMY -c IntervalStyle=postgres_verbose -c TimeZone=Asia/Kathmandu
-c DateStyle=SQL,DMY -c IntervalStyle=sql_standard -c extra_float_digits=-15 -c TimeZone=posix/XXX-25
-c DateStyle=Postgres,YMD -c IntervalStyle=iso_8601 -c timezone_abbreviations=India
-c client_encoding=SQL_ASCII -c search_path= -c row_security=off -c default_transaction_deferrable=on
-c default_transaction_isolation=serializable -c search_path=pg_temp,public
-c default_transaction_isolation=repeatable\ read -c session_replication_role=local
-c plpgsql.variable_conflict=error -c plpgsql.extra_errors=all -c check_function_bodies=off
-c plpgsql.variable_conflict=use_variable -c plpgsql.print_strict_params=on
-c plpgsql.variable_conflict=use_column
-c transform_null_equals=on -c array_nulls=off -c quote_all_identifiers=on -c xmloption=document
-c enable_seqscan=off -c enable_indexscan=off -c enable_bitmapscan=off -c enable_indexonlyscan=off
-c enable_sort=off -c enable_hashagg=off -c enable_nestloop=off -c enable_hashjoin=off -c enable_mergejoin=off
-c plan_cache_mode=force_custom_plan -c constraint_exclusion=on -c from_collapse_limit=1 -c join_collapse_limit=1
-c plan_cache_mode=force_generic_plan -c work_mem=64 -c cursor_tuple_fraction=1 -c gin_fuzzy_search_limit=1
-c jit_above_cost=0 -c parallel_setup_cost=0 -c parallel_tuple_cost=0 -c min_parallel_table_scan_size=0
-c synchronous_commit=off -c default_toast_compression=pglz -c password_encryption=md5 -c temp_tablespaces=pg_default
-c lock_timeout=1ms -c statement_timeout=1min -c idle_in_transaction_session_timeout=1min -c idle_session_timeout=1min
-c transaction_timeout=1min -c event_triggers=off
-c log_statement=all -c log_min_duration_statement=0 -c track_functions=all -c stats_fetch_consistency=none
SETTINGS

# The migrations up and down, with all disturbing settings at once.
hostile="-c standard_conforming_strings=off -c escape_string_warning=off -c default_transaction_read_only=on -c array_nulls=off
    -c statement_timeout=500ms -c transform_null_equals=on -c DateStyle=German -c IntervalStyle=sql_standard -c bytea_output=escape
    -c search_path=pg_temp,public -c check_function_bodies=off -c plpgsql.extra_errors=all -c quote_all_identifiers=on
    -c default_transaction_isolation=serializable -c client_encoding=LATIN1 -c row_security=off -c enable_indexscan=off"
PGDATABASE=postgres psql -qX -c "CREATE DATABASE ${PGDATABASE}_hostile" -c "CREATE DATABASE ${PGDATABASE}_plain"
# One statement of each migration takes longer than the timeout, however fast the machine is. On a slow machine, the first
# statement, which turns the timeout off, must still fit into it.
psql -qX -d "${PGDATABASE}_hostile" -c "CREATE FUNCTION public.slow() RETURNS event_trigger LANGUAGE plpgsql SET search_path = pg_catalog AS \$\$ BEGIN IF current_setting('otp.slept', true) IS DISTINCT FROM now()::text THEN PERFORM set_config('otp.slept', now()::text, true), pg_sleep(0.55); END IF; END \$\$" \
    -c "CREATE EVENT TRIGGER slow ON ddl_command_end EXECUTE FUNCTION public.slow()"
migrate "${PGDATABASE}_plain"
check "the migrations under hostile settings" "" "$(PGOPTIONS="$PGOPTIONS $(tr '\n' ' ' <<<"$hostile")" migrate "${PGDATABASE}_hostile" 2>&1)"
schema() { pg_dump -d "$1" -n otp --schema-only | grep -v '^--\|^\\\(un\)\?restrict'; }
check "make the same schema" "" "$(diff <(schema "${PGDATABASE}_plain") <(schema "${PGDATABASE}_hostile"))"
check "with the same rows" "$(sql -c "SELECT md5(string_agg(r::text, '|' ORDER BY country_code, rank)) FROM otp.regions r" -c "SELECT md5(string_agg(e::text, '|' ORDER BY code)) FROM otp.error_classes e")" \
    "$(PGDATABASE=${PGDATABASE}_hostile sql -c "SELECT md5(string_agg(r::text, '|' ORDER BY country_code, rank)) FROM otp.regions r" -c "SELECT md5(string_agg(e::text, '|' ORDER BY code)) FROM otp.error_classes e")"
for step in $steps_down; do
    check "$step goes down under them" "" "$(PGOPTIONS="$PGOPTIONS $(tr '\n' ' ' <<<"$hostile")" psql -qX1 -v ON_ERROR_STOP=1 -d "${PGDATABASE}_hostile" -f "$migrations/$step.down.sql" 2>&1)"
done
PGDATABASE=postgres psql -qX -c "DROP DATABASE ${PGDATABASE}_hostile" -c "DROP DATABASE ${PGDATABASE}_plain"
sql -c "INSERT INTO otp.limits (scope, digits, period, max_sends) VALUES ('phone', 0, '5 minutes', 5), ('phone', 0, '1 day', 20), ('subject', 0, '1 day', 20), ('client_ip', 0, '1 hour', 100), ('block', 3, '10 minutes', 15), ('block', 3, '1 day', 60)"

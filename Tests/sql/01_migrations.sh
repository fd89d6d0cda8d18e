# Forward and back, again after DROP SCHEMA, in several databases at once, beside a pgcrypto that lives elsewhere.
gives "three migrations are recorded" "1 foundation,2 error_classes,3 regions" \
    "SELECT string_agg(version || ' ' || name, ',' ORDER BY version) FROM otp.schema_migrations"
for step in 0003_regions 0002_error_classes 0001_foundation; do
    check "$step goes down" "" "$(sql -1 -f "$migrations/$step.down.sql")"
done
gives "nothing is left" "0" "SELECT count(*) FROM pg_namespace WHERE nspname = 'otp'"
# Nobody needs a superuser: a database's owner with CREATEROLE makes the roles and becomes otp_owner; one without owns the
# schema itself, once somebody has made the roles. Either way no function runs as a superuser.
owner_of() { PGDATABASE=${PGDATABASE}_$1 sql -c "SELECT string_agg(DISTINCT pg_get_userbyid(proowner), ',') FROM pg_proc WHERE pronamespace = 'otp'::regnamespace AND proname NOT IN (SELECT proname FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e')"; }
for kind in creator owner; do
    PGDATABASE=postgres psql -qX -c "DROP DATABASE IF EXISTS ${PGDATABASE}_$kind" -c "DROP ROLE IF EXISTS ${PGDATABASE}_$kind" \
        -c "CREATE ROLE ${PGDATABASE}_$kind LOGIN PASSWORD '${PGPASSWORD:-}' $([ $kind = creator ] && echo CREATEROLE)" -c "CREATE DATABASE ${PGDATABASE}_$kind OWNER ${PGDATABASE}_$kind"
    check "the $kind of a database migrates" "" "$(PGUSER=${PGDATABASE}_$kind migrate "${PGDATABASE}_$kind" 2>&1 | grep -v 'NOTICE\|HINT')"
    check "the schema of its $kind works" "t|f|t" "$(PGDATABASE=${PGDATABASE}_$kind sql -c "SET ROLE otp_web" -c "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('a', '0501234567', '004321')" -c "SELECT verification_id > 0, otp.verify('a', '1'), otp.verify('a', '004321') FROM otp.request('a', '0501234567')")"
    check "its worker works" "0" "$(PGDATABASE=${PGDATABASE}_$kind sql -c "SET ROLE otp_worker" -c "SELECT count(*) FROM otp.within_limits('{}', '{}')")"
done
check "with CREATEROLE the functions run as otp_owner" otp_owner "$(owner_of creator)"
check "without, as the database's owner" "${PGDATABASE}_owner" "$(owner_of owner)"
check "who can keep statements out of the log is told how" 1 "$(PGUSER=${PGDATABASE}_owner PGDATABASE=${PGDATABASE}_owner psql -qXAt -c "SELECT NOT otp.conceal_statements()" | grep -c t)"
PGDATABASE=postgres psql -qX -c "GRANT SET ON PARAMETER log_min_error_statement, log_error_verbosity TO ${PGDATABASE}_owner"
check "and then can" t "$(PGUSER=${PGDATABASE}_owner PGDATABASE=${PGDATABASE}_owner psql -qXAt -c "SELECT otp.conceal_statements()")"
check "the functions still work" "t" "$(PGDATABASE=${PGDATABASE}_owner sql -c "SET ROLE otp_web" -c "SELECT verification_id > 0 FROM otp.request('b', '0501234567')")"
for kind in creator owner; do
    for step in 0003_regions 0002_error_classes 0001_foundation; do
        check "the $kind takes $step back" "" "$(PGUSER=${PGDATABASE}_$kind PGDATABASE=${PGDATABASE}_$kind sql -1 -f "$migrations/$step.down.sql")"
    done
    PGDATABASE=postgres psql -qX -c "DROP DATABASE ${PGDATABASE}_$kind" -c "REVOKE ALL ON PARAMETER log_min_error_statement, log_error_verbosity FROM ${PGDATABASE}_$kind" -c "DROP ROLE ${PGDATABASE}_$kind"
done

check "it goes up again" "" "$(migrate "$PGDATABASE" 2>&1)"
sql -c "DROP SCHEMA otp CASCADE"
check "it goes up after DROP SCHEMA" "" "$(migrate "$PGDATABASE" 2>&1)"
gives "every code has words" "0" "SELECT count(*) FROM otp.error_classes WHERE explanation IS NULL OR remedy IS NULL"
gives "the limits that come with it" "block 10:00 15, block 24:00:00 60, client_ip 01:00:00 100, phone 05:00 5, phone 24:00:00 20, subject 24:00:00 20" "SELECT string_agg(scope || ' ' || regexp_replace(make_interval(secs => extract(epoch FROM period))::text, '^00:', '') || ' ' || max_sends, ', ' ORDER BY scope, period) FROM otp.limits"
gives "118 codes" "118" "SELECT count(*) FROM otp.error_classes"

for n in 1 2 3 4; do PGDATABASE=postgres psql -qX -c "DROP DATABASE IF EXISTS ${PGDATABASE}_$n" -c "CREATE DATABASE ${PGDATABASE}_$n"; done
PGDATABASE=${PGDATABASE}_2 psql -qX -c "CREATE SCHEMA crypto" -c "CREATE EXTENSION pgcrypto SCHEMA crypto"
PGDATABASE=${PGDATABASE}_3 psql -qX -c "DROP SCHEMA public"
for n in 1 2 3 4; do (migrate "${PGDATABASE}_$n") >"$work/up$n" 2>&1 & done; wait
for n in 1 2 3 4; do
    check "database $n of four migrated at once" "" "$(cat "$work/up$n")"
    check "database $n draws and verifies codes" "t" "$(PGDATABASE=${PGDATABASE}_$n sql -c "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('a', '0501234567', '004321')" -c "SELECT otp.verify('a', '004321')")"
    (PGDATABASE=${PGDATABASE}_$n sql -1 -f "$migrations/0001_foundation.down.sql") >"$work/down$n" 2>&1 &
done; wait
for n in 1 2 3 4; do
    check "database $n goes down beside the others" "" "$(cat "$work/down$n")"
    PGDATABASE=postgres psql -qX -c "DROP DATABASE ${PGDATABASE}_$n"
done
gives "roles stay while another database needs them" "5" "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'otp\\_%'"

# Forward and back, again after DROP SCHEMA, in several databases at once, beside a pgcrypto that lives elsewhere.
gives "three migrations are recorded" "1 foundation,2 error_classes,3 regions" \
    "SELECT string_agg(version || ' ' || name, ',' ORDER BY version) FROM otp.schema_migrations"
for step in 0003_regions 0002_error_classes 0001_foundation; do
    check "$step goes down" "" "$(sql -1 -f "$migrations/$step.down.sql")"
done
gives "nothing is left" "0" "SELECT count(*) FROM pg_namespace WHERE nspname = 'otp'"
check "it goes up again" "" "$(migrate "$PGDATABASE" 2>&1)"
sql -c "DROP SCHEMA otp CASCADE"
check "it goes up after DROP SCHEMA" "" "$(migrate "$PGDATABASE" 2>&1)"
gives "every code has words" "0" "SELECT count(*) FROM otp.error_classes WHERE explanation IS NULL OR remedy IS NULL"
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
gives "roles stay while another database needs them" "4" "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'otp\\_%'"

# Migrations up and down, again after DROP SCHEMA, in several databases at once, and with pgcrypto in another schema.
gives "every migration is recorded" "$(for f in "$migrations"/*.up.sql; do basename "$f" .up.sql; done | sed 's/^0*\([0-9]*\)_/\1 /' | paste -sd ,)" \
    "SELECT string_agg(version || ' ' || name, ',' ORDER BY version) FROM otp.schema_migrations"
for step in $steps_down; do
    if [ "$step" = 0001_foundation ]; then
        gives "each step took away what it had made" "f otp.hmac_sha256 otp.random_bytes otp.seal,r schema_migrations" "
            SELECT string_agg(x.line, ',' ORDER BY x.line) FROM (
                SELECT 'f ' || string_agg(p.oid::regproc::text, ' ' ORDER BY p.proname COLLATE \"C\") AS line FROM pg_proc p WHERE p.pronamespace = 'otp'::regnamespace
                UNION ALL SELECT c.relkind::text || ' ' || c.relname FROM pg_class c WHERE c.relnamespace = 'otp'::regnamespace AND c.relkind NOT IN ('i', 't')
                UNION ALL SELECT 'type ' || t.typname FROM pg_type t WHERE t.typnamespace = 'otp'::regnamespace AND t.typrelid = 0 AND t.typelem = 0) x"
    fi
    check "$step goes down" "" "$(sql -1 -f "$migrations/$step.down.sql")"
done
gives "nothing is left" "0" "SELECT count(*) FROM pg_namespace WHERE nspname = 'otp'"
# A superuser is not needed. A database owner with CREATEROLE creates the roles and becomes otp_owner. An owner without it
# owns the schema itself, after the roles have been created. In both cases no function runs as a superuser.
owner_of() { PGDATABASE=${PGDATABASE}_$1 sql -c "SELECT string_agg(DISTINCT pg_get_userbyid(proowner), ',') FROM pg_proc WHERE pronamespace = 'otp'::regnamespace AND proname NOT IN (SELECT proname FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e')"; }
for kind in creator owner; do
    PGDATABASE=postgres psql -qX -c "DROP DATABASE IF EXISTS ${PGDATABASE}_$kind" -c "DROP ROLE IF EXISTS ${PGDATABASE}_$kind" \
        -c "CREATE ROLE ${PGDATABASE}_$kind LOGIN PASSWORD '${PGPASSWORD:-}' $([ $kind = creator ] && echo CREATEROLE)" -c "CREATE DATABASE ${PGDATABASE}_$kind OWNER ${PGDATABASE}_$kind"
    # From PostgreSQL 16 on, CREATEROLE does not reach a role that somebody else made. Other databases of the server may have otp_owner.
    [ $kind = owner ] || sql -d postgres -c "DO \$\$ BEGIN IF to_regrole('otp_owner') IS NOT NULL THEN GRANT otp_owner TO ${PGDATABASE}_$kind; END IF; END \$\$"
    check "the $kind of a database migrates" "" "$(PGUSER=${PGDATABASE}_$kind migrate "${PGDATABASE}_$kind" 2>&1 | grep -v 'NOTICE\|HINT')"
    check "the schema of its $kind works" "t|f|t" "$(PGDATABASE=${PGDATABASE}_$kind sql -c "SET ROLE otp_web" -c "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('a', '0501234567', '004321')" -c "SELECT verification_id > 0, otp.verify('a', '1111'), otp.verify('a', '004321') FROM otp.request('a', '0501234567')")"
    check "its worker works" "0" "$(PGDATABASE=${PGDATABASE}_$kind sql -c "SET ROLE otp_worker" -c "SELECT count(*) FROM otp.within_limits('{}', '{}')")"
done
check "with CREATEROLE the functions run as otp_owner" otp_owner "$(owner_of creator)"
check "without, as the database's owner" "${PGDATABASE}_owner" "$(owner_of owner)"
check "who can keep statements out of the log is told how" 1 "$(PGUSER=${PGDATABASE}_owner PGDATABASE=${PGDATABASE}_owner psql -qXAt -c "SELECT NOT otp.conceal_statements()" | grep -c t)"
PGDATABASE=postgres psql -qX -c "GRANT SET ON PARAMETER log_min_error_statement, log_error_verbosity TO ${PGDATABASE}_owner"
check "and then can" t "$(PGUSER=${PGDATABASE}_owner PGDATABASE=${PGDATABASE}_owner psql -qXAt -c "SELECT otp.conceal_statements()")"
check "the functions still work" "t" "$(PGDATABASE=${PGDATABASE}_owner sql -c "SET ROLE otp_web" -c "SELECT verification_id > 0 FROM otp.request('b', '0501234567')")"
for kind in creator owner; do
    for step in $steps_down; do
        check "the $kind takes $step back" "" "$(PGUSER=${PGDATABASE}_$kind PGDATABASE=${PGDATABASE}_$kind sql -1 -f "$migrations/$step.down.sql")"
    done
    PGDATABASE=postgres psql -qX -c "DROP DATABASE ${PGDATABASE}_$kind" -c "REVOKE ALL ON PARAMETER log_min_error_statement, log_error_verbosity FROM ${PGDATABASE}_$kind" -c "DROP ROLE ${PGDATABASE}_$kind"
done

check "it goes up again" "" "$(migrate "$PGDATABASE" 2>&1)"
sql -c "DROP SCHEMA otp CASCADE"
check "it goes up after DROP SCHEMA" "" "$(migrate "$PGDATABASE" 2>&1)"
# The table of phone numbers is loaded if it is newer, as a whole, and while sessions read numbers.
version() { sql -c "SELECT version FROM otp.number_table"; }
load() { sql -c "SELECT otp.load_numbers('$1', '2030-01-02', '$2')"; }
shipped=$(version)
check "the same table is not taken in again" f "$(sql -1 -f "$migrations/numbers.sql")"
one='[{"region": "SA", "country_code": 966, "rank": 0, "general": "^(?:5\\\\d{8})$", "lengths": [9], "local_lengths": [], "mobile": "^(?:57\\\\d{7})$"}]'
check "nor an older one" "f|$shipped" "$(load 8.12.57 "$one")|$(version)"
check "nor one that is older by a number, and not by a letter" f "$(load "${shipped%.*}.5" "$one")"
mkfifo "$work/loaded"
(psql -qXAt -d "$PGDATABASE" -c BEGIN -c "SELECT otp.load_numbers('$shipped.1', '2030-01-02', '$one')" -c "\\! cat $work/loaded >/dev/null" -c COMMIT >"$work/loader" 2>&1) &
until [ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()")" = 1 ]; do :; done
gives "while a table is being replaced, requests go on, by the one of before" "+966501234567|t" "SET lock_timeout = '5s'; SELECT otp.to_e164('0501234567'), verification_id > 0 FROM otp.request('meanwhile', '0501234567')"
echo go >"$work/loaded"; wait
check "the newer table is taken in" "t|$shipped.1" "$(tail -1 "$work/loader")|$(version)"
gives "with its day, and alone" "2030-01-02|1" "SELECT released_on, (SELECT count(*) FROM otp.regions) FROM otp.number_table"
fails "its numbers are what is one now" OT002 "SELECT otp.to_e164('0501234567')"
gives "verifications that exist stay as they are" "+966501234567|t" "SELECT e164, otp.verify('meanwhile', '000000') IS NOT NULL FROM otp.verifications WHERE subject = 'meanwhile'"
sql -c "DELETE FROM otp.regions"
says "an empty table says what to do" "HINT:  Run otpd migrate up." "SELECT otp.to_e164('0501234567')"
fails "as something to set right, and not as a wrong number" 55000 "SELECT otp.request('empty', '0501234567')"
sql -c "DELETE FROM otp.number_table"
check "the shipped one is back" "t|$shipped" "$(sql -1 -f "$migrations/numbers.sql")|$(version)"; clean
gives "every code has words" "0" "SELECT count(*) FROM otp.error_classes WHERE explanation IS NULL OR remedy IS NULL"
gives "the limits that come with it" "block 10:00 15, block 24:00:00 60, budget 24:00:00 100 3, client_ip 01:00:00 100, phone 05:00 5, phone 24:00:00 20, subject 24:00:00 20, total 24:00:00 1000 3, unused_all 24:00:00 30, unused_asn 24:00:00 10, unused_block 24:00:00 10, unused_block 24:00:00 20, unused_country 24:00:00 30, unused_network 24:00:00 5" "SELECT string_agg(concat_ws(' ', scope, regexp_replace(make_interval(secs => extract(epoch FROM period))::text, '^00:', ''), coalesce(max_sends, max_cost), times_usual), ', ' ORDER BY scope, period, digits) FROM otp.limits"
gives "174 codes" "174" "SELECT count(*) FROM otp.error_classes"

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
gives "roles stay while another database needs them" "5" "SELECT count(*) FROM pg_roles WHERE rolname IN ($our_roles)"

# Hardened databases: rights that were taken away before or after the migration, and the statements that give them back.
# With a server of its own (OTP_SQL_OWN=1), this part also tests the owners of the roles, which belong to the whole cluster.
hardened=${PGDATABASE}_hardened
installer=${PGDATABASE}_installer
in_hardened() { psql -qXAt -d "$hardened" "$@" 2>&1; }
fresh() {   # SQL of a superuser in the new database; the installer owns it and has no other rights
    PGDATABASE=postgres psql -qX -c "DROP DATABASE IF EXISTS $hardened WITH (FORCE)" -c "CREATE DATABASE $hardened OWNER $installer"
    in_hardened -v ON_ERROR_STOP=1 -c "$1"
}
# The first failing step reports its reason and ends the call. Earlier steps stay, and the next call continues with the failed
# step. HINT lines of notices are left out.
up() {
    local last file step
    last=$(in_hardened -c "SELECT max(version) FROM otp.schema_migrations" | grep -x '[0-9]\+')
    for file in "$migrations"/*.up.sql "$migrations/numbers.sql"; do
        step=$(basename "$file")
        [[ $step == [0-9]* && 10#${step%%_*} -le ${last:-0} ]] && continue
        PGUSER=${1:-$PGUSER} psql -qX1 -v ON_ERROR_STOP=1 -d "$hardened" -o /dev/null -f "$file" 2>&1 || break
    done | sed -n '/ERROR/,$p'
}
remedy() { sed -n 's/^HINT: *[^:]*: \(.*\);  then migrate again\.$/\1/p' <<<"$1"; }
works() {   # what
    check "$1: codes are drawn, sent and verified" "t|f|t" "$(in_hardened -c "SET ROLE otp_web" \
        -c "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('a', '0501234567', '004321')" \
        -c "SELECT verification_id > 0, otp.verify('a', '1'), otp.verify('a', '004321') FROM otp.request('a', '0501234567')")"
    check "$1: the worker sees its tables" "1|t" "$(in_hardened -c "SET ROLE otp_worker" -c "SELECT (SELECT count(*) FROM otp.settings), (SELECT count(id) > 0 FROM otp.verifications)")"
    check "$1: an operator may change a text" "" "$(in_hardened -c "SET ROLE otp_admin" -c "UPDATE otp.templates SET body = body")"
    check "$1: nothing is missing" "" "$(in_hardened -c "SELECT * FROM otp.missing_rights()")"
}
missing() { in_hardened -c "SELECT remedy FROM otp.missing_rights() ORDER BY remedy"; }
PGDATABASE=postgres psql -qX -c "CREATE ROLE $installer LOGIN PASSWORD '${PGPASSWORD:-}'"

fresh "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC;
    REVOKE ALL ON SCHEMA public FROM PUBLIC; REVOKE TEMPORARY ON DATABASE $hardened FROM PUBLIC;
    REVOKE EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text), pg_catalog.hashtext(text) FROM PUBLIC"
check "default privileges revoked" "" "$(up)"
works "default privileges revoked"
fresh "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"
refused=$(up "$installer")
check "an installer that cannot give rights is told which" 1 "$(grep -c "ERROR:  the functions of otpd would not work: .*may not call public.hmac(bytea,bytea,text)" <<<"$refused")"
check "its remedy" "" "$(in_hardened -c "$(remedy "$refused")")"
check "with the remedy it migrates" "" "$(up "$installer")"
works "default privileges revoked, an installer"

fresh "CREATE EXTENSION pgcrypto; REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC"
check "a pgcrypto that nobody may call" "" "$(up)"
works "a pgcrypto that nobody may call"
in_hardened -c "REVOKE EXECUTE ON FUNCTION hmac(bytea, bytea, text) FROM otp_owner" -c "ALTER TABLE otp.verifications DISABLE TRIGGER before_insert" \
    -c "ALTER TABLE otp.send_jobs ENABLE ROW LEVEL SECURITY" -c "ALTER TABLE otp.limits OWNER TO $installer" -c "ALTER FUNCTION otp.mask OWNER TO $installer"
check "what is taken away later is named" "ALTER FUNCTION otp.mask(text) OWNER TO otp_owner
ALTER TABLE otp.limits OWNER TO otp_owner
ALTER TABLE otp.send_jobs DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY
ALTER TABLE otp.verifications ENABLE TRIGGER before_insert
GRANT EXECUTE ON FUNCTION public.hmac(bytea,bytea,text) TO otp_owner" "$(missing)"
check "the workers may read it too" 5 "$(in_hardened -c "SET ROLE otp_worker" -c "SELECT count(*) FROM otp.missing_rights()")"
check "the remedies mend it" "" "$(in_hardened -c "$(missing | sed 's/$/;/')")"
works "after the remedies"

fresh "CREATE SCHEMA crypto; CREATE EXTENSION pgcrypto SCHEMA crypto"
refused=$(up "$installer")
check "a pgcrypto out of reach is named" 1 "$(grep -c "ERROR:  pgcrypto is in the schema crypto, which $installer may not use" <<<"$refused")"
check "the remedy for its schema" "" "$(in_hardened -c "$(remedy "$refused")")"
check "with that it migrates" "" "$(up "$installer")"
works "a pgcrypto in a schema of its own"

fresh "CREATE FUNCTION secure() RETURNS event_trigger LANGUAGE plpgsql AS \$\$ DECLARE c record; BEGIN
        FOR c IN SELECT object_identity FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE' LOOP
            EXECUTE 'ALTER TABLE ' || c.object_identity || ' ENABLE ROW LEVEL SECURITY';
        END LOOP; END \$\$;
    CREATE EVENT TRIGGER ensure_rls ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION secure()"
check "an event trigger that turns row level security on" "" "$(up)"
works "row level security"

PGDATABASE=postgres psql -qX -c "DROP DATABASE $hardened WITH (FORCE)"

if [ -z "${OTP_SQL_OWN:-}" ]; then
    check "the same on a server of its own, and whose roles they are" 1 "$(OTP_SQL_OWN=1 "$here/../../.ci/with-postgres" "$here/run" 22_hardened 2>&1 | tee "$work/own" | grep -c ' passed, 0 failed'; grep -A3 '^FAILED' "$work/own")"
else
# Two installers: one creates the roles itself, and one finds the roles of another installer.
migrate_down() { for step in $steps_down; do PGUSER=$1 psql -qX1 -v ON_ERROR_STOP=1 -d "$2" -f "$migrations/$step.down.sql" 2>&1; done; }
migrate_down "$PGUSER" "$PGDATABASE"
version=$(sql -c "SHOW server_version_num")
gives "the roles went with the last schema" 0 "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'otp\\_%' AND rolname NOT LIKE 'otp\\_sql\\_test%'"
owner_of_functions() { in_hardened -c "SELECT DISTINCT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = 'otp'::regnamespace"; }
sql -c "ALTER ROLE $installer CREATEROLE"
for grants in '' inherit set 'set, inherit'; do
    fresh "ALTER ROLE $installer SET default_transaction_read_only = on"
    if [ "$version" -ge 160000 ]; then sql -c "ALTER ROLE $installer SET createrole_self_grant = '${grants:- }'"; fi
    check "an installer migrates, createrole_self_grant '$grants'" "" "$(up "$installer")"
    check "its functions run as otp_owner, createrole_self_grant '$grants'" otp_owner "$(owner_of_functions)"
    [ -n "$grants" ] || works "an installer's"
    check "it takes all back" "" "$(migrate_down "$installer" "$hardened")"
    gives "the roles that it made are gone" 0 "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'otp\\_%' AND rolname NOT LIKE 'otp\\_sql\\_test%'"
done
sql -c "ALTER ROLE $installer RESET ALL" -c "CREATE ROLE otp_owner" -c "CREATE ROLE otp_web" -c "CREATE ROLE otp_worker" -c "CREATE ROLE otp_monitor" -c "CREATE ROLE otp_admin"
fresh ""
if [ "$version" -ge 160000 ]; then
    said=$(for f in "$migrations"/*.up.sql "$migrations/numbers.sql"; do PGUSER=$installer psql -qX1 -v ON_ERROR_STOP=1 -d "$hardened" -o /dev/null -f "$f" 2>&1; done)
    check "an installer that finds somebody else's roles owns the schema" "$installer" "$(owner_of_functions)"
    check "and is told so" 1 "$(grep -c "WARNING:  the functions of otpd run with the rights of $installer, which has more than they need: CREATEROLE" <<<"$said")"
    sql -c "$(sed -n 's/^HINT: .* or as a superuser: \(GRANT otp_owner TO .*\);  then see.*/\1/p' <<<"$said")"
    check "the way that deploy/docs/install.md gives makes otp_owner its owner" "" "$(sed -n '/^##* Who owns the schema/,/^#/{/^ *```sql/,/^ *```$/{/^ *```/!p}}' "$here/../../deploy/docs/install.md" | PGUSER=$installer psql -qX1 -v ON_ERROR_STOP=1 -d "$hardened" 2>&1)"
else
    check "an installer that finds somebody else's roles may join otp_owner" "" "$(up "$installer")"
fi
check "then the functions run as otp_owner" otp_owner "$(owner_of_functions)"
works "the roles of somebody else"
PGDATABASE=postgres psql -qX -c "DROP DATABASE $hardened WITH (FORCE)"
migrate "$PGDATABASE"
fi
PGDATABASE=postgres psql -qX -c "DROP ROLE $installer"

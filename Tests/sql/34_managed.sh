# Databases of providers (RDS, Supabase, Neon, Azure, Cloud SQL). No user is a superuser there. Each shape below has the roles
# and rights that the provider documents. Roles belong to the whole cluster, so all of this runs on a server of its own.
if [ -z "${OTP_SQL_OWN:-}" ]; then
    check "databases of providers, on a server of their own" 1 "$(OTP_SQL_OWN=1 "$here/../../.ci/with-postgres" "$here/run" 34_managed 2>&1 | tee "$work/own" | grep -c ' passed, 0 failed'; grep -A3 '^FAILED' "$work/own")"
else
server_user=$PGUSER
first=${PGDATABASE}_first
second=${PGDATABASE}_second
admin=${PGDATABASE}_admin
version=$(sql -c "SHOW server_version_num")
cluster() { PGUSER=$server_user psql -qXAt -v ON_ERROR_STOP=1 -d postgres "$@" 2>&1; }
in_first() { psql -qXAt -d "$first" "$@" 2>&1; }
as() { local role=$1; shift; PGUSER=$role psql -qXAt -d "$first" "$@" 2>&1; }
database() { cluster -c "DROP DATABASE IF EXISTS $1 WITH (FORCE)" -c "CREATE DATABASE $1 OWNER $admin"; }
up() {      # role, database, the least level of messages: the errors and notices of all steps until the first that fails
    local file
    for file in "$migrations"/*.up.sql "$migrations/numbers.sql"; do
        PGUSER=$1 psql -qX1 -v ON_ERROR_STOP=1 -d "$2" -o /dev/null -f "$file" 2>&1 || break
    done | sed -n "/${3:-ERROR}:/,\$p"
}
down() { local step; for step in $steps_down; do PGUSER=$1 psql -qX1 -v ON_ERROR_STOP=1 -d "$2" -f "$migrations/$step.down.sql" 2>&1; done; }
our_roles() { cluster -c "SELECT string_agg(rolname, ',' ORDER BY rolname) FROM pg_roles WHERE rolname IN ('otp_owner', 'otp_web', 'otp_worker', 'otp_monitor', 'otp_admin')"; }
all_roles=otp_admin,otp_monitor,otp_owner,otp_web,otp_worker
owner_of_functions() { PGUSER=$server_user psql -qXAt -d "$1" -c "SELECT string_agg(DISTINCT pg_get_userbyid(proowner), ',') FROM pg_proc p WHERE pronamespace = 'otp'::regnamespace AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"; }
# The administrator makes the login roles. They request, verify and claim as real sessions do.
works() {   # what, database
    PGUSER=$admin psql -qX -d "$2" -c "CREATE ROLE ${admin}_web LOGIN PASSWORD '${PGPASSWORD:-}' IN ROLE otp_web" -c "CREATE ROLE ${admin}_otpd LOGIN PASSWORD '${PGPASSWORD:-}' IN ROLE otp_worker"
    check "$1: a backend requests and verifies" "t|f|t" "$(PGUSER=${admin}_web psql -qXAt -d "$2" \
        -c "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('a', '0501234567', '004321')" \
        -c "SELECT verification_id > 0, otp.verify('a', '1'), otp.verify('a', '004321') FROM otp.request('a', '0501234567')" 2>&1)"
    check "$1: a worker reads the queue" "1|t|0" "$(PGUSER=${admin}_otpd psql -qXAt -d "$2" -c "SELECT (SELECT count(*) FROM otp.settings), (SELECT count(id) > 0 FROM otp.verifications), (SELECT count(*) FROM otp.missing_rights())" 2>&1)"
    PGUSER=$admin psql -qX -d "$2" -c "DROP ROLE ${admin}_web" -c "DROP ROLE ${admin}_otpd"
}
administrator() { cluster -c "CREATE ROLE $admin LOGIN PASSWORD '${PGPASSWORD:-}' $1"; database "$first"; }
forget() {
    cluster -c "DROP DATABASE IF EXISTS $first WITH (FORCE)" -c "DROP DATABASE IF EXISTS $second WITH (FORCE)" -c "DROP ROLE IF EXISTS $admin"
    local role; for role in "$@"; do cluster -c "DROP ROLE $role"; done
}
down "$PGUSER" "$PGDATABASE"
check "the roles went with the last schema" "" "$(our_roles)"

# 1. An administrator with CREATEROLE that owns the database, in the shape of each provider.
shape_rds() {
    cluster -c "CREATE ROLE rdsadmin SUPERUSER" -c "CREATE ROLE rds_superuser" -c "CREATE ROLE rds_password" \
        -c "GRANT pg_monitor, pg_signal_backend, pg_checkpoint TO rds_superuser WITH ADMIN OPTION"
    administrator "CREATEDB CREATEROLE NOREPLICATION IN ROLE rds_superuser"
    roles="rds_superuser rds_password rdsadmin"
}
shape_supabase() {
    cluster -c "CREATE ROLE supabase_admin SUPERUSER" -c "CREATE ROLE anon" -c "CREATE ROLE authenticated" -c "CREATE ROLE service_role BYPASSRLS"
    administrator "CREATEDB CREATEROLE REPLICATION BYPASSRLS"
    cluster -d "$first" -c "SET ROLE supabase_admin" -c "CREATE SCHEMA extensions" -c "CREATE EXTENSION pgcrypto SCHEMA extensions" \
        -c "GRANT USAGE ON SCHEMA extensions TO $admin, anon, authenticated, service_role" \
        -c "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO anon, authenticated, service_role"
    roles="anon authenticated service_role supabase_admin"
}
shape_neon() {
    cluster -c "CREATE ROLE cloud_admin SUPERUSER" -c "CREATE ROLE neon_superuser CREATEDB CREATEROLE BYPASSRLS" \
        -c "GRANT pg_read_all_data, pg_write_all_data TO neon_superuser"
    administrator "CREATEDB CREATEROLE BYPASSRLS IN ROLE neon_superuser"
    roles="neon_superuser cloud_admin"
}
shape_azure() {
    cluster -c "CREATE ROLE azuresu SUPERUSER" -c "CREATE ROLE azure_pg_admin"
    administrator "CREATEDB CREATEROLE REPLICATION IN ROLE azure_pg_admin"
    # Extensions must be on a list. This one is not, at first.
    cluster -d "$first" -c "CREATE FUNCTION public.allow_list() RETURNS event_trigger LANGUAGE plpgsql AS \$\$ BEGIN
        RAISE EXCEPTION 'extension \"pgcrypto\" is not allow-listed for users in Azure Database for PostgreSQL' USING ERRCODE = '0A000'; END \$\$" \
        -c "CREATE EVENT TRIGGER allow_list ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION public.allow_list()"
    roles="azure_pg_admin azuresu"
}
shape_cloudsql() {
    cluster -c "CREATE ROLE cloudsqladmin SUPERUSER" -c "CREATE ROLE cloudsqlsuperuser CREATEDB CREATEROLE"
    administrator "CREATEDB CREATEROLE IN ROLE cloudsqlsuperuser"
    roles="cloudsqlsuperuser cloudsqladmin"
}
for provider in rds supabase neon azure cloudsql; do
    "shape_$provider"
    if [ $provider = azure ]; then
        said=$(up "$admin" "$first")
        check "azure: a pgcrypto that is not allowed is named" 1 "$(grep -c 'ERROR:  pgcrypto is missing, and CREATE EXTENSION fails: extension "pgcrypto" is not allow-listed' <<<"$said")"
        check "azure: with the parameter that allows it" 1 "$(grep -c 'HINT:  In the Azure portal, under Server parameters, add PGCRYPTO to azure.extensions, then migrate again.' <<<"$said")"
        cluster -d "$first" -c "DROP EVENT TRIGGER allow_list" -c "DROP FUNCTION public.allow_list"
    fi
    said=$(up "$admin" "$first" NOTICE)
    check "$provider: the administrator migrates" 0 "$(grep -c ERROR <<<"$said")"
    check "$provider: it is told what the log shows" 1 "$(grep -c 'NOTICE:  the server may log failing statements of backends with their literals, such as phone numbers' <<<"$said")"
    check "$provider: what it does not show, and where to read more" 1 "$(grep -c 'HINT:  Bind parameters stay out of the log while log_parameter_max_length_on_error is 0. .* Providers often refuse that: see deploy/docs/managed-databases.md.' <<<"$said")"
    check "$provider: the functions run as otp_owner" otp_owner "$(owner_of_functions "$first")"
    works "$provider" "$first"
    check "$provider: statements cannot be concealed" f "$(as "$admin" -c "SELECT otp.conceal_statements()")"
    check "$provider: the right for that cannot be given" 1 "$(as "$admin" -c "GRANT SET ON PARAMETER log_min_error_statement TO otp_owner" | grep -c 'permission denied')"
    check "$provider: nor may a role have the setting" 1 "$(as "$admin" -c "ALTER ROLE otp_web SET log_min_error_statement = 'panic'" | grep -c 'permission denied to set parameter')"
    check "$provider: the database may keep bind parameters out of the log" "" "$(as "$admin" -c "ALTER DATABASE $first SET log_parameter_max_length_on_error = 0" -c "ALTER DATABASE $first SET synchronous_commit = on")"
    check "$provider: it takes all back" "" "$(down "$admin" "$first")"
    check "$provider: the roles are gone" "" "$(our_roles)"
    check "$provider: it migrates again" "" "$(up "$admin" "$first")"
    works "$provider, again" "$first"
    down "$admin" "$first" >/dev/null
    forget $roles
done

# 2. A role without CREATEROLE. The error names the roles to make. Then the role owns the schema itself.
administrator "NOCREATEROLE"
said=$(up "$admin" "$first")
check "without CREATEROLE, the missing roles are named" 1 "$(grep -c "HINT:  Run as a superuser or as a role with CREATEROLE: CREATE ROLE otp_web; CREATE ROLE otp_worker; CREATE ROLE otp_monitor; CREATE ROLE otp_admin;  then migrate again." <<<"$said")"
cluster -c "$(sed -n 's/^HINT: *[^:]*: \(.*\);  then migrate again\.$/\1/p' <<<"$said")"
check "with them it migrates" "" "$(up "$admin" "$first")"
check "and owns the schema" "$admin" "$(owner_of_functions "$first")"
cluster -c "ALTER ROLE $admin CREATEROLE"
if [ "$version" -ge 160000 ]; then cluster -c "GRANT otp_web, otp_worker TO $admin WITH ADMIN OPTION"; fi
works "without CREATEROLE" "$first"
cluster -c "ALTER ROLE $admin NOCREATEROLE"
check "it takes the schema back" "" "$(down "$admin" "$first")"
check "the roles stay, because it may not drop them" otp_admin,otp_monitor,otp_web,otp_worker "$(our_roles)"
check "it migrates again" "" "$(up "$admin" "$first")"
down "$admin" "$first" >/dev/null
cluster -c "DROP ROLE otp_admin, otp_monitor, otp_web, otp_worker"
forget

# 3. pgcrypto is missing, and the role may not create it.
administrator "CREATEROLE"
cluster -d "$first" -c "CREATE SCHEMA extensions" -c "ALTER DATABASE $first OWNER TO $server_user" -c "GRANT CREATE, CONNECT ON DATABASE $first TO $admin" \
    -c "CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS \$\$ BEGIN RAISE EXCEPTION 'permission denied to create extension' USING ERRCODE = '42501'; END \$\$" \
    -c "CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION public.refuse()"
said=$(up "$admin" "$first")
check "a pgcrypto that may not be created is named" 1 "$(grep -c 'ERROR:  pgcrypto is missing, and CREATE EXTENSION fails: permission denied to create extension' <<<"$said")"
check "with the statement" 1 "$(grep -c 'HINT:  Run as the owner of the database or as a superuser: CREATE EXTENSION pgcrypto;  then migrate again.' <<<"$said")"
cluster -d "$first" -c "DROP EVENT TRIGGER refuse" -c "CREATE EXTENSION pgcrypto SCHEMA extensions"
said=$(up "$admin" "$first")
check "a pgcrypto in a schema out of reach is named" 1 "$(grep -c "ERROR:  pgcrypto is in the schema extensions, which $admin may not use" <<<"$said")"
cluster -d "$first" -c "$(sed -n 's/^HINT: *[^:]*: \(.*\);  then migrate again\.$/\1/p' <<<"$said")"
check "with the grant it migrates" "" "$(up "$admin" "$first")"
works "pgcrypto of somebody else" "$first"
check "pgcrypto stays" "|extensions" "$(down "$admin" "$first")|$(in_first -c "SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pgcrypto'")"
forget

# 4. Two databases of one cluster share the roles. They go with the second schema.
administrator "CREATEDB CREATEROLE"
database "$second"
check "the first database migrates" "" "$(up "$admin" "$first")"
check "the second database migrates with the same roles" "" "$(up "$admin" "$second")"
works "the first database" "$first"
works "the second database" "$second"
check "a member of otp_web may use both" "t|t" "$(cluster -c "SELECT has_database_privilege('otp_web', '$first', 'CONNECT'), has_database_privilege('otp_web', '$second', 'CONNECT')")"
check "the first schema goes" "" "$(down "$admin" "$first")"
check "the roles stay for the second one" "$all_roles" "$(our_roles)"
works "the second database, alone" "$second"
check "the second schema goes" "" "$(down "$admin" "$second")"
check "and the roles with it" "" "$(our_roles)"
forget
migrate "$PGDATABASE"
fi

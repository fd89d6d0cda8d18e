# Compares the privileges of every role on every relation, column, sequence and function with privileges.expected. A new object
# fails until its privileges have been decided. OTP_SQL_ACCEPT=1 writes the file again.
matrix() {
    sql -F ' ' -c "
        WITH roles (role) AS (VALUES ('public'), ('otp_web'), ('otp_worker'), ('otp_monitor'), ('otp_admin')),
        granted AS (
            -- Sequences that differ only in their number are one line.
            SELECT CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' ELSE 'table' END AS kind,
                CASE c.relkind WHEN 'S' THEN regexp_replace(c.relname, '_[0-9]+\$', '_<number>') ELSE c.relname::text END AS name,
                a.privilege_type AS privilege, a.grantee, NULL::text AS \"column\"
            FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault((CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END)::\"char\", c.relowner))) a
            WHERE c.relnamespace = 'otp'::regnamespace AND c.relkind IN ('r', 'v', 'S', 'm', 'f', 'p')
            UNION ALL SELECT 'table', c.relname::text, a.privilege_type, a.grantee, t.attname::text
            FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid AND t.attnum > 0, aclexplode(t.attacl) a
            WHERE c.relnamespace = 'otp'::regnamespace
            UNION ALL SELECT 'function', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', a.privilege_type, a.grantee, NULL
            FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE p.pronamespace = 'otp'::regnamespace
            UNION ALL SELECT 'schema', nspname::text, a.privilege_type, a.grantee, NULL
            FROM pg_namespace n, aclexplode(n.nspacl) a WHERE nspname = 'otp'
            UNION ALL SELECT 'parameter', parname, a.privilege_type, a.grantee, NULL FROM pg_parameter_acl, aclexplode(paracl) a WHERE a.grantee::regrole::text LIKE 'otp\\_%' AND a.grantee::regrole::text NOT LIKE 'otp\\_sql\\_test%'
        ),
        spelled AS (
            SELECT kind, name, CASE grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(grantee)::text END AS role,
                privilege || coalesce('(' || string_agg(\"column\", ',' ORDER BY \"column\") || ')', '') AS what
            FROM granted GROUP BY kind, name, grantee, privilege, \"column\" IS NULL
        ),
        object AS (SELECT DISTINCT kind, name FROM granted)
        SELECT o.kind || ' ' || o.name || coalesce(': ' || (SELECT string_agg(x.line, '; ' ORDER BY x.line) FROM (
                SELECT s.role::text || ' ' || string_agg(s.what, ' ' ORDER BY s.what) AS line FROM spelled s
                WHERE s.kind = o.kind AND s.name = o.name AND (s.role IN (SELECT role FROM roles) OR o.kind = 'parameter')
                GROUP BY s.role) x), ': nobody')
        FROM object o ORDER BY (o.kind || o.name) COLLATE \"C\""
}
matrix >"$work/privileges"
if [ -n "${OTP_SQL_ACCEPT:-}" ]; then cp "$work/privileges" "$here/privileges.expected"; fi
check "privileges are as expected (Tests/sql/privileges.expected)" "" "$(diff "$here/privileges.expected" "$work/privileges")"
gives "every object belongs to otp_owner, which is no superuser and owns nothing else" "0|f|0" \
    "SELECT (SELECT count(*) FROM (SELECT relowner AS owner FROM pg_class WHERE relnamespace = 'otp'::regnamespace UNION ALL SELECT proowner FROM pg_proc WHERE pronamespace = 'otp'::regnamespace UNION ALL SELECT typowner FROM pg_type WHERE typnamespace = 'otp'::regnamespace UNION ALL SELECT nspowner FROM pg_namespace WHERE nspname = 'otp') x WHERE owner <> to_regrole('otp_owner')), (SELECT rolsuper OR rolcanlogin OR rolcreaterole OR rolcreatedb OR rolbypassrls FROM pg_roles WHERE rolname = 'otp_owner'), (SELECT count(*) FROM pg_class WHERE relowner = to_regrole('otp_owner') AND relnamespace NOT IN ('otp'::regnamespace, 'pg_toast'::regnamespace))"
sql -c "CREATE FUNCTION otp.undecided() RETURNS int LANGUAGE sql RETURN 1"
check "a new function without a decision is seen" "> function undecided(): public EXECUTE" "$(matrix | diff "$here/privileges.expected" - | grep '^[<>]')"
sql -c "DROP FUNCTION otp.undecided()"

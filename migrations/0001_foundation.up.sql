-- The schema otp: what the web tier writes, what the worker takes, what anyone may read. This step makes the ground: roles,
-- the schema, pgcrypto, the table of steps.
--
-- One subject a file, in an order in which each file needs only those before it: tables, views, functions, triggers, and
-- who may use them. The functions of PL/pgSQL alone may name what comes later, since they look for it when they run. Each
-- step is a transaction of its own; the last one opens the schema.
--
-- Errors that a backend can branch on: OT001 too many requests · OT002 phone number cannot be one · OT003 secret
-- missing, short or another one · OT004 unknown locale or purpose · OT005 country not allowed · OT006 verification
-- cannot be sent · OT007 another value cannot be used (subject, code, expires_at, channel) · 55P03 another transaction
-- holds a row that this call needs (otp.refuse_wait).
-- Checks sit in triggers, never in table CHECKs: a failing CHECK prints the row, with its number.

-- Whatever the role or the database has set (ALTER ROLE, ALTER DATABASE): each file sets what it relies on.
SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL standard_conforming_strings = on;
SET LOCAL transform_null_equals = off;
SET LOCAL default_table_access_method = 'heap';
SET LOCAL client_min_messages = 'warning';

DO $$
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'otpd needs a database with encoding UTF8, this one has %', current_setting('server_encoding')
            USING HINT = 'Create it with: CREATE DATABASE … ENCODING ''UTF8'' TEMPLATE template0';
    END IF;
END $$;

-- Roles belong to the cluster: another database, or another migration running now, may make the same ones.
DO $$
DECLARE
    role_name text;
BEGIN
    IF current_setting('createrole_self_grant', true) IS NOT NULL THEN     -- PostgreSQL 16 and newer
        PERFORM set_config('createrole_self_grant', '', true);
    END IF;
    FOREACH role_name IN ARRAY ARRAY['otp_owner', 'otp_web', 'otp_worker', 'otp_monitor', 'otp_admin'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role_name);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;  -- made by another migration meanwhile
            WHEN insufficient_privilege THEN
                CONTINUE WHEN role_name = 'otp_owner';  -- then the migrating role owns the schema: see below
                RAISE EXCEPTION 'the role % does not exist and % may not create it', role_name, current_user
                    USING ERRCODE = 'insufficient_privilege',
                        HINT = 'As a superuser: CREATE ROLE otp_web; CREATE ROLE otp_worker; '
                        'CREATE ROLE otp_monitor; CREATE ROLE otp_admin;  then migrate again.';
        END;
    END LOOP;
END $$;

-- The functions run with the rights of the schema's owner, so that is never a superuser: otp_owner, which has no other
-- rights. A migrating role that cannot become otp_owner owns the schema itself; it is no superuser either, and is told.
-- pgcrypto may already be there, in any schema; making it takes the migrating role's own rights.
DO $$
DECLARE
    -- To become another role takes SET from PostgreSQL 16 on, and membership before. INHERIT lets later steps read.
    can_become CONSTANT text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
    options CONSTANT text := CASE can_become WHEN 'SET' THEN ' WITH SET TRUE, INHERIT TRUE' ELSE '' END;
    home text;
    home_owner name;
BEGIN
    IF to_regrole('otp_owner') IS NOT NULL AND NOT (pg_has_role('otp_owner', can_become) AND pg_has_role('otp_owner', 'USAGE')) THEN
        BEGIN
            EXECUTE format('GRANT otp_owner TO %I', current_user) || options;
        EXCEPTION WHEN insufficient_privilege THEN NULL;
        END;
    END IF;
    IF to_regrole('otp_owner') IS NOT NULL AND pg_has_role('otp_owner', can_become) THEN
        EXECUTE 'CREATE SCHEMA otp AUTHORIZATION otp_owner';
    ELSE
        EXECUTE 'CREATE SCHEMA otp';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pgcrypto') THEN
        home := CASE WHEN has_schema_privilege(to_regnamespace('public')::oid, 'CREATE') THEN 'public' ELSE 'otp' END;
        EXECUTE format('CREATE EXTENSION pgcrypto WITH SCHEMA %I', home);
    END IF;
    SELECT n.nspname, pg_get_userbyid(n.nspowner) INTO home, home_owner
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pgcrypto';
    IF NOT has_schema_privilege(to_regnamespace(quote_ident(home))::oid, 'USAGE') THEN
        RAISE EXCEPTION 'pgcrypto is in the schema %, which % may not use', home, current_user
            USING ERRCODE = 'insufficient_privilege',
                HINT = format('As %I or a superuser: GRANT USAGE ON SCHEMA %I TO %I;  then migrate again.',
                    home_owner, home, current_user);
    END IF;
    PERFORM set_config('search_path', format('pg_catalog, %I', home), true);
END $$;

COMMENT ON SCHEMA otp IS 'otpd: one-time codes by SMS. Web tier: insert verifications and send_jobs, or call request and verify.';

-- These three are bound to pgcrypto's functions by what those are and not by name (such bodies are resolved once, here),
-- so that no search_path can put others in their place.
CREATE FUNCTION otp.hmac_sha256(message bytea, key bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN hmac(message, key, 'sha256');

CREATE FUNCTION otp.random_bytes(count int) RETURNS bytea
LANGUAGE sql VOLATILE PARALLEL SAFE RETURN gen_random_bytes(count);

-- Opened by the daemon (Sources/Queue/CodeKeys.swift), which reads nothing but what these options write. The secret is
-- random and long: stretching it (s2k-mode=3, the default) would make each seal cost 368 µs more.
CREATE FUNCTION otp.seal(code text, secret text) RETURNS bytea
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN pgp_sym_encrypt(code, secret, 's2k-mode=1, cipher-algo=aes256, compress-algo=0');

DO $$
DECLARE
    bound regprocedure;
    owner CONSTANT name := (
        SELECT pg_catalog.pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname = 'otp');
BEGIN
    FOR bound IN SELECT oid FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'otp'::regnamespace AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO %I', bound, owner);
    END LOOP;
    PERFORM set_config('role', owner, true);    -- what follows is the owner's
END $$;

SET LOCAL search_path = pg_catalog;

CREATE TABLE otp.schema_migrations (
    version int PRIMARY KEY,
    name text NOT NULL,
    checksum text,          -- filled by otpd, in the migration's own transaction; null when psql ran it
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_by text NOT NULL DEFAULT session_user
);

GRANT SELECT ON otp.schema_migrations TO otp_worker, otp_monitor, otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (1, 'foundation');

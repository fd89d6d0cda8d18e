-- The schema otp: tables that backends write, the queue that workers claim from, and views for monitoring. This step creates
-- the foundation: the roles, the schema, pgcrypto and the table of migrations.
--
-- Each file has one subject and needs only the files before it. Within a file the order is: tables, views, functions,
-- triggers, grants. Functions in PL/pgSQL may name objects of later files, because PL/pgSQL looks names up when it runs.
-- Each step is a transaction of its own. The last step opens the schema to its roles.
--
-- Errors that a backend can branch on:
--   OT001  too many requests
--   OT002  invalid phone number
--   OT003  the session's otp.secret is missing, too short, or not the one the code was sealed with
--   OT004  unknown locale or purpose
--   OT005  country not allowed
--   OT006  the verification cannot be sent
--   OT007  another invalid value (subject, code, expires_at, channel, a setting)
--   55P03  another transaction holds a row that this call needs (otp.refuse_wait)
--
-- Triggers check the tables with phone numbers, because a CHECK constraint that fails prints the whole row. Tables of
-- settings have CHECK constraints. Their names are sentences: PostgreSQL's error message shows the name.

-- A role or a database may carry settings of its own (ALTER ROLE, ALTER DATABASE). Each file sets those that it relies on.
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
        RAISE EXCEPTION 'otpd needs a database with the encoding UTF8, and this one has %', current_setting('server_encoding')
            USING HINT = 'Create the database with: CREATE DATABASE … ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;
END $$;

-- Roles belong to the cluster. Another database may have created them, or another migration may create them right now.
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
            WHEN duplicate_object OR unique_violation THEN NULL;  -- another migration has just created it
            WHEN insufficient_privilege THEN
                CONTINUE WHEN role_name = 'otp_owner';  -- the migrating role then owns the schema, see below
                RAISE EXCEPTION 'the role % does not exist and % may not create it', role_name, current_user
                    USING ERRCODE = 'insufficient_privilege',
                        HINT = 'Run as a superuser or as a role with CREATEROLE: CREATE ROLE otp_web; CREATE ROLE otp_worker; '
                        'CREATE ROLE otp_monitor; CREATE ROLE otp_admin;  then migrate again.';
        END;
    END LOOP;
END $$;

-- The functions run with the rights of the schema's owner. The owner is therefore never a superuser: it is otp_owner, which
-- has no other rights. A migrating role that cannot become otp_owner owns the schema itself; the last step tells it so.
-- pgcrypto may already be installed, in any schema. To install it, the migrating role uses its own rights.
DO $$
DECLARE
    -- From PostgreSQL 16 on, SET ROLE needs the option SET. Older versions need membership. INHERIT lets later steps read.
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
        BEGIN
            EXECUTE format('CREATE EXTENSION pgcrypto WITH SCHEMA %I', home);
        EXCEPTION WHEN OTHERS THEN
            RAISE EXCEPTION 'pgcrypto is missing, and CREATE EXTENSION fails: %', SQLERRM
                USING ERRCODE = SQLSTATE, HINT = CASE
                    WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'pgcrypto')
                        THEN 'Install the contrib modules of PostgreSQL on the server, then migrate again.'
                    WHEN to_regrole('azure_pg_admin') IS NOT NULL
                        THEN 'In the Azure portal, under Server parameters, add PGCRYPTO to azure.extensions, then migrate again.'
                    ELSE 'Run as the owner of the database or as a superuser: CREATE EXTENSION pgcrypto;  then migrate again.'
                END;
        END;
    END IF;
    SELECT n.nspname, pg_get_userbyid(n.nspowner) INTO home, home_owner
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pgcrypto';
    IF NOT has_schema_privilege(to_regnamespace(quote_ident(home))::oid, 'USAGE') THEN
        RAISE EXCEPTION 'pgcrypto is in the schema %, which % may not use', home, current_user
            USING ERRCODE = 'insufficient_privilege',
                HINT = format('Run as %I or as a superuser: GRANT USAGE ON SCHEMA %I TO %I;  then migrate again.',
                    home_owner, home, current_user);
    END IF;
    PERFORM set_config('search_path', format('pg_catalog, %I', home), true);
END $$;

COMMENT ON SCHEMA otp IS 'otpd: one-time codes by SMS. Backends insert verifications and send_jobs, or call otp.request and otp.verify.';

-- These three functions call pgcrypto. PostgreSQL resolves their bodies once, here, so no search_path can later put other
-- functions in the place of pgcrypto's.
CREATE FUNCTION otp.hmac_sha256(message bytea, key bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN hmac(message, key, 'sha256');

CREATE FUNCTION otp.random_bytes(count int) RETURNS bytea
LANGUAGE sql VOLATILE PARALLEL SAFE RETURN gen_random_bytes(count);

-- The daemon opens the seal (Sources/Queue/CodeKeys.swift) and reads only the format that these options write. The secret is
-- long and random, so it needs no stretching: s2k-mode=3, the default, would add 368 µs to each seal.
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
    PERFORM set_config('role', owner, true);    -- the owner owns all that follows
END $$;

SET LOCAL search_path = pg_catalog;

CREATE TABLE otp.schema_migrations (
    version int PRIMARY KEY,
    name text NOT NULL,
    checksum text,          -- otpd writes it in the migration's own transaction; null when psql ran the migration
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_by text NOT NULL DEFAULT session_user,
    -- The newest migration that the oldest otpd knows which works with the schema after this step. Null: only an otpd that
    -- knows this step does. So a program that is one version older runs on, and goes back in, beside a newer schema.
    oldest_program int
);

GRANT SELECT ON otp.schema_migrations TO otp_worker, otp_monitor, otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (1, 'foundation');

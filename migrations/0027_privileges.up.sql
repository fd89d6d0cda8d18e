-- Privileges: finds rights that the functions lack, and then opens the schema to its roles. Each object's grants stand beside
-- the object. Until this step only the owner may use the schema.

-- A role or a database may carry settings of its own (ALTER ROLE, ALTER DATABASE). Each file sets those that it relies on.
SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL standard_conforming_strings = on;
SET LOCAL transform_null_equals = off;
SET LOCAL default_table_access_method = 'heap';
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('otp.migrating_role', current_user, true);
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;
SET LOCAL search_path = pg_catalog;

-- Finds rights that something outside otpd has taken away. Default privileges and hardening scripts revoke EXECUTE. Event
-- triggers turn on row level security or change owners. A broken restore leaves triggers disabled. Returns one row per problem,
-- with the statement that corrects it. The functions run as the schema's owner, so the owner must be able to call everything
-- that they call.
CREATE FUNCTION otp.missing_rights(OUT trouble text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH owner AS (
        SELECT n.oid AS schema, n.nspowner AS id, quote_ident(pg_get_userbyid(n.nspowner)) AS name
        FROM pg_namespace n WHERE n.nspname = 'otp'
    ), ours AS MATERIALIZED (
        SELECT p.oid, p.proowner, NOT p.prosecdef AS runs_as_caller, p.prorettype = 'trigger'::regtype AS is_trigger,
            p.prosrc || coalesce(pg_get_function_sqlbody(p.oid), '') AS body
        FROM pg_proc p JOIN owner o ON p.pronamespace = o.schema
        WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    )
    SELECT format('%s may not call %s', r.name, f.oid::regprocedure),
        format('GRANT EXECUTE ON FUNCTION %s TO %s', f.oid::regprocedure, r.name)
    FROM owner o CROSS JOIN LATERAL (
        SELECT o.id, o.name, true AS is_owner
        UNION ALL SELECT m.oid, quote_ident(m.rolname), false FROM pg_roles m
        WHERE m.rolname IN ('otp_web', 'otp_worker', 'otp_admin')
    ) r CROSS JOIN pg_proc f
    WHERE f.proacl IS NOT NULL AND NOT has_function_privilege(r.id, f.oid, 'EXECUTE')
        AND (r.is_owner AND EXISTS (
                SELECT FROM pg_depend d JOIN ours u ON u.oid = d.objid
                WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid = f.oid)
            -- A function that does not run as the owner runs as the calling role, and a trigger as the writing role.
            OR f.pronamespace = 'pg_catalog'::regnamespace AND EXISTS (
                SELECT FROM ours u
                WHERE (r.is_owner OR u.runs_as_caller AND (u.is_trigger OR has_function_privilege(r.id, u.oid, 'EXECUTE')))
                    AND strpos(u.body, f.proname || '(') > 0))
    UNION ALL
    SELECT format('%s belongs to %s and not to %s', c.oid::regclass, pg_get_userbyid(c.relowner), o.name),
        format('ALTER %s %s OWNER TO %s', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
            c.oid::regclass, o.name)
    FROM owner o JOIN pg_class c ON c.relnamespace = o.schema AND c.relkind IN ('r', 'v', 'S') AND c.relowner <> o.id
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i'))
    UNION ALL
    SELECT format('%s belongs to %s and not to %s', u.oid::regprocedure, pg_get_userbyid(u.proowner), o.name),
        format('ALTER FUNCTION %s OWNER TO %s', u.oid::regprocedure, o.name)
    FROM owner o JOIN ours u ON u.proowner <> o.id
    UNION ALL
    SELECT format('row level security hides the rows of %s', c.oid::regclass),
        format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', c.oid::regclass)
    FROM owner o JOIN pg_class c ON c.relnamespace = o.schema AND (c.relrowsecurity OR c.relforcerowsecurity)
    UNION ALL
    SELECT format('the trigger %s of %s is disabled', t.tgname, t.tgrelid::regclass),
        format('ALTER TABLE %s ENABLE TRIGGER %I', t.tgrelid::regclass, t.tgname)
    FROM owner o JOIN pg_class c ON c.relnamespace = o.schema JOIN pg_trigger t ON t.tgrelid = c.oid
    WHERE NOT t.tgisinternal AND t.tgenabled IN ('D', 'R')
    UNION ALL
    -- The triggers of otp.switch_events.
    SELECT 'otp.settings.events is on, but the triggers that record events are missing', 'UPDATE otp.settings SET events = true'
    FROM owner o JOIN pg_class c ON c.relnamespace = o.schema AND c.relname = 'events' CROSS JOIN otp.settings s
    WHERE s.events AND 5 > (SELECT count(*) FROM pg_trigger t JOIN pg_class r ON r.oid = t.tgrelid
        WHERE r.relnamespace = o.schema AND t.tgname LIKE 'record\_%');
END;
COMMENT ON FUNCTION otp.missing_rights IS 'Rights that the functions of this schema lack, with the statement that grants each. No rows: nothing is missing.';

-- Keeps phone numbers and codes out of the server's log. PostgreSQL logs a failing statement with its literals, and with its
-- bind parameters if log_parameter_max_length_on_error says so. Two settings on the functions prevent that, and reduce a
-- refusal to one log line. The functions' owner needs the right to set them, now and at each call.
CREATE FUNCTION otp.conceal_statements() RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    concealed record;
BEGIN
    FOR concealed IN
        SELECT p.oid::regprocedure AS function, has_parameter_privilege(p.proowner, 'log_min_error_statement', 'SET')
            AND has_parameter_privilege(p.proowner, 'log_error_verbosity', 'SET') AS may
        FROM pg_proc p WHERE p.pronamespace = 'otp'::regnamespace AND p.prosecdef
    LOOP
        IF NOT concealed.may THEN
            RETURN false;
        END IF;
        EXECUTE format('ALTER FUNCTION %s SET log_min_error_statement = ''panic''', concealed.function);
        EXECUTE format('ALTER FUNCTION %s SET log_error_verbosity = ''terse''', concealed.function);
    END LOOP;
    RETURN true;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN false;
END $$;

GRANT EXECUTE ON FUNCTION otp.missing_rights TO otp_worker, otp_monitor, otp_admin;

-- Without the functions of pgcrypto, if it is installed in this schema: they belong to the role that installed it.
DO $$
DECLARE
    ours regprocedure;
BEGIN
    FOR ours IN SELECT p.oid FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'otp'::regnamespace AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', ours);
    END LOOP;
END $$;

GRANT USAGE ON SCHEMA otp TO otp_web, otp_worker, otp_monitor, otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (27, 'privileges');

DO $$
DECLARE
    owner CONSTANT name := current_user;
    missing record;
    excess record;
BEGIN
    PERFORM set_config('role', current_setting('otp.migrating_role'), true);
    WHILE (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
        AND NOT (has_parameter_privilege(owner, 'log_min_error_statement', 'SET')
            AND has_parameter_privilege(owner, 'log_error_verbosity', 'SET'))
    LOOP
        BEGIN
            EXECUTE format('GRANT SET ON PARAMETER log_min_error_statement, log_error_verbosity TO %I', owner);
        EXCEPTION WHEN unique_violation OR internal_error THEN NULL;    -- another migration did the same at this moment: try again
        END;
    END LOOP;
    -- Restore the rights that default privileges, event triggers and similar means have taken away. Otherwise this step fails.
    FOR missing IN SELECT m.remedy FROM otp.missing_rights() m LOOP
        BEGIN
            EXECUTE missing.remedy;
        EXCEPTION WHEN insufficient_privilege THEN NULL;
        END;
    END LOOP;
    SELECT string_agg(m.trouble, '; ') AS troubles, string_agg(m.remedy, '; ') AS remedies INTO missing
    FROM otp.missing_rights() m;
    IF missing.troubles IS NOT NULL THEN
        RAISE EXCEPTION 'the functions of otpd would not work: %', missing.troubles
            USING ERRCODE = 'insufficient_privilege',
                HINT = format('Run as a superuser, or at a provider as your administrator role: %s;  then migrate again.',
                    missing.remedies);
    END IF;
    IF owner <> 'otp_owner' THEN
        SET LOCAL client_min_messages = 'notice';
        SELECT string_agg(w.word, ', ') AS words INTO excess
        FROM pg_catalog.pg_roles r, LATERAL (VALUES (r.rolcreaterole, 'CREATEROLE'), (r.rolcreatedb, 'CREATEDB'),
            (r.rolreplication, 'REPLICATION'), (r.rolbypassrls, 'BYPASSRLS')) w (has, word)
        WHERE r.rolname = owner AND w.has;
        IF excess.words IS NULL THEN
            RAISE NOTICE 'the functions of otpd run with the rights of %, which owns the schema', owner
                USING HINT = 'No application should connect as that role. '
                    'See "Who owns the schema" in deploy/docs/install.md for an owner without other rights.';
        ELSE
            RAISE WARNING 'the functions of otpd run with the rights of %, which has more than they need: %', owner, excess.words
                USING HINT = format('Run as the role that created otp_owner, or as a superuser: %sGRANT otp_owner TO %I%s;  then '
                    'see "Who owns the schema" in deploy/docs/install.md.',
                    CASE WHEN to_regrole('otp_owner') IS NULL THEN 'CREATE ROLE otp_owner NOLOGIN; ' END, current_user,
                    CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH SET TRUE, INHERIT TRUE' END);
        END IF;
    END IF;
    IF NOT otp.conceal_statements() THEN
        SET LOCAL client_min_messages = 'notice';
        RAISE NOTICE 'the server may log failing statements of backends with their literals, such as phone numbers'
            USING HINT = format('Bind parameters stay out of the log while log_parameter_max_length_on_error is 0. To keep the '
                'statements out too, run as a superuser: GRANT SET ON PARAMETER log_min_error_statement, log_error_verbosity TO %I;  '
                'then as %I: SELECT otp.conceal_statements();  Providers often refuse that: see deploy/docs/managed-databases.md.',
                owner, current_user);
    END IF;
END $$;

-- Takes the schema away, with everything in it. Its roles belong to the whole cluster: one goes only if it has no
-- members (but for otp_owner, whose members migrate) and no other database needs it. pgcrypto stays, unless it lives here.

SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'error';

DROP SCHEMA otp CASCADE;

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['otp_web', 'otp_worker', 'otp_monitor', 'otp_admin', 'otp_owner'] LOOP
        -- Members of otp_owner are those who migrate. From PostgreSQL 16 on the role that made another one is entered as a
        -- member that administrates it, and can do nothing as it.
        CONTINUE WHEN to_regrole(role_name) IS NULL OR role_name <> 'otp_owner' AND EXISTS (
            SELECT FROM pg_catalog.pg_auth_members m WHERE m.roleid = to_regrole(role_name)
                AND ((to_jsonb(m)->>'inherit_option')::boolean IS NOT FALSE OR (to_jsonb(m)->>'set_option')::boolean IS NOT FALSE));
        BEGIN
            IF role_name = 'otp_owner' THEN
                EXECUTE 'REVOKE ALL ON PARAMETER log_min_error_statement, log_error_verbosity FROM otp_owner';
            END IF;
            EXECUTE format('DROP ROLE IF EXISTS %I', role_name);
        EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege OR undefined_object OR internal_error THEN
            NULL;  -- used elsewhere, or gone at this moment by another migration
        END;
    END LOOP;
END $$;

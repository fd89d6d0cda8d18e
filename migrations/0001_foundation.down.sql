-- Drops the schema with everything in it. The roles belong to the whole cluster. A role is dropped only if it has no members
-- and no other database needs it. otp_owner may have members, because they migrate. pgcrypto stays, unless it is in this schema.

SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'error';

DROP SCHEMA otp CASCADE;

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['otp_web', 'otp_worker', 'otp_monitor', 'otp_admin', 'otp_owner'] LOOP
        -- From PostgreSQL 16 on, the role that created another role is a member of it. Such a member administers the role and
        -- has none of its rights, so it does not count here.
        CONTINUE WHEN to_regrole(role_name) IS NULL OR role_name <> 'otp_owner' AND EXISTS (
            SELECT FROM pg_catalog.pg_auth_members m WHERE m.roleid = to_regrole(role_name)
                AND ((to_jsonb(m)->>'inherit_option')::boolean IS NOT FALSE OR (to_jsonb(m)->>'set_option')::boolean IS NOT FALSE));
        BEGIN
            IF role_name = 'otp_owner' THEN
                EXECUTE 'REVOKE ALL ON PARAMETER log_min_error_statement, log_error_verbosity FROM otp_owner';
            END IF;
            EXECUTE format('DROP ROLE IF EXISTS %I', role_name);
        EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege OR undefined_object OR internal_error THEN
            NULL;  -- another database uses the role, or another migration has just dropped it
        END;
    END LOOP;
END $$;

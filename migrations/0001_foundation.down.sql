-- Takes the schema away, with everything in it. Its roles belong to the whole cluster: one goes only if it has no
-- members and no other database has granted it anything. pgcrypto stays, unless it was put into the schema itself.

SET LOCAL client_min_messages = 'warning';

DROP SCHEMA otp CASCADE;

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['otp_web', 'otp_worker', 'otp_monitor', 'otp_admin'] LOOP
        CONTINUE WHEN EXISTS (
            SELECT FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.roleid
            WHERE r.rolname = role_name);
        BEGIN
            EXECUTE format('DROP ROLE IF EXISTS %I', role_name);
        EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege OR undefined_object OR internal_error THEN
            NULL;  -- used elsewhere, or gone at this moment by another migration
        END;
    END LOOP;
END $$;

-- Closes the schema to its roles again.

SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

REVOKE USAGE ON SCHEMA otp FROM otp_web, otp_worker, otp_monitor, otp_admin;
DROP FUNCTION otp.conceal_statements, otp.missing_rights;

DELETE FROM otp.schema_migrations WHERE version = 27;

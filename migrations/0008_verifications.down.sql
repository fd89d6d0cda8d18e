SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

DROP FUNCTION otp.refuse_taken_id;
DROP TABLE otp.verifications;
DROP FUNCTION otp.verifications_before_update, otp.verifications_before_insert, otp.has_rights_of, otp.checked_email;

DELETE FROM otp.schema_migrations WHERE version = 8;

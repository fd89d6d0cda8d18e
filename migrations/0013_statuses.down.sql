SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

DROP FUNCTION otp.record_status, otp.report_status;
DROP TRIGGER failed ON otp.messages;
DROP TRIGGER failed_on_insert ON otp.messages;
DROP TABLE otp.status_reports;
DROP FUNCTION otp.delivery_failed;

DELETE FROM otp.schema_migrations WHERE version = 13;

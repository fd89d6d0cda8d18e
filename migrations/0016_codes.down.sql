SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

DROP FUNCTION otp.send_sms_hook, otp.request, otp.cancel, otp.verify, otp.cancel_queued_sends;
DROP TABLE otp.request_locks, otp.verify_failures;

DELETE FROM otp.schema_migrations WHERE version = 16;

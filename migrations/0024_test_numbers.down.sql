SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

DROP TRIGGER end_test_send ON otp.send_jobs;
DROP FUNCTION otp.end_test_send, otp.remove_test_number, otp.add_test_number, otp.end_codes_of, otp.is_fictional;
DROP VIEW otp.test_number_status;
DROP TABLE otp.test_numbers;

DELETE FROM otp.schema_migrations WHERE version = 24;

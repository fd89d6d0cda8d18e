SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

DROP FUNCTION otp.within_limits;
DROP TRIGGER release_removed ON otp.sender_rates;
DROP TRIGGER release_deferred ON otp.sender_rates;
DROP TABLE otp.wake_ups, otp.send_jobs;
DROP TYPE otp.hold_kind;
DROP FUNCTION otp.release_deferred, otp.wake_workers, otp.send_jobs_before_insert, otp.checked_traceparent;
DROP SEQUENCE otp.wake_key;

DELETE FROM otp.schema_migrations WHERE version = 10;

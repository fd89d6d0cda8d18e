SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

DROP FUNCTION otp.verified_phones, otp.delivery, otp.fold_codes, otp.count_codes;
DROP VIEW otp.sent_twice, otp.verified_phones, otp.failure_summary, otp.channel_conversion,
    otp.conversion_daily, otp.spend_daily, otp.channel_status, otp.queue_status, otp.pause_status, otp.job_details, otp.failures, otp.delivery_status;
DROP TABLE otp.channel_days, otp.prefix_days, otp.verified_before;

DELETE FROM otp.schema_migrations WHERE version = 18;

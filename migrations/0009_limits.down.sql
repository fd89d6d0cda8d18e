SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

DROP FUNCTION otp.count_send, otp.shared_sum, otp.shared_limits, otp.refuse_locked_phone, otp.refuse_send,
    otp.refuse_wait, otp.lock_timeout, otp.client_key, otp.counter_key;
DROP TABLE otp.shared_counts, otp.send_counts, otp.limits;
DROP SEQUENCE otp.counter_key_low, otp.counter_key_high, otp.refused_fraud, otp.refused_rolled_back, otp.refused_backend_failures,
    otp.refused_client_failures, otp.refused_code, otp.refused_failures, otp.refused_budget, otp.refused_total, otp.refused_country,
    otp.refused_prefix,
    otp.refused_block, otp.refused_client_ip, otp.refused_subject, otp.refused_phone;

DELETE FROM otp.schema_migrations WHERE version = 9;

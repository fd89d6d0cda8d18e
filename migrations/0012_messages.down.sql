SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

DROP FUNCTION otp.range_of_message, otp.is_settled, otp.status_advances, otp.status_rank, otp.own_shard;
DROP TABLE otp.failure_days, otp.message_days, otp.outcome_counts, otp.unsent_jobs, otp.messages;
DROP FUNCTION otp.fold_days, otp.count_unsent, otp.count_failed, otp.recount_messages, otp.count_messages, otp.add_to_day, otp.awaits_price, otp.job_range;

DELETE FROM otp.schema_migrations WHERE version = 12;

SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

-- otp.verify asks for the table only while the setting is on.
UPDATE otp.settings SET message_feedback = false WHERE message_feedback;
DROP TABLE otp.feedback_due, otp.feedback_counts;

DELETE FROM otp.schema_migrations WHERE version = 23;

SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

DROP FUNCTION otp.recover, otp.advance_sequences, otp.sequences_behind, otp.prune;
DROP TABLE otp.maintenance;

DELETE FROM otp.schema_migrations WHERE version = 20;

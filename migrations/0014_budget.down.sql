SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

DROP FUNCTION otp.check_budget, otp.message_cost;
DROP TRIGGER tally_today ON otp.countries;
DROP TRIGGER tally_today ON otp.settings;
DROP TRIGGER tally_priced ON otp.messages;
DROP TRIGGER tally_accepted ON otp.messages;
DROP TABLE otp.spend_tally;
DROP FUNCTION otp.tally_today, otp.tally_priced, otp.tally_accepted;

DELETE FROM otp.schema_migrations WHERE version = 14;

SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

DROP FUNCTION otp.check_timezone, otp.notify;
DROP FUNCTION otp.expected_cost, otp.cost_row;
DROP TABLE otp.channel_costs, otp.channel_senders, otp.routes, otp.purposes, otp.sender_rates, otp.countries, otp.templates,
    otp.settings;
DROP FUNCTION otp.settings_before_write, otp.catalog_changed, otp.sender_before_write, otp.templates_before_write;

DELETE FROM otp.schema_migrations WHERE version = 2;

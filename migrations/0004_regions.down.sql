SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

DROP FUNCTION otp.check_region, otp.near_region, otp.load_numbers;
DROP TRIGGER before_write_region ON otp.countries;
DROP TABLE otp.number_table, otp.regions;
DROP FUNCTION otp.country_before_write;

DELETE FROM otp.schema_migrations WHERE version = 4;

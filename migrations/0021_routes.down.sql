SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

DROP VIEW otp.route_status;
DROP TRIGGER step_failed ON otp.unsent_jobs;
DROP FUNCTION otp.channels_used, otp.code_ended, otp.begin_steps, otp.step_failed, otp.follow_up, otp.await_step, otp.refuse_route,
    otp.refuse_channel, otp.next_step, otp.channel_problem, otp.has_routes;
DROP TABLE otp.step_waits;

DELETE FROM otp.schema_migrations WHERE version = 21;

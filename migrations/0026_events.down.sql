SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

DROP TRIGGER switch_events ON otp.settings;
DROP TRIGGER IF EXISTS record_accepted ON otp.messages;
DROP TRIGGER IF EXISTS record_final ON otp.messages;
DROP TRIGGER IF EXISTS record_unsent ON otp.unsent_jobs;
DROP TRIGGER IF EXISTS record_held ON otp.send_jobs;
DROP TRIGGER IF EXISTS record_verified ON otp.verifications;
DROP VIEW otp.event_status;
DROP FUNCTION otp.prune_events, otp.confirm_events, otp.read_events, otp.locked_reader, otp.settled_snapshot, otp.switch_events,
    otp.record_event, otp.record_unsent, otp.record_accepted, otp.notify_events, otp.error_class_of, otp.following_job,
    otp.status_event;
DROP TABLE otp.event_losses, otp.event_readers, otp.events;

DELETE FROM otp.schema_migrations WHERE version = 26;

SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

DROP FUNCTION otp.send_sms_hook, otp.request, otp.refuse_resend, otp.next_send_at, otp.cancel, otp.verify,
    otp.cancel_queued_sends, otp.settle_tries, otp.settle_tries_of, otp.refuse_try, otp.count_try, otp.window_count,
    otp.count_in_window, otp.backend_count, otp.hold_register, otp.is_free,
    otp.registered_tries, otp.register_of, otp.has_verified, otp.own_failures;
DROP SEQUENCE otp.backend_decoy, otp.refused_decoy, otp.tries_decoy, otp.tries_key;
DO $$
BEGIN
    FOR number IN 0..15 LOOP
        EXECUTE format('DROP SEQUENCE otp.backend_wrong_%1$s, otp.backend_right_%1$s', lpad(number::text, 2, '0'));
    END LOOP;
    FOR register IN 0..255 LOOP
        EXECUTE format('DROP SEQUENCE otp.tries_%s', lpad(register::text, 3, '0'));
    END LOOP;
END $$;
DROP TABLE otp.request_locks, otp.verify_failures;

DELETE FROM otp.schema_migrations WHERE version = 16;

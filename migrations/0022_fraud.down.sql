SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

DROP VIEW otp.fraud_coverage, otp.fraud_status, otp.limit_status, otp.risk_check_use;
DROP TRIGGER note_unsent ON otp.unsent_jobs;
DROP FUNCTION otp.prune_fraud, otp.end_hold, otp.review_fraud, otp.review_hold, otp.count_uses, otp.note_unsent, otp.note_use,
    otp.counts_use, otp.refuse_held, otp.judge_sends, otp.hold_sends, otp.begin_risk_checks,
    otp.record_risk_checks, otp.begin_hold, otp.add_sends, otp.is_known_phone, otp.fraud_keys,
    otp.is_excepted, otp.record_decision, otp.usual_limits, otp.fraud_base, otp.fraud_turned, otp.fraud_allowance;
DROP TYPE otp.claimed_send, otp.judgement;
DROP TABLE otp.number_risks, otp.risk_check_counts, otp.fraud_exceptions, otp.fraud_decisions, otp.fraud_holds, otp.uncounted_codes, otp.fraud_counts, otp.networks;
DROP FUNCTION otp.network_key;

DELETE FROM otp.schema_migrations WHERE version = 22;

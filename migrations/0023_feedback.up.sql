-- Feedback: tells Twilio which codes were used, so that Twilio can tell routes that deliver from routes that do not.

-- A role or a database may carry settings of its own (ALTER ROLE, ALTER DATABASE). Each file sets those that it relies on.
SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL standard_conforming_strings = on;
SET LOCAL transform_null_equals = off;
SET LOCAL default_table_access_method = 'heap';
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;
SET LOCAL search_path = pg_catalog;

-- Verified codes that Twilio has not been told of. otp.verify adds a row while otp.settings.message_feedback is on. Rows of a code
-- that went by SMS become a request to Twilio. A worker takes a row by setting due_at to the end of its lease.
CREATE TABLE otp.feedback_due (
    verification_id bigint PRIMARY KEY,
    verified_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    tries smallint NOT NULL DEFAULT 0       -- requests that ended without a clear answer
) WITH (fillfactor = 70);
CREATE INDEX feedback_due_due_at ON otp.feedback_due (due_at);

-- How the rows of otp.feedback_due ended, since the database was made.
CREATE TABLE otp.feedback_counts (
    outcome text COLLATE "C" PRIMARY KEY CONSTRAINT "outcome must be confirmed, unavailable, no_message or given_up" CHECK (outcome IN (
        'confirmed',    -- Twilio knows that the code was used
        'unavailable',  -- Twilio takes no feedback for the message, for example because it was deleted
        'no_message',   -- the code did not go by SMS, or no message can be told to be the one that was used
        'given_up'      -- Twilio gave no clear answer for a day
    )),
    codes bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
INSERT INTO otp.feedback_counts (outcome) VALUES ('confirmed'), ('unavailable'), ('no_message'), ('given_up');
COMMENT ON TABLE otp.feedback_counts IS 'What became of the feedback about verified codes (otp.settings.message_feedback).';

GRANT SELECT, UPDATE, DELETE ON otp.feedback_due TO otp_worker;
GRANT SELECT, INSERT, UPDATE ON otp.feedback_counts TO otp_worker;
GRANT SELECT ON otp.feedback_due, otp.feedback_counts TO otp_monitor, otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (23, 'feedback');

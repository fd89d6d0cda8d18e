-- Events: what became of codes, for backends that want to be told. Off by default: the triggers exist only while
-- otp.settings.events is on.

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

-- A row is written in the transaction that it tells of. It names nobody: no phone number, subject or code.
CREATE TABLE otp.events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),     -- the transaction that wrote it, for otp.read_events
    verification_id bigint NOT NULL,
    send_job_id bigint,             -- null: verified
    channel text COLLATE "C",       -- of the send job
    event text COLLATE "C" NOT NULL CONSTRAINT "event must be one of those that \d otp.events shows" CHECK (event IN (
        'accepted',     -- Twilio or the mail server took the message
        'delivered',    -- a receipt says that it arrived, or a call was answered
        'undelivered',  -- a receipt says that it did not arrive, or a call was not answered
        'failed',       -- Twilio could not send the message, or the job ended without one; also by a limit (error_class limited)
        'expired',      -- the code expired before the job could be sent
        'held',         -- a pause applies: the job is sent when the pause ends, if its code has not expired by then
        'verified'      -- the right code was given
    )),
    error_class text COLLATE "C",   -- why it failed, where that is known
    next_send_job_id bigint,        -- the job that follows a failure: the next step of the route, or a resend; null: none
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (
    autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1
);
CREATE INDEX events_xid ON otp.events (xid);
CREATE INDEX events_verification ON otp.events (verification_id);
COMMENT ON TABLE otp.events IS 'What became of codes, for otp.read_events. Kept for otp.settings.keep_events.';

-- A reader's place is not an id: a transaction may draw a lower id and commit later. It is a snapshot, which says of each
-- transaction whether its events have been read. An event is unread if its transaction is not visible in that snapshot. What is
-- unread is read in windows: all events that are visible in a second snapshot, in the order of their ids.
--
-- This order is right for each verification. An event that tells of a later change was written by a transaction that had seen
-- the earlier change. So the earlier event has the lower id, and no snapshot shows the later event alone.
CREATE TABLE otp.event_readers (
    reader text PRIMARY KEY
        CONSTRAINT "reader must be 1 to 50 of the characters a-z 0-9 _ . -" CHECK (reader ~ '^[a-z0-9_.-]{1,50}$'),
    done pg_snapshot NOT NULL DEFAULT '1:1:',   -- the events of these transactions are read and confirmed
    open_window pg_snapshot,                    -- the end of the present window; null: there is none
    confirmed_id bigint NOT NULL DEFAULT 0,     -- within the window: events up to this id are confirmed
    created_by text COLLATE "C" NOT NULL,       -- the login role that read first; other roles cannot use the reader
    read_at timestamptz NOT NULL DEFAULT clock_timestamp()      -- to the minute
);
COMMENT ON TABLE otp.event_readers IS 'The readers of otp.events, and how far each has read. otp.read_events makes them.';

-- Events that were deleted before a reader confirmed them. Rows are only added, so a prune never waits for a reader.
CREATE TABLE otp.event_losses (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reader text NOT NULL,
    events bigint NOT NULL,
    deleted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE otp.event_losses IS 'Events that were deleted before a reader confirmed them, because they were older than otp.settings.keep_events.';

-- The event of a final message status; null if the status is not final, or if the backend itself ended the message.
CREATE FUNCTION otp.status_event(status text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CASE
    WHEN status IN ('delivered', 'read', 'completed') THEN 'delivered'
    WHEN status IN ('undelivered', 'busy', 'no-answer') THEN 'undelivered'
    WHEN status = 'failed' THEN 'failed' END;

-- The job that follows one that did not reach its user.
CREATE FUNCTION otp.following_job(send_job_id bigint, verification_id bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
    RETURN coalesce(
        (SELECT j.id FROM otp.send_jobs j WHERE j.follows = following_job.send_job_id),
        (SELECT m.send_job_id FROM otp.messages m
            WHERE m.verification_id = following_job.verification_id AND m.follows = following_job.send_job_id LIMIT 1));
END $$;

CREATE FUNCTION otp.error_class_of(code int) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT c.class FROM otp.error_classes c WHERE c.code = error_class_of.code);
END $$;

-- Tells listeners the verifications, as many in one notification as it can hold. A notification that is lost does no harm,
-- because readers also read from time to time.
CREATE FUNCTION otp.notify_events(verification_ids bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    nothing text;
BEGIN
    FOR place IN 1..cardinality(verification_ids) BY 300 LOOP
        nothing := otp.notify('otp_events', array_to_string(verification_ids[place:place + 299], ' '));
    END LOOP;
END $$;

-- Messages that were accepted. A message that a callback reported first may be final already.
CREATE FUNCTION otp.record_accepted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    nothing text;
BEGIN
    INSERT INTO otp.events (verification_id, send_job_id, channel, event)
    SELECT a.verification_id, a.send_job_id, a.channel, 'accepted' FROM added a;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO otp.events (verification_id, send_job_id, channel, event, error_class, next_send_job_id)
    SELECT a.verification_id, a.send_job_id, a.channel, otp.status_event(a.status),
        CASE WHEN otp.status_event(a.status) <> 'delivered' THEN otp.error_class_of(a.error_code) END,
        CASE WHEN otp.status_event(a.status) <> 'delivered' THEN otp.following_job(a.send_job_id, a.verification_id) END
    FROM added a WHERE otp.status_event(a.status) IS NOT NULL;
    nothing := otp.notify_events(ARRAY(SELECT DISTINCT a.verification_id FROM added a));
    RETURN NULL;
END $$;

-- Jobs that ended without a message. A job that was canceled has no event: its user or the backend wanted that.
CREATE FUNCTION otp.record_unsent() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    nothing text;
BEGIN
    INSERT INTO otp.events (verification_id, send_job_id, channel, event, error_class, next_send_job_id)
    SELECT a.verification_id, a.send_job_id, a.channel, CASE a.state WHEN 'expired' THEN 'expired' ELSE 'failed' END,
        a.error_class, otp.following_job(a.send_job_id, a.verification_id)
    FROM added a WHERE a.state IN ('failed', 'expired', 'limited');
    IF FOUND THEN
        nothing := otp.notify_events(ARRAY(
            SELECT DISTINCT a.verification_id FROM added a WHERE a.state IN ('failed', 'expired', 'limited')));
    END IF;
    RETURN NULL;
END $$;

-- One message whose status became final, one job that a pause holds, or one code that was verified. The trigger of a status comes
-- after the one that begins the next step or the resend (failed), because triggers fire in the order of their names.
CREATE FUNCTION otp.record_event() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    verification bigint;
    told text;
    nothing text;
BEGIN
    CASE TG_TABLE_NAME
    WHEN 'messages' THEN
        verification := NEW.verification_id;
        told := otp.status_event(NEW.status);
        IF told IS NULL THEN
            RETURN NULL;
        END IF;
        INSERT INTO otp.events (verification_id, send_job_id, channel, event, error_class, next_send_job_id)
        VALUES (verification, NEW.send_job_id, NEW.channel, told,
            CASE WHEN told <> 'delivered' AND NEW.error_code IS NOT NULL THEN otp.error_class_of(NEW.error_code) END,
            CASE WHEN told <> 'delivered' THEN otp.following_job(NEW.send_job_id, verification) END);
    WHEN 'send_jobs' THEN
        verification := NEW.verification_id;
        INSERT INTO otp.events (verification_id, send_job_id, channel, event) VALUES (verification, NEW.id, NEW.channel, 'held');
    ELSE
        verification := NEW.id;
        INSERT INTO otp.events (verification_id, event) VALUES (verification, 'verified');
    END CASE;
    nothing := otp.notify('otp_events', verification::text);
    RETURN NULL;
END $$;

-- Makes or drops the triggers when the setting changes. Both need a lock that waits for all transactions that have written to the
-- four tables, and writers wait behind it. It is therefore asked for again and again, each time for a tenth of a second per table,
-- so that sends go on between. Once taken, the locks are held until the operator's transaction ends.
CREATE FUNCTION otp.switch_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    former CONSTANT text := current_setting('lock_timeout');
    made CONSTANT bigint := (SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = 'otp'::regnamespace AND t.tgname LIKE 'record\_%');
BEGIN
    IF made = (CASE WHEN NEW.events THEN 5 ELSE 0 END) THEN
        RETURN NULL;
    END IF;
    FOR try IN 1..50 LOOP
        BEGIN
            PERFORM set_config('lock_timeout', '100ms', true);
            IF NEW.events THEN
                LOCK TABLE otp.messages, otp.verifications, otp.send_jobs, otp.unsent_jobs IN SHARE ROW EXCLUSIVE MODE;
            ELSE
                LOCK TABLE otp.messages, otp.verifications, otp.send_jobs, otp.unsent_jobs IN ACCESS EXCLUSIVE MODE;
            END IF;
            EXIT;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            IF try = 50 THEN
                RAISE EXCEPTION USING ERRCODE = 'lock_not_available',
                    MESSAGE = 'cannot turn events ' || CASE WHEN NEW.events THEN 'on' ELSE 'off' END || ' now',
                    DETAIL = 'Other transactions have used the tables of otpd for seconds.',
                    HINT = 'Try again. pg_stat_activity shows transactions that stay open.';
            END IF;
        END;
        PERFORM pg_sleep(0.1);
    END LOOP;
    PERFORM set_config('lock_timeout', former, true);
    IF NEW.events THEN
        CREATE OR REPLACE TRIGGER record_accepted AFTER INSERT ON otp.messages REFERENCING NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION otp.record_accepted();
        CREATE OR REPLACE TRIGGER record_final AFTER UPDATE ON otp.messages FOR EACH ROW
        WHEN (NEW.final_at IS NOT NULL AND OLD.final_at IS NULL)    -- short, because each statement plans it
        EXECUTE FUNCTION otp.record_event();
        CREATE OR REPLACE TRIGGER record_unsent AFTER INSERT ON otp.unsent_jobs REFERENCING NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION otp.record_unsent();
        CREATE OR REPLACE TRIGGER record_held AFTER UPDATE OF hold_kind ON otp.send_jobs FOR EACH ROW
        WHEN (NEW.hold_kind = 'pause' AND OLD.hold_kind IS DISTINCT FROM 'pause')
        EXECUTE FUNCTION otp.record_event();
        CREATE OR REPLACE TRIGGER record_verified AFTER UPDATE OF verified_at ON otp.verifications FOR EACH ROW
        WHEN (NEW.verified_at IS NOT NULL AND OLD.verified_at IS NULL)
        EXECUTE FUNCTION otp.record_event();
    ELSE
        DROP TRIGGER IF EXISTS record_accepted ON otp.messages;
        DROP TRIGGER IF EXISTS record_final ON otp.messages;
        DROP TRIGGER IF EXISTS record_unsent ON otp.unsent_jobs;
        DROP TRIGGER IF EXISTS record_held ON otp.send_jobs;
        DROP TRIGGER IF EXISTS record_verified ON otp.verifications;
    END IF;
    RETURN NULL;
END $$;

-- The present snapshot. Where it counts the caller's own transaction as visible, that is added to those under way: it may still
-- write events.
CREATE FUNCTION otp.settled_snapshot() RETURNS pg_snapshot
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    own CONSTANT xid8 := pg_current_xact_id_if_assigned();
    shown CONSTANT pg_snapshot := pg_current_snapshot();
BEGIN
    IF own IS NULL OR NOT pg_visible_in_snapshot(own, shown) THEN
        RETURN shown;
    END IF;
    RETURN format('%s:%s:%s', least(pg_snapshot_xmin(shown), own), pg_snapshot_xmax(shown), (
        SELECT string_agg(x.xid::text, ',' ORDER BY x.xid) FROM (
            SELECT pg_snapshot_xip(shown) UNION SELECT own) x (xid)))::pg_snapshot;
END $$;

-- A reader's row, locked. It is made at the first use.
CREATE FUNCTION otp.locked_reader(reader text) RETURNS otp.event_readers
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    found_reader otp.event_readers;
BEGIN
    SELECT r.* INTO found_reader FROM otp.event_readers r WHERE r.reader = locked_reader.reader FOR UPDATE;
    IF NOT FOUND THEN
        IF (SELECT count(*) FROM otp.event_readers) >= 100 THEN
            RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'too many readers of otp.events: there are 100',
                HINT = 'Use one name for each program that reads. An operator can delete rows of otp.event_readers.';
        END IF;
        INSERT INTO otp.event_readers (reader, created_by) VALUES (locked_reader.reader, session_user) ON CONFLICT DO NOTHING;
        SELECT r.* INTO found_reader FROM otp.event_readers r WHERE r.reader = locked_reader.reader FOR UPDATE;
    END IF;
    IF NOT otp.has_rights_of(found_reader.created_by) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('another role reads events as %L', locked_reader.reader), HINT = 'Choose another name for your reader.';
    END IF;
    RETURN found_reader;
END $$;

-- Returns the next events of a reader, at most max. Until they are confirmed, it returns the same events again. With enable_seqscan
-- off, small tables without an index seem so costly that PostgreSQL would compile each call, which takes 100 ms.
CREATE FUNCTION otp.read_events(reader text, max int DEFAULT 100)
RETURNS TABLE (id bigint, verification_id bigint, send_job_id bigint, channel text, event text, error_class text,
    next_send_job_id bigint, occurred_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    place otp.event_readers;
    present pg_snapshot;
    first_id bigint;
    lost bigint;
    has_moved boolean := false;
BEGIN
    IF read_events.max BETWEEN 1 AND 1000 IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'invalid argument of otp.read_events: max must be 1 to 1000';
    END IF;
    place := otp.locked_reader(read_events.reader);
    present := otp.settled_snapshot();
    -- Rows that a dump brought from a server with higher transaction numbers seem to come from the future. They count as
    -- written now, and are read again rather than skipped.
    IF pg_snapshot_xmax(coalesce(place.open_window, place.done)) > pg_snapshot_xmax(present) THEN
        place.done := '1:1:';
        place.open_window := NULL;
        has_moved := true;
    END IF;
    IF EXISTS (SELECT FROM otp.events e WHERE e.xid >= pg_snapshot_xmax(pg_current_snapshot())
            AND e.xid IS DISTINCT FROM pg_current_xact_id_if_assigned()) THEN
        UPDATE otp.events e SET xid = pg_current_xact_id()
        WHERE e.xid >= pg_snapshot_xmax(pg_current_snapshot()) AND e.xid IS DISTINCT FROM pg_current_xact_id_if_assigned();
    END IF;
    SELECT sum(l.events) INTO lost FROM otp.event_losses l
    WHERE l.reader = read_events.reader AND l.deleted_at > place.read_at;
    IF lost IS NOT NULL THEN
        has_moved := true;
        RAISE WARNING USING MESSAGE = format('events that were deleted before the reader %L confirmed them: %s', read_events.reader, lost),
            HINT = 'Read more often, or raise otp.settings.keep_events. otp.delivery shows the state of a verification.';
    END IF;
    LOOP
        IF place.open_window IS NULL THEN
            -- "+ 0": otherwise the planner may walk along all ids from the first one.
            SELECT min(e.id + 0) INTO first_id FROM otp.events e
            WHERE e.xid >= pg_snapshot_xmin(place.done) AND NOT pg_visible_in_snapshot(e.xid, place.done)
                AND pg_visible_in_snapshot(e.xid, present);
            EXIT WHEN first_id IS NULL;
            place.open_window := present;
            place.confirmed_id := first_id - 1;
            has_moved := true;
        END IF;
        RETURN QUERY
        SELECT e.id, e.verification_id, e.send_job_id, e.channel, e.event, e.error_class, e.next_send_job_id, e.occurred_at
        FROM otp.events e
        WHERE e.id > place.confirmed_id AND NOT pg_visible_in_snapshot(e.xid, place.done)
            AND pg_visible_in_snapshot(e.xid, place.open_window)
        ORDER BY e.id LIMIT read_events.max;
        EXIT WHEN FOUND;
        place.done := place.open_window;
        place.open_window := NULL;
        has_moved := true;
    END LOOP;
    IF place.open_window IS NULL AND NOT has_moved AND NOT (SELECT s.events FROM otp.settings s) THEN
        RAISE EXCEPTION USING ERRCODE = 'OT007', MESSAGE = 'events are off',
            HINT = 'An operator can turn them on: UPDATE otp.settings SET events = true.';
    END IF;
    IF has_moved OR place.read_at < clock_timestamp() - interval '1 minute' THEN
        UPDATE otp.event_readers r SET done = place.done, open_window = place.open_window, confirmed_id = place.confirmed_id,
            read_at = clock_timestamp()
        WHERE r.reader = read_events.reader;
    END IF;
END $$;
COMMENT ON FUNCTION otp.read_events IS 'The next events of a reader, in order. Returns the same events until otp.confirm_events confirms them.';

-- An id that is not in the window is an old one, and confirms nothing.
CREATE FUNCTION otp.confirm_events(reader text, up_to bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place CONSTANT otp.event_readers := otp.locked_reader(confirm_events.reader);
BEGIN
    UPDATE otp.event_readers r SET confirmed_id = confirm_events.up_to
    WHERE r.reader = confirm_events.reader AND confirm_events.up_to > place.confirmed_id AND EXISTS (
        SELECT FROM otp.events e WHERE e.id = confirm_events.up_to AND NOT pg_visible_in_snapshot(e.xid, place.done)
            AND pg_visible_in_snapshot(e.xid, place.open_window));
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION otp.confirm_events IS 'Confirms the events that otp.read_events returned, up to and including this id. False if they were confirmed before.';

-- Deletes events that are older than the setting keeps them, also unread ones, and notes how many of them a reader has lost.
CREATE FUNCTION otp.prune_events(batch int, moment timestamptz) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    deleted bigint;
BEGIN
    WITH gone AS (
        DELETE FROM otp.events e WHERE e.id = ANY (ARRAY(
            SELECT o.id FROM (SELECT f.id, f.occurred_at FROM otp.events f ORDER BY f.id LIMIT batch) o
            WHERE o.occurred_at < moment - (SELECT s.keep_events FROM otp.settings s)))
        RETURNING e.id, e.xid
    ), lost AS (
        INSERT INTO otp.event_losses (reader, events)
        SELECT r.reader, count(*)
        FROM otp.event_readers r JOIN gone g ON NOT pg_visible_in_snapshot(g.xid, r.done)
            AND (pg_visible_in_snapshot(g.xid, r.open_window) AND g.id <= r.confirmed_id) IS NOT TRUE
        GROUP BY 1
    )
    SELECT count(*) INTO deleted FROM gone;
    DELETE FROM otp.event_losses l WHERE l.deleted_at < moment - interval '30 days';
    RETURN deleted;
END $$;

-- How far each reader has read.
CREATE VIEW otp.event_status AS
SELECT r.reader, r.created_by, r.read_at, u.unread, u.oldest_unread_at,
    coalesce(l.lost, 0) AS lost, l.lost_at
FROM otp.event_readers r
CROSS JOIN LATERAL (
    SELECT count(*) AS unread, min(e.occurred_at) AS oldest_unread_at FROM otp.events e
    WHERE e.xid >= pg_snapshot_xmin(r.done) AND NOT pg_visible_in_snapshot(e.xid, r.done)
        AND (pg_visible_in_snapshot(e.xid, r.open_window) AND e.id <= r.confirmed_id) IS NOT TRUE
) u
LEFT JOIN LATERAL (
    SELECT sum(o.events) AS lost, max(o.deleted_at) AS lost_at FROM otp.event_losses o WHERE o.reader = r.reader
) l ON true;
COMMENT ON VIEW otp.event_status IS 'The readers of events: when each read last, how many events it has not confirmed, and how many it has lost.';

CREATE TRIGGER switch_events AFTER INSERT OR UPDATE OF events ON otp.settings FOR EACH ROW
EXECUTE FUNCTION otp.switch_events();
-- If the setting was left on when this migration was taken back.
DO $$ BEGIN
    IF (SELECT s.events FROM otp.settings s) THEN
        UPDATE otp.settings SET events = true;
    END IF;
END $$;

GRANT EXECUTE ON FUNCTION otp.read_events, otp.confirm_events TO otp_web;
GRANT SELECT ON otp.event_status TO otp_monitor, otp_admin;
GRANT SELECT, DELETE ON otp.event_readers TO otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (26, 'events');

-- The day's budget: the cost of today's messages, and the pause of everything when the budget is used up.

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

-- The cost of today's messages, per writer. It is kept while settings.daily_budget is set. No query then has to add up the
-- messages of the day.
CREATE TABLE otp.spend_tally (
    day date NOT NULL,              -- of settings.timezone
    shard smallint NOT NULL,
    amount numeric NOT NULL,        -- in settings.budget_unit
    PRIMARY KEY (day, shard)
) WITH (fillfactor = 70);

-- The cost of a message in the currency `unit`. It is the message's price, if Twilio has given one in that currency. Otherwise
-- it is the country's estimate for the segments, if that is in the currency. Otherwise it is the country's expected_cost, which
-- counts as an amount in the budget's currency. Nothing is converted. A message that failed or was canceled without a price
-- costs nothing, because it never left Twilio.
CREATE FUNCTION otp.message_cost(
    status text, segments smallint, price numeric, price_unit text, country otp.countries, unit text) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN price IS NOT NULL AND price_unit = unit THEN -price
    WHEN price IS NULL AND status IN ('failed', 'canceled', 'busy', 'no-answer') THEN 0
    WHEN (country).price_estimate IS NOT NULL AND (country).price_unit = unit
        THEN (country).price_estimate * greatest(segments, 1)
    ELSE coalesce((country).expected_cost, 0) END;

-- Begins the pause of everything when today's budget is used up, and ends the pause of an earlier day. The tally's triggers
-- call it, so that this writer never sends too much. Every sweep calls it too, for midnight and for writers that did not see
-- each other. A price that turns out lower does not end the pause: otherwise a few messages above the budget would be sent each
-- time. Returns the seconds until the pause ends by itself; null if there is no such pause.
CREATE FUNCTION otp.check_budget() RETURNS double precision
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    budget record;
    spent numeric;
    paused_since timestamptz;
BEGIN
    SELECT s.daily_budget AS amount, s.budget_unit AS unit, s.timezone, b.today,
        b.today::timestamp AT TIME ZONE s.timezone AS starts_at, (b.today + 1)::timestamp AT TIME ZONE s.timezone AS ends_at
    INTO budget FROM otp.settings s, LATERAL (SELECT (clock_timestamp() AT TIME ZONE s.timezone)::date AS today) b
    WHERE s.daily_budget IS NOT NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT p.since INTO paused_since FROM otp.pauses p WHERE p.name = 'budget';
    IF paused_since < budget.starts_at THEN     -- not a condition of the DELETE, whose trigger would tell workers even of no row
        DELETE FROM otp.pauses p WHERE p.name = 'budget';
        paused_since := NULL;
    END IF;
    IF paused_since IS NULL THEN
        SELECT coalesce(sum(t.amount), 0) INTO spent FROM otp.spend_tally t WHERE t.day = budget.today;
        IF spent < budget.amount THEN
            RETURN NULL;
        END IF;
        INSERT INTO otp.pauses (scope, reason, remedy, created_by)
        VALUES ('budget', format('The budget of %s %s for today is used up: %s %s spent or expected.',
                trim_scale(budget.amount), budget.unit, trim_scale(round(spent, 4)), budget.unit),
            format('Raise otp.settings.daily_budget, or wait: sending resumes by itself at 00:00 %s.', budget.timezone),
            'otp.settings.daily_budget')
        ON CONFLICT (name) DO NOTHING;
    END IF;
    RETURN extract(epoch FROM budget.ends_at - clock_timestamp());
END $$;
COMMENT ON FUNCTION otp.check_budget IS 'For workers: begins and ends the pause for the daily budget. Returns the seconds until it ends by itself.';

CREATE FUNCTION otp.tally_accepted() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    budget record;
BEGIN
    SELECT s.budget_unit AS unit, s.timezone INTO budget FROM otp.settings s WHERE s.daily_budget IS NOT NULL;
    IF FOUND THEN
        INSERT INTO otp.spend_tally AS t (day, shard, amount)
        SELECT (e.accepted_at AT TIME ZONE budget.timezone)::date, otp.own_shard(),
            sum(otp.message_cost(e.status, e.segments, e.price, e.price_unit,
                CASE e.channel WHEN 'sms' THEN c ELSE otp.cost_row(e.channel, c) END, budget.unit))
        FROM accepted e LEFT JOIN otp.verifications v ON v.id = e.verification_id
        LEFT JOIN otp.countries c ON c.region = v.country GROUP BY 1 ORDER BY 1
        ON CONFLICT (day, shard) DO UPDATE SET amount = t.amount + excluded.amount;
        PERFORM otp.check_budget();
    END IF;
    RETURN NULL;
END $$;

-- Counts prices, which arrive later and one by one.
CREATE FUNCTION otp.tally_priced() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    budget record;
BEGIN
    SELECT s.budget_unit AS unit, (NEW.accepted_at AT TIME ZONE s.timezone)::date AS day INTO budget
    FROM otp.settings s WHERE s.daily_budget IS NOT NULL
        AND (NEW.accepted_at AT TIME ZONE s.timezone)::date = (clock_timestamp() AT TIME ZONE s.timezone)::date;
    IF FOUND THEN
        INSERT INTO otp.spend_tally AS t (day, shard, amount)
        SELECT budget.day, otp.own_shard(),
            otp.message_cost(NEW.status, NEW.segments, NEW.price, NEW.price_unit, otp.cost_row(NEW.channel, c), budget.unit)
            - otp.message_cost(OLD.status, OLD.segments, OLD.price, OLD.price_unit, otp.cost_row(OLD.channel, c), budget.unit)
        FROM (VALUES (1)) one LEFT JOIN otp.verifications v ON v.id = NEW.verification_id
        LEFT JOIN otp.countries c ON c.region = v.country
        ON CONFLICT (day, shard) DO UPDATE SET amount = t.amount + excluded.amount;
        PERFORM otp.check_budget();
    END IF;
    RETURN NULL;
END $$;

-- Reacts to a change of the budget or of the estimates: adds up today's cost once, if it is not known, and begins or ends the
-- pause. It runs at the commit, while no other transaction writes messages. No message is missed or counted twice.
CREATE FUNCTION otp.tally_today() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    is_known boolean := current_setting('otp.tallied_in', true) IS NOT DISTINCT FROM pg_current_xact_id()::text;
BEGIN
    IF NOT EXISTS (SELECT FROM otp.settings s WHERE s.daily_budget IS NOT NULL) THEN
        DELETE FROM otp.pauses p WHERE p.name = 'budget';
        DELETE FROM otp.spend_tally;
        RETURN NULL;
    END IF;
    IF TG_TABLE_NAME = 'settings' THEN
        is_known := is_known OR OLD.daily_budget IS NOT NULL
            AND (OLD.budget_unit, OLD.timezone) IS NOT DISTINCT FROM (NEW.budget_unit, NEW.timezone);
        DELETE FROM otp.pauses p WHERE p.name = 'budget';
    END IF;
    IF NOT is_known THEN
        PERFORM set_config('otp.tallied_in', pg_current_xact_id()::text, true);
        -- While a session holds this lock or waits for it, no result of a send can be written. The wait is therefore short. If
        -- the session then idles in its transaction (after SET CONSTRAINTS … IMMEDIATE), PostgreSQL ends it.
        PERFORM set_config('idle_in_transaction_session_timeout', '1s', true);
        BEGIN
            LOCK TABLE otp.messages IN SHARE MODE;
        EXCEPTION WHEN lock_not_available THEN
            RAISE EXCEPTION USING ERRCODE = 'lock_not_available',
                MESSAGE = 'another transaction is writing to otp.messages',
                DETAIL = 'The day''s cost can be added up only while no transaction writes there. The change waited for 2 '
                    'seconds and was not made.',
                HINT = 'Try again. If this happens again, this query shows the transactions that stay open: SELECT pid, usename, '
                    'xact_start FROM pg_stat_activity ORDER BY xact_start LIMIT 5';
        END;
        DELETE FROM otp.spend_tally;
        INSERT INTO otp.spend_tally (day, shard, amount)
        SELECT b.today, 0,
            coalesce(sum(otp.message_cost(m.status, m.segments, m.price, m.price_unit, otp.cost_row(m.channel, c), b.budget_unit)), 0)
        FROM (SELECT s.budget_unit, s.timezone, (clock_timestamp() AT TIME ZONE s.timezone)::date AS today
            FROM otp.settings s OFFSET 0) b
        LEFT JOIN otp.messages m ON m.accepted_at >= b.today::timestamp AT TIME ZONE b.timezone
        LEFT JOIN otp.verifications v ON v.id = m.verification_id
        LEFT JOIN otp.countries c ON c.region = v.country
        GROUP BY b.today;
    END IF;
    PERFORM otp.check_budget();
    RETURN NULL;
END $$;

CREATE TRIGGER tally_accepted AFTER INSERT ON otp.messages REFERENCING NEW TABLE AS accepted
FOR EACH STATEMENT EXECUTE FUNCTION otp.tally_accepted();

CREATE TRIGGER tally_priced AFTER UPDATE OF status, segments, price, price_unit ON otp.messages FOR EACH ROW
WHEN ((OLD.segments, OLD.price, OLD.price_unit) IS DISTINCT FROM (NEW.segments, NEW.price, NEW.price_unit)
    OR (OLD.status IN ('failed', 'canceled', 'busy', 'no-answer')) <> (NEW.status IN ('failed', 'canceled', 'busy', 'no-answer')))
EXECUTE FUNCTION otp.tally_priced();

CREATE CONSTRAINT TRIGGER tally_today AFTER UPDATE OF daily_budget, budget_unit, timezone ON otp.settings
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN ((OLD.daily_budget, OLD.budget_unit, OLD.timezone) IS DISTINCT FROM (NEW.daily_budget, NEW.budget_unit, NEW.timezone))
EXECUTE FUNCTION otp.tally_today();
CREATE CONSTRAINT TRIGGER tally_today AFTER UPDATE OF price_estimate, price_unit, expected_cost ON otp.countries
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN ((OLD.price_estimate, OLD.price_unit, OLD.expected_cost) IS DISTINCT FROM (NEW.price_estimate, NEW.price_unit, NEW.expected_cost))
EXECUTE FUNCTION otp.tally_today();

GRANT SELECT, INSERT, UPDATE ON otp.spend_tally TO otp_worker;
GRANT EXECUTE ON FUNCTION otp.check_budget, otp.message_cost TO otp_worker;
GRANT SELECT ON otp.spend_tally TO otp_monitor, otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (14, 'budget');

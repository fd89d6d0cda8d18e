-- Replays a recorded day against the fraud functions of otpd, in the time of the recording. Tests/fraud/run loads it into a
-- throwaway database. The table replay.events holds the requests in order of time.
DROP SCHEMA IF EXISTS replay CASCADE;
CREATE SCHEMA replay;
CREATE TABLE replay.events (
    at timestamptz NOT NULL,
    who text NOT NULL,              -- honest, or attack
    e164 text NOT NULL,
    country text NOT NULL,
    client_ip inet,
    used_after interval             -- when its user types the code in; null: never
);
CREATE TABLE replay.results (at timestamptz, who text, passed boolean, scope text, client_ip inet);
CREATE UNLOGGED TABLE replay.uses (at timestamptz, sent_at timestamptz, e164 text, country text, client_ip inet);
CREATE INDEX ON replay.uses (at);

-- One request, as a backend and a worker handle it: the insert may refuse it, and the claim may end it. Returns the scope that
-- refused it, or null.
CREATE FUNCTION replay.request(e replay.events) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    BEGIN
        IF EXISTS (SELECT FROM otp.fraud_holds) THEN
            PERFORM otp.refuse_held(e.e164, e.country, e.client_ip, e.at);
        END IF;
    EXCEPTION WHEN SQLSTATE 'OT001' THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
        RETURN substring(detail FROM 'scope=(.*)');
    END;
    IF (otp.judge_sends(ARRAY[(1, e.e164, e.country, e.client_ip, 'sms', e.at)::otp.claimed_send], e.at)).refused <> '{}' THEN
        RETURN 'claim';
    END IF;
    IF e.used_after IS NOT NULL THEN
        INSERT INTO replay.uses VALUES (e.at + e.used_after, e.at, e.e164, e.country, e.client_ip);
    END IF;
    RETURN NULL;
END $$;

-- What a worker does each second: it counts the codes that were used, and reviews the holds.
CREATE FUNCTION replay.second(until timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    u record;
BEGIN
    WITH due AS (DELETE FROM replay.uses WHERE at <= until RETURNING *)
    SELECT array_agg((number, e164, country, client_ip, 'sms', sent_at)::otp.claimed_send) AS sends INTO u
    FROM (SELECT row_number() OVER () AS number, d.* FROM due d) d;
    IF u.sends IS NOT NULL THEN
        PERFORM otp.count_uses(u.sends, array_fill(true, ARRAY[cardinality(u.sends)]), until);
    END IF;
    IF EXISTS (SELECT FROM otp.fraud_holds) THEN
        PERFORM otp.review_fraud(until);
    END IF;
END $$;

CREATE FUNCTION replay.run() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    e replay.events;
    tick timestamptz;
    scope text;
BEGIN
    FOR e IN SELECT * FROM replay.events ORDER BY at LOOP
        tick := coalesce(tick, date_trunc('second', e.at));
        IF e.at >= tick + interval '1 second' THEN
            tick := date_trunc('second', e.at);
            PERFORM replay.second(tick);
        END IF;
        scope := replay.request(e);
        INSERT INTO replay.results VALUES (e.at, e.who, scope IS NULL, scope, e.client_ip);
    END LOOP;
END $$;

-- The past: honest requests of two weeks, in batches of ten minutes.
CREATE FUNCTION replay.past() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    b record;
BEGIN
    UPDATE otp.limits SET max_sends = max_sends + 1000000 WHERE scope LIKE 'unused%';
    FOR b IN
        SELECT date_bin('10 minutes', at, 'epoch') + interval '10 minutes' AS until,
            array_agg((number, e164, country, client_ip, 'sms', at)::otp.claimed_send) AS sends,
            array_agg((number, e164, country, client_ip, 'sms', at)::otp.claimed_send) FILTER (WHERE used_after IS NOT NULL) AS used
        FROM (SELECT row_number() OVER () AS number, n.* FROM replay.events n) n GROUP BY 1 ORDER BY 1
    LOOP
        PERFORM otp.judge_sends(b.sends, b.until);
        IF b.used IS NOT NULL THEN
            PERFORM otp.count_uses(b.used, array_fill(true, ARRAY[cardinality(b.used)]), b.until);
        END IF;
    END LOOP;
    UPDATE otp.limits SET max_sends = max_sends - 1000000 WHERE scope LIKE 'unused%';
    DELETE FROM otp.fraud_holds;
END $$;

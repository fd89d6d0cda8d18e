-- Fraud: holds the countries, blocks of phone numbers and client networks whose codes are sent and never used.
--
-- SMS pumping costs money because its codes are never typed in. So a score is kept for each key (a country, a block, a network,
-- all together): it rises with each text, and falls when a code is used. It therefore stays near zero for real users, however
-- many they are, and rises with every text of an attack. A key whose score exceeds its allowance is held. The allowances are the
-- rows of otp.limits with the scopes unused_network, unused_asn, unused_block, unused_country and unused_all; they grow with the
-- number of codes that the key has used before (otp.fraud_allowance). Without such rows nothing is counted or held.
--
-- A network is proven when one of its codes was used in the last two weeks. The texts of a proven network count for the network
-- alone. All others, and those without a client address, count for their block, country, and all together too. So an attack from
-- new networks never holds up the networks of real users.
--
-- Workers count when they claim jobs (otp.judge_sends), a batch at a time and before any of it is sent, and when codes were used
-- (otp.review_fraud). Inserts only look whether a key is held (otp.refuse_held).
--
-- If an operator has set lookup_suspicious, a worker asks Twilio for the risk of the number (Lookup, sms_pumping_risk) before a text
-- leaves that a hold let through. The claim names these texts, and keeps to lookups_per_day.

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

-- The network of a client address: its /24, or its /48 for IPv6. Clients change their address within it. Null for addresses of
-- private networks and of this machine: they are a developer's, or those of a proxy that all users share.
CREATE FUNCTION otp.network_key(client_ip inet) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF client_ip <<= '::ffff:0:0/96' THEN
        client_ip := inet '0.0.0.0' + (set_masklen(client_ip, 128) - inet '::ffff:0:0');
    END IF;
    IF family(client_ip) = 4 THEN
        RETURN CASE WHEN NOT (client_ip <<= '10.0.0.0/8' OR client_ip <<= '127.0.0.0/8' OR client_ip <<= '192.168.0.0/16'
                OR client_ip <<= '172.16.0.0/12' OR client_ip <<= '100.64.0.0/10' OR client_ip <<= '169.254.0.0/16')
            THEN network(set_masklen(client_ip, 24))::text END;
    END IF;
    RETURN CASE WHEN NOT (client_ip <<= '::1/128' OR client_ip <<= 'fc00::/7' OR client_ip <<= 'fe80::/10')
        THEN network(set_masklen(client_ip, 48))::text END;
END $$;

-- The networks of the world by autonomous system, if an operator fills it. A code from a network that is not proven then counts
-- for its system too. The longest matching network counts.
CREATE TABLE otp.networks (
    network cidr PRIMARY KEY,
    asn bigint NOT NULL
        CONSTRAINT "asn must be 1 to 4294967295" CHECK (asn BETWEEN 1 AND 4294967295),
    name text
);
CREATE INDEX networks_containing ON otp.networks USING gist (network inet_ops);
COMMENT ON TABLE otp.networks IS 'Optional: autonomous systems of networks. Codes of networks that are not proven count for their system too.';

-- One row per key. Only workers write it, in short transactions, and always in the order of the primary key.
CREATE TABLE otp.fraud_counts (
    -- network, asn, block, country, all: as the scopes of otp.limits
    -- no_address: a country's texts without a client address, and those of all countries (the key is empty)
    -- sends: all texts
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    day date NOT NULL,                      -- of settings.timezone; the row is turned to a new day when it is next written
    hour timestamptz NOT NULL,              -- of used_hour
    score real NOT NULL DEFAULT 0,          -- rises by 1 with each text, falls when a code is used, is never below 0; halved each day
    sent_today int NOT NULL DEFAULT 0,
    used_today int NOT NULL DEFAULT 0,
    used_hour int NOT NULL DEFAULT 0,
    cost_today real NOT NULL DEFAULT 0,     -- sends: what the texts are expected to cost
    -- The greatest counts of used codes in an hour and a day before today, and what they cost. They fade by 5% a day.
    peak_hour real NOT NULL DEFAULT 0,
    peak_day real NOT NULL DEFAULT 0,
    peak_cost real NOT NULL DEFAULT 0,
    -- The sums of all days before today, which fade by 5% a day.
    sent_before real NOT NULL DEFAULT 0,
    used_before real NOT NULL DEFAULT 0,
    proven_at timestamptz,                  -- network: when a code of it was used first; null: not proven
    -- While a key is held: the texts that were let through in the present window of its review, and those whose codes were used
    held_sent int NOT NULL DEFAULT 0,
    held_used int NOT NULL DEFAULT 0,
    probes int NOT NULL DEFAULT 0,
    PRIMARY KEY (key, scope)
) WITH (fillfactor = 70);
COMMENT ON TABLE otp.fraud_counts IS 'For workers: texts and used codes per key, and the score that decides about a hold.';

-- The codes that were used and the jobs that ended unsent, until a worker has counted them. Backends only insert rows here, so
-- they never wait for a worker.
CREATE TABLE otp.uncounted_codes (
    verification_id bigint NOT NULL,
    is_used boolean NOT NULL        -- false: a text that was counted when it was claimed, and did not leave
);

-- Keys that are held now. A hold of the scopes total and budget means that a limit with times_usual is used up for today.
CREATE TABLE otp.fraud_holds (
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,             -- it does not end sooner; each further hold of a key within a day is four times as long
    is_enforced boolean NOT NULL,           -- false: settings.fraud_action is observe
    window_starts_at timestamptz NOT NULL,  -- of the present window of its review
    window_refused bigint NOT NULL,         -- how many sends had been refused by then, over all keys
    ends_now boolean NOT NULL DEFAULT false,    -- an operator ended it; a worker does the rest
    PRIMARY KEY (scope, key)
);

-- Every decision, with the figures that it came from.
CREATE TABLE otp.fraud_decisions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    decided_at timestamptz NOT NULL,
    -- held: requests of the key are refused from now on; observed: they would be, but settings.fraud_action is observe
    -- ended: codes are used again, or the attack is over; ended_by_hand: an operator ended the hold
    decision text NOT NULL,
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    score real,
    allowed real,
    sent_today int,
    used_today int,
    peak_day real,
    explanation text NOT NULL
);
CREATE INDEX fraud_decisions_key ON otp.fraud_decisions (scope, key, decided_at);
CREATE INDEX fraud_decisions_decided_at ON otp.fraud_decisions (decided_at);

-- Keys that are never held.
CREATE TABLE otp.fraud_exceptions (
    scope text NOT NULL
        CONSTRAINT "scope must be network, asn, block or country" CHECK (scope IN ('network', 'asn', 'block', 'country')),
    key text NOT NULL,
    note text,
    created_by text NOT NULL DEFAULT session_user,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, key),
    CONSTRAINT "key must be a network such as 203.0.113.0/24"
        CHECK (scope <> 'network' OR key ~ '^[0-9a-f.:]+/[0-9]{1,3}$' AND key::cidr::text = key),
    CONSTRAINT "key must be a system such as AS64500" CHECK (scope <> 'asn' OR key ~ '^AS[1-9][0-9]{0,9}$'),
    CONSTRAINT "key must be the first digits with a plus, such as +966501" CHECK (scope <> 'block' OR key ~ '^[+][1-9][0-9]{0,13}$'),
    CONSTRAINT "key must be two capital letters, such as SA, or 001" CHECK (scope <> 'country' OR key ~ '^[A-Z]{2}$|^001$')
);
COMMENT ON TABLE otp.fraud_exceptions IS 'Networks, systems, first digits and countries that are never held.';

-- Phone numbers whose risk was looked up at Twilio, for a day. A row is written before Twilio is asked, so the number of rows is also
-- the number of lookups of the last 24 hours, whatever became of them. A worker that was lost never makes it smaller.
CREATE TABLE otp.number_risks (
    key text COLLATE "C" PRIMARY KEY,       -- otp.counter_key of the phone number
    -- Null: Twilio knows none, or has not answered. The number is not looked up again that day.
    score smallint CONSTRAINT "score must be 0 to 100, or null" CHECK (score BETWEEN 0 AND 100),
    looked_up_at timestamptz NOT NULL
);
CREATE INDEX number_risks_looked_up_at ON otp.number_risks (looked_up_at);
COMMENT ON TABLE otp.number_risks IS 'Hashes of the phone numbers that were looked up at Twilio in the last day, and their risk.';

-- How risk checks ended, since the database was made.
CREATE TABLE otp.risk_check_counts (
    outcome text COLLATE "C" PRIMARY KEY CONSTRAINT "outcome must be passed, refused, unknown or failed" CHECK (outcome IN (
        'passed',       -- the risk was not above max_risk_score, and the text was sent
        'refused',      -- it was above, and the text was not sent
        'unknown',      -- Twilio knows no risk of the number, and the text was sent
        'failed'        -- Twilio gave no usable answer within three seconds, and the text was sent
    )),
    checks bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
INSERT INTO otp.risk_check_counts (outcome) VALUES ('passed'), ('refused'), ('unknown'), ('failed');
COMMENT ON TABLE otp.risk_check_counts IS 'How risk checks of phone numbers ended (otp.settings.lookup_suspicious).';

-- What otp.judge_sends decided about the texts of a claim. It is null while nothing is held.
CREATE TYPE otp.judgement AS (
    refused bigint[],           -- the texts that may not be sent; they have ended
    suspicious bigint[],        -- the texts whose numbers are looked up before they are sent
    max_risk_score int
);

-- A text, and when its verification was created. That moment decides which keys it counts for, when it is claimed as well as
-- when its code is used, so both count for the same keys.
CREATE TYPE otp.claimed_send AS (id bigint, e164 text, country text, client_ip inet, channel text, created_at timestamptz);

-- How many texts a key may have out unused. The least is max_sends of its row in otp.limits. A key that has used more codes than
-- that in a day may have as many unused as it used on its greatest day: so when a carrier fails and nothing arrives, the key is
-- not held for a day's worth of texts. A network may have twice as many, because users try again. The shared keys of networks
-- that are not proven have the greatest hour in place of the day, because those networks have no past.
CREATE FUNCTION otp.fraud_allowance(k otp.fraud_counts, base int, moment timestamptz) RETURNS real
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN (k).scope IN ('country', 'all', 'asn')
        THEN greatest(base, (k).peak_hour, CASE WHEN (k).hour > moment - interval '1 hour' THEN (k).used_hour END)
    WHEN (k).scope = 'network' THEN greatest(base, 2 * (k).peak_day, 2 * (k).used_today)
    ELSE greatest(base, (k).peak_day, (k).used_today) END;

-- The row as of a later day and hour.
CREATE FUNCTION otp.fraud_turned(k otp.fraud_counts, today date, this_hour timestamptz) RETURNS otp.fraud_counts
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    fade real;
BEGIN
    IF k.hour < this_hour THEN
        k.peak_hour := greatest(k.peak_hour, k.used_hour);
        k.used_hour := 0;
        k.hour := this_hour;
    END IF;
    IF k.day < today THEN
        fade := 0.95 ^ least(today - k.day, 1000);
        k.peak_hour := k.peak_hour * fade;
        k.peak_cost := greatest(k.peak_cost, k.cost_today * k.used_today / greatest(k.sent_today, 1)) * fade;
        k.peak_day := greatest(k.peak_day, k.used_today) * fade;
        k.sent_before := (k.sent_before + k.sent_today) * fade;
        k.used_before := (k.used_before + k.used_today) * fade;
        k.score := CASE WHEN today - k.day < 30 THEN k.score * 0.5 ^ (today - k.day) ELSE 0 END;
        k.sent_today := 0;
        k.used_today := 0;
        k.cost_today := 0;
        k.proven_at := CASE WHEN k.used_before >= 0.5 THEN k.proven_at END;
        k.day := today;
    END IF;
    RETURN k;
END $$;

-- The least of a key's allowance: max_sends of its row in otp.limits. Null: it has none, so it is not judged.
CREATE FUNCTION otp.fraud_base(scope text, key text) RETURNS int
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT min(l.max_sends) FROM otp.limits l
        WHERE l.scope = 'unused_' || CASE fraud_base.scope WHEN 'no_address' THEN 'country' ELSE fraud_base.scope END
            AND l.digits = CASE fraud_base.scope WHEN 'block' THEN length(fraud_base.key) - length(rtrim(fraud_base.key, 'x')) ELSE 0 END);
END $$;

-- What today's texts and their cost may be, by the limits with times_usual: at least the row's own value, times_usual of the
-- greatest day, and five times the codes that were used today. A launch therefore never meets them once its users type codes.
CREATE FUNCTION otp.usual_limits(
    k otp.fraud_counts, OUT scope text, OUT allowed numeric, OUT used numeric) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 2 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT l.scope, CASE l.scope
        WHEN 'total' THEN round(greatest(l.max_sends, l.times_usual * (k).peak_day::numeric, 5 * (k).used_today))
        ELSE round(greatest(l.max_cost, l.times_usual * (k).peak_cost::numeric,
            5 * (k).cost_today::numeric * (k).used_today / greatest((k).sent_today, 1)), 2) END,
        CASE l.scope WHEN 'total' THEN (k).sent_today ELSE round((k).cost_today::numeric, 2) END
    FROM otp.limits l WHERE l.times_usual IS NOT NULL;
END $$;

-- Writes a decision, and says in words what it came from.
CREATE FUNCTION otp.record_decision(
    decision text, scope text, key text, score real, allowed real, k otp.fraud_counts, moment timestamptz) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO otp.fraud_decisions (decided_at, decision, scope, key, score, allowed, sent_today, used_today, peak_day, explanation)
    VALUES (moment, decision, scope, key, score, allowed, (k).sent_today, (k).used_today, (k).peak_day,
        CASE WHEN scope = 'total' THEN format('%s texts today, and %s of their codes were used. %s are allowed.', (k).sent_today,
                (k).used_today, allowed)
            WHEN scope = 'budget' THEN format('The texts of today are expected to cost %s. %s is allowed.', score, allowed)
            WHEN decision IN ('held', 'observed') THEN format('%s texts are out whose codes were not used; %s are allowed. Today %s '
                'were sent and %s used. The most codes used in a day before: %s.', round(score::numeric), round(allowed::numeric),
                (k).sent_today, (k).used_today, round((k).peak_day::numeric))
            WHEN decision = 'ended' THEN format('Of the %s texts that were let through lately, %s were used, and few requests were '
                'refused.', (k).held_sent, (k).held_used)
            ELSE 'An operator ended the hold.' END);
END;

-- Whether a send is excepted from all holds. Its texts are not counted either, except for the day's total.
CREATE FUNCTION otp.is_excepted(e164 text, country text, client_ip inet) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM otp.fraud_exceptions e WHERE CASE e.scope
        WHEN 'network' THEN is_excepted.client_ip <<= e.key::cidr
        WHEN 'block' THEN starts_with(is_excepted.e164, e.key)
        WHEN 'country' THEN e.key = is_excepted.country
        ELSE EXISTS (SELECT FROM otp.networks n WHERE n.network >>= is_excepted.client_ip AND e.key = 'AS' || n.asn) END);
END $$;

-- The keys that texts count for, besides the day's total. A network that was proven by then counts alone. E-mails count for none.
CREATE FUNCTION otp.fraud_keys(sends otp.claimed_send[], OUT id bigint, OUT scope text, OUT key text) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 6 AS $$
DECLARE
    has_exceptions boolean;
    has_networks boolean;
    block_digits int[];
    digits int;
    s record;
BEGIN
    SELECT EXISTS (SELECT FROM otp.fraud_exceptions), EXISTS (SELECT FROM otp.networks),
        ARRAY(SELECT l.digits FROM otp.limits l WHERE l.scope = 'unused_block')
    INTO has_exceptions, has_networks, block_digits;
    FOR s IN
        SELECT u.id, u.e164, u.country, u.client_ip, u.network, u.network IS NOT NULL AS has_network, k.proven_at <= u.created_at AS is_proven
        FROM (SELECT c.*, otp.network_key(c.client_ip) AS network FROM unnest(sends) c WHERE c.channel <> 'email' OFFSET 0) u
        LEFT JOIN otp.fraud_counts k ON k.key = u.network AND k.scope = 'network'
    LOOP
        CONTINUE WHEN has_exceptions AND otp.is_excepted(s.e164, s.country, s.client_ip);
        id := s.id;
        IF s.has_network THEN
            scope := 'network'; key := s.network; RETURN NEXT;
            CONTINUE WHEN s.is_proven;
            scope := 'country'; key := s.country; RETURN NEXT;
            scope := 'all'; key := ''; RETURN NEXT;
            IF has_networks THEN
                SELECT 'asn', 'AS' || n.asn INTO scope, key FROM otp.networks n WHERE n.network >>= s.client_ip
                ORDER BY masklen(n.network) DESC LIMIT 1;
                IF FOUND THEN
                    RETURN NEXT;
                END IF;
            END IF;
        ELSE
            scope := 'no_address'; key := s.country; RETURN NEXT;
            scope := 'no_address'; key := ''; RETURN NEXT;
        END IF;
        scope := 'block';
        FOREACH digits IN ARRAY block_digits LOOP
            key := rpad(left(s.e164, -digits), length(s.e164), 'x'); RETURN NEXT;
        END LOOP;
    END LOOP;
END $$;

-- Whether a code was used by this phone number before. Such a number is real, so its requests pass every hold but that of its
-- client network.
CREATE FUNCTION otp.is_known_phone(e164 text) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM otp.verifications v WHERE v.e164 = is_known_phone.e164 AND v.verified_at IS NOT NULL)
        OR EXISTS (SELECT FROM otp.verified_before b WHERE b.e164 = is_known_phone.e164);
END $$;

-- Adds to the counts of keys, which come in the order of the primary key. Returns whether one of them exceeds its allowance.
CREATE FUNCTION otp.add_sends(scopes text[], keys text[], sends int[], costs real[], moment timestamptz) RETURNS boolean
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    today CONSTANT date := (moment AT TIME ZONE (SELECT s.timezone FROM otp.settings s))::date;
    this_hour CONSTANT timestamptz := date_trunc('hour', moment);
    written int;
    is_over boolean;
BEGIN
    WITH counted AS (
        INSERT INTO otp.fraud_counts AS f (scope, key, day, hour, score, sent_today, cost_today)
        SELECT a.scope, a.key, today, this_hour, greatest(a.sends, 0), greatest(a.sends, 0), greatest(a.cost, 0)
        FROM unnest(scopes, keys, sends, costs) a (scope, key, sends, cost)
        ON CONFLICT (key, scope) DO UPDATE SET score = f.score + excluded.score, sent_today = f.sent_today + excluded.sent_today,
            cost_today = f.cost_today + excluded.cost_today
            WHERE f.day >= excluded.day
        RETURNING f.*
    )
    SELECT count(*), coalesce(bool_or(l.max_sends IS NOT NULL AND c.score > otp.fraud_allowance(c, l.max_sends, moment)), false)
    INTO written, is_over
    FROM counted c LEFT JOIN otp.limits l ON l.scope = CASE c.scope WHEN 'no_address' THEN 'unused_country' ELSE 'unused_' || c.scope END
        AND l.digits = CASE c.scope WHEN 'block' THEN length(c.key) - length(rtrim(c.key, 'x')) ELSE 0 END;
    IF written < cardinality(keys) THEN     -- the first texts of a day
        WITH turned AS (
            UPDATE otp.fraud_counts f SET (day, hour, score, sent_today, used_today, used_hour, cost_today, peak_hour, peak_day,
                    peak_cost, sent_before, used_before, proven_at) = (
                SELECT t.day, t.hour, t.score + a.sends, a.sends, 0, t.used_hour, a.cost, t.peak_hour, t.peak_day, t.peak_cost,
                    t.sent_before, t.used_before, t.proven_at
                FROM otp.fraud_turned(f, today, this_hour) t)
            FROM unnest(scopes, keys, sends, costs) a (scope, key, sends, cost)
            WHERE f.key = a.key AND f.scope = a.scope AND f.day < today
            RETURNING f.*
        )
        SELECT is_over OR coalesce(bool_or(c.score > otp.fraud_allowance(c, otp.fraud_base(c.scope, c.key), moment)), false)
        INTO is_over FROM turned c WHERE otp.fraud_base(c.scope, c.key) IS NOT NULL;
    END IF;
    RETURN is_over;
END $$;

-- Begins a hold of a key, unless it is held. Further holds of the same day last four times as long each: 10 minutes, 40 minutes,
-- and so on up to 12 hours.
CREATE FUNCTION otp.begin_hold(k otp.fraud_counts, allowed real, action text, moment timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    earlier CONSTANT int := (SELECT count(*) FROM otp.fraud_decisions d WHERE d.scope = k.scope AND d.key = k.key
        AND d.decision IN ('held', 'observed') AND d.decided_at > moment - interval '1 day');
BEGIN
    INSERT INTO otp.fraud_holds (scope, key, since, until, is_enforced, window_starts_at, window_refused)
    VALUES (k.scope, k.key, moment, moment + least(interval '10 minutes' * 4 ^ least(earlier, 5), interval '12 hours'),
        action <> 'observe', moment, coalesce(pg_sequence_last_value('otp.refused_fraud'), 0))
    ON CONFLICT (scope, key) DO NOTHING;
    IF FOUND THEN
        UPDATE otp.fraud_counts f SET proven_at = CASE WHEN action = 'observe' THEN f.proven_at END, held_sent = 0, held_used = 0, probes = 0
        WHERE f.key = k.key AND f.scope = k.scope;
        PERFORM otp.record_decision(CASE action WHEN 'observe' THEN 'observed' ELSE 'held' END, k.scope, k.key, k.score, allowed, k,
            moment);
    END IF;
END $$;

-- Begins the holds that are due after these sends were counted, and decides which of the sends may leave. A send of a held key
-- passes in four cases:
-- - The key had room for it: the hold began with a later send of the same claim.
-- - Its phone number used a code before.
-- - It is the first of its client network today. A real user of a new network thus gets a code, and once it is used, the network
--   is proven. These sends may exceed the allowance by 20. After that, six in an hour may be unused; each used code makes room
--   for two more.
-- - It is one of two probes in an hour, which show whether codes are used again.
-- The last three do not hold for a network that is held itself; it has probes alone. With the action refuse, only the first two
-- cases pass.
--
-- A send that passes as the first of its network, or as a probe, is suspicious. While lookup_suspicious is set, its number is looked
-- up before it leaves, or if that happened within a day, the score decides here.
CREATE FUNCTION otp.hold_sends(sends otp.claimed_send[], moment timestamptz) RETURNS otp.judgement
LANGUAGE plpgsql AS $$
DECLARE
    settings record;
    ids bigint[];
    scopes text[];
    keys text[];
    refused bigint[] := '{}';
    risky bigint[];         -- those whose number is known to be risky
    too_risky bigint[] := '{}';
    suspicious bigint[] := '{}';
    passed record;
    due record;
    usual record;
BEGIN
    SELECT s.fraud_action, s.timezone, s.lookup_suspicious AND s.fraud_action = 'hold' AS looks_up, s.lookups_per_day, s.max_risk_score
    INTO settings FROM otp.settings s;
    SELECT coalesce(array_agg(n.id), '{}'), coalesce(array_agg(n.scope), '{}'), coalesce(array_agg(n.key), '{}') INTO ids, scopes, keys
    FROM otp.fraud_keys(sends) n;
    FOR due IN
        SELECT f AS counts, a.allowed
        FROM (SELECT DISTINCT n.scope, n.key FROM unnest(scopes, keys) n (scope, key)) n
        JOIN otp.fraud_counts f ON f.key = n.key AND f.scope = n.scope
        CROSS JOIN LATERAL (SELECT otp.fraud_allowance(f, otp.fraud_base(f.scope, f.key), moment) AS allowed) a
        WHERE otp.fraud_base(f.scope, f.key) IS NOT NULL AND f.score > a.allowed
        ORDER BY f.key, f.scope
    LOOP
        PERFORM otp.begin_hold(due.counts, due.allowed, settings.fraud_action, moment);
    END LOOP;
    IF settings.looks_up THEN
        risky := ARRAY(SELECT u.id FROM unnest(sends) u JOIN otp.number_risks r ON r.key = otp.counter_key('phone', u.e164)
            WHERE r.score > settings.max_risk_score AND r.looked_up_at > moment - interval '1 day');
    END IF;

    FOR passed IN
        WITH m AS (
            SELECT n.id, n.scope, n.key FROM unnest(ids, scopes, keys) n (id, scope, key)
        ), networks AS (    -- the sends that are the first of their network today
            SELECT DISTINCT ON (m.key) m.id FROM m JOIN otp.fraud_counts f ON f.key = m.key AND f.scope = m.scope
            WHERE m.scope = 'network' AND f.sent_today <= (SELECT count(*) FROM m o WHERE o.key = m.key AND o.scope = 'network')
            ORDER BY m.key, m.id
        ), held AS (
            SELECT h.scope, h.key, b.before, a.allowed, f.probes, f.held_sent - 2 * f.held_used AS let_through,
                CASE WHEN h.since = moment THEN greatest(0, floor(a.allowed - b.before)) ELSE 0 END AS room
            FROM otp.fraud_holds h JOIN otp.fraud_counts f ON f.key = h.key AND f.scope = h.scope
            CROSS JOIN LATERAL (SELECT otp.fraud_allowance(f, otp.fraud_base(f.scope, f.key), moment) AS allowed) a
            CROSS JOIN LATERAL (
                SELECT f.score - count(*) AS before FROM m WHERE m.key = h.key AND m.scope = h.scope) b
            WHERE h.is_enforced
        ), placed AS (
            SELECT m.id, m.scope AS held_scope, m.key AS held_key, held.before, held.allowed, held.probes, held.room, held.let_through,
                w.id IS NOT NULL AS is_first, otp.is_known_phone(u.e164) AS is_known,
                row_number() OVER (PARTITION BY m.scope, m.key ORDER BY m.id) AS place,
                row_number() OVER (PARTITION BY m.scope, m.key, w.id IS NOT NULL ORDER BY m.id) AS first_place
            FROM m JOIN held ON held.key = m.key AND held.scope = m.scope
            JOIN unnest(sends) u ON u.id = m.id
            LEFT JOIN networks w ON w.id = m.id
        ), judged AS (
            SELECT p.id, p.held_key, p.held_scope,
                CASE WHEN p.place <= p.room THEN 'room'
                    WHEN p.is_known AND p.held_scope <> 'network' THEN 'known'
                    WHEN settings.fraud_action = 'refuse' THEN NULL
                    WHEN p.is_first AND p.held_scope <> 'network' AND (p.before + p.room + p.first_place <= p.allowed + 20
                        OR p.let_through + p.first_place <= 6) THEN 'first'
                    WHEN p.place - p.room <= 2 - p.probes AND p.let_through + p.place - p.room <= 6 THEN 'probe' END AS way
            FROM placed p
        ), ends AS (
            SELECT w.id, w.has_ways AND NOT w.is_suspicious AS is_clear, w.has_ways AND w.is_suspicious AS is_suspicious,
                w.id = ANY (risky) IS TRUE AS is_risky
            FROM (
                SELECT o.id, bool_and(o.way IS NOT NULL) AS has_ways, bool_or(o.way IN ('first', 'probe')) IS TRUE AS is_suspicious
                FROM judged o GROUP BY o.id) w
        )
        SELECT j.held_scope, j.held_key, count(*) FILTER (WHERE e.passes) AS sent,
            count(*) FILTER (WHERE e.passes AND j.way = 'probe') AS probes,
            array_agg(j.id) FILTER (WHERE NOT e.passes) AS refused,
            array_agg(j.id) FILTER (WHERE e.is_suspicious AND e.is_risky) AS too_risky,
            array_agg(j.id) FILTER (WHERE e.is_suspicious AND NOT e.is_risky) AS suspicious
        FROM judged j
        JOIN (SELECT o.*, o.is_clear OR o.is_suspicious AND NOT o.is_risky AS passes FROM ends o) e ON e.id = j.id
        GROUP BY 1, 2 ORDER BY 2, 1
    LOOP
        refused := refused || coalesce(passed.refused, '{}');
        too_risky := too_risky || coalesce(passed.too_risky, '{}');
        suspicious := suspicious || coalesce(passed.suspicious, '{}');
        UPDATE otp.fraud_counts f SET held_sent = f.held_sent + passed.sent, probes = f.probes + passed.probes
        WHERE f.key = passed.held_key AND f.scope = passed.held_scope;
    END LOOP;
    -- A send may have several keys that are held.
    refused := ARRAY(SELECT DISTINCT u FROM unnest(refused) u);

    -- The day's total and its cost. The newest sends are those beyond the limit.
    FOR usual IN
        SELECT u.scope, u.allowed, u.used, f AS counts, f.cost_today / greatest(f.sent_today, 1) AS cost_each
        FROM otp.fraud_counts f, LATERAL otp.usual_limits(f) u WHERE f.key = '' AND f.scope = 'sends' AND u.used > u.allowed
    LOOP
        INSERT INTO otp.fraud_holds (scope, key, since, until, is_enforced, window_starts_at, window_refused)
        VALUES (usual.scope, '', moment, ((moment AT TIME ZONE settings.timezone)::date + 1)::timestamp AT TIME ZONE settings.timezone, true,
            moment, 0)
        ON CONFLICT (scope, key) DO NOTHING;
        IF FOUND THEN
            PERFORM otp.record_decision('held', usual.scope, '', usual.used::real, usual.allowed::real, usual.counts, moment);
        END IF;
        refused := refused || ARRAY(
            SELECT u.id FROM unnest(sends) u WHERE u.channel <> 'email' AND u.id <> ALL (refused) ORDER BY u.id DESC
            LIMIT ceil(greatest(0, usual.used - usual.allowed - cardinality(refused) * CASE usual.scope WHEN 'total' THEN 1 ELSE usual.cost_each END)
                / CASE usual.scope WHEN 'total' THEN 1 ELSE greatest(usual.cost_each, 0.0001) END));
    END LOOP;
    suspicious := otp.begin_risk_checks(
        ARRAY(SELECT u FROM unnest(sends) u WHERE u.id = ANY (suspicious) AND u.id <> ALL (refused)),
        CASE WHEN settings.looks_up THEN settings.lookups_per_day ELSE 0 END, moment);
    IF refused = '{}' THEN
        RETURN (refused, suspicious, settings.max_risk_score)::otp.judgement;
    END IF;

    -- A send that does not leave does not count.
    UPDATE otp.fraud_counts f SET score = greatest(0, f.score - r.sends), sent_today = greatest(0, f.sent_today - r.sends),
        cost_today = greatest(0, f.cost_today - r.cost)
    FROM (
        SELECT n.scope, n.key, count(*) AS sends, 0 AS cost
        FROM unnest(ids, scopes, keys) n (id, scope, key) WHERE n.id = ANY (refused) GROUP BY 1, 2
        UNION ALL
        SELECT 'sends', '', count(*), sum(otp.expected_cost(u.channel, c))
        FROM unnest(sends) u LEFT JOIN otp.countries c ON c.region = u.country WHERE u.id = ANY (refused)
    ) r
    WHERE f.key = r.key AND f.scope = r.scope;
    WITH gone AS (
        DELETE FROM otp.send_jobs j WHERE j.id = ANY (refused) RETURNING j.*
    )
    INSERT INTO otp.unsent_jobs (send_job_id, verification_id, channel, state, attempts, error, remedy, error_class, requested_at, follows,
        traceparent)
    SELECT g.id, g.verification_id, g.channel, 'limited', g.attempt - 1,
        CASE WHEN g.id = ANY (too_risky) THEN 'Twilio rates the risk of the phone number above max_risk_score, and too many codes like '
                'this were sent and not used.'
            ELSE 'The text was held back, because too many codes like it were sent and not used.' END,
        CASE WHEN g.id = ANY (too_risky) THEN 'If the number belongs to a real user, add its first digits to otp.fraud_exceptions, or raise '
                'otp.settings.max_risk_score.'
            ELSE 'SELECT * FROM otp.fraud_status shows what is held and why. If the requests come from real users, add an exception to '
            'otp.fraud_exceptions.' END,
        'limited', g.requested_at, g.follows, g.traceparent
    FROM gone g;
    RETURN (refused, suspicious, settings.max_risk_score)::otp.judgement;
END $$;

-- Writes down the numbers that are about to be looked up, at most so many in 24 hours, and returns the ids of their sends. A number
-- that was looked up within a day is not looked up again. The caller has locked the counts of all sends, so calls do not overlap.
CREATE FUNCTION otp.begin_risk_checks(sends otp.claimed_send[], per_day int, moment timestamptz) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[];
BEGIN
    IF sends = '{}' OR per_day = 0 THEN
        RETURN '{}';
    END IF;
    WITH wanted AS (
        SELECT otp.counter_key('phone', u.e164) AS key, min(u.id) AS id FROM unnest(sends) u GROUP BY 1
    ), begun AS (
        INSERT INTO otp.number_risks AS r (key, looked_up_at)
        SELECT w.key, moment FROM wanted w
        WHERE NOT EXISTS (SELECT FROM otp.number_risks o WHERE o.key = w.key AND o.looked_up_at > moment - interval '1 day')
        ORDER BY w.key
        LIMIT greatest(0, per_day - (SELECT count(*) FROM otp.number_risks o WHERE o.looked_up_at > moment - interval '1 day'))
        ON CONFLICT (key) DO UPDATE SET score = NULL, looked_up_at = excluded.looked_up_at
        RETURNING r.key
    )
    SELECT coalesce(array_agg(w.id), '{}') INTO ids FROM wanted w JOIN begun b ON b.key = w.key;
    RETURN ids;
END $$;

-- For workers: records how risk checks ended, and the scores, for a day.
CREATE FUNCTION otp.record_risk_checks(verification_ids bigint[], outcomes text[], scores int[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE otp.number_risks r SET score = known.score
    FROM (
        SELECT otp.counter_key('phone', v.e164) AS key, max(l.score) AS score
        FROM unnest(verification_ids, scores) l (id, score) JOIN otp.verifications v ON v.id = l.id
        WHERE l.score IS NOT NULL GROUP BY 1
    ) known
    WHERE r.key = known.key;
    UPDATE otp.risk_check_counts c SET checks = c.checks + ended.checks
    FROM (SELECT o.outcome, count(*) AS checks FROM unnest(outcomes) o (outcome) GROUP BY 1) ended
    WHERE c.outcome = ended.outcome;
END $$;
COMMENT ON FUNCTION otp.record_risk_checks IS 'For workers: records how risk checks of phone numbers ended, and the scores.';

-- Judges sends that were just claimed, before any of them leaves. Counts them, and returns which may not be sent. Null: all may.
CREATE FUNCTION otp.judge_sends(sends otp.claimed_send[], moment timestamptz DEFAULT clock_timestamp()) RETURNS otp.judgement
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
    scopes text[];
    keys text[];
    counts int[];
    costs real[];
    is_over boolean;
BEGIN
    SELECT array_agg(g.scope ORDER BY g.key, g.scope), array_agg(g.key ORDER BY g.key, g.scope),
        array_agg(g.count ORDER BY g.key, g.scope), array_agg(g.cost ORDER BY g.key, g.scope)
    INTO scopes, keys, counts, costs
    FROM (
        SELECT n.scope, n.key, count(*)::int AS count, 0::real AS cost FROM otp.fraud_keys(sends) n GROUP BY n.scope, n.key
        UNION ALL
        SELECT 'sends', '', count(*)::int, sum(otp.expected_cost(u.channel, c))::real
        FROM unnest(sends) u LEFT JOIN otp.countries c ON c.region = u.country WHERE u.channel <> 'email' HAVING count(*) > 0
    ) g;
    IF keys IS NULL THEN
        RETURN NULL;
    END IF;
    -- A statement of its own: the next one must see what it counted.
    is_over := otp.add_sends(scopes, keys, counts, costs, moment);
    IF is_over OR EXISTS (SELECT FROM otp.fraud_holds) OR EXISTS (
            SELECT FROM otp.fraud_counts f JOIN otp.limits l ON l.times_usual IS NOT NULL
            WHERE f.key = '' AND f.scope = 'sends'
                -- The least that a limit allows is compared first, because usual_limits costs more.
                AND CASE WHEN f.sent_today > l.max_sends OR f.cost_today > l.max_cost
                    THEN EXISTS (SELECT FROM otp.usual_limits(f) u WHERE u.used > u.allowed) END) THEN
        RETURN otp.hold_sends(sends, moment);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION otp.judge_sends IS 'For the worker''s claim: counts sends, and returns those that may not be sent because of a hold, and those to be looked up first.';

-- Refuses a send of a key that is held, with OT001. The insert of a send job calls it while there are holds.
CREATE FUNCTION otp.refuse_held(e164 text, country text, client_ip inet, moment timestamptz DEFAULT clock_timestamp()) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    held record;
    is_first boolean;
BEGIN
    FOR held IN
        SELECT h.scope, h.key, h.until, s.fraud_action, f.score, f.probes, f.held_sent - 2 * f.held_used AS let_through, f AS counts,
            otp.fraud_allowance(f, otp.fraud_base(f.scope, f.key), moment) AS allowed
        FROM otp.settings s
        CROSS JOIN (
            SELECT n.scope, n.key FROM otp.fraud_keys(ARRAY[(0, e164, country, client_ip, 'sms', moment)::otp.claimed_send]) n
            UNION ALL VALUES ('total', ''), ('budget', '')
        ) n
        JOIN otp.fraud_holds h ON h.scope = n.scope AND h.key = n.key AND h.is_enforced AND NOT h.ends_now
        LEFT JOIN otp.fraud_counts f ON f.key = h.key AND f.scope = CASE WHEN h.scope IN ('total', 'budget') THEN 'sends' ELSE h.scope END
    LOOP
        IF held.scope IN ('total', 'budget') THEN
            PERFORM otp.refuse_send(held.scope, u.allowed::text, interval '1 day', extract(epoch FROM held.until - moment)::double precision)
            FROM otp.usual_limits(held.counts) u WHERE u.scope = held.scope AND u.used >= u.allowed;
            CONTINUE;
        END IF;
        IF held.scope <> 'network' THEN
            CONTINUE WHEN otp.is_known_phone(e164);
            is_first := otp.network_key(client_ip) IS NOT NULL AND NOT EXISTS (
                SELECT FROM otp.fraud_counts f CROSS JOIN otp.settings s
                WHERE f.key = otp.network_key(client_ip) AND f.scope = 'network'
                    AND f.day >= (moment AT TIME ZONE s.timezone)::date AND f.sent_today > 0);
            CONTINUE WHEN is_first AND held.fraud_action <> 'refuse' AND (held.score + 1 <= held.allowed + 20 OR held.let_through < 6);
        END IF;
        CONTINUE WHEN held.fraud_action <> 'refuse' AND held.probes < 2 AND held.let_through < 6 AND random() < 0.05;
        PERFORM nextval('otp.refused_fraud');
        RAISE EXCEPTION USING ERRCODE = 'OT001',
            MESSAGE = format('no code is sent for now: codes that were sent before to %s were not used', CASE held.scope
                WHEN 'network' THEN 'this client network' WHEN 'asn' THEN 'the networks of this client''s provider'
                WHEN 'block' THEN 'this block of phone numbers' WHEN 'country' THEN 'new networks and numbers of this country'
                WHEN 'all' THEN 'new networks and numbers' ELSE 'new numbers' END),
            DETAIL = format('retry_after=%s window=86400 scope=fraud',
                ceil(least(600, greatest(60, extract(epoch FROM held.until - moment))))::int),
            HINT = 'otp.fraud_status shows the hold and its reason. It ends by itself when codes are used again.';
    END LOOP;
END $$;

-- Whether texts and used codes are counted.
CREATE FUNCTION otp.counts_use() RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM otp.limits l WHERE starts_with(l.scope, 'unused') OR l.times_usual IS NOT NULL);
END $$;

-- Notes that a code was used. A code that also went by e-mail proves no phone number.
CREATE FUNCTION otp.note_use(verification_id bigint, other_channels text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF otp.counts_use() AND NOT coalesce('email' = ANY (other_channels), false) THEN
        INSERT INTO otp.uncounted_codes (verification_id, is_used) VALUES (note_use.verification_id, true);
    END IF;
END $$;

-- Notes texts that were counted at their claim, and did not leave.
CREATE FUNCTION otp.note_unsent() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM ended e WHERE e.state IN ('failed', 'expired', 'limited') AND e.attempts > 0) AND otp.counts_use() THEN
        INSERT INTO otp.uncounted_codes (verification_id, is_used)
        SELECT e.verification_id, false FROM ended e WHERE e.state IN ('failed', 'expired', 'limited') AND e.attempts > 0
            AND e.channel <> 'email';
    END IF;
    RETURN NULL;
END $$;

-- Counts codes that were used, for the keys that their texts counted for. A used code takes back its text and one more, or two
-- more where less than 55% of the codes were used before. Real users of a key thus outweigh their own unused codes.
CREATE FUNCTION otp.count_uses(sends otp.claimed_send[], are_used boolean[], moment timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    today CONSTANT date := (moment AT TIME ZONE (SELECT s.timezone FROM otp.settings s))::date;
    this_hour CONSTANT timestamptz := date_trunc('hour', moment);
BEGIN
    WITH sent AS (
        SELECT u.id, u.created_at, u.is_used FROM unnest(sends, are_used) u (id, e164, country, client_ip, channel, created_at, is_used)
    ), codes AS (
        SELECT n.scope, n.key, s.created_at, s.is_used FROM otp.fraud_keys(sends) n JOIN sent s ON s.id = n.id
        UNION ALL
        SELECT 'sends', '', s.created_at, s.is_used FROM sent s
    ), counted AS (
        SELECT c.scope, c.key, count(*) FILTER (WHERE c.is_used)::int AS used, count(*) FILTER (WHERE NOT c.is_used)::int AS unsent,
            count(*) FILTER (WHERE c.is_used AND c.created_at >= h.since)::int AS held_used,
            count(*) FILTER (WHERE NOT c.is_used AND c.created_at >= h.since)::int AS held_unsent, bool_or(h.is_enforced) AS is_held
        FROM codes c LEFT JOIN otp.fraud_holds h ON h.scope = c.scope AND h.key = c.key GROUP BY 1, 2
    ), locked AS MATERIALIZED (
        SELECT f.scope, f.key, c.used, c.unsent, c.held_used, c.held_unsent, c.is_held
        FROM otp.fraud_counts f JOIN counted c ON c.key = f.key AND c.scope = f.scope ORDER BY f.key, f.scope FOR UPDATE OF f
    )
    UPDATE otp.fraud_counts f SET (day, hour, score, sent_today, used_today, used_hour, cost_today, peak_hour, peak_day, peak_cost,
            sent_before, used_before, proven_at, held_used, held_sent) = (
        SELECT t.day, t.hour,
            greatest(0, t.score - l.unsent - l.used * CASE WHEN (t.used_before + 14) / (t.sent_before + 20) < 0.55 THEN 3 ELSE 2 END),
            greatest(0, t.sent_today - l.unsent), t.used_today + l.used, t.used_hour + l.used, t.cost_today, t.peak_hour, t.peak_day,
            t.peak_cost, t.sent_before, t.used_before,
            CASE WHEN f.scope = 'network' AND l.used > 0 AND l.is_held IS NOT TRUE THEN coalesce(t.proven_at, moment) ELSE t.proven_at END,
            f.held_used + l.held_used, greatest(0, f.held_sent - l.held_unsent)
        FROM otp.fraud_turned(f, today, this_hour) t)
    FROM locked l WHERE f.key = l.key AND f.scope = l.scope;
END $$;

-- Counts the codes that were used since the last call, and reviews the holds. Any number of workers may call it, once a second
-- while there is something to do. A hold ends when it has lasted for its time, few requests are refused any longer, and the texts
-- that it let through were used, or hardly any came. A review looks at ten minutes or more, and begins anew after an hour.
CREATE FUNCTION otp.review_fraud(
    moment timestamptz DEFAULT clock_timestamp(), OUT counted int, OUT ended int, OUT held int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    settings record;
    codes record;
    h otp.fraud_holds;
    refused CONSTANT bigint := coalesce(pg_sequence_last_value('otp.refused_fraud'), 0);
BEGIN
    SELECT s.fraud_action, s.timezone INTO settings FROM otp.settings s;
    WITH taken AS (
        DELETE FROM otp.uncounted_codes u WHERE u.ctid = ANY (ARRAY(
            SELECT o.ctid FROM otp.uncounted_codes o LIMIT 1000 FOR UPDATE SKIP LOCKED))
        RETURNING u.verification_id, u.is_used
    )
    -- A verification may come twice, so each row has its own number.
    SELECT array_agg((c.number, c.e164, c.country, c.client_ip, 'sms', c.created_at)::otp.claimed_send) AS sends,
        array_agg(c.is_used) AS are_used, count(*) AS count INTO codes
    FROM (
        SELECT row_number() OVER () AS number, v.e164, v.country, v.client_ip, v.created_at, t.is_used
        FROM taken t JOIN otp.verifications v ON v.id = t.verification_id) c;
    counted := codes.count;
    IF counted > 0 THEN
        PERFORM otp.count_uses(codes.sends, codes.are_used, moment);
    END IF;
    ended := 0;
    FOR h IN SELECT o.* FROM otp.fraud_holds o ORDER BY o.key, o.scope FOR UPDATE SKIP LOCKED LOOP
        ended := ended + otp.review_hold(h, settings.fraud_action, settings.timezone, refused, moment)::int;
    END LOOP;
    SELECT count(*) INTO held FROM otp.fraud_holds o WHERE o.is_enforced;
END $$;
COMMENT ON FUNCTION otp.review_fraud IS 'For workers: counts codes that were used, and ends holds. Returns how many codes it counted, holds it ended, and keys that are held.';

-- Reviews one hold. Returns whether it ended.
CREATE FUNCTION otp.review_hold(h otp.fraud_holds, action text, timezone text, refused bigint, moment timestamptz) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    k otp.fraud_counts;
    is_cap CONSTANT boolean := h.scope IN ('total', 'budget');
    base CONSTANT int := CASE WHEN NOT is_cap THEN otp.fraud_base(h.scope, h.key) END;
    ends boolean;
BEGIN
    SELECT f.* INTO k FROM otp.fraud_counts f
    WHERE f.key = h.key AND f.scope = CASE WHEN is_cap THEN 'sends' ELSE h.scope END FOR UPDATE;
    IF is_cap THEN
        ends := h.until <= moment OR NOT EXISTS (SELECT FROM otp.usual_limits(k) u WHERE u.scope = h.scope AND u.used >= u.allowed);
    ELSE
        ends := h.ends_now OR k.key IS NULL OR base IS NULL
            OR moment >= h.until AND moment >= h.window_starts_at + interval '10 minutes'
                AND refused - h.window_refused <= extract(epoch FROM moment - h.window_starts_at) / 60
                AND (k.held_sent < 5 OR k.held_used >= 0.35 * k.held_sent);
    END IF;
    IF ends THEN
        DELETE FROM otp.fraud_holds o WHERE o.scope = h.scope AND o.key = h.key;
        PERFORM otp.record_decision(CASE WHEN h.ends_now THEN 'ended_by_hand' ELSE 'ended' END, h.scope, h.key, k.score,
            otp.fraud_allowance(k, base, moment), k, moment);
        UPDATE otp.fraud_counts f SET score = CASE WHEN h.ends_now THEN 0 ELSE least(f.score, otp.fraud_allowance(f, base, moment) / 2) END
        WHERE f.key = h.key AND f.scope = h.scope;
    ELSIF NOT is_cap AND moment >= h.window_starts_at + interval '1 hour' THEN
        UPDATE otp.fraud_holds o SET window_starts_at = moment, window_refused = refused, is_enforced = action <> 'observe'
        WHERE o.scope = h.scope AND o.key = h.key;
        UPDATE otp.fraud_counts f SET held_sent = 0, held_used = 0, probes = 0 WHERE f.key = h.key AND f.scope = h.scope;
    ELSIF NOT is_cap AND h.is_enforced <> (action <> 'observe') THEN
        UPDATE otp.fraud_holds o SET is_enforced = action <> 'observe' WHERE o.scope = h.scope AND o.key = h.key;
    END IF;
    RETURN ends;
END $$;

-- For operators: ends a hold within a second or two. Its score begins at zero again.
CREATE FUNCTION otp.end_hold(scope text, key text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE otp.fraud_holds h SET ends_now = true, until = clock_timestamp()
    WHERE h.scope = end_hold.scope AND h.key = end_hold.key AND h.scope NOT IN ('total', 'budget');
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION otp.end_hold IS 'For operators: ends a hold of otp.fraud_status. False if the key is not held, or if it is a limit: raise that in otp.limits.';

-- Deletes keys that have been quiet for two days and used nothing that still counts, old decisions, and old risks of numbers.
CREATE FUNCTION otp.prune_fraud(batch int, moment timestamptz) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    deleted int;
    today CONSTANT date := (moment AT TIME ZONE (SELECT s.timezone FROM otp.settings s))::date;
BEGIN
    DELETE FROM otp.fraud_counts f WHERE f.ctid = ANY (ARRAY(
        SELECT o.ctid FROM otp.fraud_counts o
        WHERE o.day < today - 1 AND (o.used_before + o.used_today) * 0.95 ^ least(today - o.day, 1000) < 0.5
            AND NOT EXISTS (SELECT FROM otp.fraud_holds h WHERE h.scope = o.scope AND h.key = o.key)
        LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    DELETE FROM otp.fraud_decisions d WHERE d.id = ANY (ARRAY(
        SELECT o.id FROM otp.fraud_decisions o WHERE o.decided_at < moment - interval '90 days' ORDER BY o.decided_at
        LIMIT batch FOR UPDATE SKIP LOCKED));
    DELETE FROM otp.number_risks r WHERE r.key = ANY (ARRAY(
        SELECT o.key FROM otp.number_risks o WHERE o.looked_up_at <= moment - interval '1 day' ORDER BY o.looked_up_at
        LIMIT batch FOR UPDATE SKIP LOCKED));
    RETURN deleted;
END $$;

-- The risk checks of the last 24 hours.
CREATE VIEW otp.risk_check_use AS
SELECT s.lookup_suspicious AND s.fraud_action = 'hold' AS is_on, s.lookups_per_day AS allowed,
    (SELECT count(*) FROM otp.number_risks r WHERE r.looked_up_at > now() - interval '1 day') AS looked_up,
    (SELECT count(*) FROM otp.number_risks r WHERE r.looked_up_at > now() - interval '1 day' AND r.score > s.max_risk_score) AS risky
FROM otp.settings s;
COMMENT ON VIEW otp.risk_check_use IS 'How many phone numbers were looked up at Twilio in the last 24 hours, and how many may be.';

-- What is held now. A block is shown with at most its first seven digits.
CREATE VIEW otp.fraud_status AS
SELECT h.scope, CASE WHEN h.scope = 'block' THEN left(h.key, 8) || '…' ELSE h.key END AS key, h.since, h.until, h.is_enforced,
    d.score, d.allowed, f.sent_today, f.used_today, f.held_sent AS let_through, f.held_used AS let_through_used,
    d.explanation || CASE WHEN h.is_enforced AND h.scope NOT IN ('total', 'budget') THEN coalesce(' ' || (
        SELECT format('Numbers of texts that pass are looked up at Twilio: %s in the last 24 hours, %s are allowed, and %s were too risky.',
            l.looked_up, l.allowed, l.risky) FROM otp.risk_check_use l WHERE l.is_on), '') ELSE '' END AS explanation,
    CASE WHEN h.scope IN ('total', 'budget') THEN 'If these texts are real, raise the row in otp.limits.'
        ELSE format('It ends by itself when codes are used again. If these requests are real: SELECT otp.end_hold(%L, %L), or a row in '
            'otp.fraud_exceptions.', h.scope, h.key) END AS remedy
FROM otp.fraud_holds h
LEFT JOIN otp.fraud_counts f ON f.key = h.key AND f.scope = CASE WHEN h.scope IN ('total', 'budget') THEN 'sends' ELSE h.scope END
LEFT JOIN LATERAL (
    SELECT o.score, o.allowed, o.explanation FROM otp.fraud_decisions o
    WHERE o.scope = h.scope AND o.key = h.key AND o.decided_at <= now() ORDER BY o.decided_at DESC, o.id DESC LIMIT 1
) d ON true;
COMMENT ON VIEW otp.fraud_status IS 'What is held now because its codes are not used, with the figures and a remedy.';

-- The shared limits and their current use. A prefix is shown with at most its first seven digits. A limit is used up when it
-- allows no further send. A budget is used up when it is too small for a send to the cheapest country. The limits with
-- times_usual are shown with what they allow today.
CREATE VIEW otp.limit_status AS
SELECT l.scope, l.channel,
    CASE l.scope WHEN 'prefix' THEN left(c.key, 8) || CASE WHEN length(c.key) > 8 THEN '…' ELSE '' END
        WHEN 'country' THEN c.key END AS key,
    l.period, coalesce(l.max_sends, l.max_cost) AS allowed, trim_scale(c.used) AS used,
    CASE WHEN c.used + CASE WHEN l.scope = 'budget' THEN coalesce((
            SELECT min(p.expected_cost) FROM otp.countries p WHERE p.expected_cost > 0), 1) ELSE 1 END
            > coalesce(l.max_sends, l.max_cost)
        THEN CASE l.period WHEN '1 day' THEN (w.starts_at AT TIME ZONE z.timezone + l.period) AT TIME ZONE z.timezone
            ELSE w.starts_at + l.period END END AS used_up_until
FROM otp.limits l
-- A subquery and not a join: for a join the planner assumes hundreds of settings rows, and would compile the query for seconds.
CROSS JOIN LATERAL (SELECT (SELECT s.timezone FROM otp.settings s) AS timezone) z
CROSS JOIN LATERAL (
    SELECT date_trunc(CASE l.period WHEN '1 day' THEN 'day' ELSE 'hour' END, now(), z.timezone) AS starts_at
) w
CROSS JOIN LATERAL (
    SELECT t.key, sum(t.amount) AS used FROM otp.shared_counts t
    WHERE t.starts_at = w.starts_at AND t.scope = l.scope || CASE l.channel WHEN '*' THEN '' ELSE ' ' || l.channel END AND t.period = l.period AND t.shard >= 0
        -- Keys of prefixes begin with a plus, and keys of countries with a letter. The index can thus find each kind alone.
        AND t.key >= CASE l.scope WHEN 'prefix' THEN '+' WHEN 'country' THEN 'A' ELSE '' END COLLATE "C"
        AND t.key <= CASE l.scope WHEN 'prefix' THEN '+:' WHEN 'country' THEN 'ZZ' ELSE '' END COLLATE "C"
        AND (l.scope <> 'prefix' OR length(t.key) = l.digits + 1)
    GROUP BY t.key
) c
WHERE l.scope IN ('prefix', 'country', 'total', 'budget') AND l.times_usual IS NULL
UNION ALL
SELECT u.scope, '*', NULL, interval '1 day', u.allowed, u.used, h.until
FROM otp.fraud_counts f CROSS JOIN LATERAL otp.usual_limits(f) u LEFT JOIN otp.fraud_holds h ON h.scope = u.scope AND h.key = ''
WHERE f.key = '' AND f.scope = 'sends';
COMMENT ON VIEW otp.limit_status IS 'The current use of each shared limit (prefix, country, total, budget), and until when it is used up.';

-- For otpd doctor: the guard, what today allows, and how many of today's texts came without a client address.
CREATE VIEW otp.fraud_coverage AS
SELECT s.fraud_action AS action, EXISTS (SELECT FROM otp.limits l WHERE starts_with(l.scope, 'unused')) AS is_counted,
    (SELECT coalesce(u.allowed, l.max_sends)::text FROM otp.limits l LEFT JOIN otp.limit_status u ON u.scope = 'total' AND u.period = '1 day'
        AND u.channel = '*' WHERE l.scope = 'total' AND l.times_usual IS NOT NULL) AS total,
    (SELECT concat_ws(' ', coalesce(u.allowed, l.max_cost), s.budget_unit) FROM otp.limits l LEFT JOIN otp.limit_status u
        ON u.scope = 'budget' AND u.period = '1 day' AND u.channel = '*' WHERE l.scope = 'budget' AND l.times_usual IS NOT NULL) AS budget,
    coalesce((SELECT f.sent_today FROM otp.fraud_counts f WHERE f.key = '' AND f.scope = 'sends'
        AND f.day = (now() AT TIME ZONE s.timezone)::date), 0) AS sent_today,
    coalesce((SELECT f.sent_today FROM otp.fraud_counts f WHERE f.key = '' AND f.scope = 'no_address'
        AND f.day = (now() AT TIME ZONE s.timezone)::date), 0) AS without_address
FROM otp.settings s;
COMMENT ON VIEW otp.fraud_coverage IS 'For otpd doctor: the guard against unused codes, and what today allows.';

CREATE TRIGGER note_unsent AFTER INSERT ON otp.unsent_jobs REFERENCING NEW TABLE AS ended
FOR EACH STATEMENT EXECUTE FUNCTION otp.note_unsent();

GRANT EXECUTE ON FUNCTION otp.judge_sends, otp.record_risk_checks, otp.review_fraud, otp.counts_use TO otp_worker;
GRANT EXECUTE ON FUNCTION otp.usual_limits TO otp_worker, otp_monitor, otp_admin;
GRANT INSERT ON otp.uncounted_codes TO otp_worker;
GRANT SELECT ON otp.fraud_status, otp.fraud_coverage, otp.limit_status, otp.risk_check_use TO otp_worker, otp_monitor, otp_admin;
GRANT SELECT ON otp.fraud_decisions, otp.risk_check_counts TO otp_monitor, otp_admin;
GRANT EXECUTE ON FUNCTION otp.end_hold TO otp_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON otp.fraud_exceptions, otp.networks TO otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (22, 'fraud');

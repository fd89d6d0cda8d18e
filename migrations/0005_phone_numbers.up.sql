-- Phone numbers: turns any spelling into E.164, by libphonenumber's rules on the table otp.regions, and masks numbers for
-- display.

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

-- Removes the national prefix if the rest can still be a number (libphonenumber's rule).
CREATE FUNCTION otp.strip_national_prefix(number text, region_row otp.regions) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    groups text[];
    stripped text;
BEGIN
    IF region_row.national_prefix IS NULL OR number = '' THEN
        RETURN number;
    END IF;
    groups := regexp_match(number, region_row.national_prefix);
    IF groups IS NULL THEN
        RETURN number;
    END IF;
    IF region_row.transform IS NULL OR groups[cardinality(groups)] IS NULL THEN
        stripped := regexp_replace(number, region_row.national_prefix, '');
    ELSE
        stripped := regexp_replace(number, region_row.national_prefix, region_row.transform);
    END IF;
    IF number ~ region_row.general AND NOT stripped ~ region_row.general THEN
        RETURN number;
    END IF;
    RETURN stripped;
END $$;

CREATE FUNCTION otp.phone_number_type(number text, region_row otp.regions) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CASE
    WHEN NOT number ~ (region_row).general THEN NULL
    WHEN number ~ (region_row).premium_rate THEN 'premium rate'
    WHEN number ~ (region_row).toll_free THEN 'toll free'
    WHEN number ~ (region_row).shared_cost THEN 'shared cost'
    WHEN number ~ (region_row).voip THEN 'voip'
    WHEN number ~ (region_row).personal THEN 'personal'
    WHEN number ~ (region_row).pager THEN 'pager'
    WHEN number ~ (region_row).uan THEN 'company'
    WHEN number ~ (region_row).voicemail THEN 'voicemail'
    WHEN number ~ (region_row).mobile THEN CASE WHEN number ~ (region_row).fixed_line THEN 'fixed line or mobile' ELSE 'mobile' END
    WHEN number ~ (region_row).fixed_line THEN 'fixed line'
END;

-- Normalizes a typed phone number or code. Digits of every script become ASCII. White space, line ends, invisible marks,
-- direction marks, dashes and dots are removed. A plus at the end moves to the front, because right-to-left fields put it
-- there. Everything else stays.
CREATE FUNCTION otp.read_typed(typed text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    -- The zeros of all decimal digits of Unicode 18.0 (general category Nd). The digits 1 to 9 follow each zero in order.
    -- migrations/tools/unicode_digits.py prints this list.
    zeros CONSTANT int[] := '{48,1632,1776,1984,2406,2534,2662,2790,2918,3046,3174,3302,3430,3558,3664,3792,3872,4160,4240,'
        '6112,6160,6470,6608,6784,6800,6992,7088,7232,7248,42528,43216,43264,43472,43504,43600,44016,65296,66720,68912,'
        '68928,69734,69872,69942,70096,70384,70736,70864,71248,71360,71376,71386,71472,71904,72016,72688,72784,73040,'
        '73120,73184,73552,90416,92768,92864,93008,93552,118000,120782,120792,120802,120812,120822,123200,123632,124144,'
        '124401,125264,130032}'::int[];
    result text COLLATE "C" := typed;
    character text COLLATE "C";
    point int;
    zero int;
BEGIN
    IF octet_length(result) <> length(result) THEN
        result := translate(result, E'\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669\u06F0\u06F1\u06F2\u06F3\u06F4\u06F5'
            '\u06F6\u06F7\u06F8\u06F9\u00A0\u200E\u200F', '01234567890123456789');     -- the most common characters
        IF octet_length(result) <> length(result) THEN
            -- In this order: white space; the soft hyphen and marks; dashes and minus signs; dots.
            result := regexp_replace(result, E'[\\u0085\\u00A0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000'
                '\\u00AD\\u061C\\u180E\\u200B-\\u200F\\u202A-\\u202E\\u2060-\\u206F\\uFEFF'
                '\\u058A\\u05BE\\u1400\\u1806\\u2010-\\u2015\\u207B\\u208B\\u2212\\u2E17\\u2E1A\\u2E3A\\u2E3B\\u2E40\\u2E5D\\u301C\\u3030\\u30A0'
                '\\u30FC\\uFE31\\uFE32\\uFE58\\uFE63\\uFF0D\\U00010D6E\\U00010EAD'
                '\\u00B7\\u06D4\\u2022\\u2024\\u2027\\u2219\\u22C5\\u3002\\u30FB\\uFE52\\uFF0E\\uFF61\\uFF65]+', '', 'g');
            FOREACH character IN ARRAY regexp_split_to_array(result, '') LOOP
                point := ascii(character);
                IF point > 127 THEN
                    zero := zeros[width_bucket(point, zeros)];
                    IF point <= zero + 9 THEN
                        result := replace(result, character, (point - zero)::text);
                    ELSIF character = E'\uFF0B' THEN
                        result := replace(result, character, '+');
                    END IF;
                END IF;
            END LOOP;
        END IF;
    END IF;
    result := translate(result, E' -.\t\n\x0B\f\r', '');
    IF right(result, 1) = '+' AND result <> '+' THEN
        result := '+' || btrim(result, '+');
    END IF;
    RETURN result;
END $$;

-- Turns any spelling into E.164, as libphonenumber reads it. An invalid number gives a reason instead. A number that is not in
-- use gives its E.164 form as `unused`, and is valid with the type `test` while it is a test number.
CREATE FUNCTION otp.parse_phone_number(
    raw text, region text, OUT e164 text, OUT country text, OUT type text, OUT reason text, OUT unused text)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    -- Symbols and punctuation beyond ASCII. All other characters beyond ASCII count as letters.
    symbols CONSTANT text := E'[\\u0080-\\u00BF\\u00D7\\u00F7\\u02C0-\\u02FF\\u0300-\\u036F\\u0600-\\u061F\\u066A-\\u066D\\u06D4\\u2000-\\u2BFF'
        '\\u2E00-\\u2E7F\\u3000-\\u303F\\uE000-\\uF8FF\\uFE00-\\uFE6F\\uFF00-\\uFF0F\\uFF1A-\\uFF20\\uFF3B-\\uFF40\\uFF5B-\\uFF65\\uFFE0-\\uFFFD'
        '\\U0001F000-\\U0001FAFF\\U000E0000-\\U000E01FF]';
    home otp.regions;         -- the region of a number without a country code
    region_row otp.regions;   -- the region that the number turns out to belong to
    home_region CONSTANT text COLLATE "C" := upper(region COLLATE "C");
    digits text COLLATE "C" := raw;
    number text COLLATE "C";
    rest text COLLATE "C";
    code int;
    international boolean;
BEGIN
    IF raw IS NULL OR raw = '' THEN
        reason := 'it is empty';
        RETURN;
    ELSIF octet_length(raw) > 256 THEN
        reason := 'it is far too long';
        RETURN;
    ELSIF NOT home_region ~ '^[A-Z]{2}$' THEN
        reason := 'its region is not a two-letter code such as ' || coalesce(otp.near_region(home_region), 'SA');
        RETURN;
    END IF;
    IF NOT digits ~ '^[+]?[0-9]+$' THEN
        digits := otp.read_typed(raw);
        IF NOT digits ~ '^[+]*[0-9]+$' THEN
            -- As in libphonenumber, characters around the number are removed, and brackets, slashes and asterisks inside it.
            -- Letters and extensions such as #5 and ~5 make the number invalid, because they cannot receive a text.
            digits := translate(digits, E'\uFF03\uFF5E\uFF08\uFF09\uFF0F\uFF3B\uFF3D\u223C\u2053', '#~');
            digits := regexp_replace(digits, symbols, '!', 'g');
            digits := regexp_replace(digits, E'^[^0-9A-Za-z+\\u0080-\\U0010FFFF]+', '');
            digits := regexp_replace(digits, E'[^0-9A-Za-z#\\u0080-\\U0010FFFF]+$', '');
            digits := translate(digits, '()/[]*', '');
            IF NOT digits ~ '^[+]*[0-9]+$' THEN
                reason := CASE WHEN NOT digits ~ E'[0-9A-Za-z#\\u0080-\\U0010FFFF]' THEN 'it has no digits'
                    WHEN digits ~ E'[A-Za-z#~;,\\u0080-\\U0010FFFF]' THEN 'it contains letters or an extension'
                    ELSE 'it contains characters that are not part of a phone number' END;
                RETURN;
            END IF;
        END IF;
    END IF;
    -- Find the country: by a plus, by the region's international prefix, or by the region's own country code in front.
    number := ltrim(digits, '+');
    international := starts_with(digits, '+');
    IF international THEN
        SELECT r.* INTO region_row FROM otp.regions r
        WHERE r.rank = 0 AND r.country_code IN (left(number, 1)::int, left(number, 2)::int, left(number, 3)::int)
            AND starts_with(number, r.country_code::text);
    END IF;
    IF region_row.region IS NULL THEN     -- no plus, or no known country code after it: '+0096650…' is read without the plus
        SELECT r.* INTO home FROM otp.regions r
        WHERE r.region = home_region AND r.region <> '001';
        IF home.region IS NULL THEN
            IF NOT EXISTS (SELECT FROM otp.regions) THEN
                RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                    MESSAGE = 'the table of phone numbers is empty', HINT = 'Run otpd migrate up.';
            END IF;
            reason := format('its region %s has no phone numbers', home_region)
                || coalesce(format(' (did you mean %s?)', otp.near_region(home_region)), '');
            RETURN;
        END IF;
        rest := regexp_replace(number, home.international_prefix, '');
        IF length(rest) < length(number) AND NOT starts_with(rest, '0') THEN
            number := rest;
            international := true;
            IF number <> '' THEN
                SELECT r.* INTO region_row FROM otp.regions r
                WHERE r.rank = 0
                    AND r.country_code IN (left(number, 1)::int, left(number, 2)::int, left(number, 3)::int)
                    AND starts_with(number, r.country_code::text);
            END IF;
        END IF;
    END IF;
    IF international AND (region_row.region IS NULL OR length(number) <= 2) THEN
        reason := 'its country code does not exist';
        RETURN;
    ELSIF international THEN
        number := substr(number, length(region_row.country_code::text) + 1);
    ELSE
        region_row := home;
        IF starts_with(number, home.country_code::text) THEN
            rest := otp.strip_national_prefix(substr(number, length(home.country_code::text) + 1), home);
            IF NOT number ~ home.general AND rest ~ home.general
                OR length(number) > home.lengths[cardinality(home.lengths)] THEN
                number := rest;
                IF home.rank <> 0 THEN
                    SELECT r.* INTO region_row FROM otp.regions r WHERE r.country_code = home.country_code AND r.rank = 0;
                END IF;
            END IF;
        END IF;
    END IF;
    code := region_row.country_code;

    -- Remove the national prefix, unless the rest has a length that no number of the region has.
    rest := otp.strip_national_prefix(number, region_row);
    IF length(rest) = ANY (region_row.lengths) AND NOT length(rest) = ANY (region_row.local_lengths)
        OR length(rest) > region_row.lengths[cardinality(region_row.lengths)] THEN
        number := rest;
    END IF;

    -- Check that the number is in use. Of the regions that share a country code, the first that knows the number is its country.
    type := otp.phone_number_type(number, region_row);
    IF type IS NULL OR region_row.rank <> 0 OR region_row.leading_digits IS NOT NULL THEN
        FOR region_row IN SELECT r.* FROM otp.regions r WHERE r.country_code = code ORDER BY r.rank LOOP
            CONTINUE WHEN NOT number ~ region_row.leading_digits;
            type := otp.phone_number_type(number, region_row);
            EXIT WHEN type IS NOT NULL OR region_row.leading_digits IS NOT NULL;
        END LOOP;
    END IF;
    IF type IS NULL THEN
        SELECT r.* INTO region_row FROM otp.regions r WHERE r.country_code = code AND r.rank = 0;
        reason := CASE
            WHEN length(number) < region_row.lengths[1] THEN format('it has too few digits for %s (+%s)', region_row.region, code)
            WHEN length(number) > region_row.lengths[cardinality(region_row.lengths)]
                THEN format('it has too many digits for %s (+%s)', region_row.region, code)
            WHEN length(code || number) <= 15 THEN format('no such number is in use in %s (+%s)', region_row.region, code)
            ELSE 'it has more than 15 digits' END;
        IF starts_with(reason, 'no such number') THEN
            unused := '+' || code || number;
            SELECT t.e164, t.country INTO e164, country
            FROM otp.test_numbers t WHERE t.e164 = unused AND t.expires_at > clock_timestamp();
            IF FOUND THEN
                type := 'test';
                reason := NULL;
            END IF;
        END IF;
    ELSIF type IN ('fixed line', 'toll free', 'premium rate', 'shared cost', 'company', 'voicemail', 'pager') THEN
        reason := format('it is a %s number, which cannot receive SMS', type);
    ELSE
        -- The stored E.164 form must be read as the same number when it is given again.
        IF region_row.rank = 0 THEN
            home := region_row;
        ELSE
            SELECT r.* INTO home FROM otp.regions r WHERE r.country_code = code AND r.rank = 0;
        END IF;
        rest := otp.strip_national_prefix(number, home);
        IF length(code || number) > 15 THEN
            reason := 'it has more than 15 digits';
        ELSIF rest <> number AND (length(rest) = ANY (home.lengths) AND NOT length(rest) = ANY (home.local_lengths)
            OR length(rest) > home.lengths[cardinality(home.lengths)]) THEN
            reason := format('without its national prefix it is another number (%s, +%s)', region_row.region, code);
        ELSE
            e164 := '+' || code || number;
            country := region_row.region;
        END IF;
    END IF;
END $$;

CREATE FUNCTION otp.to_e164(raw text, region text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parsed record;
BEGIN
    parsed := otp.parse_phone_number(raw, coalesce(region, (SELECT s.region FROM otp.settings s)));
    IF parsed.reason IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OT002', MESSAGE = 'invalid phone number: ' || parsed.reason,
            HINT = 'Give the number as typed, or in the form +966501234567.';
    END IF;
    RETURN parsed.e164;
END $$;
COMMENT ON FUNCTION otp.to_e164 IS 'Turns any spelling of a phone number into E.164, as libphonenumber does. Raises OT002 with the reason if the number is invalid.';

-- +9665•••••567 is enough to recognize your own number, and too little to call it.
CREATE FUNCTION otp.mask(e164 text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN length(e164) >= 12 THEN left(e164, 5) || repeat('•', length(e164) - 8) || right(e164, 3)
    ELSE left(e164, 3) || repeat('•', greatest(length(e164) - 5, 1)) || right(e164, 2) END;

GRANT EXECUTE ON FUNCTION otp.to_e164 TO otp_web;
GRANT EXECUTE ON FUNCTION otp.mask TO otp_worker;
GRANT EXECUTE ON FUNCTION otp.mask TO otp_monitor, otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (5, 'phone_numbers');

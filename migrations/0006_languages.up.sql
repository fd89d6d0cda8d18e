-- Chooses the text for a locale: its own text, the text of a fallback language, or the text of otp.settings.fallback_locale.

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

CREATE TABLE otp.language_fallbacks (
    language text COLLATE "C" PRIMARY KEY,
    falls_back_to text COLLATE "C" NOT NULL
);
COMMENT ON TABLE otp.language_fallbacks IS 'Which other language''s text serves a language without a text: arz → ar, iw → he, no ↔ nb.';

-- Three-letter codes of ISO 639-2 and 639-3 fall back to the two-letter code. Members of a macrolanguage fall back to it, such
-- as Najdi and Egyptian to Arabic. Old codes and new codes fall back to each other. The rows were written once from ISO 639.
INSERT INTO otp.language_fallbacks (language, falls_back_to)
SELECT language, v.falls_back_to FROM (VALUES
    ('aa', 'aar'), ('ab', 'abk'), ('ae', 'ave'), ('af', 'afr'), ('ak', 'aka fat'), ('am', 'amh'), ('an', 'arg'),
    ('ar', 'aao abh abv acm acq acw acx acy adf aeb aec afb ajp apc apd ara arb arq ars ary arz auz avl ayh ayl ayn ayp bbz pga shu ssh'),
    ('as', 'asm'), ('av', 'ava'), ('ay', 'ayc aym ayr'), ('az', 'azb aze azj'), ('ba', 'bak'), ('be', 'bel'),
    ('bg', 'bul'), ('bi', 'bis'), ('bm', 'bam'), ('bn', 'ben'), ('bo', 'bod tib'), ('br', 'bre'), ('bs', 'bos'),
    ('ca', 'cat'), ('ce', 'che'), ('ch', 'cha'), ('co', 'cos'), ('cr', 'cre crj crk crl crm csw cwd'),
    ('cs', 'ces cze'), ('cu', 'chu'), ('cv', 'chv'), ('cy', 'cym wel'), ('da', 'dan'), ('de', 'deu ger'),
    ('dv', 'div'), ('dz', 'dzo'), ('ee', 'ewe'), ('el', 'ell gre'), ('en', 'eng'), ('eo', 'epo'), ('es', 'spa'),
    ('et', 'ekk est vro'), ('eu', 'baq eus'), ('fa', 'fas per pes prs'),
    ('ff', 'ffm fub fuc fue fuf fuh fui ful fuq fuv'), ('fi', 'fin'), ('fj', 'fij'), ('fo', 'fao'),
    ('fr', 'fra fre'), ('fy', 'fry'), ('ga', 'gle'), ('gd', 'gla'), ('gl', 'glg'), ('gn', 'gnw grn gug gui gun nhd'),
    ('gu', 'guj'), ('gv', 'glv'), ('ha', 'hau'), ('he', 'heb'), ('hi', 'hin'), ('ho', 'hmo'), ('hr', 'hrv'),
    ('ht', 'hat'), ('hu', 'hun'), ('hy', 'arm hye'), ('hz', 'her'), ('ia', 'ina'), ('id', 'ind'), ('ie', 'ile'),
    ('ig', 'ibo'), ('ii', 'iii'), ('ik', 'esi esk ipk'), ('io', 'ido'), ('is', 'ice isl'), ('it', 'ita'),
    ('iu', 'ike ikt iku'), ('ja', 'jpn'), ('jv', 'jav'), ('ka', 'geo kat'), ('kg', 'kng kon kwy ldi'), ('ki', 'kik'),
    ('kj', 'kua'), ('kk', 'kaz'), ('kl', 'kal'), ('km', 'khm'), ('kn', 'kan'), ('ko', 'kor'),
    ('kr', 'kau kby knc krt'), ('ks', 'kas'), ('ku', 'ckb kmr kur sdh'), ('kv', 'koi kom kpv'), ('kw', 'cor'),
    ('ky', 'kir'), ('la', 'lat'), ('lb', 'ltz'), ('lg', 'lug'), ('li', 'lim'), ('ln', 'lin'), ('lo', 'lao'),
    ('lt', 'lit'), ('lu', 'lub'), ('lv', 'lav ltg lvs'), ('mg', 'bhr bmm bzc mlg msh plt skg tdx tkg txy xmv xmw'),
    ('mh', 'mah'), ('mi', 'mao mri'), ('mk', 'mac mkd'), ('ml', 'mal'), ('mn', 'khk mon mvf'), ('mr', 'mar'),
    ('ms', 'bjn btj bve bvu coa dup hji jak jax kvb kvr kxd lce lcf liw max may meo mfa mfb min mqg msa msi mui orn ors pel pse tmw urk vkk vkt xmm zlm zmi zsm'),
    ('mt', 'mlt'), ('my', 'bur mya'), ('na', 'nau'), ('nb', 'nob'), ('nd', 'nde'), ('ne', 'dty nep npi'),
    ('ng', 'ndo'), ('nl', 'dut nld'), ('nn', 'nno'), ('no', 'nor'), ('nr', 'nbl'), ('nv', 'nav'), ('ny', 'nya'),
    ('oc', 'oci'), ('oj', 'ciw ojb ojc ojg oji ojs ojw otw'), ('om', 'gax gaz hae orc orm'), ('or', 'ori ory spv'),
    ('os', 'oss'), ('pa', 'pan'), ('pi', 'pli'), ('pl', 'pol'), ('ps', 'pbt pbu pst pus'), ('pt', 'por'),
    ('qu', 'qub qud que quf qug quh quk qul qup qur qus quw qux quy quz qva qvc qve qvh qvi qvj qvl qvm qvn qvo qvp qvs qvw qvz qwa qwc qwh qws qxa qxc qxh qxl qxn qxo qxp qxr qxt qxu qxw'),
    ('rm', 'roh'), ('rn', 'run'), ('ro', 'ron rum'), ('ru', 'rus'), ('rw', 'kin'), ('sa', 'cls san vsn'),
    ('sc', 'sdc sdn src srd sro'), ('sd', 'snd'), ('se', 'sme'), ('sg', 'sag'), ('si', 'sin'), ('sk', 'slk slo'),
    ('sl', 'slv'), ('sm', 'smo'), ('sn', 'sna'), ('so', 'som'), ('sq', 'aae aat alb aln als sqi'), ('sr', 'srp'),
    ('ss', 'ssw'), ('st', 'sot'), ('su', 'sun'), ('sv', 'swe'), ('sw', 'swa swc swh'), ('ta', 'tam'), ('te', 'tel'),
    ('tg', 'tgk'), ('th', 'tha'), ('ti', 'tir'), ('tk', 'tuk'), ('tl', 'tgl'), ('tn', 'tsn'), ('to', 'ton'),
    ('tr', 'tur'), ('ts', 'tso'), ('tt', 'tat'), ('tw', 'twi'), ('ty', 'tah'), ('ug', 'uig'), ('uk', 'ukr'),
    ('ur', 'urd'), ('uz', 'uzb uzn uzs'), ('ve', 'ven'), ('vi', 'vie'), ('vo', 'vol'), ('wa', 'wln'), ('wo', 'wol'),
    ('xh', 'xho'), ('yi', 'ydd yid yih'), ('yo', 'yor'),
    ('za', 'zch zeh zgb zgm zgn zha zhd zhn zlj zln zlq zqe zyb zyg zyj zyn zzj'),
    ('zh', 'cdo chi cjy cmn cnp cpx csp czh czo gan hak hnm hsn luh lzh mnp nan sjc wuu yue zho'), ('zu', 'zul')
) v (falls_back_to, languages), regexp_split_to_table(v.languages, ' ') language;

INSERT INTO otp.language_fallbacks (language, falls_back_to) VALUES
    ('he', 'iw'), ('iw', 'he'), ('id', 'in'), ('in', 'id'), ('yi', 'ji'), ('ji', 'yi'), ('jv', 'jw'), ('jw', 'jv'),
    ('ro', 'mo'), ('mo', 'ro'), ('fil', 'tl'), ('tl', 'fil'), ('nn', 'nb'), ('nb', 'no'), ('no', 'nb');

-- Finds the text for a purpose and a wanted locale, and returns that text's locale; null if there is none. The search follows
-- RFC 4647: ar serves ar-SA and AR_sa. Then it tries the fallback language: ar serves ars-SA. Then it tries
-- otp.settings.fallback_locale. Phones and browsers add parts that do not name a language, and these are cut off:
-- @calendar=…, ;q=0.9, further languages, .UTF-8, -u-nu-latn.
CREATE FUNCTION otp.text_locale(purpose text, wanted text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    tag text COLLATE "C" := regexp_replace(left(wanted, 1000) COLLATE "C",
        E'^[\\s\\u00A0\\u00AD\\u200B-\\u200F\\u2028-\\u202F\\u2060-\\u2069\\uFEFF]+', '');
    range text COLLATE "C";
    next_language text COLLATE "C";
    found_locale text;
BEGIN
    tag := lower(translate(substring(tag FROM E'^[^@;,.#[:space:]\\u00A0\\u00AD\\u200B-\\u200F\\u2028-\\u202F\\u2060-\\u2069\\uFEFF]*'), '_', '-'));
    tag := regexp_replace(tag, '-[a-z0-9](-.*)?$|-+$', '');
    IF length(tag) <= 35 THEN
        FOR hop IN 1..4 LOOP     -- no chain of languages is longer
            range := tag;
            WHILE range IS NOT NULL LOOP
                SELECT t.locale INTO found_locale FROM otp.templates t
                WHERE t.purpose = text_locale.purpose AND lower(translate(t.locale COLLATE "C", '_', '-')) = range
                ORDER BY t.locale LIMIT 1;
                IF FOUND THEN
                    RETURN found_locale;
                END IF;
                range := substring(range FROM '^(.+)-[^-]*$');
            END LOOP;
            SELECT f.falls_back_to INTO next_language FROM otp.language_fallbacks f
            WHERE f.language = substring(tag FROM '^[a-z]+');
            EXIT WHEN NOT FOUND;
            tag := regexp_replace(tag, '^[a-z]+', next_language);
        END LOOP;
    END IF;
    SELECT t.locale INTO found_locale FROM otp.templates t JOIN otp.settings s ON t.locale = s.fallback_locale
    WHERE t.purpose = text_locale.purpose;
    RETURN found_locale;
END $$;

-- Like otp.text_locale, but raises OT004 with the reason if no text is found.
CREATE FUNCTION otp.required_locale(purpose text, wanted text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    found_locale CONSTANT text := otp.text_locale(purpose, wanted);
BEGIN
    IF found_locale IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OT004',
            MESSAGE = CASE WHEN EXISTS (SELECT FROM otp.templates t WHERE t.purpose = required_locale.purpose)
                THEN format('no text in the locale %L for the purpose %L', left(wanted, 40), purpose)
                ELSE format('unknown purpose: %L', left(purpose, 60)) END,
            HINT = 'Texts are rows of otp.templates. otp.settings.fallback_locale can name one text for all other locales.';
    END IF;
    RETURN found_locale;
END $$;

INSERT INTO otp.schema_migrations (version, name) VALUES (6, 'languages');

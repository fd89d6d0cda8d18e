-- Which language's text stands in for another's: codes of ISO 639-2 and 639-3 → the code of two letters, members of a
-- macrolanguage (Najdi, Egyptian … → Arabic) → that, old codes ↔ new ones. Written once from ISO 639.

-- Whatever the role or the database has set (ALTER ROLE, ALTER DATABASE): each file sets what it relies on.
SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL standard_conforming_strings = on;

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;

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

INSERT INTO otp.schema_migrations (version, name) VALUES (3, 'languages');

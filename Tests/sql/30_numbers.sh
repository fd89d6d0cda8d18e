# Numbers of the ranges that are in use today, in any spelling, and in a database of any locale. Also invalid numbers.
# Tests/sql/phone_numbers.py compares the table with the library.
for number in +966574012345 +971531234567 +905561234567 +12748201234; do
    gives "$number is one" "$number" "SELECT otp.to_e164('$number')"
done
gives "as people there write them" "+966574012345|+971531234567|+905561234567|+12748201234" \
    "SELECT otp.to_e164('0574012345', 'SA'), otp.to_e164('053 123 4567', 'AE'), otp.to_e164('0556 123 45 67', 'TR'), otp.to_e164('(274) 820-1234', 'US')"
# Examples from the issue trackers of other programs.
while IFS='|' read -r text region number; do
    gives "in $region: $text" "$number" "SELECT e164 FROM otp.parse_phone_number('$text', '$region')"
done <<'S'
0579444126|SA|+966579444126
+966579700001|SA|+966579700001
0529339123|SA|
+96877123456|SA|+96877123456
+37499336998|SA|+37499336998
+0407123456|AU|
+++46 70 123 45 67|SE|+46701234567
+353ks.123456789|IE|
a53055a51212a|US|
S
typed() { printf '%s\n' '966501234567+' '٩٦٦٥٠١٢٣٤٥٦٧+' '+٩٦٦٥٠١٢٣٤٥٦٧' '೦೫೦೧೨೩೪೫೬೭' '០៥០១២៣៤៥៦៧' '𝟎𝟓𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕' '０५০1٢۳४5６7' \
    '(050) 123/4567' '[050]1234567' '050*1234567' '☎ 0501234567' "'0501234567" '0501234567!' '0501234567,' '＋966501234567' '+966(0)501234567' '9 6 6 5 0 1 2 3 4 5 6 7 +'; }
while read -r text; do
    gives "typed $text" +966501234567 "SELECT otp.to_e164('${text//\'/\'\'}')"
done < <(typed)
# Invisible characters before, within and after a number.
marks=$(printf '%s ' '\r\n' '\n' '\t' '\x0b' '\f' '\r' '\x20' '\u0085' '\u00a0' '\u00ad' '\u058a' '\u05be' '\u061c' '\u1680' '\u180e' '\u2000' '\u2003' '\u200a' '\u200b' '\u200c' '\u200d' '\u200e' '\u200f' '\u2010' '\u2011' '\u2012' \
    '\u2013' '\u2014' '\u2015' '\u2212' '\u2028' '\u2029' '\u202a' '\u202b' '\u202c' '\u202d' '\u202e' '\u202f' '\u205f' '\u2060' '\u2061' '\u2064' '\u2066' '\u2067' '\u2068' '\u2069' '\u2e3a' '\u3000' '\u301c' '\u3030' '\u30fc' '\ufe58' '\ufe63' '\uff0d' '\ufeff' '.' '\uff0e' '\u00b7' '\u2024' '\u3002' '-' '\u2014\u200f\x20\u2028')
for mark in $marks; do
    echo "SELECT E'mark \\$mark' WHERE (otp.to_e164(E'${mark}0501234567'), otp.to_e164(E'050${mark}1234567'), otp.to_e164(E'0501234567$mark'), otp.to_e164(E'966501234567$mark+$mark'), otp.read_typed(E'${mark}12${mark}3456$mark')) IS DISTINCT FROM ('+966501234567', '+966501234567', '+966501234567', '+966501234567', '123456');"
done >"$work/marks"
check "marks, white space, dashes and dots before, within and behind a number and a code" "" "$(sql -f "$work/marks")"
gives "every digit of Unicode 18.0" 770 "SELECT count(*) FROM regexp_split_to_table('48,1632,1776,1984,2406,2534,2662,2790,2918,3046,3174,3302,3430,3558,3664,3792,3872,4160,4240,6112,6160,6470,6608,6784,6800,6992,7088,7232,7248,42528,43216,43264,43472,43504,43600,44016,65296,66720,68912,68928,69734,69872,69942,70096,70384,70736,70864,71248,71360,71376,71386,71472,71904,72016,72688,72784,73040,73120,73184,73552,90416,92768,92864,93008,93552,118000,120782,120792,120802,120812,120822,123200,123632,124144,124401,125264,130032', ',') z, generate_series(0, 9) d WHERE otp.read_typed(chr(z::int + d)) = d::text AND otp.read_typed('1' || chr(z::int + d)) = '1' || d"
gives "what is no digit stays" "①②|²|Ⅷ|٪|五" "SELECT otp.read_typed('①②'), otp.read_typed('²'), otp.read_typed('Ⅷ'), otp.read_typed('٪'), otp.read_typed('五')"
gives "a plus alone is one" "+|+1|" "SELECT otp.read_typed('+'), otp.read_typed('++1++'), otp.read_typed('')"
gives "no text has no reading" "t" "SELECT otp.read_typed(NULL) IS NULL"
while read -r wrong; do
    fails "no number: $wrong" OT002 "SELECT otp.to_e164('${wrong//\'/\'\'}', 'SA')"
done < <(printf '%s\n' '+' '++' '☎' '0501234567 ext 3' '0501234567#3' '0501234567;ext=3' '0501234567~3' '0501234567,,3' 'tel:+966501234567' '05012345６7x' 'هاتف 0501234567' '050é1234567' '050€1234567' "050'1234567" \
    '050+1234567' '+966501234567+966501234567' '٠٥٠١٢٣٤٥٦' '٠٥٠١٢٣٤٥٦٧٨' '+٩٩٩٥٠١٢٣٤٥٦٧' '0112345678' '8001234567' '五〇一二三四五六七' '①②③④⑤⑥⑦⑧⑨' '<0501234567>0551234567')
for region in UK:GB ksa:SA TUR:TR UAE:AE; do
    says "the region that was meant: ${region%:*}" "${region#*:}" "SELECT otp.to_e164('0501234567', '${region%:*}')"
done
fails "a region that is none" OT002 "SELECT otp.to_e164('0501234567', 'XX')"
gives "numbers of no country have a type too" "001|voip" "SELECT country, type FROM otp.parse_phone_number('+883510012345', 'SA')"
# A stored number is read as itself, in any region.
gives "E.164 is the same in any region" 0 "SELECT count(*) FROM otp.regions r, (VALUES ('+966501234567'), ('+393123456789'), ('+525519965678'), ('+5491123456789'), ('+77010001234'), ('+442079460000')) n (e164), otp.parse_phone_number(n.e164, r.region) p WHERE r.region <> '001' AND p.e164 IS DISTINCT FROM (SELECT q.e164 FROM otp.parse_phone_number(n.e164, 'SA') q)"
fails "what would read as another number is none" OT002 "SELECT otp.to_e164('+52115519965678', 'MX')"

# The same in databases whose locale has other case rules or none, and from a column with a loose collation.
made() { PGDATABASE=postgres psql -qX -c "DROP DATABASE IF EXISTS ${PGDATABASE}_locale" -c "CREATE DATABASE ${PGDATABASE}_locale TEMPLATE template0 ENCODING 'UTF8' $1" 2>&1; }
for locale in "LOCALE 'C'" "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LOCALE 'C.UTF-8'" "LOCALE_PROVIDER icu ICU_LOCALE 'ar-SA-u-nu-arab' LOCALE 'C.UTF-8'"; do
    check "a database of $locale" "" "$(made "$locale")"
    check "migrates" "" "$(migrate "${PGDATABASE}_locale" 2>&1 | grep -v NOTICE)"
    gives_there() { check "$1" "$2" "$(PGDATABASE=${PGDATABASE}_locale sql -c "$3")"; }
    gives_there "reads numbers" "+966501234567|+966501234567|+966501234567|+966501234567|+919812345678" "SELECT otp.to_e164('٩٦٦٥٠١٢٣٤٥٦٧+'), otp.to_e164('೦೫೦೧೨೩೪೫೬೭'), otp.to_e164(E'\\u202d050\\u2011123 4567\\r\\n'), otp.to_e164('0501234567', 'sa'), otp.to_e164('९८१२३४५६७८', 'in')"
    gives_there "reads locales" "ar|en|ar" "SELECT otp.text_locale('phone_verification', 'AR_IQ'), otp.text_locale('phone_verification', 'EN_IN'), otp.text_locale('phone_verification', 'ARS-Arab-SA')"
    gives_there "reads codes" "t" "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('a', '0501234567', '123456'); SELECT otp.verify('a', E'१२३\\u2013४५६')"
    gives_there "and names near regions" "IN|GB" "SELECT otp.near_region('ind'), otp.near_region('uk')"
done
PGDATABASE=${PGDATABASE}_locale sql -c "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)"
gives_there "a column that compares as it likes" "+966501234567|+966501234567|t" "CREATE TABLE u (phone text COLLATE loose, id text COLLATE loose); INSERT INTO u VALUES ('050 123-4567', 'u1'); SELECT otp.to_e164(phone), otp.to_e164('٠٥٠١٢٣٤٥٦٧' COLLATE loose, 'SA' COLLATE loose), otp.read_typed('١٢٣' COLLATE loose) = '123' FROM u"
PGDATABASE=postgres psql -qX -c "DROP DATABASE ${PGDATABASE}_locale"

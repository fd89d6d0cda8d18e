# The results of a plain INSERT, and its refusals.
verification plain >/dev/null
gives "defaults" "phone_verification|en|SA|+966501234567|SA|0|t|t|t|t" \
    "SELECT purpose, locale, region, e164, country, attempts, code IS NULL, octet_length(code_hash) = 32, length(key_id) = 16, expires_at = created_at + '5 minutes' FROM otp.verifications WHERE subject = 'plain'"
gives "six digits" "t" "SELECT bool_and(unseal(sealed_code, key_id) ~ '^[0-9]{6}\$') FROM otp.verifications"
gives "code is never returned" "" "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('c', '0501234567', '001234') RETURNING code"
gives "leading zeros survive in the seal" "001234" "SELECT unseal(sealed_code, key_id) FROM otp.verifications WHERE subject = 'c'"
gives "codes have no bias that 20,000 draws show" "t" \
    "SELECT max(n) - min(n) < 450 FROM (SELECT left(otp.generate_code(), 1) d, count(*) n FROM generate_series(1, 20000) GROUP BY 1) x"
gives "and verify" "f|f|t" "SELECT otp.verify('c', '1234'), otp.verify('c', '01234'), otp.verify('c', '001234')"
gives "drawn ones keep theirs: a tenth begins with 0, all have six digits" "t|t" "SELECT bool_and(code ~ '^[0-9]{6}\$'), count(*) FILTER (WHERE code LIKE '0%') BETWEEN 400 AND 600 FROM (SELECT otp.generate_code() code FROM generate_series(1, 5000)) x"
fails "OT003 without secret" OT003 "SET otp.secret = ''; INSERT INTO otp.verifications (subject, phone_number) VALUES ('a', '0501234567')"
fails "OT003 short secret" OT003 "SET otp.secret = 'short'; INSERT INTO otp.verifications (subject, phone_number) VALUES ('a', '0501234567')"
fails "OT003 strange secret" OT003 "SET otp.secret = '0123456789 0123456789 0123456789 0123456789'; INSERT INTO otp.verifications (subject, phone_number) VALUES ('a', '0501234567')"
fails "OT002 not a number" OT002 "INSERT INTO otp.verifications (subject, phone_number) VALUES ('a', '12')"
fails "OT002 null number" OT002 "INSERT INTO otp.verifications (subject) VALUES ('a')"
fails "OT002 landline" OT002 "INSERT INTO otp.verifications (subject, phone_number) VALUES ('a', '0112345678')"
fails "OT002 10 MB" OT002 "INSERT INTO otp.verifications (subject, phone_number) SELECT 'a', repeat('5', 10000000)"
fails "OT002 region" OT002 "INSERT INTO otp.verifications (subject, phone_number, region) VALUES ('a', '0501234567', 'Saudi'';DROP')"
fails "OT004 locale" OT004 "INSERT INTO otp.verifications (subject, phone_number, locale) VALUES ('a', '0501234567', 'xx')"
sql -c "INSERT INTO otp.templates VALUES ('phone_verification', 'zh-Hant', '{code}')"
for pair in ar=ar ar-SA=ar ar_SA=ar AR-sa=ar ar_SA.UTF-8=ar ar-Arab-SA-x-y=ar en-GB=en EN=en zh-Hant-TW=zh-Hant ZH_HANT=zh-Hant; do
    gives "locale ${pair%=*} has the text of ${pair#*=}" "${pair#*=}" "INSERT INTO otp.verifications (subject, phone_number, locale) VALUES ('locale', '0501234567', '${pair%=*}') RETURNING locale"
done
for locale in zh zh-Hans zh-TW arab a -ar '' "ar'" ar--SA-"$(printf 'x%.0s' {1..40})"; do
    fails "OT004 locale '$locale'" OT004 "INSERT INTO otp.verifications (subject, phone_number, locale) VALUES ('locale', '0501234567', '${locale//\'/\'\'}')"
done
sql -c "DELETE FROM otp.templates WHERE locale = 'zh-Hant'"
fails "OT004 purpose" OT004 "INSERT INTO otp.verifications (subject, phone_number, purpose) VALUES ('a', '0501234567', 'nope')"
fails "OT005 country" OT005 "INSERT INTO otp.verifications (subject, phone_number) VALUES ('a', '+14155552671')"
fails "OT007 empty subject" OT007 "INSERT INTO otp.verifications (subject, phone_number) VALUES ('', '0501234567')"
fails "OT007 no subject" OT007 "INSERT INTO otp.verifications (phone_number) VALUES ('0501234567')"
fails "OT007 long subject" OT007 "INSERT INTO otp.verifications (subject, phone_number) VALUES (repeat('a', 201), '0501234567')"
fails "OT007 control characters" OT007 "INSERT INTO otp.verifications (subject, phone_number) VALUES (E'a\\nb', '0501234567')"
fails "OT007 code" OT007 "INSERT INTO otp.verifications (subject, phone_number, code) VALUES ('a', '0501234567', '12; --')"
fails "OT007 too long a life" OT007 "INSERT INTO otp.verifications (subject, phone_number, expires_at) VALUES ('a', '0501234567', now() + '11 minutes')"
fails "OT007 too short a life" OT007 "INSERT INTO otp.verifications (subject, phone_number, expires_at) VALUES ('a', '0501234567', now() + '30 seconds')"
fails "OT007 the past" OT007 "INSERT INTO otp.verifications (subject, phone_number, expires_at) VALUES ('a', '0501234567', '2001-01-01')"
fails "OT007 infinity" OT007 "INSERT INTO otp.verifications (subject, phone_number, expires_at) VALUES ('a', '0501234567', 'infinity')"
gives "one minute and ten minutes are allowed" "2" \
    "WITH i AS (INSERT INTO otp.verifications (subject, phone_number, expires_at) VALUES ('t1', '0501234567', now() + '1 minute'), ('t2', '0501234567', now() + '10 minutes') RETURNING 1) SELECT count(*) FROM i"
gives "SQL in every text column is text" "1" \
    "WITH i AS (INSERT INTO otp.verifications (subject, phone_number) VALUES ('''; DROP TABLE otp.verifications; --', '0501234567') RETURNING 1) SELECT count(*) FROM i"
fails "a verification cannot be changed" OT007 "UPDATE otp.verifications SET expires_at = now() + '1 hour'"
says "a refusal says why, without the number" "too few digits for SA" "SELECT otp.to_e164('0501')"
check "a refusal never echoes the number" "" "$(psql -qX -d "$PGDATABASE" -c "INSERT INTO otp.verifications (subject, phone_number) VALUES ('a', '050123456789012')" 2>&1 | grep -v '^LINE' | grep -o 050123456789012)"
gives "nothing half-written" "0" "SELECT count(*) FROM otp.verifications WHERE subject = 'a'"
fails "a template without {code} is refused by the table" 23514 "INSERT INTO otp.templates VALUES ('phone_verification', 'fr', 'Bonjour')"
for spelling in 0501234567 501234567 966501234567 +966501234567 00966501234567 '+966 (0)50 123-4567' ٠٥٠١٢٣٤٥٦٧ '۰۵۰-۱۲۳-۴۵۶۷' '０５０１２３４５６７' '+00966501234567' '050.123.4567' $'\u202a+966 50 123 4567\u202c' $'\u200e0501234567\u200f'; do
    gives "spelling $spelling" +966501234567 "SELECT otp.to_e164('$spelling', 'SA')"
done
for wrong in '' ' ' 05012 '050123456x9' '0501234567 ext 3' '050123456７８９' '+999501234567' '+' 'O501234567' '0501234567;DROP' '+966' '00'; do
    fails "no number: '$wrong'" OT002 "SELECT otp.to_e164('$wrong', 'SA')"
done

# Locales as phones and browsers report them, and the text for a locale that has none.
locale() { sql -c "INSERT INTO otp.verifications (subject, phone_number, locale) VALUES ('locale', '0501234567', '${1//\'/\'\'}') RETURNING locale"; }
while IFS='|' read -r wanted text; do
    check "locale '$wanted'" "$text" "$(locale "$wanted")"
done <<'S'
ars_SA|ar
ar_SA@calendar=islamic-umalqura;numbers=latn|ar
ar_SA@calendar=islamic-umalqura;numbers=latn;collation=search;colstrength=primary|ar
ar,en;q=0.9|ar
ar-SA,ar;q=0.9,en;q=0.8|ar
 ar|ar
ar |ar
ar-u-nu-latn|ar
ar-SA-u-ca-islamic-umalqura-nu-latn-fw-sun-hc-h12|ar
ar-x-private|ar
ar_SA_#u-nu-latn|ar
ar_SA.UTF-8@euro|ar
arb|ar
arz-EG|ar
apc|ar
ara|ar
AR|ar
eng|en
en-US-posix|en
EN_INDIA|en
S
check "a locale between marks" ar "$(locale $'\u200far\u00a0')"
check "a locale with a line end" ar "$(locale $'\n ar_SA\r\n')"
for wanted in xx ar@ '@ar' ';' '' ' ' C POSIX '*' '-ar' 'a' "$(printf 'ar-%.0s' {1..20})xx" "x-ar" "arabic"; do
    [ "$wanted" = ar@ ] && continue
    check "OT004 '$wanted'" "ERROR:  OT004" "$(locale "$wanted" | grep ^ERROR)"
done
sql -c "INSERT INTO otp.templates VALUES ('phone_verification', 'he', '{code}'), ('phone_verification', 'in', '{code}'), ('phone_verification', 'nb-NO', '{code}'), ('phone_verification', 'no', '{code}'), ('phone_verification', 'fil', '{code}'), ('phone_verification', 'zh', '{code}')"
for pair in iw=he iw_IL=he heb=he id=in id-ID=in ind=in nb=no nb-NO=nb-NO no-NO=no nn=no nob-NO=nb-NO nor=no tl=fil tgl_PH=fil cmn-Hans-CN=zh yue=zh chi=zh; do
    check "locale ${pair%=*} has the text of ${pair#*=}" "${pair#*=}" "$(locale "${pair%=*}")"
done
sql -c "DELETE FROM otp.templates WHERE locale NOT IN ('en', 'ar')"
# All other locales, if otp.settings.fallback_locale is set.
gives "no fallback unless it is set" "t" "SELECT fallback_locale IS NULL FROM otp.settings"
sql -c "UPDATE otp.settings SET fallback_locale = 'en'"
for pair in fr=en xx=en C=en ''=en "$(printf 'x%.0s' {1..60})"=en ars=ar ar-SA=ar; do
    check "with a fallback, locale '${pair%=*}'" "${pair#*=}" "$(locale "${pair%=*}")"
done
fails "an unknown purpose stays one" OT004 "INSERT INTO otp.verifications (subject, phone_number, purpose, locale) VALUES ('a', '0501234567', 'nope', 'fr')"
sql -c "INSERT INTO otp.templates VALUES ('login', 'ar', '{code}')"
fails "a purpose without that text has no fallback" OT004 "INSERT INTO otp.verifications (subject, phone_number, purpose, locale) VALUES ('a', '0501234567', 'login', 'fr')"
says "which says where it is set" "fallback_locale" "INSERT INTO otp.verifications (subject, phone_number, purpose, locale) VALUES ('a', '0501234567', 'login', 'fr')"
fails "a fallback that no text has" OT007 "UPDATE otp.settings SET fallback_locale = 'fr'"
says "says which there are" "HINT:.*ar, en" "UPDATE otp.settings SET fallback_locale = 'fr'"
sql -c "UPDATE otp.settings SET fallback_locale = NULL" -c "DELETE FROM otp.templates WHERE purpose = 'login'"
gives "no language falls back to one that falls back for ever, or to nothing" 0 "SELECT count(*) FROM otp.language_fallbacks f WHERE f.language = f.falls_back_to OR NOT f.falls_back_to ~ '^[a-z]{2,3}$' OR NOT f.language ~ '^[a-z]{2,3}$'"
clean

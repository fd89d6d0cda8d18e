# Settings are checked when they are written. An invalid value gives OT007, with the value and a hint.
refused() { # statement, what the answer has
    local answer
    answer=$(psql -qXAt -v VERBOSITY=verbose -d "$PGDATABASE" -c "$1" 2>&1)
    check "$1" "OT007 with $2" "$(grep -q '^ERROR:  OT007: ' <<<"$answer" && grep -qE -- "$2" <<<"$answer" && echo "OT007 with $2" || echo "$answer")"
}
zone() { refused "UPDATE otp.settings SET timezone = '$1'" "$2"; }
zone '' 'HINT:  Name a place'
zone ' ' 'HINT:  Name a place'
zone Riyadh "HINT:  Write 'Asia/Riyadh'"
zone asia/riyadh "HINT:  Write 'Asia/Riyadh'"
zone 'New York' "HINT:  Write 'America/New_York'"
zone 'UTC+3' "HINT:.*Etc/GMT-3"
zone 'GMT+03:00' "HINT:.*Etc/GMT-3"
zone '+3' "HINT:.*Etc/GMT-3"
zone 'UTC-05' "HINT:.*Etc/GMT\+5"
zone '<+03>-3' 'HINT:  Name a place'
zone '+05:30' 'HINT:  Name a place'
zone '-10:00:00' 'HINT:  Name a place'
zone AST 'timezone cannot be .AST.'
zone localtime 'HINT:  Name a place'
zone posix/Asia/Riyadh 'HINT:'
for good in Asia/Riyadh Etc/GMT-3 UTC America/Argentina/Buenos_Aires; do
    gives "the time zone $good" "$good" "UPDATE otp.settings SET timezone = '$good' RETURNING timezone"
done
sql -c "ALTER TABLE otp.settings DISABLE TRIGGER before_write" -c "UPDATE otp.settings SET timezone = 'Asia/Nowhere'" -c "ALTER TABLE otp.settings ENABLE TRIGGER before_write"
gives "the others of the row can be set without a look at time zones" t "UPDATE otp.settings SET max_attempts = max_attempts RETURNING true"
sql -c "UPDATE otp.settings SET timezone = 'Asia/Riyadh'"

for pair in UK:GB KSA:SA UAE:AE USA:US sa:SA SAU:SA EN:GB TUR:TR; do
    refused "INSERT INTO otp.countries (region) VALUES ('${pair%:*}')" "HINT:  Write '${pair#*:}'"
    refused "UPDATE otp.settings SET region = '${pair%:*}'" "HINT:  Write '${pair#*:}'"
    refused "INSERT INTO otp.pauses (scope, key, reason) VALUES ('country', '${pair%:*}', 'x')" "HINT:  Write '${pair#*:}'"
done
for none in XX AA '' ZZ 12 'Saudi Arabia' "ف"; do
    refused "INSERT INTO otp.countries (region) VALUES ('$none')" "HINT:  Give the two letters"
    refused "UPDATE otp.settings SET region = '$none'" "HINT:  Give the two letters"
done
refused "UPDATE otp.countries SET region = 'XX' WHERE region = 'SA'" "otp.countries.region cannot be 'XX'"
refused "UPDATE otp.settings SET region = '001'" "HINT:.*SA"
refused "INSERT INTO otp.pauses (scope, key, reason) VALUES ('country', 'XX', 'x')" "the country of a pause cannot be 'XX'"
gives "countries there are" "001 AE GB XK" "INSERT INTO otp.countries (region) VALUES ('GB'), ('AE'), ('001'), ('XK'); SELECT string_agg(region, ' ' ORDER BY region) FROM otp.countries WHERE region <> 'SA'"
sql -c "DELETE FROM otp.countries WHERE region <> 'SA'"
gives "a pause by hand of one" "country SA" "SET ROLE otp_admin; INSERT INTO otp.pauses (scope, key, reason) VALUES ('country', 'SA', 'x') RETURNING name"
gives "a worker's pause is of its jobs' countries, and not asked" "country XX" "SET ROLE otp_worker; INSERT INTO otp.pauses (scope, key, reason, next_probe_at) VALUES ('country', 'XX', 'x', now()) RETURNING name"
sql -c "DELETE FROM otp.pauses"

text() { echo "INSERT INTO otp.templates (purpose, locale, body) VALUES ('phone_verification', 'fr', '$1')"; }
refused "$(text 'Bonjour {name}, {code}')" "unknown placeholder \{name\}"
refused "$(text '{Code} {code}')" "HINT:  Write \{code\}"
refused "$(text '{ minutes } {code}')" "HINT:  Write \{minutes\}"
refused "$(text '{app_name} {code}')" "HINT:  The placeholders are \{app\}, \{code\} and \{minutes\}"
refused "$(text '{{code}}')" "unmatched brace"
refused "$(text '{code} {app')" "unmatched brace"
refused "$(text '{code} }')" "unmatched brace"
refused "$(text '{} {code}')" "unknown placeholder \{\}"
refused "$(text '\${code} {user.name}')" "unknown placeholder \{user.name\}"
refused "UPDATE otp.templates SET body = body || ' {name}'" "unknown placeholder"
gives "what is filled is taken" "t" "$(text '{app}: {code}{code}, {minutes} min') RETURNING true"
sql -c "DELETE FROM otp.templates WHERE locale = 'fr'"
for statement in "UPDATE otp.settings SET region = 'UK'" "UPDATE otp.settings SET timezone = 'UTC+3'" "INSERT INTO otp.countries (region) VALUES ('UK')"; do
    fails "otp_admin hears the same: $statement" OT007 "SET ROLE otp_admin; $statement"
done

# Senders per country and hosts for WebOTP are checked when they are written, and workers are notified.
for good in "+15005550006" 12345 123 Mgask "My App" A MG0123456789abcdef0123456789ABCDEF; do
    gives "a sender: $good" "$good" "UPDATE otp.countries SET sender = '$good' WHERE region = 'SA' RETURNING sender"
done
for bad in "" " " "+0123456789" "+123456" 12 123456789 "My-App" " Mgask" "Mgask " TwelveLetter "1234 567" Ünï MG0123456789abcdef0123456789abcde $'Mgask\n'; do
    fails "OT007 no sender: $bad" OT007 "UPDATE otp.countries SET sender = '$bad' WHERE region = 'SA'"
done
says "which says why and what to do" "invalid sender for SA" "UPDATE otp.countries SET sender = 'My-App'"
says "in a hint" "HINT:.*E.164.*messaging service" "UPDATE otp.countries SET sender = 'My-App'"
gives "none is the worker's own" "" "UPDATE otp.countries SET sender = NULL WHERE region = 'SA' RETURNING sender"
gives "as for a new country" "" "INSERT INTO otp.countries (region) VALUES ('EG') RETURNING sender"
fails "OT007 a new row too" OT007 "INSERT INTO otp.countries (region, sender) VALUES ('FR', 'My-App')"
says "workers hear of it" 'Asynchronous notification "otp_catalog"' "LISTEN otp_catalog; UPDATE otp.countries SET sender = 'Mgask' WHERE region = 'SA'; SELECT 1"
gives "the worker reads it" "SA|Mgask" "SET ROLE otp_worker; SELECT region, sender FROM otp.countries WHERE sender IS NOT NULL"
fails "and does not write it" 42501 "SET ROLE otp_worker; UPDATE otp.countries SET sender = NULL"
gives "otp_admin does" "EG" "SET ROLE otp_admin; UPDATE otp.countries SET sender = NULL; DELETE FROM otp.countries WHERE region = 'EG' RETURNING region"

for good in example.com a.b-c.example xn--mgba3a4f16a.xn--mgberp4a5d4ar; do
    gives "a host: $good" "$good" "UPDATE otp.templates SET web_otp_host = '$good' WHERE locale = 'en' RETURNING web_otp_host"
done
for bad in "" localhost Example.com example.com. https://example.com example.com:443 example.com/ 127.0.0.1 -a.example a_b.example "@example.com" $'example.com\n'; do
    fails "OT007 no host: $bad" OT007 "UPDATE otp.templates SET web_otp_host = '$bad' WHERE locale = 'en'"
done
says "which says of which text" "text for phone_verification, en is not a host name" "UPDATE otp.templates SET web_otp_host = 'localhost' WHERE locale = 'en'"
says "and what to do" "HINT:.*without https://" "UPDATE otp.templates SET web_otp_host = 'localhost' WHERE locale = 'en'"
fails "the line does not stand for the code in the text" 23514 "UPDATE otp.templates SET body = 'Your code:' WHERE locale = 'en'"
sql -c "UPDATE otp.templates SET web_otp_host = NULL"

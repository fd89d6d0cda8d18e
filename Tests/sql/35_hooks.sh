# The Send SMS hook of Supabase Auth, with the events that its documentation and its source show.
hook() { sql -c "SET ROLE ${2:-otp_owner}" -c "SELECT otp.send_sms_hook('$1')"; }
status() { hook "$1" | sed -n 's/.*"http_code": \([0-9]*\).*/\1/p'; }
event() {   # phone in user, code, phone in sms, locale
    echo '{"user": {"id": "6481a5c1-3d37-4a56-9f6a-bee08c554965", "aud": "authenticated", "role": "authenticated", "email": "", "phone": "'"$1"'",
        "phone_confirmed_at": "2024-05-13T11:52:48.157306Z", "confirmation_sent_at": "2024-05-14T12:31:52.824573Z", "app_metadata": {"provider": "phone", "providers": ["phone"]},
        "user_metadata": {'"${4:+\"locale\": \"$4\"}"'}, "identities": [{"identity_id": "3be5e552-65aa-41d9-9db9-2a502f845459", "provider": "phone",
        "identity_data": {"email_verified": false, "phone": "+1612341244428", "phone_verified": true}}], "is_anonymous": false},
        "sms": {"otp": "'"$2"'"'"${3:+, \"phone\": \"$3\"}"'}}'
}
newest() { sql -c "SELECT v.subject, v.e164, v.locale, unseal(v.sealed_code, v.key_id), j.state FROM otp.verifications v JOIN otp.send_jobs j ON j.verification_id = v.id ORDER BY v.id DESC LIMIT 1"; }
user=6481a5c1-3d37-4a56-9f6a-bee08c554965

check "the hook takes the event" "{}" "$(hook "$(event +966501234567 561166)")"
check "and sends this code to this phone" "$user|+966501234567|en|561166|queued" "$(newest)"
check "a number without a plus is an international one" "{}" "$(hook "$(event 966501234568 561167)")"
check "and its code is sent" "$user|+966501234568|en|561167|queued" "$(newest)"
check "the phone of the message goes before the user's" "{}" "$(hook "$(event 966501234567 561168 966501234569)")"
check "as for a second factor" "$user|+966501234569|en|561168|queued" "$(newest)"
check "the user's locale chooses the text" "{}" "$(hook "$(event 966501234571 561169 '' ar)")"
check "where there is such a text" "$user|+966501234571|ar|561169|queued" "$(newest)"
clean
check "a locale without a text takes the default" "{}" "$(hook "$(event 966501234567 561170 '' no-such-text)")"
check "and does not stop the code" "$user|+966501234567|en|561170|queued" "$(newest)"

# What a user can mend is an answer with a status, and leaves no row.
clean
check "no phone number" 400 "$(status "$(event +9665 561166)")"
check "its reason has no whole number" 0 "$(hook "$(event +15555550100 561166)" | grep -c 5555550100)"
check "a country that gets no codes" 400 "$(sql -c "BEGIN" -c "DELETE FROM otp.countries WHERE region <> 'SA'" -c "SELECT otp.send_sms_hook('$(event +14155550100 561166)')" -c "ROLLBACK" | sed -n 's/.*"http_code": \([0-9]*\).*/\1/p')"
check "a code that is none" 400 "$(status "$(event +966501234567 56)")"
check "no code" 400 "$(status '{"user": {"id": "a", "phone": "966501234567"}, "sms": {}}')"
check "no user" 400 "$(status '{"user": {"phone": "966501234567"}, "sms": {"otp": "561166"}}')"
check "nothing at all" 400 "$(status '{}')"
gives "they leave no row" 0 "SELECT count(*) FROM otp.verifications"
allowed=$(sql -c "SELECT min(max_sends) FROM otp.limits WHERE scope = 'phone'")
for number in $(seq "$allowed"); do hook "$(event +966501234567 "5611$((10 + number))")" >/dev/null; done
check "too many requests" 429 "$(status "$(event +966501234567 561199)")"
gives "which leave no row either" "$allowed" "SELECT count(*) FROM otp.verifications"

# What an operator must mend is an error.
clean
check "without the secret" "ERROR:  OT003" "$(PGOPTIONS= sql -c "SELECT otp.send_sms_hook('$(event +966501234567 561166)')" | head -1)"
for role in otp_web otp_worker otp_monitor otp_admin; do
    check "$role may not call it" "ERROR:  42501" "$(hook "$(event +966501234567 561166)" $role | head -1)"
done

# The function of the page deploy/docs/hooks.md, as Supabase Auth calls it: without the secret, which is in the Vault.
clean
sql -c "CREATE ROLE anon" -c "CREATE ROLE authenticated" -c "CREATE ROLE supabase_auth_admin" -c "CREATE SCHEMA vault" \
    -c "CREATE VIEW vault.decrypted_secrets AS SELECT 'otp_secret'::text AS name, '$secret'::text AS decrypted_secret"
check "the page's function is made" "" "$(sed -n '/CREATE FUNCTION public.send_sms/,/GRANT EXECUTE ON FUNCTION public.send_sms/p' "$here/../../deploy/docs/hooks.md" | psql -qXAt -v ON_ERROR_STOP=1 -d "$PGDATABASE" 2>&1)"
check "Supabase Auth sends with it" "{}" "$(PGOPTIONS= sql -c "SET ROLE supabase_auth_admin" -c "SELECT public.send_sms('$(event 966501234567 561171)')")"
check "the code of the event" "$user|+966501234567|en|561171|queued" "$(newest)"
for role in anon authenticated; do
    check "$role may not call it" "ERROR:  42501" "$(PGOPTIONS= sql -c "SET ROLE $role" -c "SELECT public.send_sms('$(event 966501234567 561172)')" | head -1)"
done
sql -c "DROP FUNCTION public.send_sms" -c "DROP SCHEMA vault CASCADE" -c "DROP ROLE anon, authenticated, supabase_auth_admin"

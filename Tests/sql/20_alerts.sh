# The questions that deploy/README.md has for alerts: each is one that a member of otp_monitor may ask, and gets an answer to.
questions=$(sed -n '/^## Alerts/,/^## [^A]/p' "$here/../../deploy/README.md" | grep -oE '`SELECT [^`]*FROM otp\.[^`]*`' | tr -d '`')
check "questions that are there" enough "$([ "$(grep -c . <<<"$questions")" -ge 8 ] && echo enough)"
while IFS= read -r question; do
    check "otp_monitor may ask: $question" "" "$(sql -c "SET ROLE otp_monitor" -c "$question" | grep ERROR)"
done <<<"$questions"

# The queries that deploy/docs/alerts.md gives for alerts. A member of otp_monitor may run each of them, and gets an answer.
questions=$(grep -oE '`SELECT [^`]*FROM otp\.[^`]*`' "$here/../../deploy/docs/alerts.md" | tr -d '`')
check "questions that are there" enough "$([ "$(grep -c . <<<"$questions")" -ge 8 ] && echo enough)"
while IFS= read -r question; do
    check "otp_monitor may ask: $question" "" "$(sql -c "SET ROLE otp_monitor" -c "$question" | grep ERROR)"
done <<<"$questions"

# The questions of alerts.md and monitoring.md in deploy/docs: a member of otp_monitor may ask each, and gets an answer.
for page in alerts monitoring; do
    questions=$(grep -oE '`SELECT [^`]*FROM otp\.[^`]*`' "$here/../../deploy/docs/$page.md" | tr -d '`')
    check "there are questions in $page.md" enough "$([ "$(grep -c . <<<"$questions")" -ge 14 ] && echo enough)"
    while IFS= read -r question; do
        check "otp_monitor may ask: $question" "" "$(sql -c "SET ROLE otp_monitor" -c "$question" | grep ERROR)"
    done <<<"$questions"
done

# Each alert has a question, but for two: the database is away, or Prometheus has no figures.
unasked=$(awk '/^## / { if (name != "" && !asked) print name; name = substr($0, 4); asked = 0 }
    /`SELECT [^`]*FROM otp\./ { asked = 1 } END { if (!asked) print name }' "$here/../../deploy/docs/alerts.md")
check "sections of alerts.md without a question" "First of all
The database is away
No figures come" "$unasked"

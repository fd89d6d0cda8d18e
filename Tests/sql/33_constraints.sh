# Every CHECK constraint and foreign key has a name that says what is allowed, and the error message shows this name.
: >"$work/constraints"
while IFS='|' read -r name statement; do
    echo "$name" >>"$work/constraints"
    says "refused: $statement" "ERROR: .* violates (check|foreign key) constraint \"$(sed 's/[][\\.+*{}?^$|()]/\\&/g' <<<"$name")\"" "$statement"
done <<'ROWS'
otp.settings has one row: change it with UPDATE|INSERT INTO otp.settings (only_row) VALUES (false)
time_to_live must be 1 to 10 minutes|UPDATE otp.settings SET time_to_live = '1 hour'
max_attempts must be at least 1|UPDATE otp.settings SET max_attempts = 0
max_failures_per_day must be at least 1|UPDATE otp.settings SET max_failures_per_day = 0
max_failures_per_client must be at least 1|UPDATE otp.settings SET max_failures_per_client = 0
max_failures_per_backend must be at least 1|UPDATE otp.settings SET max_failures_per_backend = 0
resend_after must be 0 seconds to 10 minutes|UPDATE otp.settings SET resend_after = '11 minutes'
sends_per_second must be above 0 and at most 100000, or null|UPDATE otp.settings SET sends_per_second = 0
daily_budget must be a number above 0, or null|UPDATE otp.settings SET daily_budget = 'Infinity'
fraud_action must be observe, hold or refuse|UPDATE otp.settings SET fraud_action = 'block'
lookups_per_day must be 1 to 10000|UPDATE otp.settings SET lookups_per_day = 0
max_risk_score must be 0 to 100|UPDATE otp.settings SET max_risk_score = 101
score must be 0 to 100, or null|INSERT INTO otp.number_risks (key, score, looked_up_at) VALUES ('x', 101, now())
outcome must be passed, refused, unknown or failed|INSERT INTO otp.risk_check_counts (outcome) VALUES ('lost')
budget_unit must be three capital letters, such as USD|UPDATE otp.settings SET budget_unit = 'dollars'
min_conversion must be 0 to 1|UPDATE otp.settings SET min_conversion = 30
keep_verifications must be at least 1 day|UPDATE otp.settings SET keep_verifications = '23 hours'
keep_messages must be at least 1 day|UPDATE otp.settings SET keep_messages = '0'
keep_unsent_jobs must be at least 1 day|UPDATE otp.settings SET keep_unsent_jobs = '-1 day'
keep_verified_phones: at least keep_verifications, or null|UPDATE otp.settings SET keep_verified_phones = '89 days'
keep_events must be 1 hour to 30 days|UPDATE otp.settings SET keep_events = '59 minutes'
event must be one of those that \d otp.events shows|INSERT INTO otp.events (verification_id, event) VALUES (1, 'lost')
reader must be 1 to 50 of the characters a-z 0-9 _ . -|INSERT INTO otp.event_readers (reader, created_by) VALUES ('Web', 'x')
min_conversion_samples must be at least 10|UPDATE otp.settings SET min_conversion_samples = 5
purpose must be 1 to 50 of the characters a-z 0-9 _ . -|INSERT INTO otp.templates (purpose, locale, body) VALUES ('Sign in', 'en', '{code}')
locale must be 1 to 35 of the characters A-Z a-z 0-9 _ -|INSERT INTO otp.templates (purpose, locale, body) VALUES ('login', 'en@x', '{code}')
body must contain {code}|UPDATE otp.templates SET body = 'Hello' WHERE locale = 'en'
body must have at most 1000 characters|UPDATE otp.templates SET body = body || repeat('x', 1000) WHERE locale = 'en'
region must be two capital letters, such as SA, or 001|DELETE FROM otp.regions; INSERT INTO otp.countries (region) VALUES ('Kenya')
content_sid must be HX and 32 hexadecimal digits|UPDATE otp.templates SET content_sid = 'HX1'
call_text must contain {code}|UPDATE otp.templates SET call_text = 'Hello'
call_text must have at most 500 characters|UPDATE otp.templates SET call_text = '{code}' || repeat('x', 500)
mail_subject must have at most 150 characters|UPDATE otp.templates SET mail_subject = repeat('x', 151)
mail_body must contain {code}|UPDATE otp.templates SET mail_body = 'Hello'
mail_body must have at most 4000 characters|UPDATE otp.templates SET mail_body = '{code}' || repeat('x', 4000)
purpose must be 1 to 50 of the characters a-z 0-9 _ . -|INSERT INTO otp.purposes (purpose) VALUES ('*')
app_name must have 1 to 100 characters|INSERT INTO otp.purposes (purpose, app_name) VALUES ('login', '')
purpose must be * or 1 to 50 of the characters a-z 0-9 _ . -|INSERT INTO otp.routes (purpose, step, channel) VALUES ('Sign in', 1, 'sms')
country must be * or two capital letters, such as SA, or 001|INSERT INTO otp.routes (country, step, channel) VALUES ('Kenya', 1, 'sms')
step must be 1 to 9|INSERT INTO otp.routes (step, channel) VALUES (10, 'sms')
channel must be sms, whatsapp, call or email|INSERT INTO otp.routes (step, channel) VALUES (2, 'fax')
wait must be 5 seconds to 9 minutes, or null|INSERT INTO otp.routes (step, channel, wait) VALUES (2, 'sms', '1 hour')
step 1 has no wait: it begins with the request|UPDATE otp.routes SET wait = '1 minute' WHERE step = 1
channel must be whatsapp or call|INSERT INTO otp.channel_senders (channel, sender) VALUES ('sms', '+12015550100')
country must be * or two capital letters, such as SA, or 001|INSERT INTO otp.channel_senders (channel, country, sender) VALUES ('call', 'Kenya', '+12015550100')
sender must be E.164, or for whatsapp also MG and 32 digits|INSERT INTO otp.channel_senders (channel, sender) VALUES ('call', 'MG00000000000000000000000000000000')
channel must be whatsapp, call or email|UPDATE otp.channel_costs SET channel = 'sms' WHERE channel = 'call'
country must be * or two capital letters, such as SA, or 001|INSERT INTO otp.channel_costs VALUES ('call', 'Kenya', 1)
expected_cost must be 0 or more|UPDATE otp.channel_costs SET expected_cost = -1
channel must be *, sms, whatsapp, call or email|UPDATE otp.limits SET channel = 'fax'
expected_cost must be 0 or more|UPDATE otp.countries SET expected_cost = -1
price_estimate must be 0 or more, or null|UPDATE otp.countries SET price_estimate = -1
price_unit must be three capital letters, such as USD|UPDATE otp.countries SET price_unit = 'usd'
sends_per_second must be above 0 and at most 100000|INSERT INTO otp.sender_rates VALUES ('Mgask', 0)
resend_after must be 0 seconds to 5 minutes, or null|UPDATE otp.error_class_defaults SET resend_after = '1 hour'
class must be one of otp.error_class_defaults|UPDATE otp.error_classes SET class = 'pause' WHERE code = 20003
outcome must be confirmed, unavailable, no_message or given_up|INSERT INTO otp.feedback_counts (outcome) VALUES ('lost')
otp.number_table has one row|INSERT INTO otp.number_table (only_row, version, released_on) VALUES (false, '1', now())
scope must be one of those that \d otp.limits shows|INSERT INTO otp.limits (scope, period, max_sends) VALUES ('planet', '1 day', 5)
period must be 1 second to 31 days|INSERT INTO otp.limits (scope, period, max_sends) VALUES ('phone', '1 year', 5)
max_sends must be at least 1|INSERT INTO otp.limits (scope, period, max_sends) VALUES ('phone', '2 days', 0)
max_cost must be above 0|INSERT INTO otp.limits (scope, period, max_cost) VALUES ('budget', '1 day', 0)
scope block needs digits 1 to 4|INSERT INTO otp.limits (scope, period, max_sends, digits) VALUES ('block', '2 days', 5, 9)
scope prefix needs digits 1 to 10|INSERT INTO otp.limits (scope, period, max_sends) VALUES ('prefix', '1 day', 5)
scope unused_block needs digits 3 to 8|INSERT INTO otp.limits (scope, period, max_sends, digits) VALUES ('unused_block', '1 day', 5, 2)
times_usual must be 1 to 100, or null|INSERT INTO otp.limits (scope, period, max_sends, times_usual) VALUES ('total', '1 day', 5, 0.5)
only total and budget per day, channel *, have times_usual|INSERT INTO otp.limits (scope, period, max_sends, times_usual) VALUES ('country', '1 day', 5, 3)
scopes that begin with unused: period 1 day, channel *|INSERT INTO otp.limits (scope, period, max_sends, channel) VALUES ('unused_all', '1 day', 5, 'call')
only block, prefix and unused_block have digits other than 0|INSERT INTO otp.limits (scope, period, max_sends, digits) VALUES ('phone', '2 days', 5, 3)
scope budget needs max_cost and no max_sends|INSERT INTO otp.limits (scope, period, max_sends) VALUES ('budget', '1 day', 5)
scopes other than budget need max_sends and no max_cost|INSERT INTO otp.limits (scope, period, max_sends, max_cost) VALUES ('total', '1 day', 5, 5)
max_sends of phone, subject, client_ip, block: at most 1000|INSERT INTO otp.limits (scope, period, max_sends) VALUES ('phone', '2 days', 1001)
period of prefix, country, total, budget: 1 hour or 1 day|INSERT INTO otp.limits (scope, period, max_sends) VALUES ('total', '2 hours', 5)
asn must be 1 to 4294967295|INSERT INTO otp.networks (network, asn) VALUES ('203.0.113.0/24', 0)
scope must be network, asn, block or country|INSERT INTO otp.fraud_exceptions (scope, key) VALUES ('planet', 'x')
key must be a network such as 203.0.113.0/24|INSERT INTO otp.fraud_exceptions (scope, key) VALUES ('network', '203.0.113.9')
key must be a system such as AS64500|INSERT INTO otp.fraud_exceptions (scope, key) VALUES ('asn', '64500')
key must be the first digits with a plus, such as +966501|INSERT INTO otp.fraud_exceptions (scope, key) VALUES ('block', '966501')
key must be two capital letters, such as SA, or 001|INSERT INTO otp.fraud_exceptions (scope, key) VALUES ('country', 'Kenya')
reason must have 1 to 500 characters|INSERT INTO otp.pauses (scope, reason) VALUES ('all', '')
scope must be all, budget, channel, country or prefix|INSERT INTO otp.pauses (scope, reason) VALUES ('planet', 'x')
scopes all and budget need an empty key|INSERT INTO otp.pauses (scope, key, reason) VALUES ('all', 'SA', 'x')
scope channel needs a key of sms, whatsapp, call or email|INSERT INTO otp.pauses (scope, key, reason) VALUES ('channel', 'fax', 'x')
scope country needs a key of two capital letters, or 001|INSERT INTO otp.pauses (scope, key, reason, next_probe_at) VALUES ('country', 'Kenya', 'x', now())
scope prefix needs a key of + and 1 to 11 digits: +96650|INSERT INTO otp.pauses (scope, key, reason) VALUES ('prefix', '96650', 'x')
job_range must be that of send_job_id|INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status) VALUES ('SM', 16384, 1, 1, true, now(), 'sent')
state must be failed, expired, limited, canceled or test|INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at) VALUES (1, 1, 'lost', 1, now())
slot must be 1 to 3|INSERT INTO otp.status_reports (send_job_id, slot, message_sid, attempt) VALUES (1, 4, 'SM', 1)
kind must be worker or callbacks|INSERT INTO otp.worker_status (kind, host, pid, version) VALUES ('x', 'h', 1, '1')
state: starting, running, paused, draining, stopped or dead|INSERT INTO otp.worker_status (state, host, pid, version) VALUES ('x', 'h', 1, '1')
expires_at must be at most 90 days after created_at|INSERT INTO otp.test_numbers (e164, country, code_hash, key_id, is_real, expires_at) VALUES ('+15555550100', 'US', '', '', false, now() + interval '91 days')
otp.maintenance has one row|INSERT INTO otp.maintenance (only_row) VALUES (false)
ROWS
gives "each constraint was violated once" "$(LC_ALL=C sort "$work/constraints" | paste -sd '|')" \
    "SELECT string_agg(conname, '|' ORDER BY conname COLLATE \"C\") FROM pg_constraint WHERE connamespace = 'otp'::regnamespace AND contype IN ('c', 'f')"

-- Twilio's error codes: the meaning of each, how otpd reacts (its class), and the remedy for a person.
--
-- Operators may edit the rows, and running workers read them again. A code without a row is handled like this: as the answer
-- to a request it fails that job and raises an alert; as a failed delivery it is shown, and nothing is sent again.

-- A role or a database may carry settings of its own (ALTER ROLE, ALTER DATABASE). Each file sets those that it relies on.
SET LOCAL transaction_read_only = off;
SET LOCAL statement_timeout = 0;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL standard_conforming_strings = on;
SET LOCAL transform_null_equals = off;
SET LOCAL default_table_access_method = 'heap';
SET LOCAL client_min_messages = 'warning';

DO $$ BEGIN
    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true) FROM pg_catalog.pg_namespace WHERE nspname = 'otp';
END $$;
SET LOCAL search_path = pg_catalog;

CREATE TABLE otp.error_class_defaults (
    class text PRIMARY KEY,
    explanation text NOT NULL,
    remedy text NOT NULL,
    -- how long after a failed delivery the same code is sent again, once; null: never
    resend_after interval
        CONSTRAINT "resend_after must be 0 seconds to 5 minutes, or null"
        CHECK (resend_after BETWEEN '0 seconds' AND '5 minutes')
);
COMMENT ON TABLE otp.error_class_defaults IS
    'The texts for codes of a class that have none of their own, and whether a failed delivery of the class is sent again.';

CREATE TABLE otp.error_classes (
    code int PRIMARY KEY,
    class text NOT NULL
        CONSTRAINT "class must be one of otp.error_class_defaults" REFERENCES otp.error_class_defaults (class),
    stage text NOT NULL,    -- where Twilio reports it: create, delivery, inbound, verify
    explanation text,       -- its meaning; null: the one of its class
    remedy text             -- what to do about it; null: the one of its class
);
COMMENT ON TABLE otp.error_classes IS 'Twilio''s error codes: how otpd reacts to each (class), and the texts shown for it.';

INSERT INTO otp.error_class_defaults (class, explanation, remedy) VALUES
    ('pause_worker', 'Twilio does not accept this account or its credentials.',
        'Check the account and its credentials in the Twilio console. Sending resumes by itself when a probe succeeds.'),
    ('pause_sender', 'Twilio does not let this sender send.',
        'Check TWILIO_PHONE_NUMBER or TWILIO_MESSAGING_SERVICE_SID against the senders in the Twilio console.'),
    ('pause_country', 'Twilio is not permitted to send to this country.',
        'Enable the country in the Twilio console under Messaging > Settings > Geo permissions, or remove it from otp.countries.'),
    ('permanent_recipient', 'This phone cannot receive the message.', 'Ask the user for another number.'),
    ('bad_job', 'Twilio refused the request as malformed.',
        'Check the text in otp.templates and the settings of otpd. If both are right, report it as a bug of otpd.'),
    ('content', 'The text or its settings kept the message from being delivered.',
        'Shorten or reword the text in otp.templates, or register it with Twilio where the country asks for that.'),
    ('throttle', 'Twilio or the carrier asks to slow down.',
        'Wait: it usually passes. If it lasts, lower OTPD_RATE_PER_SECOND or OTPD_MAX_IN_FLIGHT, or ask Twilio support for a higher limit.'),
    ('retry_safe', 'Twilio did not process the message.', 'Nothing to do: otpd tries again until the code expires.'),
    ('ambiguous', 'Twilio failed without saying whether the message was sent.',
        'Nothing to do: otpd does not send it again, because it may have been sent. If it lasts, see https://status.twilio.com.'),
    ('one_resend', 'The message was not delivered, for a reason that may pass.',
        'Ask the user to check the phone and request the code again.'),
    ('fraud_hold', 'Twilio held the message back as likely fraud.',
        'Look for numbers in sequence or sudden traffic to one prefix before you allow it again.'),
    ('ignore', 'Twilio reported something that does not concern sending codes.',
        'Nothing to do: the code itself is not affected.');

-- Ten seconds are long enough for a phone to come back into coverage, and for a user to request the code again first. They
-- are short enough to leave most of a code's five minutes. Only failures that may pass, or messages that Twilio did not
-- process, are sent again.
UPDATE otp.error_class_defaults SET resend_after = '10 seconds' WHERE class IN ('one_resend', 'retry_safe');

INSERT INTO otp.error_classes (code, class, stage, explanation, remedy) VALUES
    -- The account
    (20003, 'pause_worker', 'create', 'Authentication failed: Twilio does not accept the credentials.',
        'Compare TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN (or the API key and its secret) with the Twilio console. Then '
        'restart otpd. If only the file of the token or secret was wrong, a reload is enough: systemctl reload otpd.'),
    (20005, 'pause_worker', 'create', 'The Twilio account is not active.',
        'Sign in to the Twilio console. The account may be suspended, closed or out of funds.'),
    (10001, 'pause_worker', 'create', 'The Twilio account has been disabled.',
        'Check the balance and any notice in the Twilio console, then ask Twilio support to reactivate it.'),
    (90010, 'pause_worker', 'create', 'The Twilio account is not active.',
        'Sign in to the Twilio console. The account may be suspended, closed or out of funds.'),
    (20006, 'pause_worker', 'create', 'These credentials may not send messages.',
        'Give otpd an API key that may create and list messages, or the auth token.'),
    (20008, 'pause_worker', 'create', 'These are test credentials, which cannot send.',
        'Use the live account SID and auth token from the Twilio console.'),
    (20010, 'pause_worker', 'create', 'Twilio has disabled sending for this account.',
        'Look for a notice in the Twilio console, or ask Twilio support to enable sending.'),
    (20403, 'pause_worker', 'create', 'Twilio forbids this account to send.',
        'Check the account''s status and the key''s permissions in the Twilio console.'),
    (70051, 'pause_worker', 'create', 'The API key lacks a permission.',
        'Give the key the permission to create and list messages in the Twilio console, or use the auth token.'),
    (20404, 'pause_worker', 'create', 'Twilio does not know this account at this address.',
        'Check TWILIO_ACCOUNT_SID, and TWILIO_API_BASE_URL if it is set. Each account exists in one region only.'),
    (30002, 'pause_worker', 'delivery', 'The Twilio account was suspended while messages were waiting.',
        'Check the balance and any notice in the Twilio console, then ask Twilio support to reactivate the account.'),
    (30037, 'pause_worker', 'delivery', 'Outbound messaging is disabled for this Twilio account.',
        'Look for a notice in the Twilio console, or ask Twilio support to enable it.'),

    -- The sender
    (21212, 'pause_sender', 'create', 'The sender is not a number that Twilio can send from.',
        'Give TWILIO_PHONE_NUMBER as +<country><number>, exactly as the Twilio console shows it.'),
    (21601, 'pause_sender', 'create', 'The sender is not a number of this account that can send SMS.',
        'Use a number with SMS that was bought in or ported to this account.'),
    (21606, 'pause_sender', 'create', 'The sender cannot send SMS from this account to this destination.',
        'Check that the number belongs to the account and has SMS. A short code must be of the destination''s country.'),
    (21607, 'pause_sender', 'create', 'On a trial account the sender must be the trial number.',
        'Set TWILIO_PHONE_NUMBER to the trial number, or upgrade the account.'),
    (21616, 'pause_sender', 'create', 'The sender matches several numbers of the account.',
        'Give TWILIO_PHONE_NUMBER in full, with plus and country code.'),
    (21657, 'pause_sender', 'create', 'The sender name is not valid.',
        'Set TWILIO_PHONE_NUMBER to up to 11 letters, digits and spaces with at least one letter, or to a phone number.'),
    (21659, 'pause_sender', 'create', 'The sender is not a Twilio number, or a short code of another country.',
        'Use a number that belongs to this account. If the number is being ported, wait until that has finished.'),
    (21660, 'pause_sender', 'create', 'The sender belongs to another account.',
        'Use the credentials of the account that owns the number, or a number of this account.'),
    (21661, 'pause_sender', 'create', 'The sender cannot send SMS.',
        'Choose a number with the SMS capability in the Twilio console.'),
    (21603, 'pause_sender', 'create', 'No sender was given.',
        'Set TWILIO_PHONE_NUMBER or TWILIO_MESSAGING_SERVICE_SID, and restart otpd.'),
    (21701, 'pause_sender', 'create', 'The messaging service does not exist.',
        'Compare TWILIO_MESSAGING_SERVICE_SID with the Twilio console.'),
    (21702, 'pause_sender', 'create', 'The messaging service cannot send at present.',
        'Open the messaging service in the Twilio console and add or repair its senders.'),
    (21703, 'pause_sender', 'create', 'The messaging service has no number that can send this message.',
        'Add a sender that may send to the destination''s country to the messaging service.'),
    (21704, 'pause_sender', 'create', 'The messaging service has no senders.',
        'Add a number or a sender name to the messaging service.'),
    (21705, 'pause_sender', 'create', 'The messaging service SID is not valid.',
        'Compare TWILIO_MESSAGING_SERVICE_SID (MG and 32 hexadecimal digits) with the Twilio console.'),
    (21709, 'pause_sender', 'create', 'The sender name is not valid for this messaging service, or not authorised.',
        'Add the name to the messaging service''s senders, or register it where the country asks for that.'),
    (572002, 'pause_sender', 'create', 'Twilio refused the sender.',
        'Check the sender in the Twilio console, and this code at https://www.twilio.com/docs/api/errors/572002.'),
    (30018, 'pause_sender', 'delivery', 'The destination''s carrier wants the sender name registered first.',
        'Register the sender for the country in the Twilio console. Until then, use a sender that needs no registration.'),
    (30040, 'pause_sender', 'delivery', 'The destination''s carrier wants the sender name registered first.',
        'Register the sender for the country in the Twilio console. Until then, use a sender that needs no registration.'),
    (30024, 'pause_sender', 'delivery', 'The carrier does not know this numeric sender.',
        'Ask Twilio support to provision the number with the carrier, or use another sender.'),
    (30032, 'pause_sender', 'delivery', 'The toll-free sender has not been verified.',
        'Submit the toll-free verification in the Twilio console, or use another sender.'),
    (30034, 'pause_sender', 'delivery', 'The sender is not registered for messages to US numbers (A2P 10DLC).',
        'Register brand and campaign in the Twilio console and add the number to the campaign.'),
    (30041, 'pause_sender', 'delivery', 'The sender is restricted, or not registered where the country requires it.',
        'Register the sender for that country, or remove the country from otp.countries.'),
    (30042, 'pause_sender', 'delivery', 'The sender name is too general, or not authorised for this account.',
        'Choose a name that identifies your business, and register it in the Twilio console.'),
    (30043, 'pause_sender', 'delivery', 'International SMS was sent over a domestic route.',
        'Use a sender that is meant for that country. Twilio support can say which.'),

    -- The country
    (21408, 'pause_country', 'create', 'Sending to this country is not enabled in the Twilio account.',
        'Enable it in the Twilio console under Messaging > Settings > Geo permissions, or remove it from otp.countries.'),

    -- The recipient
    (21211, 'permanent_recipient', 'create', 'The phone number is not valid: Twilio does not accept it.',
        'Ask the user to check the number and to enter it again.'),
    (21214, 'permanent_recipient', 'create', 'The phone number cannot be reached.',
        'Ask the user for another number.'),
    (21217, 'permanent_recipient', 'create', 'The phone number does not seem to exist.',
        'Ask the user to check the number, or to give another one.'),
    (21219, 'permanent_recipient', 'create', 'This Twilio account is on trial: it sends only to verified numbers.',
        'Add the number under Verified Caller IDs in the Twilio console, or upgrade the account.'),
    (21265, 'permanent_recipient', 'create', 'A short code cannot receive codes.',
        'Ask the user for a mobile number.'),
    (21266, 'permanent_recipient', 'create', 'The phone number is the sender itself.',
        'Ask the user for another number.'),
    (21268, 'permanent_recipient', 'create', 'Premium and information numbers cannot receive codes.',
        'Ask the user for a mobile number.'),
    (21608, 'permanent_recipient', 'create', 'This Twilio account is on trial: it sends only to verified numbers.',
        'Add the number under Verified Caller IDs in the Twilio console, or upgrade the account.'),
    (572005, 'permanent_recipient', 'create', 'Twilio refused the destination.',
        'Ask the user for another number, and see https://www.twilio.com/docs/api/errors/572005.'),
    (21610, 'permanent_recipient', 'create', 'The user has opted out of messages from this sender.',
        'Ask the user to text START to the sender, or to give another number.'),
    (21612, 'permanent_recipient', 'create', 'Twilio has no route from this sender to this phone.',
        'Ask the user for another number. If a whole country is affected, use a sender that may send there.'),
    (21614, 'permanent_recipient', 'create', 'The phone number is not a mobile number.',
        'Ask the user for a mobile number.'),
    (21635, 'permanent_recipient', 'create', 'The phone number is a landline.',
        'Ask the user for a mobile number.'),
    (30005, 'permanent_recipient', 'delivery', 'The phone number is unknown to its carrier or no longer in use.',
        'Ask the user to check the number, or to give another one.'),
    (30006, 'permanent_recipient', 'delivery', 'The phone is a landline, or its carrier cannot be reached.',
        'Ask the user for a mobile number.'),
    (30004, 'permanent_recipient', 'delivery', 'The phone or its carrier blocks messages from this sender.',
        'Ask the user to unblock the sender with the carrier, or to give another number.'),

    -- The request
    (21602, 'bad_job', 'create', 'The message had no text.',
        'Check the text of this purpose and locale in otp.templates.'),
    (21604, 'bad_job', 'create', 'The message had no destination.',
        'Report it as a bug of otpd, with this code: otpd always sends one.'),
    (21605, 'bad_job', 'create', 'The text is longer than this old address allows.',
        'Shorten the text in otp.templates.'),
    (21609, 'bad_job', 'create', 'Twilio does not accept the callback address.',
        'Set OTPD_CALLBACK_PUBLIC_URL to an https URL that the internet can reach, without an underscore in its host.'),
    (21617, 'bad_job', 'create', 'The text has more than 1,600 characters.', 'Shorten the text in otp.templates.'),
    (21618, 'bad_job', 'create', 'Twilio cannot send this text.',
        'Remove unusual characters from the text in otp.templates.'),
    (21619, 'bad_job', 'create', 'The message had no text.',
        'Check the text of this purpose and locale in otp.templates.'),
    (21620, 'bad_job', 'create', 'Twilio saw a media address that is not valid.',
        'Report it as a bug of otpd, with this code: otpd sends no media.'),
    (21621, 'bad_job', 'create', 'The sender is not enabled for MMS.',
        'Report it as a bug of otpd, with this code: otpd sends no media.'),
    (21622, 'bad_job', 'create', 'The account is not enabled for MMS.',
        'Report it as a bug of otpd, with this code: otpd sends no media.'),
    (21623, 'bad_job', 'create', 'Twilio saw too many media files.',
        'Report it as a bug of otpd, with this code: otpd sends no media.'),
    (21624, 'bad_job', 'create', 'Twilio does not accept the validity period.',
        'Compare the clocks of database and worker. If they agree, report it as a bug of otpd.'),
    (21626, 'bad_job', 'create', 'Twilio does not accept the callback events.',
        'Report it as a bug of otpd, with this code: otpd asks for no events of its own.'),
    (21627, 'bad_job', 'create', 'Twilio does not accept the price limit.',
        'Report it as a bug of otpd, with this code: otpd sets no price limit.'),
    (21652, 'bad_job', 'create', 'Twilio saw a subject of more than 40 characters.',
        'Report it as a bug of otpd, with this code: otpd sends no subject.'),
    (21653, 'bad_job', 'create', 'Twilio saw more than one destination.',
        'Report it as a bug of otpd, with this code: otpd sends to one at a time.'),
    (21654, 'bad_job', 'create', 'Twilio missed a content SID.',
        'Report it as a bug of otpd, with this code: otpd sends plain text.'),
    (21655, 'bad_job', 'create', 'Twilio does not accept the content SID.',
        'Report it as a bug of otpd, with this code: otpd sends plain text.'),
    (21656, 'bad_job', 'create', 'Twilio does not accept the content variables.',
        'Report it as a bug of otpd, with this code: otpd sends plain text.'),
    (21658, 'bad_job', 'create', 'A part of the request is too long.',
        'Shorten the text in otp.templates, and OTPD_APP_NAME.'),
    (30028, 'bad_job', 'create', 'Twilio does not know this API version.',
        'Check TWILIO_API_BASE_URL. It consists of scheme, host and port, without a path.'),
    (30029, 'bad_job', 'create', 'Twilio does not accept the content retention.',
        'Report it as a bug of otpd, with this code: otpd does not set this.'),
    (30030, 'bad_job', 'create', 'Twilio does not accept the address retention.',
        'Report it as a bug of otpd, with this code: otpd does not set this.'),
    (30031, 'bad_job', 'create', 'Twilio does not accept the rate limit in the request.',
        'Report it as a bug of otpd, with this code: otpd does not set this.'),

    -- The text
    (30007, 'content', 'delivery', 'Twilio or the carrier filtered the message as unwanted.',
        'Reword the text in otp.templates: name the business, and use no links. Register sender or text if the country asks for it.'),
    (30019, 'content', 'delivery', 'The message is larger than the carrier allows.',
        'Shorten the text in otp.templates.'),
    (30010, 'content', 'delivery', 'The message costs more than the highest price set for it.',
        'Shorten the text in otp.templates, or raise the price limit of the messaging service in the Twilio console.'),
    (30012, 'content', 'delivery', 'The message''s validity period is too short for Twilio.',
        'Give codes more time to live: time_to_live in otp.settings, or expires_at where the backend sets it.'),
    (30013, 'content', 'delivery', 'The message''s validity period is too long for Twilio.',
        'Give codes less time to live: time_to_live in otp.settings, or expires_at where the backend sets it.'),
    (30044, 'content', 'delivery', 'A trial account may send only short messages.',
        'Shorten the text in otp.templates, or upgrade the account.'),

    -- The pace
    (20429, 'throttle', 'create', 'Twilio received too many requests at a time.',
        'Wait: it usually passes. If it lasts, lower OTPD_MAX_IN_FLIGHT or ask Twilio for more concurrency.'),
    (21611, 'throttle', 'create', 'The sender''s queue at Twilio is full.',
        'Lower OTPD_RATE_PER_SECOND to the rate of the sender, or use a messaging service with more senders.'),
    (14107, 'throttle', 'create', 'Too many messages went to one phone within seconds.',
        'Look for a loop in the backend, and keep the limits in otp.limits.'),
    (30001, 'throttle', 'delivery', 'The message waited too long in the sender''s queue.',
        'Lower OTPD_RATE_PER_SECOND, or use a messaging service with more senders.'),
    (30017, 'throttle', 'delivery', 'The carrier''s network is congested.', 'Ask the user to request the code again.'),
    (30022, 'throttle', 'delivery', 'The US campaign sends faster than it may (A2P 10DLC).',
        'Lower OTPD_RATE_PER_SECOND, or raise the campaign''s throughput.'),
    (30023, 'throttle', 'delivery', 'The US campaign has reached its messages for the day (A2P 10DLC).',
        'Wait for the next day, or raise the brand''s trust score in the Twilio console.'),
    (30025, 'throttle', 'delivery', 'Half of the day''s messages to T-Mobile US have been used.',
        'Nothing to do yet. If this happens often, raise the brand''s trust score in the Twilio console.'),
    (30026, 'throttle', 'delivery', '70% of the day''s messages to T-Mobile US have been used.',
        'Raise the brand''s trust score in the Twilio console before the limit is reached.'),
    (30027, 'throttle', 'delivery', 'The day''s messages to T-Mobile US have been used up.',
        'Wait for the next day (US Pacific time), or raise the brand''s trust score in the Twilio console.'),
    (30454, 'throttle', 'delivery', 'The account has reached its limit of messages.',
        'Ask Twilio support for a higher limit. The view otp.spend_daily shows the messages of each day.'),
    (63038, 'throttle', 'create', 'The account has reached its messages for 24 hours.',
        'Wait until the 24 hours are over, or ask Twilio support for a higher limit (trial accounts: upgrade).'),
    (63017, 'throttle', 'create', 'Twilio''s rate limit for the channel was exceeded.', 'Lower OTPD_RATE_PER_SECOND.'),
    (63018, 'throttle', 'create', 'The channel''s rate limit was exceeded.', 'Lower OTPD_RATE_PER_SECOND.'),

    -- Twilio itself
    (20503, 'ambiguous', 'create', 'Twilio was not available.',
        'Nothing to do: otpd does not send it again, because it may have been sent. If it lasts, see https://status.twilio.com.'),
    (20500, 'ambiguous', 'create', 'Twilio had an internal error.',
        'Nothing to do: otpd does not send it again, because it may have been sent. If it lasts, see https://status.twilio.com.'),
    (30410, 'ambiguous', 'delivery', 'The carrier did not answer Twilio in time. The message may have arrived.',
        'Ask the user whether the message arrived. If it did not, the user can request the code again.'),
    (21730, 'retry_safe', 'create', 'Twilio is under maintenance.', 'Nothing to do: otpd tries again until the code expires.'),
    (30020, 'retry_safe', 'delivery', 'Twilio failed to schedule the message.',
        'Ask the user to request the code again.'),
    (30021, 'retry_safe', 'delivery', 'Twilio''s messaging service had an internal error.',
        'Ask the user to request the code again.'),

    -- The phone, for now
    (30003, 'one_resend', 'delivery', 'The phone cannot be reached: switched off, without signal, or roaming.',
        'Ask the user to check the phone and request the code again.'),
    (30008, 'one_resend', 'delivery', 'The carrier gave no reason.',
        'Ask the user to request the code again. If one carrier or country stands out, tell Twilio support.'),
    (30485, 'one_resend', 'delivery', 'The message was not delivered, and the carrier did not say more.',
        'Ask the user to request the code again.'),
    (30036, 'one_resend', 'delivery', 'The code expired before the carrier could deliver it.',
        'Ask the user to request a new code.'),

    -- Fraud
    (30450, 'fraud_hold', 'delivery', 'Twilio blocked the message as likely fraud (SMS pumping).',
        'Look for numbers in sequence or sudden traffic to one prefix. Real users can be put on Twilio''s safe list.'),
    (30453, 'fraud_hold', 'delivery', 'Twilio held the message back as likely fraud.',
        'Look for numbers in sequence or sudden traffic to one prefix. Real users can be put on Twilio''s safe list.'),
    (60410, 'fraud_hold', 'verify', 'Twilio blocks this prefix as likely fraud.',
        'Look for sudden traffic to the prefix. Twilio support can lift the block.'),

    -- Not about codes
    (30009, 'ignore', 'inbound', 'A part of an incoming message was lost.', 'Nothing to do: it was not a code.'),
    (30038, 'ignore', 'inbound', 'Twilio hid the text of an incoming message that held a code.',
        'Nothing to do: otpd reads no incoming messages.'),
    (30039, 'ignore', 'inbound', 'Twilio dropped an incoming message to prevent a loop.',
        'Nothing to do: otpd reads no incoming messages.'),
    (30011, 'ignore', 'delivery', 'The phone cannot receive MMS.', 'Nothing to do: codes are SMS.'),
    (30014, 'ignore', 'delivery', 'Twilio does not accept attributes of the destination.', 'Nothing to do: otpd sends none.'),
    (30015, 'ignore', 'delivery', 'Twilio does not know the channel.', 'Nothing to do: codes are SMS.'),
    (30016, 'ignore', 'delivery', 'Sender and destination are of different channels.', 'Nothing to do: codes are SMS.');

-- These triggers come after the rows. They notify, and the owner may not have the right to notify before the last step.
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON otp.error_classes
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON otp.error_class_defaults
FOR EACH STATEMENT EXECUTE FUNCTION otp.catalog_changed();

GRANT SELECT ON otp.error_classes, otp.error_class_defaults TO otp_worker;
GRANT SELECT ON otp.error_classes, otp.error_class_defaults TO otp_monitor, otp_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON otp.error_classes, otp.error_class_defaults TO otp_admin;

INSERT INTO otp.schema_migrations (version, name) VALUES (3, 'error_classes');

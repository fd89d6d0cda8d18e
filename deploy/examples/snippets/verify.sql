-- PGOPTIONS="-c otp.secret=$OTPD_SECRET" psql -qAt -v ON_ERROR_STOP=1 -f verify.sql
-- :'name' becomes a quoted literal of the statement: fine by hand, while programs send bind parameters.
\prompt 'Phone number: ' phone_number
SELECT expires_at FROM otp.request('user:1', :'phone_number', locale => 'ar');
\prompt 'Code: ' code
SELECT CASE WHEN otp.verify('user:1', :'code') THEN 'verified' ELSE 'invalid or expired' END;

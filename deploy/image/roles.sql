-- The login roles of compose.yaml, made by the superuser of a new server. Each has the rights of one role of otpd's.
CREATE ROLE otp_web NOLOGIN;
CREATE ROLE otp_worker NOLOGIN;
CREATE ROLE otp_monitor NOLOGIN;
CREATE ROLE otp_admin NOLOGIN;
CREATE ROLE otpd LOGIN PASSWORD 'otpd' IN ROLE otp_worker;
CREATE ROLE web LOGIN PASSWORD 'web' IN ROLE otp_web;
GRANT CREATE ON SCHEMA public TO web;               -- the tables of the Django example
ALTER ROLE web SET log_parameter_max_length = 0;    -- codes and phone numbers stay out of the server's log

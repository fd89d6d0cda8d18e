DELETE FROM otp.language_fallbacks;

DELETE FROM otp.schema_migrations WHERE version = 3;

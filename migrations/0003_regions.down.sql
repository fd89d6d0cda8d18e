DELETE FROM otp.regions;

DELETE FROM otp.schema_migrations WHERE version = 3;

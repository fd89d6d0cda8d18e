DELETE FROM otp.error_classes;

DELETE FROM otp.error_class_defaults;

DELETE FROM otp.schema_migrations WHERE version = 2;

"""The database backend `django_otpd.backend`: Django's PostgreSQL, with otpd's secret in each session."""

import os

# What must not be in the code comes from the environment; a name that is missing stops the start.
SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
OTP_SECRET = os.environ["OTPD_SECRET"]  # the same as the daemon's
ALLOWED_HOSTS = os.environ.get("DJANGO_ALLOWED_HOSTS", "localhost,127.0.0.1").split(",")
DEBUG = False

INSTALLED_APPS = ["phones"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.locale.LocaleMiddleware",  # Accept-Language decides the language of the SMS
    "django.middleware.common.CommonMiddleware",
]
ROOT_URLCONF = "mgask.urls"
WSGI_APPLICATION = "mgask.wsgi.application"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PGDATABASE"],  # PGHOST, PGPORT, PGUSER and PGPASSWORD are read by libpq itself
        "ATOMIC_REQUESTS": True,
        "OPTIONS": {
            "options": f"-c otp.secret={OTP_SECRET}",
            # Codes and numbers travel as bind parameters. Without this Django writes them into the statement's text.
            "server_side_binding": True,
        },
    }
}
# Error pages and error mails print the settings: this keeps OPTIONS, and with it otp.secret, out of them.
DEFAULT_EXCEPTION_REPORTER_FILTER = "phones.reports.ReporterFilter"

# Where the client's address is. Behind a proxy: the header that the proxy sets itself, such as HTTP_X_REAL_IP.
CLIENT_ADDRESS = os.environ.get("DJANGO_CLIENT_ADDRESS", "REMOTE_ADDR")

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ar", "العربية")]  # the locales that otp.templates has
TIME_ZONE = "Asia/Riyadh"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

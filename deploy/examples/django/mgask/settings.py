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
        "ENGINE": "django_otpd.backend",  # PostgreSQL's, with OTP_SECRET in each session
        "NAME": os.environ["PGDATABASE"],  # PGHOST, PGPORT, PGUSER and PGPASSWORD are read by libpq itself
        "ATOMIC_REQUESTS": True,
    }
}
DELIVERY_WAIT = 20  # seconds that an app waits for news of its code with one request

# Where the client's address is. Behind a proxy: the header that the proxy sets itself, such as HTTP_X_REAL_IP.
CLIENT_ADDRESS = os.environ.get("DJANGO_CLIENT_ADDRESS", "REMOTE_ADDR")

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ar", "العربية")]  # the locales that otp.templates has
TIME_ZONE = "Asia/Riyadh"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

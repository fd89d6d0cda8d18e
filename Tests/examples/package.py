"""The checks of the package django-otpd, in the Django that runs this file. The last line is "package: N passed, N failed"."""

import io
import itertools
import logging
import os
import sys
import traceback
from datetime import datetime, timezone

import django
from django.conf import settings

SECRET = os.environ["OTPD_SECRET"]
DATABASE = {"NAME": os.environ["PGDATABASE"], "USER": os.environ["WEB_USER"], "PASSWORD": os.environ["WEB_PASSWORD"]}
settings.configure(
    DEBUG=True,  # Django then keeps every statement, and logs it
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="checks",
    ROOT_URLCONF=__name__,
    OTP_SECRET=SECRET,
    USE_TZ=True,
    DATABASES={
        "default": DATABASE | {"ENGINE": "django_otpd.backend"},
        "plain": DATABASE | {"ENGINE": "django.db.backends.postgresql"},  # as behind PgBouncer: no secret in the session
    },
    REST_FRAMEWORK={"UNAUTHENTICATED_USER": None},
)
django.setup()
urlpatterns = []

import django_otpd as otp  # noqa: E402
import psycopg  # noqa: E402
from django import forms  # noqa: E402
from django.core.exceptions import ImproperlyConfigured  # noqa: E402
from django.db import DatabaseError, connection, connections, transaction  # noqa: E402
from django.test import RequestFactory, override_settings  # noqa: E402
from django.views.debug import ExceptionReporter, get_default_exception_reporter_filter  # noqa: E402
from django_otpd import drf, testing  # noqa: E402
from django_otpd.backend.base import session_options  # noqa: E402
from django_otpd.forms import CodeField, PhoneNumberField  # noqa: E402
from rest_framework import serializers  # noqa: E402

admin = psycopg.connect(autocommit=True)
simulator = testing.Simulator(os.environ["TWILIO_API_BASE_URL"])
tally = {"passed": 0, "failed": 0}
log = io.StringIO()
logging.getLogger("django.db.backends").addHandler(logging.StreamHandler(log))
logging.getLogger("django.db.backends").setLevel(logging.DEBUG)
# Numbers of this version of Django alone, far from each other.
numbers = (f"05{n:08d}" for n in itertools.count(30000000 + django.VERSION[0] * 1000000, 7919))


def equal(what, got, wanted):
    tally["passed" if got == wanted else "failed"] += 1
    if got != wanted:
        print(f"FAILED {what}\n  wanted: {wanted!r}\n  got:    {got!r}", flush=True)


def raises(what, kind, call):
    try:
        result = call()
    except kind as error:
        tally["passed"] += 1
        return error
    equal(what, result, kind)
    return None


def subject():
    return f"package:{next(numbers)}"


def check_calls():
    who, number = subject(), next(numbers)
    e164 = "+966" + number[1:]
    requested = otp.request(who, number, locale="en", client_ip="2001:db8:ffff::1")
    equal("a request", (type(requested.verification_id), requested.expires_at > datetime.now(timezone.utc)), (int, True))
    code = simulator.code(e164)
    equal("a wrong code", otp.verify(who, f"{(int(code) + 1) % 10**6:06d}", number), False)
    equal("the right code", otp.verify(who, code, number, client_ip="2001:db8:ffff::1"), True)
    equal("once", otp.verify(who, code, number), False)
    equal("the phone", [phone.e164 for phone in otp.verified_phones(who)], [e164])
    equal("in another spelling", otp.verified_phone(who, e164.replace("+", "00")), e164)
    equal("no other phone", otp.verified_phone(who, next(numbers)), None)
    (job,) = otp.delivery(requested.verification_id, who)
    equal("its delivery", (job.channel, job.job_state, job.error), ("sms", "accepted", None))
    equal("has a progress", otp.progress([job]) in ("sent", "delivered"), True)
    equal("nobody else's", otp.delivery(requested.verification_id, "somebody"), [])
    equal("a used code cannot be canceled", otp.cancel(requested.verification_id, who), False)


def check_own_codes():
    who, number = subject(), next(numbers)
    identifier = testing.live_code(who, number, "135790")
    equal("nothing is sent", otp.delivery(identifier, who), [])
    equal("nothing sent is under way", otp.progress([]), "under_way")
    equal("a code for one phone is none for another", otp.verify(who, "135790", next(numbers)), False)
    equal("the chosen code", otp.verify(who, "135790", number), True)
    identifier = testing.live_code(who, number, "135791")
    equal("a live code can be canceled", otp.cancel(identifier, who), True)
    equal("and is dead", otp.verify(who, "135791"), False)


def check_refusals():
    error = raises("a bad number", otp.InvalidPhoneNumber, lambda: otp.request("a", "0123"))
    equal("says why", "it has too few digits" in str(error) and "0123" not in str(error), True)
    raises("another country", otp.CountryNotAllowed, lambda: otp.request("a", "+201001234567"))
    who, number = subject(), next(numbers)
    for _ in range(5):
        otp.request(who, number)
    with transaction.atomic():
        error = raises("a sixth request", otp.TooManyRequests, lambda: otp.request(who, number))
        equal("says when", (0 < error.retry_after <= 300, error.scope), (True, "phone"))
        equal("the transaction goes on", otp.to_e164(number), "+966" + number[1:])
    error = raises("an unknown locale is a mistake", DatabaseError, lambda: otp.request(subject(), number, purpose="none"))
    equal("with its SQLSTATE", error.__cause__.sqlstate, "OT004")


def check_rollback():
    who = subject()
    with transaction.atomic():
        requested = otp.request(who, next(numbers))
        transaction.set_rollback(True)
    equal("rolled back means never sent", otp.delivery(requested.verification_id, who), [])


def check_pooler():
    """The secret goes into each transaction, and does not stay in the session."""
    who, number = subject(), next(numbers)
    error = raises("a session without a secret", DatabaseError, lambda: otp.request(who, number, using="plain"))
    equal("has none", error.__cause__.sqlstate, "OT003")
    with override_settings(OTP_SECRET_PER_TRANSACTION=True):
        testing.live_code(who, number, "246810", using="plain")
        equal("a right code, in a transaction of its own", otp.verify(who, "246810", number, using="plain"), True)
        with transaction.atomic(using="plain"):
            otp.request(who, number, using="plain")
    with connections["plain"].cursor() as cursor:
        cursor.execute("SELECT current_setting('otp.secret', true)")
        equal("the session has forgotten it", cursor.fetchone()[0] or "", "")


def check_forms():
    class Form(forms.Form):
        phone = PhoneNumberField()
        code = CodeField()

    number = next(numbers)
    arabic = number.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    form = Form({"phone": arabic, "code": " 123 456 "})
    equal("a form", (form.is_valid(), form.cleaned_data), (True, {"phone": "+966" + number[1:], "code": "123 456"}))
    form = Form({"phone": "0112345678", "code": ""})
    equal("a form with mistakes", (form.is_valid(), sorted(form.errors)), (False, ["code", "phone"]))
    equal("says why", "fixed line" in form.errors["phone"][0], True)
    equal("NUL is refused by Django", Form({"phone": "050\x001234567", "code": "1"}).is_valid(), False)
    equal("phones offer the code", 'autocomplete="one-time-code"' in str(form["code"]), True)

    class Serializer(serializers.Serializer):
        phone = drf.PhoneNumberField()
        code = drf.CodeField()

    serializer = Serializer(data={"phone": f" {number} ", "code": "123456"})
    equal("a serializer", serializer.is_valid(), True)
    equal("normalizes", serializer.validated_data["phone"], "+966" + number[1:])
    equal("never shows the code", dict(serializer.data), {"phone": "+966" + number[1:]})
    serializer = Serializer(data={"phone": "050CALLNOW", "code": "1"})
    equal("a serializer with a mistake", (serializer.is_valid(), sorted(serializer.errors)), (False, ["phone"]))
    equal("says why, too", "letters" in serializer.errors["phone"][0], True)


def check_events():
    admin.execute("UPDATE otp.settings SET events = true")
    reader = f"package-{os.getpid()}"
    while events := otp.read_events(reader, 1000):
        otp.confirm_events(reader, events[-1])
    who, number = subject(), next(numbers)
    identifier = testing.live_code(who, number)
    otp.verify(who, "246810")
    (event,) = [event for event in otp.read_events(reader) if event.verification_id == identifier]
    equal("an event", (event.event, event.send_job_id, event.is_last_failure), ("verified", None, False))
    otp.confirm_events(reader, event)
    with transaction.atomic():
        lost = otp.request(subject(), "0590130003")
    listener = otp.EventListener()
    found = []
    with listener.watch(lost.verification_id) as news:
        while not found and news.wait(120):
            if events := otp.read_events(reader):
                found = [event for event in events if event.is_last_failure]
                otp.confirm_events(reader, events[-1])
    failures = [(event.verification_id, event.event, bool(event.error_class)) for event in found]
    equal("a failure is heard of, with its class", failures, [(lost.verification_id, "undelivered", True)])
    equal("nobody is watched any more", dict(listener._watching), {})


def report_of_failure():
    broken = connections.create_connection("default")
    broken.settings_dict = broken.settings_dict | {"HOST": "127.0.0.1", "PORT": "1"}
    try:
        broken.ensure_connection()
    except DatabaseError:
        return ExceptionReporter(RequestFactory().get("/"), *sys.exc_info()).get_traceback_html()


def check_secrets():
    """DEBUG is on here, so Django keeps and logs every statement of its own cursors."""
    who, number = subject(), next(numbers)
    testing.live_code(who, number, "864209")
    otp.verify(who, "864209", number)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'a statement of Django'")
    kept = f"{connection.queries} {log.getvalue()}"
    equal("Django keeps statements", "a statement of Django" in kept, True)
    for what, value in {"a code": "864209", "a phone number": number[1:], "the secret": SECRET}.items():
        equal(f"but not {what}", value in kept, False)
    equal("the connection's settings have no secret", SECRET in str(connection.settings_dict), False)
    with override_settings(DEBUG=False):
        equal("nor do error pages", SECRET in str(get_default_exception_reporter_filter().get_safe_settings()), False)
        report = report_of_failure()
        equal("a connection that fails is reported", "get_new_connection" in report, True)
        equal("without the secret", SECRET in report, False)
        equal("and without the password", DATABASE["PASSWORD"] in report, False)
    for secret in (None, "short", "x" * 31, f"{SECRET} -c log_statement=all"):
        with override_settings(OTP_SECRET=secret):
            error = raises("a bad secret", ImproperlyConfigured, session_options)
            equal("is not repeated", secret is not None and secret in str(error), False)
    with override_settings(OTP_SECRET_PREVIOUS="y" * 32):
        equal("while the secret is changed", session_options(), f"-c otp.secret={SECRET} -c otp.secret_previous={'y' * 32}")


for name, check in [(name, value) for name, value in globals().items() if name.startswith("check_")]:
    try:
        check()
    except Exception:
        tally["failed"] += 1
        print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
version = f"Django {django.get_version()}, psycopg {psycopg.__version__}"
print(f"package: {tally['passed']} passed, {tally['failed']} failed ({version})")
sys.stdout.flush()
os._exit(1 if tally["failed"] else 0)  # the listener's thread has no end

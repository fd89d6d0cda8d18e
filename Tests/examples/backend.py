"""The base of the checks: Django's models as the backend's own role, users over HTTP, and their phones."""

import itertools
import json
import os
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import psycopg

EXAMPLES = os.environ["EXAMPLES"]
admin = psycopg.connect(autocommit=True)  # the throwaway server's superuser
os.environ.update(
    PGUSER=os.environ["WEB_USER"],
    PGPASSWORD=os.environ["WEB_PASSWORD"],
    DJANGO_SECRET_KEY="checks",
    DJANGO_SETTINGS_MODULE="mgask.settings",
)
sys.path[:0] = [f"{EXAMPLES}/django", f"{EXAMPLES}/django-otpd/src"]

import django  # noqa: E402

django.setup()
from phones.models import Rider, User  # noqa: E402

INVALID = (400, {"success": False, "message": "Invalid or expired OTP"})
VERIFIED = (200, {"success": True, "message": "Phone verified successfully!"})
ROUTES = {User: "/api/core", Rider: "/api/riders"}

tally = {"passed": 0, "failed": 0}
answers = []  # the text of every response, to look for codes at the end
# The numbers are not in sequence, because otp.limits refuses a sequence as SMS pumping.
numbers = (f"05{n:08d}" for n in itertools.count(51200000, 7919))
addresses = (f"2001:db8:{n:x}::1" for n in itertools.count(1))


def equal(what, got, wanted):
    tally["passed" if got == wanted else "failed"] += 1
    if got != wanted:
        print(f"FAILED {what}\n  wanted: {wanted!r}\n  got:    {got!r}", flush=True)


def true(what, got):
    equal(what, bool(got), True)


# ── the backend over HTTP ──


def call(path, body, token=None, method="POST", **headers):
    """Status, JSON (or text) and headers of the answer; body: a value that becomes JSON, or bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "X-Real-IP": next(addresses)} | headers
    if token is not None:
        headers["Authorization"] = token if " " in token else f"Bearer {token}"
    request = urllib.request.Request(os.environ["BACKEND_URL"] + path, data, headers, method=method)
    try:
        response = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        text = response.read().decode()
    answers.append(text)
    try:
        text = json.loads(text)
    except ValueError:
        pass
    return response.status, text, response.headers


class Person:
    """An account of the backend, which its app knows by its token."""

    def __init__(self, model, email=""):
        self.account, self.token = model.create("Somebody", email)
        self.routes = ROUTES[model]

    def send(self, number, **headers):
        return call(f"{self.routes}/send-otp/", {"phone_number": number}, self.token, **headers)[:2]

    def call_me(self, number):
        return call(f"{self.routes}/call-me/", {"phone_number": number}, self.token)[:2]

    def email_me(self, number, **more):
        return call(f"{self.routes}/email-me/", {"phone_number": number} | more, self.token)[:2]

    def verify(self, number, code):
        return call(f"{self.routes}/verify-otp/", {"phone_number": number, "code": code}, self.token)[:2]

    def delivery(self):
        return call(f"{self.routes}/delivery/", None, self.token, method="GET")[:2]

    def phone(self):
        self.account.refresh_from_db()
        return self.account.phone_number, self.account.phone_verified_at is not None


def e164(number):
    return "+966" + number[1:]


def inbox(number, count=1):
    """The texts that a phone received, newest first: at least `count` of them, within two minutes."""
    return [message["body"] for message in arrived(e164(number), count)]


def arrived(to, count=1, channel=""):
    """What arrived at a phone number in E.164 or at an e-mail address, by any channel or by one."""
    query = urllib.parse.urlencode({"limit": 1000, "to": to} | ({"channel": channel} if channel else {}))
    url = f"{os.environ['TWILIO_API_BASE_URL']}/_sim/inbox?{query}"
    deadline = time.monotonic() + 120
    while True:
        with urllib.request.urlopen(url, timeout=120) as response:
            messages = json.load(response)["messages"]
        if len(messages) >= count:
            return messages
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(messages)} of {count} messages arrived")
        time.sleep(0.05)


def code_in(text):
    return re.search(r"(?<!\d)\d{6}(?!\d)", text)[0]


def received(number, count=1):
    return code_in(inbox(number, count)[0])


def sent(number):
    return 200, {"success": True, "message": f"OTP sent to {number}"}


def wrong(code):
    return f"{(int(code) + 1) % 1000000:06d}"


def verifications(person):
    return admin.execute(
        "SELECT count(*) FROM otp.verifications WHERE subject = %s", [person.account.otp_subject]
    ).fetchone()[0]

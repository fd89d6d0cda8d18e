"""The checks of Tests/examples/run, after everything has started. The last line is "N passed, N failed"."""

import logging
import os
import re
import subprocess
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timezone
from types import SimpleNamespace
from unittest import mock

import django_otpd as otp
import psycopg
from backend import (
    EXAMPLES,
    INVALID,
    VERIFIED,
    Person,
    Rider,
    User,
    addresses,
    admin,
    answers,
    arrived,
    call,
    code_in,
    e164,
    equal,
    inbox,
    numbers,
    received,
    sent,
    tally,
    true,
    verifications,
    wrong,
)
from blocks import blocks, read
from django.core.signals import got_request_exception
from django.db import connection, transaction
from django.test import Client, override_settings
from django.views.debug import ExceptionReporter, get_default_exception_reporter_filter
from django_otpd import calls
from snippets import check_snippets  # noqa: F401 - found below by its name, like the others

logging.disable(logging.CRITICAL)  # the checks cause these errors on purpose


# ── the checks: each function alone, with users and numbers of its own ──


def check_to_the_end():
    for model in (User, Rider):
        person, number = Person(model), next(numbers)
        equal(f"{model.__name__}: send", person.send(number), sent(number))
        text = inbox(number)[0]
        true(f"{model.__name__}: the text is English", text.startswith("Your Mgask verification code is: "))
        equal(f"{model.__name__}: not verified yet", person.phone(), ("", False))
        equal(f"{model.__name__}: wrong code", person.verify(number, wrong(code_in(text))), INVALID)
        equal(f"{model.__name__}: still not verified", person.phone(), ("", False))
        equal(f"{model.__name__}: verify", person.verify(number, code_in(text)), VERIFIED)
        equal(f"{model.__name__}: the phone is marked", person.phone(), (e164(number), True))
        equal(f"{model.__name__}: a second use", person.verify(number, code_in(text)), INVALID)


def check_spellings():
    person, number = Person(User), next(numbers)
    arabic = number.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    equal("a number in Arabic digits", person.send(arabic), sent(arabic))
    code = received(number).translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    spelling = f"{e164(number)[:4]} (0){number[1:]}"
    equal("a code in Arabic digits, another spelling", person.verify(spelling, code), VERIFIED)
    equal("the phone is stored as E.164", person.phone(), (e164(number), True))


def check_arabic():
    person, number = Person(User), next(numbers)
    person.send(number, **{"Accept-Language": "ar-SA,ar;q=0.9,en;q=0.5"})
    text = inbox(number)[0]
    true("Accept-Language: ar, an Arabic text", text.startswith("رمز التحقق الخاص بك هو: "))
    equal("its code verifies", person.verify(number, code_in(text)), VERIFIED)
    person, number = Person(User), next(numbers)
    person.send(number, **{"Accept-Language": "fr"})
    true("a language without a text: English", inbox(number)[0].startswith("Your Mgask"))


def check_same_code_again():
    person, number = Person(User), next(numbers)
    person.send(number)
    first = received(number)
    person.send(number)
    equal("a second request sends the same code", received(number, 2), first)
    admin.execute("UPDATE otp.settings SET resend_after = DEFAULT")
    equal("further taps within 30 seconds", [person.send(number)[0] for _ in range(3)], [200] * 3)
    admin.execute("UPDATE otp.settings SET resend_after = '0'")
    equal("are no further texts", len(inbox(number, 2)), 2)


def check_call_me():
    admin.execute("INSERT INTO otp.channel_senders (channel, sender) VALUES ('call', '+12015550100')")
    for model in (User, Rider):
        person, number = Person(model), next(numbers)
        person.send(number)
        code = received(number)
        calling = (200, {"success": True, "message": f"We are calling {number}"})
        equal(f"{model.__name__}: call me", person.call_me(number), calling)
        (heard,) = arrived(e164(number), channel="call")
        equal(f"{model.__name__}: the call says the same code", heard["code"], code)
        equal(f"{model.__name__}: a wrong code", person.verify(number, wrong(code)), INVALID)
        equal(f"{model.__name__}: verify", person.verify(number, heard["code"]), VERIFIED)
        equal(f"{model.__name__}: a call proves the phone", person.phone(), (e164(number), True))


def check_email_me():
    person, number = Person(User), next(numbers)
    nowhere = (400, {"success": False, "message": "Your account has no e-mail address"})
    equal("an account without an address", person.email_me(number), nowhere)
    equal("an address in the body is not used", person.email_me(number, email="thief@example.com"), nowhere)
    equal("nothing was written", verifications(person), 0)
    admin.execute("INSERT INTO otp.purposes (purpose, allows_email) VALUES ('phone_verification', true)")
    address = f"{number}@example.com"
    person = Person(User, address)
    person.send(number)
    code = received(number)
    mailed = (200, {"success": True, "message": "OTP sent by e-mail"})
    equal("e-mail me", person.email_me(number, email="thief@example.com"), mailed)
    (mail,) = arrived(address)
    equal("the e-mail has the same code", (mail["channel"], mail["code"]), ("email", code))
    status, answer = person.verify(number, code)
    equal("the code is right", (status, answer["success"]), (200, True))
    true(f"but the answer says what it proves ({answer})", "does not verify the phone number" in answer["message"])
    equal("a code that went by e-mail proves no phone", person.phone(), ("", False))
    equal("and is used up", person.verify(number, code), INVALID)
    person.send(number)
    equal("a code that went by SMS alone does", person.verify(number, received(number, 2)), VERIFIED)
    equal("and the phone is marked", person.phone(), (e164(number), True))


def check_too_many_tries():
    person, number = Person(User), next(numbers)
    person.send(number)
    code = received(number)
    equal("five wrong tries", [person.verify(number, wrong(code)) for _ in range(5)], [INVALID] * 5)
    equal("then the right code is worth nothing", person.verify(number, code), INVALID)
    equal("and the phone is not verified", person.phone(), ("", False))


def check_expired():
    person, number = Person(User), next(numbers)
    person.send(number)
    code = received(number)
    with psycopg.connect(user=admin.info.user, password=admin.info.password) as owner:
        owner.execute("SET session_replication_role = replica")  # bypasses the trigger that protects expires_at
        owner.execute(
            "UPDATE otp.verifications SET expires_at = now() - interval '1 second' WHERE subject = %s",
            [person.account.otp_subject],
        )
    equal("an expired code", person.verify(number, code), INVALID)


def check_other_peoples_codes():
    ours, theirs = Person(User), Person(User)
    our_number, their_number = next(numbers), next(numbers)
    ours.send(our_number)
    theirs.send(their_number)
    our_code = received(our_number)
    equal("somebody else's code, our number", theirs.verify(our_number, our_code), INVALID)
    equal("somebody else's code, their number", theirs.verify(their_number, our_code), INVALID)
    user, number = Person(User), next(numbers)
    rider = Person(Rider)
    rider.account.delete()
    rider.account.pk = user.account.pk + 1000000  # the same id in both tables: user:N and rider:N are different subjects
    rider.account.save(force_insert=True)
    user.account.delete()
    user.account.pk = rider.account.pk
    user.account.save(force_insert=True)
    user.send(number)
    equal("a user's code for the rider of the same id", rider.verify(number, received(number)), INVALID)
    equal("and for the user", user.verify(number, received(number)), VERIFIED)


def check_switched_phone():
    person, mine, coveted = Person(User), next(numbers), next(numbers)
    person.send(mine)
    code = received(mine)
    person.send(coveted)
    received(coveted)
    equal("my phone's code for a phone I switched to", person.verify(coveted, code), INVALID)
    equal("nor for the phone before", person.verify(mine, code), INVALID)
    equal("nothing is verified", person.phone(), ("", False))


def check_authentication():
    person, rider, number = Person(User), Person(Rider), next(numbers)
    body = {"phone_number": number, "code": "123456"}
    for path in ("/api/core/send-otp/", "/api/core/call-me/", "/api/core/email-me/", "/api/core/verify-otp/"):
        for what, token in {
            "no token": None,
            "an empty token": "Bearer ",
            "a wrong token": "x" * 43,
            "a rider's token": rider.token,
            "the digest for the token": person.account.token_digest,
            "another scheme": f"Basic {person.token}",
            "not ASCII": "Bearer \xff\xfe",
        }.items():
            status, answer, headers = call(path, body, token)
            got = status, answer, headers["WWW-Authenticate"]
            equal(f"{path}, {what}", got, (401, {"success": False, "message": "Authentication required"}, "Bearer"))
    equal("nothing was written", verifications(person), 0)
    equal("GET", call("/api/core/send-otp/", b"", person.token, method="GET")[0], 405)


def check_bad_input():
    person, number = Person(User), next(numbers)
    for what, typed, word in (
        ("too short", "0123", "too few digits"),
        ("too long", number + "0000", "too many digits"),
        ("letters", "050CALLNOW", "letters"),
        ("a landline", "0112345678", "fixed line"),
        ("another country", "+201001234567", "EG"),
        ("blank", "  ", "no digits"),
        ("quotes", "'; DROP TABLE x; --", "letters"),
        ("empty", "", "1 to 100"),
        ("huge", "5" * 100000, "1 to 100"),
        ("NUL", "050\x001234567", "not text"),
        ("a lone surrogate", "050\ud8001234567", "not text"),
        ("a number and not a text", 501234567, "must be a text"),
        ("null", None, "must be a text"),
    ):
        status, answer = person.send(typed)
        equal(f"a phone number, {what}: 400", status, 400)
        true(f"a phone number, {what}: says why ({answer})", word in answer["message"] and not answer["success"])
    bodies = {"not JSON": b"{", "not UTF-8": b'{"phone_number": "\xff"}', "a list": b"[]", "deep": b"[" * 99999}
    for what, body in bodies.items():
        equal(f"a body, {what}: 400", call("/api/core/send-otp/", body, person.token)[0], 400)
        equal(f"a body, {what}: 400 from verify", call("/api/core/verify-otp/", body, person.token)[0], 400)
    equal("nothing was written", verifications(person), 0)
    person.send(number)
    code = received(number)
    for what, typed in {"letters": "abcdef", "quotes": "' OR true --", "blank": " ", "long": "1" * 100}.items():
        equal(f"a code, {what}", person.verify(number, typed), INVALID)
    equal("a code with NUL: 400", person.verify(number, "12\x00")[0], 400)
    equal("a phone number that is none", person.verify("0123", code), INVALID)


def check_limits():
    person, number = Person(User), next(numbers)
    equal("five sends for one phone", [person.send(number)[0] for _ in range(5)], [200] * 5)
    status, answer, headers = call("/api/core/send-otp/", {"phone_number": e164(number)}, person.token)
    wait = int(headers["Retry-After"])
    equal("the sixth, in another spelling: 429", (status, answer["success"]), (429, False))
    true(f"Retry-After: {wait}", 200 < wait <= 300)
    equal("and words", answer["message"], f"Too many requests. Try again in {wait} seconds.")
    equal("somebody else, the same phone: 429", Person(Rider).send(number)[0], 429)
    equal("five arrived", len(inbox(number, 5)), 5)
    admin.execute("UPDATE otp.limits SET max_sends = 2 WHERE scope = 'client_ip'")
    address = {"X-Real-IP": next(addresses)}
    people = [(Person(User), next(numbers)) for _ in range(3)]
    equal("three people, one client address", [one.send(at, **address)[0] for one, at in people], [200, 200, 429])
    admin.execute("UPDATE otp.limits SET max_sends = 100 WHERE scope = 'client_ip'")


def check_many_at_once():
    person, number = Person(User), next(numbers)
    with ThreadPoolExecutor(32) as pool:
        got = sorted(status for status, _ in pool.map(person.send, [number] * 32))
    equal("32 at once: the limit's five are sent, the others limited", got, [200] * 5 + [429] * 27)
    texts = inbox(number, 5)
    equal("five messages", len(texts), 5)
    equal("one code", len(set(texts)), 1)
    equal("one verification", verifications(person), 1)
    code = code_in(texts[0])
    with ThreadPoolExecutor(16) as pool:
        got = [status for status, _ in pool.map(lambda _: person.verify(number, code), range(16))]
    equal("16 right answers at once: one wins", sorted(got), [200] + [400] * 15)


def check_transactions():
    person, number = Person(User), next(numbers)
    person.send(number)
    code = received(number)
    client = Client(raise_request_exception=False, HTTP_HOST="localhost", HTTP_AUTHORIZATION=f"Bearer {person.token}")

    def verify():
        body = {"phone_number": number, "code": code}
        return client.post("/api/core/verify-otp/", body, content_type="application/json").status_code

    with mock.patch.object(User, "mark_phone_verified", side_effect=RuntimeError("on purpose")):
        equal("the phone cannot be marked: 500", verify(), 500)
    with transaction.atomic():
        equal("verify inside another transaction is a mistake: 500", verify(), 500)
    equal("and neither has used the code up", verify(), 200)

    person, number = Person(User), next(numbers)
    subject = person.account.otp_subject
    with transaction.atomic():
        try:
            otp.request(subject, "0123")
        except otp.Refused:
            pass
        equal("a refusal leaves the transaction usable", User.objects.filter(pk=person.account.pk).count(), 1)
        otp.request(subject, number)
        transaction.set_rollback(True)
    equal("rolled back means never sent", verifications(person), 0)


def check_delivery():
    """The app learns at once that its code could not be delivered, from one request and two looks."""
    equal("no code yet", Person(User).delivery(), (404, {"success": False, "message": "No code was sent"}))
    admin.execute("UPDATE otp.settings SET events = true")
    arrives, lost = Person(User), Person(Rider)
    number = next(numbers)
    arrives.send(number)
    received(number)
    told = {"success": True, "state": "delivered", "message": "Your code has arrived"}
    equal("a code that arrives", arrives.delivery(), (200, told))
    lost.send("0590130003")  # a number of the simulator that nobody can reach
    told = {"success": True, "state": "not_delivered", "message": "Your code could not be delivered"}
    equal("a code that does not arrive", lost.delivery(), (200, told))
    happened = admin.execute(
        "SELECT occurred_at FROM otp.events WHERE event = 'undelivered' ORDER BY id DESC LIMIT 1"
    ).fetchone()[0]
    seconds = (datetime.now(timezone.utc) - happened).total_seconds()
    print(f"delivery: the answer came {seconds * 1000:.0f} ms after the event", flush=True)

    # Whatever the machine's speed: it looks when it begins and when there is news, and never in between.
    lost.account.refresh_from_db()
    looks, began = [], threading.Event()
    moments = iter([calls_under_way, calls_under_way, otp.delivery])

    def look(*values):
        looks.append(values)
        began.set()
        return next(moments)(*values)

    client = Client(HTTP_HOST="localhost", HTTP_AUTHORIZATION=f"Bearer {lost.token}")
    with mock.patch.object(otp, "delivery", look), override_settings(DELIVERY_WAIT=600), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(lambda: (client.get("/api/riders/delivery/").json(), connection.close()))
        while not answer.done():
            began.wait(60)
            admin.execute("SELECT pg_notify('otp_events', %s)", [f"{lost.account.verification_id} 1"])
            wait([answer], timeout=0.1)
    equal("it ends with the news", answer.result()[0]["state"], "not_delivered")
    equal("after a look at the beginning, and one for each of two notifications", len(looks), 3)


def calls_under_way(*_):
    return [otp.Delivery(1, "sms", "sending", None, None, datetime.now(timezone.utc))]


def check_through_pgbouncer():
    """README: the secret as the transaction's first statement. No warning, and the session forgets it."""
    person, number = Person(User), next(numbers)
    person.send(number)
    code = received(number)
    with psycopg.connect(autocommit=True) as db:
        notices = []
        db.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        with db.transaction():
            db.execute("SELECT set_config('otp.secret', %s, true)", [os.environ["OTPD_SECRET"]])
            (right,) = db.execute("SELECT otp.verify(%s, %s)", [person.account.otp_subject, code]).fetchone()
        equal("verify behind PgBouncer", right, True)
        equal("no warning", notices, [])
        try:
            db.execute("SELECT otp.verify(%s, %s)", [person.account.otp_subject, code])
            equal("the secret stayed in the session", None, "OT003")
        except psycopg.Error as error:
            equal("without the secret", error.sqlstate, "OT003")


def check_the_interfaces_page():
    """The Python of migrations/README.md, with views' answers in place of those that the page leaves open."""
    (block,) = blocks(read(f"{EXAMPLES}/../../migrations/README.md"), "python")
    names = {name: (lambda *values, name=name: (name, *values)) for name in ("sent", "right", "wrong_or_expired")}
    views = names | {"too_many_requests": lambda detail: ("too many", detail.split("=")[0])}
    exec(compile(block.text, "migrations/README.md", "exec"), views)  # noqa: S102
    person, number = Person(User), next(numbers)
    user = SimpleNamespace(subject=person.account.otp_subject, mark_phone_verified=mock.Mock())
    asks = SimpleNamespace(user=user, POST={"phone": number})
    with transaction.atomic():  # as ATOMIC_REQUESTS
        equal("the page: a request", views["send_code"](asks), ("sent",))
    code = received(number)

    def check(typed):
        return views["check_code"](SimpleNamespace(user=user, POST={"code": typed}))

    equal("the page: a wrong code", check(wrong(code)), ("wrong_or_expired",))
    equal("the page: and nothing is marked", user.mark_phone_verified.call_count, 0)
    equal("the page: the right code", check(code), ("right",))
    equal("the page: and the phone is marked", user.mark_phone_verified.call_count, 1)
    equal("the page: further requests", [views["send_code"](asks) for _ in range(4)], [("sent",)] * 4)
    with transaction.atomic():
        equal("the page: one too many", views["send_code"](asks), ("too many", "retry_after"))
        equal("the page: the view goes on", User.objects.filter(pk=person.account.pk).count(), 1)


def check_the_role():
    with psycopg.connect(autocommit=True, options=f"-c otp.secret={os.environ['OTPD_SECRET']}") as db:
        roles = db.execute(
            "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid"
            " WHERE m.member = (SELECT oid FROM pg_roles WHERE rolname = current_user)"
        ).fetchall()
        equal("the backend's role is a member of otp_web alone", roles, [("otp_web",)])
        for statement in (
            "SELECT sealed_code FROM otp.verifications",
            "SELECT phone_number FROM otp.verifications",
            "SELECT * FROM otp.delivery_status",
            "SELECT * FROM otp.messages",
            "UPDATE otp.verifications SET attempts = 0",
            "DELETE FROM otp.send_counts",
            "UPDATE otp.limits SET max_sends = 1000",
        ):
            try:
                db.execute(statement)
                equal(f"refused: {statement}", None, "42501")
            except psycopg.Error as error:
                equal(f"refused: {statement}", error.sqlstate, "42501")


def check_bind_parameters():
    statement = "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid() AND %s = 'a' || 'b'"
    ((sent_statement,),) = calls._rows(statement, ["ab"], "default")
    true(f"values travel apart from the statement: {sent_statement}", "$1 = 'a' || 'b'" in sent_statement)


def check_secrets():
    secret = os.environ["OTPD_SECRET"]
    true("the session has the secret", calls._rows("SELECT current_setting('otp.secret')", [], "default") == [(secret,)])
    true("the connection's settings do not hold it", secret not in str(connection.settings_dict))
    with override_settings(SECRET_KEY="another"):  # the run's DJANGO_SECRET_KEY is the secret too, and would be found below
        true("error pages do not", secret not in str(get_default_exception_reporter_filter().get_safe_settings()))
    person, number = Person(User), next(numbers)
    person.send(number)
    body, code = {"phone_number": number, "code": received(number)}, received(number)
    reports = []
    client = Client(raise_request_exception=False, HTTP_HOST="localhost", HTTP_AUTHORIZATION=f"Bearer {person.token}")

    def report(sender, request, **_):
        reports.append(ExceptionReporter(request, *sys.exc_info()).get_traceback_html())

    got_request_exception.connect(report)
    with mock.patch.object(User, "mark_phone_verified", side_effect=RuntimeError("on purpose")):
        client.post("/api/core/verify-otp/", body, content_type="application/json")
    got_request_exception.disconnect(report)
    equal("an error was reported", len(reports), 1)
    for what, value in {"code": code, "secret": secret, "token": person.token}.items():
        true(f"the report of an error has no {what}", value not in reports[0])


def check_the_simulators_commands():
    """The commands of migrations/README.md; last of those that read an inbox, because they empty it."""
    (block,) = blocks(read(f"{EXAMPLES}/../../migrations/README.md"), "sh")
    commands = block.text.replace("http://127.0.0.1:4010", os.environ["TWILIO_API_BASE_URL"])
    ran = subprocess.run(["bash", "-ec", commands], capture_output=True, text=True, timeout=60)
    equal("the simulator's commands", (ran.returncode, ran.stderr), (0, ""))
    equal("reset and faults are taken", ran.stdout.count('{"ok": true}'), 2)
    person, number = Person(User), next(numbers)
    person.send(number)
    true("a send gets through after two faults", received(number))


def check_nothing_readable():
    """Runs last, over all earlier answers and logs."""
    true("there were answers", len(answers) > 100)
    equal("no code in any answer", [text for text in answers if re.search(r"(?<!\d)\d{6}(?!\d)", text)], [])
    with open(os.environ["DJANGO_LOG"], encoding="utf-8") as file:
        log = file.read()
    true("the backend has logged its requests", "POST /api/core/verify-otp/" in log)
    equal("the backend met no error of its own", re.findall(r"Internal Server Error.*|Traceback.*", log), [])
    equal("no phone number in the backend's log", re.findall(r"\d{9,}", log), [])
    true("no secret in the backend's log", os.environ["OTPD_SECRET"] not in log)


User.create("user:1 is the snippets'")
checks = [(name, value) for name, value in list(globals().items()) if name.startswith("check_")]
for name, check in checks:
    print(f"— {name.removeprefix('check_').replace('_', ' ')}", flush=True)
    try:
        check()
    except Exception:
        tally["failed"] += 1
        print(f"FAILED {name} ended early\n{traceback.format_exc()}", flush=True)
print(f"{tally['passed']} passed, {tally['failed']} failed")
sys.exit(tally["failed"] > 0)

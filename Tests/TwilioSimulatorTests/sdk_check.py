"""Drives twilio-simulator with Twilio's own Python SDK: messages, calls, WhatsApp; create, fetch, list, page, redact, errors.

Usage: sdk_check.py BASE_URL ACCOUNT_SID   (the auth token comes in TWILIO_AUTH_TOKEN)
Exits 0 when all of it holds; an assertion says what did not.
"""

import json
import os
import sys
import time
import urllib.request
from datetime import datetime, timedelta, timezone

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

TWILIO = "https://api.twilio.com"


class SimulatorHttpClient(TwilioHttpClient):
    """The SDK has no setting for a base URL, so the transport puts ours in place of Twilio's."""

    def __init__(self, base):
        super().__init__()
        self.base = base

    def request(self, method, url, *args, **kwargs):
        assert url.startswith(TWILIO), url
        return super().request(method, self.base + url[len(TWILIO):], *args, **kwargs)


def refused(code, status, call):
    try:
        call()
    except TwilioRestException as error:
        assert (error.code, error.status) == (code, status), (error.code, error.status, code, status)
        assert str(code) in error.uri or error.msg, error
        return
    raise AssertionError(f"expected error {code}")


def main(base, account):
    transport = SimulatorHttpClient(base)
    client = Client(account, os.environ["TWILIO_AUTH_TOKEN"], http_client=transport)
    to, sender = "+966501234567", "+15005550006"

    assert client.api.v2010.accounts(account).fetch().sid == account
    text = "رمز التحقق: 123456 👍 \"x\""
    created = client.messages.create(to=to, from_=sender, body=text, validity_period=120)
    assert created.status == "queued" and created.error_code is None, created.status
    assert created.body == text and created.num_segments == "1" and created.price is None
    assert created.date_sent is None and created.date_created.tzinfo is not None

    deadline = time.monotonic() + 10
    fetched = client.messages(created.sid).fetch()
    while fetched.status != "delivered":
        assert time.monotonic() < deadline, fetched.status
        fetched = client.messages(created.sid).fetch()
    assert fetched.price == "-0.00750" and fetched.price_unit == "USD" and fetched.date_sent is not None

    sids = [client.messages.create(to=to, from_=sender, body=f"n {n}").sid for n in range(5)]
    listed = [message.sid for message in client.messages.list(to=to, page_size=2)]
    assert listed == sids[::-1] + [created.sid], listed
    assert client.messages.list(to="+966509999999") == []
    assert len(client.messages.list(to=to, limit=3)) == 3
    now = datetime.now(timezone.utc)
    old = client.messages.list(date_sent_before=now - timedelta(days=2))
    new = client.messages.list(date_sent_after=now - timedelta(days=2))
    assert old == [] and created.sid in [message.sid for message in new], (old, new)

    assert client.messages(created.sid).update(body="").body == ""
    assert client.messages(created.sid).delete()
    refused(20404, 404, client.messages(created.sid).fetch)

    for number, code in [("+966590021608", 21608), ("+966590021610", 21610), ("+15005550001", 21211)]:
        refused(code, 400, lambda: client.messages.create(to=number, from_=sender, body="x"))
    refused(21602, 400, lambda: client.messages.create(to=to, from_=sender))
    refused(20429, 429, lambda: client.messages.create(to="+966590200430", from_=sender, body="x"))
    number, words = "+966501234567", "<Response><Say>Your code is 4 8 2 9 1 3</Say></Response>"
    call = client.calls.create(
        to=number, from_=sender, twiml=words, timeout=20, status_callback_event=["initiated", "completed"])
    assert call.sid.startswith("CA") and call.status == "queued" and call.start_time is None, call.status
    deadline = time.monotonic() + 10
    while client.calls(call.sid).fetch().status != "completed":
        assert time.monotonic() < deadline
    ended = client.calls(call.sid).fetch()
    assert ended.price == "-0.01300" and ended.duration == "1" and ended.start_time is not None
    # The next calls wait for minutes, so that the last one is still in the queue when it is canceled.
    faults = urllib.request.Request(base + "/_sim/faults", json.dumps({"calls_per_second": 0.001}).encode())
    assert urllib.request.urlopen(faults).status == 200
    waiting = [client.calls.create(to=number, from_=sender, twiml=words).sid for _ in range(3)]
    assert client.calls(waiting[2]).update(status="canceled").status == "canceled"
    listed = [one.sid for one in client.calls.list(to=number, page_size=2)]
    assert listed == waiting[::-1] + [call.sid], listed
    started = client.calls.list(start_time_after=now - timedelta(days=2))
    assert call.sid in [one.sid for one in started], started
    refused(21201, 400, lambda: client.calls.create(to="", from_=sender, twiml=words))
    refused(21215, 400, lambda: client.calls.create(to="+15005550003", from_=sender, twiml=words))
    refused(21220, 400, lambda: client.calls(call.sid).update(status="completed"))

    chat = client.messages.create(
        to="whatsapp:" + number, from_="whatsapp:" + sender, content_sid="HX" + "0" * 31 + "1",
        content_variables=json.dumps({"1": "482913"}))
    assert chat.body.startswith("482913 is your verification code") and chat.to == "whatsapp:" + number, chat.body
    refused(21656, 400, lambda: client.messages.create(
        to="whatsapp:" + number, from_="whatsapp:" + sender, content_sid="HX" + "0" * 31 + "1",
        content_variables="{"))

    wrong = Client(account, "wrong", http_client=transport)
    refused(20003, 401, lambda: wrong.messages.create(to=to, from_=sender, body="x"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
    print("ok")

"""Drives twilio-simulator with Twilio's own Python SDK: create, fetch, list, page, redact, errors.

Usage: sdk_check.py BASE_URL ACCOUNT_SID   (the auth token comes in TWILIO_AUTH_TOKEN)
Exits 0 when all of it holds; an assertion says what did not.
"""

import os
import sys
import time
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
    wrong = Client(account, "wrong", http_client=transport)
    refused(20003, 401, lambda: wrong.messages.create(to=to, from_=sender, body="x"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
    print("ok")

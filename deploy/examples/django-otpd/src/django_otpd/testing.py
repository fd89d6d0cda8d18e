"""For your tests: codes that you choose, and the inbox of otpd's simulator."""

from __future__ import annotations

import json
import re
import time
import urllib.parse
import urllib.request
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from .calls import _rows


def live_code(
    subject: str, phone_number: str, code: str = "246810", *, purpose: str = "phone_verification",
    using: str = DEFAULT_DB_ALIAS,
) -> int:  # fmt: skip
    """A live verification with a code that you choose. Nothing is sent, and no otpd has to run. Returns its id."""
    ((verification_id,),) = _rows(
        "INSERT INTO otp.verifications (subject, phone_number, purpose, code) VALUES (%s, %s, %s, %s) RETURNING id",
        [subject, phone_number, purpose, code],
        using,
    )
    return int(verification_id)


class Simulator:
    """A running twilio-simulator, to which otpd sends. Your test must commit, as TransactionTestCase does."""

    def __init__(self, url: str = "http://127.0.0.1:4010") -> None:
        self.url = url.rstrip("/")

    def inbox(self, to: str, channel: str | None = None) -> list[dict[str, Any]]:
        """What arrived at a phone number in E.164 or at an e-mail address, newest first."""
        query = {"to": to, "limit": "1000"} | ({"channel": channel} if channel else {})
        messages: list[dict[str, Any]] = self._ask(f"/_sim/inbox?{urllib.parse.urlencode(query)}")["messages"]
        return messages

    def code(self, to: str, *, messages: int = 1, timeout: float = 30) -> str:
        """The code of the newest message, when at least this many have arrived."""
        deadline = time.monotonic() + timeout
        while len(arrived := self.inbox(to)) < messages:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(arrived)} of {messages} messages arrived. Is otpd running, and did you commit?")
            time.sleep(0.02)
        found = re.search(r"(?<![0-9])[0-9]{4,12}(?![0-9])", arrived[0]["body"])
        if found is None:
            raise ValueError("the message contains no code")
        return found[0]

    def fail(self, fault: str, count: int = 1) -> None:
        """Makes the next requests fail, such as with "429" or "503". Its page lists all faults."""
        self._ask("/_sim/faults", {"next": [{"fault": fault, "count": count}]})

    def reset(self) -> None:
        """Forgets messages, counts and faults."""
        self._ask("/_sim/reset", {})

    def _ask(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(self.url + path, data, timeout=30) as answer:
            return json.load(answer)

"""Refusals that a user can mend. Every other error of the database stays Django's own, and is a mistake to repair."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError


class Refused(Exception):
    """No code was sent or compared. The text is for the user."""


class InvalidPhoneNumber(Refused):
    """The phone number is invalid, and the text says why."""


class CountryNotAllowed(Refused):
    """otpd does not send to the country of the phone number."""


class TooManyRequests(Refused):
    """A limit is reached."""

    def __init__(self, retry_after: int, scope: str) -> None:
        super().__init__(f"Too many requests. Try again in {retry_after} seconds.")
        #: Seconds until another request can succeed.
        self.retry_after = retry_after
        #: The limit that refused, such as phone, client_ip or fraud.
        self.scope = scope


@contextmanager
def refusals() -> Iterator[None]:
    """Turns the SQLSTATEs that concern the user into exceptions."""
    try:
        yield
    except DatabaseError as error:
        cause = error.__cause__  # psycopg's error, which knows the SQLSTATE
        diagnosis: Any = getattr(cause, "diag", None)
        match getattr(cause, "sqlstate", None):
            case "OT001":  # DETAIL: retry_after=17 window=300 scope=phone
                detail = dict(pair.split("=", 1) for pair in diagnosis.message_detail.split())
                raise TooManyRequests(int(detail["retry_after"]), detail["scope"]) from error
            case "OT002":
                raise InvalidPhoneNumber(diagnosis.message_primary) from error
            case "OT005":
                raise CountryNotAllowed(diagnosis.message_primary) from error
        raise

"""The functions of otpd's schema, with types. `using` is the alias of the database, as everywhere in Django."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.views.decorators.debug import sensitive_variables

from .errors import refusals
from .results import Delivery, Event, Requested, VerifiedPhone

PURPOSE = "phone_verification"


@sensitive_variables()
def request(
    subject: str, phone_number: str, *, purpose: str = PURPOSE, locale: str | None = None, region: str | None = None,
    ttl: timedelta | None = None, client_ip: str | None = None, channel: str | None = None, email: str | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> Requested:  # fmt: skip
    """Sends a code; the same again while one is live. Part of your transaction: rolled back means never sent.

    Without a channel, the code takes the route that otpd's operator has set. Give the account's e-mail address to every
    request: a code belongs to one phone number and one address, and another address would make another code.
    """
    # Inside your transaction this is a savepoint, so the transaction can go on after a refusal.
    with refusals(), transaction.atomic(using=using):
        ((verification_id, expires_at, resend_after),) = _rows(
            "SELECT r.verification_id, r.expires_at, r.resend_after FROM otp.request(%s, %s, purpose => %s, locale => %s,"
            " region => %s, ttl => %s::interval, client_ip => %s, channel => %s, email => %s) r",
            [subject, phone_number, purpose, locale, region, ttl, client_ip, channel, email],
            using,
        )
    return Requested(verification_id, expires_at, resend_after)


@sensitive_variables()
def verify(
    subject: str, code: str, phone_number: str | None = None, *, purpose: str = PURPOSE, client_ip: str | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> bool:  # fmt: skip
    """Whether the code is right: true once.

    A right code works once, and a rollback would forget that. So call this in a transaction of its own
    (`transaction.atomic(durable=True)`) with nothing but what a right code changes. Raises TooManyRequests if too many
    wrong codes came from the client or from the whole backend.
    """
    with refusals():
        ((is_right,),) = _rows(
            "SELECT otp.verify(%s, %s, %s, %s, client_ip => %s)",
            [subject, code, purpose, phone_number, client_ip],
            using,
        )
    return bool(is_right)


def delivery(verification_id: int, subject: str, *, using: str = DEFAULT_DB_ALIAS) -> list[Delivery]:
    """The state of each send job of this subject's verification, the oldest first. See `progress`."""
    rows = _rows(
        "SELECT d.send_job_id, d.channel, d.job_state, d.message_status, d.error, d.requested_at"
        " FROM otp.delivery(%s::bigint, %s) d",
        [verification_id, subject],
        using,
    )
    return [Delivery(*row) for row in rows]


def cancel(verification_id: int, subject: str, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Ends a verification: no further sends, and its code is no longer right."""
    ((is_canceled,),) = _rows("SELECT otp.cancel(%s::bigint, %s)", [verification_id, subject], using)
    return bool(is_canceled)


def verified_phones(subject: str, *, using: str = DEFAULT_DB_ALIAS) -> list[VerifiedPhone]:
    """The phone numbers that the subject has verified. A code that also went by e-mail verifies none."""
    rows = _rows("SELECT p.e164, p.verified_at FROM otp.verified_phones(%s) p", [subject], using)
    return [VerifiedPhone(*row) for row in rows]


@sensitive_variables()
def verified_phone(subject: str, phone_number: str, *, using: str = DEFAULT_DB_ALIAS) -> str | None:
    """The phone number in E.164 if the subject has verified it; otherwise None."""
    rows = _rows(
        "SELECT p.e164 FROM otp.verified_phones(%s) p WHERE p.e164 = otp.to_e164(%s) LIMIT 1", [subject, phone_number], using
    )
    return str(rows[0][0]) if rows else None


@sensitive_variables()
def to_e164(phone_number: str, region: str | None = None, *, using: str = DEFAULT_DB_ALIAS) -> str:
    """Any spelling of a phone number in E.164. Raises InvalidPhoneNumber with the reason."""
    with refusals(), transaction.atomic(using=using):
        ((e164,),) = _rows("SELECT otp.to_e164(%s, %s)", [phone_number, region], using)
    return str(e164)


def read_events(reader: str, maximum: int = 100, *, using: str = DEFAULT_DB_ALIAS) -> list[Event]:
    """The next events of this reader, in order. Returns the same events until you confirm them."""
    rows = _rows(
        "SELECT e.id, e.verification_id, e.send_job_id, e.channel, e.event, e.error_class, e.next_send_job_id,"
        " e.occurred_at FROM otp.read_events(%s, %s::int) e",
        [reader, maximum],
        using,
    )
    return [Event(*row) for row in rows]


def confirm_events(reader: str, up_to: Event | int, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Confirms the events that were read, up to and including this one."""
    event_id = up_to.id if isinstance(up_to, Event) else up_to
    _rows("SELECT otp.confirm_events(%s, %s::bigint)", [reader, event_id], using)


@sensitive_variables()
def _rows(statement: str, values: Sequence[object], using: str) -> list[Any]:
    """Runs a statement with bind parameters, whatever the connection's own setting is.

    This does not use Django's cursor, which keeps values for `connection.queries` and the log django.db.backends.
    """
    connection = connections[using]
    per_transaction = getattr(settings, "OTP_SECRET_PER_TRANSACTION", False)
    with transaction.atomic(using=using, savepoint=False) if per_transaction else nullcontext():
        connection.ensure_connection()
        connection.validate_no_broken_transaction()
        with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
            if per_transaction:
                for name in ("secret", "secret_previous"):
                    if secret := getattr(settings, f"OTP_{name.upper()}", None):
                        cursor.execute("SELECT set_config(%s, %s, true)", [f"otp.{name}", secret])
            cursor.execute(statement, values)
            return cursor.fetchall()

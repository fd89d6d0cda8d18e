"""One-time codes by SMS, call or e-mail. otpd sends them; this is all that the backend says to it, in SQL."""

from contextlib import contextmanager

from django.db import DatabaseError, connection, transaction
from django.views.decorators.debug import sensitive_variables


class Refused(Exception):
    """No code was sent, for a reason that the user can mend. Its text is for the user."""


class TooManyRequests(Refused):
    def __init__(self, retry_after):
        super().__init__(f"Too many requests. Try again in {retry_after} seconds.")
        self.retry_after = retry_after


@sensitive_variables("phone_number", "email")
def request(subject, phone_number, *, channel=None, email=None, locale=None, client_ip=None):
    """Sends a code; the same again while one lives. Part of the caller's transaction: rolled back means never sent.

    Without a channel, the code takes the route that otpd's operator has set. Give the account's e-mail address to every
    request: a code belongs to one phone number and one address, and another address would make another code.
    """
    # The inner block is a savepoint where a transaction is open: after a refusal that one can go on.
    with _refusals(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT otp.request(%s, %s, purpose => 'phone_verification', locale => %s, client_ip => %s,"
            " channel => %s, email => %s)",
            [subject, phone_number, locale, client_ip, channel, email],
        )


@sensitive_variables("code", "phone_number")
def verify(subject, code, phone_number, *, client_ip=None):
    """Whether the code is right: true once.

    A right code works once, and a rollback would forget that. So call this in a transaction of its own
    (`transaction.atomic(durable=True)`) with nothing but what a right code changes. Raises TooManyRequests if too many
    wrong codes came from the client or the whole backend.
    """
    with _refusals(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT otp.verify(%s, %s, 'phone_verification', %s, client_ip => %s)",
            [subject, code, phone_number, client_ip],
        )
        return cursor.fetchone()[0]


@sensitive_variables("phone_number")
def verified_phone(subject, phone_number):
    """The phone in E.164 if the account has verified it; otherwise None.

    A code that also went by e-mail proves no phone: the user may have read it there.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e164 FROM otp.verified_phones(%s) WHERE e164 = otp.to_e164(%s) LIMIT 1", [subject, phone_number]
        )
        row = cursor.fetchone()
        return row and row[0]


@contextmanager
def _refusals():
    try:
        yield
    except DatabaseError as error:
        cause = error.__cause__  # psycopg's error, which knows the SQLSTATE
        match getattr(cause, "sqlstate", None):
            case "OT001":  # DETAIL: retry_after=17 window=300 scope=phone
                detail = dict(pair.split("=", 1) for pair in cause.diag.message_detail.split())
                raise TooManyRequests(int(detail["retry_after"])) from error
            case "OT002" | "OT005":  # not a phone number; a country that codes are not sent to
                raise Refused(cause.diag.message_primary) from error
        raise  # OT003 and the others are the backend's own mistakes: a 500, and a line in its log

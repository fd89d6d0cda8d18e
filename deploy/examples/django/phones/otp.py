"""One-time codes by SMS. otpd sends them; this is all that the backend says to it, in SQL."""

from contextlib import contextmanager

from django.db import DatabaseError, connection, transaction
from django.views.decorators.debug import sensitive_variables


class Refused(Exception):
    """No code was sent, for a reason that the user can mend. Its text is for the user."""


class TooManyRequests(Refused):
    def __init__(self, retry_after):
        super().__init__(f"Too many requests. Try again in {retry_after} seconds.")
        self.retry_after = retry_after


@sensitive_variables("phone_number")
def request(subject, phone_number, *, locale=None, client_ip=None):
    """Sends a code; the same again while one lives. Part of the caller's transaction: rolled back means never sent."""
    # The inner block is a savepoint where a transaction is open: after a refusal that one can go on.
    with _refusals(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT otp.request(%s, %s, purpose => 'phone_verification', locale => %s, client_ip => %s)",
            [subject, phone_number, locale, client_ip],
        )


@sensitive_variables("code", "phone_number")
def verify(subject, code, phone_number):
    """The phone in E.164 if the code is right, once; otherwise None.

    Wrong tries are counted in the database, and a rollback would forget them. So call this in a transaction of its
    own (`transaction.atomic(durable=True)`) with nothing but what a right code changes.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT CASE WHEN otp.verify(%s, %s, 'phone_verification', %s) THEN otp.to_e164(%s) END",
            [subject, code, phone_number, phone_number],
        )
        return cursor.fetchone()[0]


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

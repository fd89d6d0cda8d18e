"""The rows that the calls return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

#: How far a code got: on its way, arrived, or given up by every channel.
Progress = Literal["under_way", "sent", "delivered", "not_delivered"]


@dataclass(frozen=True)
class Requested:
    """A code that will be sent when the transaction commits."""

    verification_id: int
    expires_at: datetime
    #: When the code can be sent again.
    resend_after: datetime | None


@dataclass(frozen=True)
class Delivery:
    """The state of one send job of a verification."""

    send_job_id: int
    channel: str
    #: otpd's own word: queued, sending, unknown, accepted, failed, expired, limited, canceled or test.
    job_state: str
    #: Twilio's own word, such as sent or delivered. None before there is a message.
    message_status: str | None
    #: Why it failed, in words for you, and never for the user.
    error: str | None
    requested_at: datetime


@dataclass(frozen=True)
class Event:
    """What became of a code. It names nobody: find the user by the verification's id."""

    id: int
    verification_id: int
    send_job_id: int | None
    channel: str | None
    #: accepted, delivered, undelivered, failed, expired, held or verified.
    event: str
    error_class: str | None
    #: The send job that follows a failure. None: nothing follows.
    next_send_job_id: int | None
    occurred_at: datetime

    @property
    def is_last_failure(self) -> bool:
        """Whether this job did not reach its user, and no other job follows it."""
        return self.event in ("undelivered", "failed", "expired") and self.next_send_job_id is None


@dataclass(frozen=True)
class VerifiedPhone:
    """A phone number that a subject has verified, in E.164."""

    e164: str
    verified_at: datetime


def progress(deliveries: Sequence[Delivery]) -> Progress:
    """The state of a whole verification, from those of its send jobs."""
    if any(job.message_status in ("delivered", "read", "completed") for job in deliveries):
        return "delivered"
    if any(job.job_state in ("queued", "sending", "unknown") for job in deliveries):
        return "under_way"
    failed = ("undelivered", "failed", "canceled", "busy", "no-answer")
    if any(job.job_state == "accepted" and job.message_status not in failed for job in deliveries):
        return "sent"
    return "not_delivered" if deliveries else "under_way"

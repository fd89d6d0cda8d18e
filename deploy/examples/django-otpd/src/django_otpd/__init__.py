"""One-time codes for Django. otpd sends them; this package calls otpd in SQL, and never waits for Twilio."""

from .calls import (
    cancel, confirm_events, delivery, read_events, request, to_e164, verified_phone, verified_phones, verify,
)  # fmt: skip
from .errors import CountryNotAllowed, InvalidPhoneNumber, Refused, TooManyRequests
from .listener import EventListener, News
from .results import Delivery, Event, Requested, VerifiedPhone, progress

__all__ = [
    "CountryNotAllowed", "Delivery", "Event", "EventListener", "InvalidPhoneNumber", "News", "Refused", "Requested",
    "TooManyRequests", "VerifiedPhone", "cancel", "confirm_events", "delivery", "progress", "read_events", "request",
    "to_e164", "verified_phone", "verified_phones", "verify",
]  # fmt: skip

"""Form fields for a phone number and for a code."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from .calls import to_e164
from .errors import InvalidPhoneNumber


class PhoneNumberField(forms.CharField):
    """A phone number in any spelling. The cleaned value is E.164, by otpd's own table of phone numbers."""

    def __init__(self, *, region: str | None = None, using: str = "default", **options: Any) -> None:
        self.region, self.using = region, using
        options.setdefault("max_length", 100)
        options.setdefault("widget", forms.TextInput(attrs={"type": "tel", "autocomplete": "tel"}))
        super().__init__(**options)

    def clean(self, value: Any) -> str:
        typed: str = super().clean(value)
        if not typed:
            return typed
        try:
            return to_e164(typed, self.region, using=self.using)
        except InvalidPhoneNumber as error:
            raise ValidationError(str(error), code="invalid") from error


class CodeField(forms.CharField):
    """A code as people type it. Phones offer to fill it in. Only otp.verify decides whether it is right."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("max_length", 100)
        attributes = {"inputmode": "numeric", "autocomplete": "one-time-code"}
        options.setdefault("widget", forms.TextInput(attrs=attributes))
        super().__init__(**options)

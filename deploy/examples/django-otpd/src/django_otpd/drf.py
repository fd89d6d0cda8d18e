"""The same fields for serializers of Django REST framework."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from .calls import to_e164
from .errors import InvalidPhoneNumber


class PhoneNumberField(serializers.CharField):
    """A phone number in any spelling. The validated value is E.164."""

    def __init__(self, *, region: str | None = None, using: str = "default", **options: Any) -> None:
        self.region, self.using = region, using
        options.setdefault("max_length", 100)
        super().__init__(**options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        typed = super().run_validation(data)
        if not isinstance(typed, str) or not typed:
            return typed
        try:
            return to_e164(typed, self.region, using=self.using)
        except InvalidPhoneNumber as error:
            raise serializers.ValidationError(str(error), code="invalid") from error


class CodeField(serializers.CharField):
    """A code as people type it. It is never part of an answer."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("max_length", 100)
        options.setdefault("write_only", True)
        super().__init__(**options)

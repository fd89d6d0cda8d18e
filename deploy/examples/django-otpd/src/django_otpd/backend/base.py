from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.postgresql import base
from django.views.decorators.debug import sensitive_variables


def session_options() -> str:
    """The connection option that gives a session the secret. Empty behind a pooler, where each transaction gets it."""
    if getattr(settings, "OTP_SECRET_PER_TRANSACTION", False):
        return ""
    words = []
    for name in ("secret", "secret_previous"):
        secret = getattr(settings, f"OTP_{name.upper()}", None)
        if secret is None and name == "secret":
            raise ImproperlyConfigured("OTP_SECRET is missing from the settings. It is the daemon's OTPD_SECRET.")
        if secret is None:
            continue
        if not re.fullmatch(r"[A-Za-z0-9_-]{32,}", secret):
            raise ImproperlyConfigured(f"OTP_{name.upper()} must be 32 or more of the characters A-Z a-z 0-9 - _")
        words.append(f"-c otp.{name}={secret}")
    return " ".join(words)


class DatabaseWrapper(base.DatabaseWrapper):
    """Adds the secret when a connection is made, so it is in no setting that Django shows, and in no statement."""

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        params["options"] = f"{params.get('options', '')} {session_options()}".strip()
        return params

    # Django reports the variables of a connection that fails, such as the password and these options. This hides them.
    @sensitive_variables()
    def connect(self) -> None:
        super().connect()

import hashlib
import secrets

from django.db import models
from django.utils import timezone


def digest(token):
    return hashlib.sha256(token.encode()).hexdigest()


class Account(models.Model):
    """Somebody with a bearer token and a phone. Only the token's digest is stored."""

    name = models.CharField(max_length=100)
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    email = models.EmailField(blank=True)  # an address that your own code has verified; codes may go there
    phone_number = models.CharField(max_length=16, blank=True)  # E.164, once it is verified
    phone_verified_at = models.DateTimeField(null=True, blank=True)
    verification_id = models.BigIntegerField(null=True, editable=False)  # otpd's, of the last code that was sent

    kind = None

    class Meta:
        abstract = True

    @classmethod
    def create(cls, name, email=""):
        """A new account and its token, which nobody can read again."""
        token = secrets.token_urlsafe(32)
        return cls.objects.create(name=name, email=email, token_digest=digest(token)), token

    @property
    def otp_subject(self):
        """Who this is to otpd: the same number is a user's and a rider's, so the kind is part of it."""
        return f"{self.kind}:{self.pk}"

    def code_was_sent(self, verification_id):
        self.verification_id = verification_id
        self.save(update_fields=["verification_id"])

    def mark_phone_verified(self, phone_number):
        self.phone_number = phone_number
        self.phone_verified_at = timezone.now()
        self.save(update_fields=["phone_number", "phone_verified_at"])


class User(Account):
    kind = "user"


class Rider(Account):
    kind = "rider"

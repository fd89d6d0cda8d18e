import json
import time

import django_otpd as otp
from django.conf import settings
from django.db import transaction
from django.http import JsonResponse
from django.utils.translation import get_language
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_POST

from .auth import bearer

listener = otp.EventListener()

SENT = {
    None: "OTP sent to {phone_number}",
    "call": "We are calling {phone_number}",
    "email": "OTP sent by e-mail",
}


@csrf_exempt
@require_POST
@bearer
@sensitive_variables("phone_number")
def send_otp(request, account, channel=None):
    """Sends a code by the usual route, or by one channel: "call me instead", "e-mail me"."""
    # Never an address of the request's body: anybody could have the codes for a phone sent to himself.
    email = account.email or None
    if channel == "email" and not email:
        return answer("Your account has no e-mail address", status=400)
    try:
        (phone_number,) = texts(request, "phone_number")
        client_ip = request.META.get(settings.CLIENT_ADDRESS) or None
        requested = otp.request(
            account.otp_subject, phone_number, channel=channel, email=email, locale=get_language(), client_ip=client_ip
        )
        account.code_was_sent(requested.verification_id)
    except otp.TooManyRequests as limited:
        return too_many(limited)
    except (otp.Refused, BadBody) as refused:
        return answer(str(refused), status=400)
    return answer(SENT[channel].format(phone_number=phone_number))


@csrf_exempt
@require_POST
@transaction.non_atomic_requests  # no error further out may roll back the use of a right code
@bearer
@sensitive_variables("phone_number", "code")
def verify_otp(request, account):
    try:
        phone_number, code = texts(request, "phone_number", "code")
    except BadBody as bad:
        return answer(str(bad), status=400)
    # The code is used up and the phone is marked together, or neither. durable: this is the outermost transaction.
    client_ip = request.META.get(settings.CLIENT_ADDRESS) or None
    try:
        with transaction.atomic(durable=True):
            is_right = otp.verify(account.otp_subject, code, phone_number, client_ip=client_ip)
            verified = otp.verified_phone(account.otp_subject, phone_number) if is_right else None
            if verified:
                account.mark_phone_verified(verified)
    except otp.TooManyRequests as limited:
        return too_many(limited)
    if not is_right:
        return answer("Invalid or expired OTP", status=400)
    if not verified:
        return answer("The code is right. It also went by e-mail, so it does not verify the phone number.")
    return answer("Phone verified successfully!")


DELIVERY = {
    "under_way": "Your code is on its way",
    "sent": "Your code was sent",
    "delivered": "Your code has arrived",
    "not_delivered": "Your code could not be delivered",
}


@require_GET
@transaction.non_atomic_requests  # no transaction stays open while this waits
@bearer
def delivery(request, account):
    """Answers when it is known whether the account's last code arrived, or after settings.DELIVERY_WAIT seconds.

    It looks once, and then only when otpd has news of this code. While the state is under_way or sent, the app asks again.
    """
    if account.verification_id is None:
        return answer("No code was sent", status=404)
    deadline = time.monotonic() + settings.DELIVERY_WAIT
    has_news = True
    with listener.watch(account.verification_id) as news:
        while True:
            state = otp.progress(otp.delivery(account.verification_id, account.otp_subject))
            if state in ("delivered", "not_delivered") or not has_news:
                break
            has_news = news.wait(max(0, deadline - time.monotonic()))
    return answer(DELIVERY[state], state=state)


def too_many(limited):
    return answer(str(limited), status=429, headers={"Retry-After": str(limited.retry_after)})


def answer(message, status=200, headers=None, **more):
    return JsonResponse({"success": status == 200, "message": message} | more, status=status, headers=headers)


class BadBody(Exception):
    """The request's body is not the JSON that was asked for. Its text is for the caller."""


def texts(request, *names):
    """The named fields of the JSON body, each a text that PostgreSQL can hold."""
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise BadBody("The body must be JSON") from error
    values = [body.get(name) if isinstance(body, dict) else None for name in names]
    for name, value in zip(names, values):
        if not isinstance(value, str) or not 0 < len(value) <= 100:
            raise BadBody(f"{name} must be a text of 1 to 100 characters")
        if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value):
            raise BadBody(f"{name} contains characters that are not text")
    return values

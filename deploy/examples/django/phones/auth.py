from functools import wraps
from hmac import compare_digest

from django.http import JsonResponse
from django.views.decorators.debug import sensitive_variables

from .models import digest


def bearer(view):
    """Calls the view with the account whose token the request bears, of the model that the route names; else 401."""

    @wraps(view)
    @sensitive_variables("token")
    def authenticated(request, model, **options):
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        # Found by the digest of a random token, so the time of the look-up tells nothing about the token.
        wanted = digest(token.strip())
        account = model.objects.filter(token_digest=wanted).first() if scheme.lower() == "bearer" else None
        if account is None or not compare_digest(account.token_digest, wanted):
            body = {"success": False, "message": "Authentication required"}
            return JsonResponse(body, status=401, headers={"WWW-Authenticate": "Bearer"})
        return view(request, account, **options)

    return authenticated

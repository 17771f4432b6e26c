"""Django REST framework's view of who asks, as avain's gateway signed it. One file; copy it into the backend.

    # settings.py
    AVAIN = {"KEY": "…what `avain key phantom` printed…"}
    REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["avain_authentication.AvainAuthentication"]}

For each request that avain lets through with a credential, nginx hands the backend a short token that avain has signed, and empties
that header for all other requests. This class verifies the signature and gives the account as `request.user`, the token's claims
as `request.auth`. It needs no other package for HS256, and `cryptography` for RS256. Where the backend has Simple JWT, its own
`JWTAuthentication` with the same key does the same (nginx/README.md); this is for those that have not, or that have another use for
Authorization.

Settings, all but KEY with defaults:

    KEY     the HS256 secret, or the public key in PEM for RS256; a list while it is changed
    HEADER  where the token comes: "Authorization", or "X-Avain-Identity" with nginx/signed_identity.conf
    LEEWAY  seconds by which clocks may differ: 0

Who does not come through the gateway has no signature, and is nobody. What says otherwise is refused with 401: a token with
another signature, one that has expired, and headers such as X-Auth-User-Id, which the gateway never lets through.
"""
import base64
import hashlib
import hmac
import json
import time

from django.conf import settings
from django.contrib.auth import get_user_model
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed

# The gateway empties these. That one arrives means that the request went around it.
UNSIGNED = ["X-Auth-User-Id", "X-Auth-Username", "X-Auth-Scope", "X-Auth-Via", "X-Auth-User", "X-Upstream-Authorization", "Remote-User",
            "X-Remote-User", "X-Forwarded-User"]


class AvainAuthentication(BaseAuthentication):
    """Believes what avain signed, and nothing else."""

    def authenticate(self, request):
        """The account and the token's claims; None where nothing is claimed. Raises `AuthenticationFailed`."""
        for name in UNSIGNED:
            if name in request.headers:
                raise AuthenticationFailed(f"{name} is not signed: this request did not come through the gateway.", "unsigned_identity")
        header = request.headers.get(option("HEADER"), "")
        if not header:
            return None
        scheme, _, token = header.partition(" ")
        if scheme != "Bearer":
            raise AuthenticationFailed("Only the gateway's own tokens are believed.", "bad_identity")
        claims = verified_claims(token, time.time())
        return account(claims), claims

    def authenticate_header(self, request):
        """What makes Django REST framework answer 401, not 403."""
        return 'Bearer realm="api"'


def option(name):
    """One of the settings."""
    return {"HEADER": "Authorization", "LEEWAY": 0, **settings.AVAIN}[name]


def verified_claims(token, now):
    """The claims of a token that avain signed for a backend and that is good `now`. Raises `AuthenticationFailed`."""
    refused = AuthenticationFailed("The identity is not signed by the gateway, or has expired.", "bad_identity")
    try:
        head, payload, signature = token.encode("ascii").split(b".")
        header, claims = json.loads(unbase64(head)), json.loads(unbase64(payload))
        keys = option("KEY") if isinstance(option("KEY"), (list, tuple)) else [option("KEY")]
        # The key says which algorithm it is for; the token's own word only has to agree.
        signed = any(is_signed(key, header["alg"], head + b"." + payload, unbase64(signature)) for key in keys)
        expired = not claims["exp"] + option("LEEWAY") > now or claims.get("nbf", now) - option("LEEWAY") > now
        wrong_kind = claims["token_type"] != "access" or "aud" in claims
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise refused from error
    if not signed or expired or wrong_kind:
        raise refused
    return claims


def is_signed(key, algorithm, message, signature):
    """Whether this key made this signature, with the one algorithm that it is for."""
    if not key:
        return False
    if not key.lstrip().startswith("-----BEGIN"):
        expected = hmac.new(key.strip().encode(), message, hashlib.sha256).digest()
        return algorithm == "HS256" and hmac.compare_digest(expected, signature)
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding
    try:
        serialization.load_pem_public_key(key.encode()).verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return algorithm == "RS256"


def account(claims):
    """The account that the claims are about. Raises `AuthenticationFailed`."""
    model = get_user_model()
    try:
        found = model._default_manager.get(pk=int(claims["user_id"]))
    except (model.DoesNotExist, KeyError, TypeError, ValueError, OverflowError) as error:
        raise AuthenticationFailed("User not found", "user_not_found") from error
    if not found.is_active:
        raise AuthenticationFailed("User is inactive", "user_inactive")
    return found


def unbase64(part):
    """The bytes of base64url without padding."""
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))

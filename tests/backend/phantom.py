"""What the backend does with `Authorization`: Simple JWT 4.3's rules for the phantom token, under a key of its own.

Nothing else counts as a credential: `Token …` and Django sessions are ignored, as with the two settings that put the
real backend behind a gateway (nginx/README.md).
"""
import base64
import hashlib
import hmac
import json
import time


class Refused(Exception):
    """401 with this body."""

    def __init__(self, body):
        super().__init__(body.get("detail"))
        self.body = body


class Crash(Exception):
    """What the peer does not survive (a user id that is no number): 500."""


def token_not_valid(message):
    return Refused({"detail": "Given token not valid for any token type", "code": "token_not_valid",
                    "messages": [{"token_class": "AccessToken", "token_type": "access", "message": message}]})


class Verifier:
    """Verifies phantom tokens: HS256 under a secret, or RS256 where the key file holds a public key in PEM."""

    def __init__(self, key):
        self.key = key.strip()
        self.algorithm = "RS256" if self.key.startswith(b"-----BEGIN") else "HS256"

    def account(self, header, accounts):
        """The account that `Authorization` (bytes, or None) speaks for; None for anonymous. Raises `Refused`."""
        words = (header or b"").split()
        if not words or words[0] != b"Bearer":
            return None
        if len(words) != 2:
            raise Refused({"detail": "Authorization header must contain two space-delimited values",
                           "code": "bad_authorization_header"})
        claims = self.claims(words[1])
        if "user_id" not in claims:
            raise Refused({"detail": "Token contained no recognizable user identification", "code": "token_not_valid"})
        try:
            account = accounts.by_id(int(claims["user_id"]))
        except (TypeError, ValueError) as error:
            raise Crash(str(error)) from error
        if account is None:
            raise Refused({"detail": "User not found", "code": "user_not_found"})
        if not account.is_active:
            raise Refused({"detail": "User is inactive", "code": "user_inactive"})
        return account

    def claims(self, token):
        """The claims of a good access token. Raises `Refused`."""
        invalid = token_not_valid("Token is invalid or expired")
        try:
            head, payload, signature = token.split(b".")
            header = json.loads(unbase64(head))
            claims = json.loads(unbase64(payload))
            if header.get("alg") != self.algorithm or not self.signed(head + b"." + payload, unbase64(signature)):
                raise invalid
            now = time.time()
            if "exp" in claims and int(claims["exp"]) <= now or int(claims.get("nbf", 0)) > now or "aud" in claims:
                raise invalid
        except (ValueError, TypeError, AttributeError) as error:
            raise invalid from error
        for claim, message in (("exp", "Token has no 'exp' claim"), ("jti", "Token has no id"),
                               ("token_type", "Token has no type")):
            if claim not in claims:
                raise token_not_valid(message)
        if claims["token_type"] != "access":
            raise token_not_valid("Token has wrong type")
        return claims

    def signed(self, message, signature):
        if self.algorithm == "HS256":
            return hmac.compare_digest(hmac.new(self.key, message, hashlib.sha256).digest(), signature)
        from cryptography.exceptions import InvalidSignature  # needed for RS256 only
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding
        try:
            key = serialization.load_pem_public_key(self.key)
            key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True


def unbase64(part):
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))

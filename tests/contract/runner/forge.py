"""JWTs by hand: reading without verifying, and forging with the target's own key."""
import base64
import hashlib
import hmac
import json
import re
import time

from .flows import Problem, Skip

HS = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
WRONG_SECRET = b"not-the-key-not-the-key-not-the-key-not-the-key"
JWT_RE = re.compile(r"^[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*$")
JWT_IN = re.compile(r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")


def b64u(raw):
    """Unpadded base64url."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64u(text):
    """The bytes of unpadded base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def is_jwt(value):
    """Whether a value looks like a compact JWS with a JSON header."""
    return isinstance(value, str) and value.startswith("eyJ") and bool(JWT_RE.match(value))


def jwt_parts(token):
    """Header and claims of a token, signature not looked at."""
    header, claims, _ = token.split(".")
    return json.loads(unb64u(header)), json.loads(unb64u(claims))


class Signing:
    """The key the target signs with: an HS256 secret, or an RS256 pair in PEM."""

    def __init__(self, alg, secret=None, private_pem=None, public_pem=None):
        self.alg, self.secret, self.private_pem, self.public_pem = alg, secret, private_pem, public_pem

    def good(self, alg):
        """The signing key, for a token signed with `alg`."""
        if alg != "none" and alg[:2] != self.alg[:2]:
            raise Problem("good key has another family than " + alg)
        return self.secret.encode() if self.alg.startswith("HS") else self.private_pem


def fresh_rsa():
    """A new RSA key pair: private and public PEM."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import rsa
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return (key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()),
            key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo))


def sign(header, claims, alg, key):
    """A compact JWS; `alg_header` in the header overrides what it says about its algorithm."""
    head = dict(header)
    head["alg"] = head.pop("alg_header", alg)
    signed = ".".join(b64u(json.dumps(part, separators=(",", ":")).encode())
                      for part in (head, claims))
    if alg == "none":
        return signed + "."
    if alg in HS:
        return signed + "." + b64u(hmac.new(key, signed.encode(), HS[alg]).digest())
    if alg.startswith("RS"):
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding
        digest = {"RS256": hashes.SHA256, "RS384": hashes.SHA384, "RS512": hashes.SHA512}[alg]()
        private = serialization.load_pem_private_key(key, None)
        return signed + "." + b64u(private.sign(signed.encode(), padding.PKCS1v15(), digest))
    raise Problem("cannot sign with " + alg)


def now_value(value):
    """`now`, `now+60` and `now-1` as a time; anything else as it is."""
    match = isinstance(value, str) and re.fullmatch(r"now([+-]\d+)?", value)
    return int(time.time()) + int(match.group(1) or 0) if match else value


def forge(spec, scope, signing):
    """A token made by hand from `spec`: from, drop, set, header, alg, key."""
    if not signing:
        raise Skip("no signing key known for this system")
    header, claims = {"typ": "JWT"}, {}
    if "from" in spec:
        header, claims = jwt_parts(scope.get(spec["from"]))
    for name in spec.get("drop", []):
        claims.pop(name, None)
    for name, value in spec.get("set", {}).items():
        claims[name] = now_value(scope.fill(value))
    header.update(scope.fill(spec.get("header", {})))
    alg = spec.get("alg", signing.alg)
    which = spec.get("key", "good")
    if which == "good":
        key = signing.good(alg)
    elif which == "wrong":
        key = WRONG_SECRET if alg.startswith("HS") else fresh_rsa()[0]
    elif which == "pubkey":
        key = signing.public_pem
    else:
        key = b""
    return sign(header, claims, alg, key)

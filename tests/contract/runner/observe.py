"""An answer as comparable facts: what changes from run to run becomes a typed placeholder."""
import re
import time

from .forge import JWT_IN, is_jwt, jwt_parts
from .wire import parse_set_cookie

HEX40 = re.compile(r"^[0-9a-f]{40}$")
HEX32 = re.compile(r"^[0-9a-f]{32}$")
UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
DATETIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)$")
ID_KEYS = {"id", "pk", "user_id", "sub"}
TIME_CLAIMS = ("exp", "iat", "nbf")

# Recorded for the reader, never compared.
SOFT = ("vary", "cache-control", "x-frame-options", "x-content-type-options", "referrer-policy",
        "cross-origin-opener-policy", "content-language", "content-type")


class Normal:
    """Replaces the values of one run of one flow by placeholders."""

    def __init__(self, scope, base, tag):
        self.scope, self.base, self.tag = scope, base, tag

    def text(self, value):
        """A string with tokens, times, captured values, base URL and run tag replaced."""
        if is_jwt(value):
            return "<jwt>"
        for pattern, name in ((HEX40, "<hex40>"), (HEX32, "<hex32>"), (UUID, "<uuid>"),
                              (DATETIME, "<datetime>")):
            if pattern.match(value):
                return name
        for name, captured in self.scope.captured.items():
            if isinstance(captured, str) and len(captured) >= 3:
                if value == captured or (len(captured) >= 12 and captured in value):
                    value = value.replace(captured, "<%s>" % name)
        if value.startswith("JSON parse error - "):
            return "JSON parse error - <where>"
        value = JWT_IN.sub("<jwt>", value).replace(self.base, "<base>")
        return value.replace(self.tag, "{{run}}").replace(self.tag.upper(), "{{RUN}}")

    def link(self, value):
        """A link from a mail, its secrets replaced."""
        value = self.text(value)
        value = re.sub(r"confirm-email/[^/<]+/", "confirm-email/<key>/", value)
        value = re.sub(r"\b(activate|confirm)/[A-Za-z0-9_-]+/", r"\1/<uid>/", value)
        return re.sub(r"\b[a-z0-9]{3,8}-[0-9a-f]{20,64}\b", "<token>", value)

    def json(self, value, key=None):
        """A JSON value, member by member."""
        if isinstance(value, dict):
            return {self.text(k): self.json(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [self.json(v, key) for v in value]
        if key in ID_KEYS and isinstance(value, int) and not isinstance(value, bool):
            return "<int>"
        if key in ID_KEYS and isinstance(value, str) and value.isdigit():
            return "<int-string>"
        return self.text(value) if isinstance(value, str) else value

    def claims(self, claims):
        """JWT claims; times only by their type."""
        out = {}
        for name, value in claims.items():
            if name in TIME_CLAIMS:
                whole = isinstance(value, int) and not isinstance(value, bool)
                out[name] = "<int>" if whole else "<%s>" % type(value).__name__
            else:
                out[name] = self.json(value, name)
        return out

    def jwts(self, value, path=""):
        """Every JWT inside a JSON value, by its path."""
        found = {}
        if isinstance(value, dict):
            for key, member in value.items():
                found.update(self.jwts(member, path + "." + key if path else key))
        elif isinstance(value, list):
            for i, member in enumerate(value):
                found.update(self.jwts(member, "%s[%d]" % (path, i)))
        elif is_jwt(value):
            found[path] = self.jwt(value)
        return found

    def jwt(self, token):
        """Header, shape of the claims and lifetime (to 5 seconds) of a JWT."""
        header, claims = jwt_parts(token)
        life = None
        if isinstance(claims.get("exp"), int):
            start = claims["iat"] if isinstance(claims.get("iat"), int) else int(time.time())
            life = int(round((claims["exp"] - start) / 5.0) * 5)
        if "kid" in header:
            header["kid"] = "<kid>"
        return {"header": header, "claims": self.claims(claims), "lifetime_s": life}


def observe(response, normal):
    """The facts of an answer: status, headers, cookies, body, tokens in the body."""
    facts = {"status": response.status, "headers": headers(response, normal),
             "soft": {name: response.one(name) for name in SOFT if response.one(name) is not None}}
    set_cookies = cookies(response)
    if set_cookies:
        facts["cookies"] = set_cookies
    facts["body"] = body(response, normal)
    if facts["body"]["kind"] == "json":
        tokens = normal.jwts(response.json())
        if tokens:
            facts["jwt"] = tokens
    return facts


def headers(response, normal):
    """The headers that count."""
    hard = {}
    if response.one("www-authenticate") is not None:
        hard["www-authenticate"] = response.one("www-authenticate")
    if response.one("allow") is not None:
        hard["allow"] = sorted(word.strip() for word in response.one("allow").split(","))
    if response.one("location") is not None:
        hard["location"] = normal.text(response.one("location"))
    return hard


def cookies(response):
    """Names, kinds of value and attributes of the cookies that are set."""
    out = {}
    for raw in response.all("set-cookie"):
        cookie = parse_set_cookie(raw)
        attrs = {k: "<date>" if k == "expires" else v for k, v in cookie["attrs"].items()}
        kind = "<jwt>" if is_jwt(cookie["value"]) else "<opaque>"
        if cookie["gone"]:
            kind = "<deleted>"
            attrs.pop("expires", None)
            attrs.pop("max-age", None)
        out[cookie["name"]] = {"value": kind, "attrs": attrs}
    return out


def body(response, normal):
    """The body by its kind; HTML only by its title, which is not compared."""
    if not response.body:
        return {"kind": "empty"}
    if response.media_type.endswith("json"):
        try:
            return {"kind": "json", "value": normal.json(response.json())}
        except ValueError:
            return {"kind": "broken-json"}
    if response.media_type == "text/html":
        title = re.search(r"<title>(.*?)</title>", response.text(), re.S)
        return {"kind": "html", "title": " ".join(title.group(1).split()) if title else None}
    text = normal.text(response.text())
    return {"kind": "text", "value": text if len(text) < 400 else text[:400] + "..."}

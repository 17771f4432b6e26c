"""Templates in flows: {{name}}, {{user.field}}, {{name|filter}} and {{rep:a:300}}."""
import base64
import json
import re
import urllib.parse

from .flows import Blocked
from .forge import b64u, unb64u


def flip_signature(token):
    """The token with one character in the middle of its signature changed."""
    header, claims, signature = token.split(".")
    i = len(signature) // 2
    other = "A" if signature[i] != "A" else "B"
    return ".".join([header, claims, signature[:i] + other + signature[i + 1:]])


def flip_payload(token):
    """The token with another user in its claims, under the old signature."""
    header, payload, signature = token.split(".")
    claims = json.loads(unb64u(payload))
    claims["user_id"] = "999999" if isinstance(claims.get("user_id"), str) else 999999
    return ".".join([header, b64u(json.dumps(claims, separators=(",", ":")).encode()), signature])


FILTERS = {
    "flip_sig": flip_signature,
    "flip_payload": flip_payload,
    "no_sig": lambda t: t.rsplit(".", 1)[0] + ".",
    "two_parts": lambda t: t.rsplit(".", 1)[0],
    "cut1": lambda t: t[:-1],
    "cut5": lambda t: t[:-5],
    "upper": str.upper,
    "title": str.title,
    "lower": str.lower,
    "q": lambda t: urllib.parse.quote(t, safe=""),
    "b64": lambda t: base64.b64encode(t.encode()).decode(),
    "swap_last": lambda t: t[:-1] + ("0" if t[-1] != "0" else "1"),
}


class Scope:
    """The values a flow can name: paths, accounts, captured and forged tokens."""

    def __init__(self, values):
        self.values = values
        self.captured = {}

    def put(self, name, value):
        """Remember a captured value."""
        self.values[name] = value
        self.captured[name] = value

    def get(self, path):
        """The value of a dotted name; Blocked where there is none."""
        repeat = re.fullmatch(r"rep:(.+):(\d+)", path)
        if repeat:
            return repeat.group(1) * int(repeat.group(2))
        value = self.values
        for part in path.split("."):
            if not isinstance(value, dict) or part not in value:
                raise Blocked(path)
            value = value[part]
        return value

    def expression(self, text):
        """The value of `name|filter|filter`."""
        name, *filters = [part.strip() for part in text.split("|")]
        value = self.get(name)
        for each in filters:
            value = FILTERS[each](value)
        return value

    def fill(self, value):
        """`value` with every template in it filled in."""
        if isinstance(value, str):
            whole = re.fullmatch(r"\{\{([^{}]+)\}\}", value)
            if whole:
                return self.expression(whole.group(1).strip())
            return re.sub(r"\{\{([^{}]+)\}\}", lambda m: str(self.expression(m.group(1))), value)
        if isinstance(value, dict):
            return {self.fill(k): self.fill(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.fill(v) for v in value]
        return value

"""What became of the credentials of one flow: the facts that deliberate differences depend on.

The peers never revoke an access token, never end a family and forget that a password changed; we do.
So whether "401 where the peer says 200" is deliberate depends on what happened before in the flow:
a rule may excuse it for a token whose family has ended, never for one that should still be good.
The ledger follows the requests and answers (it decodes tokens, it does not verify them) and tells
for each request whose credential it presents and in which state that credential is.
"""
import json
import re
import time
import urllib.parse

from runner.forge import JWT_IN, is_jwt, jwt_parts
from runner.wire import parse_set_cookie

# What can end a refresh family, in the words that rules use.
ENDINGS = ("reuse", "signed-out", "password-changed", "deactivated", "deleted")

# Where a JWT is presented in the header or in a cookie.
SIGNED_IN = ("resource", "own", "set-password")

# Which mail a link comes from, and where it may be followed; those of all others activate.
FOLLOWED_AT = {"ask-password": "reset-password", "ask-username": "reset-username"}

# Seconds for which avain repeats a lost answer (`tokens.refresh_grace`).
GRACE = 10.0


class Family:
    """All tokens that come from one sign-in."""

    def __init__(self, owner):
        self.owner = owner
        self.ended = set()


class Token:
    """One issued token. For a refresh token that was rotated, `answer` made its `successor`."""

    def __init__(self, raw, family):
        self.id, self.account_id, self.family = token_id(raw), account_id(raw), family
        self.kind = claim(raw, "token_type")
        self.used = False
        self.partner = None  # the access token that came with a refresh token
        self.successor = None
        self.rotated_at = None
        self.answer = None


class Account:
    """The owner's state as the set-up hook left it."""

    def __init__(self, active=True):
        self.active, self.deleted = active, False


class Ledger:
    """The credentials of one flow. `endpoints` finds an endpoint's name from method and path."""

    def __init__(self, endpoints, users=()):
        self.endpoints = endpoints
        self.accounts = {u["username"]: Account(u.get("is_active", True)) for u in users}
        self.tokens, self.families, self.issued = {}, {}, set()
        self.done = set()  # requests that were answered well
        self.keys = {}  # API key -> owner
        self.owners = {u["email"].lower(): u["username"] for u in users if u.get("email")}
        self.links = {}  # secret of a mailed link -> (owner, endpoint to follow it at)

    def situation(self, played):
        """The facts of a request that was answered, before its effects are recorded."""
        exchange = played.exchange
        endpoint = self.endpoints.name(exchange.path)
        raw = presented_jwt(exchange, endpoint)
        facts = {"endpoint": endpoint, "method": exchange.method, "path": exchange.path,
                 "body_bytes": len(exchange.body or b""), "ended": set(), "retry": "no",
                 "owner": None, "altered": raw not in self.issued, "made": self.made(raw),
                 "repeated": request_of(exchange) in self.done,
                 "link": self.link(exchange, endpoint), **self.said(exchange, endpoint)}
        token = self.find(raw)
        if token is None:
            return facts
        facts.update(ended=set(token.family.ended), retry=self.retry(token),
                     owner=self.owner_state(token, raw))
        answered = answer_jwts(exchange.response).get("refresh")
        if token.successor and answered and token_id(answered) == token.successor.id:
            facts["successor_answer"] = token.answer
        return facts

    def said(self, exchange, endpoint):
        """What the body says that rules ask about."""
        fields = body_fields(exchange)
        own, name = self.caller_of(exchange, endpoint), fields.get("username")
        return {"email_length": len(str(fields.get("email", ""))),
                "refresh_null": "refresh" in fields and fields["refresh"] is None,
                "own_name": bool(own) and isinstance(name, str) and name.lower() == own.lower()}

    def link(self, exchange, endpoint):
        """`foreign` where a mailed link is presented elsewhere than it is for."""
        owner_and_place = self.links.get(secret_of_link(exchange))
        return "foreign" if owner_and_place and owner_and_place[1] != endpoint else None

    def made(self, raw):
        """What shows that a token was made by hand with our key, if something does.

        `refresh-token`: it calls itself a refresh token, and none with its `jti` was ever issued.
        `time-as-text`: one of its times is no number.
        """
        if any(isinstance(claim(raw, name), str) for name in ("exp", "iat", "nbf")):
            return "time-as-text"
        token = self.find(raw)
        unknown = token is None or token.kind != "refresh"
        return "refresh-token" if claim(raw, "token_type") == "refresh" and unknown else None

    def retry(self, token):
        """Whether a second refresh with this token would repeat a lost answer.

        `due`: one step behind, inside the grace period, successor and its access token unused.
        `possible`: the same, but the access token was used; a service may see that either way.
        """
        successor = token.successor
        if successor is None or successor.used or token.family.ended:
            return "no"
        if time.monotonic() - token.rotated_at >= GRACE:
            return "no"
        return "possible" if successor.partner and successor.partner.used else "due"

    def record(self, played):
        """Remember what a request did: the tokens issued, used and ended."""
        if played.exchange is None:
            return
        exchange = played.exchange
        endpoint = self.endpoints.name(exchange.path)
        raw = presented_jwt(exchange, endpoint)
        token = self.find(raw)
        good = 200 <= exchange.response.status < 300
        if good:
            self.done.add(request_of(exchange))
        self.record_mail(played, endpoint)
        if endpoint in ("key-login", "own", "set-password", "reset-password") and good:
            self.record_account(played, endpoint)
        if endpoint == "obtain" and good:
            self.issue(Family(self.owner_of(exchange)), exchange.response)
        elif raw and not good:
            self.record_reuse(raw, endpoint, exchange.response)
        elif endpoint == "refresh" and token:
            self.record_refresh(token, played)
        elif endpoint in ("blacklist", "logout") and token:
            token.family.ended.add("signed-out")
        elif endpoint == "resource" and token:
            token.used = True

    def record_mail(self, played, endpoint):
        """Remember whom the link of a mail belongs to, and where it may be followed."""
        spec = played.step.get("mail") or {}
        owner = self.owners.get(played.normal.scope.fill(spec["to"]).lower()) if spec else None
        for name in spec.get("capture", ()):
            secret = played.normal.scope.captured.get(name)
            if owner and "token" in name and secret:
                self.links[secret] = owner, FOLLOWED_AT.get(endpoint, "activate")

    def record_account(self, played, endpoint):
        """What an owner does to the account over HTTP ends what was issued before, as the hook's changes do."""
        exchange = played.exchange
        if endpoint == "key-login":
            key = answer_key(exchange.response)
            if key:
                self.keys[key] = self.owner_of(exchange)
        elif endpoint == "reset-password":
            owner, _ = self.links.get(secret_of_link(exchange), (None, None))
            self.end_all(owner, "password-changed")
        elif endpoint == "set-password":
            self.end_all(self.caller_of(exchange, endpoint), "password-changed")
        elif exchange.method == "DELETE":
            owner = self.caller_of(exchange, endpoint)
            self.accounts.setdefault(owner, Account()).deleted = True
            self.end_all(owner, "deleted")
        elif played.facts.get("mail", {}).get("count"):  # the new address has to be activated
            self.end_all(self.caller_of(exchange, endpoint), "deactivated")

    def caller_of(self, exchange, endpoint):
        """The account whose key or token a request presents."""
        token = self.find(presented_jwt(exchange, endpoint))
        words = str(exchange.headers.get("Authorization", "")).split()
        return token.family.owner if token else self.keys.get(words[-1]) if words else None

    def record_hook(self, hook):
        """A change of an account ends what was issued before it."""
        name = hook.get("username")
        changes = hook.get("set", {})
        account = self.accounts.setdefault(name, Account()) if name else None
        if hook["op"] == "delete-user":
            account.deleted = True
            self.end_all(name, "deleted")
        if "is_active" in changes:
            account.active = bool(changes["is_active"])
            if not account.active:
                self.end_all(name, "deactivated")
        if "password" in changes:
            self.end_all(name, "password-changed")

    def record_refresh(self, token, played):
        """A rotation, the retry of one, or a refresh without rotation."""
        issued = self.issue(token.family, played.exchange.response)
        if token.successor is None and issued:
            token.used = True
            token.successor, token.rotated_at = issued, time.monotonic()
            token.answer = played.facts

    def record_reuse(self, raw, endpoint, response):
        """A token that is not the one in force, nor a lost answer's: somebody else holds a copy."""
        taken_back = b"Token is blacklisted" in response.body
        if endpoint not in ("refresh", "blacklist", "logout") or not taken_back:
            return
        token = self.find(raw)
        if token is None:  # made by hand: it may still name a family
            family = self.families.get(claim(raw, "sid"))
        elif token.kind != "refresh" or token.successor and self.retry(token) != "due":
            family = token.family
        else:
            return
        if family:
            family.ended.add("reuse")

    def issue(self, family, response):
        """Remember the tokens of an answer; give the refresh token, if there is one."""
        jwts = answer_jwts(response)
        made = {}
        for kind, raw in jwts.items():
            token = made[kind] = self.find(raw) or Token(raw, family)
            self.tokens[token.id] = token
            self.issued.add(raw)
            self.families[claim(raw, "sid")] = family
        refresh = made.get("refresh")
        if refresh and "access" in made:
            refresh.partner = made["access"]
        return refresh

    def end_all(self, owner, how):
        """End every family of an account."""
        if owner is None:
            return
        for token in self.tokens.values():
            if token.family.owner == owner:
                token.family.ended.add(how)

    def find(self, raw):
        """The issued token with the same `jti`, however the presented copy was altered."""
        return self.tokens.get(token_id(raw)) if raw else None

    def owner_state(self, token, raw):
        """active, inactive or deleted; `nobody` where the copy names an account never met here."""
        named = account_id(raw)
        if named is not None and all(named != t.account_id for t in self.tokens.values()):
            return "nobody"
        account = self.accounts.get(token.family.owner, Account())
        return "deleted" if account.deleted else "active" if account.active else "inactive"

    def owner_of(self, exchange):
        """The account that a sign-in names."""
        name = str(body_fields(exchange).get("username", "")).strip()
        if name:
            return name
        text = (exchange.body or b"").decode("utf-8", "replace")
        return next((known for known in self.accounts if known in text), None)


def request_of(exchange):
    """What makes two requests the same: method, path, and the fields of the body in any form."""
    return exchange.method, exchange.path, json.dumps(body_fields(exchange), sort_keys=True)


def claim(raw, name):
    """A claim of a token; None where it is absent, or there is no token that decodes."""
    try:
        claims = jwt_parts(raw)[1] if raw else None
    except ValueError:
        return None
    return claims.get(name) if isinstance(claims, dict) else None


def token_id(raw):
    """The `jti` of a token."""
    return claim(raw, "jti")


def account_id(raw):
    """The account that a token names, as text: the generations write it as text or as a number."""
    named = claim(raw, "user_id")
    return None if named is None else str(named)


def presented_jwt(exchange, endpoint):
    """The JWT that a request presents: in its header at a resource, in its body elsewhere."""
    if endpoint in SIGNED_IN:
        header = exchange.headers.get("Authorization", "")
        words = header.split() if isinstance(header, str) else []
        cookie = re.search(r"access-token=([^;]+)", str(exchange.headers.get("Cookie", "")))
        if cookie and not words and endpoint != "resource":
            words = ["", cookie.group(1)]
        return words[1] if len(words) == 2 and is_jwt(words[1]) else None
    field = "token" if endpoint == "verify" else "refresh"
    value = body_fields(exchange).get(field)
    if isinstance(value, str) and is_jwt(value.strip()):
        return value.strip()
    cookie = re.search(r"refresh-token=([^;]+)", str(exchange.headers.get("Cookie", "")))
    if cookie and field == "refresh" and value is None and is_jwt(cookie.group(1)):
        return cookie.group(1)
    found = set(JWT_IN.findall((exchange.body or b"").decode("utf-8", "replace")))
    return found.pop() if len(found) == 1 else None


def secret_of_link(exchange):
    """The secret of the one-time link that a request presents."""
    return str(body_fields(exchange).get("token", "")).strip()


def answer_key(response):
    """The API key of an answer."""
    try:
        value = response.json()
    except ValueError:
        return None
    return value.get("auth_token") or value.get("key") if isinstance(value, dict) else None


def body_fields(exchange):
    """The fields of a JSON object or a form; empty for anything else."""
    text = (exchange.body or b"").decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except ValueError:
        if not re.match(r"[\w.-]+=", text):
            return {}
        value = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
    return value if isinstance(value, dict) else {}


def answer_jwts(response):
    """The `access` and `refresh` tokens of an answer, be they in its body or in cookies."""
    try:
        value = response.json()
    except ValueError:
        return {}
    if not isinstance(value, dict):
        return {}
    cookies = {c["name"]: c["value"] for c in map(parse_set_cookie, response.all("set-cookie"))}
    tokens = {k: value.get(k) or cookies.get(k + "-token") for k in ("access", "refresh")}
    return {kind: raw for kind, raw in tokens.items() if is_jwt(raw)}

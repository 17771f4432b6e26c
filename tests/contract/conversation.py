"""For test_rules.py: a flow written as recorded and given answers, and the verdicts on its steps."""
import copy
import json
from pathlib import Path

from recorded_peer import SEED, answer
from replay import Replay
from rules import Rules
from runner.flows import Contract
from runner.forge import Signing
from runner.play import Target

RULES = Rules.load()
OURS = Contract(Path(__file__).resolve().parent)
PATHS = OURS.systems()
BEARER = {"www-authenticate": 'Bearer realm="api"'}
DEAD = {"detail": "Token is blacklisted", "code": "token_not_valid"}
DEAD_BEARER = {"detail": "Given token not valid for any token type", "code": "token_not_valid",
               "messages": [{"token_class": "AccessToken", "token_type": "access",
                             "message": "Token is blacklisted"}]}
NO_ACCOUNT = {"detail": "No active account found for the given token."}


def facts(status, value=None, headers=None, jwt=None):
    """A recorded answer."""
    body = {"kind": "empty"} if value is None else {"kind": "json", "value": value}
    out = {"status": status, "headers": headers or {}, "body": body}
    return {**out, "jwt": jwt} if jwt else out


def refused(value, status=401):
    """A recorded 401."""
    return facts(status, value, BEARER)


def shape(kind, life):
    """A token as the peers make it."""
    return {"header": {"alg": "HS256", "typ": "JWT"}, "lifetime_s": life, "claims": {
        "token_type": kind, "exp": "<int>", "iat": "<int>", "jti": "<hex32>",
        "user_id": "<int-string>"}}


def with_additions(tokens):
    """The same tokens as we make them."""
    tokens = copy.deepcopy(tokens)
    for token in tokens.values():
        token["header"]["kid"] = "k1"
        token["claims"]["sid"] = "3f9c"
    return tokens


PAIR = {"refresh": shape("refresh", 86400), "access": shape("access", 300)}
PEER_PAIR = facts(200, {"refresh": "<jwt>", "access": "<jwt>"}, jwt=PAIR)
OUR_PAIR = facts(200, {"refresh": "<jwt>", "access": "<jwt>"}, jwt=with_additions(PAIR))
OUR_ACCESS = facts(200, {"access": "<jwt>"}, jwt=with_additions({"access": PAIR["access"]}))
PEER_ACCESS = facts(200, {"access": "<jwt>"}, jwt={"access": PAIR["access"]})
HELLO = facts(200, {"message": "Hello, World!"})


class Script(Target):
    """Gives prepared answers in order; one may be made from the request's history."""

    def __init__(self, system, answers):
        super().__init__(system, "http://avain.test", PATHS[system]["vars"], hook=lambda _r: {})
        self.answers, self.sent, self.given = list(answers), [], []

    def send(self, method, path, headers, body):
        """The next answer."""
        self.sent.append((method, path))
        given = self.answers.pop(0)
        if callable(given):
            given = given(self.given)
        response = given if hasattr(given, "status") else answer(given, "tag", self.base)
        self.given.append(response)
        return response


class FlowOf:
    """A contract of one flow."""

    def __init__(self, system, steps, recorded):
        self.flow = {"id": "f", "systems": [system], "topic": "t", "layer": "auth",
                     "users": {"amy": {}, "bob": {}}, "steps": steps}
        self.recorded = {"f": recorded}

    def flows(self, _system):
        """The flow."""
        return [self.flow]

    def recording(self, _system):
        """Its recording."""
        return self.recorded

    def systems(self):
        """Our paths."""
        return PATHS


class Conversation:
    """Steps of a flow with the peer's and our answers."""

    def __init__(self, system):
        self.system, self.steps, self.recorded, self.answers = system, [], {}, []

    def step(self, do, peer, ours=None, **more):
        """A request with the peer's answer and ours (the same where not given)."""
        name = "s%d" % len(self.recorded)
        self.steps.append({"name": name, "do": do, **more})
        self.recorded[name] = peer
        if ours is not ...:
            self.answers.append(peer if ours is None else ours)
        return self

    def hook(self, **request):
        """A change of an account."""
        self.steps.append({"name": "hook%d" % len(self.steps), "hook": request})
        return self

    def forge(self, **specs):
        """Tokens made by hand."""
        self.steps.append({"name": "forge%d" % len(self.steps), "forge": specs})
        return self

    def obtain(self, suffix="", who="amy"):
        """A sign-in that captures access and rt."""
        do = "POST {{P}}/" if self.system == "simplejwt" else "POST {{OBTAIN}}"
        return self.step(do, PEER_PAIR, OUR_PAIR,
                         json={"username": "{{%s.username}}" % who, "password": "x"},
                         capture={"access" + suffix: "json:access", "rt" + suffix: "json:refresh"})

    def refresh(self, token, peer, ours=None, capture=None):
        """A refresh with a captured token."""
        do = "POST {{P}}/refresh/" if self.system == "simplejwt" else "POST {{REFRESH}}"
        return self.step(do, peer, ours, json={"refresh": "{{%s}}" % token},
                         capture={capture: "json:refresh"} if capture else {})

    def verify(self, token, peer, ours=None):
        """A verification."""
        return self.step("POST {{P}}/verify/", peer, ours, json={"token": "{{%s}}" % token})

    def blacklist(self, token, peer, ours=None):
        """A blacklisting."""
        return self.step("POST {{P}}/blacklist/", peer, ours, json={"refresh": "{{%s}}" % token})

    def use(self, token, peer, ours=None, method="GET"):
        """A request for the resource."""
        return self.step(method + " {{RESOURCE}}", peer, ours, auth="Bearer {{%s}}" % token)

    def verdicts(self, rules=RULES):
        """The verdict on each recorded step."""
        target = Script(self.system, self.answers)
        target.signing = Signing("HS256", secret="s" * 40)
        contract = FlowOf(self.system, self.steps, self.recorded)
        score = Replay(contract, self.system, ["auth"], rules, target).run(SEED)
        return [verdict for verdict, *_ in score.verdicts]


def again(index, **changes):
    """Our answer number `index` once more: the same successor."""
    def make(given):
        first = given[index]
        if not changes:
            return first
        body = {**first.json(), **changes}
        return type(first)(first.status, first.headers, json.dumps(body).encode())
    return make

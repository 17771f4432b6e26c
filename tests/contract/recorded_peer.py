"""A stand-in for a recorded peer: answers each request of a replay as the recording says.

It tells whether flows, recordings and comparison agree with each other: a peer replayed against its own
recording must come out equal. Changes to its answers show what the rules allow and what not.
"""
import json
import secrets
import time

from runner.flows import expand
from runner.forge import sign
from runner.play import Target, prepare
from runner.wire import Response

SEED = 7


class RecordedPeer(Target):
    """Answers in the order in which `flows` ask; `change` may alter an answer's facts first."""

    def __init__(self, contract, system, flows, change=None):
        super().__init__(system, "http://peer.test", contract.systems()[system]["vars"],
                         hook=lambda _request: {"key": secrets.token_hex(20)})
        self.change = change
        tags = prepare(flows, self, SEED)
        recording = contract.recording(system)
        self.script = [(tags[flow["id"]], recording[flow["id"]][step["name"]])
                       for flow in flows for step in expand(flow, system) if "do" in step]

    def send(self, method, path, headers, body):
        """The next recorded answer, its placeholders filled in."""
        tag, facts = self.script.pop(0)
        facts = json.loads(json.dumps(facts))
        if self.change:
            self.change(facts)
        return answer(facts, tag, self.base)


def answer(facts, tag, base="http://peer.test"):
    """An HTTP answer that observes as `facts`."""
    def fill(value, path=""):
        if isinstance(value, dict):
            return {k: fill(v, path + "." + k if path else k) for k, v in value.items()}
        if isinstance(value, list):
            return [fill(v, "%s[%d]" % (path, i)) for i, v in enumerate(value)]
        if value == "<jwt>":
            return token(facts["jwt"][path])
        if value == "<hex40>":
            return secrets.token_hex(20)
        return value.replace("{{run}}", tag) if isinstance(value, str) else value

    headers = [(name, ", ".join(value) if name == "allow" else value.replace("<base>", base))
               for name, value in facts["headers"].items()]
    body = facts["body"]
    if body["kind"] == "json":
        headers.append(("content-type", "application/json"))
        return Response(facts["status"], headers, json.dumps(fill(body.get("value", {}))).encode())
    if body["kind"] == "html":
        headers.append(("content-type", "text/html"))
        return Response(facts["status"], headers, b"<title>page</title>")
    return Response(facts["status"], headers, b"")


def token(shape):
    """A token of a recorded shape; its signature is not a signature."""
    now = int(time.time())
    claims = dict(shape["claims"])
    stand_ins = {"exp": now + shape["lifetime_s"], "iat": now, "jti": secrets.token_hex(16)}
    for name in claims:
        claims[name] = stand_ins.get(name, claims[name])
    if "user_id" in claims:
        claims["user_id"] = 7 if claims["user_id"] == "<int>" else "7"
    header = {**shape["header"], "alg_header": shape["header"]["alg"]}
    return sign(header, claims, "HS256", b"a key that nobody checks")

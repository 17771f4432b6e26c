"""Plays a flow against a target, step by step."""
import http.client
import json
import random
import re
import time

from . import wire
from .flows import Blocked, Problem, Skip, expand
from .forge import forge
from .observe import Normal, observe
from .template import Scope

PASSWORD = "Corr3ct-horse-9"
USERS_PER_CALL = 200


class Target:
    """Where the flows go: base URL, paths, signing key, set-up hook and mail sink.

    `hook` takes a set-up request and gives its answer; None where there is no set-up.
    """

    def __init__(self, system, base, paths, signing=None, hook=None, mailbox=None,
                 mail_wait=5.0, mail_settle=0.15):
        self.system, self.base, self.paths, self.signing = system, base.rstrip("/"), paths, signing
        self.hook_command, self.mailbox = hook, mailbox
        self.mail_wait, self.mail_settle = mail_wait, mail_settle

    def hook(self, request):
        """One set-up request."""
        if self.hook_command is None:
            raise Skip("no set-up hook configured")
        answer = self.hook_command(request)
        if answer.get("unsupported"):
            raise Skip("the hook does not support " + request["op"])
        return answer

    def send(self, method, path, headers, body):
        """One HTTP request; tests of the runner replace it."""
        return wire.send(self.base, method, path, headers, body)


class Exchange:
    """One request and its answer, as sent and received."""

    def __init__(self, method, path, headers, body, response):
        self.method, self.path, self.headers = method, path, headers
        self.body, self.response = body, response


class Played:
    """What became of a step: facts of its answer and how they were normalised, or a problem."""

    def __init__(self, step, facts=None, exchange=None, normal=None, hook=None, problem=None,
                 blocked=None):
        self.step, self.facts, self.exchange, self.normal = step, facts, exchange, normal
        self.hook, self.problem, self.blocked = hook, problem, blocked


def user_record(key, spec, tag):
    """The account `key` of a flow, named after the run's tag."""
    record = {"username": "%s_%s" % (key, tag), "email": "%s_%s@example.com" % (key, tag),
              "password": PASSWORD, "first_name": "", "last_name": "", "is_active": True,
              "is_staff": False, "is_superuser": False}
    for name, value in (spec or {}).items():
        record[name] = value.replace("{{run}}", tag) if isinstance(value, str) else value
    return record


def prepare(flows, target, seed):
    """A random tag for every flow, and all its accounts made."""
    chance = random.Random(seed)
    tags, accounts = {}, []
    for i, flow in enumerate(flows):
        letters = "".join(chance.choice("bcdfghjklmnpqrstvwxz") for _ in range(6))
        tag = tags[flow["id"]] = "%s%02d" % (letters, i % 100)
        accounts += [user_record(key, spec, tag) for key, spec in (flow.get("users") or {}).items()
                     if not (spec or {}).get("manual")]
    if target.hook_command is not None:
        for i in range(0, len(accounts), USERS_PER_CALL):
            target.hook({"op": "create-users", "users": accounts[i:i + USERS_PER_CALL]})
    return tags


def play_flow(flow, target, tag):
    """Yield a Played for every step of the flow."""
    users = flow.get("users") or {}
    steps = expand(flow, target.system)
    if target.hook_command is None and any(not (u or {}).get("manual") for u in users.values()):
        for step in steps:
            yield Played(step, problem=("skip", "no set-up hook configured"))
        return
    scope = Scope({"run": tag, "RUN": tag.upper(), **target.paths,
                   **{key: user_record(key, spec, tag) for key, spec in users.items()}})
    jars = {}
    for step in steps:
        try:
            yield play_step(step, target, scope, jars, tag)
        except Skip as why:
            yield Played(step, problem=("skip", str(why)))
        except Blocked as why:
            yield Played(step, problem=("blocked", str(why)), blocked=why.name)
        except (OSError, ValueError, RuntimeError, Problem, http.client.HTTPException) as why:
            yield Played(step, problem=("error", "%s: %s" % (type(why).__name__, why)))


def play_step(step, target, scope, jars, tag):
    """Set-up and forgery of a step, then its request."""
    time.sleep(step.get("wait", 0))
    hook = None
    if "hook" in step:
        hook = scope.fill(step["hook"])
        answer = target.hook(hook)
        for name, source in (step.get("capture") or {}).items():
            if source.startswith("hook."):
                if source[5:] not in answer:
                    raise Problem("the hook returned no " + source[5:])
                scope.put(name, answer[source[5:]])
    for name, spec in (step.get("forge") or {}).items():
        scope.values[name] = forge(spec, scope, target.signing)
    if "do" not in step:
        return Played(step, hook=hook)
    return request_step(step, target, scope, jars, tag, hook)


def request_step(step, target, scope, jars, tag, hook):
    """Send the step's request, capture from the answer and its mail, and observe it."""
    method, _, path = step["do"].partition(" ")
    path = scope.fill(path)
    headers = dict(scope.fill(step.get("headers", {})))
    if "auth" in step:
        headers["Authorization"] = scope.fill(step["auth"])
    if "auth_hex" in step:
        headers["Authorization"] = bytes.fromhex(step["auth_hex"])
    jar = jars.setdefault(step["jar"], wire.Jar()) if "jar" in step else None
    if jar:
        headers.setdefault("Cookie", jar.header())
    body = wire.build_body(step, scope, headers)
    mark = target.mailbox.mark() if target.mailbox else 0
    response = target.send(method, path, headers, body)
    cookies = [wire.parse_set_cookie(raw) for raw in response.all("set-cookie")]
    if jar is not None:
        jar.absorb(cookies)
    mails = wait_for_mail(step["mail"], target, scope, mark) if "mail" in step else []
    for name, source in (step.get("capture") or {}).items():
        value = extract(source, response, cookies)
        if value is not None:
            scope.put(name, value)
    normal = Normal(scope, target.base, tag)
    facts = observe(response, normal)
    if "mail" in step:
        facts["mail"] = observe_mail(mails, normal)
    return Played(step, facts, Exchange(method, path, headers, body, response), normal, hook)


def wait_for_mail(spec, target, scope, mark):
    """The mails that the step caused; captures from the last one."""
    if target.mailbox is None:
        raise Skip("no mail sink")
    to, count = scope.fill(spec["to"]), spec.get("count", 1)
    end = time.monotonic() + target.mail_wait
    while len(target.mailbox.since(mark, to)) < count and time.monotonic() < end:
        time.sleep(0.02)
    if count == 0:
        time.sleep(target.mail_settle)
    mails = target.mailbox.since(mark, to)
    text = mails[-1]["text"] if mails else ""
    for name, pattern in (spec.get("capture") or {}).items():
        match = re.search(pattern, text)
        if match:
            scope.put(name, match.group(1))
    return mails


def observe_mail(mails, normal):
    """How many mails came (compared), and what the last one looks like (recorded)."""
    if not mails:
        return {"count": 0}
    last = mails[-1]
    links = re.findall(r"https?://[^\s\"<>]+", last["text"])
    return {"count": len(mails), "subject": normal.text(last["subject"]), "from": last["from"],
            "types": last["types"], "links": sorted({normal.link(x.rstrip(".")) for x in links})}


def extract(source, response, cookies):
    """A value out of an answer: json:a.b, header:name, cookie:name, body:<regex>."""
    kind, _, name = source.partition(":")
    if kind == "json":
        try:
            value = json.loads(response.body)
            for part in name.split("."):
                value = value[int(part)] if isinstance(value, list) else value[part]
            return value
        except (ValueError, KeyError, TypeError, IndexError):
            return None
    if kind == "header":
        return response.one(name.lower())
    if kind == "cookie":
        return next((c["value"] for c in cookies if c["name"] == name and not c["gone"]), None)
    if kind == "body":
        match = re.search(name, response.text())
        return match.group(1) if match else None
    if source.startswith("hook."):
        return None
    raise Problem("bad capture " + source)

#!/usr/bin/env python3
"""Generated requests (path × method × credential × made-up headers) through nginx: what the policy denies never reaches
the backend, nor does anything that a client made up about itself; what is plainly allowed does reach it.

    test_cases.py [--cases N] [--seed N]

The policy is written down here once more, and what arrived is judged as the backend reads it: the oracle shares
nothing with the gate. A failure prints the case; --seed with the printed seed repeats it.
"""
import argparse
import collections
import http.client
import json
import random
import re
import shutil
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "setup")]

from client import send  # noqa: E402
from processes import Failure, wait_until  # noqa: E402
from stack import start_stack  # noqa: E402
from test_gateway import SPOOFED  # noqa: E402

UI = "https://ui.example.org"
PASSWORD = "Corr3ct-horse-9"
POLICIES = ["read-only-for-anonymous", "authenticated", "open"]
SAFE = {"GET", "HEAD", "OPTIONS"}
METHODS = ["GET"] * 4 + ["HEAD", "OPTIONS", "POST", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "FOO", "TRACE", "get"]
OPEN = ("/accounts/", "/monitor/")
ROOTS = ("/api/", "/mobile-api/")
PLAIN = ["/api/v1/hobbies/", "/mobile-api/v1/hobbies/", "/api/v1/hobbies/?next=/mobile-api/", "/api/v1/hobbies/1/", "/api/v1/x%20y/",
         "/api/v1/%C3%A4/"]
PIECES = ["/", "/", "/", "//", "/./", "/../", "/%2e/", "/%2e%2e/", "..%2f", "%2f", "%2F", "%5c", "\\", ";", ";x/", "%3b", "..;/", "%00",
          "%0a", "%0d%0a", "%25", "%2561pi/", "api", "api/", "mobile-api/", "%61pi/", "ap%69/", "API/", "v1/", "hobbies/", "accounts/",
          "monitor/", "auth/", "token/", "gate", "_avain_gate", "x", "%ff", "%c3%a4", "%", "%zz", "?", "?api/", "#", "+", "~", ":", "@"]
WORKERS = 8
ODD = re.compile(r"(?:\A|/)(?:/|\.\.?(?:;[^/]*)?(?:/|\Z))")      # an empty segment, . or ..


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--cases", type=int, default=3000)
    arguments.add_argument("--seed", type=int, default=None)
    options = arguments.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    began, wrong, totals = time.monotonic(), [], collections.Counter()
    for policy in POLICIES:
        run = Run(policy, random.Random(f"{seed} {policy}"), options.cases // len(POLICIES) + 1)
        wrong += run.wrong
        totals.update(run.totals)
        if not totals["arrived"] or not totals["denied"]:
            raise Failure(f"nothing was shown: {dict(totals)}")
    for line in wrong[:20]:
        print(line)
    print(f"{totals['cases']} cases in {time.monotonic() - began:.0f} s, seed {seed}: {totals['arrived']} arrived, "
          f"{totals['denied']} did not; {totals['forbidden']} that the policy denies arrived, {totals['identity']} with an identity that a "
          f"client made up, {totals['lost']} that it allows were lost")
    print("1 passed, 0 failed" if not wrong else "0 passed, 1 failed")
    return 1 if wrong else 0


class Case:
    """One request, and who it speaks for: "nobody", "somebody", or "bad" where its credential is not good."""

    def __init__(self, number, chance, credentials):
        self.number = number
        self.method = chance.choice(METHODS)
        self.path = chance.choice(PLAIN) if chance.random() < 0.35 else odd_path(chance)
        self.who, self.authorization = chance.choice(credentials)
        self.headers = [("X-Case", str(number))]
        if self.authorization is not None:
            self.headers.append(("Authorization", self.authorization))
        for name in chance.sample(SPOOFED, chance.randrange(6)):
            joint = chance.choice("--_.")
            self.headers += [(name.replace("-", joint), f"evil{at}") for at in range(chance.choice((1, 1, 2)))]
        if chance.random() < 0.3:
            self.headers += [("X-Original-Method", "GET"), ("X-Original-URI", "/api/v1/hobbies/"), ("X-HTTP-Method-Override", "GET")]
        if chance.random() < 0.2:
            self.headers += [("X-Forwarded-For", "6.6.6.6"), ("X-Real-IP", "6.6.6.6"), ("X-Request-ID", "evil")]
        self.is_preflight = False
        if chance.random() < 0.15:
            origin = chance.choice((UI, "https://stranger.example"))
            self.headers += [("Origin", origin), ("Access-Control-Request-Method", "POST")]
            self.is_preflight = self.method == "OPTIONS" and self.authorization is None
        self.body = b"name=x" if self.method not in SAFE and chance.random() < 0.5 else None

    def is_answered_by_nginx(self):
        """Whether nginx itself tells a front end that it may ask."""
        return self.method == "OPTIONS" and ("Origin", UI) in self.headers

    def __str__(self):
        return f"{self.method} {self.path} as {self.who} ({(self.authorization or 'no Authorization')[:24]})"


def odd_path(chance):
    """A path that somebody might try."""
    begin = chance.choice(["/api/", "/api/", "/mobile-api/", "/accounts/", "/monitor/", "/auth/", "/", "http://stranger.example/api/",
                           "/api/v1/hobbies/", "/%61pi/v1/hobbies/"])
    return begin + "".join(chance.choice(PIECES) for _ in range(chance.randrange(1, 7)))


class Run:
    """All cases under one policy."""

    def __init__(self, policy, chance, number):
        self.policy, self.wrong, self.totals = policy, [], collections.Counter(cases=number)
        directory = tempfile.mkdtemp(prefix="avain-cases-")
        try:
            settings = {"passwords.algorithm": "pbkdf2_sha256", "passwords.pbkdf2_iterations": 1000, "gate.policy": policy,
                        "gate.misses": 1_000_000, "log.level": "error"}
            with start_stack(directory, settings, origins=[UI], before_start=self.accounts) as stack:
                credentials = self.credentials(stack)
                self.cases = [Case(at, chance, credentials) for at in range(number)]
                before = len(stack.arrived())
                self.send(stack)
                # What nginx sent before, has arrived when this has.
                send(stack.base_url, "GET", "/monitor/", [("X-Case", "last")])
                wait_until(lambda: '"last"' in stack.backend_log.read_text()[-4000:], "the last request", 20)
                self.judge(stack.arrived()[before:])
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def accounts(self, stack):
        for name in ("mia", "gone"):
            stack.add_user(name, PASSWORD)
        self.key, self.gone = stack.add_token("mia"), stack.add_token("gone")
        stack.cli("user", "deactivate", "gone")

    def credentials(self, stack):
        body = json.dumps({"username": "mia", "password": PASSWORD}).encode()
        pair = send(stack.base_url, "POST", "/auth/token/", [("Content-Type", "application/json")], body).json()
        access, refresh, key = pair["access"], pair["refresh"], self.key
        return [("nobody", None)] * 4 + [("nobody", "Basic bWlhOm1pYQ=="), ("nobody", "JWT " + access), ("nobody", "bearer " + access),
                ("somebody", "Bearer " + access), ("somebody", "Bearer " + access), ("somebody", "Token " + key), ("somebody", "token " + key),
                ("bad", "Bearer nonsense"), ("bad", "Bearer"), ("bad", "Bearer " + access[:-4] + "AAAA"), ("bad", "Bearer " + refresh),
                ("bad", "Bearer " + key), ("bad", "Token " + "0" * 40), ("bad", "Token " + self.gone), ("bad", "Token " + access),
                ("bad", f"Token {key} {key}"), ("bad", "Bearer a.b.c")]

    def send(self, stack):
        queue = collections.deque(self.cases)
        failures = []

        def work():
            connection = Raw("127.0.0.1", stack.nginx_port, timeout=20)
            try:
                while queue:
                    try:
                        case = queue.popleft()
                    except IndexError:
                        break
                    connection = ask(connection, case)
            except Exception as error:  # told by the main thread
                failures.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=work) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def judge(self, arrived):
        seen = set()
        for request in arrived:
            headers = {}
            for name, value in request["headers"]:
                headers.setdefault(name, []).append(value)
            number = headers.get("x-case", ["none"])[0]
            if number == "last":
                continue
            case = self.cases[int(number)]
            seen.add(case.number)
            if not self.may_arrive(case, request):
                self.note("forbidden", case, f"reached the backend as {request['method']} {request['path']}")
            if "evil" in json.dumps(headers) or "6.6.6.6" in json.dumps(headers):
                self.note("identity", case, f"arrived with {[name for name, values in headers.items() if 'evil' in str(values)]}")
            if not self.is_rightful(case, request, headers.get("authorization", [])):
                self.note("identity", case, f"arrived with Authorization {headers.get('authorization')} at {request['path']}")
        for case in self.cases:
            if case.number not in seen and self.must_arrive(case):
                self.note("lost", case, "did not reach the backend")
        self.totals["arrived"] += len(seen)
        self.totals["denied"] += len(self.cases) - len(seen)

    def note(self, kind, case, what):
        self.totals[kind] += 1
        self.wrong.append(f"{self.policy}: {case}: {what}")

    def may_arrive(self, case, request):
        """Whether the policy lets this through, read as the backend reads it: decoded, with `api/` found anywhere. A preflight
        passes wherever somebody may make the request that it announces."""
        path = "/" + urllib.parse.unquote(request["path"], "latin-1")[1:]
        if "api/" not in path and path not in ("/api", "/mobile-api"):
            return path.startswith(OPEN)
        rest = next((path[len(root):] for root in ROOTS if path.startswith(root)), None)
        if rest is None or "api/" in rest or ODD.search(rest):
            return False
        return case.is_preflight or self.permits(case.who, request["method"])

    def permits(self, who, method):
        if who == "nobody":
            return self.policy == "open" or self.policy == "read-only-for-anonymous" and method in SAFE
        return who == "somebody"

    def must_arrive(self, case):
        return (case.path in PLAIN and case.method not in ("TRACE", "get") and not case.is_answered_by_nginx()
                and (case.is_preflight or self.permits(case.who, case.method)))

    def is_rightful(self, case, request, authorization):
        """Whether the backend got the token that avain made, exactly where somebody asked for something protected."""
        if case.who != "somebody" or not request["path"].startswith(ROOTS):
            return authorization == []
        return len(authorization) == 1 and authorization[0].startswith("Bearer ") and authorization[0] != case.authorization


class Raw(http.client.HTTPConnection):
    """A connection that sends any request target."""

    def _validate_path(self, url):
        """Anything goes."""


def ask(connection, case):
    """Sends a case; gives the connection for the next one."""
    try:
        connection.putrequest(case.method, case.path, skip_accept_encoding=True)
        for name, value in case.headers:
            connection.putheader(name, value)
        if case.body is not None:
            connection.putheader("Content-Length", str(len(case.body)))
        connection.endheaders(case.body)
        answer = connection.getresponse()
        answer.read()
        if not answer.will_close:
            return connection
    except (http.client.HTTPException, ConnectionError):
        pass        # nginx hangs up on what is no HTTP
    connection.close()
    return Raw(connection.host, connection.port, timeout=20)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"{failure}")

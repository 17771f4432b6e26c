#!/usr/bin/env python3
"""Whether the time of an answer tells if there is such an account: it must not (SECURITY.md S7).

    timing.py [--what sign-in|reset] [--calls 1000] [--layout …] [--set NAME=VALUE …]

Starts avain alone, on SQLite, with its own defaults for passwords and without limits, and asks for

* sign-in with a wrong password to an account that exists, one that does not and one that is switched off (with its right
  password, too);
* a reset for the address of an account that exists, one that does not and one that is switched off,

in rounds of random order, so that what else the machine does hits all alike. Prints the medians, how often one kind is
slower than the first (A: 0.5 is never to be told apart), and PASS or FAIL: answers identical to the byte, medians within
max(3 ms, 10 %), A within 0.5 ± 0.2.
Exit status 1 for FAIL. AVAIN_BINARY is the program (target/debug/avain).
"""
import argparse
import http.client
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "setup"))

from stack import start_alone  # noqa: E402

PASSWORD = "Corr3ct-horse-9"
WRONG = "wr0ng-Horse-10"
COPIES = 5      # of every account, so that nothing is special about one row
LEAST_MS, SHARE, MOST_A = 3.0, 0.10, 0.2


def sign_in(name, password):
    """What to send for a sign-in."""
    return lambda copy: {"username": name % copy, "password": password}


def reset(name):
    """What to send for a reset."""
    return lambda copy: {"email": f"{name % copy}@example.org"}


# What is tried, by what is asked for: kinds with what to send, and paths by layout, the usual one first.
TRIED = {
    "sign-in": ({
        "existing, wrong password": sign_in("owner%d", WRONG),
        "missing": sign_in("nobody%d", WRONG),
        "inactive, wrong password": sign_in("off%d", WRONG),
        "inactive, right password": sign_in("off%d", PASSWORD),
    }, {"simplejwt": "/api/token/", "metax": "/v3/drf-token-auth/", "harrastuspassi": "/auth/token/"}),
    "reset": ({
        "existing": reset("owner%d"),
        "missing": reset("nobody%d"),
        "inactive": reset("off%d"),
    }, {"djoser": "/auth/users/reset_password/", "djoser-legacy": "/auth/password/reset/",
        "dj-rest-auth": "/users/password/reset/"}),
}


# No limit, but everything is counted: that is part of the time.
SETTINGS = {"log.level": "warn", "layouts.dj-rest-auth.enabled": True,
            "throttle.account_failures": 0, "throttle.address_failures": 0, "throttle.ceiling": 0,
            "throttle.resets_per_hour": 0, "throttle.mail_requests_per_hour": 0}


def accounts(stack):
    """Makes the accounts that exist."""
    for copy in range(COPIES):
        stack.add_user(f"owner{copy}", PASSWORD)
        stack.add_user(f"off{copy}", PASSWORD, "--inactive")


class Client:
    """Requests over one connection."""

    def __init__(self, port, path):
        self.connection, self.path = http.client.HTTPConnection("127.0.0.1", port, timeout=30), path

    def ask(self, fields):
        """Milliseconds, and everything of the answer that a client sees but its date and id."""
        body = json.dumps(fields)
        started = time.perf_counter()
        self.connection.request("POST", self.path, body, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        content = response.read()
        elapsed = (time.perf_counter() - started) * 1000
        headers = tuple((name, value) for name, value in response.getheaders() if name not in ("date", "x-request-id"))
        return elapsed, (response.status, headers, content)


def measure(client, kinds, calls):
    """The times by kind, and the different answers."""
    order = [kind for _ in range(calls) for kind in random.sample(list(kinds), len(kinds))]
    times, answers = {kind: [] for kind in kinds}, {kind: set() for kind in kinds}
    for number, kind in enumerate(list(kinds) * 3 + order):
        elapsed, answer = client.ask(kinds[kind](number % COPIES))
        answers[kind].add(answer)
        if number >= 3 * len(kinds):        # the first ones warm up
            times[kind].append(elapsed)
    return times, answers


def more_often(these, those):
    """How often one of `these` is greater than one of `those` (Vargha and Delaney's A)."""
    wins = sum((a > b) + (a == b) / 2 for a in these for b in those)
    return wins / (len(these) * len(those))


def judge(times, answers):
    """Prints the findings; gives whether all is well."""
    reference, *others = times
    median = statistics.median(times[reference])
    allowed = max(LEAST_MS, SHARE * median)
    passed = len(set().union(*answers.values())) == 1
    print(f"answers: {'identical' if passed else 'different: %s' % answers}")
    print(f"{reference}: median {median:.2f} ms of {len(times[reference])}")
    for kind in others:
        difference, a = statistics.median(times[kind]) - median, more_often(times[kind], times[reference])
        fine = abs(difference) <= allowed and abs(a - 0.5) <= MOST_A
        passed = passed and fine
        print(f"{kind}: median {difference:+.2f} ms (allowed {allowed:.2f}), A {a:.2f}  {'ok' if fine else 'TELLS'}")
    return passed


def main():
    """Measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=TRIED, default="sign-in", help="what is asked for")
    parser.add_argument("--calls", type=int, default=1000, help="requests of each kind")
    parser.add_argument("--layout", help="whose path: " + "; ".join(f"{what}: {', '.join(paths)}" for what, (_, paths) in TRIED.items()))
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="settings of avain")
    options = parser.parse_args()
    kinds, paths = TRIED[options.what]
    layout = options.layout or next(iter(paths))
    if layout not in paths:
        parser.error(f"--layout {layout}: {options.what} knows {', '.join(paths)}")
    settings = {**SETTINGS, **dict(pair.split("=", 1) for pair in options.set)}
    with tempfile.TemporaryDirectory(prefix="avain-timing-") as directory, start_alone(directory, settings, accounts) as stack:
        client = Client(stack.avain_port, paths[layout])
        passed = judge(*measure(client, kinds, options.calls))
    print(f"timing of {options.what}, {layout}: {'PASS' if passed else 'FAIL'}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Keys rotate every five seconds, under load, on three instances: no token may fail to verify on any of them.

    rotation.py [--seconds 120] [--callers 6]

Each caller signs in or refreshes on one instance and at once presents the access token to the gates of all three, and
to each again those that it got before. Ends with status 1 where one was refused. Part of `make soak`.
"""
import argparse
import collections
import http.client
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "setup")]

from postgres import Postgres  # noqa: E402
from processes import Process, free_port, is_open  # noqa: E402
from stack import binary  # noqa: E402

PASSWORD = "Corr3ct-horse-9"
MASTER = "00112233445566778899aabbccddeeff" * 2
SETTINGS = {"keys.master": MASTER, "keys.rotation": "5s", "keys.publish_ahead": "2s", "tokens.algorithm": "ES256",
            "throttle.enabled": "off", "passwords.algorithm": "pbkdf2_sha256", "passwords.pbkdf2_iterations": "1000",
            "server.operations": "", "log.level": "warn"}


def call(connection, method, path, body=None, headers=None):
    """Status and text of an answer on a connection that stays open."""
    connection.request(method, path, json.dumps(body) if body else None,
                       {**(headers or {}), **({"Content-Type": "application/json"} if body else {})})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


class Caller(threading.Thread):
    """Gets tokens here and there, and presents them everywhere."""

    def __init__(self, number, ports, until):
        super().__init__()
        self.choose, self.ports, self.until = random.Random(number), ports, until
        self.verified = self.failed = 0
        self.keys = collections.Counter()
        self.trouble = None

    def run(self):
        try:
            self.work([http.client.HTTPConnection("127.0.0.1", port, timeout=30) for port in self.ports])
        except Exception as error:      # whatever it is, the test must not pass
            self.trouble = error

    def work(self, instances):
        held, pair = collections.deque(maxlen=50), None
        while time.monotonic() < self.until:
            instance = self.choose.choice(instances)
            if pair is None or self.choose.random() < 0.2:
                status, text = call(instance, "POST", "/api/token/", {"username": "aino", "password": PASSWORD})
            else:
                status, text = call(instance, "POST", "/api/token/refresh/", {"refresh": pair["refresh"]})
            if status != 200:
                self.failed, pair = self.failed + 1, None
                print(f"a token was refused: {status} {text}", file=sys.stderr)
                continue
            pair = json.loads(text)
            held.append(pair["access"])
            self.keys[pair["access"].split(".")[0]] += 1
            for gate, token in itertools.product(instances, [pair["access"], self.choose.choice(held)]):
                status, _ = call(gate, "GET", "/gate", headers={"Authorization": f"Bearer {token}", "X-Original-Method": "POST",
                                                                "X-Original-URI": "/api/v1/hobbies/"})
                self.verified += status == 204
                self.failed += status != 204


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--callers", type=int, default=6)
    arguments = parser.parse_args()
    with Postgres() as postgres, tempfile.TemporaryDirectory(prefix="avain-rotation-") as folder:
        url = postgres.create_database("rotation")
        ports, processes = [free_port() for _ in range(3)], []
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AVAIN_")}
        options = [f"--set={name}={value}" for name, value in {**SETTINGS, "database.url": url}.items()]
        subprocess.run([binary(), "user", "create", "aino", "--password-stdin", "--force", *options], input=PASSWORD + "\n",
                       text=True, check=True, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
        try:
            for number, port in enumerate(ports):
                command = [binary(), "serve", *options, f"--set=server.listen=127.0.0.1:{port}"]
                processes.append(Process(f"avain {number}", command, Path(folder) / f"{number}.log", env=environment, cwd=folder))
                processes[-1].wait_ready(lambda: is_open(port))
            callers = [Caller(number, ports, time.monotonic() + arguments.seconds) for number in range(arguments.callers)]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join()
        finally:
            for process in processes:
                process.stop()
    keys = sum((caller.keys for caller in callers), collections.Counter())
    verified, failed = sum(caller.verified for caller in callers), sum(caller.failed for caller in callers)
    print(f"{arguments.seconds} s, {len(keys)} keys signed, {sum(keys.values())} tokens, {verified} verifications, {failed} failed")
    trouble = [caller.trouble for caller in callers if caller.trouble]
    for error in trouble:
        print(f"a caller gave up: {error!r}", file=sys.stderr)
    # Fewer keys than that: nothing has rotated, and nothing is shown.
    return 1 if failed or trouble or len(keys) < arguments.seconds // 10 or not verified else 0


if __name__ == "__main__":
    sys.exit(main())

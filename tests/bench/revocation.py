#!/usr/bin/env python3
"""How soon what is taken back is refused everywhere: three instances on one PostgreSQL, under load.

    revocation.py [--revocations 1000] [--load 6]

Each round signs in, has all three instances meet the access token, and takes it back: by turns with a log-out at one of the
instances, and behind their backs by switching the account off in SQL, as Django's admin would (`avain triggers`). Time runs
from before the revocation is sent, so from before its commit, until the last instance refuses. Meanwhile so many connections
ask each instance about a credential that it knows, as fast as they can. Exit status 1 where p99 is over 250 ms.
AVAIN_BINARY is the program (target/release/avain). Needs PostgreSQL's programs.
"""
import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(PROJECT / "tests" / "setup"))

from postgres import Postgres  # noqa: E402
from processes import Process, free_port  # noqa: E402
from stack import kept_secret, status_of, toml, write_private  # noqa: E402

INSTANCES = 3
# Without what is meant for somebody else's avain.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("AVAIN_")}
GOAL_MS = 250
PASSWORD = "a long enough pass phrase"
QUESTION = {"X-Original-Method": "POST", "X-Original-URI": "/api/v1/hobbies/"}


class Instance:
    """One of the three: a process, and a kept connection to it."""

    def __init__(self, directory, number, url):
        self.port, self.operations = free_port(), free_port()
        self.config = directory / f"avain-{number}.toml"
        settings = {"server.listen": f"127.0.0.1:{self.port}", "server.operations": f"127.0.0.1:{self.operations}",
                    "database.url": url, "keys.master": kept_secret(directory, "master-key"), "throttle.enabled": False,
                    "gate.misses": 1000000, "passwords.algorithm": "pbkdf2_sha256", "passwords.pbkdf2_iterations": 1000,
                    "accounts.owner": "django", "layouts.simplejwt.access_lifetime": "1h", "log.level": "warn"}
        write_private(self.config, "".join(f"{name} = {toml(value)}\n" for name, value in settings.items()))
        self.directory, self.name = directory, f"avain-{number}"
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def cli(self, *arguments, stdin=""):
        subprocess.run([binary(), "--config", str(self.config), *arguments], input=stdin, text=True, check=True,
                       stdout=subprocess.DEVNULL, env=ENVIRONMENT, cwd=self.directory)

    def start(self):
        self.process = Process(self.name, [binary(), "--config", str(self.config), "serve"],
                               self.directory / f"{self.name}.log", env=ENVIRONMENT, cwd=self.directory)
        self.process.wait_ready(lambda: status_of(self.operations, "/ready") == 200)

    def ask(self, method, path, headers, body=None):
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def post(self, path, body):
        status, answer = self.ask("POST", path, {"Content-Type": "application/json"}, json.dumps(body))
        if status != 200:
            raise SystemExit(f"{path}: {status} {answer!r}")
        return json.loads(answer)

    def admits(self, bearer):
        return self.ask("GET", "/gate", {**QUESTION, "Authorization": bearer})[0] == 204

    def refused_at(self, bearer):
        """The moment at which it first refuses."""
        while self.admits(bearer):
            pass
        return time.perf_counter()


class Sql:
    """A session beside the instances: Django's part."""

    def __init__(self, cluster, url):
        role, password = url.split("//")[1].split("@")[0].split(":")
        command = [os.path.join(cluster.bin, "psql"), "-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", str(cluster.port),
                   "-U", role, "-d", url.rsplit("/", 1)[1]]
        self.psql = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                                     env={**os.environ, "PGPASSWORD": password})

    def run(self, statement):
        self.psql.stdin.write(statement + ";\n")
        self.psql.stdin.flush()
        return self.psql.stdout.readline()


def binary():
    return os.path.abspath(os.environ.get("AVAIN_BINARY") or PROJECT / "target" / "release" / "avain")


def ask_on(port, bearer, stop, counts):
    """Load: asks about a known credential until told to stop."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    asked = 0
    while not stop.is_set():
        connection.request("GET", "/gate", headers={**QUESTION, "Authorization": bearer})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 204:
            raise SystemExit(f"a credential that is good was answered {answer.status}")
        asked += 1
    counts.append(asked)


def measure(instances, sql, count):
    """Milliseconds until the last instance refuses, by the way of revocation."""
    took = {"log-out": [], "SQL": []}
    with ThreadPoolExecutor(INSTANCES) as threads:
        for number in range(count):
            way = "log-out" if number % 2 else "SQL"
            home = instances[number % INSTANCES]
            pair = home.post("/api/token/", {"username": "mover", "password": PASSWORD})
            bearer = f"Bearer {pair['access']}"
            for instance in instances:
                while not instance.admits(bearer):      # the account was switched on a moment ago
                    pass
            watchers = [threads.submit(instance.refused_at, bearer) for instance in instances if instance is not home]
            began = time.perf_counter()
            if way == "SQL":
                sql.run("UPDATE public.auth_user SET is_active = FALSE WHERE username = 'mover' RETURNING id")
            else:
                home.post("/api/token/blacklist/", {"refresh": pair["refresh"]})
            last = max([home.refused_at(bearer)] + [watcher.result() for watcher in watchers])
            took[way].append((last - began) * 1000)
            if way == "SQL":
                sql.run("UPDATE public.auth_user SET is_active = TRUE WHERE username = 'mover' RETURNING id")
                while not signs_in(home):
                    pass
    return took


def signs_in(instance):
    body = json.dumps({"username": "mover", "password": PASSWORD})
    return instance.ask("POST", "/api/token/", {"Content-Type": "application/json"}, body)[0] == 200


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--revocations", type=int, default=1000)
    arguments.add_argument("--load", type=int, default=6, help="connections that ask all the time, over all instances")
    options = arguments.parse_args()
    with Postgres() as postgres, tempfile.TemporaryDirectory(prefix="avain-revocation-") as directory:
        url = postgres.create_database("revocation")
        instances = [Instance(Path(directory), number, url) for number in range(INSTANCES)]
        instances[0].cli("migrate")
        instances[0].cli("triggers", "install")
        for name in ("mover", "loader"):
            instances[0].cli("user", "create", name, "--password-stdin", stdin=PASSWORD + "\n")
        stop, counts = threading.Event(), []
        try:
            for instance in instances:
                instance.start()
            sql = Sql(postgres.cluster, url)
            pair = instances[0].post("/api/token/", {"username": "loader", "password": PASSWORD})
            askers = [threading.Thread(target=ask_on, daemon=True, args=(
                instances[number % INSTANCES].port, f"Bearer {pair['access']}", stop, counts)) for number in range(options.load)]
            for asker in askers:
                asker.start()
            began = time.perf_counter()
            took = measure(instances, sql, options.revocations)
            seconds = time.perf_counter() - began
            stop.set()
            for asker in askers:
                asker.join()
            sql.psql.stdin.close()
        finally:
            for instance in instances:
                if hasattr(instance, "process"):
                    instance.process.stop()
    everything = sum(took.values(), [])
    for name, values in [*took.items(), ("all", everything)]:
        print(f"{name:8} {len(values):5} revocations   p50 {percentile(values, .5):6.1f} ms   p99 {percentile(values, .99):6.1f} ms"
              f"   max {max(values):6.1f} ms")
    print(f"beside it {sum(counts) / seconds:,.0f} decisions a second; {os.cpu_count()} cores, {seconds:.0f} s")
    met = percentile(everything, .99) <= GOAL_MS
    print(f"refused by the last of {INSTANCES} instances within {GOAL_MS} ms (p99): {'met' if met else 'MISSED'}")
    sys.exit(not met)


if __name__ == "__main__":
    main()

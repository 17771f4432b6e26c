#!/usr/bin/env python3
"""Measures the gate beside its yardstick, a bare hyper server that answers 204 with the same headers (bare.rs), and beside
what it replaces: gunicorn with Django REST framework and Simple JWT (peers.py).

    bench.py [--quick] [--rounds N] [--seconds S] [--only WORDS] [--workers N]

Needs target/release/{avain,examples/bare,examples/inside,examples/load} (`make bench` builds them), nginx, and the packages of
tests/bench/requirements.txt. All cases of a round
run one after the other, each beside its own yardstick (ours, yardstick, yardstick, ours: what changes on the machine
meanwhile meets both), the order turned from round to round; what is printed, and written to target/bench/report.md,
are medians over the rounds, and of ratios the median of the rounds' ratios. CPU is what the server's process has used
by the kernel's account: steady on a shared machine, where requests a second are not.
"""
import argparse
import base64
import contextlib
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import time
import tempfile
import urllib.request
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "setup")]

from nginx_site import PROJECT, write_site  # noqa: E402
from peers import Asymmetric, Peers  # noqa: E402
from plots import bars  # noqa: E402
from processes import Failure, Process, free_port, is_open  # noqa: E402
import stack as stacks  # noqa: E402

RELEASE = PROJECT / "target" / "release"
REPORT = PROJECT / "target" / "bench"
CONNECTIONS = 32
SECRET = "bench-0123456789-0123456789-0123456789"     # signs on this machine, for as long as this runs
ACCOUNT = "bench"
PASSWORD = "a long enough pass phrase"
MANY = 1_000_000    # credentials, for growth

GATE_HEAD = """\
GET /gate HTTP/1.1\r
Host: api.example.org\r
{authorization}X-Original-Method: GET\r
X-Original-URI: /api/v1/hobbies/?page=2\r
X-Real-IP: 192.0.2.7\r
X-Forwarded-Proto: https\r
X-Request-ID: 5b4f9f0f3e1e4bd1b2c0a1d2e3f40516\r
\r
"""
CLIENT_HEAD = """\
GET /api/v1/hobbies/?page=2 HTTP/1.1\r
Host: api.example.org\r
{authorization}User-Agent: bench\r
Accept: */*\r
\r
"""
POST = """\
POST {path} HTTP/1.1\r
Host: api.example.org\r
Content-Type: {kind}\r
{more}Content-Length: {length}\r
\r
{body}"""


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="3 rounds of 0.5 s: whether it works")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--seconds", type=float, default=1.5, help="for one side of a case in one round")
    arguments.add_argument("--only", default="", help="cases whose name holds this")
    arguments.add_argument("--workers", type=int, default=0, help="threads of ours and of the yardstick; 0: a core each")
    options = arguments.parse_args()
    if options.quick:
        options.rounds, options.seconds = 3, 0.5
    os.environ["AVAIN_BINARY"] = str(RELEASE / "avain")
    for program in ("avain", "examples/bare", "examples/inside", "examples/load"):
        if not os.access(RELEASE / program, os.X_OK):
            raise Failure(f"{RELEASE / program} is not there: run `make bench`")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="avain-bench-") as directory, contextlib.ExitStack() as ends:
        bench = Bench(Path(directory), ends, options)
        idle = bench.idle()
        same = bench.after_the_same_requests()
        inside = [] if options.only else bench.inside()
        rounds = bench.measure()
        loaded = memory(bench.stack.avain.pid)
        halves = [] if options.only else bench.half_load(rounds)
        grown = [] if options.only else bench.growth()
    REPORT.mkdir(parents=True, exist_ok=True)
    report = render(options, idle, loaded, rounds, time.monotonic() - began)
    if not options.only:
        report += render_inside(inside) + render_beside(bench, same, rounds, halves, grown)
    (REPORT / "report.md").write_text(report)
    print(report)
    print(f"written to {(REPORT / 'report.md').relative_to(PROJECT)}")


class Bench:
    """Everything that runs while it is measured."""

    def __init__(self, directory, ends, options):
        self.directory, self.ends, self.options = directory, ends, options
        settings = {"keys.import": f"hs256:{SECRET}", "layouts.harrastuspassi.access_lifetime": "5h",
                    "passwords.algorithm": "pbkdf2_sha256", "passwords.pbkdf2_iterations": 1000,
                    "log.level": "warn", "server.workers": options.workers}
        self.stack = ends.enter_context(stacks.start_stack(directory / "stack", settings, log=False,
                                                           before_start=self.account))
        access = self.sign_in()
        self.heads = {"bearer": f"Authorization: Bearer {access}\r\n", "token": f"Authorization: Token {self.key}\r\n"}
        self.bare_socket = directory / "bare.sock"
        self.bare_port, self.backend_port = free_port(), free_port()
        headers = self.answer_headers(self.heads["bearer"])
        self.bare = self.start_bare("bare", [f"127.0.0.1:{self.bare_port}", f"unix:{self.bare_socket}"], headers)
        # Behind nginx the yardstick stands for the backend too: what is measured is the way to it.
        self.backend = self.start_bare("backend", [f"127.0.0.1:{self.backend_port}"], [])
        self.gateway = self.start_nginx("gateway", self.stack.avain_socket)
        self.bare_gateway = self.start_nginx("bare-gateway", self.bare_socket)
        self.singles, self.resident = {}, {}
        number = 400 if options.quick else 4000
        self.asymmetric = [Asymmetric(algorithm, directory / algorithm, ends, {**settings, "keys.import": ""}, number)
                           for algorithm in ("RS256", "ES256", "EdDSA")]
        self.peers = Peers(directory / "peers", ends, str(self.stack.directory / "avain.db"), SECRET, self.backend_port,
                           os.cpu_count())

    def account(self, stack):
        stack.add_user(ACCOUNT, PASSWORD)
        self.key = stack.add_token(ACCOUNT)
        self.client = json.loads(stack.cli("client", "create", "bench", "--scope", "introspect", "--json"))["client_secret"]

    def sign_in(self):
        body = json.dumps({"username": ACCOUNT, "password": PASSWORD}).encode()
        request = urllib.request.Request(f"{self.stack.avain_url}/auth/token/", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.pair = json.load(answer)
        return self.pair["access"]

    def answer_headers(self, authorization):
        """The headers of the gate's answer, for the yardstick to answer with."""
        name, value = authorization.strip().split(": ", 1)
        request = urllib.request.Request(f"{self.stack.avain_url}/gate", headers={
            name: value, "X-Original-Method": "GET", "X-Original-URI": "/api/v1/hobbies/"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return [f"{name.lower()}: {value}" for name, value in answer.headers.items()
                    if name.lower() not in ("date", "connection")]

    def start_bare(self, name, listen, headers):
        process = Process(name, [str(RELEASE / "examples" / "bare"), *listen, "--", *headers],
                          self.directory / f"{name}.log", env=self.environment())
        self.ends.callback(process.stop)
        process.wait_ready(lambda: is_open(int(listen[0].rpartition(":")[2])))
        return process

    def environment(self):
        """The yardstick's: tokio reads how many threads it shall have."""
        workers = {"TOKIO_WORKER_THREADS": str(self.options.workers)} if self.options.workers else {}
        return {**os.environ, **workers}

    def start_nginx(self, name, socket):
        """nginx with the shipped configuration, asking whoever listens on this socket."""
        port = free_port()
        site = write_site(self.directory / name, avain=f"unix:{socket}", backend=f"127.0.0.1:{self.backend_port}",
                          port=port, roots=stacks.DEFAULT_ROOTS, origins=(), rate="100000r/s", log_level="error")
        process = Process(name, [stacks.find_nginx(), "-e", "stderr", "-c", str(site)], self.directory / f"{name}.log")
        self.ends.callback(process.stop)
        process.wait_ready(lambda: is_open(port))
        process.port = port
        return process

    def idle(self):
        """What can be said before anything is asked: size, start, memory."""
        self.stack.avain.stop()
        starts = []
        for _ in range(3 if self.options.quick else 7):
            began = time.perf_counter()
            self.stack.avain = Process("avain", [stacks.binary(), "--config", str(self.stack.config), "serve"],
                                       self.stack.directory / "avain.log", env=self.stack.environment,
                                       cwd=self.stack.directory)
            ready = f"{self.stack.operations_url}/ready"
            wait_until_answered(ready)
            starts.append(time.perf_counter() - began)
            time.sleep(1)
            resident = memory(self.stack.avain.pid)
            self.stack.avain.stop()
        self.stack.start_avain()
        return {"size": os.path.getsize(stacks.binary()), "start": statistics.median(starts), "resident": resident}

    def cases(self):
        """Name, then for ours and the yardstick: target, whose CPU counts; request head, whether tokens are fresh."""
        avain, bare = [self.stack.avain.pid], [self.bare.pid]
        bearer, token = (GATE_HEAD.format(authorization=self.heads[kind]) for kind in ("bearer", "token"))
        yield "TCP, HS256, known", (f"127.0.0.1:{self.stack.avain_port}", avain), (f"127.0.0.1:{self.bare_port}", bare), bearer, False
        yield "TCP, API key, known", (f"127.0.0.1:{self.stack.avain_port}", avain), (f"127.0.0.1:{self.bare_port}", bare), token, False
        yield "TCP, HS256, never seen", (f"127.0.0.1:{self.stack.avain_port}", avain), (f"127.0.0.1:{self.bare_port}", bare), bearer, True
        unix = (f"unix:{self.stack.avain_socket}", avain), (f"unix:{self.bare_socket}", bare)
        yield "unix socket, HS256, known", *unix, bearer, False
        yield "unix socket, API key, known", *unix, token, False
        yield "unix socket, HS256, never seen", *unix, bearer, True
        for name, kind in (("HS256", "bearer"), ("API key", "token")):
            ours = f"127.0.0.1:{self.gateway.port}", [*family(self.gateway.pid), *avain]
            theirs = f"127.0.0.1:{self.bare_gateway.port}", [*family(self.bare_gateway.pid), *bare]
            yield f"through nginx, {name}, known", ours, theirs, CLIENT_HEAD.format(authorization=self.heads[kind]), False

    def alone(self):
        """What has no yardstick of its own: name, target, whose CPU counts, request, options of load."""
        heads = {kind: CLIENT_HEAD.format(authorization=self.heads[kind]) for kind in ("bearer", "token")}
        for name, port, gunicorn, head, status in self.peers.cases(heads):
            pids = family(self.peers.nginx.pid) + (family(gunicorn.pid) if gunicorn else [])
            yield name, f"127.0.0.1:{port}", pids, head, [f"status={status}"]
        for avain in self.asymmetric:
            head = GATE_HEAD.format(authorization=f"Authorization: Bearer {avain.access}\r\n")
            target, pids = f"unix:{avain.stack.avain_socket}", [avain.stack.avain.pid]
            yield f"unix socket, {avain.algorithm}, known", target, pids, head, []
            tokens = avain.fresh(self.directory / "tokens")
            yield f"unix socket, {avain.algorithm}, never seen", target, pids, head, [f"tokens={tokens}"]
        ours = f"unix:{self.stack.avain_socket}", [self.stack.avain.pid]
        for name, path, body in (("sign in (its hash made cheap)", "/auth/token/", {"username": ACCOUNT, "password": PASSWORD}),
                                 ("refresh", "/auth/token/refresh/", {"refresh": self.pair["refresh"]}),
                                 ("verify", "/api/token/verify/", {"token": self.pair["access"]})):
            text = json.dumps(body)
            yield name, *ours, POST.format(path=path, length=len(text), kind="application/json", more="", body=text), ["status=200"]
        text, who = f"token={self.pair['access']}", base64.b64encode(f"bench:{self.client}".encode()).decode()
        yield "introspect", *ours, POST.format(path="/oauth/introspect", length=len(text), kind="application/x-www-form-urlencoded",
                                               more=f"Authorization: Basic {who}\r\n", body=text), ["status=200"]

    def half_load(self, rounds):
        """Latency at half of what each managed: name, then p50, p99, p99.9 of ours and of the yardstick."""
        name = "through nginx, HS256, known"
        sides = []
        for port, side in ((self.gateway.port, 0), (self.bare_gateway.port, 1)):
            rate = statistics.median(pair[side]["rate"] for pair in rounds[name]) / 2
            head = CLIENT_HEAD.format(authorization=self.heads["bearer"])
            sides.append(self.load(f"127.0.0.1:{port}", [self.stack.avain.pid], head, options=[f"rate={rate:.0f}"]))
        return sides

    def after_the_same_requests(self):
        """Resident bytes of an avain that was asked what its peers are asked, and nothing else."""
        head = CLIENT_HEAD.format(authorization=self.heads["bearer"])
        for _ in range(4):      # nginx ends a connection after a thousand requests
            self.load(f"127.0.0.1:{self.gateway.port}", [self.stack.avain.pid], head)
        return memory(self.stack.avain.pid)

    def inside(self):
        """The gate without a server around it: for each kind of credential, nanoseconds a call."""
        headers = {"HS256": self.heads["bearer"], "API key": self.heads["token"], "nobody": ""}
        values = [header.strip().partition(": ")[2] for header in headers.values()]
        found = []
        for _ in range(self.options.rounds):
            command = [str(RELEASE / "examples" / "inside"), str(self.stack.config), "200000", SECRET, *values]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=self.stack.environment,
                                  cwd=self.stack.directory)
            if done.returncode:
                raise Failure(f"inside failed:\n{done.stderr}")
            found.append(json.loads(done.stdout))
        return list(zip([*(f"{name}, known" for name in list(headers)[:-1]), "nobody", "HS256, never seen"],
                        map(statistics.median, zip(*found))))

    def growth(self):
        """After so many credentials: CPU of a known one, and resident bytes."""
        many = 20_000 if self.options.quick else MANY
        target, pids = f"unix:{self.stack.avain_socket}", [self.stack.avain.pid]
        head, grown, before = GATE_HEAD.format(authorization=self.heads["bearer"]), [], 0
        for number in (1, 10, many):
            self.load(target, pids, head, options=[f"secret={SECRET}", f"requests={number - before}"], seconds=600)
            before = number
            costs = [self.load(target, pids, head)["cpu"] for _ in range(3 if self.options.quick else 7)]
            grown.append((f"{number:,} credentials", statistics.median(costs), memory(pids[0])))
        self.revoke(many)
        costs = [self.load(target, pids, head)["cpu"] for _ in range(3 if self.options.quick else 7)]
        grown.append((f"and {many:,} live revocations", statistics.median(costs), memory(pids[0])))
        return grown

    def revoke(self, number):
        """Ends so many families, ten of each of other accounts, behind the gate's back; and all accounts are looked up anew."""
        now = int(time.time())
        with contextlib.closing(sqlite3.connect(self.stack.directory / "avain.db", timeout=30)) as database:
            database.executescript(f"""
                BEGIN;
                INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
                WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {number // 10})
                SELECT '!', 0, 'other-' || n, '', '', '', 0, 1, '2026-01-01 00:00:00' FROM number;
                INSERT INTO refresh_families (id, account_id, layout, state, begun_at, ends_at, current_digest, current_token_id,
                    current_issued_at, current_expires_at, ended_at, end_reason)
                WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < 9)
                SELECT randomblob(16), id, 'harrastuspassi', 'ended', {now}, {now + 86400}, randomblob(32), '', {now}, {now + 86400},
                    {now}, 'signed out' FROM auth_user, number WHERE username LIKE 'other-%';
                COMMIT;""")
        self.stack.cli("user", "edit", ACCOUNT, "--first-name", "Bench")

    def measure(self):
        """All rounds: for each case, a list of (ours, yardstick)."""
        measured = {}
        for number in range(-1, self.options.rounds):
            cases = [case for case in self.cases() if self.options.only in case[0]]
            if not cases:
                raise Failure(f"no case is called {self.options.only!r}")
            for name, ours, yardstick, head, fresh in cases[number % len(cases):] + cases[:number % len(cases)]:
                slices = {"ours": [], "yardstick": []}
                sides = [("ours", *ours), ("yardstick", *yardstick)][::1 if number % 2 else -1]
                for side, target, pids in sides + sides[::-1]:
                    slices[side].append(self.load(target, pids, head, fresh))
                if number >= 0:     # the first round only warms up
                    pair = (both(slices["ours"]), both(slices["yardstick"]))
                    measured.setdefault(name, []).append(pair)
            for name, target, pids, head, options in self.alone():
                if self.options.only not in name:
                    continue
                slices = [self.load(target, pids, head, options=options) for _ in range(1 if "tokens" in str(options) else 2)]
                if number >= 0:
                    self.singles.setdefault(name, []).append(both(slices))
                self.resident[name] = sum(memory(pid) for pid in pids if pid not in family(self.peers.nginx.pid))
            print(f"round {number + 1} of {self.options.rounds}", file=sys.stderr)
        return measured

    def load(self, target, pids, head, fresh=False, options=(), seconds=None):
        """One measurement: CPU microseconds of these processes a request, requests a second, latency."""
        request = self.directory / "request"
        request.write_text(head, newline="")
        seconds = seconds or self.options.seconds / 2
        command = [str(RELEASE / "examples" / "load"), target, str(CONNECTIONS), str(seconds), str(request), *options]
        before = cpu(pids)
        done = subprocess.run(command + [f"secret={SECRET}"] * fresh, capture_output=True, text=True, check=False,
                              timeout=seconds + 30)
        spent = cpu(pids) - before
        if done.returncode:
            raise Failure(f"{' '.join(command)} failed:\n{done.stderr}")
        result = json.loads(done.stdout)
        if result["errors"] or not result["requests"]:
            raise Failure(f"{result['errors']} of {result['requests']} answers of {target} had another status")
        return {"cpu": spent / result["requests"] * 1e6, "rate": result["requests"] / result["seconds"],
                "p50": result["p50_us"], "p99": result["p99_us"], "p999": result["p999_us"]}


def wait_until_answered(url):
    """Returns as soon as this answers 200: asked every millisecond, since milliseconds are what is measured."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.001)
    raise Failure(f"{url} did not answer")


def family(pid):
    """A process and its children: nginx works in the latter."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def both(slices):
    """Two slices of one side as one measurement."""
    return {key: statistics.mean(part[key] for part in slices) for key in slices[0]}


def cpu(pids):
    """Seconds of CPU that these processes have used, all their threads together, in user and kernel mode.

    What /proc/PID/stat says in hundredths the process's own clock says in nanoseconds (clock_getcpuclockid(3)).
    """
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)


def memory(pid):
    """Resident bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def render(options, idle, loaded, rounds, took):
    """The report."""
    lines = ["# What the gate costs", "",
             f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; {options.rounds} interleaved "
             f"rounds of {options.seconds} s a case, {CONNECTIONS} connections; {took:.0f} s in all.",
             "The yardstick is bare hyper with the same set-up, answering 204 with the same headers; it gets the same requests.",
             "CPU: user and system time a request of the server (through nginx: of nginx and the server together).", "",
             "| case | CPU µs/request | yardstick | ratio | requests/s | yardstick | ratio | p50 / p99 µs | yardstick |",
             "|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    verdicts = []
    for name, pairs in rounds.items():
        ours, yardstick = ({key: statistics.median(side[key] for side in sides) for key in ("cpu", "rate", "p50", "p99")}
                           for sides in zip(*pairs))
        cpu_ratio = statistics.median(ours["cpu"] / theirs["cpu"] for ours, theirs in pairs)
        rate_ratio = statistics.median(ours["rate"] / theirs["rate"] for ours, theirs in pairs)
        lines.append(f"| {name} | {ours['cpu']:.2f} | {yardstick['cpu']:.2f} | {cpu_ratio:.2f} | {ours['rate']:,.0f} | "
                     f"{yardstick['rate']:,.0f} | {rate_ratio:.2f} | {ours['p50']:.0f} / {ours['p99']:.0f} | "
                     f"{yardstick['p50']:.0f} / {yardstick['p99']:.0f} |")
        if "nginx" in name:
            verdicts.append((f"{name}: ≥ 0.93 of the yardstick's throughput", f"{rate_ratio:.2f}", rate_ratio >= 0.93))
        else:
            most = 1.10 if "known" in name else 1.20
            verdicts.append((f"{name}: ≤ {most:.2f} × the yardstick's CPU", f"{cpu_ratio:.2f}", cpu_ratio <= most))
    mega = 1e6
    verdicts += [("release binary ≤ 12 MB", f"{idle['size'] / mega:.1f} MB", idle["size"] <= 12 * mega),
                 ("start to /ready ≤ 100 ms, existing database", f"{idle['start'] * 1000:.0f} ms", idle["start"] <= 0.1),
                 ("resident when idle ≤ 20 MB", f"{idle['resident'] / mega:.1f} MB", idle["resident"] <= 20 * mega)]
    lines += ["", "| goal | measured | |", "|---|---:|---|"]
    lines += [f"| {goal} | {value} | {'met' if met else '**missed**'} |" for goal, value, met in verdicts]
    lines += ["", f"Resident after all that: {loaded / mega:.1f} MB (credentials are kept in `gate.cache`, 16 MB by default).", ""]
    return "\n".join(lines)


def render_inside(costs):
    """The part of the report about the gate alone."""
    lines = ["## The gate without a server", "", "From the headers of a question to the answer, in one process.", "",
             "| | CPU ns |", "|---|---:|"]
    return "\n".join(lines + [f"| {name} | {cost:,.0f} |" for name, cost in costs] + [""])


def render_beside(bench, same, rounds, halves, grown):
    """The part of the report about what avain stands beside, and its plots."""
    gateway = "through nginx, HS256, known"
    ours = {key: statistics.median(pair[0][key] for pair in rounds[gateway]) for key in ("cpu", "rate", "p50", "p99")}
    yardstick = statistics.median(pair[1]["cpu"] for pair in rounds[gateway])
    singles = {name: {key: statistics.median(one[key] for one in measured) for key in ("cpu", "rate", "p50", "p99")}
               for name, measured in bench.singles.items()}
    lines = ["", "## Beside what it replaces", "",
             "Each through nginx with one worker, the same request with the same token; gunicorn has a worker a core. CPU: nginx and all behind "
             "it, but for the backend. Resident: without nginx.", "",
             "| way | CPU µs/request | requests/s | p50 / p99 µs | resident MB | avain's requests/s are | its CPU is |",
             "|---|---:|---:|---:|---:|---:|---:|"]
    lines.append(row("**nginx asks avain**, known HS256", ours, same, ours))
    beside = [name for name in singles if "nginx" in name or "gunicorn" in name]
    for name in beside:
        lines.append(row(name, singles[name], bench.resident[name], ours))
    asking, itself = "nginx asks gunicorn + DRF + Simple JWT", "gunicorn + DRF checks the JWT itself"
    goals = []
    if asking in singles:
        factor, less = ours["rate"] / singles[asking]["rate"], bench.resident[asking] / same
        lua = singles["nginx checks the JWT itself, with Lua"]["cpu"]
        goals += [("no more CPU than nginx checking with Lua (stretch)", f"{ours['cpu'] / lua:.2f} ×", ours["cpu"] <= lua),
                  ("≥ 35 × the requests/s of nginx asking gunicorn + Simple JWT", f"{factor:.1f} ×", factor >= 35),
                  ("≤ 1/10 of its memory, having been asked the same", f"1/{less:.1f}", less >= 10),
                  ("≥ 20 × Django REST framework checking itself", f"{ours['rate'] / singles[itself]['rate']:.1f} ×",
                   ours["rate"] / singles[itself]["rate"] >= 20)]
    lines += ["", "![CPU](beside.svg)", "", "## Algorithms and endpoints", "",
              "Of avain alone, over a unix socket. Signatures of tokens never seen are verified once each.", "",
              "| what | CPU µs/request | requests/s | p50 / p99 µs |", "|---|---:|---:|---:|"]
    own = [name for name in singles if name not in beside]
    lines += [f"| {name} | {singles[name]['cpu']:.2f} | {singles[name]['rate']:,.0f} | {singles[name]['p50']:.0f} / {singles[name]['p99']:.0f} |"
              for name in own]
    lines += ["", "![CPU](endpoints.svg)", "", "## Latency at half load", "", "Through nginx, known HS256, each at half of the requests/s above.", "",
              "| | p50 µs | p99 µs | p99.9 µs |", "|---|---:|---:|---:|"]
    lines += [f"| {name} | {side['p50']:.0f} | {side['p99']:.0f} | {side['p999']:.0f} |" for name, side in zip(("avain", "yardstick"), halves)]
    lines += ["", "## Growth", "", "A known credential, after so many others were presented.", "",
              "| after | CPU µs/request | resident MB |", "|---|---:|---:|"]
    lines += [f"| {what} | {cost:.2f} | {resident / 1e6:.1f} |" for what, cost, resident in grown]
    for what, cost, _ in grown[2:]:
        goals.append((f"{what}: within 10 % of ten credentials", f"{cost / grown[1][1]:.2f} ×", cost <= grown[1][1] * 1.10))
    more = (grown[3][2] - grown[2][2]) / 1e6
    goals.append((f"{grown[3][0]}: ≤ 64 MB more", f"{more:.1f} MB", more <= 64))
    lines += ["", "| goal | measured | |", "|---|---:|---|"]
    lines += [f"| {goal} | {value} | {'met' if met else '**missed**'} |" for goal, value, met in goals]
    plot("beside.svg", bars("CPU of one gated request", "µs", [
        ("nginx asks avain", ours["cpu"], "ours"), ("nginx asks bare hyper", yardstick, "yardstick"),
        *((name, singles[name]["cpu"], "others" if "gunicorn" in name else "yardstick") for name in beside)]))
    plot("endpoints.svg", bars("CPU of one request to avain", "µs", [(name, singles[name]["cpu"], "ours") for name in own]))
    return "\n".join([*lines, ""])


def row(name, one, resident, ours):
    """A line of the table of ways."""
    return (f"| {name} | {one['cpu']:.1f} | {one['rate']:,.0f} | {one['p50']:.0f} / {one['p99']:.0f} | {resident / 1e6:.0f} | "
            f"{ours['rate'] / one['rate']:.1f} × | 1/{one['cpu'] / ours['cpu']:.1f} |")


def plot(name, text):
    """Writes a plot beside the report."""
    (REPORT / name).write_text(text)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"bench: {failure}")

#!/usr/bin/env python3
"""Measures the gate beside its yardstick: a bare hyper server that answers 204 with the same headers (bare.rs).

    bench.py [--quick] [--rounds N] [--seconds S] [--only WORDS] [--workers N]

Needs target/release/{avain,examples/bare,examples/load} (`make bench` builds them) and nginx. All cases of a round
run one after the other, each beside its own yardstick (ours, yardstick, yardstick, ours: what changes on the machine
meanwhile meets both), the order turned from round to round; what is printed, and written to target/bench/report.md,
are medians over the rounds, and of ratios the median of the rounds' ratios. CPU is what the server's process has used
by the kernel's account: steady on a shared machine, where requests a second are not.
"""
import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import tempfile
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "setup"))

from nginx_site import PROJECT, write_site  # noqa: E402
from processes import Failure, Process, free_port, is_open  # noqa: E402
import stack as stacks  # noqa: E402

RELEASE = PROJECT / "target" / "release"
REPORT = PROJECT / "target" / "bench"
CONNECTIONS = 32
SECRET = "bench-0123456789-0123456789-0123456789"     # signs on this machine, for as long as this runs
ACCOUNT = "bench"

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
    for program in ("avain", "examples/bare", "examples/load"):
        if not os.access(RELEASE / program, os.X_OK):
            raise Failure(f"{RELEASE / program} is not there: run `make bench`")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="avain-bench-") as directory, contextlib.ExitStack() as ends:
        bench = Bench(Path(directory), ends, options)
        idle = bench.idle()
        rounds = bench.measure()
        loaded = memory(bench.stack.avain.pid)
    report = render(options, idle, loaded, rounds, time.monotonic() - began)
    REPORT.mkdir(parents=True, exist_ok=True)
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

    def account(self, stack):
        stack.add_user(ACCOUNT, "a long enough pass phrase")
        self.key = stack.add_token(ACCOUNT)

    def sign_in(self):
        body = json.dumps({"username": ACCOUNT, "password": "a long enough pass phrase"}).encode()
        request = urllib.request.Request(f"{self.stack.avain_url}/auth/token/", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["access"]

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
            print(f"round {number + 1} of {self.options.rounds}", file=sys.stderr)
        return measured

    def load(self, target, pids, head, fresh):
        """One measurement: CPU microseconds of these processes a request, requests a second, latency."""
        request = self.directory / "request"
        request.write_text(head, newline="")
        command = [str(RELEASE / "examples" / "load"), target, str(CONNECTIONS), str(self.options.seconds / 2), str(request)]
        before = cpu(pids)
        done = subprocess.run(command + [SECRET] * fresh, capture_output=True, text=True, check=False,
                              timeout=self.options.seconds + 30)
        spent = cpu(pids) - before
        if done.returncode:
            raise Failure(f"{' '.join(command)} failed:\n{done.stderr}")
        result = json.loads(done.stdout)
        if result["errors"] or not result["requests"]:
            raise Failure(f"{result['errors']} of {result['requests']} answers of {target} were not 204")
        return {"cpu": spent / result["requests"] * 1e6, "rate": result["requests"] / result["seconds"],
                "p50": result["p50_us"], "p99": result["p99_us"]}


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
            verdicts.append((f"{name}: ≥ 0.90 of the yardstick's throughput", f"{rate_ratio:.2f}", rate_ratio >= 0.90))
        elif "known" in name:
            verdicts.append((f"{name}: ≤ 1.15 × the yardstick's CPU", f"{cpu_ratio:.2f}", cpu_ratio <= 1.15))
    mega = 1e6
    verdicts += [("release binary ≤ 12 MB", f"{idle['size'] / mega:.1f} MB", idle["size"] <= 12 * mega),
                 ("start to /ready ≤ 100 ms, existing database", f"{idle['start'] * 1000:.0f} ms", idle["start"] <= 0.1),
                 ("resident when idle ≤ 20 MB", f"{idle['resident'] / mega:.1f} MB", idle["resident"] <= 20 * mega)]
    lines += ["", "| goal | measured | |", "|---|---:|---|"]
    lines += [f"| {goal} | {value} | {'met' if met else '**missed**'} |" for goal, value, met in verdicts]
    lines += ["", f"Resident after all that: {loaded / mega:.1f} MB (credentials are kept in `gate.cache`, 16 MB by default).", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"bench: {failure}")

#!/usr/bin/env python3
"""Whether a crowd that signs in slows the gate down: it must not.

    crowd.py [--clients 200] [--seconds 20] [--set NAME=VALUE …]

Starts avain alone, on SQLite, with its own defaults: argon2id, limits on. One process asks the gate for a credential
that it knows, 200 times a second, first while nothing else happens, then while the clients sign in as fast as they are
answered, each from an address of its own: half of them with right passwords, half with wrong ones. (Who is told to
come back later waits a tenth of a second, whatever the answer says.) Prints the gate's times, what the crowd was
answered, and PASS or FAIL: the gate's p99 within max(50 ms, 5 × its idle p99), and nothing but 200, 401, 429 and
503 to the crowd. Exit status 1 for FAIL. AVAIN_BINARY is the program (target/debug/avain).
"""
import argparse
import asyncio
import collections
import http.client
import json
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "setup"))

from stack import start_alone  # noqa: E402

PASSWORD = "Corr3ct-horse-9"
ACCOUNTS = 20
LEAST_MS, TIMES = 50.0, 5
EXPECTED = {200, 401, 429, 503}
EVERY = 0.005       # seconds between two questions to the gate
SETTINGS = {"log.level": "error", "passwords.algorithm": "argon2id"}


def accounts(stack):
    """Makes the accounts, and notes the API key of one."""
    lines = (json.dumps({"username": f"user{number}", "password": PASSWORD}) for number in range(ACCOUNTS))
    stack.cli("user", "import", stdin="\n".join(lines))
    stack.key = stack.add_token("user0")


def probe(port, key, seconds, results):
    """Asks the gate, and tells the milliseconds of each answer. Runs in a process of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Token {key}", "X-Original-Method": "POST", "X-Original-URI": "/api/v1/hobbies/"}
    times, due = [], time.perf_counter()
    end = due + seconds
    while due < end:
        time.sleep(max(0.0, due - time.perf_counter()))
        asked = time.perf_counter()
        connection.request("GET", "/gate", headers=headers)
        response = connection.getresponse()
        response.read()
        times.append((time.perf_counter() - asked) * 1000)
        if response.status != 204:
            raise RuntimeError(f"the gate answered {response.status}")
        due = max(due + EVERY, time.perf_counter() - 1)
    results.put(times)


def probing(stack, seconds):
    """A probe that runs from now on, and what takes its times."""
    results = multiprocessing.Queue()
    process = multiprocessing.Process(target=probe, args=(stack.avain_port, stack.key, seconds, results), daemon=True)
    process.start()
    return process, results


async def client(port, number, end, answers):
    """Signs in over and over, until `end`."""
    password = PASSWORD if number % 2 == 0 else "wr0ng-Horse-10"
    body = json.dumps({"username": f"user{number // 2 % ACCOUNTS}", "password": password})
    request = (f"POST /api/token/ HTTP/1.1\r\nHost: x\r\nX-Real-IP: 10.0.{number // 256}.{number % 256}\r\n"
               f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < end:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(head.split(None, 2)[1])
        length = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length:"))
        await reader.readexactly(length)
        answers[status] += 1
        if status in (429, 503):
            await asyncio.sleep(0.1)
    writer.close()


async def crowd(port, clients, seconds):
    """What all clients together were answered."""
    answers, end = collections.Counter(), time.monotonic() + seconds
    await asyncio.gather(*(client(port, number, end, answers) for number in range(clients)))
    return answers


def at(times, share):
    """The time that this share of the times is below."""
    return sorted(times)[int(len(times) * share)]


def main():
    """Measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20, help="of each half")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="settings of avain")
    options = parser.parse_args()
    settings = {**SETTINGS, **dict(pair.split("=", 1) for pair in options.set)}
    with tempfile.TemporaryDirectory(prefix="avain-crowd-") as directory, start_alone(directory, settings, accounts) as stack:
        _, results = probing(stack, options.seconds)
        idle = results.get(timeout=options.seconds + 60)
        _, results = probing(stack, options.seconds)
        answers = asyncio.run(crowd(stack.avain_port, options.clients, options.seconds + 1))
        loaded = results.get(timeout=options.seconds + 60)
    for name, times in (("idle", idle), (f"{options.clients} clients sign in", loaded)):
        print(f"gate, {name}: p50 {at(times, 0.5):.2f} ms, p99 {at(times, 0.99):.2f} ms, longest {max(times):.1f} ms of {len(times)}")
    print("the crowd was answered: " + ", ".join(f"{count} × {status}" for status, count in sorted(answers.items())))
    allowed, p99 = max(LEAST_MS, TIMES * at(idle, 0.99)), at(loaded, 0.99)
    passed = p99 <= allowed and set(answers) <= EXPECTED and answers[200] > 0
    print(f"p99 {p99 / at(idle, 0.99):.1f} × idle (allowed {allowed:.0f} ms): {'PASS' if passed else 'FAIL'}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())

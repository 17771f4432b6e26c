#!/usr/bin/env python3
"""The list of accounts in the administration, with a million of them, on both engines.

    accounts.py [--accounts 1000000] [--calls 60] [--engine sqlite|postgres]

Fills a database with accounts (of 1,000 one is switched off, of 50,000 one is staff; an address for each, in another order
than the names), signs in as staff, and asks for pages over HTTP: the first one, one in the midst of all, the one before it,
prefixes of user names and of mail addresses, each filter, and one that nobody fits. Prints the median and the 95th
percentile of each in milliseconds, and its size. Exit status 1 where a 95th percentile is over 50 ms, or a page is larger
than 30 KB. AVAIN_BINARY is the program (target/release/avain). Needs PostgreSQL's programs.
"""
import argparse
import contextlib
import http.client
import os
import re
import secrets
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
os.environ.setdefault("AVAIN_BINARY", str(PROJECT / "target" / "release" / "avain"))
sys.path.insert(0, str(PROJECT / "tests" / "setup"))

from postgres import Postgres  # noqa: E402
from stack import start_alone  # noqa: E402

GOAL_MS, LARGEST = 50, 30_000
PASSWORD = "Corr3ct-horse-9"
SETTINGS = {"log.level": "error", "passwords.algorithm": "pbkdf2_sha256", "passwords.pbkdf2_iterations": 1000,
            "throttle.enabled": False}
LIST = "/sysadmin/auth/user/"
COLUMNS = "password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined"


def cases(count):
    """Name and query of each page that is asked for."""
    middle = f"member{count // 2:07}"
    return {
        "first page": "",
        "page in the midst": f"?after={count // 2}:{middle}",
        "page before it": f"?before={count // 2}:{middle}",
        "user names that begin so": f"?q=MEMBER{count // 3:07}"[:-2],
        "addresses that begin so": "?by=email&q=00",
        "addresses, in the midst": f"?by=email&after=1:{count // 2:07}@example.org",
        "switched on": "?active=1",
        "switched off": "?active=0",
        "switched off, in the midst": f"?active=0&after={count // 2}:{middle}",
        "staff": "?rank=staff",
        "superusers": "?rank=superuser",
        "members, by address": "?rank=member&by=email",
        "staff that is switched off": "?rank=staff&active=0",
        "nobody": "?q=nobody-is-called-so",
    }


def fill_sqlite(path, count):
    database = sqlite3.connect(path)
    rows = (("!none", 0, f"member{at:07}", "Maija", "Meikäläinen", f"{at * 7919 % count:07}@example.org", at % 50_000 == 0,
             at % 1_000 != 0, "2026-01-01 00:00:00") for at in range(count))
    database.executemany(f"INSERT INTO auth_user ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)", rows)
    database.commit()
    database.close()


def fill_postgres(cluster, url, count):
    statement = f"""
        INSERT INTO auth_user ({COLUMNS})
        SELECT '!none', FALSE, 'member' || lpad(at::text, 7, '0'), 'Maija', 'Meikäläinen',
            lpad((at::bigint * 7919 % {count})::text, 7, '0') || '@example.org', at % 50000 = 0, at % 1000 <> 0, now()
        FROM generate_series(0, {count} - 1) at;
        ANALYZE auth_user;"""
    command = [os.path.join(cluster.cluster.bin, "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url]
    subprocess.run(command, input=statement, text=True, check=True)


class Browser:
    """Somebody of staff who has signed in."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.cookies = {}
        hidden = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.ask("GET", "/accounts/login/")).group(1)
        fields = {"username": "boss", "password": PASSWORD, "csrfmiddlewaretoken": hidden}
        self.ask("POST", "/accounts/login/", urllib.parse.urlencode(fields), expected=302)

    def ask(self, method, path, body=None, expected=200):
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, value = cookie.split(";", 1)[0].split("=", 1)
            self.cookies[name] = value
        if answer.status != expected:
            raise SystemExit(f"{path}: {answer.status}\n{text}")
        return text


def measure(engine, count, calls):
    """Prints the times on an engine; gives whether all are good."""
    with contextlib.ExitStack() as ends:
        folder = ends.enter_context(tempfile.TemporaryDirectory())
        cluster = ends.enter_context(Postgres()) if engine == "postgres" else None
        settings = dict(SETTINGS)
        if cluster:
            settings |= {"database.url": cluster.create_database("accounts"), "keys.master": secrets.token_hex(32)}

        def accounts(stack):
            stack.add_user("boss", PASSWORD, "--staff")
            if cluster:
                fill_postgres(cluster, settings["database.url"], count)
            else:
                fill_sqlite(stack.directory / "avain.db", count)

        stack = start_alone(Path(folder), settings, accounts)
        ends.callback(stack.stop)
        return tell(engine, Browser(stack.avain_port), count, calls)


def tell(engine, browser, count, calls):
    good = True
    print(f"\n{engine}, {count:,} accounts            median     p95 ms   bytes   rows")
    for name, query in cases(count).items():
        path, times = LIST + query, []
        for call in range(calls + 3):
            begun = time.perf_counter()
            page = browser.ask("GET", path)
            if call >= 3:
                times.append((time.perf_counter() - begun) * 1000)
        times.sort()
        median, late = times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.95))]
        size, rows = len(page.encode()), page.count('<tr role="row"><td')
        is_good = late <= GOAL_MS and size <= LARGEST
        good = good and is_good
        print(f"  {name:<32} {median:8.2f}  {late:8.2f}  {size:6}  {rows:5}{'' if is_good else '  TOO MUCH'}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--engine", choices=["sqlite", "postgres"])
    options = parser.parse_args()
    engines = [options.engine] if options.engine else ["sqlite", "postgres"]
    good = [measure(engine, options.accounts, options.calls) for engine in engines]
    print("PASS" if all(good) else "FAIL")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())

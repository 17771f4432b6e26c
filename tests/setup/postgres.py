#!/usr/bin/env python3
"""A throw-away PostgreSQL cluster for tests.

Makes a cluster in a temporary folder, starts it on a free loopback port, and prints one line of JSON:

    {"url": …, "admin": …, "host": "127.0.0.1", "port": …, "socket": "<folder>", "data": "<folder>",
     "certificate": "<file>"}

`url` is for the role `avain`, which owns the database `avain` and may create databases; `admin` is a
superuser's. With `openssl` in PATH it takes TLS connections too, with that self-signed `certificate` for
127.0.0.1 (not localhost); else that is null. It runs until standard input closes or SIGTERM comes, then stops the server and removes the
folder. Lines on standard input are commands, each answered by one line of JSON: `stop` (immediate, as a
crash), `start`, `restart`; `standby` starts a second server that replicates this one and tells its `port`,
and from then on what is committed here is committed there first; `promote` makes that one take writes.

With a path as argument the folder is made there instead. Only Python's standard library is needed.
Exit code 69: PostgreSQL is not installed.

In Python:  with Postgres() as cluster: … cluster.create_database("name") gives the URL of an empty database.
"""

import ctypes
import glob
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SETTINGS = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{sockets}'
max_connections = 300
shared_buffers = 32MB
fsync = off
full_page_writes = off
ssl = {ssl}
logging_collector = off
log_min_messages = warning
"""
PR_SET_PDEATHSIG = 1


def binaries():
    """The folder with initdb and postgres: in PATH, or where Debian keeps them (newest first)."""
    found = shutil.which("initdb")
    if found and os.path.exists(os.path.join(os.path.dirname(os.path.realpath(found)), "postgres")):
        return os.path.dirname(os.path.realpath(found))
    folders = glob.glob("/usr/lib/postgresql/*/bin/initdb") + glob.glob("/usr/pgsql-*/bin/initdb")
    folders += glob.glob("/opt/homebrew/opt/postgresql@*/bin/initdb")
    version = lambda path: float("".join(c for c in path if c.isdigit() or c == ".") or 0)
    for path in sorted(folders, key=version, reverse=True):
        return os.path.dirname(path)
    print("PostgreSQL is not installed: there is no initdb in PATH or /usr/lib/postgresql/*/bin "
          "(Debian and Ubuntu: apt-get install postgresql)", file=sys.stderr)
    sys.exit(69)


def unprivileged():
    """Whom the server runs as: it refuses root. None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    print("PostgreSQL does not run as root, and there is no user postgres or nobody", file=sys.stderr)
    sys.exit(69)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def die_with_parent():
    """In the child: an immediate shutdown when this script is killed (Linux only)."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
    except (OSError, AttributeError):
        pass


class Cluster:
    def __init__(self, parent=None):
        self.bin = binaries()
        self.user = unprivileged()
        self.server = None
        self.port = None
        self.certificate = None
        self.folder = tempfile.mkdtemp(prefix="avain-postgres-", dir=parent)
        self.data = os.path.join(self.folder, "data")
        self.log = os.path.join(self.folder, "log")
        self.password = secrets.token_hex(8)
        self.settings = ""

    def run(self, program, *arguments, **more):
        """A program of PostgreSQL's as the unprivileged user; in /, which everyone may enter."""
        if self.user:
            more.update(user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[])
        command = [os.path.join(self.bin, program), *arguments]
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": self.folder}
        return subprocess.Popen(command, cwd="/", env=environment, **more)

    def checked(self, program, *arguments):
        done = self.run(program, *arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT, text=True)
        output, _ = done.communicate()
        if done.returncode != 0:
            raise SystemExit(f"{program} failed:\n{output}\n{self.last_log()}")

    def last_log(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                return log.read()[-2000:]
        except OSError:
            return ""

    def make(self):
        secret = os.path.join(self.folder, "password")
        with open(secret, "w", encoding="ascii") as file:
            file.write(self.password)
        os.chmod(secret, 0o600)
        if self.user:
            os.chmod(self.folder, 0o755)
            for path in (self.folder, secret):
                os.chown(path, self.user.pw_uid, self.user.pw_gid)
        self.checked("initdb", "-D", self.data, "-U", "postgres", "-E", "UTF8", "--locale=C",
                     "--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile", secret, "--no-sync")
        os.unlink(secret)
        self.certificate = self.certify() if shutil.which("openssl") else None

    def certify(self):
        """A certificate of one's own, valid for the address alone."""
        key, certificate = (os.path.join(self.data, name) for name in ("server.key", "server.crt"))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-days", "2", "-subj", "/CN=avain test database",
             "-addext", "subjectAltName=IP:127.0.0.1",
             "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", certificate],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.chmod(key, 0o600)
        if self.user:
            os.chown(key, self.user.pw_uid, self.user.pw_gid)
            os.chown(certificate, self.user.pw_uid, self.user.pw_gid)
        copy = os.path.join(self.folder, "certificate.pem")  # the data folder is the server's alone
        shutil.copy(certificate, copy)
        return copy

    def start(self):
        """Starts the server and waits until it answers."""
        self.port = self.port or free_port()
        # In this file, not on the command line: a later restart must come up on the same port.
        with open(os.path.join(self.data, "postgresql.auto.conf"), "w", encoding="ascii") as file:
            ssl = "on" if self.certificate else "off"
            file.write(SETTINGS.format(port=self.port, sockets=self.folder, ssl=ssl) + self.settings)
        with open(self.log, "ab") as log:
            self.server = self.run("postgres", "-D", self.data, stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=log, preexec_fn=die_with_parent)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            ready = self.run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port))
            if ready.wait() == 0:
                return
            if self.server.poll() is not None:
                break
            time.sleep(0.02)
        raise SystemExit(f"PostgreSQL did not start:\n{self.last_log()}")

    def fill(self):
        script = (f"CREATE ROLE avain LOGIN CREATEDB PASSWORD '{self.password}';"
                  "CREATE DATABASE avain OWNER avain;")
        for statement in script.split(";")[:-1]:
            self.execute(statement)

    def stop(self, how=signal.SIGQUIT):
        if self.server and self.server.poll() is None:
            self.server.send_signal(how)
            try:
                self.server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def execute(self, statement):
        self.checked("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-p", str(self.port),
                     "-U", "postgres", "-d", "postgres", "-c", statement)

    def standby(self):
        """A running server that replicates this one. It has acknowledged what is committed here from now on."""
        standby = Cluster()
        try:
            if standby.user:
                os.chown(standby.folder, standby.user.pw_uid, standby.user.pw_gid)
                os.chmod(standby.folder, 0o755)
            self.checked("pg_basebackup", "-D", standby.data, "-h", self.folder, "-p", str(self.port), "-U",
                         "postgres", "-c", "fast", "-R", "--no-sync")
            standby.settings = f"primary_conninfo = 'host={self.folder} port={self.port} user=postgres'\n"
            standby.certificate = self.certificate
            standby.start()
        except BaseException:
            standby.remove()
            raise
        self.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.execute("SELECT pg_reload_conf()")
        return standby

    def promote(self):
        self.checked("pg_ctl", "promote", "-w", "-s", "-D", self.data)

    def described(self):
        at = f"127.0.0.1:{self.port}"
        return {
            "url": f"postgresql://avain:{self.password}@{at}/avain",
            "admin": f"postgresql://postgres:{self.password}@{at}/avain",
            "host": "127.0.0.1", "port": self.port, "socket": self.folder, "data": self.data,
            "certificate": self.certificate,
        }


class Postgres:
    """A cluster for a `with` block, for tests in Python."""

    def __enter__(self):
        self.cluster = Cluster()
        try:
            self.cluster.make()
            self.cluster.start()
            self.cluster.fill()
        except BaseException:
            self.cluster.remove()
            raise
        self.url = self.cluster.described()["url"]
        return self

    def __exit__(self, *_):
        self.cluster.remove()

    def create_database(self, name):
        """A further, empty database of the role `avain`; gives its URL."""
        self.cluster.checked("psql", "-X", "-q", "-h", self.cluster.folder, "-p", str(self.cluster.port), "-U", "postgres",
                             "-d", "postgres", "-c", f'CREATE DATABASE "{name}" OWNER avain')
        return self.url.rsplit("/", 1)[0] + "/" + name


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    cluster = Cluster(sys.argv[1] if len(sys.argv) > 1 else None)
    standby = None
    try:
        cluster.make()
        cluster.start()
        cluster.fill()
        print(json.dumps(cluster.described()), flush=True)
        for line in sys.stdin:
            command = line.strip()
            if command in ("stop", "restart"):
                cluster.stop()
            if command in ("start", "restart"):
                cluster.start()
            if command == "standby":
                standby = cluster.standby()
            if command == "promote":
                standby.promote()
            known = command in ("stop", "start", "restart", "standby", "promote")
            done = {"done" if known else "unknown": command}
            print(json.dumps(done | ({"port": standby.port} if standby else {})), flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        cluster.remove()
        if standby:
            standby.remove()


if __name__ == "__main__":
    main()

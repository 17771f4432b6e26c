#!/usr/bin/env python3
"""avain, a stand-in for the protected backend, and nginx in front of both, in the background.

    stack.py run     what `make run` starts, in target/run, with a demo account; prints the lines to try
    stack.py stop    ends what `run` started

and for tests:  with start_stack(directory, settings={"gate.policy": "authenticated"}) as stack: … stack.base_url …

Environment of `run`: RUN_HTTPS_PORT (8443), RUN_HTTP_PORT (8080), RUN_AVAIN_PORT (8000), RUN_OPERATIONS_PORT (8001),
RUN_BACKEND_PORT (8002), RUN_ORIGINS (http://localhost:3000). AVAIN_BINARY, here and in tests, is the program to start
(target/debug/avain), NGINX_BINARY the nginx. Builds nothing.
"""
import http.client
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from nginx_site import PROJECT, write_site  # noqa: E402
from processes import Failure, Process, free_port, is_free, is_open, stop_recorded  # noqa: E402

BACKEND = PROJECT / "tests" / "backend" / "backend.py"
RUN_DIRECTORY = PROJECT / "target" / "run"
SOCKET_PATH_LIMIT = 100     # the kernel's is 108 bytes
DEFAULT_ROOTS = ["/api/", "/mobile-api/"]


class Stack:
    """What `start_stack` started.

    base_url        nginx, as clients see it          operations_url   avain's /live, /ready, /metrics
    avain_url       avain without nginx               backend_url      the stand-in without nginx
    settings        what avain was started with       certificate      nginx's, where tls
    avain_socket    the unix socket that avain listens on for nginx
    avain, backend, nginx                             the processes (stop(), kill(), pid)
    """

    def __init__(self, directory):
        self.directory = Path(directory).resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.avain = self.backend = self.nginx = None
        self.certificate = self.key = None
        self.socket_directory = None
        self.avain_socket = self._socket_path()
        self.backend_log = self.directory / "backend.jsonl"
        self.config = self.directory / "avain.toml"

    def cli(self, *arguments, stdin=None):
        """Runs `avain …` on this stack's settings; gives what it printed, `Failure` where it failed."""
        done = subprocess.run([binary(), "--config", str(self.config), *arguments], input=stdin or "", text=True,
                              capture_output=True, check=False, env=self.environment, cwd=self.directory)
        if done.returncode:
            raise Failure(f"avain {' '.join(arguments)} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def add_user(self, name, password, *options):
        """Makes an account."""
        self.cli("user", "create", name, "--password-stdin", "--force", "--email", f"{name}@example.org", *options,
                 stdin=password + "\n")

    def add_token(self, name):
        """The API key of an account, made if it has none."""
        return json.loads(self.cli("token", "create", name, "--json"))["key"]

    def arrived(self):
        """What reached the backend so far: one dict a request, as backend.py logs them."""
        if not self.backend_log.exists():
            return []
        return [json.loads(line) for line in self.backend_log.read_text().splitlines()]

    def start_avain(self):
        """Starts avain (again) and returns when it is ready."""
        self.avain = Process("avain", [binary(), "--config", str(self.config), "serve"], self.directory / "avain.log",
                             env=self.environment, cwd=self.directory)
        self.avain.wait_ready(lambda: status_of(self.operations_port, "/ready") == 200)

    def start_backend(self, database_url, contract, log):
        """Starts the stand-in backend."""
        command = [python_for(database_url), str(BACKEND), "--listen", f"127.0.0.1:{self.backend_port}",
                   "--database", database_url, "--phantom-secret-file", str(self.directory / "phantom-secret")]
        command += ["--contract"] if contract else []
        command += ["--log", str(self.backend_log)] if log else []
        self.backend = Process("the stand-in backend", command, self.directory / "backend.log")
        self.backend.wait_ready(lambda: is_open(self.backend_port))

    def start_nginx(self, config):
        """Has nginx check its configuration, and starts it."""
        program = find_nginx()
        checked = subprocess.run([program, "-t", "-q", "-e", "stderr", "-c", str(config)], capture_output=True, text=True,
                                 stdin=subprocess.DEVNULL, check=False)
        if checked.returncode:
            raise Failure(f"nginx does not accept {config}:\n{checked.stderr}")
        self.nginx = Process("nginx", [program, "-e", "stderr", "-c", str(config)], self.directory / "nginx.log")
        self.nginx.wait_ready(lambda: is_open(self.nginx_port))

    def stop(self):
        """Ends all three, the front first."""
        for process in (self.nginx, self.backend, self.avain):
            if process:
                process.stop()
        if self.socket_directory:
            shutil.rmtree(self.socket_directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _socket_path(self):
        path = self.directory / "avain.sock"
        if len(str(path)) <= SOCKET_PATH_LIMIT:
            return path
        self.socket_directory = tempfile.mkdtemp(prefix="avain-")
        return Path(self.socket_directory) / "avain.sock"


def start_alone(directory, settings, accounts):
    """avain without nginx and backend, on an SQLite file in `directory`: `accounts(stack)` makes accounts before it starts."""
    stack = Stack(directory)
    stack.environment = {}
    stack.avain_port, stack.operations_port = free_port(), free_port()
    stack.settings = {"server.listen": f"127.0.0.1:{stack.avain_port}", "server.operations": f"127.0.0.1:{stack.operations_port}",
                      "database.url": f"sqlite:{stack.directory / 'avain.db'}", **settings}
    write_private(stack.config, "".join(f"{name} = {toml(value)}\n" for name, value in stack.settings.items()))
    stack.cli("migrate")
    accounts(stack)
    stack.start_avain()
    return stack


def start_stack(directory, settings=None, database_url=None, tls=False, contract=False, *, roots=None, origins=(),
                rate="100000r/s", avain_upstream=None, ports=None, log=True, before_start=None, inherit=False, workers=1):
    """Migrates the database, starts avain, the stand-in and nginx in `directory`, and gives the `Stack` once all answer.

    settings        avain's, by dotted name: {"gate.policy": "authenticated", "tokens.leeway": "0s"}
    database_url    "postgresql://…"; by default an SQLite file in `directory`
    tls             nginx on https, with a self-signed certificate
    contract        the stand-in answers in the shape of the contract's recordings
    roots           protected paths at nginx; by default those of `gate.roots`
    origins         front ends that nginx answers CORS for
    rate            nginx's limit for sign-in attempts, "5r/s"
    avain_upstream  where nginx looks for avain, instead of its socket
    ports           fixed ones by name: nginx, http (a redirect to https), avain, operations, backend
    before_start    called with the stack after migrating, before anything runs
    inherit         lets AVAIN_… variables of the environment through to avain; tests must not depend on them
    """
    stack = Stack(directory)
    ports = ports or {}
    for name in ("nginx", "avain", "operations", "backend"):
        setattr(stack, f"{name}_port", ports.get(name) or free_port())
    database_url = database_url or f"sqlite:{stack.directory / 'avain.db'}"
    stack.environment = {name: value for name, value in os.environ.items()
                         if not name.startswith("AVAIN_") or inherit and name != "AVAIN_BINARY"}
    stack.settings = {
        "server.listen": [f"unix:{stack.avain_socket}", f"127.0.0.1:{stack.avain_port}"],
        "server.operations": f"127.0.0.1:{stack.operations_port}",
        "server.trusted_proxies": ["127.0.0.1/32"],
        "database.url": database_url,
        "gate.roots": DEFAULT_ROOTS,
        "mail.transport": f"folder:{stack.directory / 'mail'}",
        "gate.phantom_key": "hs256:" + kept_secret(stack.directory, "phantom-secret"),
        **({} if database_url.startswith("sqlite:") else {"keys.master": kept_secret(stack.directory, "master-key")}),
        **(settings or {}),
    }
    write_private(stack.directory / "phantom-secret", stack.settings["gate.phantom_key"].split(":", 1)[1])
    write_private(stack.config, "".join(f"{name} = {toml(value)}\n" for name, value in stack.settings.items()))
    if tls:
        stack.certificate, stack.key = certificate(stack.directory)
    site = write_site(stack.directory / "nginx", avain=avain_upstream or f"unix:{stack.avain_socket}",
                      backend=f"127.0.0.1:{stack.backend_port}", port=stack.nginx_port, http_port=ports.get("http"),
                      roots=stack.settings["gate.roots"] if roots is None else roots, origins=origins, rate=rate,
                      certificate=stack.certificate, key=stack.key, workers=workers)
    stack.base_url = f"{'https' if tls else 'http'}://127.0.0.1:{stack.nginx_port}"
    for name in ("avain", "operations", "backend"):
        setattr(stack, f"{name}_url", f"http://127.0.0.1:{getattr(stack, name + '_port')}")
    try:
        stack.cli("migrate")
        if before_start:
            before_start(stack)
        stack.start_avain()
        stack.start_backend(database_url, contract, log)
        stack.start_nginx(site)
    except BaseException:
        stack.stop()
        raise
    return stack


def binary():
    """The avain to start."""
    path = os.path.abspath(os.environ.get("AVAIN_BINARY") or PROJECT / "target" / "debug" / "avain")
    if not os.access(path, os.X_OK):
        raise Failure(f"{path} is not there: run `make build`, or say AVAIN_BINARY=…")
    return path


def find_nginx():
    """nginx: the one that NGINX_BINARY names, else the machine's; Debian keeps it where only root's PATH goes."""
    found = os.environ.get("NGINX_BINARY") or shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin")
    if not found:
        raise Failure("nginx is not on this machine: run tests/setup/install.sh")
    return found


def python_for(database_url):
    """The Python that can reach this database: PostgreSQL needs pg8000, which is in target/venv."""
    venv = PROJECT / "target" / "venv" / "bin" / "python"
    if database_url.startswith("sqlite:") or not venv.exists():
        return sys.executable
    return str(venv)


def status_of(port, path):
    """The status that a plain HTTP server on this port answers with; None where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def toml(value):
    """A setting as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(entry) for entry in value) + "]"
    if isinstance(value, int):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False)


def write_private(path, text):
    """Writes a file that nobody else may read, from its first byte on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def kept_secret(directory, name):
    """The secret in the file of that name: the one that is there, else a new one."""
    path = directory / name
    if not path.exists():
        write_private(path, secrets.token_hex(32))
    return path.read_text()


def certificate(directory):
    """A self-signed certificate for this machine and its key: those that are there, else new ones."""
    paths = directory / "certificate.pem", directory / "certificate.key"
    if all(path.exists() for path in paths):
        return paths
    if not shutil.which("openssl"):
        raise Failure("the openssl command is missing, to make a certificate: run tests/setup/install.sh")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "825",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-out", str(paths[0]), "-keyout", str(paths[1])], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if made.returncode:
        raise Failure(f"openssl made no certificate:\n{made.stderr}")
    paths[1].chmod(0o600)
    return paths


# --- make run, make stop ------------------------------------------------------------------------------------------

RUN_PORTS = {"nginx": ("RUN_HTTPS_PORT", 8443), "http": ("RUN_HTTP_PORT", 8080), "avain": ("RUN_AVAIN_PORT", 8000),
             "operations": ("RUN_OPERATIONS_PORT", 8001), "backend": ("RUN_BACKEND_PORT", 8002)}

SESSION = """\
avain is running, with nginx in front of it and a stand-in for the backend behind.

    gateway      https://localhost:{https}         (self-signed; http://localhost:{http} redirects there)
    avain        http://127.0.0.1:{avain}          without the gateway
    operations   http://127.0.0.1:{operations}/metrics  /live  /ready
    account      demo, password {password}
    API key      {key}
    files        {directory}

Try, in this shell:

    H=https://localhost:{https}; c() {{ curl -sS --cacert {certificate} "$@"; echo; }}
    # a token pair for a name and a password
    PAIR=$(c $H/auth/token/ -d username=demo -d password={password}); echo "$PAIR"
    ACCESS=$(echo "$PAIR" | sed 's/.*"access" *: *"\\([^"]*\\)".*/\\1/')
    REFRESH=$(echo "$PAIR" | sed 's/.*"refresh" *: *"\\([^"]*\\)".*/\\1/')
    # with it through the gateway: a hobby is made; the same with the API key
    c $H/api/v1/hobbies/ -H "Authorization: Bearer $ACCESS" -d name=Shakki
    c $H/api/v1/hobbies/ -H 'Authorization: Token {key}' -d name=Judo
    # a fresh access token for the refresh token
    c $H/auth/token/refresh/ -d refresh=$REFRESH
    # anybody may read, nobody may write, and a bad credential is refused even for reading
    c $H/api/v1/hobbies/
    c -i $H/api/v1/hobbies/ -d name=Nobody
    c -i $H/api/v1/hobbies/ -H 'Authorization: Bearer nonsense'

`make stop` ends it, `make run` starts it anew; the data stay in {directory}.
"""


def run():
    """Starts (or restarts) the stack of `make run` and prints how to use it."""
    if stop():
        print("stopped the one that was running")
    ports = {name: int(os.environ.get(variable) or default) for name, (variable, default) in RUN_PORTS.items()}
    for name, port in ports.items():
        if not is_free(port):
            raise Failure(f"port {port} is taken by another program: say {RUN_PORTS[name][0]}=… to use another one")
    demo = {}

    def accounts(stack):
        demo["password"], demo["key"] = demo_account(stack)

    origins = os.environ.get("RUN_ORIGINS", "http://localhost:3000").split()
    here = {"site.domain": f"localhost:{ports['nginx']}"}      # links in mails, and what OAuth's metadata names
    stack = start_stack(RUN_DIRECTORY, here, tls=True, ports=ports, origins=origins, rate="10r/s", log=False,
                        before_start=accounts, inherit=True, workers="auto")
    write_private(RUN_DIRECTORY / "stack.json", json.dumps(
        [[process.name, process.pid, process.started] for process in (stack.nginx, stack.backend, stack.avain)]))
    print(SESSION.format(https=ports["nginx"], http=ports["http"], avain=ports["avain"], operations=ports["operations"],
                         directory=RUN_DIRECTORY, certificate=stack.certificate, **demo))


def demo_account(stack):
    """The account `demo`, with the password in target/run/demo-password, and its API key."""
    path = stack.directory / "demo-password"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(12))
    password = path.read_text()
    try:
        stack.cli("user", "show", "demo", "--json")
    except Failure:
        stack.add_user("demo", password, "--first-name", "Demo", "--last-name", "User")
    else:
        stack.cli("user", "set-password", "demo", "--password-stdin", stdin=password + "\n")
    return password, stack.add_token("demo")


def stop():
    """Ends what an earlier `run` started. Gives whether there was anything."""
    state = RUN_DIRECTORY / "stack.json"
    if not state.exists():
        return False
    stopped = [stop_recorded(name, pid, started) for name, pid, started in json.loads(state.read_text())]
    state.unlink()
    return any(stopped)


def main(arguments):
    if arguments == ["run"]:
        run()
    elif arguments == ["stop"]:
        print("stopped" if stop() else "nothing was running")
    else:
        print(__doc__.strip(), file=sys.stderr)
        return 64
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        sys.exit(f"{failure}")

#!/usr/bin/env python3
"""Traefik with deploy/traefik in front of avain and the stand-in backend: the same verdicts as nginx gets.

    test_traefik.py [NAME…]
"""
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "setup"), str(HERE.parent / "backend")]

from client import send  # noqa: E402
from nginx_site import PROJECT  # noqa: E402
from processes import Failure, Process, free_port, is_open, wait_until  # noqa: E402
from runner import run  # noqa: E402
from stack import binary  # noqa: E402
import test_gateway  # noqa: E402
from test_gateway import HOBBIES, SPOOFED, STRANGER, UI, GatewayCase  # noqa: E402

test_gateway.new_database = lambda name: None
SHIPPED = PROJECT / "deploy" / "traefik"
ROUTING = SHIPPED / "avain.yml"


class TraefikCase(GatewayCase):
    settings = {**GatewayCase.settings, "gate.protocol": "forward_auth"}
    options = {"tls": True}
    edits = {}              # of avain.yml
    listening_edits = {}    # of traefik.yml

    @classmethod
    def start(cls, **more):
        super().start(**more)
        body = json.dumps({"username": "mia", "password": test_gateway.PASSWORD}).encode()
        reply = send(cls.stack.avain_url, "POST", "/auth/token/", [("Content-Type", "application/json")], body)
        cls.access = reply.json()["access"]
        cls.port, cls.plain_port = free_port(), free_port()
        traefik = shutil.which("traefik", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if not traefik:
            raise Failure("traefik is not on this machine: run tests/setup/install.sh venv")
        place = Path(cls.directory) / "traefik"
        place.mkdir()
        routing = cls.edited(place, "avain.yml", {
            "api.example.org": "127.0.0.1", "http://127.0.0.1:8000": cls.stack.avain_url, "http://127.0.0.1:8002": cls.stack.backend_url,
            "/etc/traefik/tls/fullchain.pem": str(cls.stack.certificate), "/etc/traefik/tls/privkey.pem": str(cls.stack.key), **cls.edits})
        listening = cls.edited(place, "traefik.yml", {
            '":443"': f'"127.0.0.1:{cls.port}"', '":80"': f'"127.0.0.1:{cls.plain_port}"', "/etc/traefik/avain.yml": str(routing),
            **cls.listening_edits})
        process = Process("traefik", [traefik, f"--configFile={listening}"], Path(cls.directory) / "traefik.log", env={"HOME": str(place)})
        cls.addClassCleanup(process.stop)
        process.wait_ready(lambda: is_open(cls.port))
        cls.base_url = f"https://127.0.0.1:{cls.port}"
        wait_until(cls.has_routes, "the routes", 10)

    @classmethod
    def has_routes(cls):
        """It listens before it has read routes and certificates."""
        try:
            return cls.ask("GET", "/accounts/login/").status == 200
        except OSError:
            return False

    @classmethod
    def edited(cls, place, name, edits):
        """A shipped file with these edits; what is edited must be there."""
        text = (SHIPPED / name).read_text()
        for old, new in edits.items():
            if old not in text:
                raise Failure(f"{name} has no {old}")
            text = text.replace(old, new)
        (place / name).write_text(text)
        return place / name

    @classmethod
    def ask(cls, method, path, headers=(), body=None):
        return send(cls.base_url, method, path, headers, body, cls.stack.certificate)

    def send(self, method, path, headers=(), body=None):
        return self.ask(method, path, headers, body)

    def doctor(self):
        """Runs the doctor with all the help that there is. Gives the process that ended, and outcomes by check."""
        key = Path(self.directory) / "credential"
        key.write_text("Token " + self.key)
        done = subprocess.run(
            [binary(), "--config", str(self.stack.config), "doctor", self.base_url + HOBBIES, "--ca", str(self.stack.certificate),
             "--credential-file", str(key), "--echo", "/api/echo/", "--echo", "/monitor/echo/", "--operations", self.stack.operations_url,
             "--plain", f"http://127.0.0.1:{self.plain_port}", "--origin", UI, "--json",
             # README.md: dotted names arrive, odd paths are resolved before they are judged, and Traefik's own 429 is plain text.
             "--skip", "identity-invalid", "--skip", "path", "--skip", "status-429"],
            capture_output=True, text=True, check=False, timeout=60, env=self.stack.environment)
        checks = json.loads(done.stdout)["checks"] if done.stdout else []
        return done, {check["check"]: check for check in checks}


class Traefik(TraefikCase):
    def test_credentials_become_phantoms(self):
        for header in ("Bearer " + self.access, "Token " + self.key):
            for method, status in (("GET", 200), ("POST", 201)):
                with self.part(header=header[:6], method=method):
                    body = b'{"name":"Shakki"}' if method == "POST" else None
                    reply = self.send(method, HOBBIES, [("Authorization", header), ("Content-Type", "application/json")], body)
                    self.assertEqual(reply.status, status, reply.body)
                    [phantom] = self.last()["authorization"]
                    self.assertRegex(phantom, r"^Bearer \S+\.\S+\.\S+$")
                    self.assertNotEqual(phantom, header)
                    self.assertEqual(self.arrived()[-1]["user"], "mia")
                    self.assertEqual([name for name, _ in reply.lines if name.lower().startswith(("x-auth", "x-upstream", "authorization"))], [])

    def test_nobody_reads_and_does_not_write(self):
        self.assertEqual(self.send("GET", HOBBIES, [("Authorization", "Basic eDp5")]).status, 200)
        self.assertNotIn("authorization", self.last())
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            with self.part(what=method):
                reply = self.send(method, HOBBIES, [("Content-Type", "application/json")], b"{}")
                self.assert_refused(reply, 401)
                self.assertEqual(reply.one("WWW-Authenticate"), 'Bearer realm="api"')
                self.assertEqual(reply.json(), {"detail": "Authentication credentials were not provided."})
                self.assertEqual([name for name, _ in reply.lines if name.lower().startswith("x-")], [])

    def test_bad_credentials_are_refused(self):
        for header in ("Bearer nonsense", "Token " + "0" * 40, "Token", "Bearer " + self.key):
            with self.part(what=header[:12]):
                reply = self.send("GET", HOBBIES, [("Authorization", header)])
                self.assert_refused(reply, 401)
                self.assertTrue(reply.one("WWW-Authenticate"))

    def test_methods_in_small_letters_are_denied(self):
        for credential in ([], [("Authorization", "Token " + self.key)]):
            with self.part(credential=bool(credential)):
                self.assert_refused(self.send("get", HOBBIES, credential), 403)

    def test_the_client_does_not_say_what_it_asks(self):
        made_up = [(name, value) for name, value in (
            ("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", HOBBIES), ("X-Original-Method", "GET"), ("X-Original-URI", HOBBIES),
            ("X_Forwarded_Method", "GET"), ("X_Forwarded_Uri", HOBBIES), ("X-Http-Method-Override", "GET"))]
        self.assert_refused(self.send("POST", HOBBIES, [*made_up, ("Content-Type", "application/json")], b"{}"), 401)

    def test_made_up_identity_never_arrives(self):
        names = SPOOFED + [name.replace("-", "_") for name in SPOOFED if "-" in name]
        headers = [(name, value) for name in names for value in ("evil", "evil2")]
        for path, credential in ((HOBBIES, [("Authorization", "Token " + self.key)]), (HOBBIES, []), ("/monitor/", [])):
            with self.part(path=path, credential=bool(credential)):
                self.assertEqual(self.send("GET", path, headers + credential + [("X-Request-ID", "evil")]).status, 200)
                self.assertNotIn("evil", json.dumps(self.last()))

    def test_names_are_those_that_nginx_empties(self):
        emptied = set(re.findall(r'^proxy_set_header (\S+) "";', (PROJECT / "nginx" / "identity.conf").read_text(), re.MULTILINE))
        clean = ROUTING.read_text().split("    clean:")[1].split("    without-credential:")[0]
        self.assertEqual(set(re.findall(r'([\w-]+): ""', clean)), emptied | {"X-Request-Id"})

    def test_paths_that_can_be_read_in_two_ways(self):
        """They are refused, or are one path to Traefik, avain and the backend alike, and judged as that one."""
        for path in ("/api/v1/x/..%2fhobbies/", "/api%2fv1/hobbies/", "/api/v1/hobbies/;x", "/api/..;/v1/hobbies/", "/api/v1/hobbies/%5c",
                     "/accounts/%2e%2e%2fapi/v1/hobbies/", "/monitor/x%0aapi/v1/hobbies/", "/monitor/#api/v1/hobbies/", "/api/#v1/hobbies/",
                     "/monitor/api/v1/hobbies/", "/monitor/%61pi/v1/hobbies/", "/api/v1/benefits/mobile-api/v1/hobbies/",
                     "/api/v1/x%0aapi/v1/hobbies/", "/x/api/v1/hobbies/", "/monitor/%252e%252e/api/v1/hobbies/", "/monitor/..;/api/v1/hobbies/"):
            for credential in ([], [("Authorization", "Token " + self.key)]):
                with self.part(path=path, credential=bool(credential)):
                    reply = self.send("GET", path, credential)
                    self.assertIn(reply.status, range(400, 500))
                    self.assertEqual(self.arrived(), [])
        for path in ("//api/v1/hobbies/", "/api//v1/hobbies/", "/%61pi/v1/hobbies/", "/monitor/../api/v1/hobbies/",
                     "/monitor/%2e%2e/api/v1/hobbies/", "/api/v1/x/../hobbies/"):
            with self.part(path=path):
                self.assertEqual(self.send("GET", path).status, 200)
                self.assertEqual(self.arrived()[-1]["path"], HOBBIES)
            with self.part(path=path, method="POST"):
                self.assert_refused(self.send("POST", path, [], b"{}"), 401)

    def test_neither_gate_nor_operations_are_for_outside(self):
        for path in ("/gate", "/gate/", "/metrics", "/live", "/ready", "/%67ate", "//gate", "/auth/..%2fgate", "/auth/../gate", "/auth/gate"):
            with self.part(what=path):
                reply = self.send("GET", path, [("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", HOBBIES)])
                self.assertIn(reply.status, (400, 404), reply.body)
                self.assertEqual(reply.all("Authorization"), [])

    def test_no_credential_where_there_is_no_gate(self):
        self.assertEqual(self.send("GET", "/monitor/", [("Authorization", "Token " + self.key)]).status, 200)
        self.assertNotIn("authorization", self.last())

    def test_a_body_of_some_megabytes(self):
        kind = ("Content-Type", "multipart/form-data; boundary=x")
        reply = self.send("POST", HOBBIES, [kind, ("Authorization", "Token " + self.key)], b"x" * 5_000_000)
        self.assertEqual((reply.status, reply.json().get("bytes")), (201, 5_000_000))
        with self.part(what="refused"):
            self.assert_refused(self.send("POST", HOBBIES, [kind], b"x" * 5_000_000), 401)

    def test_preflights_are_answered_by_traefik(self):
        reply = self.send("OPTIONS", HOBBIES, [("Origin", UI), ("Access-Control-Request-Method", "DELETE"),
                                               ("Access-Control-Request-Headers", "authorization")])
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.one("Access-Control-Allow-Origin"), UI)
        self.assertEqual(reply.one("Access-Control-Allow-Credentials"), "true")
        self.assertIn("DELETE", reply.one("Access-Control-Allow-Methods"))
        self.assertIn("Authorization", reply.one("Access-Control-Allow-Headers"))
        self.assertEqual(self.arrived(), [])
        for origin in (STRANGER, "null", UI.upper()):
            with self.part(origin=origin):
                reply = self.send("OPTIONS", HOBBIES, [("Origin", origin), ("Access-Control-Request-Method", "DELETE")])
                self.assertEqual(reply.all("Access-Control-Allow-Origin"), [])

    def test_front_ends_may_read_what_they_are_answered(self):
        for method, credential, status in (("GET", "Token " + self.key, 200), ("GET", "Token x", 401), ("POST", "Basic eDp5", 401)):
            with self.part(method=method, status=status):
                reply = self.send(method, HOBBIES, [("Origin", UI), ("Authorization", credential)], b"" if method == "POST" else None)
                self.assertEqual(reply.status, status)
                self.assertEqual(reply.one("Access-Control-Allow-Origin"), UI)
                self.assertIn("WWW-Authenticate", reply.one("Access-Control-Expose-Headers"))
                self.assertIn("Origin", ", ".join(reply.all("Vary")))

    def test_websocket(self):
        context = ssl.create_default_context(cafile=str(self.stack.certificate))
        context.set_alpn_protocols(["http/1.1"])
        with context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=10), server_hostname="127.0.0.1") as connection:
            connection.sendall((f"GET /api/socket/ HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                f"Authorization: Bearer {self.access}\r\n\r\n").encode())
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(4096)
            self.assertTrue(received.startswith(b"HTTP/1.1 101"), received)
            connection.sendall(b"\x81\x02hi")
            self.assertEqual(connection.recv(16), b"\x81\x02hi")

    def test_avains_own_endpoints_and_pages(self):
        body = json.dumps({"username": "mia", "password": test_gateway.PASSWORD}).encode()
        for path in ("/auth/token/", "/api/token", "/v3/drf-token-auth"):
            with self.part(path=path):
                self.assertEqual(self.send("POST", path, [("Content-Type", "application/json")], body).status, 200)
        self.assertIn(b"<form", self.send("GET", "/accounts/login/").body)
        self.assertEqual(self.send("GET", "/.well-known/oauth-authorization-server").status, 200)
        form = ("Content-Type", "application/x-www-form-urlencoded")
        self.assertEqual(self.send("POST", "/oauth/introspect", [form], b"token=x").status, 401)
        self.assertEqual(self.arrived(), [])

    def test_avain_learns_where_clients_are(self):
        bearer, kind = ("Authorization", "Bearer " + self.access), ("Content-Type", "application/json")
        made_up = [("X-Real-IP", "192.0.2.7"), ("X-Forwarded-For", "192.0.2.7")]
        for network, status in (("127.0.0.0/8", 200), ("192.0.2.0/24", 403)):
            with self.part(network=network):
                made = self.send("POST", "/auth/keys", [bearer, kind], json.dumps({"name": network, "networks": network}).encode())
                self.assertEqual(made.status, 201, made.body)
                reply = self.send("GET", HOBBIES, [("Authorization", "Token " + made.json()["key"]), *made_up])
                self.assertEqual(reply.status, status, reply.body)
        with self.part(what="signing in"):
            self.send("POST", "/auth/token/", [kind, *made_up], b'{"username":"mia","password":"wrong"}')
            told = self.stack.cli("audit", "--json")
            self.assertIn('"127.0.0.1"', told)
            self.assertNotIn("192.0.2.7", told)

    def test_the_doctor_finds_nothing(self):
        done, checks = self.doctor()
        self.assertEqual([(name, check["why"]) for name, check in checks.items() if check["state"] == "found"], [], done.stderr)
        self.assertEqual(done.returncode, 0, done.stderr)
        good = {name for name, check in checks.items() if check["state"] == "good"}
        self.assertLessEqual({"protected", "method", "gate-outside", "identity-plain", "phantom-missing", "keep-alive", "content-length",
                              "sign-in-limit", "address-trusted", "cors-errors", "upgrade", "plain-http"}, good)


class Outage(TraefikCase):
    """Nothing passes while avain is away; Traefik then says 500, without a word."""

    def test_avain_down(self):
        self.stack.avain.kill()
        for method in ("GET", "POST"):
            with self.part(method=method):
                reply = self.send(method, HOBBIES, [("Authorization", "Token " + self.key)], b"" if method == "POST" else None)
                self.assertEqual((reply.status, reply.body), (500, b""))
                self.assertEqual(self.arrived(), [])
        self.stack.start_avain()
        wait_until(lambda: self.ask("GET", HOBBIES).status == 200, "recovery", 10)


class BelievedProxy(TraefikCase):
    """trustForwardHeader alone: the entry point has taken away what clients wrote."""

    edits = {"trustForwardHeader: false": "trustForwardHeader: true"}

    def test_the_client_does_not_say_what_it_asks(self):
        made_up = [("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", HOBBIES), ("X-Forwarded-For", "192.0.2.7")]
        self.assert_refused(self.send("POST", HOBBIES, made_up, b"{}"), 401)
        self.assertEqual(self.send("GET", HOBBIES, [("Authorization", "Token " + self.key)]).status, 200)


class BehindALoadBalancer(TraefikCase):
    """The client is whom the load balancer heard, to the gate and to avain's own endpoints; we are the load balancer."""

    edits = {"trustForwardHeader: false": "trustForwardHeader: true"}
    listening_edits = {"# forwardedHeaders: {trustedIPs: [10.0.0.0/8]}": "forwardedHeaders: {trustedIPs: [127.0.0.1/32]}"}

    def test_clients_are_told_apart(self):
        heard, kind = ("X-Forwarded-For", "203.0.113.9, 192.0.2.7"), ("Content-Type", "application/json")
        body = json.dumps({"name": "office", "networks": "192.0.2.0/24"}).encode()
        made = self.send("POST", "/auth/keys", [("Authorization", "Bearer " + self.access), kind], body)
        self.assertEqual(made.status, 201, made.body)
        key = ("Authorization", "Token " + made.json()["key"])
        self.assertEqual(self.send("GET", HOBBIES, [key, heard]).status, 200)
        self.assertEqual(self.send("GET", HOBBIES, [key]).status, 403)
        self.send("POST", "/auth/token/", [kind, heard], b'{"username":"mia","password":"wrong"}')
        told = self.stack.cli("audit", "--json")
        self.assertIn('"192.0.2.7"', told)
        self.assertNotIn("203.0.113.9", told)


class GateForEverybody(TraefikCase):
    """The doctor knows the gate by what it says in this protocol, too."""

    edits = {"(PathPrefix(`/auth/`)": "(PathPrefix(`/gate`) || PathPrefix(`/auth/`)"}

    def test_the_doctor_finds_it(self):
        _, checks = self.doctor()
        self.assertEqual([name for name, check in checks.items() if check["state"] == "found"], ["gate-outside"])


if __name__ == "__main__":
    run(Traefik, Outage, BelievedProxy, BehindALoadBalancer, GateForEverybody)

#!/usr/bin/env python3
"""Caddy with deploy/caddy in front of avain and the stand-in backend: the same verdicts as nginx gets.

    test_caddy.py [NAME…]
"""
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "setup"), str(HERE.parent / "backend")]

from client import ScriptedGate, send  # noqa: E402
from nginx_site import PROJECT  # noqa: E402
from processes import Failure, Process, free_port, is_open, wait_until  # noqa: E402
from runner import run  # noqa: E402
from stack import binary  # noqa: E402
import test_gateway  # noqa: E402
from test_gateway import HOBBIES, SPOOFED, STRANGER, UI, FrontEnds, GatewayCase  # noqa: E402

test_gateway.new_database = lambda name: None


class CaddyCase(GatewayCase):
    backend = None      # one to put in place of the stand-in

    @classmethod
    def start(cls, **more):
        super().start(**more)
        cls.access = cls.access_through_avain()
        cls.port = free_port()
        caddy = shutil.which("caddy")
        if not caddy:
            raise Failure("caddy is not on this machine: run tests/setup/install.sh")
        home = Path(cls.directory) / "caddy"
        process = Process("caddy", [caddy, "run", "--config", str(PROJECT / "deploy" / "caddy" / "Caddyfile"), "--adapter", "caddyfile"],
                          Path(cls.directory) / "caddy.log", env={
                              "HOME": str(home), "PATH": "/usr/bin", "AVAIN_SITE": f"http://127.0.0.1:{cls.port}",
                              "AVAIN_UPSTREAM": f"unix/{cls.stack.avain_socket}",
                              "BACKEND_UPSTREAM": cls.backend or f"127.0.0.1:{cls.stack.backend_port}", "AVAIN_ORIGIN": UI})
        cls.addClassCleanup(process.stop)
        process.wait_ready(lambda: is_open(cls.port))
        cls.base_url = f"http://127.0.0.1:{cls.port}"

    @classmethod
    def access_through_avain(cls):
        body = json.dumps({"username": "mia", "password": test_gateway.PASSWORD}).encode()
        return send(cls.stack.avain_url, "POST", "/auth/token/", [("Content-Type", "application/json")], body).json()["access"]

    def send(self, method, path, headers=(), body=None):
        return send(self.base_url, method, path, headers, body)


class Caddy(CaddyCase):
    def test_credentials_become_phantoms(self):
        for header in ("Bearer " + self.access, "Token " + self.key):
            for method, status in (("GET", 200), ("POST", 201)):
                with self.part(header=header[:6], method=method):
                    body = b'{"name":"Shakki"}' if method == "POST" else None
                    reply = self.send(method, HOBBIES, [("Authorization", header), ("Content-Type", "application/json")], body)
                    self.assertEqual(reply.status, status, reply.body)
                    self.assertNotIn(header, self.last()["authorization"])
                    self.assertEqual(self.arrived()[-1]["user"], "mia")
                    self.assertEqual([name for name, _ in reply.lines if name.lower().startswith(("x-auth", "x-upstream"))], [])

    def test_nobody_reads_and_does_not_write(self):
        self.assertEqual(self.send("GET", HOBBIES, [("Authorization", "Basic eDp5")]).status, 200)
        self.assertNotIn("authorization", self.last())
        with self.part(what="writing"):
            reply = self.send("POST", HOBBIES, [("Content-Type", "application/json")], b"{}")
            self.assert_refused(reply, 401)
            self.assertEqual(reply.one("WWW-Authenticate"), 'Bearer realm="api"')

    def test_bad_credentials_are_refused(self):
        for header in ("Bearer nonsense", "Token " + "0" * 40, "Token", "Bearer " + self.key):
            with self.part(what=header[:12]):
                reply = self.send("GET", HOBBIES, [("Authorization", header)])
                self.assert_refused(reply, 401)
                self.assertTrue(reply.one("WWW-Authenticate"))

    def test_the_client_does_not_say_what_it_asks(self):
        made_up = [(name, value) for name, value in (
            ("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", HOBBIES), ("X-Original-Method", "GET"), ("X-Original-URI", HOBBIES),
            ("X_Forwarded_Method", "GET"), ("X-Http-Method-Override", "GET"))]
        self.assert_refused(self.send("POST", HOBBIES, [*made_up, ("Content-Type", "application/json")], b"{}"), 401)

    def test_made_up_identity_never_arrives(self):
        names = SPOOFED + [name.replace("-", "_") for name in SPOOFED if "-" in name] + [
            name.replace("-", ".") for name in SPOOFED if "-" in name]
        headers = [(name, value) for name in names for value in ("evil", "evil2")]
        for path, credential in ((HOBBIES, [("Authorization", "Token " + self.key)]), (HOBBIES, []), ("/monitor/", [])):
            with self.part(path=path, credential=bool(credential)):
                self.assertEqual(self.send("GET", path, headers + credential + [("X-Request-ID", "evil")]).status, 200)
                self.assertNotIn("evil", json.dumps(self.last()))

    def test_paths_that_can_be_read_in_two_ways(self):
        for path in ("/api/v1/x/..%2fhobbies/", "//api/v1/hobbies/", "/api//v1/hobbies/", "/%61pi/v1/hobbies/", "/api%2fv1/hobbies/",
                     "/accounts/api/v1/hobbies/", "/accounts/%61pi/v1/hobbies/", "/accounts/x%0aapi/v1/hobbies/", "/accounts/#api/v1/hobbies/",
                     "/accounts/api/v1/hobbies/..%2f..%2f..%2f", "/monitor/api/v1/../../", "/api/v1/benefits/mobile-api/v1/hobbies/",
                     "/api/../accounts/api/v1/hobbies/", "/monitor//api/v1/hobbies/", "/x/api/v1/hobbies/"):
            for credential in ([], [("Authorization", "Token " + self.key)]):
                with self.part(path=path, credential=bool(credential)):
                    reply = self.send("GET", path, credential)
                    self.assertIn(reply.status, range(400, 500))
                    self.assertEqual(self.arrived(), [])

    def test_neither_gate_nor_operations_are_for_outside(self):
        for path in ("/gate", "/gate/", "/metrics", "/live", "/ready", "/%67ate", "//gate", "/auth/..%2fgate", "/auth/../gate", "/auth/gate"):
            with self.part(what=path):
                reply = self.send("GET", path, [("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", HOBBIES)])
                self.assertEqual(reply.status, 404, reply.body)
                self.assertEqual(reply.all("X-Auth-Via") + reply.all("X-Auth-Error"), [])

    def test_no_credential_where_there_is_no_gate(self):
        self.assertEqual(self.send("GET", "/monitor/", [("Authorization", "Token " + self.key)]).status, 200)
        self.assertNotIn("authorization", self.last())

    def test_a_body_of_some_megabytes(self):
        kind = ("Content-Type", "multipart/form-data; boundary=x")
        reply = self.send("POST", HOBBIES, [kind, ("Authorization", "Token " + self.key)], b"x" * 5_000_000)
        self.assertEqual((reply.status, reply.json().get("bytes")), (201, 5_000_000))
        with self.part(what="refused"):
            self.assert_refused(self.send("POST", HOBBIES, [kind], b"x" * 5_000_000), 401)

    def test_websocket(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall((f"GET /api/socket/ HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                f"Authorization: Bearer {self.access}\r\n\r\n").encode())
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(4096)
            self.assertTrue(received.startswith(b"HTTP/1.1 101"), received)
            connection.sendall(b"\x81\x02hi")
            self.assertEqual(connection.recv(16), b"\x81\x02hi")

    def test_avains_own_endpoints(self):
        body = json.dumps({"username": "mia", "password": test_gateway.PASSWORD}).encode()
        reply = self.send("POST", "/auth/token/", [("Content-Type", "application/json")], body)
        self.assertEqual(reply.status, 200, reply.body)
        self.assertTrue(reply.json()["access"])

    def test_pages_are_avains(self):
        for path in ("/accounts/login/", "/v3/auth/tokens"):
            with self.part(path=path):
                reply = self.send("GET", path)
                self.assertIn(reply.status, (200, 302))
                self.assertEqual(self.arrived(), [])
        self.assertIn(b"<form", self.send("GET", "/accounts/login/").body)
        metadata = self.send("GET", "/.well-known/oauth-authorization-server")
        self.assertEqual(metadata.status, 200)

    def test_avain_learns_where_clients_are(self):
        bearer = ("Authorization", "Bearer " + self.access)
        for network, status in (("127.0.0.0/8", 200), ("192.0.2.0/24", 403)):
            with self.part(network=network):
                body = json.dumps({"name": network, "networks": network}).encode()
                made = self.send("POST", "/auth/keys", [bearer, ("Content-Type", "application/json")], body)
                self.assertEqual(made.status, 201, made.body)
                made_up = ("X-Real-IP", "192.0.2.7")
                reply = self.send("GET", HOBBIES, [("Authorization", "Token " + made.json()["key"]), made_up])
                self.assertEqual(reply.status, status, reply.body)
        with self.part(what="signing in"):
            self.send("POST", "/auth/token/", [("Content-Type", "application/json"), ("X-Real-IP", "192.0.2.7")],
                      b'{"username":"mia","password":"wrong"}')
            told = self.stack.cli("audit", "--json")
            self.assertIn('"127.0.0.1"', told)
            self.assertNotIn("192.0.2.7", told)

    def test_the_doctor_finds_nothing(self):
        key = Path(self.directory) / "credential"
        key.write_text("Token " + self.key)
        done = subprocess.run(
            [binary(), "--config", str(self.stack.config), "doctor", self.base_url + HOBBIES, "--credential-file", str(key), "--echo", "/api/echo/",
             "--echo", "/monitor/echo/", "--operations", self.stack.operations_url, "--origin", UI, "--json",
             # Plain HTTP here, and Caddy has no limit of its own: avain's throttling stands alone.
             "--skip", "tls", "--skip", "sign-in-limit"], capture_output=True, text=True, check=False, timeout=60, env=self.stack.environment)
        checks = json.loads(done.stdout)["checks"] if done.stdout else []
        self.assertEqual([(check["check"], check["why"]) for check in checks if check["state"] == "found"], [], done.stderr)
        self.assertEqual(done.returncode, 0, done.stderr)


class CrossOrigin(FrontEnds, CaddyCase):
    """Caddy answers front ends as nginx does."""


class BackendWithCors(CaddyCase):
    """A backend that allows every origin does not say so to clients."""

    @classmethod
    def start(cls, **more):
        backend = ScriptedGate()
        cls.addClassCleanup(backend.server_close)
        backend.answer = 200, {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "true",
                               "Access-Control-Expose-Headers": "X-Own"}
        cls.backend = backend.address
        super().start(**more)

    def test_it_is_not_heard(self):
        for path in (HOBBIES, "/monitor/"):
            with self.part(path=path):
                strange = self.send("GET", path, [("Origin", STRANGER)])
                self.assertEqual((strange.status, strange.all("Access-Control-Allow-Origin")), (200, []))
                self.assertEqual(strange.all("Access-Control-Allow-Credentials") + strange.all("Access-Control-Expose-Headers"), [])
                own = self.send("GET", path, [("Origin", UI)])
                self.assertEqual(own.one("Access-Control-Allow-Origin"), UI)


class Outage(CaddyCase):
    """Nothing passes while avain is away."""

    def test_avain_down(self):
        self.stack.avain.kill()
        for method in ("GET", "POST"):
            with self.part(method=method):
                reply = self.send(method, HOBBIES, [("Authorization", "Token " + self.key)], b"" if method == "POST" else None)
                self.assert_refused(reply, 503)
                self.assertTrue(reply.one("Retry-After"))
        self.stack.start_avain()
        wait_until(lambda: self.send("GET", HOBBIES).status == 200, "recovery", 10)


if __name__ == "__main__":
    run(Caddy, CrossOrigin, BackendWithCors, Outage)

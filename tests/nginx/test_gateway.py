#!/usr/bin/env python3
"""nginx with the shipped configuration, avain and the stand-in backend, from outside.

    test_gateway.py [--engine sqlite|postgresql|both] [NAME…]       NAME: part of a test's name
"""
import argparse
import base64
import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "setup"), str(HERE.parent / "backend")]

from client import CountingProxy, ScriptedGate, send, send_h2  # noqa: E402
from nginx_site import PROJECT, SHIPPED, write_site  # noqa: E402
from postgres import Postgres  # noqa: E402
from processes import Failure, Process, free_port, is_open, wait_until  # noqa: E402
from stack import binary, certificate, find_nginx, start_stack, status_of, toml, write_private  # noqa: E402

UI = "https://ui.example.org"
STRANGER = "https://ui.example.org.evil.example"
PASSWORD = "Corr3ct-horse-9"
HOBBIES = "/api/v1/hobbies/"
MEGABYTE = 1024 * 1024

# What a client may make up about itself. None may reach the backend from outside.
SPOOFED = ["X-Auth-User-Id", "X-Auth-Username", "X-Auth-Scope", "X-Auth-Via", "X-Auth-Mode", "X-Auth-Error", "X-Upstream-Authorization",
           "X-Avain-Identity",
           "X-Auth-User", "X-Auth-Email", "X-Auth-Groups", "X-Auth-Roles", "X-Auth-Token", "X-Auth-Request-User",
           "X-Forwarded-User", "X-Forwarded-Email", "Remote-User", "X-Remote-User", "Forwarded", "X-Forwarded-Prefix",
           "X-Original-URI", "X-Original-Method", "X-Original-URL", "X-Rewrite-URL"]

new_database = None      # set by main(): gives the URL of an empty database, or None for SQLite


class GatewayCase(unittest.TestCase):
    """A stack that the tests of one class share."""

    options = {}
    settings = {"passwords.algorithm": "pbkdf2_sha256", "passwords.pbkdf2_iterations": 1000}

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="avain-nginx-")
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.start()

    @classmethod
    def start(cls, **more):
        cls.stack = start_stack(cls.directory, settings=cls.settings, database_url=new_database(cls.__name__),
                                origins=[UI], before_start=cls.accounts, **{**cls.options, **more})
        cls.addClassCleanup(cls.stack.stop)

    @classmethod
    def accounts(cls, stack):
        for name in ("mia", "leo"):
            stack.add_user(name, PASSWORD)
        cls.key = stack.add_token("mia")

    def setUp(self):
        self.before = len(self.stack.arrived())

    def send(self, method, path, headers=(), body=None):
        return send(self.stack.base_url, method, path, headers, body, self.stack.certificate)

    @contextlib.contextmanager
    def part(self, **names):
        """A subtest that counts what reaches the backend from its own beginning."""
        self.before = len(self.stack.arrived())
        with self.subTest(**names):
            yield

    def arrived(self):
        """What reached the backend in this test, or in this part of it."""
        return self.stack.arrived()[self.before:]

    def last(self):
        """The headers of the last request that reached the backend, as name → values."""
        wait_until(lambda: len(self.stack.arrived()) > self.before, "the request at the backend", 5)
        found = {}
        for name, value in self.arrived()[-1]["headers"]:
            found.setdefault(name, []).append(value)
        return found

    @classmethod
    def access_token(cls, name):
        body = json.dumps({"username": name, "password": PASSWORD}).encode()
        reply = send(cls.stack.base_url, "POST", "/auth/token/", [("Content-Type", "application/json")], body,
                     cls.stack.certificate)
        if reply.status != 200:
            raise Failure(f"no token for {name}: {reply.status} {reply.body!r}")
        return reply.json()["access"]

    def assert_refused(self, reply, status):
        self.assertEqual(reply.status, status, reply.body)
        self.assertEqual(reply.one("Content-Type"), "application/json")
        self.assertIn("detail", reply.json())
        self.assertEqual(self.arrived(), [], "reached the backend")


class Credentials(GatewayCase):
    @classmethod
    def start(cls, **more):
        super().start(**more)
        cls.access = cls.access_token("mia")

    def phantom(self, header):
        """The claims of the phantom token that arrived for this Authorization header."""
        reply = self.send("GET", HOBBIES, [("Authorization", header)])
        self.assertEqual(reply.status, 200, reply.body)
        values = self.last()["authorization"]
        self.assertEqual(len(values), 1)
        scheme, token = values[0].split(" ")
        self.assertEqual(scheme, "Bearer")
        self.assertNotIn(token, header)
        self.assertEqual(self.arrived()[-1]["user"], "mia")
        part = token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))

    def test_bearer_becomes_a_phantom(self):
        claims = self.phantom("Bearer " + self.access)
        self.assertEqual(claims["token_type"], "access")
        self.assertIsInstance(claims["user_id"], int)
        self.assertTrue({"exp", "jti"} <= set(claims))
        self.assertNotIn("aud", claims)

    def test_api_key_becomes_a_phantom(self):
        self.assertEqual(self.phantom("Token " + self.key)["token_type"], "access")

    def test_writing_with_either(self):
        for header in ("Bearer " + self.access, "Token " + self.key):
            with self.part(header=header[:6]):
                reply = self.send("POST", HOBBIES, [("Authorization", header), ("Content-Type", "application/json")],
                                  b'{"name":"Shakki"}')
                self.assertEqual(reply.status, 201, reply.body)
                self.assertTrue(reply.json()["permissions"]["can_edit"])

    def test_the_backend_still_decides_about_objects(self):
        made = self.send("POST", HOBBIES, [("Authorization", "Bearer " + self.access),
                                           ("Content-Type", "application/json")], b'{"name":"Judo"}').json()
        reply = self.send("DELETE", f"{HOBBIES}{made['id']}/", [("Authorization", "Bearer " + self.access_token("leo"))])
        self.assertEqual(reply.status, 403)
        self.assertEqual(reply.json(), {"detail": "Sinulla ei ole lupaa suorittaa tätä toimintoa."})
        self.assertIsNone(reply.one("WWW-Authenticate"))
        reply = self.send("DELETE", f"{HOBBIES}{made['id']}/", [("Authorization", "Bearer " + self.access)])
        self.assertEqual(reply.status, 204)

    def test_reading_without_a_credential(self):
        self.assertEqual(self.send("GET", HOBBIES).status, 200)
        self.assertNotIn("authorization", self.last())

    def test_writing_without_a_credential(self):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            with self.part(what=method):
                reply = self.send(method, HOBBIES, [("Content-Type", "application/json")], b"{}")
                self.assert_refused(reply, 401)
                self.assertEqual(reply.one("WWW-Authenticate"), 'Bearer realm="api"')
                self.assertEqual(reply.json(), {"detail": "Authentication credentials were not provided."})

    def test_bad_credentials_are_refused_for_reading_too(self):
        for header in ("Bearer nonsense", "Bearer", "Bearer a b", "Bearer " + self.access[:-3] + "abc", "Token " + "0" * 40,
                       "Token", "Token a b", "Bearer " + self.key):
            with self.part(what=header[:20]):
                reply = self.send("GET", HOBBIES, [("Authorization", header)])
                self.assert_refused(reply, 401)
                self.assertTrue(reply.one("WWW-Authenticate"))

    def test_other_schemes_do_not_reach_the_backend(self):
        for header in ("Basic bWlhOm1pYQ==", "JWT x", "Foo bar"):
            with self.part(what=header):
                self.assertEqual(self.send("GET", HOBBIES, [("Authorization", header)]).status, 200)
                self.assertNotIn("authorization", self.last())

    def test_two_authorization_headers(self):
        reply = self.send("GET", HOBBIES, [("Authorization", "Bearer " + self.access), ("Authorization", "Basic eDp5")])
        self.assertEqual(reply.status, 400)
        self.assertEqual(self.arrived(), [])

    def test_no_authorization_where_there_is_no_gate(self):
        self.phantom("Bearer " + self.access)
        phantom = self.last()["authorization"][0]
        for header in ("Bearer " + self.access, "Token " + self.key, phantom):
            with self.part(what=header[:12]):
                self.assertEqual(self.send("GET", "/monitor/", [("Authorization", header)]).status, 200)
                self.assertNotIn("authorization", self.last())

    def test_made_up_identity_never_arrives(self):
        names = SPOOFED + [name.replace("-", "_") for name in SPOOFED] + [name.replace("-", ".") for name in SPOOFED]
        headers = [(name, value) for name in names for value in ("evil", "evil2")]
        for path, credential in ((HOBBIES, [("Authorization", "Token " + self.key)]), (HOBBIES, []), ("/monitor/", [])):
            with self.part(path=path, credential=bool(credential)):
                self.assertEqual(self.send("GET", path, headers + credential).status, 200)
                self.assertNotIn("evil", json.dumps(self.last()))

    def test_where_the_request_came_from_is_said_by_nginx(self):
        self.send("GET", HOBBIES, [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "gopher"), ("X-Real-IP", "6.6.6.6"),
                                   ("X-Forwarded-Host", "evil.example"), ("X-Request-ID", "evil")])
        seen = self.last()
        self.assertEqual(seen["x-forwarded-for"], ["127.0.0.1"])
        self.assertEqual(seen["x-real-ip"], ["127.0.0.1"])
        self.assertEqual(seen["x-forwarded-proto"], ["http"])
        self.assertNotIn("evil", json.dumps(seen))

    def test_the_request_id_is_one_for_client_and_backend(self):
        reply = self.send("GET", HOBBIES)
        self.assertEqual([reply.one("X-Request-ID")], self.last()["x-request-id"])
        self.assertRegex(reply.one("X-Request-ID"), r"\A[0-9a-f]{32}\Z")

    def test_links_and_redirects_of_the_backend(self):
        reply = self.send("GET", HOBBIES)
        self.assertEqual(reply.json()["next"], self.stack.base_url + HOBBIES + "?page=2")
        reply = self.send("GET", "/api/v1/hobbies?page=2")
        self.assertEqual((reply.status, reply.one("Location")), (301, HOBBIES + "?page=2"))

    def test_uploads(self):
        authorization = ("Authorization", "Bearer " + self.access)
        kind = ("Content-Type", "multipart/form-data; boundary=x")
        reply = self.send("POST", HOBBIES, [authorization, kind], b"x" * (5 * MEGABYTE))
        self.assertEqual((reply.status, reply.json().get("bytes")), (201, 5 * MEGABYTE))
        chunks = b"".join(b"%x\r\n%s\r\n" % (MEGABYTE, b"y" * MEGABYTE) for _ in range(3)) + b"0\r\n\r\n"
        reply = self.send("POST", HOBBIES, [authorization, kind, ("Transfer-Encoding", "chunked")], chunks)
        self.assertEqual((reply.status, reply.json().get("bytes")), (201, 3 * MEGABYTE))

    def test_uploads_that_may_not_be(self):
        kind = ("Content-Type", "multipart/form-data; boundary=x")
        self.assert_refused(self.send("POST", HOBBIES, [kind], b"x" * (5 * MEGABYTE)), 401)
        reply = self.send("POST", HOBBIES, [kind, ("Content-Length", str(51 * MEGABYTE))])
        self.assert_refused(reply, 413)

    def test_websocket(self):
        host = self.stack.base_url.split("//")[1]
        with socket.create_connection(("127.0.0.1", self.stack.nginx_port), timeout=10) as connection:
            connection.sendall((f"GET /api/socket/ HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                f"Authorization: Bearer {self.access}\r\n\r\n").encode())
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(4096)
            self.assertTrue(received.startswith(b"HTTP/1.1 101"), received)
            self.assertIn(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", received)
            connection.sendall(b"\x81\x02hi")
            self.assertEqual(connection.recv(16), b"\x81\x02hi")
        self.assertEqual(self.last()["upgrade"], ["websocket"])
        self.assertEqual(self.arrived()[-1]["user"], "mia")


class PersonalKeys(GatewayCase):
    """API keys of avain's own: nothing that their terms exclude reaches the backend."""

    @classmethod
    def start(cls, **more):
        super().start(**more)
        cls.owner = [("Authorization", "Bearer " + cls.access_token("mia")), ("Content-Type", "application/json")]

    def make(self, path="/auth/keys/", **wish):
        """A new key, as avain tells of it."""
        reply = self.send("POST", path, self.owner, json.dumps(wish).encode())
        self.assertEqual(reply.status, 201, reply.body)
        return reply.json()

    def ask(self, key, method="GET", path=HOBBIES, headers=(), scheme="Token"):
        return self.send(method, path, [("Authorization", f"{scheme} {key['key']}"), ("Content-Type", "application/json"), *headers],
                         b'{"name":"Judo"}' if method == "POST" else None)

    def refused_soon(self, key):
        wait_until(lambda: self.ask(key).status == 401, "the refusal of a key that has ended", 5)
        with self.part(what="ended"):
            self.assert_refused(self.ask(key), 401)

    def test_one_without_terms_passes_as_its_owner(self):
        key = self.make(name="whole")
        for scheme in ("Token", "Bearer"):
            for method, status in (("GET", 200), ("POST", 201)):
                with self.part(scheme=scheme, method=method):
                    self.assertEqual(self.ask(key, method, scheme=scheme).status, status)
                    self.assertNotIn(key["key"], json.dumps(self.last()))
                    self.assertEqual(self.arrived()[-1]["user"], "mia")

    def test_scopes_are_methods_and_whole_paths(self):
        key = self.make(name="reader", scope="GET:/api/v1/hobbies/* GET:/api/v1/hobbies POST:/api/v1/benefits/**")
        self.assertEqual(self.ask(key).status, 200)
        for method, path in (("POST", HOBBIES), ("DELETE", HOBBIES + "1/"), ("GET", "/api/v1/benefits/"),
                             ("GET", HOBBIES + "1/further/"), ("GET", "/mobile-api/v1/hobbies/"), ("GET", "/api/v1/x/..%2fhobbies/"),
                             ("GET", "/auth/keys/"), ("DELETE", f"/auth/keys/{key['id']}")):
            with self.part(method=method, path=path):
                self.assert_refused(self.ask(key, method, path), 403)

    def test_networks_are_those_of_the_connection(self):
        self.assertEqual(self.ask(self.make(name="near", networks="127.0.0.0/8")).status, 200)
        far = self.make(name="far", networks="192.0.2.0/24")
        made_up = [(name, "192.0.2.1") for name in ("X-Real-IP", "X-Forwarded-For", "X-Client-IP", "True-Client-IP")]
        for headers in ((), made_up):
            with self.part(headers=len(headers)):
                self.assert_refused(self.ask(far, headers=headers), 403)

    def test_a_rate_is_answered_with_when_to_come_again(self):
        key = self.make(name="slow", rate=3)
        self.assertEqual([self.ask(key).status for _ in range(3)], [200] * 3)
        with self.part(what="the fourth"):
            reply = self.ask(key, headers=[("Origin", UI)])
            self.assert_refused(reply, 429)
            self.assertIn(int(reply.one("Retry-After")), range(1, 21))
            self.assertEqual(reply.one("Access-Control-Allow-Origin"), UI)
        self.assertEqual(self.ask(self.make(name="another")).status, 200)

    def test_one_that_is_taken_back(self):
        by_owner, by_holder, by_operator, bystander = (self.make(name=name) for name in "abcd")
        for key in (by_owner, by_holder, by_operator, bystander):
            self.assertEqual(self.ask(key).status, 200)
        self.assertEqual(self.send("DELETE", f"/auth/keys/{by_owner['id']}", self.owner).status, 204)
        form = [("Content-Type", "application/x-www-form-urlencoded")]
        self.assertEqual(self.send("POST", "/oauth/revoke", form, b"token=" + by_holder["key"].encode()).status, 200)
        self.stack.cli("token", "revoke", "--id", str(by_operator["id"]))
        for key in (by_owner, by_holder, by_operator):
            self.refused_soon(key)
        self.assertEqual(self.ask(bystander).status, 200)

    def test_one_that_another_replaces(self):
        for overlap in (60, 0):
            old = self.make(name="old", scope="GET:/api/**")
            self.assertEqual(self.ask(old).status, 200)
            new = self.make(f"/auth/keys/{old['id']}/rotate", overlap=overlap)
            self.assertEqual(self.ask(new).status, 200)
            with self.part(what="the terms stay"):
                self.assert_refused(self.ask(new, "POST"), 403)
            if overlap:
                self.assertEqual(self.ask(old).status, 200, "both work until everybody knows the new one")
            else:
                self.refused_soon(old)

    def test_one_that_ends(self):
        key = self.make(name="short", expires_in=2)
        self.assertEqual(self.ask(key).status, 200)
        self.refused_soon(key)

    def test_garbage(self):
        key = self.make(name="x")["key"]
        for odd in ("avn_", key[:-1], key + "x", key.swapcase(), key[:-1] + ("a" if key[-1] != "a" else "b")):
            for scheme in ("Token", "Bearer"):
                with self.part(odd=odd[-8:], scheme=scheme):
                    self.assert_refused(self.ask({"key": odd}, scheme=scheme), 401)


class Paths(GatewayCase):
    @classmethod
    def start(cls, **more):
        super().start(**more)
        cls.access = cls.access_token("mia")

    def test_the_stand_in_has_the_hole(self):
        """Else the tests below prove nothing: past nginx, the API answers under any prefix."""
        self.send("GET", HOBBIES, [("Authorization", "Bearer " + self.access)])
        phantom = self.last()["authorization"][0]
        for path in ("/accounts/api/v1/hobbies/", "/monitor/mobile-api/v1/hobbies/", "/accounts/%61pi/v1/hobbies/",
                     "/accounts/x%0aapi/v1/hobbies/", "/api/v1/benefits/mobile-api/v1/hobbies/"):
            with self.part(what=path):
                self.assertEqual(send(self.stack.backend_url, "GET", path, [("Authorization", phantom)]).status, 200)
                wait_until(lambda: self.arrived()[-1]["path"] == path, path, 5)
                self.assertEqual(self.arrived()[-1]["user"], "mia")

    def test_misplaced_and_second_roots_are_404(self):
        for path in ("/accounts/api/v1/hobbies/", "/accounts/xapi/v1/hobbies/", "/monitor/mobile-api/v1/hobbies/",
                     "/accounts/%61pi/v1/hobbies/", "/accounts/x%0aapi/v1/hobbies/", "/accounts/api%2fv1/hobbies/",
                     "/accounts/#api/v1/hobbies/", "/accounts/api/v1/hobbies/..%2f..%2f..%2f",
                     "/accounts/login/api/hobbies/", "/api/v1/benefits/mobile-api/v1/hobbies/", "/api/api/v1/hobbies/",
                     "/api/v1/benefits/x%0aapi/v1/hobbies/", "/mobile-api/mobile-api/hobbies/",
                     "/api/..%2faccounts/api/v1/hobbies/"):
            for method in ("GET", "POST"):
                with self.part(path=path, method=method):
                    reply = self.send(method, path, [("Authorization", "Bearer " + self.access),
                                                     ("Content-Type", "application/json")],
                                      b'{"name":"x"}' if method == "POST" else None)
                    if "accounts/" in path:     # avain's own, which has no such page and says so by a page
                        self.assertIn(reply.status, (302, 400, 404), reply.body)
                        self.assertEqual(self.arrived(), [], "reached the backend")
                        continue
                    self.assert_refused(reply, 404)

    def test_paths_on_which_the_views_disagree_never_arrive(self):
        for path in ("/accounts/..%2fapi/v1/hobbies/", "/accounts/%2e%2e/api/v1/hobbies/", "/accounts/../api/v1/hobbies/",
                     "/api/v1/x/..%2fhobbies/", "//api/v1/hobbies/", "/api//v1/hobbies/", "/api/v1//hobbies/",
                     "/%61pi/v1/hobbies/", "/api%2fv1/hobbies/", "/api/./v1/hobbies/", "/auth/..%2fapi/v1/hobbies/",
                     "/API/v1/hobbies/", "/api;x/v1/hobbies/", "/x/api/v1/hobbies/", "/api/v1/hobbies/%00"):
            for method in ("GET", "POST"):
                with self.part(path=path, method=method):
                    reply = self.send(method, path, [("Authorization", "Bearer " + self.access)],
                                      b"name=x" if method == "POST" else None)
                    self.assertIn(reply.status, range(400, 500))
                    self.assertEqual(self.arrived(), [])

    def test_paths_that_nobody_named(self):
        for path in ("/", "/static/x.js", "/openapi/", "/resource/", "/hello/"):
            with self.part(what=path):
                self.assertEqual(self.send("GET", path).status, 404)
                self.assertEqual(self.arrived(), [])

    def test_the_gate_and_operations_are_not_for_outside(self):
        for path in ("/gate", "/gate/", "/_avain_gate", "/metrics", "/live", "/ready", "/%67ate", "//gate", "/auth/..%2fgate",
                     "/auth/../gate", "/auth/%2e%2e/gate", "/auth/..%2fmetrics", "/auth/gate", "/api/token/../../gate",
                     "/auth//../gate"):
            with self.part(what=path):
                reply = self.send("GET", path, [("Authorization", "Bearer " + self.access), ("X-Original-Method", "GET"),
                                                ("X-Original-URI", HOBBIES)])
                self.assertEqual(reply.status, 404, reply.body)
                self.assertEqual(reply.all("X-Upstream-Authorization") + reply.all("X-Auth-User-Id"), [])
                self.assertEqual(self.arrived(), [])


class UnderAPrefix(GatewayCase):
    """All of it under /hp/, which neither avain nor the backend hears of."""

    @classmethod
    def start(cls, **more):
        super().start(**more)
        cls.access = cls.access_token("mia")
        cls.port = free_port()
        site = write_site(Path(cls.directory) / "prefixed", avain=f"unix:{cls.stack.avain_socket}",
                          backend=f"127.0.0.1:{cls.stack.backend_port}", port=cls.port, roots=["/hp/api/"], origins=[UI], rate="1000r/s")
        text = site.read_text()
        for old, new in (("include avain/server.conf;", 'include avain/server.conf; if ($request_uri ~ "^/hp(/.*)") { set $avain_target $1; } '
                          "location ^~ /hp/auth/ { include avain/to_avain.conf; }"),
                         ("include avain/pages.conf;", "location ^~ /hp/accounts/ { include avain/backend.conf; }"), ('"~(?s)^/(?:(?:', '"~(?s)^/hp/(?:(?:')):
            assert old in text, old
            text = text.replace(old, new)
        site.write_text(text)
        nginx = Process("nginx under a prefix", [find_nginx(), "-e", "stderr", "-c", str(site)], Path(cls.directory) / "prefixed.log")
        cls.addClassCleanup(nginx.stop)
        nginx.wait_ready(lambda: is_open(cls.port))

    def send(self, method, path, headers=(), body=None):
        return send(f"http://127.0.0.1:{self.port}", method, path, headers, body)

    def test_the_backend_and_avain_get_what_is_behind_it(self):
        for path in (HOBBIES, HOBBIES + "?page=2", "/api/v1/hobbies/1%20a/?x=%2F"):
            with self.part(path=path):
                self.send("GET", "/hp" + path, [("Authorization", "Bearer " + self.access)])
                seen = self.arrived()[-1]
                self.assertEqual((seen["path"], seen["query"]), (path.partition("?")[0], path.partition("?")[2]))
                self.assertEqual(seen["user"], "mia")
        body = json.dumps({"username": "mia", "password": PASSWORD}).encode()
        self.assertEqual(self.send("POST", "/hp/auth/token/", [("Content-Type", "application/json")], body).status, 200)

    def test_what_is_refused_stays_refused(self):
        for method, path, status in (
                ("POST", "/hp" + HOBBIES, 401), ("GET", "/hp/api/v1/x/..%2fhobbies/", 403), ("GET", "/hp/api//v1/hobbies/", 403),
                ("GET", "//hp/api/v1/hobbies/", 403), ("GET", "/%68p/api/v1/hobbies/", 403), ("GET", "/hp/%2e/api/v1/hobbies/", 403),
                ("GET", "/hp/api/v1/api/v1/hobbies/", 404), ("GET", "/hp/accounts/api/v1/hobbies/", 404), ("GET", "/hp/gate", 404),
                ("GET", "/hp/auth/..%2fgate", 404), ("GET", "/hp/accounts/x/..%2fy/", 404), ("GET", "/api/v1/hobbies/", 404),
                ("GET", "/x/..%2fhp/api/v1/hobbies/", 403), ("GET", "/hp/api/#/v1/hobbies/", 403)):
            with self.part(method=method, path=path):
                reply = self.send(method, path, [("Content-Type", "application/json")], b"{}" if method == "POST" else None)
                self.assertEqual(reply.status, status, reply.body)
                self.assertEqual(self.arrived(), [])


class NamedPolicies(GatewayCase):
    """A location that asks another policy than the default one, as nginx/README.md has it."""

    @classmethod
    def start(cls, **more):
        super().start(**more)
        cls.access = {name: cls.access_token(name) for name in ("mia", "leo")}
        cls.port = free_port()
        site = write_site(Path(cls.directory) / "named", avain=f"unix:{cls.stack.avain_socket}",
                          backend=f"127.0.0.1:{cls.stack.backend_port}", port=cls.port, roots=["/api/"], origins=[], rate="1000r/s")
        text = site.read_text()
        found = re.search(r"^(?=    location = /_avain_gate_staff).*?^    \}\n", (SHIPPED / "README.md").read_text(), re.M | re.S)
        cls.shown = found.group(0)
        misspelt = cls.shown.replace("_avain_gate_staff", "_avain_gate_stuff").replace("gate/staff", "gate/stuff").replace("statistics", "stuff")
        site.write_text(text.replace("include avain/pages.conf;", cls.shown + misspelt + "include avain/pages.conf;"))
        nginx = Process("nginx with policies", [find_nginx(), "-e", "stderr", "-c", str(site)], Path(cls.directory) / "named.log")
        cls.addClassCleanup(nginx.stop)
        nginx.wait_ready(lambda: is_open(cls.port))

    @classmethod
    def accounts(cls, stack):
        super().accounts(stack)
        stack.cli("user", "edit", "leo", "--staff", "true")

    def send(self, method, path, headers=(), body=None):
        return send(f"http://127.0.0.1:{self.port}", method, path, headers, body)

    def test_each_location_asks_its_own(self):
        for name, path, arrives in (("leo", "/api/v1/statistics/", True), ("mia", "/api/v1/statistics/", False), ("mia", HOBBIES, True)):
            with self.part(name=name, path=path):
                reply = self.send("GET", path, [("Authorization", "Bearer " + self.access[name])])
                if arrives:
                    self.assertEqual(len(self.last()["authorization"]), 1)
                    self.assertNotIn(self.access[name], self.last()["authorization"][0])
                else:
                    self.assert_refused(reply, 403)
        with self.part(what="nobody"):
            self.assert_refused(self.send("GET", "/api/v1/statistics/"), 401)

    def test_a_policy_that_there_is_not_lets_nothing_pass(self):
        reply = self.send("GET", "/api/v1/stuff/", [("Authorization", "Bearer " + self.access["leo"])])
        self.assert_refused(reply, 500)


class FrontEnds:
    """What a front end of another origin may do, whatever the gateway."""

    def preflight(self, origin, path=HOBBIES, method="POST"):
        return self.send("OPTIONS", path, [("Origin", origin), ("Access-Control-Request-Method", method),
                                           ("Access-Control-Request-Headers", "authorization,content-type")])

    def test_preflight(self):
        for path in (HOBBIES, "/auth/token/", "/api/token/"):
            for method in ("GET", "POST", "PUT", "DELETE"):
                with self.part(path=path, method=method):
                    reply = self.preflight(UI, path, method)
                    self.assertEqual((reply.status, reply.body), (204, b""))
                    self.assertEqual(reply.one("Access-Control-Allow-Origin"), UI)
                    self.assertEqual(reply.one("Access-Control-Allow-Credentials"), "true")
                    self.assertIn(method, reply.one("Access-Control-Allow-Methods").split(", "))
                    allowed = reply.one("Access-Control-Allow-Headers").lower().split(", ")
                    self.assertTrue({"authorization", "content-type"} <= set(allowed))
                    self.assertEqual(self.arrived(), [])

    def test_strangers_get_nothing(self):
        for origin in (STRANGER, "null", "http://ui.example.org", "https://evil.example", UI + ":444"):
            with self.part(what=origin):
                for reply in (self.preflight(origin), self.send("GET", HOBBIES, [("Origin", origin)])):
                    self.assertEqual(reply.all("Access-Control-Allow-Origin"), [])
                    self.assertEqual(reply.all("Access-Control-Allow-Credentials"), [])
                    self.assertIn("Origin", reply.all("Vary"))

    def test_an_options_that_is_no_preflight_is_the_backends(self):
        reply = self.send("OPTIONS", HOBBIES, [("Origin", UI)])
        self.assertEqual(reply.status, 200)
        self.assertIn("POST", reply.one("Allow"))
        self.assertEqual(self.arrived()[-1]["method"], "OPTIONS")

    def test_every_answer_may_be_read_by_the_front_end(self):
        origin = ("Origin", UI)
        replies = {
            "200": self.send("GET", HOBBIES, [origin]),
            "401 of the gate": self.send("GET", HOBBIES, [origin, ("Authorization", "Bearer x")]),
            "401 of avain": self.send("GET", "/auth/token/", [origin]),
            "404 of the gateway": self.send("GET", "/nowhere", [origin]),
            "404 for a second root": self.send("GET", "/monitor/api/v1/hobbies/", [origin]),
            "404 of the backend": self.send("GET", HOBBIES + "999/", [origin]),
            "413": self.send("POST", "/auth/token/", [origin], b"x" * 100_000),
        }
        for what, reply in replies.items():
            with self.part(what=what):
                self.assertEqual(str(reply.status), what[:3])
                self.assertEqual(reply.one("Content-Type"), "application/json")
                self.assertEqual(reply.one("Access-Control-Allow-Origin"), UI)
                self.assertEqual(reply.one("Access-Control-Allow-Credentials"), "true")
                self.assertEqual(reply.all("Access-Control-Allow-Methods"), [])


class CrossOrigin(FrontEnds, GatewayCase):
    """nginx answers front ends."""


class Verdicts(GatewayCase):
    """What nginx makes of each answer that a gate can give."""

    @classmethod
    def start(cls, **more):
        cls.gate = ScriptedGate()
        cls.addClassCleanup(cls.gate.server_close)
        super().start(avain_upstream=cls.gate.address)

    def ask(self, status, headers=None, method="GET", body=None):
        self.gate.answer = status, headers or {}
        self.gate.asked.clear()
        return self.send(method, HOBBIES, [("Origin", UI), ("Cookie", "a=b"), ("X-Auth-User", "evil")], body)

    def test_denials(self):
        document = {"detail": "Käyttäjä \U0001f600", "code": "x"}
        for status in (401, 403):
            with self.part(what=status):
                reply = self.ask(status, {"X-Auth-Error": json.dumps(document), "WWW-Authenticate": 'Bearer realm="api"'})
                self.assert_refused(reply, status)
                self.assertEqual(reply.json(), document)
                self.assertEqual(reply.one("WWW-Authenticate"), 'Bearer realm="api"')

    def test_throttled(self):
        reply = self.ask(429, {"X-Auth-Error": '{"detail":"Slow down."}', "Retry-After": "7"})
        self.assert_refused(reply, 429)
        self.assertEqual((reply.json(), reply.one("Retry-After")), ({"detail": "Slow down."}, "7"))

    def test_unavailable(self):
        reply = self.ask(503, {"X-Auth-Error": '{"detail":"Later."}', "Retry-After": "3"})
        self.assert_refused(reply, 503)
        self.assertEqual((reply.json(), reply.one("Retry-After")), ({"detail": "Later."}, "3"))

    def test_anything_else_is_no(self):
        for status in (301, 302, 400, 404, 405, 418, 500, 502, 504):
            with self.part(what=status):
                reply = self.ask(status)
                self.assert_refused(reply, 500 if status == 400 else 503)
                self.assertEqual(reply.one("Access-Control-Allow-Origin"), UI)

    def test_a_denial_without_words_has_some(self):
        for status in (401, 403, 429, 503):
            with self.part(what=status):
                self.assert_refused(self.ask(status), status)

    def test_the_gate_is_asked_with_what_it_needs_and_no_more(self):
        self.ask(204, method="PUT", body=b"name=x")
        self.assertEqual(len(self.gate.asked), 1)
        asked = dict(self.gate.asked[0])
        self.assertEqual((asked["x-original-method"], asked["x-original-uri"]), ("PUT", HOBBIES))
        self.assertEqual(asked["x-real-ip"], "127.0.0.1")
        self.assertLessEqual(set(asked), {"host", "authorization", "x-original-method", "x-original-uri", "x-original-host", "origin",
                                          "access-control-request-method", "x-real-ip",
                                          "x-forwarded-proto", "x-request-id"})

    def test_avains_own_endpoints_get_the_credential_and_the_true_address(self):
        self.gate.answer = 200, {}
        self.gate.asked.clear()
        made_up = [(name, "evil") for name in SPOOFED] + [("X-Forwarded-For", "6.6.6.6"), ("X-Request-ID", "evil")]
        self.send("GET", "/auth/token/", [("Authorization", "Bearer x"), ("Cookie", "sessionid=s"), *made_up])
        asked = dict(self.gate.asked[0])
        self.assertEqual((asked["authorization"], asked["cookie"]), ("Bearer x", "sessionid=s"))
        self.assertEqual((asked["x-forwarded-for"], asked["x-real-ip"]), ("127.0.0.1", "127.0.0.1"))
        self.assertNotIn("evil", json.dumps(self.gate.asked))

    def test_the_phantom_is_what_the_gate_gives(self):
        self.ask(204, {"X-Upstream-Authorization": "Bearer phantom", "X-Auth-User-Id": "7", "X-Auth-Username": "mia"})
        seen = self.last()
        self.assertEqual(seen["authorization"], ["Bearer phantom"])
        self.assertEqual([name for name in seen if name.startswith("x-auth") or name.startswith("x-upstream")], [])


class KeptConnections(GatewayCase):
    @classmethod
    def start(cls, **more):
        proxy = Path(cls.directory) / "proxy.sock"
        super().start(avain_upstream=f"unix:{proxy}")
        cls.proxy = CountingProxy(proxy, cls.stack.avain_socket)
        cls.addClassCleanup(cls.proxy.close)

    def test_verdicts_share_a_few_connections(self):
        credentials = ["Token " + self.key, "Token " + "0" * 40, "Bearer nonsense", "Basic eDp5"]
        statuses = set()
        for turn in range(80):
            statuses.add(self.send("GET", HOBBIES, [("Authorization", credentials[turn % 4])]).status)
        self.assertEqual(statuses, {200, 401})
        self.assertLessEqual(self.proxy.connections, 4)


class Outage(GatewayCase):
    """Nothing passes while avain is away; not even reading."""

    def test_avain_down(self):
        for process in (self.stack.avain,):
            process.kill()
        for method, path in (("GET", HOBBIES), ("POST", HOBBIES), ("POST", "/auth/token/")):
            with self.part(method=method, path=path):
                reply = self.send(method, path, [("Origin", UI), ("Authorization", "Token " + self.key)],
                                  b"" if method == "POST" else None)
                self.assert_refused(reply, 503)
                self.assertRegex(reply.one("Retry-After"), r"\A[1-9][0-9]*\Z")
                self.assertEqual(reply.one("Access-Control-Allow-Origin"), UI)
        self.stack.start_avain()
        wait_until(lambda: self.send("GET", HOBBIES, [("Authorization", "Token " + self.key)]).status == 200, "recovery", 5)

    def test_backend_down(self):
        self.stack.backend.stop()
        reply = self.send("GET", HOBBIES, [("Origin", UI)])
        self.assert_refused(reply, 503)
        self.assertTrue(reply.one("Retry-After"))
        self.assertEqual(reply.one("Access-Control-Allow-Origin"), UI)


class Several(GatewayCase):
    """Two instances in the upstream: one that goes away is not noticed by anybody."""

    @classmethod
    def start(cls, **more):
        cls.second = Path(cls.directory) / "second.sock"
        # Whoever listens there, or nobody: nginx goes on to the next one.
        super().start(avain_upstream=f"unix:{cls.second} max_fails=0; server unix:{Path(cls.directory) / 'avain.sock'}", **more)

    def requests(self, number):
        replies = [self.send("GET", HOBBIES, [("Authorization", "Token " + self.key)]) for _ in range(number)]
        self.assertEqual({reply.status for reply in replies}, {200})

    def test_one_that_never_came_up(self):
        self.requests(40)

    def test_one_that_goes_away(self):
        if self.stack.settings["database.url"].startswith("sqlite:"):
            self.skipTest("SQLite is for one instance")
        config = Path(self.directory) / "second.toml"
        operations = free_port()
        settings = {**self.stack.settings, "server.listen": f"unix:{self.second}", "server.operations": f"127.0.0.1:{operations}"}
        write_private(config, "".join(f"{name} = {toml(value)}\n" for name, value in settings.items()))
        second = Process("the second avain", [binary(), "--config", str(config), "serve"], Path(self.directory) / "second.log",
                         env=self.stack.environment, cwd=self.directory)
        self.addCleanup(second.stop)
        second.wait_ready(lambda: status_of(operations, "/ready") == 200)
        self.requests(20)
        self.assertIn(b"avain_gate_decisions_total{", send(f"http://127.0.0.1:{operations}", "GET", "/metrics").body)
        second.kill()
        self.requests(40)
        self.stack.avain.kill()
        self.assertEqual(self.send("GET", HOBBIES).status, 503)
        self.stack.start_avain()


class Hanging(GatewayCase):
    @classmethod
    def start(cls, **more):
        cls.silent = socket.create_server(("127.0.0.1", 0))
        cls.addClassCleanup(cls.silent.close)
        super().start(avain_upstream="127.0.0.1:%d" % cls.silent.getsockname()[1])

    def test_a_gate_that_says_nothing(self):
        begun = time.monotonic()
        self.assert_refused(self.send("GET", HOBBIES), 503)
        self.assertLess(time.monotonic() - begun, 5)


class Throttled(GatewayCase):
    options = {"rate": "1r/m"}

    def test_sign_in_is_limited_and_reading_is_not(self):
        wrong = [("Content-Type", "application/json"), ("Origin", UI)]
        replies = [self.send("POST", "/auth/token/", wrong, b'{"username":"mia"}') for _ in range(23)]
        self.assertEqual([reply.status for reply in replies[:20]], [400] * 20)
        self.assert_refused(replies[-1], 429)
        self.assertTrue(replies[-1].one("Retry-After"))
        self.assertEqual(replies[-1].one("Access-Control-Allow-Origin"), UI)
        reply = self.send("POST", "/auth/token/", [*wrong, ("X-Forwarded-For", "6.6.6.6")], b"{}")
        self.assertEqual(reply.status, 429)
        self.assertEqual(self.send("GET", "/auth/token/").status, 401)
        self.assertEqual(self.send("GET", HOBBIES).status, 200)


class Encrypted(GatewayCase):
    options = {"tls": True}

    @classmethod
    def start(cls, **more):
        super().start(**more)
        cls.access = cls.access_token("mia")

    def test_https(self):
        reply = self.send("GET", HOBBIES, [("Authorization", "Bearer " + self.access)])
        self.assertEqual(reply.status, 200)
        self.assertTrue(reply.json()["next"].startswith(self.stack.base_url))
        self.assertEqual(self.last()["x-forwarded-proto"], ["https"])
        self.assertEqual(self.arrived()[-1]["user"], "mia")

    def test_http_2(self):
        good = ("authorization", "Bearer " + self.access)
        made_up = [(name.lower(), "evil") for name in SPOOFED] + [(name.lower().replace("-", "_"), "evil") for name in SPOOFED]
        for headers, status, user in (([good], 200, "mia"), ([], 200, None), ([good, *made_up], 200, "mia")):
            with self.part(status=status, user=user, headers=len(headers)):
                answered, _, body = send_h2(self.stack.base_url, "GET", HOBBIES, headers, self.stack.certificate)
                self.assertEqual(answered, status, body)
                self.assertNotIn("evil", json.dumps(self.last()))
                self.assertEqual(self.arrived()[-1]["user"], user)
        for method, path, headers, statuses in (
                ("POST", HOBBIES, [], [401]), ("GET", HOBBIES, [("authorization", "Bearer x")], [401]),
                ("GET", "/api/v1/x/..%2fhobbies/", [good], [403]), ("GET", "//api/v1/hobbies/", [good], [403]),
                ("GET", "/gate", [good], [404]), ("GET", HOBBIES, [good, good], [400, None])):
            with self.part(method=method, path=path, headers=len(headers)):
                answered, named, body = send_h2(self.stack.base_url, method, path, headers, self.stack.certificate)
                self.assertIn(answered, statuses, body)
                if answered == 401:
                    self.assertEqual(named["www-authenticate"], 'Bearer realm="api"')
                    self.assertIn("detail", json.loads(body))
                self.assertEqual(self.arrived(), [])

    def test_people_sign_in_on_pages(self):
        page = self.send("GET", "/accounts/login/")
        cookie = page.one("Set-Cookie")
        self.assertIn("secure", cookie.lower())
        self.assertIn("frame-ancestors 'none'", page.one("Content-Security-Policy"))
        csrf = cookie.split(";")[0].split("=")[1]
        body = f"username=mia&password={PASSWORD}&csrfmiddlewaretoken={csrf}&next=https://evil.example/".encode()
        kind = ("Content-Type", "application/x-www-form-urlencoded")
        self.assertEqual(self.send("POST", "/accounts/login/", [kind], body).status, 403)
        own = [kind, ("Cookie", "csrftoken=" + csrf), ("Origin", self.stack.base_url)]
        reply = self.send("POST", "/accounts/login/", own, body)
        self.assertEqual((reply.status, reply.one("Location")), (302, "/accounts/"))
        session = next(value for value in reply.all("Set-Cookie") if value.startswith("sessionid="))
        for flag in ("httponly", "samesite=lax", "secure"):
            self.assertIn(flag, session.lower())
        tokens = self.send("GET", "/auth/token/", [("Cookie", session.split(";")[0])])
        self.assertEqual((tokens.status, sorted(tokens.json())), (200, ["access", "refresh"]))


class ShippedFiles(unittest.TestCase):
    """What people copy is accepted by nginx as it is, but for the places of certificates and hosts."""

    def check(self, site, replacements):
        with tempfile.TemporaryDirectory(prefix="avain-nginx-") as directory:
            place = Path(directory)
            (place / "avain").symlink_to(PROJECT / "nginx")
            pair = certificate(place)
            text = (PROJECT / site).read_text()
            for old, new in {**replacements, "/etc/nginx/tls/fullchain.pem": str(pair[0]),
                             "/etc/nginx/tls/privkey.pem": str(pair[1])}.items():
                self.assertIn(old, text)
                text = text.replace(old, new)
            (place / "site.conf").write_text(text)
            main = place / "nginx.conf"
            main.write_text(f"pid {place}/pid; error_log stderr; events {{}}\nhttp {{ include site.conf; }}\n")
            done = subprocess.run([find_nginx(), "-t", "-e", "stderr", "-c", str(main)], capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            # `http2 on;` came with 1.25.1: older ones have only the word that newer ones call deprecated.
            warnings = [line for line in done.stderr.splitlines() if "[warn]" in line and "listen ... http2" not in line]
            self.assertEqual(warnings, [])

    def test_the_example_site(self):
        self.check("nginx/avain.conf", {})

    def test_the_site_of_the_compose_file(self):
        self.check("deploy/nginx-site.conf", {"server backend:8002": "server 127.0.0.1:8002"})

    def test_every_file_is_described(self):
        described = (PROJECT / "nginx" / "README.md").read_text()
        for file in sorted((PROJECT / "nginx").glob("*.conf")):
            self.assertIn(f"`{file.name}`", described)


def main():
    global new_database
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("sqlite", "postgresql", "both"), default="sqlite")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    passed = failed = 0
    for engine in ("sqlite", "postgresql") if options.engine == "both" else (options.engine,):
        print(f"--- the gateway on {engine}", flush=True)
        loader = unittest.TestLoader()
        loader.testNamePatterns = [f"*{name}*" for name in options.names] or None
        suite = loader.loadTestsFromModule(sys.modules[__name__])
        with Postgres() if engine == "postgresql" else contextlib.nullcontext() as cluster:
            new_database = (lambda name: cluster.create_database(name.lower())) if cluster else (lambda name: None)
            result = unittest.TextTestRunner(verbosity=1).run(suite)
        # A test with several broken parts is one that failed, and so is a class whose stack did not start.
        broken = {str(getattr(test, "test_case", test)) for test, _ in result.failures + result.errors}
        started = {name for name in broken if not name.startswith(("setUpClass", "tearDownClass"))}
        failed += len(broken)
        passed += result.testsRun - len(started) - len(result.skipped)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"{failure}")

#!/usr/bin/env python3
"""`avain doctor` against the real nginx: the shipped configuration, and that with one thing broken.

    test_doctor.py [NAME…]       NAME: part of a test's or of a broken thing's name
"""
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "setup")]

from nginx_site import SHIPPED, write_site  # noqa: E402
from processes import Process, free_port, is_open  # noqa: E402
from runner import run  # noqa: E402
from stack import binary, find_nginx, start_stack  # noqa: E402

UI = "https://ui.example.org"
HOBBIES = "/api/v1/hobbies/"
QUICK_ENOUGH = 10       # seconds

# What can be broken: a name, the edits, what the doctor must find. An edit is (file, pattern, replacement); the
# pattern must be there. `nginx.conf` is the site file, every other one is of nginx/.
API = r"(location \^~ /api/ \{)"
GATE = r"(location = /_avain_gate \{)"
BROKEN = [
    ("no gate at all", [("protect.conf", r"auth_request /_avain_gate;", "")],
     {"protected", "method", "path", "phantom-missing", "cached"}),
    ("a return beside the gate", [("nginx.conf", API, r"\1 if ($request_method = DELETE) { return 204; }")], {"protected"}),
    ("satisfy any", [("nginx.conf", API, r"\1 satisfy any; allow all;")],
     {"protected", "method", "path", "phantom-missing", "cached"}),
    ("a page to sign in at", [("errors.conf", r"error_page 401 .*", "error_page 401 = @page;"),
                              ("gate.conf", r"\Z", "location @page { auth_request off; return 302 /accounts/login/; }\n")],
     {"protected", "method"}),
    ("the method of the subrequest", [("ask.conf", r"X-Original-Method \$request_method", "X-Original-Method GET")], {"method"}),
    ("the method that the client says", [("ask.conf", r"X-Original-Method \$request_method",
                                          "X-Original-Method $method_said"),
                                         ("maps.conf", r"\A", "map $http_x_original_method $method_said "
                                          '{ "" $request_method; default $http_x_original_method; }\n')], {"method"}),
    ("the client's own headers to the gate", [("ask.conf", r"proxy_pass_request_headers off;", ""),
                                              ("ask.conf", r"proxy_set_header X-Original-\w+ .*", "")],
     {"method", "path"}),
    ("the decoded path", [("ask.conf", r"X-Original-URI \$avain_target", "X-Original-URI $decoded"),
                          ("protect.conf", r"\A", "set $decoded $uri;\n")], {"path"}),
    ("the path up to a #", [("ask.conf", r"X-Original-URI \$avain_target", "X-Original-URI $before_hash"),
                            ("maps.conf", r"\A", 'map $request_uri $before_hash { "~^([^#]*)" $1; }\n')], {"path"}),
    ("a second root behind a #", [("maps.conf", r"\(\?:#\|", "(?:")], {"nested-root"}),
    ("a second root behind an open one", [("nginx.conf", r"1;\n\s*\}", "0;\n}")], {"nested-root"}),
    ("the gate for everybody", [("nginx.conf", API, r"location /gate { proxy_pass http://avain; } \1")], {"gate-outside"}),
    ("the gate under avain's own paths", [("public.conf", r"\Z", "location ^~ /auth/gate { proxy_pass http://avain/gate; }\n")],
     {"gate-outside"}),
    ("a gate that is not internal", [("ask.conf", r"internal;.*", "")], {"gate-outside"}),
    ("metrics for everybody", [("nginx.conf", API, r"location = /metrics { proxy_pass http://127.0.0.1:{operations}; } \1")],
     {"operations-outside"}),
    ("the token for the backend shown", [("response.conf", r"\Z",
                                          "add_header X-Upstream-Authorization $avain_upstream_authorization;\n")],
     {"phantom-leaked"}),
    ("a 401 of nginx's own", [("nginx.conf", API, r"\1 if ($http_authorization ~ doctor) { return 401; }")],
     {"challenge-missing", "cached"}),
    ("two challenges", [("gate.conf", r"(location @avain_unauthenticated \{)",
                         r"\1 set $avain_challenge $avain_gate_challenge;")], {"challenge-doubled"}),
    ("HTML for API clients", [("errors.conf", r"error_page 40[13] .*", "")], {"json-errors"}),
    ("an error_page of a location's own", [("nginx.conf", API, r"\1 error_page 418 /x;")], {"json-errors", "status-429"}),
    ("429 becomes 500", [("errors.conf", r"error_page 500 .*", "")], {"status-429"}),
    ("429 becomes 503", [("gate.conf", r"if \(\$avain_gate_status = 429\) \{[^}]*\}", "")], {"status-429"}),
    ("429 without Retry-After", [("response.conf", r"add_header Retry-After .*", "")], {"status-429"}),
    ("limited with 503", [("throttle.conf", r"limit_req_status 429;", "")], {"status-429"}),
    ("sign-in without a limit", [("throttle.conf", r"limit_req zone.*", "")], {"sign-in-limit"}),
    ("an address that anybody chooses", [("server.conf", r"\Z", "set_real_ip_from 0.0.0.0/0; real_ip_header X-Forwarded-For;\n")],
     {"address-trusted", "address-believed", "sign-in-limit"}),
    ("the address that the client says, to the gate", [("ask.conf", r"X-Real-IP \$remote_addr", "X-Real-IP $http_x_real_ip")],
     {"address-trusted"}),
    ("small uploads", [("nginx.conf", r"include avain/uploads.conf;", "")], {"uploads"}),
    ("a gate with a size limit", [("ask.conf", r"client_max_body_size 0;.*", "")], {"gate-body"}),
    ("a body that never comes", [("ask.conf", r'proxy_set_header Content-Length "";', "proxy_set_header Content-Length $http_content_length;")],
     {"content-length"}),
    ("no kept connections", [("nginx.conf", r"keepalive 64;", "")], {"keep-alive"}),
    ("Connection: close to the gate", [("ask.conf", r'proxy_set_header Connection "";', "")], {"keep-alive"}),
    ("HTTP/1.0 to the gate", [("ask.conf", r"proxy_http_version 1.1;", "proxy_http_version 1.0;")], {"keep-alive"}),
    ("cached verdicts", [("gate.conf", GATE, r'\1 proxy_cache verdicts; proxy_cache_key $http_authorization; '
                          r"proxy_cache_valid any 1m;"),
                         ("maps.conf", r"\A", "proxy_cache_path {dir}/cache keys_zone=verdicts:1m;\n")], {"cached", "method", "path"}),
    ("identity headers let through", [("request.conf", r"include avain/identity.conf;", "")], {"identity-plain"}),
    ("one identity header forgotten", [("identity.conf", r'proxy_set_header Remote-User "";', "")], {"identity-plain"}),
    ("headers of a location's own", [("nginx.conf", API, r"\1 proxy_set_header X-Own 1;")],
     {"identity-plain", "credential-passed", "phantom-missing", "address-believed", "host-believed", "request-id"}),
    ("underscores", [("server.conf", r"underscores_in_headers off;", "underscores_in_headers on;")], {"identity-underscores"}),
    ("dots", [("server.conf", r"ignore_invalid_headers on;", "ignore_invalid_headers off;")],
     {"identity-invalid", "identity-underscores"}),
    ("the client's token for the backend", [("request.conf", r"\$avain_upstream_authorization", "$http_authorization")],
     {"credential-passed", "phantom-missing"}),
    ("a forgotten auth_request_set", [("verdict.conf", r"auth_request_set \$avain_upstream_authorization .*", "")],
     {"phantom-missing"}),
    ("addresses added up", [("request.conf", r"X-Forwarded-For \$remote_addr", "X-Forwarded-For $proxy_add_x_forwarded_for")],
     {"address-believed"}),
    ("the host that the client says", [("request.conf", r"X-Forwarded-Host \$avain_host", "X-Forwarded-Host $http_x_forwarded_host")],
     {"host-believed"}),
    ("the protocol that the client says", [("request.conf", r"X-Forwarded-Proto \$scheme", "X-Forwarded-Proto $http_x_forwarded_proto")],
     {"host-believed"}),
    ("the id that the client says", [("request.conf", r"X-Request-ID \$request_id", "X-Request-ID $http_x_request_id")],
     {"request-id"}),
    ("every upgrade", [("request.conf", r"\$avain_upgrade", "$http_upgrade"),
                       ("request.conf", r"\$avain_connection", "upgrade")], {"upgrade"}),
    ("any origin", [("nginx.conf", r'(map \$http_origin \$avain_cors_origin \{\s*default) ""', r"\1 $http_origin")], {"cors-origin"}),
    ("headers to clients of a location's own", [("nginx.conf", API, r"\1 add_header X-Own 1;")], {"cors-errors"}),
    ("CORS on good answers only", [("cors.conf", r"(Allow-Origin .*) always", r"\1")], {"cors-errors"}),
    ("the version told", [("server.conf", r"server_tokens off;", "server_tokens on;")], {"server-tokens"}),
    ("the API without TLS", [("nginx.conf", r"listen 127.0.0.1:{http_port};\s*return [^;]*;",
                              "listen 127.0.0.1:{http_port}; include avain/server.conf; location /api/ { include avain/protect.conf; }")],
     {"plain-http"}),
]


# From this version on nginx keeps connections unless it is told not to: what is broken before is not after it.
KEEPS_BY_ITSELF = (1, 29, 7)
NEEDED_BEFORE = ("no kept connections", "Connection: close to the gate")


def nginx_version():
    said = subprocess.run([find_nginx(), "-v"], capture_output=True, text=True, check=True).stderr
    return tuple(map(int, re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", said).groups()))


class DoctorCase(unittest.TestCase):
    """One avain and one backend; an nginx for each test."""

    @classmethod
    def setUpClass(cls):
        cls.directory = Path(tempfile.mkdtemp(prefix="avain-doctor-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.stack = start_stack(cls.directory, tls=True, origins=[UI], before_start=cls.accounts, log=False,
                                settings={"passwords.algorithm": "pbkdf2_sha256", "passwords.pbkdf2_iterations": 1000})
        cls.addClassCleanup(cls.stack.stop)

    @classmethod
    def accounts(cls, stack):
        stack.add_user("mia", "Corr3ct-horse-9")
        (cls.directory / "credential").write_text(f"Token {stack.add_token('mia')}\n")

    def setUp(self):
        self.place = Path(tempfile.mkdtemp(dir=self.directory))
        self.port, self.plain_port = free_port(), free_port()

    def serve(self, edits=()):
        """nginx with the shipped files and these edits."""
        shipped = self.place / "shipped"
        shutil.copytree(SHIPPED, shipped)
        site = write_site(self.place / "nginx", avain=f"unix:{self.stack.avain_socket}",
                          backend=f"127.0.0.1:{self.stack.backend_port}", port=self.port, http_port=self.plain_port,
                          roots=self.stack.settings["gate.roots"], origins=[UI], rate="10r/s",
                          certificate=self.stack.certificate, key=self.stack.key, shipped=shipped)
        names = {"operations": self.stack.operations_port, "http_port": self.plain_port, "dir": self.place}
        for file, pattern, replacement in edits:
            path = site if file == "nginx.conf" else shipped / file
            for name, value in names.items():
                pattern, replacement = (text.replace("{%s}" % name, str(value)) for text in (pattern, replacement))
            text, number = re.subn(pattern, replacement, path.read_text())
            self.assertGreater(number, 0, f"{file} has no {pattern}")
            path.write_text(text)
        nginx = Process("nginx", [find_nginx(), "-e", "stderr", "-c", str(site)], self.place / "nginx.log")
        self.addCleanup(nginx.stop)
        nginx.wait_ready(lambda: is_open(self.port))

    def doctor(self, *arguments, url=None):
        """Runs the doctor with all the help that there is. Gives the process that ended, and outcomes by check."""
        url = url or f"https://127.0.0.1:{self.port}{HOBBIES}"
        done = subprocess.run(
            [binary(), "--config", str(self.stack.config), "doctor", url, "--json", "--ca", str(self.stack.certificate),
             "--credential-file", str(self.directory / "credential"), "--echo", "/api/echo/", "--echo", "/monitor/echo/",
             "--operations", self.stack.operations_url, "--origin", UI, "--plain", f"http://127.0.0.1:{self.plain_port}",
             *arguments], capture_output=True, text=True, check=False, timeout=60, env=self.stack.environment)
        checks = json.loads(done.stdout)["checks"] if done.stdout else []
        return done, {check["check"]: check for check in checks}

    def found(self, *arguments, **more):
        """The names of what was found, as a set; the exit status agrees."""
        done, checks = self.doctor(*arguments, **more)
        found = {name for name, check in checks.items() if check["state"] == "found"}
        self.assertEqual(done.returncode, 1 if found else 0, done.stdout + done.stderr)
        self.checks = checks
        return found


class Shipped(DoctorCase):
    def test_nothing_is_found_and_quickly(self):
        self.serve()
        begun = time.monotonic()
        nobody = free_port()
        found = self.found("--backend", f"http://127.0.0.1:{nobody}")
        self.assertLess(time.monotonic() - begun, QUICK_ENOUGH)
        self.assertEqual(found, set(), self.checks)
        not_checked = {name for name, check in self.checks.items() if check["state"] != "good"}
        self.assertEqual(not_checked, {"outage"}, self.checks)

    def test_without_help_it_does_not_say_that_all_is_well(self):
        self.serve()
        done = subprocess.run([binary(), "--config", str(self.stack.config), "doctor", "--ca", str(self.stack.certificate),
                               f"https://127.0.0.1:{self.port}/"], capture_output=True, text=True, check=False, timeout=60,
                              env=self.stack.environment)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for name in ("identity-plain", "credential-passed", "cached", "keep-alive", "backend-direct", "outage", "cors-errors"):
            self.assertRegex(done.stdout, f"not checked: {name}, because: ")

    def test_a_path_that_nobody_can_read(self):
        self.serve()
        done = subprocess.run([binary(), "--config", str(self.stack.config), "doctor", "--ca", str(self.stack.certificate),
                               f"https://127.0.0.1:{self.port}/api/v1/nothing/"], capture_output=True, text=True, check=False,
                              timeout=60, env=self.stack.environment)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("not checked: path, because: /api/v1/nothing/ is answered 404 Not Found: name a protected path", done.stdout)

    def test_what_is_skipped_is_not_told(self):
        self.serve()
        self.assertEqual(self.found("--skip", "protected"), set())
        self.assertEqual(self.checks["protected"]["state"], "skipped")

    def test_outage(self):
        self.stack.avain.stop()
        try:
            self.serve()
            self.assertEqual(self.found("--outage"), set())
            self.assertEqual({name for name, check in self.checks.items() if check["state"] == "good"}, {"outage"})
            done, _ = self.doctor()
            self.assertEqual(done.returncode, 69)
            self.assertIn("--outage", done.stderr)
        finally:
            self.stack.start_avain()

    def test_an_outage_that_opens_the_backend(self):
        self.stack.avain.stop()
        try:
            self.serve([("errors.conf", r"error_page 500 .*", "error_page 500 = @open;"),
                        ("gate.conf", r"\Z", "location @open { auth_request off; proxy_pass http://backend; }\n")])
            self.assertEqual(self.found("--outage"), {"outage"})
        finally:
            self.stack.start_avain()

    def test_a_backend_that_anybody_reaches(self):
        self.serve()
        self.assertEqual(self.found("--backend", self.stack.backend_url), {"backend-direct"})
        self.assertIn("upstream backend", self.checks["backend-direct"]["mend"])

    def test_a_gateway_without_tls(self):
        self.serve([("nginx.conf", r" ssl http2;", ";"), ("nginx.conf", r"ssl_certificate\w* [^;]*;", ""),
                    ("nginx.conf", r"include avain/tls.conf;", "")])
        self.assertEqual(self.found(url=f"http://127.0.0.1:{self.port}{HOBBIES}"), {"tls"})

    def test_wrong_usage_and_nobody_there(self):
        for arguments, status, word in (
                ([f"https://127.0.0.1:{free_port()}/api/"], 69, "cannot connect"),
                (["127.0.0.1/api/"], 64, "https://"),
                (["https://127.0.0.1/elsewhere/"], 64, "gate.roots"),
                (["https://127.0.0.1/api/", "--skip", "nonsense"], 64, "--list"),
                (["https://127.0.0.1/api/", "--credential", "x"], 64, "two words"),
                (["https://127.0.0.1/api/", "--echo", "x"], 64, "slash"),
                ([], 64, "URL")):
            with self.subTest(arguments=arguments):
                done = subprocess.run([binary(), "doctor", *arguments], capture_output=True, text=True, check=False, timeout=30,
                                      cwd=self.place, env=self.stack.environment)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertIn(word, done.stderr)

    def test_a_certificate_that_nobody_signed(self):
        self.serve()
        done = subprocess.run([binary(), "doctor", f"https://127.0.0.1:{self.port}/api/"], capture_output=True, text=True,
                              check=False, timeout=30, cwd=self.place, env=self.stack.environment)
        self.assertEqual(done.returncode, 69)
        self.assertRegex(done.stderr, "certificate|TLS")


class Broken(DoctorCase):
    """Each broken thing is found, and nothing else."""


def add(name, edits, expected):
    def test(self):
        self.serve(edits)
        kept = name in NEEDED_BEFORE and nginx_version() >= KEEPS_BY_ITSELF
        self.assertEqual(self.found(), set() if kept else expected, {name: check["why"] for name, check in self.checks.items()
                                                  if check["state"] == "found"})
    setattr(Broken, "test_" + re.sub(r"\W+", "_", name), test)


for broken in BROKEN:
    add(*broken)


if __name__ == "__main__":
    run(Shipped, Broken)

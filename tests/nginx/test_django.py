#!/usr/bin/env python3
"""Real Django REST framework behind nginx and avain, with the authentication class of deploy/django.

    test_django.py [NAME…]
"""
import base64
import hashlib
import hmac
import json
import shutil
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "setup")]

from client import send  # noqa: E402
from nginx_site import write_site  # noqa: E402
from processes import Process, free_port, is_open  # noqa: E402
from runner import run  # noqa: E402
from stack import find_nginx, start_stack  # noqa: E402

HOBBIES = "/api/hobbies/"
PASSWORD = "Corr3ct-horse-9"


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class DjangoCase(unittest.TestCase):
    header, extra = "Authorization", ""

    @classmethod
    def setUpClass(cls):
        cls.directory = Path(tempfile.mkdtemp(prefix="avain-django-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.stack = start_stack(cls.directory, before_start=cls.accounts, log=False,
                                settings={"passwords.algorithm": "pbkdf2_sha256", "passwords.pbkdf2_iterations": 1000})
        cls.addClassCleanup(cls.stack.stop)
        cls.secret = (cls.directory / "phantom-secret").read_text().strip()
        port, cls.port = free_port(), free_port()
        django = Process("Django", [sys.executable, str(HERE.parent / "backend" / "drf_site.py"), "--listen", f"127.0.0.1:{port}"],
                         cls.directory / "django.log", env={
                             **cls.stack.environment, "DRF_DATABASE": str(cls.directory / "avain.db"), "DRF_HEADER": cls.header,
                             "DRF_KEY_FILE": str(cls.directory / "phantom-secret")})
        cls.addClassCleanup(django.stop)
        django.wait_ready(lambda: is_open(port))
        cls.django_url = f"http://127.0.0.1:{port}"
        site = write_site(cls.directory / "site", avain=f"unix:{cls.stack.avain_socket}", backend=f"127.0.0.1:{port}", port=cls.port,
                          roots=["/api/"], origins=(), rate="1000r/s")
        site.write_text(site.read_text().replace("include avain/uploads.conf;", "include avain/uploads.conf;" + cls.extra))
        nginx = Process("nginx", [find_nginx(), "-e", "stderr", "-c", str(site)], cls.directory / "nginx.log")
        cls.addClassCleanup(nginx.stop)
        nginx.wait_ready(lambda: is_open(cls.port))

    @classmethod
    def accounts(cls, stack):
        stack.add_user("mia", PASSWORD)
        cls.key = stack.add_token("mia")

    def ask(self, method="GET", headers=(), base_url=None):
        return send(base_url or f"http://127.0.0.1:{self.port}", method, HOBBIES, headers, b"" if method == "POST" else None)

    def forged(self, key=None, algorithm="HS256", **changes):
        """A token as avain would make it, under this key."""
        claims = {"token_type": "access", "exp": int(time.time()) + 60, "jti": "x", "user_id": 1, **changes}
        claims = {name: value for name, value in claims.items() if value is not None}
        message = part({"alg": algorithm, "typ": "JWT"}) + "." + part(claims)
        signature = hmac.new((key or self.secret).encode(), message.encode(), hashlib.sha256).digest()
        return "Bearer " + message + "." + base64.urlsafe_b64encode(signature).rstrip(b"=").decode()


class Django(DjangoCase):
    def test_who_came_through_the_gateway_is_known(self):
        for method in ("GET", "POST"):
            reply = self.ask(method, [("Authorization", "Token " + self.key)])
            self.assertEqual((reply.status, reply.json()), (200, {"as": "mia"}))

    def test_nobody_is_nobody(self):
        self.assertEqual(self.ask().json(), {"as": None})
        self.assertEqual(self.ask("POST").status, 401)

    def test_made_up_headers_do_not_get_through_the_gateway(self):
        made_up = [(name, "1") for name in ("X-Auth-User-Id", "X-Auth-Username", "Remote-User", "X-Remote-User", "X_Auth_User_Id")]
        made_up.append(("X-Avain-Identity", self.forged("a key of the attacker's")))
        self.assertEqual(self.ask(headers=made_up).json(), {"as": None})
        reply = self.ask("POST", [*made_up, ("Authorization", "Token " + self.key)])
        self.assertEqual((reply.status, reply.json()), (200, {"as": "mia"}))

    def test_around_the_gateway_only_its_signature_counts(self):
        reply = self.ask("POST", [(self.header, self.forged())], self.django_url)
        self.assertEqual((reply.status, reply.json()), (200, {"as": "mia"}), "else what follows proves nothing")
        good = self.forged()
        for what, value in {
                "another key": self.forged("another key"), "an empty key": self.forged("x", algorithm="HS256")[:-43],
                "no signature": good.rpartition(".")[0] + ".", "alg none": self.forged(algorithm="none"),
                "another algorithm": self.forged(algorithm="RS256"), "expired": self.forged(exp=int(time.time()) - 1),
                "expiring now": self.forged(exp=0), "no expiry": self.forged(exp=None), "not yet": self.forged(nbf=int(time.time()) + 60),
                "a refresh token": self.forged(token_type="refresh"), "for somebody else": self.forged(aud="other"),
                "nobody's id": self.forged(user_id=999), "no id": self.forged(user_id=None), "a strange id": self.forged(user_id="x"),
                "a huge id": self.forged(user_id=10 ** 40), "an API key": "Token " + self.key, "nonsense": "Bearer a.b.c",
                "two words": good + " x", "not ASCII": "Bearer \xe4.\xe4.\xe4", "exp as text": self.forged(exp="soon")}.items():
            with self.subTest(what):
                reply = self.ask("GET", [(self.header, value.encode("latin-1"))], self.django_url)
                self.assertEqual(reply.status, 401, reply.body)
                self.assertEqual(reply.one("WWW-Authenticate"), 'Bearer realm="api"')

    def test_around_the_gateway_unsigned_identities_are_refused(self):
        for name in ("X-Auth-User-Id", "X-Auth-Username", "Remote-User", "X-Forwarded-User", "X_Auth_User_Id"):
            for headers in ([(name, "1")], [(name, "1"), (self.header, self.forged())]):
                with self.subTest(name, signed=len(headers) > 1):
                    reply = self.ask("GET", headers, self.django_url)
                    # wsgiref takes underscores for what they are not; Django's own server and gunicorn drop them.
                    self.assertEqual(reply.status, 401, reply.body)


class OwnHeader(DjangoCase):
    """The same, with the token in a header of its own."""

    header, extra = "X-Avain-Identity", " include avain/signed_identity.conf;"

    test_known = Django.test_who_came_through_the_gateway_is_known
    test_nobody = Django.test_nobody_is_nobody
    test_made_up = Django.test_made_up_headers_do_not_get_through_the_gateway
    test_signature = Django.test_around_the_gateway_only_its_signature_counts

    def test_authorization_counts_for_nothing_then(self):
        self.assertEqual(self.ask("GET", [("Authorization", self.forged())], self.django_url).json(), {"as": None})


if __name__ == "__main__":
    run(Django, OwnHeader)

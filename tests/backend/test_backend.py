#!/usr/bin/env python3
"""The stand-in against what was seen at the real backend: tokens it takes, sessions it writes, paths it serves."""
import base64
import hashlib
import hmac
import json
import sqlite3
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from accounts import Account, Accounts, LibraryMissing, password_matches, session_data  # noqa: E402
from hobbies import find_route  # noqa: E402
from phantom import Crash, Refused, Verifier  # noqa: E402

KEY = b"a phantom key of thirty-two bytes"

# Django 2.2.4's own values.
SECRET_KEY = "vector-secret-key-0123456789-abcdefghijklmnopqrstuvwxyz"
HASHES = [("mattipass", "pbkdf2_sha256$150000$fixedSALT012$4fORz6rP6dr6sgzWM4pGAVxEbnKEnngYq/JGFELQaeA="),
          ("mattipass", "pbkdf2_sha1$150000$fixedSALT012$zYrQD42Y44Tb90BPife6Vc+7Vy4=")]
PASSWORD_COLUMN = "pbkdf2_sha256$150000$YRI6ZIUk6xlF$JEyqxJ5tGjvHbaYIScDpiqJqxZ8VtYJlfsTJP3+2P2o="
SESSION_DATA = ("Njg3M2UxMTIyZmFhMmU0NDkyODhjMjhlNWI1ZDlmODVkYzQ1YzAwNDp7Il9hdXRoX3VzZXJfaWQiOiI0IiwiX2F1dGhfdXNlcl9iYWNr"
                "ZW5kIjoiZGphbmdvLmNvbnRyaWIuYXV0aC5iYWNrZW5kcy5Nb2RlbEJhY2tlbmQiLCJfYXV0aF91c2VyX2hhc2giOiJkY2IyMGFlZDFh"
                "Yzk1N2MxNzNkMzlhZGNhY2I2MDFkYWYwNzYyNzk4In0=")


def token(key=KEY, header=None, **changes):
    """A phantom token; a change to None leaves the claim out."""
    claims = {"token_type": "access", "exp": int(time.time()) + 60, "jti": "x", "user_id": 1, **changes}
    parts = [json.dumps(part).encode() for part in (
        {"alg": "HS256", "typ": "JWT", **(header or {})}, {k: v for k, v in claims.items() if v is not None})]
    message = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.new(key, message, hashlib.sha256).digest()
    return message + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")


class Phantoms(unittest.TestCase):
    def setUp(self):
        self.file = tempfile.NamedTemporaryFile(suffix=".db")
        self.addCleanup(self.file.close)
        with sqlite3.connect(self.file.name) as database:
            database.executescript("""
                CREATE TABLE auth_user (id integer PRIMARY KEY, username text, password text, is_active bool, is_superuser bool);
                INSERT INTO auth_user VALUES (1, 'mia', '!', 1, 0), (2, 'ina', '!', 0, 0);
                CREATE TABLE django_session (session_key text PRIMARY KEY, session_data text, expire_date text);""")
        database.close()
        self.accounts = Accounts("sqlite:" + self.file.name)

    def account(self, header):
        return Verifier(KEY + b"\n").account(header, self.accounts)

    def refusal(self, header):
        with self.assertRaises(Refused) as refused:
            self.account(header)
        body = refused.exception.body
        return body["messages"][0]["message"] if "messages" in body else body["detail"]

    def test_good_ones(self):
        for header in (b"Bearer " + token(), b"Bearer \t " + token(), b"Bearer " + token(user_id="1", extra=[1], iat=2**40)):
            self.assertEqual(self.account(header).username, "mia")

    def test_what_is_no_credential(self):
        for header in (None, b"", b"Basic eDp5", b"bearer " + token(), b"Token " + b"0" * 40):
            self.assertIsNone(self.account(header))

    def test_refusals(self):
        invalid = "Token is invalid or expired"
        for message, value in ((invalid, b"x"), (invalid, b"a.b.c"), (invalid, token(key=b"another" * 5)),
                               (invalid, token(exp=int(time.time()))), (invalid, token(aud="anybody")),
                               (invalid, token(nbf=int(time.time()) + 60)), (invalid, token(header={"alg": "none"})),
                               ("Token has no 'exp' claim", token(exp=None)), ("Token has no id", token(jti=None)),
                               ("Token has no type", token(token_type=None)),
                               ("Token has wrong type", token(token_type="refresh")),
                               ("Token contained no recognizable user identification", token(user_id=None)),
                               ("User not found", token(user_id=99)), ("User not found", token(user_id=2**40)),
                               ("User is inactive", token(user_id=2))):
            with self.subTest(message=message, token=value[-8:]):
                self.assertEqual(self.refusal(b"Bearer " + value), message)
        self.assertIn("two space-delimited", self.refusal(b"Bearer"))
        self.assertIn("two space-delimited", self.refusal(b"Bearer a b"))

    def test_what_the_real_one_does_not_survive(self):
        with self.assertRaises(Crash):
            self.account(b"Bearer " + token(user_id="abc"))

    def test_a_session_row(self):
        key = self.accounts.begin_session(self.accounts.by_username("mia"), SECRET_KEY)
        self.assertRegex(key, r"\A[a-z0-9]{32}\Z")
        with sqlite3.connect(self.file.name) as database:
            rows = database.execute("SELECT session_data FROM django_session WHERE session_key = ?", (key,)).fetchall()
            database.execute("DROP TABLE django_session")
        database.close()
        self.assertEqual(len(rows), 1)
        self.assertIsNone(self.accounts.begin_session(self.accounts.by_username("mia"), SECRET_KEY))


class Formats(unittest.TestCase):
    def test_session_data_is_that_of_django(self):
        """Against a row that Django 2.2.4 wrote for this key and this password column."""
        account = Account(4, "maija", PASSWORD_COLUMN, True, False)
        self.assertEqual(session_data(account, SECRET_KEY), SESSION_DATA)

    def test_stored_passwords(self):
        for password, stored in HASHES:
            self.assertTrue(password_matches(password, stored))
            self.assertFalse(password_matches(password + " ", stored))
        for stored in ("!unusable", "", "plain", "scrypt$16384$x$8$5$y"):
            self.assertFalse(password_matches("x", stored))
        with self.assertRaises(LibraryMissing):
            password_matches("x", "argon2$argon2id$v=19$m=102400,t=2,p=8$x$y")

    def test_the_api_is_under_any_prefix(self):
        for path, route in (("api/v1/hobbies/", ("v1", "hobbies", None)), ("api/hobbies/7/", ("pre2", "hobbies", "7")),
                            ("mobile-api/pre1/hobbies.json", ("pre1", "hobbies", None)),
                            ("accounts/api/v1/hobbies/1/", ("v1", "hobbies", "1")),
                            ("accounts/x\napi/v1/hobbies/", ("v1", "hobbies", None)),
                            ("api/v1/benefits/mobile-api/v1/hobbies/", ("v1", "hobbies", None)),
                            ("api/v1/hobbies", None), ("api/v1/nothing/", None), ("accounts/login/", None)):
            with self.subTest(path):
                self.assertEqual(find_route(path), route)


if __name__ == "__main__":
    unittest.main()

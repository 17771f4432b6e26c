"""The accounts that the stand-in reads out of the database it shares with avain, as Django would."""
import base64
import datetime
import hashlib
import hmac
import json
import secrets
import sqlite3
import threading
import urllib.parse
from collections import namedtuple

Account = namedtuple("Account", "id username password is_active is_superuser")

COLUMNS = "id, username, password, is_active, is_superuser"
SESSION_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
SESSION_LIFETIME = datetime.timedelta(days=14)


class LibraryMissing(Exception):
    """A stored hash that Django 2.2's pins cannot read (argon2, bcrypt): the real backend answers 500."""


class Accounts:
    """Looks accounts up in `auth_user`; one connection per thread, read-only but for sessions."""

    def __init__(self, url):
        self.url = url
        self.local = threading.local()
        self.is_sqlite = url.startswith("sqlite:")

    def by_id(self, account_id):
        """The account with this id, or None."""
        return self._one("id", account_id) if -2**31 <= account_id < 2**31 else None

    def by_username(self, username):
        """The account with exactly this name, or None."""
        return self._one("username", username)

    def _one(self, column, value):
        mark = "?" if self.is_sqlite else "%s"
        rows = self._query(f"SELECT {COLUMNS} FROM auth_user WHERE {column} = {mark}", (value,))
        if not rows:
            return None
        account_id, username, password, is_active, is_superuser = rows[0]
        return Account(account_id, username, password, bool(is_active), bool(is_superuser))

    def begin_session(self, account, secret_key):
        """Writes a row of Django 2.2's shape and gives its key; None where there is no django_session table."""
        key = "".join(secrets.choice(SESSION_ALPHABET) for _ in range(32))
        expires = datetime.datetime.now(datetime.timezone.utc) + SESSION_LIFETIME
        data = session_data(account, secret_key)
        try:
            if self.is_sqlite:
                with sqlite3.connect(self._path(), timeout=5) as writer:
                    writer.execute("INSERT INTO django_session (session_key, session_data, expire_date) VALUES (?, ?, ?)",
                                   (key, data, expires.strftime("%Y-%m-%d %H:%M:%S.%f")))
                writer.close()
            else:
                self._query("INSERT INTO django_session (session_key, session_data, expire_date) VALUES (%s, %s, %s)",
                            (key, data, expires))
        except Exception as error:
            if "django_session" in str(error):
                return None
            raise
        return key

    def _path(self):
        path = self.url[len("sqlite:"):].split("?", 1)[0]
        return path[2:] if path.startswith("//") else path

    def _query(self, statement, parameters):
        reused = getattr(self.local, "connection", None) is not None
        try:
            return self._run(statement, parameters)
        except Exception:
            self.local.connection = None
            if not reused:
                raise
            return self._run(statement, parameters)     # the server may have gone away: once more, connected anew

    def _run(self, statement, parameters):
        connection = getattr(self.local, "connection", None)
        if connection is None:
            connection = self.local.connection = self._connect()
        cursor = connection.cursor()
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []

    def _connect(self):
        if self.is_sqlite:
            return sqlite3.connect("file:" + urllib.parse.quote(self._path()) + "?mode=ro", uri=True, timeout=5)
        import pg8000.dbapi  # only where a PostgreSQL URL was given: the rest needs the standard library alone
        url = urllib.parse.urlsplit(self.url)
        connection = pg8000.dbapi.connect(
            user=urllib.parse.unquote(url.username or "postgres"),
            password=urllib.parse.unquote(url.password) if url.password else None,
            host=url.hostname or "127.0.0.1", port=url.port or 5432, database=url.path.lstrip("/") or "postgres")
        connection.autocommit = True
        return connection


def salted_hmac(salt, value, secret_key):
    """Django 2.2's `salted_hmac`: HMAC-SHA-1 under SHA-1(salt + SECRET_KEY), as hex."""
    key = hashlib.sha1((salt + secret_key).encode()).digest()
    return hmac.new(key, value.encode(), hashlib.sha1).hexdigest()


def session_data(account, secret_key):
    """A signed-in session as Django 2.2 stores it: base64(hash ":" json)."""
    auth_hash = salted_hmac("django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash",
                            account.password, secret_key)
    payload = json.dumps({"_auth_user_id": str(account.id),
                          "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
                          "_auth_user_hash": auth_hash}, separators=(",", ":"))
    signature = salted_hmac("django.contrib.sessionsSessionStore", payload, secret_key)
    return base64.b64encode(f"{signature}:{payload}".encode()).decode()


def password_matches(password, stored):
    """Whether Django 2.2 with the backend's pins would accept this password for this column value."""
    algorithm = stored.split("$", 1)[0]
    if algorithm in ("argon2", "bcrypt_sha256", "bcrypt"):
        raise LibraryMissing(algorithm)
    if algorithm not in ("pbkdf2_sha256", "pbkdf2_sha1"):
        return False
    _, iterations, salt, expected = stored.split("$", 3)
    digest = "sha256" if algorithm == "pbkdf2_sha256" else "sha1"
    derived = hashlib.pbkdf2_hmac(digest, password.encode(), salt.encode(), int(iterations))
    return hmac.compare_digest(base64.b64encode(derived).decode(), expected)

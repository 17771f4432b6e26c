#!/usr/bin/env python3
"""A stand-in for the Harrastuspassi backend: what it does with identity, under the paths it does it.

    backend.py --listen 127.0.0.1:PORT --database URL --phantom-secret-file FILE [--log FILE] [--contract]

The accounts come out of the database that it shares with avain, the hobbies live in memory. With --contract
/api/hobbies/ answers `{"as": <user name or null>}`, the shape in which tests/contract recorded its peers. With --log
each request is a line of JSON, headers as they arrived. Standard library only; pg8000 for a postgresql:// URL.
"""
import argparse
import base64
import hashlib
import html
import json
import re
import secrets
import sys
import threading
import traceback
import urllib.parse
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from accounts import Accounts, LibraryMissing, password_matches
from hobbies import LIST, READ_ONLY, TEXTS, Answer, Hobbies, find_route
from phantom import Crash, Refused, Verifier

CHALLENGE = 'Bearer realm="api"'
RECORDED = re.compile(r"(?:api/hobbies|api/students|v3/resource|resource)/")
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ECHOES = ("api/echo/", "monitor/echo/")     # what arrived, for `avain doctor`
KNOWN_PATHS = re.compile(r"(?:accounts/login|monitor|hello|api/socket|api)/")


class Backend(ThreadingHTTPServer):
    """The server and what all its requests share."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, options):
        host, port = options.listen.rsplit(":", 1)
        super().__init__((host.strip("[]"), int(port)), Request)
        with open(options.phantom_secret_file, "rb") as file:
            self.verifier = Verifier(file.read())
        self.accounts = Accounts(options.database)
        self.hobbies = Hobbies()
        self.contract = options.contract
        self.secret_key = options.secret_key
        self.log = open(options.log, "a", encoding="utf-8", buffering=1) if options.log else None
        self.log_lock = threading.Lock()

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Request(BaseHTTPRequestHandler):
    """One connection, and the request that is on it."""

    protocol_version = "HTTP/1.1"
    server_version = "stand-in"
    disable_nagle_algorithm = True
    account = None

    def __getattr__(self, name):
        if name.startswith("do_"):      # every method, also invented ones
            return self.serve
        raise AttributeError(name)

    def serve(self):
        self.method, self.account = self.command, None
        self.path, _, self.query = self.path.partition("?")
        # PATH_INFO of a WSGI server: percent-decoded, neither dots nor double slashes resolved.
        self.decoded = urllib.parse.unquote(self.path)[1:]
        self.content_type = (self.headers.get("Content-Type") or "").split(";")[0].strip().lower()
        self.base_url = "{}://{}".format(self.headers.get("X-Forwarded-Proto") or "http", self.headers.get("Host") or "")
        self.read_body()
        try:
            self.route()
        except Answer as refused:
            self.json(refused.status, refused.body, refused.allow)
        except Refused as refused:
            self.json(401, refused.body)
        except Crash:
            self.page(500, "<h1>Server Error (500)</h1>")
        except ConnectionError:
            self.close_connection = True
        except Exception:  # a fault of the stand-in itself: seen by the client and in its output
            traceback.print_exc()
            self.page(500, "<h1>Server Error (500)</h1>")

    def route(self):
        self.account = None
        if self.decoded == "accounts/login/":
            return self.login()
        if self.decoded in ECHOES:
            return self.json(200, {"headers": [[name, value] for name, value in self.headers.items()]}, None)
        if self.decoded == "monitor/":
            return self.json(200, {"status": "ok"}, None)
        if RECORDED.fullmatch(self.decoded) and (self.server.contract or self.decoded != "api/hobbies/"):
            return self.recorded(LIST, lambda: {"as": self.account.username if self.account else None})
        if self.decoded == "hello/":
            return self.recorded(READ_ONLY, lambda: {"message": "Hello, World!"})
        found = find_route(self.decoded)
        if self.decoded == "api/socket/" and self.headers.get("Upgrade", "").lower() == "websocket":
            return self.echo()
        if found:
            self.authenticate()
            status, body, allow = self.server.hobbies.answer(self, *found)
            return self.json(status, body, allow)
        if self.decoded == "api/":
            self.authenticate()
            return self.json(200, {"hobbies": self.base_url + "/api/hobbies/"}, READ_ONLY)
        slashed = self.decoded + "/"
        if find_route(slashed) or KNOWN_PATHS.fullmatch(slashed) or RECORDED.fullmatch(slashed):
            location = self.path + "/" + ("?" + self.query if self.query else "")
            return self.page(301, "", {"Location": location})
        return self.page(404, "<h1>Not Found</h1>")

    def authenticate(self):
        header = self.headers.get("Authorization")
        self.account = self.server.verifier.account(
            None if header is None else header.encode("latin-1"), self.server.accounts)

    def recorded(self, allow, body):
        """The resources that the contract's recordings were made with: readable by all, writable with an account."""
        self.authenticate()
        if self.method not in allow.split(", "):
            raise Answer(405, 'Method "{}" not allowed.'.format(self.method), allow)
        if self.method == "POST" and self.account is None:
            raise Answer(401, TEXTS["anonymous"], allow)
        self.json(201 if self.method == "POST" else 200, body(), allow)

    def login(self):
        """Django's own form: a CSRF cookie, then a session row, then `next`."""
        cookies = SimpleCookie(self.headers.get("Cookie") or "")
        sent = cookies["csrftoken"].value if "csrftoken" in cookies else None
        form = dict(urllib.parse.parse_qsl(self.body.decode("utf-8", "replace"))) if self.method == "POST" else {}
        if self.method == "POST":
            if not sent or not secrets.compare_digest(sent.encode(), form.get("csrfmiddlewaretoken", "").encode()):
                return self.page(403, "<h1>Forbidden (403)</h1><p>CSRF verification failed. Request aborted.</p>")
            try:
                account = self.server.accounts.by_username(form.get("username", "").strip())
                good = account and account.is_active and password_matches(form.get("password", ""), account.password)
            except LibraryMissing:
                return self.page(500, "<h1>Server Error (500)</h1><p>Couldn't load the library for this hash.</p>")
            if good:
                key = self.server.accounts.begin_session(account, self.server.secret_key)
                target = form.get("next") or "/api/"
                headers = {"Location": target if re.match(r"/(?![/\\])", target) else "/api/"}
                if key:
                    headers["Set-Cookie"] = f"sessionid={key}; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax"
                return self.page(302, "", headers)
        csrf = sent or secrets.token_hex(32)
        wanted = form.get("next") or dict(urllib.parse.parse_qsl(self.query)).get("next", "")
        self.page(200, '<title>login</title><form method="post">'
                  f'<input type="hidden" name="csrfmiddlewaretoken" value="{html.escape(csrf)}">'
                  f'<input type="hidden" name="next" value="{html.escape(wanted)}">'
                  '<input name="username"><input name="password" type="password"><button>OK</button></form>',
                  {"Set-Cookie": f"csrftoken={csrf}; Max-Age=31449600; Path=/; SameSite=Lax"})

    def echo(self):
        """A WebSocket that sends back the bytes it gets, to see that nginx lets the upgrade through."""
        self.authenticate()
        key = self.headers.get("Sec-WebSocket-Key", "") + WEBSOCKET_GUID
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.record()
        self.wfile.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          f"Sec-WebSocket-Accept: {accept}\r\n\r\n").encode())
        self.close_connection = True
        while True:
            received = self.connection.recv(65536)
            if not received:
                return
            self.connection.sendall(received)

    def read_body(self):
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            parts = []
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                parts.append(self.rfile.read(size))
                self.rfile.readline()
                if size == 0:
                    break
            self.body = b"".join(parts)
        else:
            self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def json(self, status, body, allow=LIST):
        headers = {"Content-Type": "application/json", "Vary": "Accept"}
        if allow:
            headers["Allow"] = allow
        if status == 401:
            headers["WWW-Authenticate"] = CHALLENGE
        data = b"" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        self.answer(status, headers, data)

    def page(self, status, text, headers=None):
        self.answer(status, {"Content-Type": "text/html; charset=utf-8", **(headers or {})}, text.encode())

    def answer(self, status, headers, data):
        self.record()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.method != "HEAD" and data:
            self.wfile.write(data)

    def record(self):
        """Logs the request; before it is answered, so that whoever has the answer finds the line."""
        if self.server.log is None:
            return
        line = json.dumps({
            "method": self.method, "path": self.path, "query": self.query, "bytes": len(self.body),
            "user": self.account.username if self.account else None,
            "headers": [[name.lower(), value] for name, value in self.headers.items()]})
        with self.server.log_lock:
            self.server.log.write(line + "\n")

    def log_message(self, format, *args):
        """Nothing: --log says what there is to say."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", default="127.0.0.1:8002", metavar="HOST:PORT")
    parser.add_argument("--database", required=True, metavar="URL", help="sqlite:PATH or postgresql://…, avain's own")
    parser.add_argument("--phantom-secret-file", required=True, metavar="FILE",
                        help="the HS256 secret that avain signs phantom tokens with, or an RS256 public key (PEM)")
    parser.add_argument("--log", metavar="FILE", help="write each request as a line of JSON")
    parser.add_argument("--contract", action="store_true", help="answer in the shape of the contract's recordings")
    parser.add_argument("--secret-key", default="the stand-in's own SECRET_KEY, for sessions only",
                        help="Django's SECRET_KEY, for the sessions of /accounts/login/")
    server = Backend(parser.parse_args())
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()

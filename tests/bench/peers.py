"""What avain is measured beside: nginx alone, nginx that checks tokens with Lua, and gunicorn with Django REST framework and Simple JWT, asked by nginx with
`auth_request` or checking tokens itself; and avain with keys of other algorithms."""
import base64
import json
import os
import sys
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "setup"))

from nginx_site import PROJECT, user_line  # noqa: E402
from processes import Process, free_port, is_open  # noqa: E402
import stack as stacks  # noqa: E402

SITE = """\
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
daemon off;
{user}
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log error;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
    upstream backend {{ server 127.0.0.1:{backend}; keepalive 32; }}
    upstream simplejwt {{ server unix:{simplejwt}; }}
    upstream token {{ server unix:{token}; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    init_by_lua_block {{ check, secret = dofile("{check}"), "{secret}" }}
    server {{ listen 127.0.0.1:{lua_port}; location / {{ access_by_lua_block {{ check(secret) }} proxy_pass http://backend; }} }}
    server {{ listen 127.0.0.1:{static_port}; location / {{ return 204; }} }}
    server {{ listen 127.0.0.1:{plain_port}; location / {{ proxy_pass http://backend; }} }}
    server {{
        listen 127.0.0.1:{asking_port};
        location / {{ auth_request /_check; proxy_pass http://backend; }}
        location = /_check {{
            internal; proxy_pass http://simplejwt/check/; proxy_pass_request_body off; proxy_set_header Content-Length "";
        }}
    }}
    server {{ listen 127.0.0.1:{simplejwt_port}; location / {{ proxy_pass http://simplejwt; }} }}
    server {{ listen 127.0.0.1:{token_port}; location / {{ proxy_pass http://token; }} }}
}}
"""
MODULES = Path("/usr/lib/nginx/modules")     # Debian's nginx has its modules there
DJANGO = PROJECT / "tests" / "backend"


class Peers:
    """gunicorn twice, and one nginx in front of both with a port for each way."""

    def __init__(self, directory, ends, database, secret, backend_port, workers):
        self.directory, self.ends = directory, ends
        directory.mkdir()
        (directory / "key").write_text(secret)
        self.ports = {name: free_port() for name in ("static", "plain", "lua", "asking", "simplejwt", "token")}
        self.gunicorn = {kind: self.start_gunicorn(kind, database, workers) for kind in ("simplejwt", "token")}
        site = directory / "nginx.conf"
        site.write_text(SITE.format(dir=directory, backend=backend_port, user=user_line(), modules=MODULES, secret=secret,
                                    check=Path(__file__).resolve().parent / "check.lua",
                                    **{f"{name}_port": port for name, port in self.ports.items()},
                                    **{kind: directory / f"{kind}.sock" for kind in self.gunicorn}))
        self.nginx = Process("nginx", [stacks.find_nginx(), "-e", "stderr", "-c", str(site)], directory / "nginx.log")
        ends.callback(self.nginx.stop)
        self.nginx.wait_ready(lambda: is_open(self.ports["token"]))

    def start_gunicorn(self, kind, database, workers):
        socket = self.directory / f"{kind}.sock"
        process = Process(f"gunicorn ({kind})", [
            sys.executable, "-m", "gunicorn", "--workers", str(workers), "--bind", f"unix:{socket}", "--chdir", str(DJANGO),
            "drf_site:application"], self.directory / f"{kind}.log", env={
                **os.environ, "HOME": str(self.directory), "DRF_AUTHENTICATION": kind, "DRF_DATABASE": database, "DRF_KEY_FILE": str(self.directory / "key")})
        self.ends.callback(process.stop)
        process.wait_ready(socket.exists)
        return process

    def cases(self, heads):
        """Name, port, the gunicorn whose CPU and memory count, request head, status."""
        yield "nginx, static 204", self.ports["static"], None, heads["bearer"], 204
        yield "nginx to the backend, nobody asked", self.ports["plain"], None, heads["bearer"], 204
        yield "nginx checks the JWT itself, with Lua", self.ports["lua"], None, heads["bearer"], 204
        yield "nginx asks gunicorn + DRF + Simple JWT", self.ports["asking"], self.gunicorn["simplejwt"], heads["bearer"], 204
        yield "gunicorn + DRF checks the JWT itself", self.ports["simplejwt"], self.gunicorn["simplejwt"], heads["bearer"], 200
        yield "gunicorn + DRF checks the API key itself", self.ports["token"], self.gunicorn["token"], heads["token"], 200


class Asymmetric:
    """An avain whose tokens have another algorithm, and a key of ours to sign tokens that it has never seen."""

    def __init__(self, algorithm, directory, ends, settings, number):
        from cryptography.hazmat.primitives import serialization
        self.algorithm, self.key = algorithm, private_key(algorithm)
        pem = self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        stack = stacks.start_stack(directory, {**settings, "keys.import": pem.decode(), "tokens.algorithm": algorithm}, log=False,
                                   before_start=lambda stack: stack.add_user("bench", "a long enough pass phrase"))
        self.stack = ends.enter_context(stack)
        self.number, self.made = number, 0
        access = token_of(stack.avain_url)
        self.access = access
        self.header = access.split(".")[0]
        self.claims = json.loads(unbase64(access.split(".")[1]))

    def fresh(self, path):
        """Writes tokens that nobody has seen, one a line."""
        lines = []
        for _ in range(self.number):
            self.made += 1
            message = self.header + "." + base64url(json.dumps({**self.claims, "jti": f"{self.made:032x}"}).encode())
            lines.append(message + "." + base64url(self.sign(message.encode())))
        path.write_text("\n".join(lines))
        return path

    def sign(self, message):
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
        if self.algorithm == "RS256":
            return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        if self.algorithm == "EdDSA":
            return self.key.sign(message)
        r, s = utils.decode_dss_signature(self.key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def private_key(algorithm):
    """A new key, for as long as this runs."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()


def token_of(url):
    """An access token."""
    body = json.dumps({"username": "bench", "password": "a long enough pass phrase"}).encode()
    request = urllib.request.Request(f"{url}/auth/token/", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["access"]


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unbase64(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

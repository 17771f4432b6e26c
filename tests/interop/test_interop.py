#!/usr/bin/env python3
"""Other people's programs against ours: they verify our tokens by the key set, and ask what tokens are worth.

    test_interop.py [NAME…]     NAME: part of a test's name

PyJWT, jose (Node.js), HAProxy's jwt_verify, Apache's mod_auth_openidc, Authlib, and djangorestframework-simplejwt in
Django; each as its users set it up, nothing of it replaced.
"""
import base64
import getpass
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "setup")]

from processes import Failure, Process, free_port, is_open, wait_until  # noqa: E402
from stack import start_stack  # noqa: E402

PASSWORD = "Corr3ct-horse-9"
ISSUER = "https://auth.example.org"


def ask(url, data=None, token=None):
    """Status and text of an answer."""
    body = json.dumps(data).encode() if data is not None else None
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"} if body else {})
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def decoded(part):
    """A part of a token."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def forged(token):
    """The same token for another account, under the old signature."""
    head, payload, signature = token.split(".")
    claims = {**json.loads(decoded(payload)), "user_id": "999"}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{head}.{payload}.{signature}"


class Interop(unittest.TestCase):
    """One avain with asymmetric keys behind nginx, and one account."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="avain-interop-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.stack = start_stack(Path(cls.folder.name) / "stack",
                                {"tokens.algorithm": "ES256", "tokens.issuer": ISSUER, "throttle.enabled": "off",
                                 "passwords.algorithm": "pbkdf2_sha256", "passwords.pbkdf2_iterations": "1000"}, tls=True)
        cls.addClassCleanup(cls.stack.stop)
        # One certificate for all, by the variable that each of the programs reads.
        for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
            os.environ[variable] = str(cls.stack.certificate)
        cls.stack.add_user("aino", PASSWORD)
        cls.key_set = f"{cls.stack.base_url}/.well-known/jwks.json"

    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix="avain-interop-")
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)

    def sign_in(self):
        """A token pair, by way of nginx."""
        status, text = ask(f"{self.stack.base_url}/api/token/", {"username": "aino", "password": PASSWORD})
        self.assertEqual(status, 200, text)
        return json.loads(text)

    def client(self, name, *options):
        """A registered client: its id and its secret."""
        made = json.loads(self.stack.cli("client", "create", name, "--json", *options))
        return made["client_id"], made["client_secret"]

    def publish(self, algorithm):
        """The id of a key that stands in the key set and does not sign yet."""
        told = self.stack.cli("key", "generate", "--algorithm", algorithm).split()[1]
        wait_until(lambda: told in ask(self.key_set)[1], "the key to be published")
        return told

    def rotate(self, *key):
        """Another key signs; nobody is told but by the key set."""
        told = self.stack.cli("key", "rotate", *key).split()[1]
        signs = lambda: json.loads(decoded(self.sign_in()["access"].split(".")[0]))["kid"] == told
        wait_until(signs, "the new key to sign")

    def start(self, name, command, port, **options):
        """A program of somebody else's, until the test ends."""
        process = Process(name, command, self.place / f"{name}.log", cwd=self.place, **options)
        self.addCleanup(process.stop)
        process.wait_ready(lambda: is_open(port))

    def test_pyjwt_verifies_by_the_key_set_while_keys_rotate(self):
        import jwt
        published = {algorithm: self.publish(algorithm) for algorithm in ("RS256", "EdDSA", "ES256")}
        # It fetches a key set at most every 30 seconds, and so lives on what was published ahead.
        keys = jwt.PyJWKClient(self.key_set)
        verify = lambda token: jwt.decode(token, keys.get_signing_key_from_jwt(token).key,
                                          algorithms=["ES256", "RS256", "EdDSA"], issuer=ISSUER)
        tokens = [self.sign_in()["access"]]
        for algorithm, key in published.items():
            self.rotate(key)
            tokens.append(self.sign_in()["access"])
            self.assertEqual(jwt.get_unverified_header(tokens[-1])["alg"], algorithm)
            for token in tokens:
                self.assertEqual(verify(token)["token_type"], "access")
        with self.assertRaises(jwt.InvalidSignatureError):
            verify(forged(tokens[0]))

    def test_jose_verifies_by_the_key_set_while_keys_rotate(self):
        before = self.sign_in()["access"]
        environment = {**os.environ, "NODE_PATH": "/usr/share/nodejs"}
        with subprocess.Popen(["node", str(HERE / "jose.cjs"), self.key_set, ISSUER], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True, env=environment) as node:
            def verify(token):
                node.stdin.write(token + "\n")
                node.stdin.flush()
                return node.stdout.readline().strip()
            self.assertEqual(json.loads(verify(before))["iss"], ISSUER)
            for algorithm in ("EdDSA", "RS256"):
                self.rotate("--algorithm", algorithm)
                for token in (before, self.sign_in()["access"]):
                    self.assertEqual(json.loads(verify(token))["token_type"], "access")
            self.assertEqual(verify(forged(before)), "refused: ERR_JWS_SIGNATURE_VERIFICATION_FAILED")
            node.stdin.close()

    def test_haproxy_verifies_by_the_public_key(self):
        self.rotate("--algorithm", "RS256")
        token = self.sign_in()["access"]
        (self.place / "key.pem").write_text(self.stack.cli("key", "public"))
        port = free_port()
        (self.place / "haproxy.cfg").write_text(f"""
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 1s
frontend api
    bind 127.0.0.1:{port}
    http-request set-var(txn.bearer) http_auth_bearer
    http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
    http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify(txn.alg,"{self.place}/key.pem") -m int 1 }}
    http-request deny deny_status 403 unless {{ var(txn.bearer),jwt_payload_query('$.iss') -m str {ISSUER} }}
    http-request set-var(txn.user) var(txn.bearer),jwt_payload_query('$.user_id')
    http-request return status 200 content-type text/plain lf-string "%[var(txn.user)]"
""")
        self.start("haproxy", ["haproxy", "-db", "-f", "haproxy.cfg"], port)
        url = f"http://127.0.0.1:{port}/"
        status, user = ask(url, token=token)
        self.assertEqual((status, user.isdigit()), (200, True), user)
        for bad in (forged(token), token.rsplit(".", 1)[0] + ".", "x.y.z", None):
            self.assertEqual(ask(url, token=bad)[0], 401)

    def test_mod_auth_openidc_asks_what_tokens_are_worth(self):
        identity, secret = self.client("apache", "--scope", "introspect")
        port = free_port()
        (self.place / "htdocs").mkdir()
        shutil.copy(self.stack.certificate, self.place / "certificate.pem")
        (self.place / "certificate.pem").chmod(0o644)
        (self.place / "htdocs" / "index.txt").write_text("protected\n")
        modules = Path("/usr/lib/apache2/modules")
        names = ["mpm_event", "authn_core", "authz_core", "authz_user", "auth_openidc"]
        loads = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in names)
        user = f"User {getpass.getuser()}" if os.getuid() else "User www-data\nGroup www-data"
        (self.place / "httpd.conf").write_text(f"""
ServerRoot {self.place}
ServerName localhost
PidFile {self.place}/httpd.pid
ErrorLog {self.place}/error.log
Listen 127.0.0.1:{port}
{user}
{loads}
DocumentRoot {self.place}/htdocs
OIDCCryptoPassphrase a-passphrase-of-this-test
OIDCCABundlePath {self.place}/certificate.pem
OIDCOAuthIntrospectionEndpoint {self.stack.base_url}/oauth/introspect
OIDCOAuthIntrospectionEndpointAuth client_secret_basic
OIDCOAuthClientID {identity}
OIDCOAuthClientSecret {secret}
OIDCOAuthRemoteUserClaim username
<Location />
    AuthType oauth20
    Require claim username:aino
</Location>
""")
        self.place.chmod(0o755)
        self.start("apache", ["apache2", "-X", "-f", str(self.place / "httpd.conf")], port)
        url = f"http://127.0.0.1:{port}/index.txt"
        self.assertEqual(ask(url, token=self.sign_in()["access"]), (200, "protected\n"))
        revoked = self.sign_in()
        ask(f"{self.stack.base_url}/api/token/blacklist/", {"refresh": revoked["refresh"]})
        for bad in (revoked["access"], forged(revoked["access"]), "garbage"):
            self.assertEqual(ask(url, token=bad)[0], 401)

    def test_authlib_gets_introspects_and_revokes_tokens(self):
        from authlib.integrations.requests_client import OAuth2Session
        status, text = ask(f"{self.stack.base_url}/.well-known/oauth-authorization-server")
        self.assertEqual(status, 200)
        told = json.loads(text)
        self.assertEqual(told["issuer"], ISSUER)
        place = lambda name: told[name].replace(ISSUER, self.stack.base_url)
        for way in ("client_secret_basic", "client_secret_post"):
            identity, secret = self.client(way, "--scope", "introspect", "--scope", "read", "--grant", "client_credentials",
                                           "--grant", "refresh_token", "--account", "aino")
            with OAuth2Session(identity, secret, token_endpoint_auth_method=way,
                               revocation_endpoint_auth_method=way, scope="read") as session:
                token = session.fetch_token(place("token_endpoint"), grant_type="client_credentials")
                self.assertEqual((token["scope"], token["token_type"]), ("read", "Bearer"))
                found = session.introspect_token(place("introspection_endpoint"), token["access_token"]).json()
                self.assertEqual((found["active"], found["client_id"], found["username"]), (True, identity, "aino"))
                renewed = OAuth2Session(identity, secret, token_endpoint_auth_method=way).refresh_token(
                    place("token_endpoint"), self.sign_in()["refresh"])
                self.assertIn("refresh_token", renewed)
                session.revoke_token(place("revocation_endpoint"), token["access_token"]).raise_for_status()
                found = session.introspect_token(place("introspection_endpoint"), token["access_token"]).json()
                self.assertEqual(found, {"active": False})
            with OAuth2Session(identity, "wrong", token_endpoint_auth_method=way) as stranger:
                with self.assertRaisesRegex(Exception, "invalid_client"):
                    stranger.fetch_token(place("token_endpoint"), grant_type="client_credentials")

    def test_simplejwt_in_django_reads_our_tokens(self):
        for algorithm in ("RS256", "ES256"):
            self.rotate("--algorithm", algorithm)
            pair = self.sign_in()
            tokens = [pair["access"], forged(pair["access"]), pair["refresh"]]
            done = subprocess.run([sys.executable, str(HERE / "django_service.py"), self.key_set, ISSUER, algorithm, *tokens],
                                  capture_output=True, text=True, check=False, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            good, bad, other_kind = [json.loads(line) for line in done.stdout.splitlines()]
            self.assertEqual((good[0], good[1]["first_name"]), (200, None), good)
            self.assertTrue(good[1]["id"].isdigit(), good)
            self.assertEqual((bad[0], bad[1]["code"]), (401, "token_not_valid"))
            self.assertEqual((other_kind[0], other_kind[1]["code"]), (401, "token_not_valid"))


def main():
    names = sys.argv[1:]
    loader = unittest.TestLoader()
    if names:
        loader.testNamePatterns = [f"*{name}*" for name in names]
    result = unittest.TextTestRunner(verbosity=2).run(loader.loadTestsFromTestCase(Interop))
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"{failure}")

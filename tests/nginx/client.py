"""What the tests of the gateway talk with: a client that sends exactly what it is told, and two stand-ins for avain."""
import http.client
import json
import os
import socket
import ssl
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Reply:
    """A response: `status`, `body` as bytes, every header line."""

    def __init__(self, response):
        self.status, self.body, self.lines = response.status, response.read(), response.getheaders()

    def all(self, name):
        """The values of every line of this header."""
        return [value for header, value in self.lines if header.lower() == name.lower()]

    def one(self, name):
        """The value of a header that is there once; None where it is not there. Twice is an error."""
        values = self.all(name)
        if len(values) > 1:
            raise AssertionError(f"{name} is there {len(values)} times: {values}")
        return values[0] if values else None

    def json(self):
        return json.loads(self.body)


def send(base_url, method, path, headers=(), body=None, certificate=None):
    """One request on a connection of its own; `headers` are pairs, sent as they are, repeated ones too."""
    url = urllib.parse.urlsplit(base_url)
    if url.scheme == "https":
        connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=20,
                                                 context=ssl.create_default_context(cafile=str(certificate)))
    else:
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    try:
        names = [name.lower() for name, _ in headers]
        connection.putrequest(method, path, skip_host="host" in names, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None and "transfer-encoding" not in names:
            connection.putheader("Content-Length", str(len(body)))
        try:
            connection.endheaders(body)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            pass        # refused before all of the body was sent: the answer is there
        return Reply(connection.getresponse())
    finally:
        connection.close()


def send_h2(base_url, method, path, headers, certificate):
    """One request over HTTP/2; gives the status, headers as a dict, and the body."""
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.events import DataReceived, ResponseReceived, StreamEnded
    url = urllib.parse.urlsplit(base_url)
    context = ssl.create_default_context(cafile=str(certificate))
    context.set_alpn_protocols(["h2"])
    status, answered, body, ended = None, {}, b"", False
    with context.wrap_socket(socket.create_connection((url.hostname, url.port), timeout=20), server_hostname=url.hostname) as tls:
        if tls.selected_alpn_protocol() != "h2":
            raise AssertionError("the server does not speak HTTP/2")
        # What no well-behaved client sends is to be tried too.
        connection = H2Connection(H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False))
        connection.initiate_connection()
        connection.send_headers(1, [(":method", method), (":scheme", "https"), (":authority", url.netloc), (":path", path), *headers],
                                end_stream=True)
        while not ended:
            tls.sendall(connection.data_to_send())
            received = tls.recv(65536)
            if not received:
                break
            for event in connection.receive_data(received):
                if isinstance(event, ResponseReceived):
                    answered = {name.decode(): value.decode() for name, value in event.headers}
                    status = int(answered[":status"])
                elif isinstance(event, DataReceived):
                    body += event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, 1)
                ended = ended or isinstance(event, StreamEnded)
    return status, answered, body


class CountingProxy:
    """Stands between nginx and avain on a unix socket, and counts the connections that nginx opens."""

    def __init__(self, path, target):
        self.path, self.target, self.connections = str(path), str(target), 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.target)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source, sink):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()
        os.unlink(self.path)


class ScriptedGate(ThreadingHTTPServer):
    """A gate that answers what the test says, for what a healthy avain seldom says: set `answer` to (status, headers)."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Scripted)
        self.answer, self.asked = (204, {}), []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return "127.0.0.1:%d" % self.server_address[1]


class _Scripted(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append([(name.lower(), value) for name, value in self.headers.items()])
        status, headers = self.server.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format, *args):
        """Nothing."""

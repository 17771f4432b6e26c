"""Requests and answers as bytes: bodies, cookies, one connection per request."""
import http.client
import json
import urllib.parse


class Jar(dict):
    """Cookies of one browser, by name."""

    def header(self):
        """The Cookie header."""
        return "; ".join("%s=%s" % pair for pair in self.items())

    def absorb(self, cookies):
        """Keep and drop cookies as an answer says."""
        for cookie in cookies:
            if cookie["gone"]:
                self.pop(cookie["name"], None)
            else:
                self[cookie["name"]] = cookie["value"]


def parse_set_cookie(raw):
    """Name, value, attributes, and whether the cookie is being deleted."""
    first, *attributes = [part.strip() for part in raw.split(";")]
    name, _, value = first.partition("=")
    attrs = {}
    for part in attributes:
        key, equals, text = part.partition("=")
        attrs[key.lower()] = text if equals else True
    value = value.strip('"')
    gone = attrs.get("max-age") == "0" or not value or "1970" in str(attrs.get("expires", ""))
    return {"name": name, "value": value, "attrs": attrs, "gone": gone}


class Response:
    """An answer: status, header pairs in order, body bytes."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def all(self, name):
        """Every value of a header."""
        return [value for key, value in self.headers if key.lower() == name]

    def one(self, name):
        """The values of a header joined, or None."""
        values = self.all(name)
        return ", ".join(values) if values else None

    @property
    def media_type(self):
        """Content-Type without parameters, lower case."""
        return (self.one("content-type") or "").split(";")[0].strip().lower()

    def text(self):
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self):
        """The body as JSON."""
        return json.loads(self.body)


def send(base, method, path, headers, body):
    """One request on a connection of its own."""
    url = urllib.parse.urlsplit(base)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname, url.port, timeout=30)
    try:
        connection.putrequest(method, url.path.rstrip("/") + path, skip_accept_encoding=True)
        names = {name.lower() for name in headers}
        if "accept" not in names:
            connection.putheader("Accept", "*/*")
        for name, value in headers.items():
            connection.putheader(name, value.encode() if isinstance(value, str) else value)
        has_body = body is not None or method in ("POST", "PUT", "PATCH", "DELETE")
        if has_body and "content-length" not in names:
            connection.putheader("Content-Length", str(len(body or b"")))
        connection.endheaders()
        if body:
            try:
                connection.send(body)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before it was read: the answer is already there
        response = connection.getresponse()
        return Response(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


def build_body(step, scope, headers):
    """The body bytes of a step, or None; sets Content-Type in `headers`."""
    if "json" in step:
        body = json.dumps(scope.fill(step["json"])).encode()
        media = step.get("type", "application/json")
    elif "form" in step:
        body = urllib.parse.urlencode(scope.fill(step["form"]), doseq=True).encode()
        media = step.get("type", "application/x-www-form-urlencoded")
    elif "raw" in step:
        body = scope.fill(step["raw"])
        body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        media = step.get("type")
    elif "raw_hex" in step:
        body = bytes.fromhex(step["raw_hex"])
        media = step.get("type")
    else:
        return None
    if media and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = media
    return body

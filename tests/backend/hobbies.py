"""The backend's API as far as the tests need it: collections with an owner, and routes found under any prefix."""
import json
import re
import threading
import urllib.parse

PAGE_SIZE = 2

# Django searches these in the path: there is no `^`, so each also answers behind any prefix. In the order of urls.py.
ROOTS = [re.compile(pattern, re.DOTALL) for pattern in (
    r"mobile-api/(?P<version>pre1|pre2|v1)/", r"mobile-api/(?P<version>)",
    r"api/(?P<version>pre1|pre2|v1)/", r"api/(?P<version>)")]
RESOURCE = re.compile(r"(?P<name>[a-z]+)(?:/(?P<key>[^/.]+))?(?:/|\.json/?)")

READ_ONLY = "GET, HEAD, OPTIONS"
LIST = "GET, POST, HEAD, OPTIONS"
DETAIL = "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"

# name → (writable, is an object's owner the only one who may change it); hobbyevents really is open to anybody.
COLLECTIONS = {"hobbies": (True, True), "hobbyevents": (True, False), "locations": (True, True),
               "organizers": (True, True), "promotions": (True, False), "benefits": (True, True),
               "hobbycategories": (False, False)}

TEXTS = {
    "anonymous": "Autentikaatiotunnuksia ei annettu.",
    "forbidden": "Sinulla ei ole lupaa suorittaa tätä toimintoa.",
    "missing": "Ei löydy.",
    "method": 'Metodi "{}" ei ole sallittu.',
    "page": "Epäkelpo sivu.",
    "required": "Tämä kenttä vaaditaan.",
    "not a dictionary": "Odotettiin sanakirjaa, saatiin tyyppi {}.",
}


class Answer(Exception):
    """A refusal on the way to an answer: status, body, Allow."""

    def __init__(self, status, text, allow=LIST):
        super().__init__(text)
        self.status, self.body, self.allow = status, {"detail": text}, allow


def find_route(path):
    """(version, collection, key) for a decoded path without its first slash, or None."""
    for root in ROOTS:
        found = root.search(path)
        if found:
            resource = RESOURCE.fullmatch(path, found.end())
            if resource and resource["name"] in COLLECTIONS:
                return found["version"] or "pre2", resource["name"], resource["key"]
    return None


class Hobbies:
    """The objects, in memory: every start begins with the same few."""

    def __init__(self):
        self.lock = threading.Lock()
        self.objects = {name: {} for name in COLLECTIONS}
        for name in ("Jalkapallo", "Kuoro", "Sirkuskoulu"):
            self._add("hobbies", {"name": name}, None)
        for name in ("Liikunta", "Musiikki"):
            self._add("hobbycategories", {"name": name}, None)

    def _add(self, collection, fields, owner):
        key = len(self.objects[collection]) + 1
        self.objects[collection][key] = {"id": key, **fields, "created_by": owner}
        return self.objects[collection][key]

    def answer(self, request, version, collection, key):
        """(status, body or None, Allow) for a request with `method`, `account`, `base_url`, `path`, `query`, `body`."""
        writable, owned = COLLECTIONS[collection]
        allow = READ_ONLY if not writable else DETAIL if key else LIST
        reading = request.method in ("GET", "HEAD", "OPTIONS")
        if not reading and request.account is None:
            raise Answer(401, TEXTS["anonymous"], allow)
        if request.method not in allow.split(", "):
            raise Answer(405, TEXTS["method"].format(request.method), allow)
        if request.method == "OPTIONS":
            return 200, {"name": collection}, allow
        with self.lock:
            if key:
                return self._one(request, collection, key, owned, allow)
            if reading:
                return 200, self._list(request, version, collection), allow
            fields = self._fields(request, allow)
            if collection == "hobbies" and not fields.get("name"):
                return 400, {"name": [TEXTS["required"]]}, allow
            made = self._add(collection, fields, request.account.id)
            return 201, self._shown(made, request.account), allow

    def _one(self, request, collection, key, owned, allow):
        found = self.objects[collection].get(int(key)) if key.isdigit() else None
        if found is None:
            raise Answer(404, TEXTS["missing"], allow)
        if request.method in ("GET", "HEAD"):
            return 200, self._shown(found, request.account), allow
        if owned and not may_edit(found, request.account):
            raise Answer(403, TEXTS["forbidden"], allow)
        if request.method == "DELETE":
            del self.objects[collection][int(key)]
            return 204, None, allow
        found.update(self._fields(request, allow))
        return 200, self._shown(found, request.account), allow

    def _list(self, request, version, collection):
        query = urllib.parse.parse_qs(request.query)
        shown = [self._shown(entry, request.account) for entry in self.objects[collection].values()]
        if query.get("editable_only") == ["true"]:
            shown = [entry for entry in shown if entry["permissions"]["can_edit"]]
        if version != "v1":
            return shown
        wanted = (query.get("page") or ["1"])[0]
        page = int(wanted) if wanted.isdecimal() else 0
        start = (page - 1) * PAGE_SIZE
        if page < 1 or start > len(shown):
            raise Answer(404, TEXTS["page"], LIST)
        links = {"next": page + 1 if start + PAGE_SIZE < len(shown) else None, "previous": page - 1 if page > 1 else None}
        links = {name: f"{request.base_url}{request.path}?page={number}" if number else None
                 for name, number in links.items()}
        return {"count": len(shown), **links, "results": shown[start:start + PAGE_SIZE]}

    @staticmethod
    def _shown(entry, account):
        return {**{name: value for name, value in entry.items() if name != "created_by"},
                "permissions": {"can_edit": may_edit(entry, account)}}

    @staticmethod
    def _fields(request, allow):
        """The fields of a JSON or form body; a multipart body (a picture) is taken for its size alone."""
        kind = request.content_type
        try:
            if not request.body:
                return {}
            if kind == "application/json":
                fields = json.loads(request.body)
                if not isinstance(fields, dict):
                    raise Answer(400, TEXTS["not a dictionary"].format(type(fields).__name__), allow)
            elif kind == "application/x-www-form-urlencoded":
                fields = dict(urllib.parse.parse_qsl(request.body.decode()))
            elif kind == "multipart/form-data":
                fields = {"name": "multipart", "bytes": len(request.body)}
            else:
                raise Answer(415, f'Pyynnön mediatyyppiä "{kind}" ei tueta.', allow)
        except ValueError as error:
            raise Answer(400, f"JSON parse error - {error}", allow) from error
        return {name: value for name, value in fields.items() if name not in ("id", "created_by", "permissions")}


def may_edit(entry, account):
    """Whether guardian's `change_*` would be granted: to who made the object, and to superusers."""
    return account is not None and (account.is_superuser or entry["created_by"] == account.id)

"""Where two observed answers differ: a list of named places with both values."""
import json


class Absent:
    """Stands for a member or header that is not there."""

    def __repr__(self):
        return "(absent)"


ABSENT = Absent()


class Difference:
    """One place where the answer differs: `at` names it (status, body.detail, jwt.access.…)."""

    def __init__(self, at, want, got):
        self.at, self.want, self.got = at, want, got

    def __str__(self):
        return "%s: want %s, got %s" % (self.at, short(self.want), short(self.got))


def short(value):
    """A value for people, cut to a line."""
    text = repr(value) if value is ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) < 200 else text[:200] + "…"


def compare(want, got, parts, method, soft_cookies=()):
    """The differences between a recorded and a given answer, in the parts that the step compares."""
    if want["status"] >= 500:  # the peer fell over; anything that refuses politely is right
        polite = 400 <= got["status"] < 500
        return [] if polite else [Difference("status", "a 4xx refusal", got["status"])]
    out = []
    if want["status"] != got["status"]:
        out.append(Difference("status", want["status"], got["status"]))
    if "body" in parts:
        out += compare_bodies(want, got)
    if "headers" in parts:
        out += compare_headers(want, got, method, soft_cookies)
    if "mail" in want or "mail" in got:
        out += json_differences(want.get("mail", {}).get("count", 0),
                                got.get("mail", {}).get("count", 0), "mail")
    return out


def compare_bodies(want, got):
    """Kind, value and the tokens inside."""
    out = []
    a, b = want["body"], got["body"]
    if a["kind"] != b["kind"]:
        out.append(Difference("body", a.get("value", "(%s)" % a["kind"]),
                              b.get("value", "(%s)" % b["kind"])))
    elif a["kind"] in ("json", "text") and "value" in a and "value" in b:
        out += json_differences(a["value"], b["value"], "body")
    return out + json_differences(want.get("jwt", {}), got.get("jwt", {}), "jwt")


def compare_headers(want, got, method, soft_cookies):
    """Challenge, location, allowed methods (where they matter) and cookies."""
    names = ["www-authenticate", "location"]
    if want["status"] == 405 or method == "OPTIONS":
        names.append("allow")
    out = []
    for name in names:
        out += json_differences(want["headers"].get(name, ABSENT),
                                got["headers"].get(name, ABSENT), name)

    def hard(facts):
        return {k: v for k, v in facts.get("cookies", {}).items() if k not in soft_cookies}
    return out + json_differences(hard(want), hard(got), "cookies")


def json_differences(want, got, at):
    """Member by member; objects regardless of order."""
    if isinstance(want, dict) and isinstance(got, dict):
        return [d for key in [*want, *(k for k in got if k not in want)]
                for d in json_differences(want.get(key, ABSENT), got.get(key, ABSENT),
                                          "%s.%s" % (at, key))]
    if isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        return [d for i, (a, b) in enumerate(zip(want, got))
                for d in json_differences(a, b, "%s[%d]" % (at, i))]
    return [] if type(want) is type(got) and want == got else [Difference(at, want, got)]

"""Deliberate differences: which differing answers deliberate.yaml allows, and why."""
import re
from fnmatch import fnmatchcase
from pathlib import Path

from ledger import ENDINGS
from runner.compare import ABSENT, compare
from runner.flows import load_yaml

FILE = Path(__file__).resolve().parent / "deliberate.yaml"
RULE_KEYS = {"name", "why", "systems", "endpoints", "when", "peer", "ours", "may"}
WHEN_KEYS = {"ended", "retry", "owner", "made", "repeated", "link", "methods", "body_over", "email_over",
             "refresh_null", "own_name"}
ANSWER_KEYS = {"status", "body", "challenge", "like"}
WORDS = {"ended": set(ENDINGS), "retry": {"due", "possible"},
         "made": {"refresh-token", "time-as-text"},
         "repeated": {True}, "refresh_null": {True}, "own_name": {True},
         "link": {"foreign"},
         "owner": {"active", "inactive", "deleted", "nobody"}}
# These endpoints take no credentials, and challenge as JWTs do whatever else the system knows.
TOKEN_ENDPOINTS = ("refresh", "verify", "blacklist")
ALL_PARTS = ("status", "body", "headers")


class Rules:
    """The rules of one file."""

    def __init__(self, document):
        self.challenges = document["challenges"]
        self.endpoint_table = document["endpoints"]
        self.rules = document["rules"]
        for rule in self.rules:
            check(rule, self.endpoint_table)

    @classmethod
    def load(cls, path=FILE):
        """The rules in a YAML file."""
        return cls(load_yaml(path))

    def endpoints(self, system, paths):
        """The endpoints of a system whose paths are `paths`."""
        return Endpoints(self.endpoint_table, system, paths)

    def explain(self, system, situation, want, given, differences):
        """The names of the rules that together allow every difference; None if one is left over.

        A rule with `ours` explains the answer as a whole, one with `may` single places.
        """
        applicable = [r for r in self.rules if applies(r, system, situation)
                      and ("peer" not in r or peer_matches(r["peer"], want))]
        for rule in applicable:
            if any(self.answer_matches(answer, system, situation, want, given)
                   for answer in rule.get("ours", [])):
                return [rule["name"]]
        names = []
        for difference in differences:
            name = next((r["name"] for r in applicable if "may" in r and any(
                may_differ(place, difference) for place in r["may"])), None)
            if name is None:
                return None
            if name not in names:
                names.append(name)
        return names

    def answer_matches(self, answer, system, situation, want, given):
        """Whether the given answer is the one that the rule describes, in all its parts."""
        if answer.get("like") == "slashed":
            return like_slashed(situation, want, given)
        if answer.get("like") == "unslashed":
            return like_unslashed(situation, given)
        if answer.get("like") == "successor":
            return like_successor(situation, given)
        challenge = ABSENT
        if answer.get("challenge"):
            by_jwt = situation["endpoint"] in TOKEN_ENDPOINTS
            challenge = 'Bearer realm="api"' if by_jwt else self.challenge(system)
        return (given["status"] == answer["status"]
                and body_matches(answer["body"], situation["method"], given)
                and given["headers"].get("www-authenticate", ABSENT) == challenge
                and "location" not in given["headers"] and "cookies" not in given)

    def challenge(self, system):
        """The WWW-Authenticate value of a system."""
        return next(v for k, v in self.challenges.items() if fnmatchcase(system, k))


class Endpoints:
    """The endpoints of one system by path."""

    def __init__(self, table, system, paths):
        self.by_path = {}
        for name, templates in table.items():
            template = next((t for k, t in templates.items() if fnmatchcase(system, k)), None)
            needed = re.findall(r"\{\{(\w+)\}\}", template or "")
            if template and all(variable in paths for variable in needed):
                path = re.sub(r"\{\{(\w+)\}\}", lambda m: paths[m.group(1)], template)
                self.by_path[path.rstrip("/")] = name

    def name(self, path):
        """The endpoint at a path, or None; query and last slash do not count."""
        bare = path.split("?")[0]
        return self.by_path.get(bare[:-1] if bare.endswith("/") else bare)


def check(rule, endpoint_table):
    """Refuse a rule with a word that would silently never match."""
    name = rule.get("name", "(no name)")
    whole = {"peer", "ours"} <= rule.keys() and "may" not in rule
    parts = "may" in rule and "ours" not in rule
    sound = (not set(rule) - RULE_KEYS and rule.get("name") and rule.get("why")
             and whole != parts
             and set(rule.get("endpoints", [])) <= set(endpoint_table)
             and set(rule.get("when", {})) <= WHEN_KEYS
             and all(set(rule.get("when", {}).get(key, [])) <= known for key, known in WORDS.items())
             and all(set(a) <= ANSWER_KEYS and ("like" in a or {"status", "body"} <= set(a))
                     for a in rule.get("ours", [])))
    if not sound:
        raise ValueError("deliberate.yaml: rule %s is not well formed" % name)


def applies(rule, system, situation):
    """Whether the rule speaks of this system, endpoint and state of the credential."""
    when = rule.get("when", {})
    if not any(fnmatchcase(system, pattern) for pattern in rule.get("systems", ["*"])):
        return False
    if "endpoints" in rule and situation["endpoint"] not in rule["endpoints"]:
        return False
    if "ended" in when and not situation["ended"] & set(when["ended"]):
        return False
    facts = ("retry", "owner", "made", "repeated", "link", "refresh_null", "own_name")
    if any(key in when and situation[key] not in when[key] for key in facts):
        return False
    if "email_over" in when and situation["email_length"] <= when["email_over"]:
        return False
    if "methods" in when and situation["method"] not in when["methods"]:
        return False
    return "body_over" not in when or situation["body_bytes"] > when["body_over"]


def peer_matches(pattern, want):
    """Whether the recorded answer is the one that the rule replaces."""
    status = want["status"]
    if pattern["status"] == "admitted":
        if status in (401, 403) or status >= 500:
            return False
    elif status not in pattern["status"]:
        return False
    recorded = want["body"].get("value", pattern.get("body"))  # bodies may be left out
    return "body" not in pattern or recorded == pattern["body"]


def body_matches(pattern, method, given):
    """Whether a body is exactly the rule's JSON; HEAD answers have none."""
    if method == "HEAD":
        return given["body"]["kind"] == "empty"
    return pattern == "any" or given["body"] == {"kind": "json", "value": pattern}


def like_slashed(situation, want, given):
    """Whether the peer asked for the last slash, and ours answers as the slashed path does.

    For a method without effects the replay asked there too (`slashed`) and the two must be equal;
    elsewhere it must at least be an answer of the endpoint: no redirect, no 404, no failure.
    """
    location = want["headers"].get("location", "").replace("<base>", "").split("?")[0]
    if location != situation["path"].split("?")[0] + "/":
        return False
    if "slashed" in situation and compare(situation["slashed"], given, ALL_PARTS,
                                          situation["method"]):
        return False
    return given["status"] not in (301, 302, 303, 307, 308, 404) and given["status"] < 500


def like_unslashed(situation, given):
    """Whether a path with a last slash, which the peer does not know, is answered as the one without."""
    return (situation["path"].split("?")[0].endswith("/") and "slashed" in situation
            and not compare(situation["slashed"], given, ALL_PARTS, situation["method"])
            and given["status"] < 500)


def like_successor(situation, given):
    """Whether the answer repeats the one that the token got the first time, successor included."""
    first = situation.get("successor_answer")
    if first is None:
        return False
    differences = compare(first, given, ALL_PARTS, situation["method"])
    if situation["altered"]:  # claims are copied from token to token, so a forged copy shows
        differences = [d for d in differences if not fnmatchcase(d.at, "jwt.*.claims.*")]
    return not differences


def may_differ(place, difference):
    """Whether a `may` entry allows one difference."""
    return (fnmatchcase(difference.at, place["at"])
            and value_matches(place["want"], difference.want)
            and value_matches(place["got"], difference.got))


def value_matches(pattern, value):
    """`absent`, `any`, `text` (a string that is not empty), or the value itself."""
    if pattern == "absent":
        return value is ABSENT
    if pattern == "any":
        return value is not ABSENT
    if pattern == "text":
        return isinstance(value, str) and value != ""
    return value == pattern

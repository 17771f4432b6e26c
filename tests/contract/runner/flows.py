"""A contract folder: flows/*.yaml, flows/systems.yaml and recorded/<system>.json."""
import json
import re
from pathlib import Path

import yaml

STEP_KEYS = {"name", "do", "json", "form", "raw", "raw_hex", "type", "auth", "headers", "jar",
             "auth_hex", "capture", "expect", "each", "compare", "mail", "hook", "forge", "note",
             "mail_capture", "only", "without", "wait"}
FLOW_KEYS = {"id", "title", "systems", "topic", "layer", "users", "steps", "compare", "note"}
LAYERS = ("auth", "resource", "session", "admin")


class Problem(Exception):
    """The flow or its set-up cannot be run as written."""


class Skip(Exception):
    """The target lacks what the step needs; it says nothing about the target's answers."""


class Blocked(Exception):
    """The step needs a value that an earlier step should have captured."""

    def __init__(self, name):
        super().__init__("no value for {{%s}}" % name)
        self.name = name


class Loader(yaml.SafeLoader):
    """Only true/false are booleans: a step may be called "on" or "off"."""


Loader.yaml_implicit_resolvers = {
    key: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for key, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def load_yaml(path):
    """The document in a YAML file."""
    return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=Loader)


class Contract:
    """The flows and recordings of one folder."""

    def __init__(self, folder):
        self.folder = Path(folder)
        if not (self.folder / "flows").is_dir():
            raise Problem("%s has no flows/" % self.folder)

    def systems(self):
        """What flows/systems.yaml says of each system: its paths (`vars`) and `soft_cookies`."""
        path = self.folder / "flows" / "systems.yaml"
        return load_yaml(path) if path.exists() else {}

    def flows(self, system=None):
        """All flows, or those of one system."""
        out = []
        for path in sorted((self.folder / "flows").glob("*.yaml")):
            if path.name != "systems.yaml":
                out += load_yaml(path) or []
        return [f for f in out if system is None or system in f["systems"]]

    def recording(self, system):
        """flow id -> step name -> what the peer answered."""
        path = self.folder / "recorded" / (system + ".json")
        if not path.exists():
            return {}
        flows = json.loads(path.read_text(encoding="utf-8"))["flows"]
        return {flow: recorded["steps"] for flow, recorded in flows.items()}


def expand(flow, system):
    """Steps with `each` become one step per variant; `only`/`without` restrict a step to systems."""
    def applies(part):
        return system in part.get("only", [system]) and system not in part.get("without", [])

    out = []
    for step in flow["steps"]:
        if not applies(step):
            continue
        if "each" not in step:
            out.append(dict(step))
            continue
        base = {k: v for k, v in step.items() if k != "each"}
        for variant, overrides in step["each"].items():
            if applies(overrides or {}):
                name = "%s/%s" % (step["name"], variant)
                out.append({**base, **(overrides or {}), "name": name})
    return out


def parts_compared(flow, step):
    """Which of status, body and headers the step compares."""
    return step.get("compare", flow.get("compare", ["status", "body", "headers"]))

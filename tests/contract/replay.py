#!/usr/bin/env python3
"""Replay the recorded flows against avain behind nginx: what `make contract` runs.

    target/venv/bin/python tests/contract/replay.py [--only FLOW-GLOB] [--verbose]

    SYSTEM=<name>            one recorded system alone
    CONTRACT=<folder>        another folder with flows/ and recorded/, with the same set-up and rules
    DATABASE=postgresql      on a throw-away PostgreSQL instead of embedded SQLite
    AVAIN_BIN=<program>      the avain to start (target/debug/avain)

Prints a line a system and, above it, every step that differs without a rule that allows it.
Exits 1 where there is such a step or nothing was replayed, 64 for a wrong variable.
"""
import argparse
import contextlib
import fnmatch
import os
import secrets
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent / "setup")]

from hook import Hook, HookError  # noqa: E402
from ledger import Ledger  # noqa: E402
from rules import Rules  # noqa: E402
from runner.compare import compare  # noqa: E402
from runner.flows import LAYERS, Contract, Problem, expand, load_yaml, parts_compared  # noqa: E402
from runner.forge import Signing, fresh_rsa  # noqa: E402
from runner.mailbox import Mailbox  # noqa: E402
from runner.observe import observe  # noqa: E402
from runner.play import Target, play_flow, prepare, user_record  # noqa: E402

SAFE = ("GET", "HEAD", "OPTIONS")
EXIT_USAGE = 64


class Score:
    """The verdicts on one system's steps: (verdict, flow, step, lines)."""

    def __init__(self, system):
        self.system, self.verdicts, self.left_out = system, [], Counter()

    def add(self, verdict, flow, step, lines=()):
        """Note a step."""
        self.verdicts.append((verdict, flow, step, list(lines)))

    def of(self, verdict):
        """How many steps got this verdict."""
        return sum(1 for v in self.verdicts if v[0] == verdict)

    def print(self, verbose=False):
        """The details of different steps (and, where asked, of deliberate ones), then the line."""
        for verdict, flow, step, lines in self.verdicts:
            if verdict == "different" or (verbose and verdict in ("deliberate", "skipped")):
                print("%s %s / %s   %s" % (verdict, flow["id"], step["name"], step.get("do", "")))
                for line in lines:
                    print("    " + line)
        if self.left_out:
            print("%s: not served: %s" % (self.system, ", ".join(
                "layer %s (%d steps)" % (layer, n) for layer, n in self.left_out.items())))
        print("%s: equal %d, deliberate %d, different %d, skipped %d of %d" % (
            self.system, self.of("equal"), self.of("deliberate"), self.of("different"),
            self.of("skipped"), len(self.verdicts)), flush=True)


class Replay:
    """One system's flows against one target."""

    def __init__(self, contract, system, layers, rules, target, only="*"):
        self.system, self.rules, self.target, self.layers = system, rules, target, layers
        self.flows = [f for f in contract.flows(system) if fnmatch.fnmatch(f["id"], only)]
        self.recording = contract.recording(system)
        self.soft_cookies = described(contract, system).get("soft_cookies", ())
        self.endpoints = rules.endpoints(system, target.paths)

    def run(self, seed=None):
        """Play every flow of the served layers; gives the Score."""
        score = Score(self.system)
        served = [f for f in self.flows if f["layer"] in self.layers]
        for layer in LAYERS:
            steps = sum(self.counted(f, step) for f in self.flows if f["layer"] == layer
                        for step in expand(f, self.system))
            if steps and layer not in self.layers:
                score.left_out[layer] = steps
        tags = prepare(served, self.target, seed or time.time_ns())
        for flow in served:
            self.run_flow(flow, tags[flow["id"]], score)
        return score

    def counted(self, flow, step):
        """Whether a step is part of the contract: recorded, and not marked as mere information."""
        recorded = self.recording.get(flow["id"], {}).get(step["name"])
        return recorded is not None and step.get("compare") != "info"

    def run_flow(self, flow, tag, score):
        """Judge the steps of a flow in order; the ledger lives as long as the flow."""
        users = [user_record(k, spec, tag) for k, spec in (flow.get("users") or {}).items()]
        ledger = Ledger(self.endpoints, users)
        withheld = {}  # names that a deliberate difference kept from being captured, and where
        for played in play_flow(flow, self.target, tag):
            if played.hook:
                ledger.record_hook(played.hook)
            verdict, lines = self.judge(flow, played, ledger, withheld)
            if verdict == "deliberate":
                source = "%s (%s)" % (played.step["name"], lines[0])
                names = [*played.step.get("capture", {}), *played.step.get("forge", {})]
                withheld.update((name, source) for name in names if name not in withheld)
            ledger.record(played)
            if self.counted(flow, played.step):
                score.add(verdict, flow, played.step, lines)
            elif played.problem and played.problem[0] == "error":
                score.add("different", flow, played.step, ["%s: %s" % played.problem])

    def judge(self, flow, played, ledger, withheld):
        """equal, deliberate, different or skipped, with the lines that say why."""
        if played.problem:
            kind, text = played.problem
            root = (played.blocked or "").split(".")[0]
            if root in withheld:
                return "deliberate", ["needs {{%s}} of %s" % (root, withheld[root])]
            return "skipped" if kind == "skip" else "different", ["%s: %s" % (kind, text)]
        if not self.counted(flow, played.step):
            return "equal", []
        want = self.recording[flow["id"]][played.step["name"]]
        differences = compare(want, played.facts, parts_compared(flow, played.step),
                              played.exchange.method, self.soft_cookies)
        if not differences:
            return "equal", []
        situation = ledger.situation(played)
        if want["status"] in (301, 404):
            self.ask_with_other_slash(played, situation)
        lines = [str(d) for d in differences]
        names = self.rules.explain(self.system, situation, want, played.facts, differences)
        return ("deliberate", ["rule " + ", ".join(names), *lines]) if names else ("different", lines)

    def ask_with_other_slash(self, played, situation):
        """Put the answer of the same path with, or without, its last slash beside the one that was given
        (safe methods)."""
        exchange = played.exchange
        if exchange.method in SAFE:
            path, mark, query = exchange.path.partition("?")
            path = path[:-1] if path.endswith("/") else path + "/"
            response = self.target.send(exchange.method, path + mark + query, exchange.headers,
                                        exchange.body)
            situation["slashed"] = observe(response, played.normal)


def described(contract, system):
    """What flows/systems.yaml says of a system; our own where another folder is silent."""
    return contract.systems().get(system) or Contract(HERE).systems().get(system, {})


def signing_key(spec):
    """The key of a system's set-up: what the runner forges with, and avain's `keys.import`."""
    if spec is None:
        return None, {}
    if "secret" in spec:
        return Signing(spec["alg"], secret=spec["secret"]), {"keys.import": "hs256:" + spec["secret"]}
    private, public = fresh_rsa()
    return (Signing(spec["alg"], private_pem=private, public_pem=public),
            {"keys.import": private.decode()})


def replay_system(contract, system, setup, rules, only, database_url):
    """Start avain as `system`, replay, stop; gives the Score."""
    from processes import free_port  # tests/setup
    from stack import binary, start_stack  # tests/setup
    folder = ROOT / "target" / "contract" / system
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    spec = setup["systems"][system]
    signing, imported = signing_key(spec.get("signing"))
    # PostgreSQL may be shared, so the master key has to be given.
    master = {"keys.master": secrets.token_hex(32)} if database_url else {}
    paths = described(contract, system).get("vars", {})
    with contextlib.closing(Mailbox(free_port())) as mailbox:
        mail = {"mail.transport": "smtp://127.0.0.1:%d" % mailbox.port, "mail.tls": "none"}
        settings = {**setup["common"], **mail, **spec["settings"], **imported, **master}
        with start_stack(folder, settings=settings, database_url=database_url, tls=False,
                         contract=True) as stack:
            hook = Hook(binary(), stack.config)
            target = Target(system, stack.base_url, paths, signing, hook, mailbox)
            return Replay(contract, system, spec["layers"], rules, target, only).run()


@contextlib.contextmanager
def databases():
    """A function that gives each system's database URL; None for SQLite, which the stack makes."""
    engine = os.environ.get("DATABASE") or "sqlite"
    if engine == "sqlite":
        yield lambda _system: None
    elif engine == "postgresql":
        from postgres import Postgres  # tests/setup
        with Postgres() as cluster:
            yield lambda system: cluster.create_database(system.replace("-", "_"))
    else:
        raise Problem("DATABASE=%s: sqlite or postgresql" % engine)


def choose(contract, known, wanted):
    """The systems to replay: the one asked for, or all that are set up and recorded."""
    systems = [s for s in known if s == (wanted or s) and contract.recording(s)]
    if wanted and wanted not in known:
        raise Problem("SYSTEM=%s is not set up; known: %s" % (wanted, ", ".join(known)))
    if not systems:
        raise Problem("%s holds no recording of %s" % (contract.folder, wanted or "these systems"))
    return systems


def main():
    """Read variables and options; gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", help="flows whose id matches this pattern")
    parser.add_argument("--verbose", action="store_true", help="also print deliberate and skipped steps")
    arguments = parser.parse_args()
    setup = load_yaml(HERE / "systems.yaml")
    if os.environ.get("AVAIN_BIN"):
        os.environ["AVAIN_BINARY"] = os.environ["AVAIN_BIN"]  # stack.py's name for it
    try:
        contract = Contract(os.environ.get("CONTRACT") or HERE)
        systems = choose(contract, setup["systems"], os.environ.get("SYSTEM"))
        with databases() as url_of:
            good = [replay_and_print(contract, system, setup, url_of, arguments)
                    for system in systems]
    except Problem as why:
        print(why)
        return EXIT_USAGE
    return 0 if all(good) else 1


def replay_and_print(contract, system, setup, url_of, arguments):
    """Replay a system and print its score; whether nothing in it is different."""
    from processes import Failure  # tests/setup
    try:
        score = replay_system(contract, system, setup, Rules.load(), arguments.only, url_of(system))
    except (Failure, HookError, OSError) as why:
        print("%s: not replayed: %s" % (system, why), flush=True)
        return False
    score.print(arguments.verbose)
    return bool(score.verdicts) and not score.of("different")


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(main())

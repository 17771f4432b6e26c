#!/usr/bin/env python3
"""Looks after the flows themselves.

    tool.py lint                                        what is wrong in flows/, and how many there are
    tool.py show SYSTEM [--only GLOB]                   recorded answers, a line a step
    tool.py record SYSTEM --base-url URL [--hook CMD] [--secret S | --key PEM --public PEM] [--smtp-port N]
                                                        record a peer into recorded/SYSTEM.json

The hook is a shell command with JSON on stdin and stdout (hook.py says which).
"""
import argparse
import fnmatch
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from runner.flows import FLOW_KEYS, LAYERS, STEP_KEYS, Contract, Problem, expand, parts_compared
from runner.forge import Signing
from runner.mailbox import Mailbox
from runner.play import Target, play_flow, prepare

HERE = Path(__file__).resolve().parent


def lint(contract, _arguments):
    """Unknown words, names used twice, and the count of steps by system."""
    errors, steps_of, seen = [], Counter(), set()
    systems = contract.systems()
    for flow in contract.flows():
        name = flow.get("id")
        errors += ["%s: unknown keys %s" % (name, k) for k in set(flow) - FLOW_KEYS]
        errors += ["%s: used twice" % name] if name in seen else []
        errors += ["%s: bad layer" % name] if flow["layer"] not in LAYERS else []
        errors += ["%s: unknown system %s" % (name, s) for s in flow["systems"] if s not in systems]
        seen.add(name)
        for system in flow["systems"]:
            steps = expand(flow, system)
            steps_of[system] += sum("do" in step for step in steps)
            names = Counter(step["name"] for step in steps)
            errors += ["%s: step %s twice" % (name, s) for s, n in names.items() if n > 1]
            errors += ["%s/%s: unknown keys %s" % (name, s["name"], set(s) - STEP_KEYS)
                       for s in steps if set(s) - STEP_KEYS]
    for system, count in sorted(steps_of.items()):
        print("%-24s %6d steps" % (system, count))
    print("\n".join("ERROR " + e for e in errors) or "%d flows, no errors" % len(seen))
    return 1 if errors else 0


def show(contract, arguments):
    """Recorded answers."""
    recording = contract.recording(arguments.system)
    for flow in contract.flows(arguments.system):
        if flow["id"] not in recording or not fnmatch.fnmatch(flow["id"], arguments.only):
            continue
        print("## " + flow["id"])
        for step in expand(flow, arguments.system):
            facts = recording[flow["id"]].get(step["name"])
            if facts:
                body = facts["body"].get("value", "(%s)" % facts["body"]["kind"])
                print("  %-34s %-40s %s %s" % (step["name"], step["do"], facts["status"],
                                               json.dumps(body, ensure_ascii=False)))
                for key in ("headers", "jwt", "cookies", "mail"):
                    if facts.get(key):
                        print("      %s %s" % (key, json.dumps(facts[key], ensure_ascii=False)))
    return 0


def record(contract, arguments):
    """Play all flows of a system and keep what it answered; says where a flow expected otherwise."""
    def hook(request):
        done = subprocess.run(arguments.hook, shell=True, input=json.dumps(request), text=True,
                              capture_output=True, check=False)
        if done.returncode:
            raise Problem("hook failed (%d): %s" % (done.returncode, done.stderr[-1200:]))
        return json.loads(done.stdout or "{}")

    target = Target(arguments.system, arguments.base_url,
                    contract.systems()[arguments.system].get("vars", {}), signing_of(arguments),
                    hook if arguments.hook else None,
                    Mailbox(arguments.smtp_port) if arguments.smtp_port else None)
    flows = contract.flows(arguments.system)
    tags = prepare(flows, target, time.time_ns())
    recorded, surprises = {}, 0
    for flow in flows:
        steps = {}
        for played in play_flow(flow, target, tags[flow["id"]]):
            surprises += surprise(flow, played, arguments.system)
            if played.facts:
                steps[played.step["name"]] = trimmed(played.facts, parts_compared(flow, played.step))
        recorded[flow["id"]] = {"steps": steps}
    if target.mailbox:
        target.mailbox.close()
    document = {"system": arguments.system, "recorded": time.strftime("%Y-%m-%d"), "flows": recorded}
    path = contract.folder / "recorded" / (arguments.system + ".json")
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print("%s: %d flows, %d surprises" % (path, len(flows), surprises))
    return 1 if surprises else 0


def signing_of(arguments):
    """The peer's key, for forged tokens."""
    if arguments.secret:
        return Signing("HS256", secret=arguments.secret)
    if arguments.key:
        return Signing("RS256", private_pem=Path(arguments.key).read_bytes(),
                       public_pem=Path(arguments.public).read_bytes())
    return None


def surprise(flow, played, system):
    """Whether a step did not go as the flow says; prints how."""
    expected = played.step.get("expect")
    if isinstance(expected, dict):
        expected = expected.get(system, expected.get("*"))
    if played.problem:
        text = "%s: %s" % played.problem
    elif played.facts and expected is not None and expected != played.facts["status"]:
        text = "the flow says %s, the peer said %s" % (expected, played.facts["status"])
    elif played.facts and "mail" in played.facts and (
            played.facts["mail"]["count"] != played.step["mail"].get("count", 1)):
        text = "mail count %d" % played.facts["mail"]["count"]
    else:
        return False
    print("!! %s / %s: %s" % (flow["id"], played.step["name"], text))
    return True


def trimmed(facts, parts):
    """Facts without a long body that nobody compares."""
    if "body" in parts or len(json.dumps(facts["body"])) <= 300:
        return facts
    out = {k: v for k, v in facts.items() if k != "jwt"}
    return {**out, "body": {"kind": facts["body"]["kind"], "left_out": True}}


def main():
    """Do what the command says; gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default=HERE, help="another folder with flows/ and recorded/")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("lint").set_defaults(run=lint)
    shown = commands.add_parser("show")
    shown.set_defaults(run=show)
    shown.add_argument("system")
    shown.add_argument("--only", default="*", metavar="GLOB")
    recorder = commands.add_parser("record")
    recorder.set_defaults(run=record)
    recorder.add_argument("system")
    recorder.add_argument("--base-url", required=True)
    for option in ("--hook", "--secret", "--key", "--public"):
        recorder.add_argument(option)
    recorder.add_argument("--smtp-port", type=int)
    arguments = parser.parse_args()
    return arguments.run(Contract(arguments.folder), arguments)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(main())

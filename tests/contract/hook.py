#!/usr/bin/env python3
"""The set-up hook: one JSON request on stdin becomes avain commands; one JSON answer on stdout.

    hook.py --config FILE [--bin target/debug/avain]

    {"op": "create-users", "users": [{"username", "email", "password" (null: unusable), "first_name",
                                      "last_name", "is_active", "is_staff", "is_superuser"}]}
    {"op": "set-user", "username": …, "set": {…same fields…}}
    {"op": "delete-user", "username": …}
    {"op": "issue-token", "username": …}        -> {"key": "<40 hex>"}

What it cannot do is answered {"unsupported": true}.
"""
import argparse
import json
import os
import subprocess
import sys
import time

IMPORTED = ("username", "email", "password", "first_name", "last_name",
            "is_active", "is_staff", "is_superuser", "email_verified")
TEXTS = {"email": "--email", "first_name": "--first-name", "last_name": "--last-name"}
FLAGS = {"is_staff": "--staff", "is_superuser": "--superuser"}


# Seconds in which a running avain hears for certain of what another process changed (it polls each 0.2 s).
HEARD = 0.3


class HookError(RuntimeError):
    """A command failed; the text says which and how."""


class Hook:
    """Runs set-up requests with avain's command line."""

    def __init__(self, avain, config):
        self.avain, self.config = str(avain), str(config)
        # The configuration file says it all: no setting may leak in from the environment.
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("AVAIN_")}
        self.operations = {"create-users": self.create_users, "set-user": self.set_user,
                           "delete-user": self.delete_user, "issue-token": self.issue_token}

    def __call__(self, request):
        """Do a request and give its answer, once the service has heard of it."""
        operation = self.operations.get(request["op"])
        answer = operation(request) if operation else {"unsupported": True}
        if request["op"] in ("set-user", "delete-user"):
            time.sleep(HEARD)
        return answer

    def run(self, *arguments, stdin=""):
        """One avain command; gives its standard output."""
        command = [self.avain, "--config", self.config, *arguments]
        done = subprocess.run(command, input=stdin, env=self.environment, capture_output=True,
                              encoding="utf-8", check=False)
        if done.returncode:
            raise HookError("%s: exit %d: %s" % (" ".join(arguments), done.returncode,
                                                 (done.stdout + done.stderr)[-1200:]))
        return done.stdout

    def create_users(self, request):
        """All accounts in one process, a JSON line each."""
        lines = (json.dumps({field: user[field] for field in IMPORTED if field in user})
                 for user in request["users"])
        self.run("user", "import", "-", stdin="".join(line + "\n" for line in lines))
        return {}

    def set_user(self, request):
        """Change an account, field by field."""
        name, changes = request["username"], request["set"]
        known = {*TEXTS, *FLAGS, "password", "is_active"}
        if set(changes) - known:
            return {"unsupported": True}
        edits = ["%s=%s" % (option, changes[field]) for field, option in TEXTS.items()
                 if field in changes]
        edits += ["%s=%s" % (option, "true" if changes[field] else "false")
                  for field, option in FLAGS.items() if field in changes]
        if edits:
            self.run("user", "edit", name, *edits)
        if "is_active" in changes:
            self.run("user", "activate" if changes["is_active"] else "deactivate", name)
        if "password" in changes and changes["password"] is None:
            self.run("user", "set-password", name, "--unusable")
        elif "password" in changes:
            self.run("user", "set-password", name, "--password-stdin", "--force", stdin=changes["password"])
        return {}

    def delete_user(self, request):
        """Delete an account and what hangs on it."""
        self.run("user", "delete", request["username"], "--yes")
        return {}

    def issue_token(self, request):
        """The account's classic key."""
        return {"key": json.loads(self.run("token", "create", request["username"], "--json"))["key"]}


def main():
    """Read the request, print the answer; exit 1 with a line on stderr where a command fails."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.environ.get("AVAIN_BIN", "target/debug/avain"))
    parser.add_argument("--config", required=True)
    arguments = parser.parse_args()
    try:
        answer = Hook(arguments.bin, arguments.config)(json.load(sys.stdin))
    except HookError as why:
        sys.exit("hook: %s" % why)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()

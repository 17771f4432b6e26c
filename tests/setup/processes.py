"""Starting programs, waiting for them with a bound, and stopping those that were started here: by pid, never by name."""
import os
import signal
import socket
import subprocess
import time

PATIENCE = 30.0     # seconds that anything may take to come up or go down
INTERVAL = 0.02


class Failure(Exception):
    """Something that the person at the terminal has to know; printed without a traceback."""


def wait_until(condition, what, patience=PATIENCE):
    """What `condition()` gives once that is true; `Failure` naming `what` where it never is."""
    deadline = time.monotonic() + patience
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Failure(f"gave up after {patience:.0f} s waiting for {what}")
        time.sleep(INTERVAL)


def free_port():
    """A TCP port on 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_free(port):
    """Whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def is_open(port):
    """Whether somebody listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def started_at(pid):
    """What tells this process from a later one with the same pid; None where there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return None if fields[0] in ("Z", "X") else fields[19]
    except OSError:
        if os.path.isdir("/proc/self"):
            return None
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


class Process:
    """A program that runs in the background, its output in a file."""

    def __init__(self, name, command, log, env=None, cwd=None):
        self.name, self.log = name, str(log)
        with open(self.log, "ab") as output:
            self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                          env=env, cwd=cwd, start_new_session=True)
        self.pid = self.popen.pid
        self.started = started_at(self.pid)

    def wait_ready(self, condition):
        """Returns once `condition()` holds; `Failure` with the end of the log where the program ended instead."""
        def ready():
            if self.popen.poll() is not None:
                raise Failure(f"{self.name} ended with status {self.popen.returncode}:\n{tail(self.log)}")
            return condition()
        try:
            wait_until(ready, f"{self.name} to be ready (its output: {self.log})")
        except Failure:
            self.stop()
            raise

    def stop(self):
        """Ends it: politely, then for certain."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        return self.popen.returncode

    def kill(self):
        """Ends it as a crash would."""
        self.popen.kill()
        self.popen.wait()


def stop_recorded(name, pid, started):
    """Ends a process that an earlier command started, if it is still that one. Gives whether there was one."""
    if started is None or started_at(pid) != started:
        return False
    os.kill(pid, signal.SIGTERM)
    try:
        wait_until(lambda: started_at(pid) != started, f"{name} (pid {pid}) to end")
    except Failure:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: started_at(pid) != started, f"{name} (pid {pid}) to be killed")
    return True


def tail(path, lines=20):
    """The last lines of a file."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return "".join(file.readlines()[-lines:])

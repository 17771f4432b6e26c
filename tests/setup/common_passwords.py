#!/usr/bin/env python3
"""Derive the embedded list of common passwords, or hold it against the list it came from.

    common_passwords.py write LIST     writes src/account/common_passwords.bin
    common_passwords.py check LIST     every entry of LIST is found in it, and nothing else is in it

LIST has a password a line, in lower case: Django's `common-passwords.txt` (gzipped or not; BSD-3-Clause, collected by
Royce Williams). What is kept of an entry is the first five bytes of its SHA-256, all of them sorted one after the other:
an entry is always found, any other password by mistake with a chance of 1 in 50 million.
"""
import gzip
import hashlib
import sys
from pathlib import Path

BINARY = Path(__file__).resolve().parents[2] / "src" / "account" / "common_passwords.bin"
WIDTH = 5


def entries(path):
    """The passwords of a list."""
    data = Path(path).read_bytes()
    text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    return {line.strip() for line in text.splitlines()} - {""}


def key(password):
    """What is kept of a password."""
    return hashlib.sha256(password.encode()).digest()[:WIDTH]


def main():
    """Write or check; exit status 1 where the two differ, 64 for wrong usage."""
    if len(sys.argv) != 3 or sys.argv[1] not in ("write", "check"):
        print(__doc__, file=sys.stderr)
        return 64
    passwords = entries(sys.argv[2])
    binary = b"".join(sorted({key(password) for password in passwords}))
    if sys.argv[1] == "write":
        BINARY.write_bytes(binary)
    if BINARY.read_bytes() != binary:
        print(f"{BINARY} does not hold {sys.argv[2]}: run `common_passwords.py write`", file=sys.stderr)
        return 1
    print(f"{len(passwords)} passwords, {len(binary)} bytes, SHA-256 {hashlib.sha256(binary).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

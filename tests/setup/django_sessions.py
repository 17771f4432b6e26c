#!/usr/bin/env python3
"""Record what Django keeps of browser sessions: writes the records of one release into tests/data/django_sessions.json.

    python3 -m venv V && V/bin/pip install 'django==5.2.*' && V/bin/python tests/setup/django_sessions.py

Once for each release that counts (2.2, 3.2, 4.2, 5.2): the records of others stay. Needed only when Django's format
changes; the recorded file is committed. The keys are no secrets, and the time is always the same.
"""
import json
from pathlib import Path
from unittest import mock

import django
from django.conf import settings

KEY = "vector-secret-key-0123456789-abcdefghijklmnopqrstuvwxyz"
NEW_KEY = "new-secret-key-abcdefghijklmnopqrstuvwxyz-0123456789"
PASSWORD = "pbkdf2_sha256$150000$YRI6ZIUk6xlF$JEyqxJ5tGjvHbaYIScDpiqJqxZ8VtYJlfsTJP3+2P2o="
BACKEND = "django.contrib.auth.backends.ModelBackend"
AT = 1_790_000_000

settings.configure(SECRET_KEY=KEY, INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"])
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402

OUT = Path(__file__).resolve().parents[1] / "data" / "django_sessions.json"


def record(account, secret_keys=(KEY,), **more):
    """The row of somebody who has signed in under the last of the keys."""
    settings.SECRET_KEY = secret_keys[-1]
    user = User(id=account, password=PASSWORD)
    members = {"_auth_user_id": str(account), "_auth_user_backend": BACKEND, "_auth_user_hash": user.get_session_auth_hash(), **more}
    with mock.patch("time.time", return_value=AT):
        data = SessionStore().encode(members)
    return {"django": django.get_version(), "secret_keys": list(secret_keys), "id": account, "password": PASSWORD,
            "session_data": data}


def main():
    """Record what this release writes."""
    records = [record(4), record(3), record(4, basket=[f"hobby-{number}" for number in range(200)], note="ä" * 50)]
    if django.VERSION >= (4, 1):
        records.append(record(4, (NEW_KEY, KEY)))       # SECRET_KEY_FALLBACKS
    kept = [kept for kept in json.loads(OUT.read_text())["sessions"] if kept["django"].split(".")[:2] != list(map(str, django.VERSION[:2]))]
    records = sorted(kept + records, key=lambda one: [int(number) for number in one["django"].split(".")])
    about = "Recorded by tests/setup/django_sessions.py from django.contrib.sessions.backends.db; those of two keys were written under the second"
    lines = ",\n".join(json.dumps(one) for one in records)
    OUT.write_text(f'{{\n"about": {json.dumps(about)},\n"sessions": [\n{lines}\n]\n}}\n')
    print(django.get_version(), len(records))


if __name__ == "__main__":
    main()

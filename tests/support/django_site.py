#!/usr/bin/env python3
"""Django itself on a database of a test's, so that its own migrations and its own ORM meet our triggers.

    django_site.py HOST PORT USER PASSWORD DATABASE migrate [APP [MIGRATION]]
    django_site.py …                                do STATEMENT    (with `User`, `Token` and `matti` in sight)
    django_site.py …                                record          prints the SQL of all migrations, one after the other
"""
import io
import re
import sys

import django
from django.conf import settings
from django.core.management import call_command

host, port, user, password, name, verb, *rest = sys.argv[1:]
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "HOST": host, "PORT": port, "USER": user,
                           "PASSWORD": password, "NAME": name}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions",
                    "django.contrib.admin", "django.contrib.messages", "rest_framework", "rest_framework.authtoken"],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.PBKDF2PasswordHasher"], USE_I18N=False,
    SECRET_KEY="of no use to anybody", USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.AutoField")
django.setup()


def record():
    """Each migration as `-- app.name` and its statements; those without statements are left out."""
    from django.db import connection
    from django.db.migrations.loader import MigrationLoader

    graph = MigrationLoader(connection).graph
    plan = []
    for leaf in graph.leaf_nodes():
        plan += [key for key in graph.forwards_plan(leaf) if key not in plan]
    for app, migration in plan:
        printed = io.StringIO()
        call_command("sqlmigrate", app, migration, no_color=True, stdout=printed)
        lines = [line for line in printed.getvalue().splitlines() if line and not re.match("--|BEGIN;|COMMIT;", line)]
        if lines:
            print(f"-- {app}.{migration}", "BEGIN;", *lines, "COMMIT;", sep="\n")


if verb == "migrate":
    call_command("migrate", *rest, verbosity=0, interactive=False)
elif verb == "record":
    record()
else:
    from django.contrib.auth.models import User
    from rest_framework.authtoken.models import Token

    matti = User.objects.filter(username="matti").first()
    exec(rest[0], {"User": User, "Token": Token, "matti": matti})  # a test's own statement

#!/usr/bin/env python3
"""Record how Django judges passwords and mail addresses: writes tests/data/django_account_rules.json.

    python3 -m venv V && V/bin/pip install 'django==5.2.*' && V/bin/python tests/setup/django_account_rules.py

Needed only when Django's rules change; the recorded file is committed. The same seed gives the same cases.
"""
import gzip
import json
import random
from pathlib import Path

import django
from django.conf import settings

settings.configure(USE_I18N=False, AUTH_PASSWORD_VALIDATORS=[
    {"NAME": f"django.contrib.auth.password_validation.{name}"} for name in
    ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"])
django.setup()

from django.contrib.auth import password_validation  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.exceptions import ValidationError  # noqa: E402
from django.core.validators import validate_email  # noqa: E402

OUT = Path(__file__).resolve().parents[1] / "data" / "django_account_rules.json"
RANDOM = random.Random(52)

PEOPLE = [
    ("amy.w-lake", "Amy", "Westerlake", "amy.westerlake@example.org"),
    ("äiti_1", "Äiti", "Öhman-Ångström", "aiti@sähkö.example"),
    ("bob", "", "", ""),
    ("j", "Jo", "O'Neil", "jo@o-neil.ie"),
    ("user@example.org", "User", "Example", "user@example.org"),
    ("İstanbul", "STRASSE", "Σίσυφος", "sisyfos@olympos.gr"),
    ("नमस्ते", "ⓐⓑⓒⓓⓔⓕ", "李小龍功夫大師先生", "x" * 40 + "@y.fi"),
    ("aaaaaaaabbbb", "abcdefgh", "hgfedcba", "12345678@9.fi"),
]
FIXED = [
    "", " ", "a", "7 chars", "8 chars.", "password", " PassWord ", "\u00a0password\u3000", "\x1cpassword\x1f", "12345", "123",
    "12345678", "٣٤٥٦٧٨٩٠١", "²²²²²²²²²", "½½½½½½½½½", "ⅷⅷⅷⅷⅷⅷⅷⅷⅷ", "①②③④⑤⑥⑦⑧⑨", "０１２３４５６７８", "1234 5678 9012", "-123456789",
    "friend of emily", "Friend Of Emily", "correct horse battery staple", "ö" * 8, "ö" * 7, "😀" * 8, "😀" * 7, "e\u0301" * 4,
    "qwertyuiop", "QWERTYUIOP", "letmein1", "iloveyou", "x" * 600, "sähkö" * 10, "STRASSE1", "straße12", "istanbul", "i̇stanbul",
    "σίσυφος", "ΣΊΣΥΦΟΣ", "abcdefgh1", "hgfedcba", "नमस्तेनमस", "ⓐⓑⓒⓓⓔⓕⓖⓗ", "李小龍功夫大師", "exampleorg", "westerlake", "lake-w.amy",
]
ADDRESSES = [
    "a@b.fi", "A.B+c@Example.ORG", "a@localhost", "a@LOCALHOST", "a@host", "a@b", "@b.fi", "a@", "a", "", "a@@b.fi", "a@b@c.fi",
    "a b@c.fi", " a@b.fi", "a@b.fi ", "a@b.fi\n", "a\n@b.fi", "a@b\r\n.fi", "a@b.fi\r\nBcc: x@y.fi", "a\x00@b.fi", "a@b.fi\x00",
    ".a@b.fi", "a.@b.fi", "a..b@c.fi", "a.b.c@d.fi", "!#$%&'*+/=?^_`{}|~-@b.fi", "(a)@b.fi", "a,b@c.fi", "a;b@c.fi", "a:b@c.fi",
    "<a@b.fi>", "A B <a@b.fi>", "[a]@b.fi", "a\\b@c.fi", "ä@b.fi", "äiti@example.fi", "a@äiti.fi", "A@ÄITI.FI", "a@xn--iti-pla.fi",
    "a@b.xn--p1ai", "a@b.XN--P1AI", "a@b.xn--", "a@b.xn--1", "a@b.xn--1-1", "a@b.c", "a@b.co", "a@b.1c", "a@b.c1", "a@b.123", "a@1.fi",
    "a@1.2.fi", "a@-b.fi", "a@b-.fi", "a@b--c.fi", "a@b.-fi", "a@b.fi-", "a@b.f-i", "a@.b.fi", "a@b..fi", "a@b.fi.", "a@b_c.fi",
    "a@b.c-.fi", "a@b.-c.fi", "a@b.中国", "a@中国.中国", "a@例え.テスト", "a@😀.fi", "a@\u00a1.fi", "a@\uffee.fi", "a@b。fi", "a@ß.de", "a@ẞ.de",
    "a@[127.0.0.1]", "a@[127.0.0.01]", "a@[256.0.0.1]", "a@[::1]", "a@[2001:DB8::1]", "a@[IPv6:::1]", "a@[::ffff:1.2.3.4]", "a@[::1",
    "a@::1]", "a@[]", "a@[1.2.3]", "a@127.0.0.1", '"a"@b.fi', '"a b"@c.fi', '"a\\ b"@c.fi', '"a@b"@c.fi', '""@b.fi', '"@b.fi', '"a@b.fi',
    'a"b@c.fi', '"a"b@c.fi', '"a\\"b"@c.fi', '"a"b"@c.fi', '"a\\\\"@c.fi', '"a\\"@c.fi', '"a.b..c"@d.fi', '"ä"@b.fi', '"a"."b"@c.fi',
    "a@" + "b" * 63 + ".fi", "a@" + "b" * 64 + ".fi", "a@b." + "c" * 63, "a@b." + "c" * 64, "a@c." + "b" * 64 + ".fi",
    "a" * 65 + "@b.fi", "a" * 248 + "@b.fi", "a" * 249 + "@b.fi", "a" * 316 + "@b.f",
]


def broken(password, user):
    """The names of the rules that a password breaks."""
    names = []
    try:
        password_validation.validate_password(password, user)
    except ValidationError as refusals:
        for error in refusals.error_list:
            names.append({"password_too_similar": lambda e: "similar: %s" % e.params["verbose_name"],
                          "password_too_short": lambda e: "short: %d" % e.params["min_length"],
                          "password_too_common": lambda e: "common",
                          "password_entirely_numeric": lambda e: "numeric"}[error.code](error))
    return names


def near(text):
    """A text made of another one: shuffled, cut, mixed with other characters, so that some are just similar enough."""
    characters = list(text)
    RANDOM.shuffle(characters)
    characters = characters[:RANDOM.randint(1, len(characters))] + RANDOM.choices("zq7!ÖX", k=RANDOM.randint(0, 8))
    RANDOM.shuffle(characters)
    return "".join(characters)


def passwords():
    """Every fixed password for somebody, and passwords near to what belongs to each."""
    for number, password in enumerate(FIXED):
        yield password, PEOPLE[number % len(PEOPLE)]
        yield password, PEOPLE[5 if number % 2 else 6]
    for person in PEOPLE:
        for value in filter(None, person):
            yield value, person
            yield value.upper(), person
            yield value + "1234567", person
            for _ in range(6):
                yield near(value), person


def case(password, person):
    """One password with what Django says to it."""
    names = dict(zip(("username", "first_name", "last_name", "email"), person))
    return {"password": password, **names, "broken": broken(password, User(**names))}


def address(text):
    """One address with what Django stores for it: null where it is refused, or longer than the column."""
    try:
        validate_email(text)
    except ValidationError:
        return {"text": text, "normalized": None}
    normalized = User.objects.normalize_email(text)
    return {"text": text, "normalized": normalized if len(text) <= 254 else None}


def mutated(text):
    """An address with a character changed, dropped or doubled."""
    at = RANDOM.randrange(len(text))
    middle = RANDOM.choice(["", text[at] * 2, *'@.-"\\[ ä1_'])
    return text[:at] + middle + text[at + 1:]


def main():
    """Record everything."""
    listed = Path(password_validation.__file__).with_name("common-passwords.txt.gz")
    common = gzip.decompress(listed.read_bytes()).decode().split("\n")
    seeds = [text for text in ADDRESSES if 0 < len(text) < 40]
    addresses = ADDRESSES + [mutated(RANDOM.choice(seeds)) for _ in range(300)]
    recorded = {
        "about": f"Django {django.__version__}, recorded by tests/setup/django_account_rules.py",
        "passwords": [case(password, person) for password, person in passwords()],
        "addresses": [address(text) for text in dict.fromkeys(addresses)],
        "common": common[::50],
    }
    lines = ",\n".join(f"{json.dumps(name)}: " + (
        json.dumps(value) if isinstance(value, str) else
        "[\n" + ",\n".join(json.dumps(item, ensure_ascii=True) for item in value) + "\n]") for name, value in recorded.items())
    OUT.write_text("{\n" + lines + "\n}\n")
    print({name: len(value) for name, value in recorded.items()})


if __name__ == "__main__":
    main()

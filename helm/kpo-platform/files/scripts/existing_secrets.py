"""Are the secrets that the values name what Airflow needs? Each is a mounted folder here, a file per key.

Runs in the job that makes the others. A missing or malformed secret would show as a pod that does not start, or as an
error of Airflow's long after; here it is one sentence, and no value is printed.
"""

from __future__ import annotations

import base64
import binascii
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

FOLDER = Path("/opt/kpo-platform/existing-secrets")
PAUSE_SECONDS = 2.0
FERNET_BYTES = 32
IN_A_URL = set("/@:?#[] ")


def filled(value: str) -> str:
    """What is wrong with a value that is read with or without a line break at its end; empty for nothing."""
    return "" if value.strip() else "is empty"


def something(value: str) -> str:
    """What is wrong with a value that may be any text; empty for nothing."""
    if empty := filled(value):
        return empty
    return "" if value == value.strip() else "begins or ends with a blank or a line break"


def fernet(value: str) -> str:
    """What is wrong with a Fernet key, or with several that have commas between them."""
    for key in value.split(","):
        try:
            size = len(base64.b64decode(key, altchars=b"-_", validate=True))
        except binascii.Error:
            size = 0
        if size != FERNET_BYTES:
            return "is no Fernet key: 32 random bytes in URL-safe base64 (during a rotation two, with a comma between)"
    return ""


def connection(value: str) -> str:
    """What is wrong with the whole URL of a database."""
    if not value.startswith("postgresql"):
        return "is no URL of a PostgreSQL database (postgresql+psycopg2://…)"
    if "sslmode" in parse_qs(urlsplit(value).query):
        return "has `sslmode`, which one of Airflow's two drivers refuses; leave it out, or use data.metadataConnection"
    return ""


def certificate(value: str) -> str:
    """What is wrong with the certificate of an authority, or several."""
    return "" if "-----BEGIN CERTIFICATE-----" in value else "is no certificate in PEM (-----BEGIN CERTIFICATE-----)"


def private_key(value: str) -> str:
    """What is wrong with a key for ssh."""
    return "" if "PRIVATE KEY-----" in value else "is no private key (-----BEGIN OPENSSH PRIVATE KEY-----)"


def in_a_url(value: str) -> str:
    """What is wrong with a password that becomes part of a URL."""
    if IN_A_URL & set(value):
        return "has characters that a URL reads otherwise; write it as in one: `@` is `%40`, `/` is `%2F`"
    return something(value)


KEYS: dict[str, dict[str, Callable[[str], str]]] = {
    "admin": {"username": something, "password": something},
    "api-secret-key": {"api-secret-key": something},
    "broker": {"connection": something},
    "database": {"connection": connection},
    "database-ca": {"ca.crt": certificate},
    "database-password": {"password": in_a_url},
    "fernet-key": {"fernet-key": fernet},
    "git-https": {"username": something, "password": filled},
    "git-ssh": {"ssh-privatekey": private_key, "known_hosts": filled},
    "jwt-secret": {"jwt-secret": something},
    "oidc-client": {"client-secret": filled},
}
"""What the secret is for → key → what is wrong with its value."""


def complaints(given: dict[str, str], namespace: str) -> Iterator[str]:
    """Say what is wrong with the secrets that the values name, a sentence each.

    Args:
        given: what the secret is for → its name.
        namespace: of the secrets.
    """
    for what, name in given.items():
        folder = FOLDER / what
        if not any(one for one in folder.iterdir() if not one.name.startswith("..")):  # those are the kubelet's own
            keys = " and ".join(f"`{key}`" for key in KEYS[what])
            yield f"secret {namespace}/{name} is not there, or is empty; make it with the key {keys}"
            continue
        for key, wrong in KEYS[what].items():
            file = folder / key
            if not file.exists():
                yield f"secret {namespace}/{name} has no key `{key}`; add it"
            elif found := wrong(file.read_text()):
                yield f"secret {namespace}/{name}: its key `{key}` {found}"


def wait_until_right(given: dict[str, str], namespace: str, seconds: float) -> None:
    """Look at the secrets until they are right, and tell what is wrong whenever that changes.

    Args:
        given: what the secret is for → its name.
        namespace: of the secrets.
        seconds: how long; what changes reaches a running pod within about a minute.

    Raises:
        SystemExit: something was wrong to the last.
    """
    deadline = time.monotonic() + seconds
    told = ""
    while wrong := "\n".join(complaints(given, namespace)):
        if wrong != told:
            print(wrong, flush=True)
            told = wrong
        if time.monotonic() > deadline:
            sys.exit(wrong)
        time.sleep(PAUSE_SECONDS)

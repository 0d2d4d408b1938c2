"""Check the existing Secrets that the values name; each is mounted as a folder with a file per key.

Runs in the Job that creates the other Secrets. Without the check, a missing or malformed Secret shows as a pod that
does not start, or as an error of Airflow much later. The check prints one sentence per problem, never a value.
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
POLL_SECONDS = 2.0
FERNET_BYTES = 32
URL_CHARACTERS = set("/@:?#[] ")
"""Characters that are reserved in URLs, and the space."""

Check = Callable[[str], str]
"""Returns the problem of a value as the end of a sentence; an empty string if the value is valid."""


def check_not_empty(value: str) -> str:
    """Check a value whose reader accepts a line break at its end."""
    return "" if value.strip() else "is empty. Set a value"


def check_text(value: str) -> str:
    """Check a value of any format: not empty, no space or line break at either end."""
    if problem := check_not_empty(value):
        return problem
    return "" if value == value.strip() else "begins or ends with a space or a line break. Remove it"


def check_fernet_key(value: str) -> str:
    """Check one Fernet key, or several separated by commas."""
    for key in value.split(","):
        try:
            size = len(base64.b64decode(key, altchars=b"-_", validate=True))
        except binascii.Error:
            size = 0
        if size != FERNET_BYTES:
            return (
                "is not a Fernet key. Set 32 random bytes in URL-safe base64; for a rotation two, separated by a comma"
            )
    return ""


def check_database_url(value: str) -> str:
    """Check the complete URL of a database."""
    if not value.startswith("postgresql"):
        return "is not the URL of a PostgreSQL database. Set postgresql+psycopg2://…"
    if "sslmode" in parse_qs(urlsplit(value).query):
        return "has `sslmode`, which one of Airflow's two drivers refuses. Remove it, or use data.metadataConnection"
    return ""


def check_certificate(value: str) -> str:
    """Check a file of CA certificates."""
    has_header = "-----BEGIN CERTIFICATE-----" in value
    return "" if has_header else "is not a certificate. Set one in PEM format (-----BEGIN CERTIFICATE-----)"


def check_private_key(value: str) -> str:
    """Check a private key for ssh."""
    has_header = "PRIVATE KEY-----" in value
    return "" if has_header else "is not a private key. Set one in PEM format (-----BEGIN OPENSSH PRIVATE KEY-----)"


def check_url_password(value: str) -> str:
    """Check a password that becomes part of a URL."""
    if URL_CHARACTERS & set(value):
        return "has characters that are reserved in URLs. URL-encode them: `@` as `%40`, `/` as `%2F`"
    return check_text(value)


CHECKS: dict[str, dict[str, Check]] = {
    "admin": {"username": check_text, "password": check_text},
    "api-secret-key": {"api-secret-key": check_text},
    "broker": {"connection": check_text},
    "database": {"connection": check_database_url},
    "database-ca": {"ca.crt": check_certificate},
    "database-password": {"password": check_url_password},
    "fernet-key": {"fernet-key": check_fernet_key},
    "git-https": {"username": check_text, "password": check_not_empty},
    "git-ssh": {"ssh-privatekey": check_private_key, "known_hosts": check_not_empty},
    "jwt-secret": {"jwt-secret": check_text},
    "oidc-client": {"client-secret": check_not_empty},
}
"""Purpose of a Secret, as in the chart's helper existingSecrets → required key → check of its value."""


def find_problems(names: dict[str, str], namespace: str) -> Iterator[str]:
    """Yield one sentence for each problem of the Secrets.

    Args:
        names: purpose → name of the Secret.
        namespace: namespace of the Secrets.
    """
    for purpose, name in names.items():
        secret, folder = f"{namespace}/{name}", FOLDER / purpose
        if not any(file for file in folder.iterdir() if not file.name.startswith("..")):  # the kubelet's own files
            keys = [f"`{key}`" for key in CHECKS[purpose]]
            noun = "key" if len(keys) == 1 else "keys"
            yield f"Secret {secret} is missing or empty. Create it with the {noun} {' and '.join(keys)}."
            continue
        for key, check in CHECKS[purpose].items():
            file = folder / key
            if not file.exists():
                yield f"Secret {secret} has no key `{key}`. Add the key."
            elif problem := check(file.read_text()):
                yield f"Secret {secret}: key `{key}` {problem}."


def wait_until_valid(names: dict[str, str], namespace: str, timeout_seconds: float) -> None:
    """Wait until all Secrets are valid, and print the problems whenever they change.

    Args:
        names: purpose → name of the Secret.
        namespace: namespace of the Secrets.
        timeout_seconds: time after which to give up; a change of a Secret reaches a running pod after about a minute.

    Raises:
        SystemExit: the timeout is over; the message names the problems.
    """
    deadline = time.monotonic() + timeout_seconds
    printed = ""
    while problems := "\n".join(find_problems(names, namespace)):
        if problems != printed:
            print(problems, flush=True)
            printed = problems
        if time.monotonic() > deadline:
            sys.exit(problems)
        time.sleep(POLL_SECONDS)

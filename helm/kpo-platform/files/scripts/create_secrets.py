"""Create the platform's own Secrets once, and check the existing Secrets that the values name.

Runs as a Job whose service account may create Secrets in its namespace and nothing else: if a Secret exists, the API
server answers 409 and the Secret stays unchanged. Uses the standard library only. Prints one line per Secret, never a
value.

Environment:
    NAMESPACE: namespace of the Secrets.
    SECRETS: JSON, platform Secret → name of the Secret to create.
    EXISTING_SECRETS: JSON, purpose → name of the existing Secret to check.
    DATABASE_HOST: host of the embedded database, for its connection URL.
    BROKER_HOST: host of the embedded broker, for its URL.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import ssl
import string
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from existing_secrets import wait_until_valid

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Folder with the service account's token and the API server's CA certificate."""

CONFLICT = 409
TIMEOUT_SECONDS = 30
CHECK_TIMEOUT_SECONDS = 600


def generate_password() -> str:
    """Generate a password of 190 bits without characters that need quoting in a URL or a shell."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))


def generate_fernet_key() -> dict[str, str]:
    """Generate the key that encrypts connections in Airflow's database: 32 bytes, as Fernet requires."""
    return {"fernet-key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}


def generate_jwt_secret() -> dict[str, str]:
    """Generate the secret that signs the tokens of tasks: 64 bytes, for HS512."""
    return {"jwt-secret": secrets.token_urlsafe(64)}


def generate_api_secret_key() -> dict[str, str]:
    """Generate the secret that signs sessions and requests for logs."""
    return {"api-secret-key": secrets.token_urlsafe(64)}


def generate_admin() -> dict[str, str]:
    """Generate the login of Airflow's first user."""
    return {"username": "admin", "password": generate_password()}


def generate_database() -> dict[str, str]:
    """Generate the password of the embedded database and Airflow's connection URL."""
    password = generate_password()
    host = os.environ["DATABASE_HOST"]
    return {
        "password": password,
        "connection": f"postgresql+psycopg2://airflow:{password}@{host}:5432/airflow",
    }


def generate_broker() -> dict[str, str]:
    """Generate the password of the embedded broker and the URL for scheduler and workers."""
    password = generate_password()
    return {"password": password, "connection": f"redis://:{password}@{os.environ['BROKER_HOST']}:6379/0"}


GENERATORS: dict[str, Callable[[], dict[str, str]]] = {
    "admin": generate_admin,
    "api-secret-key": generate_api_secret_key,
    "broker": generate_broker,
    "database": generate_database,
    "fernet-key": generate_fernet_key,
    "jwt-secret": generate_jwt_secret,
}
"""Platform Secret, as in the chart's helper platformSecrets → generator of its keys and values."""


def build_manifest(name: str, data: dict[str, str]) -> dict[str, object]:
    """Return the Secret object; without Helm's labels, so that `helm uninstall` does not delete it."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "kpo-platform"}},
        "type": "Opaque",
        "stringData": data,
    }


def create_secret(namespace: str, manifest: dict[str, object]) -> bool:
    """Create the Secret; return False if it exists.

    Raises:
        urllib.error.URLError: the API server is unreachable or refuses the request.
    """
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT_HTTPS"]
    address = f"[{host}]" if ":" in host else host
    request = urllib.request.Request(
        f"https://{address}:{port}/api/v1/namespaces/{namespace}/secrets",
        data=json.dumps(manifest).encode(),
        headers={
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
            "Content-Type": "application/json",
        },
        method="POST",
    )
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        with urllib.request.urlopen(request, context=context, timeout=TIMEOUT_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        if error.code == CONFLICT:
            return False
        raise


def main() -> None:
    """Create the Secrets in SECRETS, then check those in EXISTING_SECRETS."""
    namespace = os.environ["NAMESPACE"]
    for secret, name in json.loads(os.environ["SECRETS"]).items():
        try:
            created = create_secret(namespace, build_manifest(name, GENERATORS[secret]()))
        except urllib.error.URLError as error:
            sys.exit(
                f"Secret {namespace}/{name} cannot be created: {error}. "
                "Check the Role of this Job and the API server; the Job tries again."
            )
        print(f"Secret {namespace}/{name}: {'created' if created else 'exists'}")
    wait_until_valid(json.loads(os.environ["EXISTING_SECRETS"]), namespace, CHECK_TIMEOUT_SECONDS)


if __name__ == "__main__":
    main()

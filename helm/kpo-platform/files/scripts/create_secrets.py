"""Make the platform's own secrets, each once, and look at those that others brought.

Runs as a Job whose account may create secrets in its namespace and do nothing else with them: a secret that is
already there answers 409 and stays as it is. Standard library only. Prints one line per secret, never a value.

Environment:
    NAMESPACE: where to make them.
    SECRETS: JSON, what is to be made → the secret's name.
    EXISTING_SECRETS: JSON, what others brought → the secret's name.
    DATABASE_HOST: the host of the embedded database, for its connection.
    BROKER_HOST: the host of the embedded broker, for its URL.
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

from existing_secrets import wait_until_right

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet mounts the token of the pod's account and the certificate of the API server."""

CONFLICT = 409
TIMEOUT_SECONDS = 30
GIVEN_SECONDS = 600


def password() -> str:
    """A random password without characters that a URL or a shell would read otherwise: 190 bits."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))


def fernet_key() -> dict[str, str]:
    """The key that encrypts connections in Airflow's database: 32 bytes, as the Fernet format wants them."""
    return {"fernet-key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}


def jwt_secret() -> dict[str, str]:
    """The secret that signs the tokens of tasks; HS512 wants 64 bytes."""
    return {"jwt-secret": secrets.token_urlsafe(64)}


def api_secret_key() -> dict[str, str]:
    """The secret that signs sessions and requests for logs."""
    return {"api-secret-key": secrets.token_urlsafe(64)}


def admin() -> dict[str, str]:
    """The first user of Airflow."""
    return {"username": "admin", "password": password()}


def database() -> dict[str, str]:
    """The embedded database's password, and the connection that Airflow uses."""
    chosen = password()
    host = os.environ["DATABASE_HOST"]
    return {
        "password": chosen,
        "connection": f"postgresql+psycopg2://airflow:{chosen}@{host}:5432/airflow",
    }


def broker() -> dict[str, str]:
    """The embedded broker's password, and the URL that scheduler and workers use."""
    chosen = password()
    return {"password": chosen, "connection": f"redis://:{chosen}@{os.environ['BROKER_HOST']}:6379/0"}


MAKERS: dict[str, Callable[[], dict[str, str]]] = {
    "admin": admin,
    "api-secret-key": api_secret_key,
    "broker": broker,
    "database": database,
    "fernet-key": fernet_key,
    "jwt-secret": jwt_secret,
}


def manifest(name: str, data: dict[str, str]) -> dict[str, object]:
    """The Secret object. Its labels say whose it is; that Helm's are missing is what keeps it from an uninstall."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "kpo-platform"}},
        "type": "Opaque",
        "stringData": data,
    }


def create(namespace: str, secret: dict[str, object]) -> bool:
    """Make the secret; False if it is already there.

    Raises:
        urllib.error.URLError: the API server cannot be reached or refuses.
    """
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT_HTTPS"]
    address = f"[{host}]" if ":" in host else host
    request = urllib.request.Request(
        f"https://{address}:{port}/api/v1/namespaces/{namespace}/secrets",
        data=json.dumps(secret).encode(),
        headers={
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
            "Content-Type": "application/json",
        },
        method="POST",
    )
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        with urllib.request.urlopen(request, context=trust, timeout=TIMEOUT_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        if error.code == CONFLICT:
            return False
        raise


def main() -> None:
    """Make every secret that SECRETS names, then look at those of EXISTING_SECRETS."""
    namespace = os.environ["NAMESPACE"]
    for what, name in json.loads(os.environ["SECRETS"]).items():
        try:
            made = create(namespace, manifest(name, MAKERS[what]()))
        except urllib.error.URLError as error:
            sys.exit(f"secret {namespace}/{name} could not be made: {error}; the job tries again")
        print(f"secret {namespace}/{name}: {'made' if made else 'is already there'}")
    wait_until_right(json.loads(os.environ["EXISTING_SECRETS"]), namespace, GIVEN_SECONDS)


if __name__ == "__main__":
    main()

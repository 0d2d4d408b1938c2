"""An external PostgreSQL in its own namespace that requires TLS."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stack.release import NAMESPACE as PLATFORM
from stack.release import RELEASE, Stack

NAMESPACE = "external-db"
HOST = f"postgres.{NAMESPACE}.svc.cluster.local"
OTHER_NAME = f"postgres.{NAMESPACE}.svc"
"""Another name of the server, which its certificate does not contain."""

USER, DATABASE, PASSWORD = "conductor", "orchestra", "p@ss/of-a-test"
START = f"""
initdb --pgdata=$PGDATA --username={USER} --pwfile=/secrets/password --auth=scram-sha-256 --encoding=UTF8 --locale=C
printf 'local all all trust\\nhostssl all all all scram-sha-256\\n' > $PGDATA/pg_hba.conf
echo 'CREATE DATABASE {DATABASE}' | postgres --single -D $PGDATA postgres
exec postgres -c listen_addresses='*' -c unix_socket_directories=/data -c ssl=on \
  -c ssl_cert_file=/secrets/tls.crt -c ssl_key_file=/secrets/tls.key
"""


@dataclass(frozen=True)
class ExternalDatabase:
    """The database from its administrators' point of view.

    Attributes:
        stack: the cluster.
        ca_certificate: the certificate of the CA that signed the server's certificate.
    """

    stack: Stack
    ca_certificate: str

    def query(self, sql: str) -> str:
        """Run SQL and return its output, a line per row."""
        words = ("psql", "-AtqX", f"--username={USER}", "--set=ON_ERROR_STOP=1", f"--command={sql}", DATABASE)
        return self.stack.kubectl("exec", "-n", NAMESPACE, "postgres", "--", *words).strip()


@contextmanager
def run_external_database(stack: Stack) -> Iterator[ExternalDatabase]:
    """Run the database during the block; delete it with its data afterwards."""
    ca_certificate, certificate, key = _create_certificates()
    secrets = {"password": PASSWORD, "tls.crt": certificate, "tls.key": key}
    data = {name: base64.b64encode(value.encode()).decode() for name, value in secrets.items()}
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    service = {"spec": {"selector": {"app": "postgres"}, "ports": [{"port": 5432}]}}
    stack.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout_s=180)
    try:
        for item in (
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}},
            {**_object("Secret"), "data": data},
            {**_object("Service"), **service},
            {**_object("Pod"), "spec": _pod(stack)},
        ):
            stack.kubectl("apply", "-f", "-", stdin=json.dumps(item))
        stack.kubectl("wait", "pod/postgres", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=120s", timeout_s=130)
        yield ExternalDatabase(stack, ca_certificate)
    finally:
        stack.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout_s=180)


def _object(kind: str) -> dict[str, Any]:
    metadata = {"name": "postgres", "namespace": NAMESPACE, "labels": {"app": "postgres"}}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


def _pod(stack: Stack) -> dict[str, Any]:
    """Return the server's pod, with the image of the embedded database."""
    embedded = stack.get("statefulset", f"{RELEASE}-postgresql", "-n", PLATFORM)["spec"]["template"]["spec"]
    container = {
        "name": "postgres",
        "image": embedded["containers"][0]["image"],
        "command": ["sh", "-ec", START],
        "env": [{"name": "PGDATA", "value": "/data/pgdata"}, {"name": "PGHOST", "value": "/data"}],
        "securityContext": embedded["containers"][0]["securityContext"],
        "readinessProbe": {"exec": {"command": ["pg_isready", "--quiet"]}, "periodSeconds": 2, "timeoutSeconds": 10},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "secrets", "mountPath": "/secrets"}],
    }
    volumes = [
        {"name": "data", "emptyDir": {}},
        {"name": "secrets", "secret": {"secretName": "postgres", "defaultMode": 0o440}},
    ]
    return {"securityContext": embedded["securityContext"], "containers": [container], "volumes": volumes}


def _create_certificates() -> tuple[str, str, str]:
    """Return a CA certificate, and certificate and key of a server."""
    root, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    ca = _certificate_builder(name, name, root).add_extension(constraints, critical=True).sign(root, hashes.SHA256())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "postgres")])
    names = x509.SubjectAlternativeName([x509.DNSName(HOST)])
    certificate = (
        _certificate_builder(subject, name, server).add_extension(names, critical=False).sign(root, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key = server.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return ca.public_bytes(pem).decode(), certificate.public_bytes(pem).decode(), key.decode()


def _certificate_builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
    )

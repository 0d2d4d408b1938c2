"""Self-contained kubeconfigs with embedded certificates."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from common.files import write_atomically
from local_cluster.addresses import API_SERVER, NAME
from local_cluster.certificates import ADMIN, CLIENTS, Identity, Pki
from local_cluster.cluster_paths import ClusterPaths


def kubeconfig_path(paths: ClusterPaths, identity: Identity) -> Path:
    """Return the kubeconfig file of an identity."""
    return paths.admin_kubeconfig if identity is ADMIN else paths.config / f"{identity.name}.kubeconfig"


def write_kubeconfigs(paths: ClusterPaths) -> None:
    """Write the kubeconfigs of all clients, as JSON, which is valid YAML."""
    pki = Pki(paths.pki)
    for identity in CLIENTS:
        content = render_kubeconfig(
            pki.ca_certificate.read_bytes(), pki.certificate(identity).read_bytes(), pki.key(identity).read_bytes()
        )
        write_atomically(kubeconfig_path(paths, identity), json.dumps(content, indent=2) + "\n", mode=0o600)


def render_kubeconfig(ca_certificate: bytes, certificate: bytes, key: bytes) -> dict[str, object]:
    """Return the content of a kubeconfig.

    Args:
        ca_certificate: the CA certificate of the API server, in PEM.
        certificate: the client's certificate, in PEM.
        key: the client's key, in PEM.
    """
    cluster = {"server": API_SERVER, "certificate-authority-data": _encode(ca_certificate)}
    user = {"client-certificate-data": _encode(certificate), "client-key-data": _encode(key)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": NAME, "user": user}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        "current-context": NAME,
    }


def _encode(pem: bytes) -> str:
    return base64.b64encode(pem).decode()

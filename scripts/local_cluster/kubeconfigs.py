"""Kubeconfigs with everything embedded, so that a copy of the file is enough."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from common.files import write_whole
from local_cluster.addresses import API_SERVER, NAME
from local_cluster.certificates import ADMIN, CLIENTS, Identity, Pki
from local_cluster.cluster_paths import Layout


def kubeconfig_of(layout: Layout, identity: Identity) -> Path:
    """Give the kubeconfig file of an identity."""
    return layout.admin_kubeconfig if identity is ADMIN else layout.config / f"{identity.name}.kubeconfig"


def write_kubeconfigs(layout: Layout) -> None:
    """Write the kubeconfig of every client. JSON is YAML, too."""
    pki = Pki(layout.pki)
    for identity in CLIENTS:
        content = kubeconfig(
            pki.authority.read_bytes(), pki.certificate(identity).read_bytes(), pki.key(identity).read_bytes()
        )
        write_whole(kubeconfig_of(layout, identity), json.dumps(content, indent=2) + "\n", mode=0o600)


def kubeconfig(authority: bytes, certificate: bytes, key: bytes) -> dict[str, object]:
    """Give the content of a kubeconfig.

    Args:
        authority: the certificate that the API server's is signed with, in PEM.
        certificate: the client's, in PEM.
        key: the client's, in PEM.
    """
    cluster = {"server": API_SERVER, "certificate-authority-data": _encoded(authority)}
    user = {"client-certificate-data": _encoded(certificate), "client-key-data": _encoded(key)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": NAME, "user": user}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        "current-context": NAME,
    }


def _encoded(pem: bytes) -> str:
    return base64.b64encode(pem).decode()

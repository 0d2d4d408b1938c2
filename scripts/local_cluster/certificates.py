"""Keys and certificates: one CA, and an identity for every client and server of the Kubernetes API.

Created for every cluster with openssl; elliptic-curve keys, because they are fast to create.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.command import capture_output
from common.files import write_atomically
from local_cluster.addresses import KUBERNETES_SERVICE_IP, NODE, NODE_IP
from local_cluster.cluster_paths import ClusterPaths

_VALID_DAYS = "365"
_CURVE = ("-pkeyopt", "ec_paramgen_curve:prime256v1")
# Replaces the machine's openssl.cnf, which would add extensions.
_EMPTY_CONFIG = "[req]\ndistinguished_name = name\n[name]\n"


@dataclass(frozen=True)
class Identity:
    """A holder of a certificate.

    Attributes:
        name: base name of its files.
        subject: the certificate's subject; the API server reads the user from `CN` and the group from `O`.
        addresses: names and addresses of a server, as openssl writes them; empty for a client.
    """

    name: str
    subject: str
    addresses: tuple[str, ...] = ()


ADMIN = Identity("admin", "/O=system:masters/CN=admin")
CONTROLLER_MANAGER = Identity("kube-controller-manager", "/CN=system:kube-controller-manager")
SCHEDULER = Identity("kube-scheduler", "/CN=system:kube-scheduler")
PROXY = Identity("kube-proxy", "/CN=system:kube-proxy")
COREDNS = Identity("coredns", "/CN=kpo-platform:coredns")
PROVISIONER = Identity("local-path-provisioner", "/CN=kpo-platform:local-path-provisioner")
KUBELET_CLIENT = Identity("kubelet-client", "/CN=kpo-platform:kubelet-client")  # the API server as client of kubelets
KUBELET = Identity("kubelet", f"/O=system:nodes/CN=system:node:{NODE}", (f"DNS:{NODE}", f"IP:{NODE_IP}"))
API_SERVER = Identity(
    "kube-apiserver",
    "/CN=kube-apiserver",
    (
        f"IP:{NODE_IP}",
        f"IP:{KUBERNETES_SERVICE_IP}",
        "DNS:kubernetes",
        "DNS:kubernetes.default",
        "DNS:kubernetes.default.svc",
        "DNS:kubernetes.default.svc.cluster.local",
    ),
)

# Identities with a kubeconfig.
CLIENTS = (ADMIN, CONTROLLER_MANAGER, SCHEDULER, PROXY, KUBELET, COREDNS, PROVISIONER)


@dataclass(frozen=True)
class Pki:
    """The folder of keys and certificates."""

    folder: Path

    @property
    def ca_certificate(self) -> Path:
        """The CA certificate."""
        return self.folder / "authority.crt"

    @property
    def ca_key(self) -> Path:
        """The CA's key."""
        return self.folder / "authority.key"

    @property
    def token_key(self) -> Path:
        """The key that signs service account tokens."""
        return self.folder / "tokens.key"

    @property
    def token_public_key(self) -> Path:
        """The public key that verifies service account tokens."""
        return self.folder / "tokens.pub"

    def certificate(self, identity: Identity) -> Path:
        """Return the certificate file of an identity."""
        return self.folder / f"{identity.name}.crt"

    def key(self, identity: Identity) -> Path:
        """Return the key file of an identity."""
        return self.folder / f"{identity.name}.key"


def make_certificates(paths: ClusterPaths) -> None:
    """Create all keys and certificates."""
    pki = Pki(paths.pki)
    pki.folder.mkdir(mode=0o700)
    write_atomically(pki.folder / "openssl.cnf", _EMPTY_CONFIG)
    ca_extensions = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
    _create_certificate(pki, "/CN=kpo-platform", pki.ca_certificate, pki.ca_key, *ca_extensions)
    capture_output(("openssl", "genpkey", "-algorithm", "EC", *_CURVE, "-out", pki.token_key))
    capture_output(("openssl", "pkey", "-in", pki.token_key, "-pubout", "-out", pki.token_public_key))
    signer = ("-CA", pki.ca_certificate, "-CAkey", pki.ca_key)
    for identity in (*CLIENTS, KUBELET_CLIENT, API_SERVER):
        certificate, key = pki.certificate(identity), pki.key(identity)
        _create_certificate(pki, identity.subject, certificate, key, *_extensions(identity), signer=signer)


def _extensions(identity: Identity) -> tuple[str, ...]:
    if not identity.addresses:
        return ("basicConstraints=critical,CA:FALSE", "extendedKeyUsage=clientAuth")
    return (
        "basicConstraints=critical,CA:FALSE",
        "extendedKeyUsage=serverAuth,clientAuth",
        f"subjectAltName={','.join(identity.addresses)}",
    )


def _create_certificate(
    pki: Pki, subject: str, certificate: Path, key: Path, *extensions: str, signer: tuple[str | Path, ...] = ()
) -> None:
    """Create a key and its certificate, self-signed unless there is a signer."""
    request = ("openssl", "req", "-x509", "-config", pki.folder / "openssl.cnf", "-days", _VALID_DAYS)
    new_key = ("-newkey", "ec", *_CURVE, "-nodes", "-keyout", key)
    extension_options = [word for extension in extensions for word in ("-addext", extension)]
    capture_output((*request, *new_key, *signer, "-subj", subject, *extension_options, "-out", certificate))

"""Keys and certificates: one authority, and an identity for everyone who speaks to the API server or answers for it.

Made anew for every cluster by openssl; elliptic keys, because they take no time to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.files import write_whole
from common.run import capture
from local_cluster.addresses import KUBERNETES_SERVICE_IP, NODE, NODE_IP
from local_cluster.cluster_paths import Layout

_VALID_DAYS = "365"
_CURVE = ("-pkeyopt", "ec_paramgen_curve:prime256v1")
# Instead of the machine's openssl.cnf, which would add extensions.
_EMPTY_CONFIG = "[req]\ndistinguished_name = name\n[name]\n"


@dataclass(frozen=True)
class Identity:
    """Someone with a certificate.

    Attributes:
        name: of its files.
        subject: who it is to the API server: `CN` is the user, `O` the group.
        addresses: the names it answers under, as openssl writes them; empty for a mere client.
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
KUBELET_CLIENT = Identity("kubelet-client", "/CN=kpo-platform:kubelet-client")  # the API server asking kubelets
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

# Those who get a kubeconfig.
CLIENTS = (ADMIN, CONTROLLER_MANAGER, SCHEDULER, PROXY, KUBELET, COREDNS, PROVISIONER)


@dataclass(frozen=True)
class Pki:
    """The folder of keys and certificates."""

    folder: Path

    @property
    def authority(self) -> Path:
        """The certificate everyone trusts."""
        return self.folder / "authority.crt"

    @property
    def authority_key(self) -> Path:
        """The key that signs all certificates."""
        return self.folder / "authority.key"

    @property
    def token_key(self) -> Path:
        """The key that signs the tokens of service accounts."""
        return self.folder / "tokens.key"

    @property
    def token_public_key(self) -> Path:
        """The key that these tokens are checked with."""
        return self.folder / "tokens.pub"

    def certificate(self, identity: Identity) -> Path:
        """Give the certificate of an identity."""
        return self.folder / f"{identity.name}.crt"

    def key(self, identity: Identity) -> Path:
        """Give the key of an identity."""
        return self.folder / f"{identity.name}.key"


def make_certificates(layout: Layout) -> None:
    """Make all keys and certificates."""
    pki = Pki(layout.pki)
    pki.folder.mkdir(mode=0o700)
    write_whole(pki.folder / "openssl.cnf", _EMPTY_CONFIG)
    may_sign = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
    _make(pki, "/CN=kpo-platform", pki.authority, pki.authority_key, *may_sign)
    capture(("openssl", "genpkey", "-algorithm", "EC", *_CURVE, "-out", pki.token_key))
    capture(("openssl", "pkey", "-in", pki.token_key, "-pubout", "-out", pki.token_public_key))
    signer = ("-CA", pki.authority, "-CAkey", pki.authority_key)
    for identity in (*CLIENTS, KUBELET_CLIENT, API_SERVER):
        certificate, key = pki.certificate(identity), pki.key(identity)
        _make(pki, identity.subject, certificate, key, *_extensions(identity), signer=signer)


def _extensions(identity: Identity) -> tuple[str, ...]:
    if not identity.addresses:
        return ("basicConstraints=critical,CA:FALSE", "extendedKeyUsage=clientAuth")
    return (
        "basicConstraints=critical,CA:FALSE",
        "extendedKeyUsage=serverAuth,clientAuth",
        f"subjectAltName={','.join(identity.addresses)}",
    )


def _make(
    pki: Pki, subject: str, certificate: Path, key: Path, *extensions: str, signer: tuple[str | Path, ...] = ()
) -> None:
    """Make a key and its certificate, signed by itself unless there is a signer."""
    request = ("openssl", "req", "-x509", "-config", pki.folder / "openssl.cnf", "-days", _VALID_DAYS)
    new_key = ("-newkey", "ec", *_CURVE, "-nodes", "-keyout", key)
    added = [word for extension in extensions for word in ("-addext", extension)]
    capture((*request, *new_key, *signer, "-subj", subject, *added, "-out", certificate))

"""The programs the cluster takes from Debian."""

from __future__ import annotations

import os

from common.debian import install_packages, missing_packages
from common.errors import ScriptError
from common.steps import Steps

CNI_PLUGINS = "/usr/lib/cni"

NEEDS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    f"{CNI_PLUGINS}/ptp": "containernetworking-plugins",
    "nft": "nftables",  # kube-proxy writes its rules with it
    "conntrack": "conntrack",  # kube-proxy ends stale UDP flows with it
    "ip": "iproute2",
    "nsenter": "util-linux",
    "umount": "mount",
    "openssl": "openssl",
}


def require_root() -> None:
    """Refuse to go on as anyone but root.

    Raises:
        ScriptError: this user is not root.
    """
    if os.geteuid() != 0:
        raise ScriptError("The local cluster needs root, for namespaces and mounts: run this as root.")


def ensure_packages(steps: Steps) -> None:
    """Install what this machine lacks.

    Raises:
        ScriptError: the installation failed.
    """
    missing = missing_packages(NEEDS)
    if missing:
        with steps.step(f"Install Debian packages: {', '.join(missing)}") as step:
            install_packages(missing, step.detail)

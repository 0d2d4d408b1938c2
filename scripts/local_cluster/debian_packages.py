"""Debian packages that the cluster requires."""

from __future__ import annotations

import os

from common.debian import find_missing_packages, install_packages
from common.errors import ScriptError
from common.steps import Steps

CNI_PLUGINS = "/usr/lib/cni"

REQUIRED_PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    f"{CNI_PLUGINS}/ptp": "containernetworking-plugins",
    "nft": "nftables",  # for kube-proxy's rules
    "conntrack": "conntrack",  # for kube-proxy's removal of stale UDP flows
    "ip": "iproute2",
    "nsenter": "util-linux",
    "umount": "mount",
    "openssl": "openssl",
}


def require_root() -> None:
    """Reject users other than root.

    Raises:
        ScriptError: this user is not root.
    """
    if os.geteuid() != 0:
        raise ScriptError("Cannot manage the local cluster: namespaces and mounts require root. Run this as root.")


def ensure_debian_packages(steps: Steps) -> None:
    """Install missing packages.

    Raises:
        ScriptError: the installation failed.
    """
    missing = find_missing_packages(REQUIRED_PROGRAMS)
    if missing:
        with steps.step(f"Install Debian packages: {', '.join(missing)}") as step:
            install_packages(missing, step.detail)

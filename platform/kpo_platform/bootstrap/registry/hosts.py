"""Registry hosts and the names of Docker Hub."""

from __future__ import annotations

import re

_HUB = "index.docker.io"
_HUB_NAMES = {"docker.io", "index.docker.io", "registry-1.docker.io"}


def get_auths_key(host: str) -> str:
    """Get the key of a registry in a docker configuration; Docker Hub's is a URL."""
    return f"https://{_HUB}/v1/" if is_docker_hub(host) else host


def is_docker_hub(host: str) -> bool:
    """Whether a host is one of Docker Hub's names."""
    return normalize_host(host) == _HUB


def normalize_host(host: str) -> str:
    """Remove scheme and API path of a registry's host, and map Docker Hub's names to one."""
    address = re.sub(r"^https?://", "", host.strip())
    address = re.sub(r"/(v[12]/?)?$", "", address)
    return _HUB if address in _HUB_NAMES else address

"""Image names: registry prefix and pinned versions."""

from __future__ import annotations


def has_registry_host(image: str) -> bool:
    """Whether an image name begins with a registry host, by the rule of container tools.

    The part before the first slash is a host if it has a dot or a port, or is ``localhost``.
    """
    host, slash, _ = image.partition("/")
    return bool(slash) and ("." in host or ":" in host or host == "localhost")


def add_registry_prefix(image: str, prefix: str) -> str:
    """Add the platform's registry prefix to an image without a registry host.

    Args:
        image: an image name, such as ``busybox:1.35``.
        prefix: registry and folder, such as ``registry.example.com/mirror``; empty for none.
    """
    if not prefix or has_registry_host(image):
        return image
    return f"{prefix.rstrip('/')}/{image}"


def is_pinned(image: str, pin: str) -> bool:
    """Whether an image name has the required version.

    Args:
        image: an image name.
        pin: ``digest``; ``tag``, any tag but ``latest``, or a digest; or ``none``, no requirement.
    """
    if pin == "none" or "@sha256:" in image:
        return True
    tag = image.rpartition("/")[2].partition(":")[2]
    return pin != "digest" and tag not in ("", "latest")

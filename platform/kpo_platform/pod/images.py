"""Image names: which registry they mean."""

from __future__ import annotations


def has_registry_host(image: str) -> bool:
    """Whether an image name begins with a registry's host, by the rule of container tools.

    The part before the first slash is a host when it has a dot or a port or is ``localhost``.
    """
    host, slash, _ = image.partition("/")
    return bool(slash) and ("." in host or ":" in host or host == "localhost")


def add_registry_prefix(image: str, prefix: str) -> str:
    """The image with the platform's registry prefix, unless it names a registry of its own.

    Args:
        image: a name as a DAG author writes it, such as ``busybox:1.35``.
        prefix: registry and folder, such as ``registry.example.com/mirror``; empty for none.
    """
    if not prefix or has_registry_host(image):
        return image
    return f"{prefix.rstrip('/')}/{image}"


def is_pinned(image: str, pin: str) -> bool:
    """Whether an image name says which version it means.

    Args:
        image: a whole image name.
        pin: how exactly it must: ``digest``, ``tag`` (a digest does as well; ``latest`` is none) or ``none``.
    """
    if pin == "none" or "@sha256:" in image:
        return True
    tag = image.rpartition("/")[2].partition(":")[2]
    return pin != "digest" and tag not in ("", "latest")

"""Walk over the containers of a pod, and leave out what is not known yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kpo_platform.pod.merge import Json


def iterate_containers(pod: Json) -> Iterator[Json]:
    """Containers and init containers of a pod, sidecars among them."""
    spec = pod.get("spec") or {}
    for kind in ("containers", "initContainers"):
        yield from spec.get(kind) or []


def is_sidecar(container: Json) -> bool:
    """Whether an init container is a native sidecar, which runs beside ``base``."""
    return container.get("restartPolicy") == "Always"


def is_template(value: Any) -> bool:
    """Whether it is a text that Jinja has still to render."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def remove_templates(value: Any) -> Any:
    """The value with None in place of every text that Jinja has still to render."""
    if is_template(value):
        return None
    if isinstance(value, dict):
        return {key: remove_templates(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [remove_templates(inner) for inner in value]
    return value

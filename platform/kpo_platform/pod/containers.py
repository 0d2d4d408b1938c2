"""Iterate over a pod's containers, and remove unrendered Jinja templates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kpo_platform.pod.merge import Json


def iterate_containers(pod: Json) -> Iterator[Json]:
    """Iterate over containers, init containers and sidecars of a pod."""
    spec = pod.get("spec") or {}
    for kind in ("containers", "initContainers"):
        yield from spec.get(kind) or []


def is_sidecar(container: Json) -> bool:
    """Whether an init container is a native sidecar, which runs beside ``base``."""
    return container.get("restartPolicy") == "Always"


def is_template(value: Any) -> bool:
    """Whether a value is a string with Jinja expressions or statements."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def remove_templates(value: Any) -> Any:
    """Replace every unrendered Jinja template in a value with None."""
    if is_template(value):
        return None
    if isinstance(value, dict):
        return {key: remove_templates(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [remove_templates(inner) for inner in value]
    return value

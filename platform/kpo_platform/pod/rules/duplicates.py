"""Rule: a layer of a pod has no two different items with one merge key; merging would drop one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kpo_platform.finding import Refusal
from kpo_platform.pod.merge import MERGED_BY, get_merge_key

_LAST_APPLIES = frozenset({"env"})
"""Lists in which Kubernetes accepts duplicates and the last one applies."""

_ARGUMENTS = {"initContainers": "init_containers", "volumeMounts": "volume_mounts"}
_ARGUMENTS |= {name: name for name in ("volumes", "ports")}


def check_duplicates(layer: Any) -> Iterator[Refusal]:
    """Refuse list items of a layer that have the same merge key and differ.

    Args:
        layer: a partial pod as its author wrote it, or part of one.
    """
    if isinstance(layer, list):
        for item in layer:
            yield from check_duplicates(item)
    elif isinstance(layer, dict):
        for key, value in layer.items():
            if key in MERGED_BY.keys() - _LAST_APPLIES and isinstance(value, list):
                yield from _check_list(key, [item for item in value if isinstance(item, dict)])
            yield from check_duplicates(value)


def _check_list(key: str, items: list[dict[str, Any]]) -> Iterator[Refusal]:
    first: dict[tuple[Any, ...], dict[str, Any]] = {}
    for item in items:
        merge_key = get_merge_key(key, item)
        if first.setdefault(merge_key, item) != item:
            identity = " and ".join(f"{field} {value}" for field, value in zip(MERGED_BY[key], merge_key, strict=True))
            yield Refusal(
                "form",
                f"{key} has two different items with {identity}",
                f"Change the {MERGED_BY[key][0]} of one of them, or leave it out.",
                _ARGUMENTS.get(key, ""),
            )

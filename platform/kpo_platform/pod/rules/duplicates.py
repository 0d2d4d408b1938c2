"""Things that one layer of a pod names twice, each time otherwise: merged, one of them would vanish without a word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kpo_platform.finding import Refusal
from kpo_platform.pod.merge import MERGED_BY, get_merge_key

_LATER_WINS = frozenset({"env"})
"""Kubernetes takes a variable twice and gives the container the later one, as a shell does."""

_ARGUMENTS = {"initContainers": "init_containers", "volumeMounts": "volume_mounts"}
_ARGUMENTS |= {name: name for name in ("volumes", "ports")}


def check_duplicates(layer: Any) -> Iterator[Refusal]:
    """Refuse containers, volumes, mounts and the like that a layer has twice under one name and that differ.

    Args:
        layer: a pod as its author wrote it, or part of one.
    """
    if isinstance(layer, list):
        for item in layer:
            yield from check_duplicates(item)
    elif isinstance(layer, dict):
        for key, value in layer.items():
            if key in MERGED_BY.keys() - _LATER_WINS and isinstance(value, list):
                yield from _twins_of(key, [item for item in value if isinstance(item, dict)])
            yield from check_duplicates(value)


def _twins_of(key: str, items: list[dict[str, Any]]) -> Iterator[Refusal]:
    first: dict[tuple[Any, ...], dict[str, Any]] = {}
    for item in items:
        name = get_merge_key(key, item)
        if first.setdefault(name, item) != item:
            yield Refusal(
                "form",
                f"{key} names {' '.join(map(str, name))} twice, and each time otherwise",
                "give each its own, or leave one of them out.",
                _ARGUMENTS.get(key, ""),
            )

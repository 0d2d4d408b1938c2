"""Merge two pods as Kubernetes merges a patch: lists of named things by their key, the rest replaced.

The stock operator merges containers by position and appends lists without looking, which gives doubled names
that the API refuses. Here a container, volume or variable of the same name is the same thing.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_MERGED_BY: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "imagePullSecrets": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "protocol"),
    "hostAliases": ("ip",),
    "tolerations": ("key", "effect"),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "resourceClaims": ("name",),
}
"""Lists of a pod whose items have an identity, with the fields that make it (patchMergeKey of the API)."""

_REPLACED_WHOLE = frozenset({"env", "volumes", "tolerations", "imagePullSecrets"})
"""Lists whose items are alternatives: half a volume claim and half an emptyDir make no volume."""

_APPENDED = frozenset({"envFrom"})
"""Lists without identity whose items add up; an item that is already there is not added again."""


_NEVER_EMPTY = frozenset({"containers"})
"""The client's V1PodSpec cannot be made without a list of containers, so an empty one says nothing."""


def merge(under: Json, over: Json) -> Json:
    """One dictionary in which ``over`` wins.

    Args:
        under: the weaker pod, or part of one.
        over: the stronger one. Its false and empty values win as well; a value of None removes the key.

    Returns:
        A new dictionary; neither argument is changed.
    """
    merged = dict(under)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        elif key in merged:
            merged[key] = _merge_value(key, merged[key], value)
        else:
            merged[key] = _without_none(value)
    return merged


def _merge_value(key: str, under: Any, over: Any) -> Any:
    if isinstance(under, dict) and isinstance(over, dict):
        return merge(under, over)
    if key in _NEVER_EMPTY and not over:
        return under
    if isinstance(under, list) and isinstance(over, list) and over:
        if key in _MERGED_BY:
            return _merge_list(key, under, over)
        if key in _APPENDED:
            return under + [item for item in over if item not in under]
    return _without_none(over)


def _merge_list(key: str, under: list[Json], over: list[Json]) -> list[Json]:
    """Items of ``under`` in their order, each with its stronger twin applied, then the new ones."""
    merged = {_identity(key, item): item for item in under}
    for item in over:
        identity = _identity(key, item)
        weaker = {} if key in _REPLACED_WHOLE else merged.get(identity, {})
        merged[identity] = merge(weaker, item)
    return list(merged.values())


def _identity(key: str, item: Json) -> tuple[Any, ...]:
    # A port's protocol is TCP when it is not given, so both spellings are one port.
    return tuple(item.get(field, "TCP" if field == "protocol" else None) for field in _MERGED_BY[key])


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_none(inner) for inner in value]
    return value

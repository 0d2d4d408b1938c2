"""Merge two pods like a strategic merge patch.

Items of lists with a merge key are merged by that key; other lists are replaced. The stock operator merges containers
by position and appends lists; the API rejects the resulting duplicate names.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

MERGED_BY: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "imagePullSecrets": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "protocol"),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "resourceClaims": ("name",),
}
"""Lists with a merge key, and the fields of the key (patchMergeKey of the API)."""

_REPLACED_ITEMS = frozenset({"env", "volumes", "imagePullSecrets"})
"""Lists with a merge key whose items are replaced: a merge of a claim and an emptyDir is no valid volume."""

_GROUPED_BY = {"tolerations": "key", "hostAliases": "ip"}
"""Lists with several items per value of this field; the higher layer's items replace all of that value."""

_APPENDED = frozenset({"envFrom"})
"""Lists without a merge key whose items are appended, except for equal ones."""

_NEVER_EMPTY = frozenset({"containers"})
"""Lists that the client's V1PodSpec requires; an empty one does not override."""


def merge(lower: Json, higher: Json) -> Json:
    """Merge two pods, or parts of pods; ``higher`` takes precedence.

    Args:
        lower: the layer with lower precedence.
        higher: the layer with higher precedence. False and empty values override too; None removes the key.

    Returns:
        A new dictionary; the arguments do not change.
    """
    merged = dict(lower)
    for key, value in higher.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_value(key, merged.get(key), value)
    return merged


def _merge_value(key: str, lower: Any, higher: Any) -> Any:
    if isinstance(higher, dict):
        return merge(lower if isinstance(lower, dict) else {}, higher)
    if not isinstance(higher, list):
        return higher
    if key in _NEVER_EMPTY and not higher:
        return lower or []
    return _merge_list(key, lower if isinstance(lower, list) and higher else [], higher)


def _merge_list(key: str, lower: list[Any], higher: list[Any]) -> list[Any]:
    """Merge two lists; the result has no duplicates."""
    if key in MERGED_BY and _have_fields(lower, higher):
        return _merge_named(key, lower, higher)
    if key in _GROUPED_BY and _have_fields(lower, higher):
        groups = [item.get(_GROUPED_BY[key]) for item in higher]
        lower = [item for item in lower if item.get(_GROUPED_BY[key]) not in groups]
    elif key not in _APPENDED:
        return [_remove_none(item) for item in higher]
    return _remove_duplicates([*lower, *_remove_none(higher)])


def _have_fields(*lists: list[Any]) -> bool:
    """Whether all items are objects; other items are refused later."""
    return all(isinstance(item, dict) for items in lists for item in items)


def _merge_named(key: str, lower: list[Json], higher: list[Json]) -> list[Json]:
    """Merge items by key: those of ``lower`` in their order, then new ones."""
    merged = {get_merge_key(key, item): item for item in lower}
    for item in higher:
        name = get_merge_key(key, item)
        base = {} if key in _REPLACED_ITEMS else merged.get(name, {})
        merged[name] = merge(base, item)
    return list(merged.values())


def get_merge_key(key: str, item: Json) -> tuple[Any, ...]:
    """Get the merge key of an item of the list ``key``, which is one of `MERGED_BY`."""
    # TCP is the default protocol of a port.
    return tuple(item.get(field, "TCP" if field == "protocol" else None) for field in MERGED_BY[key])


def _remove_duplicates(items: list[Any]) -> list[Any]:
    return [item for number, item in enumerate(items) if item not in items[:number]]


def _remove_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _remove_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_remove_none(inner) for inner in value]
    return value

"""Merge two pods as Kubernetes merges a patch: lists of named things by their key, the rest replaced.

The stock operator merges containers by position and appends lists without looking, which gives doubled names
that the API refuses. Here a container, volume or variable of the same name is the same thing.
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
"""Lists of a pod whose items have an identity, with the fields that make it (patchMergeKey of the API)."""

_REPLACED_WHOLE = frozenset({"env", "volumes", "imagePullSecrets"})
"""Lists whose items are alternatives: half a volume claim and half an emptyDir make no volume."""

_GROUPED_BY = {"tolerations": "key", "hostAliases": "ip"}
"""Lists in which several items of one pod may share this field; a stronger pod's items replace all of the weaker's."""

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
        else:
            merged[key] = _merge_value(key, merged.get(key), value)
    return merged


def _merge_value(key: str, under: Any, over: Any) -> Any:
    if isinstance(over, dict):
        return merge(under if isinstance(under, dict) else {}, over)
    if not isinstance(over, list):
        return over
    if key in _NEVER_EMPTY and not over:
        return under or []
    return _merge_list(key, under if isinstance(under, list) and over else [], over)


def _merge_list(key: str, under: list[Any], over: list[Any]) -> list[Any]:
    """Both lists as one, in which nothing is there twice, also where the weaker pod has no such list."""
    if key in MERGED_BY and _have_fields(under, over):
        return _merge_named(key, under, over)
    if key in _GROUPED_BY and _have_fields(under, over):
        groups = [item.get(_GROUPED_BY[key]) for item in over]
        under = [item for item in under if item.get(_GROUPED_BY[key]) not in groups]
    elif key not in _APPENDED:
        return [_without_none(item) for item in over]
    return _each_once([*under, *_without_none(over)])


def _have_fields(*lists: list[Any]) -> bool:
    """Whether all items are objects; a text among them is refused later, in a sentence that names it."""
    return all(isinstance(item, dict) for items in lists for item in items)


def _merge_named(key: str, under: list[Json], over: list[Json]) -> list[Json]:
    """Items of ``under`` in their order, each with its stronger twin applied, then the new ones."""
    merged = {get_merge_key(key, item): item for item in under}
    for item in over:
        name = get_merge_key(key, item)
        weaker = {} if key in _REPLACED_WHOLE else merged.get(name, {})
        merged[name] = merge(weaker, item)
    return list(merged.values())


def get_merge_key(key: str, item: Json) -> tuple[Any, ...]:
    """What makes an item of the list ``key`` the same thing as another one; ``key`` is one of `MERGED_BY`."""
    # A port's protocol is TCP when it is not given, so both spellings are one port.
    return tuple(item.get(field, "TCP" if field == "protocol" else None) for field in MERGED_BY[key])


def _each_once(items: list[Any]) -> list[Any]:
    return [item for number, item in enumerate(items) if item not in items[:number]]


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_none(inner) for inner in value]
    return value

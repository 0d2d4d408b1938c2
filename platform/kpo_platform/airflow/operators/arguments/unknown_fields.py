"""Misspelt fields in pods that an author wrote as dictionaries; the Kubernetes client drops them without a word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from kubernetes.client import models

from kpo_platform.finding import Refusal
from kpo_platform.pod.containers import is_template

_LIST = re.compile(r"list\[(\w+)\]")


def find_unknown_fields(value: Any, kind: str, where: str) -> Iterator[Refusal]:
    """Refuse fields that Kubernetes does not have.

    Args:
        value: a dictionary or a list of them; models of the client have checked themselves.
        kind: the type that was expected, as the client spells it: ``V1Pod``, ``list[V1Container]``.
        where: what the sentence calls the value.
    """
    items = _LIST.fullmatch(kind)
    if items and isinstance(value, list):
        for number, item in enumerate(value):
            yield from find_unknown_fields(item, items[1], f"{where}[{number}]")
    elif kind.startswith("V1"):
        yield from _of_model(value, kind, where)


def _of_model(value: Any, kind: str, where: str) -> Iterator[Refusal]:
    model = getattr(models, kind)
    if hasattr(value, "openapi_types") and not isinstance(value, model):
        yield Refusal("argument", f"{where} is a {type(value).__name__}, but a {kind} was expected.")
    if not isinstance(value, dict):
        return
    types = _types(kind)
    for key, inner in value.items():
        if key in types:
            yield from _of_shape(inner, types[key], f"{where}.{key}")
            yield from find_unknown_fields(inner, types[key], f"{where}.{key}")
        else:
            near = difflib.get_close_matches(model.attribute_map.get(key, str(key)), sorted(types), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(types))}."
            yield Refusal("argument", f"{where} has the field {key!r}, which Kubernetes does not know", hint)


def remove_unresolved(value: Any, kind: str = "V1Pod") -> Any:
    """The value without texts where Kubernetes has a list or an object.

    Jinja, or another task's result, gives these once they are rendered; when the DAG is read nothing is known of them.
    """
    if isinstance(value, list):
        inner = kind[len("list[") : -1]
        return [remove_unresolved(item, inner) for item in value if not _is_later(item, inner)]
    if not isinstance(value, dict) or not kind.startswith("V1"):
        return value
    types = _types(kind)
    return {
        key: remove_unresolved(one, types.get(key, "str")) if isinstance(one, (dict, list)) else one
        for key, one in value.items()
        if not _is_later(one, types.get(key, "str"))
    }


@cache
def _types(kind: str) -> dict[str, str]:
    """The fields of a model, by their names in JSON, with their types."""
    model = getattr(models, kind)
    return {field: str(model.openapi_types[attribute]) for attribute, field in model.attribute_map.items()}


def _is_later(value: Any, kind: str) -> bool:
    return kind.startswith(("V1", "dict", "list")) and is_template(value)


def _of_shape(value: Any, kind: str, where: str) -> Iterator[Refusal]:
    """Refuse a list where Kubernetes has an object, and the other way round; None removes, Jinja comes later."""
    if _is_later(value, kind) or not isinstance(value, (dict, list, str, int, float)):
        return
    if kind.startswith("list") != isinstance(value, list):
        wanted = "a list" if kind.startswith("list") else "no list"
        yield Refusal("argument", f"{where} is a {type(value).__name__}, but {wanted} was expected.")
    elif kind.startswith(("V1", "dict")) and not isinstance(value, dict):
        yield Refusal("argument", f"{where} is a {type(value).__name__}, but a dictionary was expected.")
    elif isinstance(value, list) and kind.startswith("list[V1"):
        for number, item in enumerate(value):
            if isinstance(item, (str, int, float, list)) and not _is_later(item, "V1"):
                yield Refusal("argument", f"{where}[{number}] is no dictionary, but one was expected.")

"""Find misspelt fields in pods that are written as dictionaries; the Kubernetes client drops them silently."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from kubernetes.client import models

from kpo_platform.finding import Refusal
from kpo_platform.pod.containers import is_template

_LIST_TYPE = re.compile(r"list\[(\w+)\]")


def find_unknown_fields(value: Any, type_name: str, path: str) -> Iterator[Refusal]:
    """Refuse fields that are not in the Kubernetes API.

    Args:
        value: a dictionary or a list of dictionaries. Client models are skipped: they accept no unknown field.
        type_name: the expected type in the client's notation: ``V1Pod``, ``list[V1Container]``.
        path: the name of the value in messages.
    """
    list_type = _LIST_TYPE.fullmatch(type_name)
    if list_type and isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_unknown_fields(item, list_type[1], f"{path}[{index}]")
    elif type_name.startswith("V1"):
        yield from _check_model(value, type_name, path)


def remove_unresolved(value: Any, type_name: str = "V1Pod") -> Any:
    """Remove strings where Kubernetes expects a list or an object.

    These are Jinja templates or results of other tasks, which are unknown when the DAG is parsed.
    """
    if isinstance(value, list):
        item_type = type_name[len("list[") : -1]
        return [remove_unresolved(item, item_type) for item in value if not _is_unresolved(item, item_type)]
    if not isinstance(value, dict) or not type_name.startswith("V1"):
        return value
    types = _read_field_types(type_name)
    return {
        key: remove_unresolved(field, types.get(key, "str")) if isinstance(field, (dict, list)) else field
        for key, field in value.items()
        if not _is_unresolved(field, types.get(key, "str"))
    }


def _check_model(value: Any, type_name: str, path: str) -> Iterator[Refusal]:
    model = getattr(models, type_name)
    if hasattr(value, "openapi_types") and not isinstance(value, model):
        yield Refusal("argument", f"{path} is a {type(value).__name__}, but a {type_name} is required.")
    if not isinstance(value, dict):
        return
    types = _read_field_types(type_name)
    for key, field in value.items():
        if key in types:
            yield from _check_type(field, types[key], f"{path}.{key}")
            yield from find_unknown_fields(field, types[key], f"{path}.{key}")
        else:
            similar = difflib.get_close_matches(model.attribute_map.get(key, str(key)), sorted(types), n=1)
            hint = f"Did you mean {similar[0]!r}?" if similar else f"Known fields: {', '.join(sorted(types))}."
            yield Refusal("argument", f"{path} has an unknown field {key!r}", hint)


@cache
def _read_field_types(type_name: str) -> dict[str, str]:
    """Read the types of a model's fields by their JSON names."""
    model = getattr(models, type_name)
    return {field: str(model.openapi_types[attribute]) for attribute, field in model.attribute_map.items()}


def _is_unresolved(value: Any, type_name: str) -> bool:
    return type_name.startswith(("V1", "dict", "list")) and is_template(value)


def _check_type(value: Any, type_name: str, path: str) -> Iterator[Refusal]:
    """Refuse a list where Kubernetes expects an object, and vice versa; None removes a field and is allowed."""
    if _is_unresolved(value, type_name) or not isinstance(value, (dict, list, str, int, float)):
        return
    actual = type(value).__name__
    if type_name.startswith("list") != isinstance(value, list):
        expected = "a list" if type_name.startswith("list") else "a single value"
        yield Refusal("argument", f"{path} is a {actual}, but {expected} is required.")
    elif type_name.startswith(("V1", "dict")) and not isinstance(value, dict):
        yield Refusal("argument", f"{path} is a {actual}, but a dictionary is required.")
    elif isinstance(value, list) and type_name.startswith("list[V1"):
        for index, item in enumerate(value):
            if isinstance(item, (str, int, float, list)) and not _is_unresolved(item, "V1"):
                item_type = type(item).__name__
                yield Refusal("argument", f"{path}[{index}] is a {item_type}, but a dictionary is required.")

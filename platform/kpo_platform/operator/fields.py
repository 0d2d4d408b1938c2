"""Misspelt fields in pods that an author wrote as dictionaries; the Kubernetes client drops them without a word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from kubernetes.client import models

from kpo_platform.pod.finding import Refusal

_LIST = re.compile(r"list\[(\w+)\]")


def unknown_fields(value: Any, kind: str, where: str) -> Iterator[Refusal]:
    """Refuse fields that Kubernetes does not have.

    Args:
        value: a dictionary or a list of them; models of the client have checked themselves.
        kind: the type that was expected, as the client spells it: ``V1Pod``, ``list[V1Container]``.
        where: what the sentence calls the value.
    """
    items = _LIST.fullmatch(kind)
    if items and isinstance(value, list):
        for number, item in enumerate(value):
            yield from unknown_fields(item, items[1], f"{where}[{number}]")
    elif kind.startswith("V1"):
        yield from _of_model(value, kind, where)


def _of_model(value: Any, kind: str, where: str) -> Iterator[Refusal]:
    model = getattr(models, kind)
    if hasattr(value, "openapi_types") and not isinstance(value, model):
        yield Refusal("argument", f"{where} is a {type(value).__name__}, but a {kind} was expected.")
    if not isinstance(value, dict):
        return
    types = {field: model.openapi_types[attribute] for attribute, field in model.attribute_map.items()}
    for key, inner in value.items():
        if key in types:
            yield from unknown_fields(inner, types[key], f"{where}.{key}")
        else:
            near = difflib.get_close_matches(model.attribute_map.get(key, str(key)), sorted(types), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(types))}."
            yield Refusal("argument", f"{where} has the field {key!r}, which Kubernetes does not know; {hint}")

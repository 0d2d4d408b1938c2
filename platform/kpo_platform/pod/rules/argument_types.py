"""Rule: every argument of TeamPodOperator has the right type."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import timedelta
from numbers import Real
from typing import Any

from kpo_platform.finding import Refusal
from kpo_platform.pod.containers import is_template

_STRINGS = frozenset(
    {"dnspolicy", "hostname", "image", "image_pull_policy", "name", "priority_class_name", "runtime_class_name"}
) | {"pod_template_file", "schedulername", "size", "subdomain", "team", "template"}

_DICTIONARIES = frozenset({"annotations", "env_vars", "labels", "node_selector"})

_OBJECTS = frozenset(
    {"affinity", "container_resources", "container_security_context", "dns_config", "full_pod_spec", "pod_override"}
) | {"pod_template_dict", "security_context"}
"""Dictionaries, or models of the Kubernetes client."""

_LISTS_OF_STRINGS = ("cmds", "arguments", "configmaps", "sidecars")

_ITERATED = frozenset(
    {"configmaps", "image_pull_secrets", "ports", "sidecars", "tolerations", "volume_mounts", "volumes"}
)
"""Lists, or other iterables such as the values of a dictionary."""

_NUMBERS = frozenset(
    {
        "active_deadline_seconds",
        "base_container_status_polling_interval",
        "defer_after",
        "logging_interval",
        "poll_interval",
        "schedule_timeout_seconds",
        "startup_check_interval_seconds",
        "startup_timeout_seconds",
        "termination_grace_period",
    }
)
"""Numbers of seconds; Jinja does not render them."""

_ITEMS: dict[str, str] = {
    "env_from": "Write {{'secretRef': {{'name': {item!r}}}}}, or configMapRef.",
    "env_vars": "Write env_vars={{'NAME': 'value'}}.",
    "image_pull_secrets": "Write names, such as image_pull_secrets=['regcred'].",
    "secrets": "Use env_from=[{{'secretRef': {{'name': {item!r}}}}}], or Airflow's Secret(…) for one key.",
    **dict.fromkeys(
        ("host_aliases", "init_containers", "ports", "tolerations", "volume_mounts", "volumes"),
        "Write each item as a dictionary, as in YAML, or as a model of the Kubernetes client.",
    ),
}
"""Lists of objects, and the fix for an invalid item."""

_LISTS = {*_ITEMS, *_LISTS_OF_STRINGS} - _DICTIONARIES

_TYPE_NAMES: tuple[tuple[type, str], ...] = (
    (tuple, "tuple"),
    (list, "list"),
    (Set, "set"),
    (dict, "dictionary"),
    (str, "string"),
    (bool, "boolean"),
    (Real, "number"),
)


def check_argument_types(arguments: Mapping[str, Any]) -> Iterator[Refusal]:
    """Refuse arguments and list items of a wrong type; None and values from other tasks are not checked."""
    for name, value in arguments.items():
        if value is None or _is_resolved_later(value) or (is_template(value) and name not in _NUMBERS):
            continue
        for expected, example in _find_type_error(name, value):
            evidence = f"{name} is a {_name_type(value)}, but {expected} is required"
            yield Refusal("argument", evidence, f"Write {example}.", name)
    for name in _ITEMS:
        yield from _check_items(name, arguments.get(name))
    for name in _LISTS_OF_STRINGS:
        yield from _check_strings(name, arguments.get(name))


def _find_type_error(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the expected type and an example if the value has a wrong type."""
    if name in _STRINGS and not isinstance(value, str | os.PathLike if name == "pod_template_file" else str):
        yield "a string", f"{name}='…'"
    elif name in (_DICTIONARIES | _OBJECTS) and not _is_dictionary(name, value):
        yield "a dictionary", f"{name}={{'key': 'value'}}"
    elif name in _LISTS and not _is_list(name, value):
        yield "a list", f"{name}=[…]"
    elif name in _NUMBERS and (isinstance(value, bool) or not isinstance(value, Real)):
        seconds = int(value.total_seconds()) if isinstance(value, timedelta) else 300
        yield "a number of seconds", f"{name}={seconds}"


def _is_dictionary(name: str, value: Any) -> bool:
    is_other_form = (name in _OBJECTS and _is_model(value)) or (name == "env_vars" and isinstance(value, list))
    return is_other_form or isinstance(value, dict)


def _is_list(name: str, value: Any) -> bool:
    if isinstance(value, str):
        return name == "image_pull_secrets"  # the stock operator accepts comma-separated names
    is_iterable = name in _ITERATED and isinstance(value, Iterable) and not isinstance(value, bytes | Mapping | Set)
    return is_iterable or isinstance(value, list | tuple)


def _check_items(name: str, value: Any) -> Iterator[Refusal]:
    for item in value if isinstance(value, list | tuple) else ():
        if not (_is_resolved_later(item) or _is_item(name, item)):
            type_name = _name_type(item)
            evidence = f"{name} has the {type_name} {item!r}, which is not a valid item"
            yield Refusal(
                "argument", evidence, _ITEMS[name].format(item=item if isinstance(item, str) else "name"), name
            )


def _is_item(name: str, item: Any) -> bool:
    if name == "secrets":
        return hasattr(item, "attach_to_pod")
    return isinstance(item, dict) or _is_model(item) or (name == "image_pull_secrets" and isinstance(item, str))


def _check_strings(name: str, value: Any) -> Iterator[Refusal]:
    for item in value if isinstance(value, list | tuple) else ():
        if not (isinstance(item, str) or _is_resolved_later(item)):
            fix = "Leave it out." if item is None else f"Write {str(item)!r}."
            yield Refusal("argument", f"{name} has the item {item!r}, but a list of strings is required", fix, name)


def _is_resolved_later(value: Any) -> bool:
    """Whether Airflow resolves the value at run time, such as another task's result."""
    return hasattr(value, "resolve") and not isinstance(value, os.PathLike)


def _is_model(value: Any) -> bool:
    return hasattr(value, "openapi_types")


def _name_type(value: Any) -> str:
    return next((name for kind, name in _TYPE_NAMES if isinstance(value, kind)), type(value).__name__)

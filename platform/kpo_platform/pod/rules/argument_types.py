"""Of what type each argument of TeamPodOperator is; whatever else is given is refused by the argument's name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import timedelta
from numbers import Real
from typing import Any

from kpo_platform.finding import Refusal
from kpo_platform.pod.containers import is_template

_TEXTS = frozenset(
    {"dnspolicy", "hostname", "image", "image_pull_policy", "name", "priority_class_name", "runtime_class_name"}
) | {"pod_template_file", "schedulername", "size", "subdomain", "team", "template"}

_DICTIONARIES = frozenset({"annotations", "env_vars", "labels", "node_selector"})

_OBJECTS = frozenset(
    {"affinity", "container_resources", "container_security_context", "dns_config", "full_pod_spec", "pod_override"}
) | {"pod_template_dict", "security_context"}
"""Dictionaries that may be models of the Kubernetes client as well."""

_LISTS_OF_TEXTS = ("cmds", "arguments", "configmaps", "sidecars")

_ITERATED = frozenset(
    {"configmaps", "image_pull_secrets", "ports", "sidecars", "tolerations", "volume_mounts", "volumes"}
)
"""Lists that are made of whatever can be iterated, such as the values of a dictionary."""

_NUMBERS = frozenset(
    {
        "active_deadline_seconds",
        "base_container_status_polling_interval",
        "logging_interval",
        "poll_interval",
        "schedule_timeout_seconds",
        "startup_check_interval_seconds",
        "startup_timeout_seconds",
        "termination_grace_period",
    }
)
"""Numbers of seconds, none of which Jinja renders."""

_ITEMS: dict[str, str] = {
    "env_from": "write {{'secretRef': {{'name': {item!r}}}}}, or configMapRef.",
    "env_vars": "write env_vars={{'NAME': 'value'}}.",
    "image_pull_secrets": "write their names, as in image_pull_secrets=['regcred'].",
    "secrets": "take all its keys by env_from=[{{'secretRef': {{'name': {item!r}}}}}], or one by Airflow's Secret(…).",
    **dict.fromkeys(
        ("host_aliases", "init_containers", "ports", "tolerations", "volume_mounts", "volumes"),
        "write each of them as a dictionary as in YAML, or as a model of the Kubernetes client.",
    ),
}
"""Lists of things, and what to write instead of an item that is none."""

_LISTS = {*_ITEMS, *_LISTS_OF_TEXTS} - _DICTIONARIES

_NAMES: tuple[tuple[type, str], ...] = (
    (tuple, "tuple"),
    (list, "list"),
    (Set, "set"),
    (dict, "dictionary"),
    (str, "text"),
    (bool, "switch"),
    (Real, "number"),
)


def check_argument_types(given: Mapping[str, Any]) -> Iterator[Refusal]:
    """Refuse arguments, and items of lists, of another type than they have; None and what comes later are of any."""
    for name, value in given.items():
        if value is None or _comes_later(value) or (is_template(value) and name not in _NUMBERS):
            continue
        for wanted, example in _wanted(name, value):
            sentence = f"{name} is a {_kind(value)}, but {wanted} was expected"
            yield Refusal("argument", sentence, f"write {example}.", name)
    for name in _ITEMS:
        yield from _strange_items(name, given.get(name))
    for name in _LISTS_OF_TEXTS:
        yield from _wordless(name, given.get(name))


def _wanted(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """What was expected instead of a value, and how it is written; nothing where the value is of its type."""
    if name in _TEXTS and not isinstance(value, str | os.PathLike if name == "pod_template_file" else str):
        yield "a text", f"{name}='…'"
    elif name in (_DICTIONARIES | _OBJECTS) and not _is_dictionary(name, value):
        yield "a dictionary", f"{name}={{'key': 'value'}}"
    elif name in _LISTS and not _is_list(name, value):
        yield "a list", f"{name}=[…]"
    elif name in _NUMBERS and (isinstance(value, bool) or not isinstance(value, Real)):
        seconds = int(value.total_seconds()) if isinstance(value, timedelta) else 300
        yield "a number of seconds", f"it as in {name}={seconds}"


def _is_dictionary(name: str, value: Any) -> bool:
    as_well = (name in _OBJECTS and _is_model(value)) or (name == "env_vars" and isinstance(value, list))
    return as_well or isinstance(value, dict)


def _is_list(name: str, value: Any) -> bool:
    if isinstance(value, str):
        return name == "image_pull_secrets"  # the stock operator takes names with commas between them
    loose = name in _ITERATED and isinstance(value, Iterable) and not isinstance(value, bytes | Mapping | Set)
    return loose or isinstance(value, list | tuple)


def _strange_items(name: str, value: Any) -> Iterator[Refusal]:
    for item in value if isinstance(value, list | tuple) else ():
        if not (_comes_later(item) or _is_item(name, item)):
            kind = "text" if isinstance(item, str) else _kind(item)
            sentence = f"{name} has the {kind} {item!r} in it, which says nothing there"
            yield Refusal("argument", sentence, _ITEMS[name].format(item=item if kind == "text" else "name"), name)


def _is_item(name: str, item: Any) -> bool:
    if name == "secrets":
        return hasattr(item, "attach_to_pod")
    return isinstance(item, dict) or _is_model(item) or (name == "image_pull_secrets" and isinstance(item, str))


def _wordless(name: str, value: Any) -> Iterator[Refusal]:
    for item in value if isinstance(value, list | tuple) else ():
        if not (isinstance(item, str) or _comes_later(item)):
            instead = "leave it out" if item is None else f"write {str(item)!r}"
            sentence = f"{name} has {item!r} in it, but a list of texts was expected"
            yield Refusal("argument", sentence, f"{instead}.", name)


def _comes_later(value: Any) -> bool:
    """Whether it is another task's result, or anything else that Airflow resolves in the run; a path is none."""
    return hasattr(value, "resolve") and not isinstance(value, os.PathLike)


def _is_model(value: Any) -> bool:
    return hasattr(value, "openapi_types")


def _kind(value: Any) -> str:
    return next((name for kind, name in _NAMES if isinstance(value, kind)), type(value).__name__)

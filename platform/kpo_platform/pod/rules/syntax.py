"""Rule: quantities, labels, images, variables and commands have the syntax that Kubernetes accepts.

The syntax is that of Kubernetes, from ``apimachinery/pkg/util/validation`` and ``apimachinery/pkg/api/resource``. An
image must be a valid reference (distribution, ``reference``): the API accepts any text, but the kubelet does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from kpo_platform.finding import Refusal
from kpo_platform.pod.containers import iterate_containers
from kpo_platform.pod.merge import Json
from kpo_platform.pod.quantity import parse_quantity

_LABEL_PART = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_LABEL_VALUE = re.compile(f"(?:{_LABEL_PART})?")
_DNS = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_LABEL_KEY = re.compile(rf"(?:(?P<prefix>{_DNS}(?:\.{_DNS})*)/)?{_LABEL_PART}")
_MAX_PREFIX_LENGTH = 253

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:]+\])"
_PATH = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:{_HOST}(?::[0-9]+)?/)?{_PATH}(?:/{_PATH})*(?::\w[\w.-]{{0,127}})?(?:@[A-Za-z][\w+.-]*:[0-9a-fA-F]{{32,}})?",
    re.ASCII,
)

_LABEL_SYNTAX = "at most 63 letters, digits, '-', '_' and '.', with a letter or a digit at both ends"


def check_syntax(pod: Json) -> Iterator[Refusal]:
    """Refuse values with a syntax that Kubernetes rejects; None stands for a value that is not known yet."""
    metadata, spec = pod["metadata"], pod["spec"]
    yield from _check_pairs(metadata.get("labels"), "label", "labels")
    yield from _check_pairs(spec.get("nodeSelector"), "node label", "node_selector")
    for key in metadata.get("annotations") or {}:
        if not _is_label_key(str(key).lower()):
            yield _refuse_key(key, "annotation", "annotations")
    for container in iterate_containers(pod):
        yield from _check_resources(container)
        yield from _check_image(container)
        yield from check_variable_names(container)


def check_variable_names(container: Json) -> Iterator[Refusal]:
    """Refuse environment variables with an invalid name or a value that is not a string.

    Since 1.32 Kubernetes accepts all printable ASCII characters but ``=`` (KEP-4369). Messages never contain the value.
    """
    for variable in container.get("env") or []:
        name, value, subject = variable.get("name"), variable.get("value"), f"container {container.get('name')!r}"
        if name is not None and not _is_variable_name(str(name)):
            yield Refusal(
                "form",
                f"The variable {name!r} of {subject} has an invalid name",
                "Use letters, digits and '_', such as DAY_2.",
                "env_vars",
            )
        if not isinstance(value, str | None):
            yield Refusal(
                "form",
                f"The variable {name} of {subject} is a {type(value).__name__}, but a string is required",
                "Write it as a string; json.dumps converts a dictionary or a list.",
                "env_vars",
            )


def check_commands(pod: Json) -> Iterator[Refusal]:
    """Refuse a command or arguments that are not a list of strings; for rendered pods."""
    for container in iterate_containers(pod):
        for field, argument in (("command", "cmds"), ("args", "arguments")):
            words = container.get(field)
            invalid_item = next((word for word in words or [] if not isinstance(word, str)), "")
            if not isinstance(words, list | None) or invalid_item != "":
                yield Refusal(
                    "form",
                    f"The field {field} of container {container.get('name')!r} "
                    + (f"has the item {invalid_item!r}" if isinstance(words, list) else f"is a {type(words).__name__}")
                    + ", but a list of strings is required",
                    f"Write {argument} as strings; a value that Jinja renders to a native object may need a filter "
                    "such as '| string'.",
                    argument,
                )


def _check_resources(container: Json) -> Iterator[Refusal]:
    resources = container.get("resources") or {}
    quantities = {kind: dict(resources.get(kind) or {}) for kind in ("requests", "limits")}
    for values in quantities.values():
        for resource, value in values.items():
            if value is not None and _parse_amount(value) is None:
                yield _refuse_quantity(f"Container {container.get('name')!r} requests {value!r} of {resource}", value)
    for resource, value in quantities["requests"].items():
        request, limit = _parse_amount(value), _parse_amount(quantities["limits"].get(resource))
        if request is not None and limit is not None and request > limit:
            yield Refusal(
                "form",
                f"Container {container.get('name')!r} requests {value} of {resource}, which is more than its limit of "
                f"{quantities['limits'][resource]}",
                "Lower the request, or raise the limit.",
                "container_resources",
            )


def _parse_amount(value: Any) -> Decimal | None:
    """Parse a quantity; None if the API rejects it, also for spaces and negative numbers."""
    text = str(value)
    try:
        number = parse_quantity(text)
    except ValueError:
        return None
    return number if number >= 0 and text == text.strip() else None


def _refuse_quantity(evidence: str, value: Any) -> Refusal:
    corrected = re.sub(r"\s|[bB]$", "", str(value)).replace("K", "k").replace("ki", "Ki")
    fix = (
        f"Did you mean {corrected!r}?" if _parse_amount(corrected) is not None else "Write it as 500m, 2, 512Mi or 1Gi."
    )
    return Refusal("form", f"{evidence}, which is not a Kubernetes quantity", fix, "container_resources")


def _check_image(container: Json) -> Iterator[Refusal]:
    image = container.get("image")
    if isinstance(image, str) and not _IMAGE.fullmatch(image):
        yield Refusal(
            "image",
            f"The image {image!r} of container {container.get('name')!r} is not a valid image name",
            "Write it as registry.example.com/team/name:1.2, with the name in lower case.",
            "image",
        )


def _check_pairs(pairs: Any, kind: str, argument: str) -> Iterator[Refusal]:
    for key, value in pairs.items() if isinstance(pairs, dict) else ():
        if not _is_label_key(str(key)):
            yield _refuse_key(key, kind, argument)
        if value is not None and not (isinstance(value, str) and _LABEL_VALUE.fullmatch(value)):
            evidence = f"The {kind} {key} has the value {value!r}, which Kubernetes rejects"
            yield Refusal("form", evidence, f"Write a string of {_LABEL_SYNTAX}.", argument)


def _refuse_key(key: Any, kind: str, argument: str) -> Refusal:
    evidence = f"The {kind} {key!r} has a name that Kubernetes rejects"
    return Refusal("form", evidence, f"Use {_LABEL_SYNTAX}; a domain and '/' may precede them.", argument)


def _is_label_key(key: str) -> bool:
    match = _LABEL_KEY.fullmatch(key)
    return match is not None and len(match["prefix"] or "") <= _MAX_PREFIX_LENGTH


def _is_variable_name(name: str) -> bool:
    return name != "" and name.isascii() and name.isprintable() and "=" not in name

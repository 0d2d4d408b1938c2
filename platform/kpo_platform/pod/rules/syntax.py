"""What Kubernetes would not take because of how it is written: quantities, labels, images, variables, words.

The rules are Kubernetes' own, from ``apimachinery/pkg/util/validation`` and ``apimachinery/pkg/api/resource``. An image
is a reference as container tools read it (distribution, ``reference``): the kubelet wants one, the API takes any text.
Values that are not known yet are passed over.
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
_MOST_PREFIX = 253

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:]+\])"
_PATH = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:{_HOST}(?::[0-9]+)?/)?{_PATH}(?:/{_PATH})*(?::\w[\w.-]{{0,127}})?(?:@[A-Za-z][\w+.-]*:[0-9a-fA-F]{{32,}})?",
    re.ASCII,
)

_LABEL = "at most 63 letters, digits, '-', '_' and '.', with a letter or a digit at both ends"


def check_syntax(pod: Json) -> Iterator[Refusal]:
    """Refuse what a pod says in a form that Kubernetes does not take; None stands for a value that is not known yet."""
    metadata, spec = pod["metadata"], pod["spec"]
    yield from _pairs(metadata.get("labels"), "label", "labels")
    yield from _pairs(spec.get("nodeSelector"), "node label", "node_selector")
    for key in metadata.get("annotations") or {}:
        if not _is_key(str(key).lower()):
            yield _misnamed(key, "annotation", "annotations")
    for container in iterate_containers(pod):
        yield from _resources(container)
        yield from _image(container)
        yield from check_variable_names(container)


def check_variable_names(container: Json) -> Iterator[Refusal]:
    """Refuse variables of a container that no environment could have.

    Since 1.32 Kubernetes takes all printable ASCII but ``=``, spaces too (KEP-4369). No sentence contains a value.
    """
    for variable in container.get("env") or []:
        name, value, who = variable.get("name"), variable.get("value"), f"container {container.get('name')!r}"
        if name is not None and not _is_variable(str(name)):
            yield Refusal(
                "form",
                f"The variable {name!r} of {who} is named as no variable can be",
                "take letters, digits and '_', as in DAY_2.",
                "env_vars",
            )
        if not isinstance(value, str | None):
            yield Refusal(
                "form",
                f"The variable {name} of {who} holds a {type(value).__name__}, but a text was expected",
                "write it as a text; json.dumps makes one of a dictionary or a list.",
                "env_vars",
            )


def check_commands(pod: Json) -> Iterator[Refusal]:
    """Refuse a command or arguments that are no list of texts, once all their values are known."""
    for container in iterate_containers(pod):
        for field, argument in (("command", "cmds"), ("args", "arguments")):
            words = container.get(field)
            wrong = next((word for word in words or [] if not isinstance(word, str)), "")
            if not isinstance(words, list | None) or wrong != "":
                yield Refusal(
                    "form",
                    f"The {field} of container {container.get('name')!r} "
                    + (f"has {wrong!r} in it" if isinstance(words, list) else f"is a {type(words).__name__}")
                    + ", but a list of texts was expected",
                    f"give {argument} as texts; what Jinja renders as a native object may need a filter such as "
                    "'| string'.",
                    argument,
                )


def _resources(container: Json) -> Iterator[Refusal]:
    given = container.get("resources") or {}
    sides = {kind: dict(given.get(kind) or {}) for kind in ("requests", "limits")}
    for values in sides.values():
        for resource, value in values.items():
            if value is not None and _amount(value) is None:
                yield _no_quantity(f"Container {container.get('name')!r} asks for {value!r} of {resource}", value)
    for resource, value in sides["requests"].items():
        asked, most = _amount(value), _amount(sides["limits"].get(resource))
        if asked is not None and most is not None and asked > most:
            yield Refusal(
                "form",
                f"Container {container.get('name')!r} requests {value} of {resource}, which is more than its limit of "
                f"{sides['limits'][resource]}",
                "lower the request, or raise the limit.",
                "container_resources",
            )


def _amount(value: Any) -> Decimal | None:
    """The amount of a quantity, or None for what the API would not take: it trims nothing and takes nothing below 0."""
    text = str(value)
    try:
        number = parse_quantity(text)
    except ValueError:
        return None
    return number if number >= 0 and text == text.strip() else None


def _no_quantity(evidence: str, value: Any) -> Refusal:
    near = re.sub(r"\s|[bB]$", "", str(value)).replace("K", "k").replace("ki", "Ki")
    hint = f"did you mean {near!r}?" if _amount(near) is not None else "write it as in 500m, 2, 512Mi or 1Gi."
    return Refusal("form", f"{evidence}, which is no quantity of Kubernetes", hint, "container_resources")


def _image(container: Json) -> Iterator[Refusal]:
    image = container.get("image")
    if isinstance(image, str) and not _IMAGE.fullmatch(image):
        yield Refusal(
            "image",
            f"The image {image!r} of container {container.get('name')!r} is no name that a registry could know",
            "write it as in registry.example.com/team/name:1.2, the name in small letters.",
            "image",
        )


def _pairs(pairs: Any, what: str, argument: str) -> Iterator[Refusal]:
    for key, value in pairs.items() if isinstance(pairs, dict) else ():
        if not _is_key(str(key)):
            yield _misnamed(key, what, argument)
        if value is not None and not (isinstance(value, str) and _LABEL_VALUE.fullmatch(value)):
            sentence = f"The {what} {key} has the value {value!r}, which Kubernetes does not take"
            yield Refusal("form", sentence, f"write a text of {_LABEL}.", argument)


def _misnamed(key: Any, what: str, argument: str) -> Refusal:
    sentence = f"The {what} {key!r} is named as Kubernetes does not take it"
    return Refusal("form", sentence, f"take {_LABEL}; a domain and '/' may stand before them.", argument)


def _is_key(key: str) -> bool:
    match = _LABEL_KEY.fullmatch(key)
    return match is not None and len(match["prefix"] or "") <= _MOST_PREFIX


def _is_variable(name: str) -> bool:
    return name != "" and name.isascii() and name.isprintable() and "=" not in name

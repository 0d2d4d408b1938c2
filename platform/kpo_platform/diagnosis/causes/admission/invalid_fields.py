"""Pods that the API server cannot accept because of their content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kpo_platform.diagnosis.cause import Cause, build_cause
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.fixes.amounts import merge_patches, patch_containers, read_resources
from kpo_platform.diagnosis.fixes.arguments import find_argument, find_name
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, Rule
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.json_fields import read_objects
from kpo_platform.pod.merge import Json
from kpo_platform.pod.quantity import parse_quantity

RULES: dict[str, Rule] = {
    "invalid-field": Rule("KPO-ADM116", "Kubernetes accepts every field of the pod."),
    "request-size": Rule("KPO-ADM119", "The pod is not larger than the API server accepts."),
}
"""The causes of this part of the family by name."""

_KINDS = (
    "Invalid value|Required value|Unsupported value|Duplicate value|Forbidden|Not found|Too long|Too many|Too few|"
    "Too short|Internal error"
)
_PATH = r"\.?\b(?:spec|metadata|containers|initContainers)\b[\w.\-/\[\]]*"
_ERROR = re.compile(
    rf"({_PATH}): ({_KINDS})\b:?\s*(.*?)(?=,?\s*(?:provider \S+ )?{_PATH}: (?:{_KINDS})|,? provider |\]?$)", re.S
)
_LIMIT = re.compile(r"must be less than or equal to (\S+) limit(?: of (\S+))?")
_TYPE = re.compile(r"cannot unmarshal (\w+) into Go struct field \w+\.(\S+) of type (\S+)")
_UNKNOWN = re.compile(r'unknown field "([^"]+)"')
_LARGE = re.compile(r"request entity too large|request is too large|message larger than max", re.IGNORECASE)
_LONGEST = 300


@dataclass(frozen=True)
class _Error:
    """A field that is not accepted."""

    path: str
    kind: str
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: {self.kind}: {sanitize(self.detail, _LONGEST)}".removesuffix(": ")


def describe_fields(facts: Facts, signal: Signal) -> Cause | None:
    """Describe fields that are not accepted; None if the refusal names none."""
    message = signal.message
    if signal.reason.endswith("413") or _LARGE.search(message):
        return _describe_size(facts, signal)
    errors = list(dict.fromkeys(_Error(path.lstrip("."), kind, rest) for path, kind, rest in _ERROR.findall(message)))
    if errors:
        fixes = {error: _fix_error(facts, error) for error in errors}
        special = list(filter(None, fixes.values()))
        others = dict.fromkeys(find_argument(facts, error.path) for error in errors if fixes[error] is None)
        advice = [*(text for text, _ in special), *([f"Correct {' and '.join(others)}."] if others else [])]
        patch = merge_patches(each for _, each in special) or None
        text = f"The pod is not valid: {'; '.join(map(str, errors))}"
        return build_cause(RULES["invalid-field"], facts.pod_ref, text, signal, Fix(" ".join(advice), patch=patch))
    return _describe_form(facts, signal)


def _describe_form(facts: Facts, signal: Signal) -> Cause | None:
    """Describe a pod whose JSON does not have the form of a pod."""
    rule, message = RULES["invalid-field"], signal.message
    if match := _TYPE.search(message):
        path, names = match[2], _list_wrong_variables(facts) if ".env." in match[2] else []
        told = f" ({', '.join(names)})" if names else ""
        text = f"The pod is not valid: {path}{told} is a {match[1]}, and must be a {match[3]}"
        fix = Fix(f"Write it as a {match[3]} in {find_argument(facts, path)}.")
    elif match := _UNKNOWN.search(message):
        text = f"The pod is not valid: it has the field {match[1]}, which Kubernetes does not know"
        fix = Fix(f"Correct or remove it in {find_argument(facts, match[1])}.")
    elif "quantities must match the regular expression" in message:
        wrong = "; ".join(_list_wrong_quantities(facts)) or "a resource has an amount"
        text = f"The pod is not valid: {wrong} that is not a Kubernetes quantity"
        fix = Fix("Correct container_resources: write amounts as 500m, 2 or 1Gi.")
    else:
        return None
    return build_cause(rule, facts.pod_ref, text, signal, fix)


def _fix_error(facts: Facts, error: _Error) -> tuple[str, Json] | None:
    """Find a fix that is more than a correction of the value."""
    name = find_name(facts, error.path)
    if (match := _LIMIT.search(error.detail)) and name:
        limits = read_resources(facts.find_container(name))["limits"]
        limit = match[2] or limits.get(match[1], "")
        patch = patch_containers(facts, {name: {"resources": {"requests": {match[1]: limit}}}})
        where = "container_resources" if name == facts.program.name else f"container {name}"
        return f"Request at most {match[1]} {limit} in {where}, or raise the limit.", patch
    if error.kind == "Not found" and "volumeMounts" in error.path:
        volume = error.detail.strip('"]')
        text = f'Add the volume "{volume}" to volumes, for example an empty one, or remove it from volume_mounts.'
        return text, {"spec": {"volumes": [{"name": volume, "emptyDir": {}}]}}
    return None


def _describe_size(facts: Facts, signal: Signal) -> Cause:
    sizes = [
        (len(str(container.get(field))), find_argument(facts, f"containers.{field}"), container.get("name"))
        for container in facts.list_containers()
        for field in ("env", "args", "command")
    ]
    size, argument, name = max(sizes, default=(0, "", ""))
    told = f"; most of it is {argument} of container {name}, with {size // 1024} KiB" if size > 2**16 else ""
    limit = re.search(r"limit is (\d+)", signal.message)
    most = f"the {int(limit[1]) // 1024} KiB that the API server accepts" if limit else "the API server accepts"
    text = f"The pod is larger than {most}{told}"
    argument = argument if told else "arguments or env_vars"
    fix = f"Put the data on a volume or into object storage, and pass its path in {argument}."
    return build_cause(RULES["request-size"], facts.pod_ref, text, signal, Fix(fix))


def _list_wrong_variables(facts: Facts) -> list[str]:
    variables = [each for container in facts.list_containers() for each in read_objects(container.get("env"))]
    return [str(each.get("name")) for each in variables if not isinstance(each.get("value", ""), str | None)]


def _list_wrong_quantities(facts: Facts) -> Iterator[str]:
    for container in facts.list_containers():
        for kind, values in read_resources(container).items():
            for resource, value in values.items():
                try:
                    parse_quantity(value)
                except ValueError:
                    yield f'container {container.get("name")} has in {kind} the amount "{value}" of {resource}'

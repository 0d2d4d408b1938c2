"""Pods that a ResourceQuota or a LimitRange of their namespace refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from kpo_platform.diagnosis.cause import PLATFORM_TEAM, Cause, build_cause
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.fixes.amounts import (
    KINDS,
    Less,
    lower_resource,
    merge_patches,
    patch_containers,
    raise_resource,
    read_resources,
    suggest_less,
)
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, ObjectRef, Rule
from kpo_platform.pod.json_fields import read_text
from kpo_platform.pod.merge import Json
from kpo_platform.pod.quantity import parse_quantity_or_zero
from kpo_platform.pod.xcom import XCOM_CONTAINER

RULES: dict[str, Rule] = {
    "quota-full": Rule("KPO-ADM101", "The quota of the namespace has room for the pod."),
    "quota-size": Rule("KPO-ADM102", "The pod requests no more than the whole quota of the namespace."),
    "quota-values": Rule("KPO-ADM103", "Every container sets the resources that the quota counts."),
    "quota-status": Rule("KPO-ADM104", "Kubernetes knows how much of the quota is used."),
    "limit-range": Rule("KPO-ADM105", "The resources of the pod are within the limits of the namespace."),
}
"""The causes of this part of the family by name."""

_EXCEEDED = re.compile(r"exceeded quota: ([^,]+), requested: (\S+), used: (\S+), limited: (\S+)")
_UNSET = re.compile(r"failed quota: ([^:]+): must specify (.+)", re.DOTALL)
_UNKNOWN = re.compile(r"status unknown for quota: ([^,]+)")
_RANGE = re.compile(
    r"(maximum|minimum) (\S+) usage per (\w+) is ([^\s,\]]+?)(?:, but (request|limit) is ([^\s,\]]+)"
    r"|\.\s+No (request|limit) is specified)"
)
_RATIO = re.compile(
    r"(\S+) max limit to request ratio per (\w+) is ([^\s,\]]+), but "
    r"(?:provided ratio is (\d+(?:\.\d+)?)|no (request|limit))"
)
Amounts = dict[str, str]
"""Quantities by resource."""

_COUNTS = frozenset({"pods", "count/pods", "storage"})
"""Resources of a quota that a smaller pod does not change."""

_EXAMPLES = {"cpu": "500m", "memory": "512Mi", "ephemeral-storage": "1Gi"}


def describe_quota(facts: Facts, signal: Signal) -> Cause | None:
    """Describe a refusal because of a quota or a LimitRange; None if it is another one."""
    message = signal.message
    if match := _EXCEEDED.search(message):
        return describe_exceeded(facts, signal, match[1], *(_parse_list(each) for each in match.groups()[1:]))
    if match := _UNSET.search(message):
        return _describe_unset(facts, signal, match[1], match[2])
    if match := _UNKNOWN.search(message):
        about = ObjectRef("ResourceQuota", match[1], facts.namespace)
        text = f'Kubernetes has not yet counted what is used of the quota "{match[1]}", which is new or was changed'
        fix = Fix("Try again: this takes seconds.")
        return build_cause(RULES["quota-status"], about, text, signal, fix, "waits")
    return _describe_range(facts, signal)


def describe_exceeded(
    facts: Facts, signal: Signal, name: str, requested: Amounts, used: Amounts, limited: Amounts
) -> Cause:
    """Describe a quota that the pod does not fit into, by what is requested, used and allowed of each resource."""
    about = ObjectRef("ResourceQuota", name, facts.namespace)
    too_large = {each: limited[each] for each in requested if _is_more(requested[each], limited.get(each))}
    if too_large:
        amounts = "; ".join(f"{each} {requested[each]}, and the whole quota is {limited[each]}" for each in too_large)
        text = f'The pod can never fit into the quota "{name}" of {facts.namespace}: it needs {amounts}'
        less = _suggest_less(facts, {each: parse_quantity_or_zero(value) for each, value in too_large.items()})
        advice = f"{less.text or 'Request less.'} Or ask {PLATFORM_TEAM} for a larger quota."
        return build_cause(RULES["quota-size"], about, text, signal, Fix(advice, patch=less.patch))
    amounts = "; ".join(
        f"{each} {used.get(each, '?')} of {limited.get(each, '?')} used, and the pod needs {value} more"
        for each, value in requested.items()
    )
    text = f'The quota "{name}" of {facts.namespace} has no room for the pod: {amounts}'
    free = {
        each: parse_quantity_or_zero(limited.get(each)) - parse_quantity_or_zero(used.get(each)) for each in requested
    }
    less = _suggest_less(facts, free)
    advice = f"Wait until other pods of the namespace have ended, or ask {PLATFORM_TEAM} for a larger quota."
    now = f" A smaller pod would fit now. {less.text}" if less.patch else ""
    return build_cause(RULES["quota-full"], about, text, signal, Fix(advice + now, patch=less.patch), "waits")


def _suggest_less(facts: Facts, most: dict[str, Decimal]) -> Less:
    """Suggest less of the resources of a quota, whose names have a prefix for limits, and may have one for requests."""
    kind = "limits" if any(name.startswith("limits.") for name in most) else "requests"
    least: dict[str, Decimal] = {}
    for name, amount in most.items():
        bare = name.removeprefix("limits.").removeprefix("requests.")
        least[bare] = min(amount, least.get(bare, amount))
    return suggest_less(facts, least, kind) if least.keys().isdisjoint(_COUNTS) else Less()


def _describe_unset(facts: Facts, signal: Signal, name: str, listed: str) -> Cause:
    """Describe containers without the requests or limits that a quota counts."""
    missing: dict[str, list[str]] = {}
    for part in listed.split(";"):
        resources, _, containers = part.strip().partition(" for: ")
        names = [each.strip() for each in containers.split(",") if each.strip()]
        for resource in resources.split(","):
            missing[resource.strip()] = names or [read_text(each.get("name")) for each in facts.list_containers()]
    values = "; ".join(f"{resource} (container {', '.join(names)})" for resource, names in missing.items())
    text = f'The quota "{name}" of {facts.namespace} requires values that the pod does not set: {values}'
    changes: dict[str, Json] = {}
    for resource, names in missing.items():
        for container in names:
            changed = {container: {"resources": _fill(facts, container, resource)}}
            changes = merge_patches((changes, changed))
    fix = " ".join(_tell_values(facts, container, change["resources"]) for container, change in changes.items())
    about = ObjectRef("ResourceQuota", name, facts.namespace)
    return build_cause(RULES["quota-values"], about, text, signal, Fix(fix, patch=patch_containers(facts, changes)))


def _fill(facts: Facts, container: str, resource: str) -> Json:
    """Return a value for a resource that is not set: the other kind's, the team's, or an example."""
    kind, _, bare = resource.rpartition(".")
    kind, bare = (kind, bare) if kind in KINDS else ("requests", resource)
    present = read_resources(facts.find_container(container))
    value = present["limits" if kind == "requests" else "requests"].get(bare)
    if value is None and facts.team is not None:
        size = facts.team.sizes.get(facts.team.default_size)
        own = size.model_dump(by_alias=False) if size and container == facts.program.name else {}
        value = own.get(bare.replace("-", "_")) or facts.team.limits.default.get(bare)
    return {kind: {bare: value or _EXAMPLES.get(bare, "1")}}


def _tell_values(facts: Facts, container: str, resources: Json) -> str:
    if container == facts.program.name:
        return f"Set {resources} in container_resources, or use a size that has this."
    if container == XCOM_CONTAINER:
        place = "xcom_sidecar_container_resources of the Airflow connection"
        return f'For {container} set {resources} in {place}, or use xcom="message".'
    return f"Set {resources} in the resources of container {container}."


def _describe_range(facts: Facts, signal: Signal) -> Cause | None:
    """Describe resources outside of the limits of a LimitRange."""
    found = [*_find_range_errors(facts, signal.message), *_find_ratio_errors(facts, signal.message)]
    if not found:
        return None
    texts, changes = [text for text, _ in found], merge_patches(change for _, change in found)
    text = f"The resources of the pod are outside of the limits of {facts.namespace} (LimitRange): {'; '.join(texts)}"
    advice = [_tell_values(facts, name, change["resources"]) for name, change in changes.items()]
    fix = " ".join([*advice, f"{'Or ask' if advice else 'Ask'} {PLATFORM_TEAM} to change the limits."])
    patch = patch_containers(facts, changes) if changes else None
    return build_cause(RULES["limit-range"], facts.pod_ref, text, signal, Fix(fix, patch=patch))


def _find_range_errors(facts: Facts, message: str) -> Iterator[tuple[str, dict[str, Json]]]:
    for word, resource, scope, bound, kind, value, unset in _RANGE.findall(message):
        kind_name = f"{kind or unset}s"
        if scope == "Pod" and kind and word == "maximum":
            less = suggest_less(facts, {resource: parse_quantity_or_zero(bound)}, kind_name)
            spec = (less.patch or {}).get("spec", {})
            changed = {each["name"]: {"resources": each["resources"]} for each in spec.get("containers", ())}
            where = "the pod"
        else:
            names = _find_holders(facts, kind_name, resource, value)
            change = lower_resource if word == "maximum" and kind else raise_resource
            changed = {
                name: {"resources": change(facts.find_container(name), resource, kind_name, bound)} for name in names
            }
            where = f"container {', '.join(names)}" if names else "a container"
        has = f"has a {resource} {kind} of {value}" if kind else f"has no {resource} {unset}"
        yield f"{where} {has}, and the {word} is {bound}", changed


def _find_ratio_errors(facts: Facts, message: str) -> Iterator[tuple[str, dict[str, Json]]]:
    for resource, _, bound, ratio, unset in _RATIO.findall(message):
        changed: dict[str, Json] = {}
        for container in facts.list_containers():
            values = read_resources(container)
            request, limit = values["requests"].get(resource), values["limits"].get(resource)
            either = limit or request
            if either and (ratio == "" or _is_ratio(request, limit, ratio)):
                changed[read_text(container.get("name"))] = {"resources": {each: {resource: either} for each in KINDS}}
        where = f"container {', '.join(changed)}" if changed else "a container"
        has = (
            f"has a {resource} limit that is {float(ratio):g} times its request"
            if ratio
            else f"has no {resource} {unset}"
        )
        yield f"{where} {has}, and the maximum ratio is {bound}", changed


def _find_holders(facts: Facts, kind: str, resource: str, value: str) -> list[str]:
    """Find the containers with this value, or without one; else the program's, which then has the default."""
    names = []
    for container in facts.list_containers():
        present = read_resources(container)[kind].get(resource)
        if (present or value) and parse_quantity_or_zero(present) != parse_quantity_or_zero(value or None):
            continue
        names.append(read_text(container.get("name")))
    return names or [facts.program.name] * bool(facts.find_container(facts.program.name))


def _is_ratio(request: str | None, limit: str | None, ratio: str) -> bool:
    lower = parse_quantity_or_zero(request)
    return bool(lower) and abs(parse_quantity_or_zero(limit) / lower - Decimal(ratio)) < Decimal("0.01")


def _parse_list(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.strip("[]").split(",") if "=" in part)


def _is_more(value: str, limit: str | None) -> bool:
    return limit is not None and parse_quantity_or_zero(value) > parse_quantity_or_zero(limit)

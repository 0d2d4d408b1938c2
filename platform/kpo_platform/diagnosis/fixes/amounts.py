"""Resources that a pod requests, and advice to request less."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kpo_platform.contract import Limits
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.pod.json_fields import read_object, read_objects, read_text
from kpo_platform.pod.merge import Json
from kpo_platform.pod.quantity import parse_quantity_or_zero
from kpo_platform.pod.resources import Amounts, compute_pod_resources

KINDS = ("requests", "limits")
"""The two kinds of resources of a container."""

_NO_DEFAULTS = Limits(default={}, default_request={}, max={})
_UNITS = (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10))
_BYTES = ("memory", "storage", "hugepages-")


@dataclass(frozen=True)
class Less:
    """Advice to request less of some resources.

    Attributes:
        text: the advice as a sentence; empty if the pod's largest container cannot request so little.
        patch: the change of the pod.
    """

    text: str = ""
    patch: Json | None = None


def read_resources(container: Json) -> dict[str, dict[str, str]]:
    """Read requests and limits of a container; a number becomes a quantity."""
    resources = read_object(container.get("resources"))
    return {
        kind: {
            str(name): str(value)
            for name, value in read_object(resources.get(kind)).items()
            if isinstance(value, str | int | float)
        }
        for kind in KINDS
    }


def compute_amounts(facts: Facts, kind: str) -> Amounts:
    """Compute what the scheduler and a quota count for the whole pod; empty if its spec is not known."""
    spec = {
        key: [
            {"restartPolicy": each.get("restartPolicy"), "resources": read_resources(each)}
            for each in read_objects(facts.spec.get(key))
        ]
        for key in ("initContainers", "containers")
    }
    amounts = compute_pod_resources({"spec": spec}, _NO_DEFAULTS)[kind]
    whole = read_resources(facts.spec)  # since Kubernetes 1.34 a pod may have resources as a whole
    own = {**whole["limits"], **whole["requests"]} if kind == "requests" else whole["limits"]
    amounts |= {name: parse_quantity_or_zero(value) for name, value in own.items()}
    for name, value in read_object(facts.spec.get("overhead")).items():
        amounts[name] = amounts.get(name, Decimal(0)) + parse_quantity_or_zero(value)
    return {name: amount for name, amount in amounts.items() if amount > 0}


def format_amount(resource: str, amount: Decimal) -> str:
    """Format an amount as a quantity, rounded down to about three digits: 500m, 2, 3834Mi."""
    amount = min(amount, Decimal(2**63))  # as the API server caps it
    if resource.endswith("cpu"):
        milli = int(amount * 1000)
        return f"{milli}m" if milli % 1000 else str(milli // 1000)
    if any(word in resource for word in _BYTES):
        for unit, size in _UNITS:
            if amount >= size and (amount % size == 0 or amount >= 10 * size):
                return f"{int(amount / size)}{unit}"
    return str(int(amount))


def suggest_less(facts: Facts, most: Mapping[str, Decimal], kind: str = "requests", share: str = "1") -> Less:
    """Suggest how the pod's largest container can request less, with a size of the team if one fits.

    Args:
        facts: what is known about the pod.
        most: how much the whole pod may request at most, by resource.
        kind: what is limited: ``requests`` or ``limits``.
        share: how much of it is suggested if no size fits.
    """
    total = compute_amounts(facts, kind)
    excess = [resource for resource, amount in most.items() if total.get(resource, Decimal(0)) > amount]
    container = _find_largest(facts, excess, kind)
    own = _read_amounts(container, kind)
    room = {
        resource: amount - (total.get(resource, Decimal(0)) - own.get(resource, 0)) for resource, amount in most.items()
    }
    name = read_text(container.get("name"))
    if name == facts.container and (size := _find_size(facts, room)):
        values = _read_size(facts, size)
        text = f'Use size="{size}" ({", ".join(f"{resource} {value}" for resource, value in values.items())}).'
        return Less(text, patch_containers(facts, {name: {"resources": dict.fromkeys(KINDS, values)}}))
    values = {each: format_amount(each, room[each] * Decimal(share)) for each in excess}
    if not name or not values or any(parse_quantity_or_zero(value) <= 0 for value in values.values()):
        return Less()
    where = "container_resources" if name == facts.container else f"the resources of container {name}"
    changed = merge_patches(lower_resource(container, each, kind, value) for each, value in values.items())
    return Less(f"Set {changed} or less in {where}.", patch_containers(facts, {name: {"resources": changed}}))


def lower_resource(container: Json, resource: str, kind: str, value: str) -> Json:
    """Return the changed resources of a container that has at most this value, so that requests stay below limits."""
    is_pair = "/" in resource or resource.startswith("hugepages-")  # here Kubernetes requires the same value
    changed: Json = {kind: {resource: value}}
    request = read_resources(container)["requests"].get(resource)
    if is_pair or (kind == "limits" and request and parse_quantity_or_zero(request) > parse_quantity_or_zero(value)):
        changed = {each: {resource: value} for each in KINDS}
    return changed


def raise_resource(container: Json, resource: str, kind: str, value: str) -> Json:
    """Return the changed resources of a container that has at least this value, so that requests stay below limits."""
    limit = read_resources(container)["limits"].get(resource)
    if kind == "requests" and limit and parse_quantity_or_zero(limit) < parse_quantity_or_zero(value):
        return {each: {resource: value} for each in KINDS}
    return {kind: {resource: value}}


def patch_containers(facts: Facts, changes: Mapping[str, Json]) -> Json:
    """Return a strategic merge patch of the pod with changed fields of some containers."""
    init_names = {read_text(each.get("name")) for each in read_objects(facts.spec.get("initContainers"))}
    spec: dict[str, Any] = {}
    for name, fields in changes.items():
        spec.setdefault("initContainers" if name in init_names else "containers", []).append({"name": name, **fields})
    return {"spec": spec}


def merge_patches(parts: Iterable[Json]) -> Json:
    """Merge patches; None stays, because it removes a field."""
    merged: Json = {}
    for part in parts:
        for key, value in part.items():
            is_nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
            merged[key] = merge_patches((merged[key], value)) if is_nested else value
    return merged


def _find_largest(facts: Facts, resources: Iterable[str], kind: str) -> Json:
    """Find the container that requests most of these resources."""
    listed = list(resources)
    containers = sorted(facts.list_containers(), key=lambda each: each.get("name") != facts.container)
    keys = [[_read_amounts(each, kind).get(name, Decimal(0)) for name in listed] for each in containers]
    return containers[keys.index(max(keys))] if keys else {}


def _read_amounts(container: Json, kind: str) -> Amounts:
    resources = read_resources(container)
    filled = {**resources["limits"], **resources["requests"]} if kind == "requests" else resources["limits"]
    return {resource: parse_quantity_or_zero(value) for resource, value in filled.items()}


def _find_size(facts: Facts, room: Mapping[str, Decimal]) -> str:
    """Find the team's largest size that fits; empty if none does."""
    fitting = [
        ({resource: parse_quantity_or_zero(value) for resource, value in _read_size(facts, name).items()}, name)
        for name, size in (facts.team.sizes if facts.team else {}).items()
        if not size.gpu
    ]
    fitting = [(values, name) for values, name in fitting if all(values.get(each, 0) <= room[each] for each in room)]
    return max(fitting, key=lambda each: (each[0].get("cpu", 0), each[0].get("memory", 0)))[1] if fitting else ""


def _read_size(facts: Facts, name: str) -> dict[str, str]:
    size = facts.team.sizes[name] if facts.team else None
    values = {"cpu": size.cpu, "memory": size.memory, "ephemeral-storage": size.ephemeral_storage} if size else {}
    return {resource: value for resource, value in values.items() if value}

"""What the API server would refuse of a pod that is not created yet, as far as it can be read."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal

from kpo_platform.diagnosis.cause import Cause
from kpo_platform.diagnosis.causes.admission.admission import build_kind, describe_missing_account
from kpo_platform.diagnosis.causes.admission.kinds import KINDS
from kpo_platform.diagnosis.causes.admission.quota import Amounts, describe_exceeded
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.diagnosis.fixes.amounts import compute_amounts, format_amount
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.pod.json_fields import read_object, read_objects, read_text, read_texts
from kpo_platform.pod.merge import Json
from kpo_platform.pod.quantity import parse_quantity_or_zero

_CLASSES = {"PriorityClass": "priorityClassName", "RuntimeClass": "runtimeClassName"}
_DEFAULTS = {"limits": "default", "requests": "defaultRequest"}
_BUILT_IN = "system-"  # priority classes that every cluster has
_DEFAULT_ACCOUNT = "default"


def check_admission(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find what a dry run would have found, if none was possible."""
    if facts.rejection is None and not facts.is_admitted:
        yield from _check_account(facts, lookup)
        yield from _check_classes(facts, lookup)
        yield from _check_quotas(facts, lookup)


def _check_account(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    name = read_text(facts.spec.get("serviceAccountName")) or _DEFAULT_ACCOUNT
    if lookup.get("ServiceAccount", name, facts.namespace).is_absent:
        signal = Signal("spec", "", f"serviceAccountName is {name}")
        yield describe_missing_account(facts, name, facts.namespace, signal)


def _check_classes(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    for about, field in _CLASSES.items():
        name = read_text(facts.spec.get(field))
        if name and not name.startswith(_BUILT_IN) and lookup.get(about, name).is_absent:
            kind = next(each for each in KINDS if each.about == about)
            yield build_kind(facts, Signal("spec", "", f"{field} is {name}"), kind, {"name": name})


def _check_quotas(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find quotas without room for the pod; those with scopes, which may not be about it, are left out."""
    quotas = lookup.list_objects("ResourceQuota", facts.namespace) or ()
    ranges = lookup.list_objects("LimitRange", facts.namespace) if quotas else ()
    filled = _fill_in_defaults(facts, ranges or ())
    for quota in quotas:
        spec, status = read_object(quota.get("spec")), read_object(quota.get("status"))
        if spec.get("scopes") or spec.get("scopeSelector"):
            continue
        hard, used = read_texts(status.get("hard")), read_texts(status.get("used"))
        requested = {each: _get_request(filled, each) for each in hard}
        full: Amounts = {
            each: format_amount(each, amount)
            for each, amount in requested.items()
            if amount and parse_quantity_or_zero(used.get(each)) + amount > parse_quantity_or_zero(hard[each])
        }
        if full:
            amounts = "; ".join(f"{each}: {used.get(each, '0')} of {hard[each]} used" for each in full)
            name = read_text(read_object(quota.get("metadata")).get("name"))
            yield describe_exceeded(facts, Signal("spec", "", amounts), name, full, used, hard)


def _get_request(facts: Facts, resource: str) -> Decimal:
    """Return how much of a resource of a quota the pod takes."""
    if resource in ("pods", "count/pods"):
        return Decimal(1)
    kind, _, bare = resource.rpartition(".") if resource.startswith(("limits.", "requests.")) else ("", "", resource)
    return compute_amounts(facts, kind or "requests").get(bare, Decimal(0))


def _fill_in_defaults(facts: Facts, ranges: tuple[Json, ...]) -> Facts:
    """Fill in the resources that the LimitRanges of the namespace give to containers without them."""
    items = [item for each in ranges for item in read_objects(read_object(each.get("spec")).get("limits"))]
    defaults = {
        kind: {
            name: value
            for item in items
            if item.get("type") == "Container"
            for name, value in read_texts(item.get(field)).items()
        }
        for kind, field in _DEFAULTS.items()
    }
    pod = deepcopy(facts.pod)
    for field in ("initContainers", "containers"):
        for container in read_objects(read_object(pod.get("spec")).get(field)):
            own = read_object(container.get("resources"))
            limits = {**defaults["limits"], **read_object(own.get("limits"))}
            # A request without a value is the limit that the container sets itself, and only then the default.
            requests = {**defaults["requests"], **read_object(own.get("limits")), **read_object(own.get("requests"))}
            container["resources"] = {"limits": limits, "requests": requests}
    return replace(facts, pod=pod)

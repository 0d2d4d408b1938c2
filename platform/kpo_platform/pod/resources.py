"""What a pod asks for, as the scheduler and a quota count it, and whether the team may have it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from kpo_platform.contract import Limits
from kpo_platform.pod.containers import is_sidecar
from kpo_platform.pod.merge import Json
from kpo_platform.pod.quantity import parse_quantity_or_zero

Amounts = dict[str, Decimal]


def compute_pod_resources(pod: Json, limits: Limits) -> dict[str, Amounts]:
    """What the whole pod counts for, per kind (``requests``, ``limits``) and resource.

    Init containers run one after the other before the rest; sidecars run beside everything that comes after them
    (Kubernetes, "Resource sharing within containers", KEP-753).
    """
    return {kind: _counted(pod["spec"], kind, limits) for kind in ("requests", "limits")}


def fit_resources(under: Json, over: Json) -> Json:
    """The weaker pod with resources that go together with those of the stronger one.

    Who names a limit alone means the request as well, as the API has it. Who names a request alone keeps the weaker
    limit, raised as far as the request needs: the API refuses a request above its limit.
    """
    asked = {one.get("name"): one.get("resources") or {} for one in (over.get("spec") or {}).get("containers") or []}
    if not any(asked.values()) or "spec" not in under:
        return under
    containers = [_fitted(one, asked.get(one.get("name")) or {}) for one in under["spec"].get("containers") or []]
    return {**under, "spec": {**under["spec"], "containers": containers}}


def _fitted(container: Json, asked: Json) -> Json:
    sides = {kind: dict((container.get("resources") or {}).get(kind) or {}) for kind in ("requests", "limits")}
    requests, limits = asked.get("requests") or {}, asked.get("limits") or {}
    sides["requests"] |= {resource: value for resource, value in limits.items() if resource not in requests}
    for resource, value in requests.items():
        limit = sides["limits"].get(resource)
        if resource in sides["limits"] and parse_quantity_or_zero(limit) < parse_quantity_or_zero(value):
            sides["limits"][resource] = value
    return {**container, "resources": sides} if asked else container


def _counted(spec: Json, kind: str, limits: Limits) -> Amounts:
    beside: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or []:
        one = _of_container(container, kind, limits)
        if is_sidecar(container):
            beside = _sum(beside, one)
            peak = _most(peak, beside)
        else:
            peak = _most(peak, _sum(beside, one))
    for container in spec.get("containers") or []:
        beside = _sum(beside, _of_container(container, kind, limits))
    return _most(peak, beside)


def _of_container(container: Json, kind: str, limits: Limits) -> Amounts:
    """The container's amounts after the defaults of the API (request = limit) and of the LimitRange."""
    given = container.get("resources") or {}
    own = {name: dict(given.get(name) or {}) for name in ("requests", "limits")}
    if kind == "limits":
        filled: dict[str, Any] = {**limits.default, **own["limits"]}
    else:
        filled = {**limits.default_request, **own["limits"], **own["requests"]}
    return {resource: parse_quantity_or_zero(value) for resource, value in filled.items()}


def _sum(one: Amounts, other: Amounts) -> Amounts:
    return {name: one.get(name, Decimal(0)) + other.get(name, Decimal(0)) for name in {**one, **other}}


def _most(one: Amounts, other: Amounts) -> Amounts:
    return {name: max(one.get(name, Decimal(0)), other.get(name, Decimal(0))) for name in {**one, **other}}

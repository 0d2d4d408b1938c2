"""Resources of a pod as scheduler and ResourceQuota count them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from kpo_platform.contract import Limits
from kpo_platform.pod.containers import is_sidecar
from kpo_platform.pod.merge import Json
from kpo_platform.pod.quantity import parse_quantity_or_zero

Amounts = dict[str, Decimal]


def compute_pod_resources(pod: Json, limits: Limits) -> dict[str, Amounts]:
    """Compute the resources of a whole pod by kind (``requests``, ``limits``) and resource.

    Init containers run one after another before the containers; sidecars run beside everything after them (Kubernetes,
    "Resource sharing within containers", KEP-753).
    """
    return {kind: _sum_containers(pod["spec"], kind, limits) for kind in ("requests", "limits")}


def fit_resources(lower: Json, higher: Json) -> Json:
    """Adapt the resources of a lower layer to those of a higher one.

    A limit without a request sets the request too, as in the API. A request without a limit raises a smaller limit of
    the lower layer, because the API rejects a request above its limit.
    """
    containers = (higher.get("spec") or {}).get("containers") or []
    resources = {container.get("name"): container.get("resources") or {} for container in containers}
    if not any(resources.values()) or "spec" not in lower:
        return lower
    fitted = [
        _fit_container(container, resources.get(container.get("name")) or {})
        for container in lower["spec"].get("containers") or []
    ]
    return {**lower, "spec": {**lower["spec"], "containers": fitted}}


def _fit_container(container: Json, higher: Json) -> Json:
    fitted = {kind: dict((container.get("resources") or {}).get(kind) or {}) for kind in ("requests", "limits")}
    requests, limits = higher.get("requests") or {}, higher.get("limits") or {}
    fitted["requests"] |= {resource: value for resource, value in limits.items() if resource not in requests}
    for resource, value in requests.items():
        limit = fitted["limits"].get(resource)
        if resource in fitted["limits"] and parse_quantity_or_zero(limit) < parse_quantity_or_zero(value):
            fitted["limits"][resource] = value
    return {**container, "resources": fitted} if higher else container


def _sum_containers(spec: Json, kind: str, limits: Limits) -> Amounts:
    running: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or []:
        amounts = _read_amounts(container, kind, limits)
        if is_sidecar(container):
            running = _add(running, amounts)
            peak = _max(peak, running)
        else:
            peak = _max(peak, _add(running, amounts))
    for container in spec.get("containers") or []:
        running = _add(running, _read_amounts(container, kind, limits))
    return _max(peak, running)


def _read_amounts(container: Json, kind: str, limits: Limits) -> Amounts:
    """Read a container's resources with the defaults of the API (request = limit) and of the LimitRange."""
    resources = container.get("resources") or {}
    own = {name: dict(resources.get(name) or {}) for name in ("requests", "limits")}
    if kind == "limits":
        filled: dict[str, Any] = {**limits.default, **own["limits"]}
    else:
        filled = {**limits.default_request, **own["limits"], **own["requests"]}
    return {resource: parse_quantity_or_zero(value) for resource, value in filled.items()}


def _add(first: Amounts, second: Amounts) -> Amounts:
    return {name: first.get(name, Decimal(0)) + second.get(name, Decimal(0)) for name in {**first, **second}}


def _max(first: Amounts, second: Amounts) -> Amounts:
    return {name: max(first.get(name, Decimal(0)), second.get(name, Decimal(0))) for name in {**first, **second}}

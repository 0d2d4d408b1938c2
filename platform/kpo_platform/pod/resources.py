"""What a pod asks for, as the scheduler and a quota count it, and whether the team may have it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from kpo_platform.contract import Limits, Team
from kpo_platform.pod.containers import all_containers, is_sidecar
from kpo_platform.pod.finding import Refusal
from kpo_platform.pod.merge import Json
from kpo_platform.pod.quantity import amount

Amounts = dict[str, Decimal]

_SHORT = ("cpu", "memory", "ephemeral-storage")
"""A quota may call these without ``requests.``; it then means the request."""


def pod_resources(pod: Json, limits: Limits) -> dict[str, Amounts]:
    """What the whole pod counts for, per kind (``requests``, ``limits``) and resource.

    Init containers run one after the other before the rest; sidecars run beside everything that comes after them
    (Kubernetes, "Resource sharing within containers", KEP-753).
    """
    return {kind: _counted(pod["spec"], kind, limits) for kind in ("requests", "limits")}


def fitted(under: Json, over: Json) -> Json:
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
        if resource in sides["limits"] and _quantity(sides["limits"][resource]) < _quantity(value):
            sides["limits"][resource] = value
    return {**container, "resources": sides} if asked else container


def over_quota(pod: Json, name: str, team: Team) -> Iterator[Refusal]:
    """Refuse a container above the team's limits.max, and a pod that could never fit into the team's quota."""
    for container in all_containers(pod):
        yield from _over_max(container, name, team)
    for (resource, asked), most in _quota_use(pod, team):
        if asked > amount(most):
            yield Refusal(
                "quota",
                f"The pod asks for {_text(asked)} of {resource}, but the quota of team {name!r} has {most} for all its "
                f"pods together, so it would wait for ever",
                "take a smaller size or smaller container_resources, or ask the platform team for a larger quota.",
            )


def _over_max(container: Json, name: str, team: Team) -> Iterator[Refusal]:
    given = container.get("resources") or {}
    for resource, most in team.limits.max.items():
        # A LimitRange compares both; without limits in the container its own maximum becomes the limit.
        asked = max(_quantity((given.get(kind) or {}).get(resource)) for kind in ("requests", "limits"))
        if asked > amount(most):
            yield Refusal(
                "quota",
                f"Container {container.get('name')!r} asks for {_text(asked)} of {resource}, but one container of team "
                f"{name!r} may have at most {most}",
                "take a smaller size or smaller container_resources, or ask the platform team to raise limits.max.",
            )


def _quota_use(pod: Json, team: Team) -> Iterator[tuple[tuple[str, Decimal], str]]:
    counted = pod_resources(pod, team.limits) if team.quota else {}
    for resource, most in team.quota.items():
        kind, _, bare = resource.partition(".")
        if resource in _SHORT:
            yield (resource, counted["requests"].get(resource, Decimal(0))), most
        elif kind in counted:
            yield (resource, counted[kind].get(bare, Decimal(0))), most


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
    return {resource: _quantity(value) for resource, value in filled.items()}


def _quantity(value: Any) -> Decimal:
    """The amount of a quantity; 0 for what is not given or no quantity, which the API refuses by itself."""
    try:
        return amount(str(value)) if value is not None else Decimal(0)
    except ValueError:
        return Decimal(0)


def _sum(one: Amounts, other: Amounts) -> Amounts:
    return {name: one.get(name, Decimal(0)) + other.get(name, Decimal(0)) for name in {**one, **other}}


def _most(one: Amounts, other: Amounts) -> Amounts:
    return {name: max(one.get(name, Decimal(0)), other.get(name, Decimal(0))) for name in {**one, **other}}


def _text(number: Decimal) -> str:
    """A number as people write quantities: binary units where it is a whole one of them."""
    for unit, size in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if number >= size and number % size == 0:
            return f"{int(number / size)}{unit}"
    return f"{number.normalize():f}"

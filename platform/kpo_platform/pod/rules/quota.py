"""Rule: a pod fits the team's limits and quota."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from kpo_platform.contract import Team
from kpo_platform.finding import Refusal
from kpo_platform.pod.containers import iterate_containers
from kpo_platform.pod.merge import Json
from kpo_platform.pod.quantity import parse_quantity, parse_quantity_or_zero
from kpo_platform.pod.resources import compute_pod_resources

_REQUEST_NAMES = ("cpu", "memory", "ephemeral-storage")
"""Names in a quota without the prefix ``requests.``, which count requests."""


def check_quota(pod: Json, team_name: str, team: Team) -> Iterator[Refusal]:
    """Refuse a container above the team's limits.max and a pod above the team's quota."""
    for container in iterate_containers(pod):
        yield from _check_container(container, team_name, team)
    for (resource, requested), maximum in _compute_quota_use(pod, team):
        if requested > parse_quantity(maximum):
            yield Refusal(
                "quota",
                f"The pod requests {_format_quantity(requested)} of {resource}, but the quota of team {team_name!r} "
                f"for all pods is {maximum}, so the pod cannot start",
                "Use a smaller size or smaller container_resources, or ask the platform team for a larger quota.",
            )


def _check_container(container: Json, team_name: str, team: Team) -> Iterator[Refusal]:
    resources = container.get("resources") or {}
    for resource, maximum in team.limits.max.items():
        # A LimitRange checks requests and limits; its maximum is the default limit.
        requested = max(
            parse_quantity_or_zero((resources.get(kind) or {}).get(resource)) for kind in ("requests", "limits")
        )
        if requested > parse_quantity(maximum):
            yield Refusal(
                "quota",
                f"Container {container.get('name')!r} requests {_format_quantity(requested)} of {resource}, but a "
                f"container of team {team_name!r} may have at most {maximum}",
                "Use a smaller size or smaller container_resources, or ask the platform team to raise limits.max.",
            )


def _compute_quota_use(pod: Json, team: Team) -> Iterator[tuple[tuple[str, Decimal], str]]:
    pod_resources = compute_pod_resources(pod, team.limits) if team.quota else {}
    for resource, maximum in team.quota.items():
        kind, _, name = resource.partition(".")
        if resource in _REQUEST_NAMES:
            yield (resource, pod_resources["requests"].get(resource, Decimal(0))), maximum
        elif kind in pod_resources:
            yield (resource, pod_resources[kind].get(name, Decimal(0))), maximum


def _format_quantity(number: Decimal) -> str:
    """Format a number as a quantity, with a binary unit if it is a multiple of one."""
    for unit, size in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if number >= size and number % size == 0:
            return f"{int(number / size)}{unit}"
    return f"{number.normalize():f}"

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

_SHORT = ("cpu", "memory", "ephemeral-storage")
"""A quota may call these without ``requests.``; it then means the request."""


def check_quota(pod: Json, name: str, team: Team) -> Iterator[Refusal]:
    """Refuse a container above the team's limits.max, and a pod that could never fit into the team's quota."""
    for container in iterate_containers(pod):
        yield from _over_max(container, name, team)
    for (resource, asked), most in _quota_use(pod, team):
        if asked > parse_quantity(most):
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
        asked = max(parse_quantity_or_zero((given.get(kind) or {}).get(resource)) for kind in ("requests", "limits"))
        if asked > parse_quantity(most):
            yield Refusal(
                "quota",
                f"Container {container.get('name')!r} asks for {_text(asked)} of {resource}, but one container of team "
                f"{name!r} may have at most {most}",
                "take a smaller size or smaller container_resources, or ask the platform team to raise limits.max.",
            )


def _quota_use(pod: Json, team: Team) -> Iterator[tuple[tuple[str, Decimal], str]]:
    counted = compute_pod_resources(pod, team.limits) if team.quota else {}
    for resource, most in team.quota.items():
        kind, _, bare = resource.partition(".")
        if resource in _SHORT:
            yield (resource, counted["requests"].get(resource, Decimal(0))), most
        elif kind in counted:
            yield (resource, counted[kind].get(bare, Decimal(0))), most


def _text(number: Decimal) -> str:
    """A number as people write quantities: binary units where it is a whole one of them."""
    for unit, size in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if number >= size and number % size == 0:
            return f"{int(number / size)}{unit}"
    return f"{number.normalize():f}"

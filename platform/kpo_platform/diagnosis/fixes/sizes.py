"""Advice on the team's sizes: which one has more of a resource."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from kpo_platform.contract import Team
from kpo_platform.diagnosis.cause import PLATFORM_TEAM
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.fixes.amounts import KINDS, format_amount, patch_containers
from kpo_platform.finding import Fix
from kpo_platform.pod.json_fields import read_object, read_objects, read_text
from kpo_platform.pod.quantity import parse_quantity_or_zero

Resource = Literal["memory", "ephemeral-storage"]

_WORDS: dict[Resource, str] = {"memory": "memory", "ephemeral-storage": "ephemeral storage"}
_ORDINARY = frozenset({"cpu", "memory", "ephemeral-storage"})


@dataclass(frozen=True)
class _Choice:
    """A size of the team, and how much it has of a resource."""

    name: str
    amount: str


def read_limit(facts: Facts, container: str, resource: Resource) -> str:
    """Read the limit of a container as a quantity; empty if it has none. A running container may have been resized."""
    status = read_object(read_object(facts.pod).get("status"))
    known = [*read_objects(status.get("containerStatuses")), *read_objects(status.get("initContainerStatuses"))]
    reported = next((each for each in known if each.get("name") == container), {})
    return _read_limits(reported, resource) or _read_limits(facts.find_container(container), resource)


def build_fix(
    facts: Facts,
    container: str,
    resource: Resource,
    used: str = "",
    advice: str = "",
    kinds: tuple[str, ...] = ("limits",),
) -> Fix:
    """Build the advice to give a container more of a resource.

    Args:
        facts: what is known about the pod.
        container: the name of the container.
        resource: the resource.
        used: how much the container has used; by default its limit.
        advice: what can be done instead, as the end of a sentence.
        kinds: what to raise without a size: ``limits``, ``requests``.
    """
    needed, word = parse_quantity_or_zero(used or read_limit(facts, container, resource)), _WORDS[resource]
    highest = facts.team.limits.max.get(resource, "") if facts.team else ""
    doubled = _double(resource, needed, highest)
    patch = _patch(facts, container, {kind: {resource: doubled} for kind in kinds}) if doubled else None
    if facts.team is None or container != facts.program.name:
        how = ", in container_resources or with a larger size" if container == facts.program.name else ""
        amount = f" to {doubled}" if doubled else ""
        return Fix(f'Raise the {word} limit of container "{container}"{amount}{how}{advice}.', patch=patch)
    if choice := _find_larger(facts.team, resource, needed, has_gpu=_has_gpu(facts, container)):
        patch = _patch(facts, container, {kind: {resource: choice.amount} for kind in KINDS})
        return Fix(f'Set size="{choice.name}" ({choice.amount}){advice}.', patch=patch)
    text = f"No size of the team has more {word}"
    if highest and parse_quantity_or_zero(highest) <= needed:
        text = f"{text}, and {highest} is the team's maximum: ask the platform team for more{advice}."
        return Fix(text, who=PLATFORM_TEAM)
    text = f"{text}: set a higher limit in container_resources, or ask the platform team for a larger size{advice}."
    return Fix(text, patch=patch)


def _double(resource: Resource, needed: Decimal, highest: str) -> str:
    """Double an amount, up to a maximum."""
    if not needed:
        return ""
    is_over = highest and parse_quantity_or_zero(highest) < needed * 2
    return highest if is_over else format_amount(resource, needed * 2)


def _find_larger(team: Team, resource: Resource, needed: Decimal, *, has_gpu: bool) -> _Choice | None:
    """Find the smallest size with more of a resource; one without GPUs for a container without."""
    amounts = {
        name: size.memory if resource == "memory" else size.ephemeral_storage for name, size in team.sizes.items()
    }
    larger = [name for name, amount in amounts.items() if parse_quantity_or_zero(amount) > needed]
    larger.sort(key=lambda name: ((team.sizes[name].gpu > 0) != has_gpu, parse_quantity_or_zero(amounts[name])))
    return _Choice(larger[0], amounts[larger[0]]) if larger else None


def _patch(facts: Facts, container: str, resources: dict[str, Any]) -> dict[str, Any]:
    return patch_containers(facts, {container: {"resources": resources}})


def _has_gpu(facts: Facts, container: str) -> bool:
    limits = read_object(read_object(facts.find_container(container).get("resources")).get("limits"))
    return not limits.keys() <= _ORDINARY


def _read_limits(container: dict[str, Any], resource: Resource) -> str:
    return read_text(read_object(read_object(container.get("resources")).get("limits")).get(resource))

"""Volumes of a pod: claims without a volume, and volumes that a node cannot mount."""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.diagnosis.cause import Cause
from kpo_platform.diagnosis.causes.volumes import claim_binding, claims, mounts
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.finding import Rule

RULES: dict[str, Rule] = {**mounts.RULES, **claims.RULES, **claim_binding.RULES}
"""The causes of this family by name."""


def find_volume_problems(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find why the volumes of a pod cannot be used: by the scheduler before it has a node, by the node after that."""
    if facts.state.is_scheduled:
        yield from mounts.find_mount_problems(facts, lookup)
    else:
        yield from claims.find_claim_problems(facts, lookup)

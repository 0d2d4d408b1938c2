"""Environments of a pod that is not created yet."""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.diagnosis.cause import Cause
from kpo_platform.diagnosis.causes.references import check_references
from kpo_platform.diagnosis.causes.start.start import RULES
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.pod.json_fields import read_text


def check_environment(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find the Secrets, ConfigMaps and keys that the environment of a container needs, and that do not exist."""
    rules = RULES["start-object"], RULES["start-key"]
    for container in facts.list_containers():
        for field in ("envFrom", "env"):
            path = f"containers[{read_text(container.get('name'))}].{field}"
            yield from check_references(facts, lookup, rules, container.get(field), path, "")

"""Volumes of a pod that is not created yet."""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.diagnosis.cause import Cause
from kpo_platform.diagnosis.causes.references import check_references
from kpo_platform.diagnosis.causes.volumes.claims import check_claim, list_claims
from kpo_platform.diagnosis.causes.volumes.mounts import RULES
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.pod.json_fields import read_objects, read_text


def check_volumes(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find the claims, Secrets and ConfigMaps that the volumes of a pod need, and that do not exist or have no volume.

    A node does not look at volumes that no container mounts, but the scheduler looks at all claims.
    """
    rules, mounted = (RULES["mount-object"], RULES["mount-key"]), _list_mounted(facts)
    for volume in read_objects(facts.spec.get("volumes")):
        name = read_text(volume.get("name"))
        if name in mounted:
            yield from check_references(
                facts, lookup, rules, volume, f"volumes[{name}]", f'the volume "{name}" in volumes'
            )
    for name, volume in list_claims(facts).items():
        if "ephemeral" not in volume:  # Kubernetes creates its claim
            signal = Signal("spec", "", f'volumes[{read_text(volume.get("name"))}] refers to the claim "{name}"')
            if cause := check_claim(facts, lookup, name, signal):
                yield cause


def _list_mounted(facts: Facts) -> set[str]:
    containers = facts.list_containers()
    return {read_text(each.get("name")) for spec in containers for each in read_objects(spec.get("volumeMounts"))}

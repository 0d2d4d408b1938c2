"""Read what a diagnosis misses."""

from __future__ import annotations

from typing import Protocol

from kpo_platform.diagnosis.diagnose import Diagnosis, diagnose
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.need import Answer, Need

_ROUNDS = 4
"""A cause may depend on an object that another one names: a claim's StorageClass, for example."""


class Reader(Protocol):
    """Reads objects of a cluster with the rights of someone."""

    def read(self, need: Need) -> Answer:
        """Read one object, or all of a kind; a refusal or an outage is part of the answer."""


def diagnose_with(reader: Reader, facts: Facts) -> Diagnosis:
    """Diagnose a pod, and read what the causes depend on.

    Args:
        reader: reads objects of the cluster.
        facts: what is known about the pod.
    """
    answers: dict[Need, Answer] = {}
    found = diagnose(facts)
    for _ in range(_ROUNDS):
        if not found.missing:
            break
        answers |= {need: reader.read(need) for need in found.missing}
        found = diagnose(facts, answers)
    return found

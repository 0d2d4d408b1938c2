"""Find the causes of a pod's problem, and put them in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from kpo_platform.diagnosis.cause import Cause
from kpo_platform.diagnosis.causes.admission.admission import find_admission_problems
from kpo_platform.diagnosis.causes.end.end import find_end_problems
from kpo_platform.diagnosis.causes.image import find_image_problems
from kpo_platform.diagnosis.causes.network.network import find_network_problems
from kpo_platform.diagnosis.causes.result import find_result_problems
from kpo_platform.diagnosis.causes.run.run import find_run_problems
from kpo_platform.diagnosis.causes.scheduling.scheduling import find_scheduling_problems
from kpo_platform.diagnosis.causes.start.start import find_start_problems
from kpo_platform.diagnosis.causes.volumes.volumes import find_volume_problems
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.diagnosis.need import Answer, Need

Family = Callable[[Facts, Lookup], Iterator[Cause]]

FAMILIES: tuple[Family, ...] = (
    find_admission_problems,
    find_scheduling_problems,
    find_volume_problems,
    find_image_problems,
    find_start_problems,
    find_network_problems,
    find_run_problems,
    find_end_problems,
    find_result_problems,
)
"""The families of causes, in the order of a pod's life."""


@dataclass(frozen=True)
class Diagnosis:
    """The result of a diagnosis.

    Attributes:
        causes: what was found, the most probable first.
        missing: what would have to be read to know more.
        could_not_look: what could not be read, with the reason.
    """

    causes: tuple[Cause, ...] = ()
    missing: tuple[Need, ...] = ()
    could_not_look: tuple[str, ...] = ()

    @property
    def main(self) -> Cause | None:
        """The first cause; None if there is none."""
        return self.causes[0] if self.causes else None


def diagnose(facts: Facts, answers: Mapping[Need, Answer] | None = None) -> Diagnosis:
    """Find the causes of a pod's problem; no access to a cluster.

    Args:
        facts: what is known about the pod.
        answers: what is known about the objects that it needs. The diagnosis names what it misses; read that, and
            diagnose again.
    """
    lookup = Lookup(answers or {})
    causes = [cause for family in FAMILIES for cause in family(facts, lookup)]
    missing = tuple(need for need in lookup.asked if need not in lookup.answers)
    refused = tuple(
        f"{need}: {lookup.answers[need].refusal}"
        for need in lookup.asked
        if need in lookup.answers and lookup.answers[need].refusal
    )
    return Diagnosis(tuple(sorted(causes, key=lambda cause: cause.rank)), missing, facts.unread + refused)

"""Find the causes of a pod's problem, and put them in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from kpo_platform.diagnosis.cause import Cause
from kpo_platform.diagnosis.causes.admission.admission import find_admission_problems
from kpo_platform.diagnosis.causes.admission.planned import check_admission
from kpo_platform.diagnosis.causes.end.end import find_end_problems
from kpo_platform.diagnosis.causes.image import check_pull_secrets, find_image_problems
from kpo_platform.diagnosis.causes.network.network import find_network_problems
from kpo_platform.diagnosis.causes.result import find_result_problems
from kpo_platform.diagnosis.causes.run.run import find_run_problems
from kpo_platform.diagnosis.causes.scheduling.planned import check_nodes
from kpo_platform.diagnosis.causes.scheduling.scheduling import find_scheduling_problems
from kpo_platform.diagnosis.causes.start.planned import check_environment
from kpo_platform.diagnosis.causes.start.start import find_start_problems
from kpo_platform.diagnosis.causes.volumes.planned import check_volumes
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

PLANNED: tuple[Family, ...] = (check_admission, check_nodes, check_volumes, check_pull_secrets, check_environment)
"""What the families can find before a pod is created; the refusal of a dry run comes before them."""


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
    causes = _check_plan(facts, lookup) if facts.is_planned else _find_causes(FAMILIES, facts, lookup)
    missing = tuple(need for need in lookup.asked if need not in lookup.answers)
    refused = tuple(
        f"{need}: {lookup.answers[need].refusal}"
        for need in lookup.asked
        if need in lookup.answers and lookup.answers[need].refusal
    )
    return Diagnosis(tuple(sorted(causes, key=lambda cause: cause.rank)), missing, facts.unread + refused)


def _find_causes(families: tuple[Family, ...], facts: Facts, lookup: Lookup) -> list[Cause]:
    return [cause for family in families for cause in family(facts, lookup)]


def _check_plan(facts: Facts, lookup: Lookup) -> list[Cause]:
    """Find the problems of a planned pod, each once; in a namespace that does not exist nothing else is looked at."""
    refused = list(find_admission_problems(facts, lookup))
    if any(cause.finding.object.kind == "Namespace" for cause in refused):
        return refused
    found = [*refused, *_find_causes(PLANNED, facts, lookup)]
    return list({(cause.finding.code, cause.finding.object, cause.finding.cause): cause for cause in found}.values())

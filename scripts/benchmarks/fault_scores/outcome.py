"""What was observed of a fault, and of a healthy pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.fault_scores.operators import TaskRun

Json = dict[str, Any]


@dataclass(frozen=True)
class Diagnosed:
    """What `platformctl diagnose` has said about a pod.

    Attributes:
        pod: the name of the pod.
        findings: the findings of `-o json`.
        error: what it has written instead, if it has not written JSON.
        k8sgpt: the texts of k8sgpt about the pod; None if it was not asked.
        phase: the pod's phase before.
    """

    pod: str
    findings: tuple[Json, ...] = ()
    error: str = ""
    k8sgpt: tuple[str, ...] | None = None
    phase: str = ""


@dataclass(frozen=True)
class Healed:
    """What came of a run with the printed fix.

    Attributes:
        applied: the commands and the patch that were applied.
        is_well: whether the program has succeeded.
        error: what was said otherwise.
    """

    applied: tuple[str, ...] = ()
    is_well: bool = False
    error: str = ""


@dataclass(frozen=True)
class Outcome:
    """What was observed of a fault.

    Attributes:
        namespace: where it was injected.
        diagnosed: of `platformctl diagnose`; None if it was not asked.
        runs: engine of the operator → what came of its task.
        healed: None if nothing was to be healed.
        signals: pod → Kubernetes' reason → the time at which the benchmark's own watch has seen it first.
        error: why the fault could not be injected.
    """

    namespace: str
    diagnosed: Diagnosed | None = None
    runs: Mapping[str, TaskRun] = field(default_factory=dict)
    healed: Healed | None = None
    signals: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    error: str = ""

    def to_json(self) -> Json:
        """Return all of it for the record; long texts are cut."""
        content: Json = asdict(self)
        for run in content["runs"].values():
            run["lines"] = [line[1][:600] for line in run["lines"][-60:]]
            run["error"] = run["error"][:3000]
        return content

"""How long a deferred task's pod may wait for a node, and then take to start."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from kpo_platform.airflow.triggers.pod_informer import PodInformer
from kpo_platform.diagnosis.cause import Cause
from kpo_platform.pod.state import PodState


@dataclass
class StartLimits:
    """Limits the wait for a node and then the start, in seconds; time in which nothing was known does not count.

    Attributes:
        schedule_s: the limit of the wait for a node.
        startup_s: the limit of the start on the node.
    """

    informer: PodInformer
    schedule_s: float
    startup_s: float
    _since: float = field(init=False)
    _is_scheduled: bool = False

    def __post_init__(self) -> None:
        self._since = self._read_clock()

    def get_remaining(self, pod: PodState | None) -> float:
        """Return the seconds until the limit of a pod that has not started."""
        if pod is not None and pod.is_scheduled and not self._is_scheduled:
            self._is_scheduled, self._since = True, self._read_clock()
        limit_s = self.startup_s if self._is_scheduled else self.schedule_s
        return limit_s - (self._read_clock() - self._since)

    def describe(self, name: str, causes: Sequence[Cause] = ()) -> str:
        """Describe that a limit was exceeded, and why the pod has not started."""
        setting = "schedule_timeout_seconds, by default the team's policy.roomTimeout"
        late = f"Pod {name} found no node within {self.schedule_s:g} s ({setting})."
        if self._is_scheduled:
            late = f"Pod {name} did not start within {self.startup_s:g} s (startup_timeout_seconds)."
        return f"{causes[0]} {late}" if causes else f"{late} Kubernetes does not say why."

    def _read_clock(self) -> float:
        return time.monotonic() - self.informer.interrupted_s

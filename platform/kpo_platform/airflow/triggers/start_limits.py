"""How long a deferred task's pod may wait for a node, and then take to start."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from kpo_platform.airflow.triggers.pod_informer import PodInformer
from kpo_platform.diagnosis.cause import Cause
from kpo_platform.diagnosis.start_wait import describe_late
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
        limit_s = self.startup_s if self._is_scheduled else self.schedule_s
        return describe_late(name, f"{limit_s:g}", causes, is_scheduled=self._is_scheduled)

    def _read_clock(self) -> float:
        return time.monotonic() - self.informer.interrupted_s

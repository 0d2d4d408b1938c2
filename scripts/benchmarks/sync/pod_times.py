"""The times at which a watch first shows a pod in each of its states."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.sync.marks import Marks, list_pod_marks
from common.errors import ScriptError
from stack.pod_watch import WATCH_LOG, ObservedPods


class PodTimes(ObservedPods):
    """Observed pods with the times of their marks.

    A watch shows a state milliseconds after the API server has it, so a time from here to the end of `execute` is that
    much too short, for every engine.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._clock = clock
        self._times: dict[str, Marks] = {}

    def add(self, pod: dict[str, Any]) -> None:
        """Record the state of a pod and the time of each new mark."""
        now = self._clock()
        super().add(pod)
        times = self._times.setdefault(pod["metadata"]["uid"], {})
        for mark in list_pod_marks(pod):
            times.setdefault(mark, now)

    def find_pod(self, run: str, task: str) -> dict[str, Any]:
        """Return the last state of a task's pod.

        Raises:
            ScriptError: there was none, or more than one.
        """
        pods = self.with_labels(run_id=run, task_id=task)
        if len(pods) != 1:
            raise ScriptError(f"Task {task} of run {run} had {len(pods)} pods. Errors of the watch: {WATCH_LOG}.")
        return pods[0]

    def read_marks(self, run: str, task: str) -> Marks:
        """Return the marks of a task's pod; exceptions as of `find_pod`."""
        return self.get_marks(self.find_pod(run, task))

    def get_marks(self, pod: dict[str, Any]) -> Marks:
        """Return the marks of an observed pod."""
        return dict(self._times[pod["metadata"]["uid"]])

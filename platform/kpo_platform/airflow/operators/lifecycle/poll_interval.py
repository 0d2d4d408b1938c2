"""How long a task waits between two looks at its pod."""

from __future__ import annotations

import time
from typing import Any

_SHORTEST_S = 1.0
_LONGEST_PENDING_S, _PENDING_SHARE = 10.0, 0.1
_LONGEST_RUNNING_S, _RUNNING_SHARE = 5.0, 1 / 60
_LOOKS_AFTER_LOG_END = 3
"""The kubelet reports a container's end up to some seconds after the end of its log."""


class PollInterval:
    """The seconds until the next look, which grow with the time that a pod waits or runs.

    A pod that waits is looked at after a tenth of its waiting time, at least every 10 s; one that runs, after a
    sixtieth of its running time, at least every 5 s. An interval that the task's author sets stays as it is.
    """

    def __init__(self, operator: Any) -> None:
        names: frozenset[str] = getattr(operator, "set_names", frozenset())
        self._pending_s = _read(operator, "startup_check_interval_seconds", names)
        self._running_s = _read(operator, "base_container_status_polling_interval", names)
        self._stage = (False, False)
        self._since = time.monotonic()
        self._hurried_looks = 0

    def choose(self, *, is_scheduled: bool, has_started: bool) -> float:
        """Return the seconds until the next look at the pod.

        Args:
            is_scheduled: whether the pod has a node; it will start soon.
            has_started: whether its program has started.
        """
        if (is_scheduled, has_started) != self._stage:
            self._stage, self._since = (is_scheduled, has_started), time.monotonic()
        elapsed_s = time.monotonic() - self._since
        if has_started:
            seconds = self._running_s or _grow(elapsed_s * _RUNNING_SHARE, _LONGEST_RUNNING_S)
        else:
            seconds = self._pending_s or _grow(elapsed_s * _PENDING_SHARE, _LONGEST_PENDING_S)
        if self._hurried_looks:
            self._hurried_looks -= 1
            return min(seconds, _SHORTEST_S)
        return seconds

    def hurry(self) -> None:
        """Take short intervals for a moment: a log has ended, so its container has probably ended."""
        self._hurried_looks = _LOOKS_AFTER_LOG_END


def _grow(seconds: float, longest_s: float) -> float:
    return min(max(_SHORTEST_S, seconds), longest_s)


def _read(operator: Any, name: str, set_names: frozenset[str]) -> float:
    """Return the interval that the author has set; 0 if he has not."""
    return float(getattr(operator, name)) if name in set_names else 0.0

"""Tell in a deferred task's log how far its pod has come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from kpo_platform.pod.state import PodState


class Progress:
    """Writes a line for each step of a pod: node found, started; `StartCheck` tells why it does not start."""

    def __init__(self, log: Any, name: str, container: str) -> None:
        self._log, self._name, self._container = log, name, container
        self._told: set[str] = set()
        self._interrupted_at: float | None = None

    def tell(self, pod: PodState) -> None:
        """Write what is new in this state of the pod."""
        for subject, text in self._describe(pod):
            if subject not in self._told:
                self._told.add(subject)
                self._log.info("%s", text)

    def tell_interruption(self, *, is_interrupted: bool) -> None:
        """Write when the state of the pod cannot be found out, and when it can again."""
        if not is_interrupted:
            if self._interrupted_at is not None:
                self._log.info("The state of pod %s can be read again.", self._name)
            self._interrupted_at = None
            return
        if self._interrupted_at is None:
            self._interrupted_at = time.monotonic()
            self._log.warning(
                "Cannot read the state of pod %s. The task waits; the triggerer's log has the cause.", self._name
            )

    def _describe(self, pod: PodState) -> Iterator[tuple[str, str]]:
        """Yield what is to be told, with its subject."""
        if pod.container(self._container).has_started:
            yield "started", f"Pod {self._name} has started."
            return
        if pod.is_scheduled:
            yield "node", f"Pod {self._name} has a node and starts."

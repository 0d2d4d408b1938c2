"""How long a pod may wait for a node, and then for its start."""

from __future__ import annotations

import time
from typing import Any, Protocol

from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import PodLaunchFailedException
from airflow.providers.cncf.kubernetes.utils.pod_manager import (
    PodLaunchTimeoutException,
    detect_pod_terminate_early_issues,
)

from kpo_platform.pod.state import PodState


class Limits(Protocol):
    """The operator's limits, in seconds."""

    schedule_timeout_seconds: int
    startup_timeout_seconds: int


class StartLimits:
    """Checks the start of a pod, with the stock operator's limits and exceptions."""

    def __init__(self, operator: Limits) -> None:
        self._operator = operator
        self._waits_since = time.monotonic()
        self._is_scheduled = False

    def check(self, pod: PodState, model: Any) -> float:
        """Check a pod that has not started, and return the seconds until the limit.

        Args:
            pod: the pod.
            model: the same as a V1Pod.

        Raises:
            PodLaunchTimeoutException: it has waited for too long.
            PodLaunchFailedException: its image can never be pulled.
        """
        check_image(model)
        if pod.is_scheduled and not self._is_scheduled:
            self._is_scheduled, self._waits_since = True, time.monotonic()
        waited = time.monotonic() - self._waits_since
        if self._is_scheduled and waited >= self._operator.startup_timeout_seconds:
            raise PodLaunchTimeoutException(
                f"Pod {pod.name} did not start within {self._operator.startup_timeout_seconds} s "
                "(startup_timeout_seconds). Its events in this log tell what it waits for."
            )
        if not self._is_scheduled and waited >= self._operator.schedule_timeout_seconds:
            raise PodLaunchTimeoutException(
                f"Pod {pod.name} found no node within {self._operator.schedule_timeout_seconds} s "
                "(schedule_timeout_seconds, by default the team's policy.roomTimeout). Its events in this log tell why."
            )
        operator = self._operator
        return (operator.startup_timeout_seconds if self._is_scheduled else operator.schedule_timeout_seconds) - waited


def check_image(model: Any) -> None:
    """Check a pod that has not started.

    Raises:
        PodLaunchFailedException: its image can never be pulled.
    """
    if problem := detect_pod_terminate_early_issues(model):
        raise PodLaunchFailedException(problem)

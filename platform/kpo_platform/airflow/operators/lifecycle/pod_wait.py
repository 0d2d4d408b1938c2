"""Wait for the end of a pod's program, and limit the time until its start."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import PodLaunchFailedException
from airflow.providers.cncf.kubernetes.utils.pod_manager import (
    PodLaunchTimeoutException,
    detect_pod_terminate_early_issues,
)

from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod, PodEventLog
from kpo_platform.airflow.operators.lifecycle.patience import ApiServerUnavailable
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.airflow.operators.lifecycle.pod_logs import PodLogs
from kpo_platform.airflow.operators.lifecycle.pod_updates import PodUpdates
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.reported_end import FAILED, SUCCESS
from kpo_platform.pod.state import PodState

_BEFORE_LIMIT_S = 0.1
_EVENTS_S, _LONGEST_EVENTS_S = 5.0, 30.0
"""The events of a pod are read when it has not started in so many seconds; most start sooner."""


def wait_for_end(
    operator: Any,
    api: PodApi,
    pod: ObservedPod,
    logs: PodLogs,
    on_start: Callable[[], object] = lambda: None,
    longest_s: float = math.inf,
) -> bool:
    """Wait for the end of a pod's program, and write the logs and the events of its start meanwhile.

    Return whether it has ended; if not, `longest_s` is over.

    Args:
        operator: the task's operator.
        api: the task's requests.
        pod: the pod.
        logs: the pod's logs.
        on_start: called once: when the program has started, or the pod has ended without it.
        longest_s: the seconds after which it returns although the pod has no outcome yet, also in an outage.

    Raises:
        PodLaunchTimeoutException: it waited for too long.
        PodLaunchFailedException: its image can never be pulled.
        Exception: an error of the author's callbacks or formatter, or of `PodApi`.
    """
    updates = PodUpdates(operator, pod, logs.news)
    try:
        with operator.patience.limited(longest_s):
            return _follow(operator, api, pod, logs, on_start, longest_s, updates)
    except ApiServerUnavailable:
        if math.isinf(longest_s):
            raise
        return False
    finally:
        updates.close()


def _follow(
    operator: Any,
    api: PodApi,
    pod: ObservedPod,
    logs: PodLogs,
    on_start: Callable[[], object],
    longest_s: float,
    updates: PodUpdates,
) -> bool:
    limits, events = _StartLimits(operator), _StartEvents(operator, api)
    has_started, ends_at = False, time.monotonic() + longest_s
    while True:
        if pod.has_left_pending and not has_started:
            has_started = True
            if pod.outcome is None:
                operator.log.info("Pod has reached %s phase", pod.state.phase)
            on_start()
        logs.update()
        remaining_s = ends_at - time.monotonic()
        if pod.outcome is not None or remaining_s <= 0:
            return pod.outcome is not None
        if not has_started:
            remaining_s = min(remaining_s, max(limits.check(pod), _BEFORE_LIMIT_S))
            events.write_if_due(pod.state)
        updates.wait(remaining_s)


def check_image(pod: ObservedPod) -> None:
    """Raise PodLaunchFailedException for a pod that has not started if its image can never be pulled."""
    if problem := detect_pod_terminate_early_issues(pod.model):
        raise PodLaunchFailedException(sanitize(problem))


def correct_event(event: dict[str, Any], pod: ObservedPod) -> None:
    """Change the event of a trigger that the pod contradicts into an error.

    It is no timeout if the pod has started after the trigger fired late: it counts an outage of the API server as time
    without a start, and its task may wait for a worker. A pod that still runs contradicts a reported end.
    """
    is_late_start = event["status"] == "timeout" and pod.has_left_pending and not is_time_up(event)
    if is_late_start or (event["status"] in (SUCCESS, FAILED) and not pod.is_gone and pod.outcome is None):
        event["status"] = "error"


def is_time_up(event: Mapping[str, Any]) -> bool:
    """Tell whether the timeout that a trigger has reported is that of the task, not that of the pod's start.

    The provider's sentence tells it by the triggerer's clock, which the worker's may be behind.
    """
    is_over = time.time() >= event.get("_execution_deadline", math.inf)
    return event["status"] == "timeout" and (is_over or "execution_timeout" in event["message"])


class _StartEvents:
    """Writes the events of a pod that takes long to start."""

    def __init__(self, operator: Any, api: PodApi) -> None:
        self._is_wanted = getattr(operator, "log_events_on_startup", True)  # since 10.25; before, always
        self._events, self._began_at = PodEventLog(api, operator.log), time.monotonic()
        self._due_at = self._began_at + _EVENTS_S

    def write_if_due(self, pod: PodState) -> None:
        """Write the new events if it is time to."""
        now = time.monotonic()
        if self._is_wanted and now >= self._due_at:
            self._events.write_new(pod)
            self._due_at = now + min(max(_EVENTS_S, (now - self._began_at) / 10), _LONGEST_EVENTS_S)


class _StartLimits:
    """Limits the wait for a node, and then for the start, with the stock operator's values and exceptions."""

    def __init__(self, operator: Any) -> None:
        self._operator = operator
        self._since = self._read_clock()
        self._is_scheduled = False

    def check(self, pod: ObservedPod) -> float:
        """Check a pod that has not started, and return the seconds until the limit; raises as `wait_for_end`."""
        check_image(pod)
        if pod.state.is_scheduled and not self._is_scheduled:
            self._is_scheduled, self._since = True, self._read_clock()
        if self._is_scheduled:
            limit_s = whole_s = self._operator.startup_timeout_seconds
            missing = "did not start"
            why = "(startup_timeout_seconds). Its events in this log show what it waits for."
        else:
            limit_s, missing = self._operator.schedule_timeout_seconds, "found no node"
            whole_s = self._operator.whole_schedule_timeout or limit_s
            why = (
                "(schedule_timeout_seconds, by default the team's policy.roomTimeout). Its events in this log show why."
            )
        remaining_s: float = limit_s - (self._read_clock() - self._since)
        if remaining_s <= 0:
            raise PodLaunchTimeoutException(f"Pod {pod.state.name} {missing} within {whole_s} s {why}")
        return remaining_s

    def _read_clock(self) -> float:
        return time.monotonic() - float(self._operator.patience.call_s)  # in an outage no pod can start

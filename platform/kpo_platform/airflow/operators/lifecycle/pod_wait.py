"""Wait for the end of a pod's program, and limit the time until its start."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.airflow.operators.lifecycle.patience import ApiServerUnavailable
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.airflow.operators.lifecycle.pod_logs import PodLogs
from kpo_platform.airflow.operators.lifecycle.pod_updates import PodUpdates
from kpo_platform.airflow.operators.lifecycle.start_check import StartCheck
from kpo_platform.pod.reported_end import FAILED, SUCCESS

_BEFORE_LIMIT_S = 0.1


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
        PodLaunchFailedException: it can never start.
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
    start = StartCheck(operator, api)
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
        pause_s = math.inf
        if not has_started:
            start_s, pause_s = start.check(pod)
            remaining_s = min(remaining_s, max(start_s, _BEFORE_LIMIT_S))
        updates.wait(remaining_s, pause_s)


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

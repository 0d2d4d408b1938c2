"""Wait for the end of a pod's program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.airflow.operators.lifecycle.pod_events import PodEventLog
from kpo_platform.airflow.operators.lifecycle.pod_logs import PodLogs
from kpo_platform.airflow.operators.lifecycle.poll_interval import PollInterval
from kpo_platform.airflow.operators.lifecycle.start_limits import StartLimits

_SHORTEST_S = 0.1


def wait_for_end(
    operator: Any, api: PodApi, pod: ObservedPod, logs: PodLogs, on_start: Callable[[], object] = lambda: None
) -> None:
    """Wait for the end of a pod's program, and write the logs and the events of its start meanwhile.

    Args:
        operator: the task's operator.
        api: the requests on pods.
        pod: the pod.
        logs: its logs.
        on_start: called once when the program has started, or the pod has ended without it.

    Raises:
        PodLaunchTimeoutException: it waited for too long.
        PodLaunchFailedException: its image can never be pulled.
        ApiServerUnavailable: the API server does not answer.
        Exception: an error of the author's callbacks or formatter.
    """
    limits, events, interval = StartLimits(operator), PodEventLog(api, operator.log), PollInterval(operator)
    has_started = False
    while True:
        if pod.has_left_pending and not has_started:
            has_started = True
            if pod.outcome is None:
                operator.log.info("Pod has reached %s phase", pod.state.phase)
            on_start()
        logs.update()
        if pod.outcome is not None:
            return
        seconds = interval.choose(is_scheduled=pod.state.is_scheduled, has_started=has_started)
        if not has_started:
            if getattr(operator, "log_events_on_startup", True):  # since 10.25; before, they are always logged
                events.write_new(pod.state)
            seconds = min(seconds, max(limits.check(pod.state, pod.model), _SHORTEST_S))
        operator.stop_signal.sleep(seconds, until=logs.paused.is_set)
        if logs.paused.is_set():
            logs.paused.clear()
            interval.hurry()
        pod.refresh()

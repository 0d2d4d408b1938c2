"""Watch the start of a pod: limit its time, write its events, and say why it does not start."""

from __future__ import annotations

import time
from typing import Any

from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import PodLaunchFailedException
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodLaunchTimeoutException

from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod, PodEventLog
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.airflow.operators.lifecycle.pod_diagnosis import diagnose_start, read_team
from kpo_platform.diagnosis.cause import Cause
from kpo_platform.diagnosis.diagnose import Diagnosis
from kpo_platform.diagnosis.signals import Signal, list_signals
from kpo_platform.diagnosis.start_wait import StartWait, describe_late

_EVENTS_S, _LONGEST_EVENTS_S = 2.0, 10.0
"""The events of a pod are read when it has not started in so many seconds; most start sooner."""

_AGAIN_S = 30.0
"""How often a pod is diagnosed again although neither its state nor its events have changed: objects that it needs may
have, and a cause may be that nothing happens."""


class StartCheck:
    """Watches a pod until its program starts, with the stock operator's limits and exceptions."""

    def __init__(self, operator: Any, api: PodApi) -> None:
        self._operator, self._api = operator, api
        self._limits = _StartLimits(operator)
        self._events = _StartEvents(operator, api)
        team = read_team(operator)
        self._wait = StartWait(team.policy.missing_object_timeout) if team else StartWait()
        self._seen: list[Signal] = []
        self._diagnosis, self._diagnosed_at = Diagnosis(), time.monotonic()

    def check(self, pod: ObservedPod) -> tuple[float, float]:
        """Check a pod that has not started, and write what is new.

        Return the seconds until the pod has waited for too long, and until the next check.

        Raises:
            PodLaunchFailedException: it can never start.
            PodLaunchTimeoutException: it waited for too long.
        """
        self._events.read_if_due(pod)
        causes = self._diagnose(pod).causes
        for cause in self._wait.list_new(causes):
            self._operator.log.info("Pod %s does not start yet: %s", pod.state.name, cause)
        if self._wait.find_failure(causes, self._limits.read_clock()):
            self._events.read(pod)  # an event may tell the cause better than the state, which is known sooner
            causes = self._diagnose(pod).causes
        if failure := self._wait.find_failure(causes, self._limits.read_clock()):
            raise PodLaunchFailedException(f"{failure} Pod: {pod.state.name}.")
        remaining_s = min(self._limits.check(pod, causes), self._wait.get_remaining(self._limits.read_clock()))
        return remaining_s, self._events.get_remaining()

    def _diagnose(self, pod: ObservedPod) -> Diagnosis:
        """Diagnose the pod if its state or its events have changed, or its last diagnosis is old."""
        signals, now = list_signals(pod.state, self._events.events), time.monotonic()
        if signals != self._seen or now - self._diagnosed_at >= _AGAIN_S:
            self._seen, self._diagnosed_at = signals, now
            self._diagnosis = diagnose_start(self._operator, self._api, pod, self._events.events)
        return self._diagnosis


class _StartEvents:
    """Reads the events of a pod that takes long to start, and writes them if the task wants that."""

    def __init__(self, operator: Any, api: PodApi) -> None:
        self._is_wanted = getattr(operator, "log_events_on_startup", True)  # since 10.25; before, always
        self._log, self._began_at = PodEventLog(api, operator.log), time.monotonic()
        name = "startup_check_interval_seconds"
        self._set_s = float(getattr(operator, name)) if name in operator.set_names else 0.0
        self._due_at = self._began_at + (self._set_s or _EVENTS_S)
        self.events: list[dict[str, Any]] = []

    def read_if_due(self, pod: ObservedPod) -> None:
        """Read the events, and write the new ones, if it is time to."""
        if time.monotonic() >= self._due_at:
            self.read(pod)

    def read(self, pod: ObservedPod) -> None:
        """Read the events, and write the new ones."""
        now = time.monotonic()
        self.events = self._log.read(pod.state)
        if self._is_wanted:
            self._log.write_new(self.events)
        growing_s = max(_EVENTS_S, (now - self._began_at) / 30)
        self._due_at = now + (self._set_s or min(growing_s, _LONGEST_EVENTS_S))

    def get_remaining(self) -> float:
        """Return the seconds until the events are due."""
        return self._due_at - time.monotonic()


class _StartLimits:
    """Limits the wait for a node, and then for the start, with the stock operator's values and exceptions."""

    def __init__(self, operator: Any) -> None:
        self._operator = operator
        self._since = self.read_clock()
        self._is_scheduled = False

    def check(self, pod: ObservedPod, causes: tuple[Cause, ...]) -> float:
        """Return the seconds until the limit; raises as `StartCheck.check`."""
        if pod.state.is_scheduled and not self._is_scheduled:
            self._is_scheduled, self._since = True, self.read_clock()
        operator = self._operator
        limit_s = whole_s = operator.startup_timeout_seconds
        if not self._is_scheduled:
            limit_s = operator.schedule_timeout_seconds
            whole_s = operator.whole_schedule_timeout or limit_s
        remaining_s: float = limit_s - (self.read_clock() - self._since)
        if remaining_s > 0:
            return remaining_s
        late = describe_late(pod.state.name, str(whole_s), causes, is_scheduled=self._is_scheduled)
        raise PodLaunchTimeoutException(late)

    def read_clock(self) -> float:
        """Return the seconds of a clock that stands still in an outage of the API server, in which no pod can start."""
        return time.monotonic() - float(self._operator.patience.call_s)

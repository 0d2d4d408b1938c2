"""Create a pod, and wait while the team's ResourceQuota is exhausted."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Protocol

from airflow.sdk.exceptions import AirflowException
from kubernetes.client import ApiException
from kubernetes.client import models as k8s

from kpo_platform.airflow.operators.lifecycle.task_state import TryState, build_reschedule
from kpo_platform.errors import PlatformError

if TYPE_CHECKING:
    from airflow.sdk import Context

_RETRY_INTERVAL_S = 10
_RESCHEDULE_INTERVAL_S = 20


class PodCreator(Protocol):
    """The part of an operator that creates its pod."""

    team: str
    deferrable: bool
    schedule_timeout_seconds: int
    quota_wait_start: float | None

    @property
    def log(self) -> Any:
        """The task's logger."""

    def create_pod(self, pod: k8s.V1Pod) -> k8s.V1Pod:
        """Create the pod with a single request."""


class QuotaTimeout(PlatformError, AirflowException):  # noqa: N818
    """The quota stayed exhausted until the deadline."""


def create_within_quota(operator: PodCreator, pod: k8s.V1Pod, context: Context) -> k8s.V1Pod:
    """Create the pod as soon as the quota allows it.

    A deferrable task releases its worker slot while it waits; any other task waits in its process. The deadline is
    ``schedule_timeout_seconds``: waiting for quota counts as waiting to be scheduled.

    Raises:
        QuotaTimeout: the deadline has passed.
        AirflowRescheduleException: Airflow restarts the task later, in the same try.
        ApiException: the cluster rejected the pod for another reason.
    """
    while True:
        try:
            return operator.create_pod(pod)
        except ApiException as rejection:
            if not is_quota_exceeded(rejection):
                raise
            _wait(operator, TryState(context, "waits_for_quota"), read_api_message(rejection))


def is_quota_exceeded(rejection: ApiException) -> bool:
    """Tell whether a pod was rejected only because the quota is exhausted at the moment."""
    return rejection.status == 403 and "exceeded quota" in read_api_message(rejection)


def read_api_message(rejection: ApiException) -> str:
    """Return the message in the API server's response, or the HTTP reason if it has none."""
    try:
        status: Any = json.loads(rejection.body or "")
        return str(status["message"])
    except (ValueError, KeyError, TypeError):
        return str(rejection.reason)


def _wait(operator: PodCreator, state: TryState, message: str) -> None:
    timeout, now = operator.schedule_timeout_seconds, time.time()
    if operator.quota_wait_start is None:
        operator.quota_wait_start = state.read().get("since", now)
        state.write(since=operator.quota_wait_start)
    waited = now - operator.quota_wait_start
    if waited >= timeout:
        raise QuotaTimeout(
            f"The pod was not created: the quota of team {operator.team!r} was exhausted for {timeout} s "
            "(schedule_timeout_seconds). Wait for other tasks of the team, use a smaller size, or ask the platform "
            f"team for a larger quota. API server: {message}"
        )
    operator.log.info(
        "The quota of team %r is exhausted: waiting to create the pod, %.0f of %s s so far. API server: %s",
        *(operator.team, waited, timeout, message),
    )
    remaining = max(timeout - waited, 1)
    if operator.deferrable and state.is_available:
        raise build_reschedule(min(_RESCHEDULE_INTERVAL_S, remaining))
    time.sleep(min(_RETRY_INTERVAL_S, remaining))

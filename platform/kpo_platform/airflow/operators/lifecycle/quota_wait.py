"""Create a pod, and wait for room: while the team's ResourceQuota is exhausted, and then for a node.

A try has one clock for both waits, limited by ``schedule_timeout_seconds``. It starts when the try first asks for its
pod, so time in Airflow's pool does not count, and it keeps running when the task is rescheduled.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException
from kubernetes.client import ApiException
from kubernetes.client import models as k8s

from kpo_platform.airflow.api_errors import read_message
from kpo_platform.airflow.operators.lifecycle.task_state import TryState, build_reschedule, try_to_store
from kpo_platform.diagnosis.cause import Cause
from kpo_platform.errors import PlatformError
from kpo_platform.pod.cluster_text import sanitize

if TYPE_CHECKING:
    from airflow.sdk import Context

FindCause = Callable[[ApiException], Cause | None]

_RETRY_INTERVAL_S = 10
_RESCHEDULE_INTERVAL_S = 20
_LONGEST_INTERVAL_S = 60  # a wait may last a day; every reschedule starts a process
_STATE_KEY = "waits_for_quota"

_LEAST_S = 60  # for a node for a pod that is taken up, perhaps after an outage


class QuotaTimeout(PlatformError, AirflowException):  # noqa: N818
    """The quota stayed exhausted until the deadline."""


def create_within_quota(
    operator: Any, pod: k8s.V1Pod, context: Context, find_cause: FindCause = lambda _: None
) -> k8s.V1Pod:
    """Create the pod as soon as the quota allows it.

    A deferrable task releases its worker slot while it waits; any other task waits in its process.

    Args:
        operator: the task's operator.
        pod: the pod.
        context: the task's context.
        find_cause: finds the cause of a rejection; None if it is not known.

    Raises:
        QuotaTimeout: the deadline has passed.
        AirflowRescheduleException: Airflow restarts the task later, in the same try.
        ApiException: the cluster rejected the pod for another reason, or the pod is larger than the quota.
    """
    first = _read_clock(operator)
    while True:
        try:
            created: k8s.V1Pod = operator.create_pod(pod)
        except ApiException as rejection:
            if not is_quota_exceeded(rejection):
                raise
            cause = find_cause(rejection)
            if cause is not None and cause.outlook == "final":
                raise
            _wait(operator, context, first, sanitize(read_message(rejection)), cause)
        else:
            shorten_schedule_timeout(operator, context)
            return created


def shorten_schedule_timeout(operator: Any, context: Context, earlier: k8s.V1Pod | None = None) -> None:
    """Subtract the time that this try has waited for room from the operator's ``schedule_timeout_seconds``.

    If it has not waited for quota, the `earlier` pod that it takes up has waited for room since it was created.
    """
    start, _ = _read_start(operator, context)
    if start is None and earlier is not None:
        metadata = earlier.metadata
        if (metadata.labels or {}).get("try_number") == str(context["ti"].try_number):
            start = metadata.creation_timestamp.timestamp()
    if start is not None:
        limit, waited = operator.schedule_timeout_seconds, max(_read_clock(operator) - start, 0)
        operator.whole_schedule_timeout = limit
        operator.schedule_timeout_seconds = max(int(limit - waited), min(limit, _LEAST_S) if earlier is not None else 0)


def restart_clock(context: Context) -> None:
    """Let a pod that replaces a disrupted one wait for the whole timeout: its predecessor had found room."""
    TryState(context, _STATE_KEY).write()


def is_quota_exceeded(rejection: ApiException) -> bool:
    """Tell whether a pod was rejected only because the quota is exhausted at the moment, or new and not yet counted."""
    message = read_message(rejection)
    return rejection.status == 403 and ("exceeded quota" in message or "status unknown for quota" in message)


def _read_start(operator: Any, context: Context) -> tuple[float | None, bool]:
    """Read when the try began to wait for quota, None if it did not, and tell whether it is known.

    Only a rescheduled task asks Airflow.
    """
    is_known = True
    if operator.quota_wait_start is None and context.get("task_reschedule_count"):
        try:
            operator.quota_wait_start = TryState(context, _STATE_KEY).read().get("since")
        except Exception as error:
            is_known = False
            operator.log.warning("Cannot read since when the task has waited for quota: %s", sanitize(error))
    return operator.quota_wait_start, is_known


def _read_clock(operator: Any) -> float:
    return time.time() - float(operator.patience.call_s)  # an outage is no wait for room


def _wait(operator: Any, context: Context, first: float, message: str, cause: Cause | None) -> None:
    """Wait until the next attempt; if the start of the wait cannot be read, the process's `first` attempt counts."""
    timeout, now, state = operator.schedule_timeout_seconds, _read_clock(operator), TryState(context, _STATE_KEY)
    start, is_known = _read_start(operator, context)
    if start is None and is_known:  # else the next attempt of this process reads it again
        start = operator.quota_wait_start = now
        try_to_store("since when the task waits for quota", partial(state.write, since=time.time()), operator.log)
    waited = now - (first if start is None else start)
    if waited >= timeout:
        raise QuotaTimeout(_describe_timeout(operator, timeout, message, cause))
    operator.log.info(
        "The quota of team %r does not admit the pod now: waiting to create it, %.0f of %s s so far. %s",
        *(operator.team, waited, timeout, cause or f"Kubernetes API: {message}"),
    )
    remaining = max(timeout - waited, 1)
    if operator.deferrable and state.is_available and is_known:
        raise build_reschedule(_choose_interval(_RESCHEDULE_INTERVAL_S, waited, remaining))
    operator.stop_signal.sleep(_choose_interval(_RETRY_INTERVAL_S, waited, remaining))


def _describe_timeout(operator: Any, timeout: float, message: str, cause: Cause | None) -> str:
    late = (
        f"The pod was not created: the quota of team {operator.team!r} did not admit it for {timeout} s "
        "(schedule_timeout_seconds, by default the team's policy.roomTimeout)."
    )
    if cause is not None:
        return f"{cause} {late}"
    fix = "Wait for other tasks of the team, use a smaller size, or ask the platform team for a larger quota."
    return f"{late} {fix} Kubernetes API: {message}"


def _choose_interval(shortest: float, waited: float, remaining: float) -> float:
    """Choose the seconds until the next attempt: a tenth of the time waited so far, within limits."""
    return min(max(shortest, waited / 10), _LONGEST_INTERVAL_S, remaining)

"""Create a pod, and wait while the team's quota has no room for it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Protocol

from airflow.sdk.exceptions import AirflowException
from kubernetes.client import ApiException
from kubernetes.client import models as k8s

from kpo_platform.airflow.operators.lifecycle.task_state import TryState, build_reschedule

if TYPE_CHECKING:
    from airflow.sdk import Context

_LOOK_AGAIN_S = 10
_START_AGAIN_S = 20


class PodCreator(Protocol):
    """The part of an operator that creates its pod."""

    team: str
    deferrable: bool
    schedule_timeout_seconds: int
    quota_wait_start: float | None

    @property
    def log(self) -> Any:
        """The logger of the task."""

    def create_pod(self, pod: k8s.V1Pod) -> k8s.V1Pod:
        """Create the pod once."""


class QuotaTimeout(AirflowException):
    """The quota had no room for the pod until the deadline."""


def create_within_quota(operator: PodCreator, pod: k8s.V1Pod, context: Context) -> k8s.V1Pod:
    """Create the pod, as soon as the quota has room for it.

    A deferrable task gives its place in the worker back while it waits, any other waits in its process. The deadline is
    ``schedule_timeout_seconds``: the pod waits to be placed, only that it waits outside the cluster.

    Raises:
        NoRoomInTime: the deadline has passed.
        AirflowRescheduleException: Airflow is to start the task again in a while; takes none of its tries.
        ApiException: the cluster refused the pod for another reason.
    """
    while True:
        try:
            return operator.create_pod(pod)
        except ApiException as refused:
            if not is_quota_exceeded(refused):
                raise
            _wait(operator, TryState(context, "waits_for_quota"), read_api_message(refused))


def is_quota_exceeded(refused: ApiException) -> bool:
    """Whether a pod was refused only because the quota is used up at the moment."""
    return refused.status == 403 and "exceeded quota" in read_api_message(refused)


def read_api_message(refused: ApiException) -> str:
    """What the API server said."""
    try:
        said: Any = json.loads(refused.body or "")
        return str(said["message"])
    except (ValueError, KeyError, TypeError):
        return str(refused.reason)


def _wait(operator: PodCreator, memory: TryState, said: str) -> None:
    limit, now = operator.schedule_timeout_seconds, time.time()
    if operator.quota_wait_start is None:
        operator.quota_wait_start = memory.recall().get("since", now)
        memory.keep(since=operator.quota_wait_start)
    waited = now - operator.quota_wait_start
    if waited >= limit:
        raise QuotaTimeout(
            f"The quota of team {operator.team!r} had no room for the pod within {limit} s "
            f"(schedule_timeout_seconds): wait for other tasks of the team, ask for a smaller size, or ask the "
            f"platform team for a larger quota. Kubernetes said: {said}"
        )
    operator.log.info(
        "The quota of team %r has no room for the pod; waited %.0f of %s s. Kubernetes said: %s",
        *(operator.team, waited, limit, said),
    )
    if operator.deferrable and memory.lasts:
        raise build_reschedule(min(_START_AGAIN_S, max(limit - waited, 1)))
    time.sleep(min(_LOOK_AGAIN_S, max(limit - waited, 1)))

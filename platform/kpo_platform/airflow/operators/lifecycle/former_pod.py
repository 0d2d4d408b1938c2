"""End the former pods of a task before it creates a new one, so that its program never runs twice at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import OnKillAction
from airflow.sdk.exceptions import AirflowException
from kubernetes.client import ApiException

from kpo_platform.airflow.api_errors import describe_error, describe_failure
from kpo_platform.airflow.operators.lifecycle.disposal import (
    delete_replaced_pod,
    dispose_pod,
    dispose_stopped_pod,
    remove_pod,
)
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.errors import PodError
from kpo_platform.pod.json_fields import read_integer, read_object
from kpo_platform.pod.merge import Json
from kpo_platform.pod.state import PodState, parse_pod_state

if TYPE_CHECKING:
    from kpo_platform.airflow.operators.lifecycle.earlier_pod import Start

_WAIT_S = 60.0
"""How long an end may take after the grace period, as with the name of a pod (`PodApi.create`)."""

_INTERVAL_S = 2.0
_DEFAULT_GRACE_S = 30


class FormerPodRemains(PodError, AirflowException):  # noqa: N818
    """The former pod of a task may still run, so that no new one is created."""


def end_former_pods(operator: Any, api: PodApi, start: Start) -> None:
    """Remove the former pod of this start, and wait until no former program runs.

    A pod that has the new pod's name is waited for by the creation.

    Raises:
        FormerPodRemains: the cluster refuses the removal, or the program did not end.
        ApiServerUnavailable: the API server did not answer.
    """
    pods = list(start.ending)
    if start.pod is not None:
        former = parse_pod_state(start.pod)
        needs_name = former.name == start.record.name
        if _is_kept(operator, start, former) and not needs_name:
            _keep(operator, api, former)
        else:
            _remove(operator, api, former, needs_name=needs_name)
            pods.append(former)
    for pod in pods:
        if pod.name != start.record.name and not pod.has_finished(operator.base_container_name):
            _wait_for_end(operator, api, pod)


def _is_kept(operator: Any, start: Start, pod: PodState) -> bool:
    """Tell whether the stop that an earlier process could not finish leaves the pod running."""
    was_stopped = start.former is not None and start.former.is_stopped and start.former.uid in ("", pod.uid)
    is_running = not pod.has_finished(operator.base_container_name)
    return was_stopped and is_running and operator.on_kill_action == OnKillAction.KEEP_POD


def _keep(operator: Any, api: PodApi, pod: PodState) -> None:
    """Finish the stop that keeps a pod; the new one starts beside it also if it cannot be marked."""
    try:
        dispose_stopped_pod(operator, api, pod)
    except ApiException as error:
        operator.log.warning("%s", describe_failure(error))


def _remove(operator: Any, api: PodApi, pod: PodState, *, needs_name: bool) -> None:
    try:
        if needs_name:
            delete_replaced_pod(operator, api, pod)
        elif pod.has_finished(operator.base_container_name):
            dispose_pod(operator, api, pod)
        else:
            remove_pod(operator, api, pod)
    except ApiException as error:
        raise FormerPodRemains(
            f"The pod was not created: the task cannot remove its former pod {pod.name} in namespace {pod.namespace}: "
            f"{describe_error(error)}",
            "Delete that pod, or give the task's connection the right to do it; then clear the task.",
        ) from error


def _wait_for_end(operator: Any, api: PodApi, pod: PodState) -> None:
    waited_s = 0.0
    while (found := api.read(pod.name, pod.namespace, pod.uid)) is not None:
        if parse_pod_state(found).has_finished(operator.base_container_name):
            return
        if waited_s >= _read_grace(found) + _WAIT_S:
            raise FormerPodRemains(
                f"The pod was not created: the task's former pod {pod.name} in namespace {pod.namespace} has not ended "
                f"within {waited_s:.0f} s, perhaps because its node does not answer",
                f"A retry waits for it again. If its node does not run any more, delete the pod with "
                f"`kubectl -n {pod.namespace} delete pod {pod.name} --force`.",
            )
        if not waited_s:
            operator.log.info("The new pod is created when the program of the former pod %s has ended.", pod.name)
        operator.stop_signal.sleep(_INTERVAL_S)
        waited_s += _INTERVAL_S


def _read_grace(pod: Json) -> int:
    """Return the seconds from SIGTERM to SIGKILL of a pod that is being deleted, or ended by its deadline."""
    deletion_s = read_integer(read_object(pod.get("metadata")).get("deletionGracePeriodSeconds"))
    own_s = read_integer(read_object(pod.get("spec")).get("terminationGracePeriodSeconds"))
    return next((seconds for seconds in (deletion_s, own_s) if seconds is not None), _DEFAULT_GRACE_S)

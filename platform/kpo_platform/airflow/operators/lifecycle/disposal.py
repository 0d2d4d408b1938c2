"""Delete or keep a task's pod when the task no longer needs it, by the stock actions and the team's policy."""

from __future__ import annotations

from enum import Enum
from typing import Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import OnFinishAction, OnKillAction

from kpo_platform.airflow.api_errors import describe_error
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.airflow.operators.lifecycle.start_record import StartRecord
from kpo_platform.pod.state import PodState

_KEEP_SUCCEEDED = frozenset({OnFinishAction.KEEP_POD, OnFinishAction.DELETE_ACTIVE_POD})
_KEEP_FAILED = _KEEP_SUCCEEDED | {OnFinishAction.DELETE_SUCCEEDED_POD}


class PodDisposal(Enum):
    """What to do with a pod whose task has ended."""

    DELETE = "delete"
    KEEP = "keep"
    TERMINATE_AND_KEEP = "terminate and keep"


def decide_disposal(pod: PodState, action: OnFinishAction, on_failure: str, container: str) -> PodDisposal:
    """Decide what to do with a pod whose task has ended.

    A kept pod is terminated; the stock operator leaves it running when its task fails first (apache/airflow#49466), or
    when a sidecar outlives the program. A pod that has not started is deleted: it could still, and it has no log.

    Args:
        pod: the pod as the cluster has it now.
        action: the task's ``on_finish_action``.
        on_failure: the team's policy for failed pods: ``keep``, ``delete``, or empty to use ``action``.
        container: the name of the container that runs the task.
    """
    has_started = pod.phase != "Pending" or pod.container(container).has_started
    is_active = pod.phase in ("Pending", "Running") and (not has_started or _keeps_running(pod, container))
    if action == OnFinishAction.DELETE_ACTIVE_POD and not on_failure and is_active:
        return PodDisposal.DELETE
    if pod.phase == "Succeeded" or pod.container(container).exit_code == 0:
        keep = action in _KEEP_SUCCEEDED
    else:
        keep = on_failure == "keep" if on_failure else action in _KEEP_FAILED
    if not keep or not has_started:
        return PodDisposal.DELETE
    return PodDisposal.TERMINATE_AND_KEEP if _keeps_running(pod, container) else PodDisposal.KEEP


def describe_kept_pod(name: str, namespace: str, container: str) -> str:
    """Return the log line that names a kept pod and the commands to inspect and delete it."""
    kubectl = f"kubectl -n {namespace}"
    return (
        f"Pod {name} is kept in namespace {namespace}. Inspect it with `{kubectl} logs {name} -c {container}` and "
        f"`{kubectl} describe pod {name}`. Delete it with `{kubectl} delete pod {name}`."
    )


def describe_keeping(operator: Any, pod: PodState) -> str:
    """Return the log line of a pod that the task keeps, unless another one, as a drain of its node, is deleting it."""
    if pod.deletion_requested_at is not None:
        return f"Pod {pod.name} cannot be kept: it is already being deleted."
    return describe_kept_pod(pod.name, pod.namespace, operator.base_container_name)


def dispose_pod(operator: Any, api: PodApi, pod: PodState) -> bool:
    """Delete or keep a pod as the task or its team decides, and return whether that worked.

    A failure is logged, since the task's end matters more.
    """
    try:
        remove_pod(operator, api, pod)
    except Exception as error:
        operator.log.warning("Cannot clean up pod %s: %s.", pod.name, describe_error(error))
        return False
    return True


def delete_replaced_pod(operator: Any, api: PodApi, pod: PodState) -> None:
    """Delete a former pod of the task, also a kept one, because the task's new pod has the same name."""
    operator.log.info("Deleting pod: %s. The new pod has the same name (random_name_suffix is False).", pod.name)
    api.delete(pod.name, pod.namespace, pod.uid)


def dispose_stopped_pod(operator: Any, api: PodApi, pod: PodState) -> str:
    """Delete the pod of a stopped task, or mark and keep it as ``on_kill_action`` says; return what became of it."""
    if operator.on_kill_action == OnKillAction.KEEP_POD:
        operator.log.info(describe_keeping(operator, pod))
        api.mark_checked(pod.name, pod.namespace, pod.uid)
        if pod.deletion_requested_at is not None:
            return ", and its pod is already being deleted."
        return ", but its pod keeps running: on_kill_action is 'keep_pod'."
    operator.log.info("Deleting pod: %s", pod.name)
    api.delete(pod.name, pod.namespace, pod.uid, operator.termination_grace_period)
    return ", and its pod was deleted."


def remove_pod(operator: Any, api: PodApi, pod: PodState) -> None:
    """Delete or keep a pod as `dispose_pod` does, but raise the exceptions of `PodApi`."""
    where = (pod.name, pod.namespace, pod.uid)
    disposal = decide_disposal(pod, operator.on_finish_action, operator.on_failure, operator.base_container_name)
    if disposal is PodDisposal.DELETE:
        operator.log.info("Deleting pod: %s", pod.name)
        api.delete(*where)
        return
    if disposal is PodDisposal.TERMINATE_AND_KEEP:
        api.end(*where)
    else:
        api.mark_checked(*where)
    operator.log.info(describe_keeping(operator, pod))


def warn_of_left_pod(operator: Any, pod: PodState | StartRecord | None, error: Exception, *, is_retried: bool) -> None:
    """Warn that the pod of a task that has ended may still run, and say what ends it; None if it is not known."""
    what, fix = "the task's pod", ""
    if pod is not None:
        what = f"pod {pod.name} in namespace {pod.namespace}"
        fix = f" Delete it with `kubectl -n {pod.namespace} delete pod {pod.name}`."
    if is_retried:
        fix = f" The next try {'takes it up' if operator.reattach_on_restart else 'replaces it'}."
    operator.log.warning("Cannot end %s: %s.%s", what, describe_error(error), fix)


def _keeps_running(pod: PodState, container: str) -> bool:
    """Whether a container would run on; the kubelet ends native sidecars when the others have ended."""
    if pod.has_ended:
        return False
    others = [each for each in pod.containers if each.kind == "main" and each.name != container]
    return not pod.container(container).is_terminated or not all(each.is_terminated for each in others)

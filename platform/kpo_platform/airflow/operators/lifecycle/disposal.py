"""Delete or keep a task's pod when the task no longer needs it."""

from __future__ import annotations

from typing import Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import OnKillAction

from kpo_platform.airflow.operators.lifecycle.cleanup import PodDisposal, decide_disposal, describe_kept_pod
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.pod.state import PodState


def dispose_pod(operator: Any, api: PodApi, pod: PodState) -> None:
    """Delete a pod whose task has ended, or keep it and log how to inspect it, as the task or its team decides.

    A failure is logged: the task's own end is more important.
    """
    try:
        _dispose(operator, api, pod)
    except Exception as error:
        operator.log.warning("Cannot clean up pod %s: %s", pod.name, error)


def delete_replaced_pod(operator: Any, api: PodApi, pod: PodState) -> None:
    """Delete a former pod of the task, also a kept one, because the task's new pod has the same name.

    Raises:
        ApiServerUnavailable: the API server does not answer.
        ApiException: it refused the request.
    """
    operator.log.info("Deleting pod: %s. The new pod has the same name (random_name_suffix is False).", pod.name)
    api.delete(pod.name, pod.namespace, pod.uid)


def dispose_stopped_pod(operator: Any, api: PodApi, pod: PodState) -> bool:
    """Delete the pod of a task that its user stopped, or mark and keep it if ``on_kill_action`` says so.

    Returns:
        Whether the pod is kept.
    """
    if operator.on_kill_action == OnKillAction.KEEP_POD:
        operator.log.info(describe_kept_pod(pod.name, pod.namespace, operator.base_container_name))
        api.mark_checked(pod.name, pod.namespace, pod.uid)
        return True
    operator.log.info("Deleting pod: %s", pod.name)
    api.delete(pod.name, pod.namespace, pod.uid, operator.termination_grace_period)
    return False


def _dispose(operator: Any, api: PodApi, pod: PodState) -> None:
    where = (pod.name, pod.namespace, pod.uid)
    disposal = decide_disposal(pod, operator.on_finish_action, operator.on_failure, operator.base_container_name)
    if disposal is PodDisposal.DELETE:
        operator.log.info("Deleting pod: %s", pod.name)
        api.delete(*where)
        return
    api.mark_checked(*where)
    if disposal is PodDisposal.TERMINATE_AND_KEEP:
        api.end(*where)
    operator.log.info(describe_kept_pod(pod.name, pod.namespace, operator.base_container_name))

"""What becomes of a pod once its task is done with it: the stock actions, and the team's policy for failures."""

from __future__ import annotations

from enum import Enum

from airflow.providers.cncf.kubernetes.utils.container import container_is_succeeded
from airflow.providers.cncf.kubernetes.utils.pod_manager import OnFinishAction
from kubernetes.client import models as k8s

_KEEP_SUCCEEDED = frozenset({OnFinishAction.KEEP_POD, OnFinishAction.DELETE_ACTIVE_POD})
_KEEP_FAILED = _KEEP_SUCCEEDED | {OnFinishAction.DELETE_SUCCEEDED_POD}


class PodDisposal(Enum):
    """What happens to a pod."""

    DELETE = "delete"
    KEEP = "keep"
    TERMINATE_AND_KEEP = "terminate and keep"


def decide_disposal(pod: k8s.V1Pod, action: OnFinishAction, on_failure: str, container: str) -> PodDisposal:
    """What happens to a pod whose task is over.

    The stock operator leaves a pod running when its task fails before it, for instance by ``execution_timeout``
    (apache/airflow#49466): a kept pod is therefore ended first. One that has not started has nothing to show but its
    events, which are in the task's log, and could still start: it is deleted.

    Args:
        pod: as the cluster has it now.
        action: the task's ``on_finish_action``.
        on_failure: the team's policy for pods that failed: ``keep``, ``delete``, or empty for what the action says.
        container: the name of the container that runs the task.
    """
    phase = pod.status.phase
    if action == OnFinishAction.DELETE_ACTIVE_POD and not on_failure and phase in ("Pending", "Running"):
        return PodDisposal.DELETE
    if phase == "Succeeded" or container_is_succeeded(pod, container):
        return PodDisposal.KEEP if action in _KEEP_SUCCEEDED else PodDisposal.DELETE
    keep = on_failure == "keep" if on_failure else action in _KEEP_FAILED
    if not keep or phase == "Pending":
        return PodDisposal.DELETE
    return PodDisposal.KEEP if phase == "Failed" else PodDisposal.TERMINATE_AND_KEEP


def describe_kept_pod(pod: k8s.V1Pod, container: str) -> str:
    """The sentence that says which pod stays, and how to look at it and remove it."""
    name, namespace = pod.metadata.name, pod.metadata.namespace
    where = f"kubectl -n {namespace}"
    return (
        f"The pod {name} stays in namespace {namespace}. Look at it: `{where} logs {name} -c {container}`, "
        f"`{where} describe pod {name}`; remove it: `{where} delete pod {name}`."
    )

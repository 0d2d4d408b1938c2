"""Decide what happens to a pod after its task: the stock actions and the team's policy for failures."""

from __future__ import annotations

from enum import Enum

from airflow.providers.cncf.kubernetes.utils.container import container_is_succeeded
from airflow.providers.cncf.kubernetes.utils.pod_manager import OnFinishAction
from kubernetes.client import models as k8s

_KEEP_SUCCEEDED = frozenset({OnFinishAction.KEEP_POD, OnFinishAction.DELETE_ACTIVE_POD})
_KEEP_FAILED = _KEEP_SUCCEEDED | {OnFinishAction.DELETE_SUCCEEDED_POD}


class PodDisposal(Enum):
    """What to do with a pod whose task has ended."""

    DELETE = "delete"
    KEEP = "keep"
    TERMINATE_AND_KEEP = "terminate and keep"


def decide_disposal(pod: k8s.V1Pod, action: OnFinishAction, on_failure: str, container: str) -> PodDisposal:
    """Decide what to do with a pod whose task has ended.

    The stock operator leaves a pod running when its task fails first, for instance by ``execution_timeout``
    (apache/airflow#49466). Here a kept pod is terminated. A pending pod is deleted: it could still start, its
    program has no log yet, and its events are in the task's log.

    Args:
        pod: the pod as the cluster has it now.
        action: the task's ``on_finish_action``.
        on_failure: the team's policy for failed pods: ``keep``, ``delete``, or empty to use ``action``.
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
    """Return the log line that names a kept pod and the commands to inspect and delete it."""
    name, namespace = pod.metadata.name, pod.metadata.namespace
    kubectl = f"kubectl -n {namespace}"
    return (
        f"Pod {name} is kept in namespace {namespace}. Inspect it with `{kubectl} logs {name} -c {container}` and "
        f"`{kubectl} describe pod {name}`. Delete it with `{kubectl} delete pod {name}`."
    )

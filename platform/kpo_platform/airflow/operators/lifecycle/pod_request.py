"""Build the pod of a task's first start, which a later process may not need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import OnKillAction
from kubernetes.client import models as k8s

from kpo_platform.airflow.api_errors import describe_failure
from kpo_platform.airflow.operators.lifecycle.callbacks import call_back, fail_on_exit
from kpo_platform.airflow.operators.lifecycle.start_record import (
    StartRecord,
    build_pod_name,
    build_start_id,
    read_former_record,
)
from kpo_platform.airflow.operators.lifecycle.task_run import read_task_run
from kpo_platform.contract import load as load_contract
from kpo_platform.pod.identity import START_LABEL
from kpo_platform.pod.task_mark import MarkedTask

if TYPE_CHECKING:
    from airflow.sdk import Context


def build_pod_request(operator: Any, context: Context) -> tuple[str, k8s.V1Pod]:
    """Build the pod, and return the author's name and the pod, whose name has the start's id as its suffix."""
    has_suffix = operator.random_name_suffix
    operator.random_name_suffix = False
    try:
        request: k8s.V1Pod = operator.build_pod_request_obj(context)
    finally:
        operator.random_name_suffix = has_suffix
    base_name = request.metadata.name
    if has_suffix:
        request.metadata.name = build_pod_name(base_name, build_start_id(str(context["ti"].id), 0))
    return base_name, request


@dataclass(frozen=True)
class PodRequest:
    """The pod that a process creates if it needs a new one.

    Attributes:
        pod: the pod to create; with `error` only name and namespace of the task's former pod.
        base_name: the author's name of the pod.
        error: why no new pod can be created; None if it can.
    """

    pod: k8s.V1Pod
    base_name: str
    error: Exception | None = None


def prepare_request(operator: Any, context: Context, *, may_have_pod: bool) -> PodRequest:
    """Build the pod of a process, and tell the author's callbacks.

    If that fails in a task that `may_have_pod`, because its values or the team's rules have changed, the error matters
    only to a new pod.
    """
    base_name = ""
    try:
        operator.name = operator._set_name(operator.name)
        if operator.pod_request_obj is None:
            with fail_on_exit("build_pod_request_obj"):  # a subclass may override it
                base_name, operator.pod_request_obj = build_pod_request(operator, context)
        call_back(operator, context, "on_pod_manifest_created", pod_request=operator.pod_request_obj)
    except Exception as error:
        former = read_former_record(context, operator.log) if may_have_pod else None
        if former is None:
            raise
        operator.log.warning(
            "Cannot create a new pod: %s. The task looks for its former pod %s.",
            *(describe_failure(error).rstrip("."), former.name),
        )
        return PodRequest(k8s.V1Pod(metadata=k8s.V1ObjectMeta(name=former.name, namespace=former.namespace)), "", error)
    return PodRequest(operator.pod_request_obj, base_name or operator.pod_request_obj.metadata.name)


def mark_request(operator: Any, context: Context, request: k8s.V1Pod, record: StartRecord) -> None:
    """Give a pod the name and the label of its start, and the annotations that say to which task it belongs.

    A task that Airflow's database does not have, as of `platformctl run` and ``dag.test``, gives none.
    """
    metadata = request.metadata
    metadata.name = record.name
    metadata.labels = {**(metadata.labels or {}), START_LABEL: record.start}
    if context.get("task_state_store") is None:
        return
    run = read_task_run(context)
    task = MarkedTask(run.dag_id, run.run_id, run.task_id, run.map_index)
    marks = task.build_marks(load_contract(), keeps_on_stop=operator.on_kill_action == OnKillAction.KEEP_POD)
    metadata.annotations = {**(metadata.annotations or {}), **marks}

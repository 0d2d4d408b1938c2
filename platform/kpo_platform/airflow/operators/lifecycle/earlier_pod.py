"""Find the pod of an earlier process of a task, and the name of the next one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubernetes.client import models as k8s

from kpo_platform.airflow.operators.lifecycle.adoption import (
    Adoption,
    AdoptionKind,
    Attempt,
    choose_earlier_pod,
    find_name_holder,
    needs_labels,
    replace_earlier_pod,
)
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.airflow.operators.lifecycle.pod_name import build_pod_name, build_start_id
from kpo_platform.airflow.operators.lifecycle.start_record import StartRecord, read_start_record
from kpo_platform.airflow.operators.lifecycle.stop_mark import is_marked_stopped
from kpo_platform.pod.identity import START_LABEL
from kpo_platform.pod.merge import Json
from kpo_platform.pod.state import parse_pod_state

if TYPE_CHECKING:
    from airflow.sdk import Context


@dataclass(frozen=True)
class Start:
    """One start of a task's pod.

    Attributes:
        adoption: what to do about the pod of an earlier process.
        pod: the JSON of the pod to take up, or of the one to clean up first, which may have the name of the new pod;
            None if there is none.
        record: the record of the pod that is taken up; for a new pod the one to store before it is created.
        former: the stored record of the task's last pod, if there was one.
    """

    adoption: Adoption
    pod: Json | None
    record: StartRecord
    former: StartRecord | None


def find_start(operator: Any, api: PodApi, context: Context, request: k8s.V1Pod, base_name: str) -> Start:
    """Choose between the pod of an earlier process and a new one.

    Args:
        operator: the task's operator.
        api: the requests on pods.
        context: the task's context.
        request: the pod that the task would create.
        base_name: its name without the id of the start.

    Raises:
        ApiServerUnavailable: the API server does not answer.
        ApiException: it refused to read or list pods.
    """
    ti, namespace = context["ti"], request.metadata.namespace
    record = read_start_record(context)
    restart = record.restart if record and record.is_of_try(str(ti.id)) else 0
    labels = operator._get_ti_pod_labels(context, include_try_number=False)
    attempt = Attempt(
        task_instance_id=str(ti.id),
        try_number=ti.try_number,
        max_tries=getattr(ti, "max_tries", None),
        start=build_start_id(str(ti.id), restart),
        task_labels=labels,
        container=operator.base_container_name,
        retries=operator.retries,
        is_stopped=record is not None and is_marked_stopped(context, record),
    )
    adoption, pods = _choose(operator, api, context, record, namespace, attempt)
    pod = pods.get(adoption.pod.uid) if adoption.pod else None
    if adoption.kind is AdoptionKind.START_NEW:
        new = _build_record(operator, namespace, base_name, attempt, restart + adoption.is_restart)
        holder = find_name_holder(new.name, record, [parse_pod_state(each) for each in pods.values()], attempt)
        return Start(adoption, pods[holder.uid] if holder else pod, new, record)
    return Start(adoption, pod, _record_of(pod, attempt, record), record)


def _choose(
    operator: Any, api: PodApi, context: Context, record: StartRecord | None, namespace: str, attempt: Attempt
) -> tuple[Adoption, dict[str, Json]]:
    """Choose the pod to take up, and return the JSON of all pods that were found by uid."""
    found = api.read(record.name, record.namespace) if record else None
    by_name, labelled = parse_pod_state(found) if found else None, []
    if not operator.reattach_on_restart:
        adoption = replace_earlier_pod(record, by_name, attempt)
    else:
        if needs_labels(record, attempt.try_number, int(context.get("task_reschedule_count") or 0)):
            labelled = api.list_by_labels(namespace, operator._build_find_pod_label_selector(context))
        adoption = choose_earlier_pod(record, by_name, [parse_pod_state(pod) for pod in labelled], attempt)
    return adoption, {str(pod["metadata"].get("uid")): pod for pod in [*labelled, *([found] if found else [])]}


def _build_record(operator: Any, namespace: str, base_name: str, attempt: Attempt, restart: int) -> StartRecord:
    start = build_start_id(attempt.task_instance_id, restart)
    return StartRecord(
        name=build_pod_name(base_name, start) if operator.random_name_suffix else base_name,
        namespace=namespace,
        start=start,
        task_instance_id=attempt.task_instance_id,
        try_number=attempt.try_number,
        restart=restart,
        max_tries=attempt.max_tries,
        retries=attempt.retries,
    )


def _record_of(pod: Json | None, attempt: Attempt, former: StartRecord | None) -> StartRecord:
    """Record a pod that is taken up; it belongs to this try from now on."""
    metadata: Json = (pod or {}).get("metadata") or {}
    restart = former.restart if former and former.is_of_try(attempt.task_instance_id) else 0
    return StartRecord(
        name=str(metadata.get("name")),
        namespace=str(metadata.get("namespace")),
        uid=str(metadata.get("uid")),
        start=str((metadata.get("labels") or {}).get(START_LABEL, "")),
        task_instance_id=attempt.task_instance_id,
        try_number=attempt.try_number,
        restart=restart,
        max_tries=attempt.max_tries,
        retries=attempt.retries,
    )

"""Find and end the pod of a task that is stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kpo_platform.airflow.operators.lifecycle.disposal import dispose_stopped_pod
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.airflow.operators.lifecycle.patience import describe_error
from kpo_platform.airflow.operators.lifecycle.pod_api import CHECKED_LABEL, PodApi
from kpo_platform.airflow.operators.lifecycle.start_record import StartRecord, read_start_record
from kpo_platform.pod.identity import START_LABEL
from kpo_platform.pod.merge import Json
from kpo_platform.pod.state import parse_pod_state

if TYPE_CHECKING:
    from airflow.sdk import Context


def find_pod_to_stop(operator: Any, api: PodApi, context: Context, record: StartRecord | None) -> Json | None:
    """Find the pod that a stop of the task ends.

    It is no pod of an earlier try, unless that one still runs, and none that is kept for its author.

    Args:
        operator: the task's operator.
        api: the requests on pods.
        context: the task's context.
        record: the record of the task's last pod; by default the stored one.
    """
    record = record or read_start_record(context)
    found = api.read(record.name, record.namespace, record.uid or None) if record else None
    if found is None or record is None:
        return None
    pod = parse_pod_state(found)
    if not record.uid and pod.labels.get(START_LABEL) != record.start:
        return None  # another pod has the name
    is_of_try = record.is_of_try(str(context["ti"].id)) or not record.task_instance_id
    has_ended = pod.has_ended or pod.container(operator.base_container_name).is_terminated
    is_kept = pod.labels.get(CHECKED_LABEL) == "True"
    return found if not is_kept and (is_of_try or not has_ended) else None


def stop_pod(operator: Any, api: PodApi, find: Callable[[], ObservedPod | None]) -> str:
    """End the pod of a stopped task; an error is logged, because the stop is the true reason of the task's end.

    Args:
        operator: the task's operator.
        api: the requests on pods.
        find: returns the task's pod, if it has one.

    Returns:
        What became of the pod, after "The task was stopped".
    """
    try:
        pod = find()
        if pod is None:
            return " before it had a pod."
        if dispose_stopped_pod(operator, api, pod.state):
            return ", but its pod keeps running: on_kill_action is 'keep_pod'."
    except Exception as error:
        operator.log.warning("Cannot end the task's pod: %s.", describe_error(error))
        return ", and its pod may still run."
    return ", and its pod was deleted."

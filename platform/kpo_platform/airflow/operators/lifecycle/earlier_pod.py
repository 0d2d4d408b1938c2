"""Find what earlier processes of a task have left: the pod, the name of the next one, and the stored end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import OnKillAction
from kubernetes.client import ApiException
from kubernetes.client import models as k8s

from kpo_platform.airflow.api_errors import describe_error
from kpo_platform.airflow.operators.lifecycle.adoption import (
    Adoption,
    AdoptionKind,
    Attempt,
    choose_earlier_pod,
    find_ending_pods,
    find_name_holder,
    needs_labels,
    reject_handled_pod,
    replace_disrupted_pod,
    replace_earlier_pod,
)
from kpo_platform.airflow.operators.lifecycle.former_pod import FormerPodRemains
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.airflow.operators.lifecycle.overrides import has_later_code
from kpo_platform.airflow.operators.lifecycle.pod_api import CHECKED_LABEL, PodApi
from kpo_platform.airflow.operators.lifecycle.restart import has_counted_disruption
from kpo_platform.airflow.operators.lifecycle.start_record import (
    StartRecord,
    build_pod_name,
    build_start_id,
    read_former_record,
    read_start_record,
)
from kpo_platform.airflow.operators.lifecycle.task_end import EndRecord, read_end_record
from kpo_platform.airflow.operators.lifecycle.task_result import SIDECAR
from kpo_platform.airflow.operators.lifecycle.task_state import read_patiently
from kpo_platform.pod.identity import START_LABEL
from kpo_platform.pod.merge import Json
from kpo_platform.pod.outcome import OutcomeKind
from kpo_platform.pod.state import PodState, parse_pod_state

if TYPE_CHECKING:
    from airflow.sdk import Context

_TRIGGERER_S = 10
"""How long a cleared task gives the triggerer to delete the pod that was deferred: its next try may start sooner."""


@dataclass(frozen=True)
class Start:
    """One start of a task's pod.

    Attributes:
        adoption: what to do about the pod of an earlier process.
        pod: the pod to take up, or to clean up first, perhaps because the new one has its name; None if there is none.
        record: the record of the pod that is taken up; for a new pod the one to store before it is created.
        former: the stored record of the task's last pod, if there was one.
        ending: former pods whose program may still run although it was asked to end.
        is_former_gone: whether the pod of that record no longer exists.
        end: the stored end of the pod of that record, if there is one.
    """

    adoption: Adoption
    pod: Json | None
    record: StartRecord
    former: StartRecord | None
    ending: Sequence[PodState] = ()
    is_former_gone: bool = False
    end: EndRecord | None = None


@dataclass(frozen=True)
class _Former:
    """What is stored of the task's last pod."""

    record: StartRecord | None
    end: EndRecord | None


def find_start(operator: Any, api: PodApi, context: Context, request: k8s.V1Pod, base_name: str) -> Start:
    """Choose between the pod of an earlier process and a new one, named by `base_name` and the id of its start."""
    ti, namespace = context["ti"], request.metadata.namespace
    former = read_former_record(context, operator.log)
    end = _read_end(context, former) if former else None
    restart = former.restart if former and former.is_of_try(str(ti.id)) else 0
    fixed_name = "" if operator.random_name_suffix else base_name
    attempt = Attempt(
        task_instance_id=str(ti.id),
        try_number=ti.try_number,
        max_tries=getattr(ti, "max_tries", None),
        start=build_start_id(str(ti.id), restart),
        task_labels=operator._get_ti_pod_labels(context, include_try_number=False),
        container=operator.base_container_name,
        retries=operator.retries,
        is_stopped=former is not None and former.is_stopped,
    )
    choose = partial(_choose, operator, api, context, _Former(former, end), namespace, attempt, fixed_name)
    adoption, pods = choose()
    for _ in range(_TRIGGERER_S if _is_ended_by_triggerer(operator, former, adoption, attempt) else 0):
        operator.stop_signal.sleep(1)
        adoption, pods = choose()
        if adoption.kind is AdoptionKind.START_NEW:
            break
    pod = pods.get(adoption.pod.uid) if adoption.pod else None
    if adoption.kind is not AdoptionKind.START_NEW:
        return Start(adoption, pod, _record_pod(pod or {}, attempt, restart), former, end=end)
    restart += adoption.is_restart
    start = build_start_id(attempt.task_instance_id, restart)
    name = build_pod_name(base_name, start) if operator.random_name_suffix else base_name
    states = [parse_pod_state(each) for each in pods.values()]
    holder = find_name_holder(name, former, states, attempt)
    record = attempt.build_record(name, namespace, "", start, restart)
    ending = find_ending_pods(former, states, attempt)
    is_gone = former is not None and not any(_is_recorded(each, former) for each in states)
    return Start(adoption, pods[holder.uid] if holder else pod, record, former, ending, is_gone, end)


def _is_recorded(pod: PodState, record: StartRecord) -> bool:
    return pod.uid == record.uid if record.uid else pod.labels.get(START_LABEL) == record.start


def _is_ended_by_triggerer(operator: Any, former: StartRecord | None, adoption: Adoption, attempt: Attempt) -> bool:
    """Tell whether a triggerer may be about to delete the running pod of a deferred task that was cleared."""
    if former is None or not operator.deferrable or operator.on_kill_action == OnKillAction.KEEP_POD:
        return False
    return attempt.is_clear_of(former) and adoption.kind is AdoptionKind.TAKE_UP_RUNNING


def find_former_end(operator: Any, context: Context, start: Start) -> EndRecord | None:
    """Find the end that an earlier process has stored, if a process that starts needs no more than that."""
    end = _find_counting_end(operator, context, _Former(start.former, start.end))
    is_read_again = end is not None and end.is_result_lost and start.adoption.kind is AdoptionKind.TAKE_RESULT
    return None if is_read_again else end


def _read_end(context: Context, record: StartRecord) -> EndRecord | None:
    """Read the stored end of this pod."""
    end = read_patiently(context, partial(read_end_record, context), record.name, record.namespace)
    return end if end is not None and end.is_of_pod(record.uid, record.task_instance_id) else None


def _find_counting_end(operator: Any, context: Context, former: _Former) -> EndRecord | None:
    """Find the stored end of the task's last pod, if it counts for this process."""
    ti, record, end = context["ti"], former.record, former.end
    if record is None or end is None:
        return None
    is_cleared = record.is_cleared_since(str(ti.id), getattr(ti, "max_tries", None), operator.retries, ti.try_number)
    if is_cleared or record.is_stopped:
        return None
    return end if end.counts_for(ti, is_final=not has_later_code(operator)) else None


def find_own_end(context: Context, pod: ObservedPod) -> EndRecord | None:
    """Find the end that an earlier process of a resumed task has stored, if the pod no longer gives it."""
    if not pod.is_gone and not pod.state.container(SIDECAR).is_terminated:
        return None
    state, read = pod.state, partial(read_end_record, context)
    try:
        end = read_patiently(context, read, state.name, state.namespace)
    except Exception as error:
        log = context["task"].log
        log.warning("Airflow does not tell whether the pod's end is stored: %s.", describe_error(error))
        return None
    return end if end is not None and end.is_of_pod(state.uid, str(context["ti"].id)) else None


def find_pod_to_stop(operator: Any, api: PodApi, context: Context, record: StartRecord | None) -> Json | None:
    """Find the pod of this record, or else of the stored one, that a stop of the task ends.

    It is no pod of an earlier try, unless that one still runs, and none that is kept for its author.
    """
    record = record or read_start_record(context)
    found = api.read(record.name, record.namespace, record.uid or None) if record else None
    if found is None or record is None:
        return None
    pod = parse_pod_state(found)
    is_known_by_name = operator.random_name_suffix and not (record.uid or record.start)
    if not is_known_by_name and not _is_recorded(pod, record):
        return None  # another pod has the name
    is_of_try = record.is_of_try(str(context["ti"].id)) or not record.task_instance_id
    is_kept = pod.labels.get(CHECKED_LABEL) == "True"
    return found if not is_kept and (is_of_try or not pod.has_ended) else None


def _choose(
    operator: Any,
    api: PodApi,
    context: Context,
    former: _Former,
    namespace: str,
    attempt: Attempt,
    fixed_name: str,
) -> tuple[Adoption, dict[str, Json]]:
    """Choose the pod to take up, and return the JSON of all pods that were found by uid.

    Without a record a pod of `fixed_name`, if that is not empty, is looked for too: the new one could not be created.
    """
    record = former.record
    found = _read_recorded_pod(operator, api, record, former.end, namespace) if record else None
    by_name, labelled = parse_pod_state(found) if found else None, []
    if not operator.reattach_on_restart and not _needs_pod(operator, context, former):
        adoption = replace_earlier_pod(record, by_name, attempt)
    else:
        if needs_labels(record, attempt.try_number, int(context.get("task_reschedule_count") or 0)):
            labelled = api.list_by_labels(namespace, operator._build_find_pod_label_selector(context))
            found = _read_own_pod(api, fixed_name, namespace, attempt) if fixed_name else None
        adoption = choose_earlier_pod(record, by_name, [parse_pod_state(pod) for pod in labelled], attempt)
        pod = adoption.pod if adoption.kind is AdoptionKind.TAKE_RESULT else None
        if pod is not None and _has_handled(operator, context, former):
            adoption = reject_handled_pod(pod)
        elif pod is not None and has_counted_disruption(context, pod):
            adoption = replace_disrupted_pod(pod)
    return adoption, {str(each["metadata"].get("uid")): each for each in [*labelled, *([found] if found else [])]}


def _read_recorded_pod(
    operator: Any, api: PodApi, record: StartRecord, end: EndRecord | None, namespace: str
) -> Json | None:
    """Read the recorded pod; if its namespace was the task's before, the task may have lost the right to."""
    try:
        return api.read(record.name, record.namespace)
    except ApiException as error:
        if record.namespace == namespace:
            raise
        if end is not None:
            operator.log.info(
                "Cannot read the former pod %s in namespace %s: %s. An earlier process has stored its end.",
                *(record.name, record.namespace, describe_error(error)),
            )
            return None
        raise FormerPodRemains(
            f"The pod was not created: the task's former pod {record.name} in namespace {record.namespace} may still "
            f"run, and the task's connection may not read it: {describe_error(error)}",
            f"Give the task's connection the right to read pods in namespace {record.namespace}. Or make sure that the "
            "pod is gone, and delete the key kpo_platform_start from the task state store (Airflow's API, "
            "…/taskInstances/…/state-store). Then clear the task.",
        ) from error


def _read_own_pod(api: PodApi, name: str, namespace: str, attempt: Attempt) -> Json | None:
    """Read a pod of this name, if it is the task's own; the search by labels leaves out one whose end was handled."""
    pod = api.read(name, namespace)
    is_own = pod is not None and attempt.task_labels.items() <= parse_pod_state(pod).labels.items()
    return pod if is_own else None


def _has_handled(operator: Any, context: Context, former: _Former) -> bool:
    """Tell whether an earlier try has failed after the pod's end, or has left a pod that it could not clean up."""
    end = former.end
    is_rejected = end is not None and (end.is_left or end.kind != OutcomeKind.SUCCEEDED.value)
    return is_rejected and _find_counting_end(operator, context, former) is None


def _needs_pod(operator: Any, context: Context, former: _Former) -> bool:
    """Tell whether the work is done, but only its pod may still have the result."""
    end = _find_counting_end(operator, context, former)
    return end is not None and end.is_result_lost


def _record_pod(pod: Json, attempt: Attempt, restart: int) -> StartRecord:
    """Record a pod that is taken up; it belongs to this try from now on."""
    state = parse_pod_state(pod)
    return attempt.build_record(state.name, state.namespace, state.uid, state.labels.get(START_LABEL, ""), restart)

"""The end that the trigger of a deferred task has reported, which decides how a pod ended that is gone.

Airflow drops the trigger's event when a process restarts its task in the same try (models/taskinstance.py,
``next_kwargs``). So a process that was to handle it stores it first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.airflow.operators.lifecycle.pod_wait import is_time_up
from kpo_platform.airflow.operators.lifecycle.start_record import StartRecord, find_start_record
from kpo_platform.airflow.operators.lifecycle.task_state import TryState, read_patiently
from kpo_platform.diagnosis.cause import LONGEST_SENTENCE
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.disruption import GONE, find_started_containers
from kpo_platform.pod.json_fields import read_object, read_text
from kpo_platform.pod.outcome import Outcome, OutcomeKind
from kpo_platform.pod.reported_end import FAILED, SUCCESS, decide_reported_end

if TYPE_CHECKING:
    from airflow.sdk import Context

    from kpo_platform.airflow.operators.lifecycle.earlier_pod import Start

_KEY = "trigger_report"


def write_report(context: Context, event: Mapping[str, Any], record: StartRecord | None) -> None:
    """Store the status of an event for the next process of this try; `record` is that of the pod, if it was read."""
    record = record or find_start_record(context, event["name"], event["namespace"])
    seen = {"pod": event["pod"]} if event.get("pod") else {}
    TryState(context, _KEY).write(status=event["status"], name=record.name, start=record.start, uid=record.uid, **seen)


def refresh_reported(pod: ObservedPod, event: Mapping[str, Any]) -> None:
    """Read the pod again; the last state of one that is gone is what the trigger has seen.

    Raises:
        ApiServerUnavailable: as of `ObservedPod.refresh`.
    """
    pod.refresh()
    _take_reported_state(pod, event)


def find_reported_end(
    operator: Any, api: PodApi, context: Context, start: Start
) -> tuple[ObservedPod, dict[str, Any]] | None:
    """Find the former pod of this try if it is gone, and its trigger had reported its end; return also the event.

    It is None if the cluster has disrupted the pod. Exceptions as of `PodApi`.
    """
    former = start.former if start.is_former_gone else None
    if former is None or (report := _read_report(context, former)) is None:
        return None
    pod = ObservedPod.of_task(operator, api, former.build_stub())
    pod.is_gone = True
    _take_reported_state(pod, report)
    if judge_end(operator, pod, report).kind is OutcomeKind.DISRUPTED:
        return None
    operator.log.info(
        "Pod %s no longer exists. Its end is judged by its events and by the trigger's report (%s).",
        *(former.name, report["status"]),
    )
    return pod, report


def judge_end(operator: Any, pod: ObservedPod, event: Mapping[str, Any] | None) -> Outcome:
    """Judge the end of a pod by the pod; if it is gone, by its events and what the trigger has reported."""
    event, outcome = event or {}, pod.outcome
    assert outcome is not None
    status, is_disrupted = event.get("status"), outcome.kind is OutcomeKind.DISRUPTED
    if is_disrupted and status == "timeout" and not _is_outdated(operator, pod, outcome, event):
        # The trigger had still seen the pod: what ended it later is not why the task has no result.
        return Outcome(OutcomeKind.FAILED, "Timeout", message=sanitize(event["message"], LONGEST_SENTENCE))
    if not pod.is_gone or pod.state.has_ended or outcome.exit_code is not None:
        return outcome
    if not operator.random_name_suffix and pod.has_ended_namesake():
        status = ""  # the trigger looks by name only
    return decide_reported_end(outcome, str(status), pod.events, operator.base_container_name)


def _is_outdated(operator: Any, pod: ObservedPod, outcome: Outcome, event: Mapping[str, Any]) -> bool:
    """Tell whether a pod that is gone had started, or was disrupted, after its trigger waited too long for the start.

    For a pod that exists, see `correct_event`.
    """
    if is_time_up(event) or not pod.is_gone:
        return False
    return outcome.reason != GONE or operator.base_container_name in find_started_containers(pod.events)


def _read_report(context: Context, record: StartRecord) -> dict[str, Any] | None:
    """Read the event that was stored for this pod if it reports an end.

    Fields that were not known when it was stored are empty, and fit any pod.
    """
    if record.is_stopped or not record.is_of_try(str(context["ti"].id)):
        return None
    stored = read_patiently(context, TryState(context, _KEY).read, record.name, record.namespace)
    is_of_pod = stored.get("name") == record.name and all(
        read_text(stored.get(key)) in ("", known) for key, known in (("start", record.start), ("uid", record.uid))
    )
    status = read_text(stored.get("status"))
    return {"status": status, "pod": stored.get("pod")} if is_of_pod and status in (SUCCESS, FAILED) else None


def _take_reported_state(pod: ObservedPod, event: Mapping[str, Any]) -> None:
    """Take over exit code, cause of the end and result of a pod that is gone, as far as the trigger has seen them."""
    try:
        reported = read_object(json.loads(event.get("pod") or "{}"))
    except (ValueError, TypeError):
        return
    metadata, known = read_object(reported.get("metadata")), pod.state
    is_own = metadata.get("name") == known.name and known.uid in ("", metadata.get("uid"))
    if pod.is_gone and is_own:
        pod.take(reported, is_gone=True)

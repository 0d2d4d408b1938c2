"""Choose whether a task takes up the pod of an earlier process, or starts a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from kpo_platform.airflow.operators.lifecycle.pod_api import CHECKED_LABEL, ENDING_DEADLINE_S
from kpo_platform.airflow.operators.lifecycle.start_record import StartRecord
from kpo_platform.pod.identity import START_LABEL
from kpo_platform.pod.state import PodState

_OLDEST = datetime.min.replace(tzinfo=UTC)


class AdoptionKind(Enum):
    """What a task does with the pod of an earlier process."""

    TAKE_UP_RUNNING = "take up running"
    TAKE_RESULT = "take result"
    START_NEW = "start new"


@dataclass(frozen=True)
class Adoption:
    """The decision, and the line for the task's log.

    Attributes:
        pod: the pod to take up; with ``START_NEW`` the former one, to delete or keep as at its end, if there is one.
        is_restart: whether this try has had a pod, so that a new one needs the next restart number.
    """

    kind: AdoptionKind
    pod: PodState | None = None
    reason: str = ""
    is_restart: bool = False


@dataclass(frozen=True)
class Attempt:
    """The process of a task that looks for an earlier pod; other attributes as of `StartRecord`.

    Attributes:
        start: the label `START_LABEL` of the pod that the task would create now, before the restart number grows.
        task_labels: the labels that all pods of this task in this DAG run have.
        container: the name of the container that runs the program.
        is_stopped: whether an earlier process was stopped, perhaps before it could delete the recorded pod.
    """

    task_instance_id: str
    try_number: int
    max_tries: int | None
    start: str
    task_labels: Mapping[str, str]
    container: str = "base"
    retries: int | None = None
    is_stopped: bool = False

    def is_clear_of(self, record: StartRecord) -> bool:
        """Tell whether a user has cleared the task since this record, as `StartRecord.is_cleared_since`."""
        return record.is_cleared_since(self.task_instance_id, self.max_tries, self.retries, self.try_number)

    def build_record(self, name: str, namespace: str, uid: str, start: str, restart: int) -> StartRecord:
        """Build the record of a pod that belongs to this try."""
        return StartRecord(
            *(name, namespace, uid, start, self.task_instance_id, self.try_number),
            *(restart, self.max_tries, self.retries),
        )


def needs_labels(record: StartRecord | None, try_number: int, reschedules: int) -> bool:
    """Tell whether to search by label: only a task that has been started before, and of which nothing is stored."""
    return record is None and (try_number > 1 or reschedules > 0)


def choose_earlier_pod(
    stored: StartRecord | None, by_name: PodState | None, labelled: Sequence[PodState], attempt: Attempt
) -> Adoption:
    """Choose what to do about the pod of an earlier process.

    - The task takes up a running pod, also of an earlier try, and after a user's clear: that try's worker was lost.
    - It takes the result of an ended pod of this try, and of an earlier try if the program succeeded after the
      try's worker was lost: a retry needs only that. After a clear the work is done again.
    - It takes up no pod that is being deleted, that a user stopped, that a finished try has marked, or whose uid is
      another one.

    Args:
        stored: the record of the task's last pod.
        by_name: the pod that has the stored name now; without a record, the one that has the derived name.
        labelled: the pods that the task's labels find, if `needs_labels`.
        attempt: the process that looks.
    """
    if stored is not None:
        return _judge_stored(stored, by_name, attempt)
    known = [pod for pod in (by_name,) if pod is not None and pod.labels.get(START_LABEL) == attempt.start]
    newest = sorted(labelled, key=lambda pod: pod.created_at or _OLDEST, reverse=True)
    judged = [_judge_pod(pod, attempt, _read_try(pod), _is_of_try(pod, attempt)) for pod in [*known, *newest]]
    usable = [adoption for adoption in judged if adoption.kind is not AdoptionKind.START_NEW]
    return next(iter([*usable, *judged]), Adoption(AdoptionKind.START_NEW))


def replace_earlier_pod(stored: StartRecord | None, by_name: PodState | None, attempt: Attempt) -> Adoption:
    """Let no pod of an earlier process run on beside the new one (``reattach_on_restart=False``)."""
    is_of_try = stored is not None and stored.is_of_try(attempt.task_instance_id)
    if stored is None or by_name is None or _describe_other(stored, by_name, attempt):
        return Adoption(AdoptionKind.START_NEW, is_restart=is_of_try and stored is not None and stored.uid != "")
    reason = f"Pod {by_name.name} of an earlier process is replaced, because reattach_on_restart is False"
    return _start_new(reason, is_of_try, by_name if is_free(by_name) else None)


def reject_handled_pod(pod: PodState) -> Adoption:
    """Start a new pod instead of taking the result of one whose task has failed after it."""
    return _start_new(f"An earlier try has failed after the end of pod {pod.name}", False, pod)


def replace_disrupted_pod(pod: PodState) -> Adoption:
    """Start a new pod instead of taking the end of one whose disruption has restarted the task already."""
    reason = f"The cluster has ended pod {pod.name}, and an earlier process could not remove it"
    return _start_new(reason, True, pod)


def find_name_holder(
    name: str, stored: StartRecord | None, pods: Sequence[PodState], attempt: Attempt
) -> PodState | None:
    """Find the task's own former pod that has the name of its new one, as with ``random_name_suffix=False``.

    It is one of the `pods` that have the stored name, or that the task's labels find, and is not being deleted.
    """
    own = _find_own(stored, pods, attempt)
    return next((pod for pod in own if pod.name == name and pod.deletion_requested_at is None), None)


def find_ending_pods(stored: StartRecord | None, pods: Sequence[PodState], attempt: Attempt) -> list[PodState]:
    """Find the task's own former pods that were asked to end, and whose program may still run."""
    own = _find_own(stored, pods, attempt)
    return [pod for pod in own if _is_ending(pod) and not pod.has_finished(attempt.container)]


def _find_own(stored: StartRecord | None, pods: Sequence[PodState], attempt: Attempt) -> list[PodState]:
    return [pod for pod in pods if stored is None or not _describe_other(stored, pod, attempt)]


def _judge_stored(stored: StartRecord, pod: PodState | None, attempt: Attempt) -> Adoption:
    is_of_try = stored.is_of_try(attempt.task_instance_id)
    if pod is None:
        if not stored.uid:
            return Adoption(AdoptionKind.START_NEW)  # it was never created
        return _start_new(f"Pod {stored.name} no longer exists", is_of_try)
    if other := _describe_other(stored, pod, attempt):
        return _start_new(f"Pod {stored.name} {other}", is_of_try and bool(stored.uid))
    if not stored.task_instance_id:
        is_of_try = _is_of_try(pod, attempt)
    if attempt.is_stopped and is_free(pod):
        return _start_new(f"The task was stopped while pod {pod.name} ran", is_of_try, pod)
    # Without Airflow's number of tries, a retry cannot be told from a clear, after which the work is done again.
    is_retry = stored.max_tries is not None and not attempt.is_clear_of(stored)
    return _judge_pod(pod, attempt, stored.try_number or _read_try(pod), is_of_try, is_retry)


def _judge_pod(
    pod: PodState, attempt: Attempt, try_number: int | None, is_of_try: bool, is_retry: bool = False
) -> Adoption:
    """Judge a pod that this task has created."""
    of_try = "" if is_of_try else " of an earlier try" if try_number is None else f" of try {try_number}"
    base = pod.container(attempt.container)
    if pod.labels.get(CHECKED_LABEL) == "True":
        return _start_new(f"Pod {pod.name}{of_try} was stopped, or its end was handled already", is_of_try)
    if pod.deletion_requested_at is not None and not (is_of_try and _ended_before_deletion(pod, attempt.container)):
        return _start_new(f"Pod {pod.name}{of_try} is being deleted", is_of_try)
    if not pod.has_finished(attempt.container):
        origin = ", which an earlier process of this task created" if is_of_try else f"{of_try}, whose worker was lost"
        return Adoption(AdoptionKind.TAKE_UP_RUNNING, pod, f"Reattached to pod {pod.name}{origin}.")
    if is_of_try:
        reason = f"Pod {pod.name} ended while no process of the task watched it: the task uses its end."
        return Adoption(AdoptionKind.TAKE_RESULT, pod, reason)
    if is_retry and (base.exit_code == 0 or pod.phase == "Succeeded"):
        reason = f"Pod {pod.name}{of_try} succeeded after its worker was lost: the task uses its end."
        return Adoption(AdoptionKind.TAKE_RESULT, pod, reason)
    return _start_new(f"Pod {pod.name}{of_try} has ended", False, pod)


def _start_new(reason: str, is_restart: bool, pod: PodState | None = None) -> Adoption:
    return Adoption(AdoptionKind.START_NEW, pod, f"{reason}: the task starts a new pod.", is_restart)


def _describe_other(stored: StartRecord, pod: PodState, attempt: Attempt) -> str:
    """Describe why the pod of the stored name is not the stored pod; empty if it is.

    Another pod may get the same name (apache/airflow#71743).
    """
    if stored.uid:
        return "" if pod.uid == stored.uid else f"was replaced by another pod of this name (uid {pod.uid})"
    if stored.start:
        is_own = pod.labels.get(START_LABEL) == stored.start
    else:
        is_own = dict(attempt.task_labels).items() <= dict(pod.labels).items()
    return "" if is_own else "is not a pod of this task"


def _is_of_try(pod: PodState, attempt: Attempt) -> bool:
    return pod.labels.get(START_LABEL) == attempt.start or _read_try(pod) == attempt.try_number


def _read_try(pod: PodState) -> int | None:
    number = pod.labels.get("try_number", "")
    return int(number) if number.isascii() and number.isdigit() else None


def is_free(pod: PodState) -> bool:
    """Tell whether the pod is neither being deleted nor marked."""
    return pod.deletion_requested_at is None and pod.labels.get(CHECKED_LABEL) != "True"


def _is_ending(pod: PodState) -> bool:
    """Tell whether the pod is being deleted, or ended by the deadline that `PodApi.end` sets."""
    if pod.deletion_requested_at is not None:
        return True
    if pod.started_at is None or pod.deadline_at is None:
        return False
    return pod.deadline_at - pod.started_at <= timedelta(seconds=ENDING_DEADLINE_S)


def _ended_before_deletion(pod: PodState, container: str) -> bool:
    """Tell whether the program ended before it could be asked to; times have whole seconds."""
    finished_at, requested_at = pod.container(container).finished_at, pod.deletion_requested_at
    return finished_at is not None and requested_at is not None and finished_at < requested_at

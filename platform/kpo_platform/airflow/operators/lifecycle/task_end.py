"""The end of a task's pod: read once, and stored in Airflow's task state store before the pod is deleted.

A process that is killed after the deletion, and before Airflow has heard of the result, leaves no pod to look at. The
next process finds the end in the store, and does not do the work again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from kpo_platform.airflow.api_errors import describe_error, describe_failure
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.airflow.operators.lifecycle.patience import ApiServerUnavailable
from kpo_platform.airflow.operators.lifecycle.task_result import read_failed_result, read_result
from kpo_platform.airflow.operators.lifecycle.task_state import read_stored, write_stored
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.json_fields import read_integer, read_text
from kpo_platform.pod.outcome import Outcome, OutcomeKind

if TYPE_CHECKING:
    from airflow.sdk import Context

_KEY = "kpo_platform_end"
_LARGEST_RESULT = 65_536
"""Characters of the JSON of a result that is stored; a larger one would burden Airflow's database."""


@dataclass(frozen=True)
class EndRecord:
    """The stored end of a task's pod; the task instance and its numbers as of `StartRecord`, the end as of `Outcome`.

    Attributes:
        result: the task's result, if it has one.
        is_result_lost: whether it has a result that was not read, or that cannot be stored.
        is_left: whether the pod could not be deleted or kept, so that it looks as if no process had handled its end.
    """

    task_instance_id: str
    uid: str
    kind: str
    exit_code: int | None = None
    message: str = ""
    result: Any = None
    max_tries: int | None = None
    try_number: int | None = None
    is_result_lost: bool = False
    is_left: bool = False

    def is_of_pod(self, uid: str, task_instance_id: str) -> bool:
        """Tell whether a pod ended so; its uid is empty if Airflow did not store it, but a try has only one end."""
        return self.uid == uid if uid else self.task_instance_id == task_instance_id != ""

    def counts_for(self, ti: Any, *, is_final: bool) -> bool:
        """Tell whether a process takes this end for its own: in the same try, or in a later one a success.

        No try follows a success, except after a user's clear, or if Airflow did not get the result. A task instance
        that Airflow has created again, with the store of the former, has no later number. Without `is_final`, code
        after the pod's end may fail the task to get the work done again, as a ``post_execute``.
        """
        if str(ti.id) == self.task_instance_id:
            return True
        max_tries = getattr(ti, "max_tries", None)
        is_retry = max_tries is not None and max_tries == self.max_tries
        is_later = self.try_number is None or bool(ti.try_number > self.try_number)
        has_succeeded = self.kind == OutcomeKind.SUCCEEDED.value
        return is_retry and is_later and is_final and has_succeeded


@dataclass(frozen=True)
class TaskEnd:
    """The end of a task's pod, as its task hears of it.

    Attributes:
        failure: why there is no result although the program succeeded, or was none to push although it failed.
        record: what Airflow has stored; None if Airflow refused it.
    """

    outcome: Outcome
    result: Any = None
    failure: Exception | None = None
    record: EndRecord | None = None

    @property
    def has_succeeded(self) -> bool:
        """Whether the program succeeded."""
        return self.outcome.kind is OutcomeKind.SUCCEEDED

    @property
    def is_result_unstored(self) -> bool:
        """Whether only this process has the result of a success, until Airflow hears of the task's end."""
        return self.record is not None and self.record.is_result_lost and self.result is not None

    @property
    def is_result_lost(self) -> bool:
        """Whether the result of a success can no longer be read."""
        return self.record is not None and self.record.is_result_lost and self.result is None


def conclude(
    operator: Any, context: Context, pod: ObservedPod, outcome: Outcome, *, reads_result: bool = True
) -> TaskEnd:
    """Read the result, and store the end; a disruption is no end.

    Raises:
        ApiServerUnavailable: a success has no result yet, and the pod has it.
    """
    if outcome.kind is OutcomeKind.DISRUPTED:
        return TaskEnd(outcome)
    result, failure = None, None
    try:
        if reads_result and operator.do_xcom_push:
            result = _read_result(operator, context, pod, outcome)
    except Exception as error:  # the task fails with it, unless the program's own end is the true reason
        if isinstance(error, ApiServerUnavailable) and outcome.kind is OutcomeKind.SUCCEEDED:
            raise
        failure = error
    end = TaskEnd(outcome, result, failure)
    return replace(end, record=_store(context, _build_record(context, pod, end)))


def store_rejected_success(context: Context, pod: ObservedPod, outcome: Outcome, message: str) -> None:
    """Store the end of a pod whose task has failed for another reason, so that no try takes a success of it."""
    if outcome.kind is OutcomeKind.SUCCEEDED:
        record = _build_record(context, pod, TaskEnd(outcome))
        _store(context, replace(record, kind=OutcomeKind.FAILED.value, message=message))


def recall(record: EndRecord) -> TaskEnd:
    """Return the end that an earlier process has stored."""
    outcome = Outcome(OutcomeKind(record.kind), "", record.exit_code, record.message)
    return TaskEnd(outcome, record.result, None, record)


def read_end_record(context: Context) -> EndRecord | None:
    """Read how the task's last pod ended; None if no end was stored."""
    stored = read_stored(context, _KEY)
    if stored.get("kind") not in [kind.value for kind in OutcomeKind]:
        return None
    fields: dict[str, Any] = {
        **{key: read_text(stored.get(key)) for key in ("task_instance_id", "uid", "kind", "message")},
        **{key: read_integer(stored.get(key)) for key in ("exit_code", "max_tries", "try_number")},
        **{key: stored.get(key) is True for key in ("is_result_lost", "is_left")},
    }
    return EndRecord(**fields, result=stored.get("result"))


def withdraw_success(context: Context, message: str) -> None:
    """Turn a stored success into a failure with this message, so that the next try does the work again."""
    failed = {"kind": OutcomeKind.FAILED.value, "message": message, "result": None, "is_result_lost": False}
    _change_success(context, "that the task failed after the pod's success", failed)


def note_left_pod(context: Context) -> None:
    """Store that the pod of a success could not be deleted or kept."""
    _change_success(context, "that the pod of a success was left", {"is_left": True})


def _change_success(context: Context, what: str, change: Mapping[str, Any]) -> None:
    try:
        record = read_end_record(context)
        if record is not None and record.kind == OutcomeKind.SUCCEEDED.value:
            _write(context, replace(record, **change))
    except Exception as error:
        context["ti"].task.log.warning(
            "Airflow did not store %s: %s. A retry may take the result.", what, describe_error(error)
        )


def _read_result(operator: Any, context: Context, pod: ObservedPod, outcome: Outcome) -> Any:
    """Read the result; of a program that failed, as the stock operator does, if it is there."""
    if outcome.kind is OutcomeKind.SUCCEEDED:
        return read_result(operator, pod)
    result = read_failed_result(operator, pod)
    operator._push_xcom_with_fan_out(context["ti"], result)
    return result


def _build_record(context: Context, pod: ObservedPod, end: TaskEnd) -> EndRecord:
    ti, outcome, is_lost = context["ti"], end.outcome, isinstance(end.failure, AirflowFailException)
    record = EndRecord(
        task_instance_id=str(ti.id),
        uid=pod.state.uid,
        kind=outcome.kind.value,
        exit_code=outcome.exit_code,
        message=str(end.failure) if is_lost else outcome.message,
        result=end.result if end.has_succeeded else None,
        max_tries=getattr(ti, "max_tries", None),
        try_number=ti.try_number,
        is_result_lost=end.has_succeeded and is_lost,
    )
    if end.has_succeeded and end.failure is not None and not is_lost:
        return replace(record, kind=OutcomeKind.FAILED.value, message=describe_failure(end.failure))
    return record


def _store(context: Context, record: EndRecord) -> EndRecord | None:
    """Store the end, without the result if Airflow refuses that; return what is stored, None if it refuses both."""
    forms = [record] if record.result is None else [record, _lose_result(record)]
    for form in forms:
        try:
            return _write(context, form)
        except Exception as error:  # the end is told nevertheless
            context["ti"].task.log.warning("Airflow did not store how the pod ended: %s", sanitize(error))
    return None


def _write(context: Context, record: EndRecord) -> EndRecord:
    """Store and return the end, without a result that is large."""
    if context.get("task_state_store") is None or not record.uid:
        return record
    if not _is_storable(record.result):
        record = _lose_result(record)
    write_stored(context, _KEY, asdict(record))
    return record


def _lose_result(record: EndRecord) -> EndRecord:
    return replace(record, result=None, is_result_lost=True)


def _is_storable(result: Any) -> bool:
    try:
        # Airflow would store NaN and the infinities as null.
        return len(json.dumps(result, allow_nan=False)) <= _LARGEST_RESULT
    except ValueError:
        return False

"""The end of a task's pod as Airflow is told of it: read once, and stored before anything else happens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from kpo_platform.airflow.operators.lifecycle.end_record import EndRecord, write_end_record
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.airflow.operators.lifecycle.patience import ApiServerUnavailable
from kpo_platform.airflow.operators.lifecycle.task_result import read_failed_result, read_result
from kpo_platform.pod.outcome import Outcome, OutcomeKind

if TYPE_CHECKING:
    from airflow.sdk import Context


@dataclass(frozen=True)
class TaskEnd:
    """The end of a task's pod.

    Attributes:
        outcome: how the program ended.
        result: the task's result.
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


def conclude(operator: Any, context: Context, pod: ObservedPod, outcome: Outcome) -> TaskEnd:
    """Read the result, and store the end: a process that follows this one may find no pod any more.

    Raises:
        ApiServerUnavailable: a success has no result yet, and the pod has it.
    """
    result, failure = None, None
    try:
        result = _read_result(operator, context, pod, outcome)
    except Exception as error:  # the task fails with it, unless the program's own end is the true reason
        if isinstance(error, ApiServerUnavailable) and outcome.kind is OutcomeKind.SUCCEEDED:
            raise
        failure = error
    end = TaskEnd(outcome, result, failure)
    if outcome.kind is OutcomeKind.DISRUPTED:
        return end
    return replace(end, record=_store(context, _build_record(context, pod, end), operator.log))


def recall(record: EndRecord) -> TaskEnd:
    """Return the end that an earlier process has stored."""
    outcome = Outcome(OutcomeKind(record.kind), "", record.exit_code, record.message)
    return TaskEnd(outcome, record.result, None, record)


def tell(context: Context, end: TaskEnd) -> Any:
    """Return the result of a success to Airflow.

    If it cannot be stored, or comes from an earlier try, this is stored: with another try, it was refused.
    """
    record, ti = end.record, context["ti"]
    if record is not None and (record.is_result_lost or record.task_instance_id != str(ti.id)):
        _store(context, replace(record, task_instance_id=str(ti.id), is_told=True), ti.task.log)
    return end.result


def _read_result(operator: Any, context: Context, pod: ObservedPod, outcome: Outcome) -> Any:
    """Read the result; of a program that failed, as the stock operator does, if it is there."""
    if not operator.do_xcom_push or outcome.kind is OutcomeKind.DISRUPTED:
        return None
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
        message=outcome.message,
        result=end.result if end.has_succeeded else None,
        max_tries=getattr(ti, "max_tries", None),
        try_number=ti.try_number,
        is_result_lost=end.has_succeeded and is_lost,
    )
    if end.has_succeeded and end.failure is not None and not is_lost:
        return replace(record, kind=OutcomeKind.FAILED.value, message=f"{type(end.failure).__name__}: {end.failure}")
    return record


def _store(context: Context, record: EndRecord, log: Any) -> EndRecord | None:
    """Store the end, without the result if Airflow refuses that; return None if it refuses both."""
    forms = [record] if record.result is None else [record, replace(record, result=None, is_result_lost=True)]
    for form in forms:
        try:
            return write_end_record(context, form)
        except Exception as error:  # the end is told nevertheless
            log.warning("Airflow did not store how the pod ended: %s", error)
    return None

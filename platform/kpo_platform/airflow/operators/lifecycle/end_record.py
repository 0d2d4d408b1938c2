"""The end of a task's pod in Airflow's task state store, written before the pod is deleted.

A process that is killed after the deletion, and before Airflow has heard of the result, leaves no pod to look at. The
next process finds the end here, and does not do the work again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from kpo_platform.pod.outcome import OutcomeKind

if TYPE_CHECKING:
    from airflow.sdk import Context

_KEY = "kpo_platform_end"
_LARGEST_RESULT = 65_536
"""Characters of the JSON of a result that is stored; a larger one would burden Airflow's database."""


@dataclass(frozen=True)
class EndRecord:
    """How a task's pod ended.

    Attributes:
        task_instance_id: the id of the task instance, which is another one in every try.
        uid: the pod's uid.
        kind: the value of an `OutcomeKind`.
        exit_code: the program's exit code; None if it is unknown.
        message: sentences about the end.
        result: the task's result, if it has one.
        max_tries: Airflow's number of tries at that time, which a user's clear changes.
        try_number: the number of the try.
        is_result_lost: whether it has a result that was not read, or that cannot be stored.
        is_told: whether a process has returned a result that cannot be stored, or a stored one in a later try. If the
            task is tried again nevertheless, Airflow or the author has refused the result.
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
    is_told: bool = False

    @property
    def has_succeeded(self) -> bool:
        """Whether the work is done."""
        return self.kind == OutcomeKind.SUCCEEDED.value

    def counts_for(self, ti: Any, *, is_final: bool) -> bool:
        """Tell whether a process takes this end for its own.

        It does so in the same try. In a later one it takes a success, once: the worker was lost before it could tell
        Airflow, since no try follows a success otherwise, except after a user's clear.

        Args:
            ti: the task instance of the process.
            is_final: whether nothing after the pod's end can fail the task, as a ``post_execute`` may do in order to
                get the work done again.
        """
        if str(ti.id) == self.task_instance_id:
            return True
        max_tries = getattr(ti, "max_tries", None)
        is_retry = max_tries is not None and max_tries == self.max_tries and is_later_try(ti, self.try_number)
        return is_retry and is_final and self.has_succeeded and not self.is_told


def is_later_try(ti: Any, try_number: int | None) -> bool:
    """Tell whether a task instance is a later try; False if Airflow has created it again, with the former's store."""
    return try_number is None or bool(ti.try_number > try_number)


def read_end_record(context: Context) -> EndRecord | None:
    """Read how the task's last pod ended; None if no end was stored.

    Raises:
        AirflowRuntimeError: Airflow's API server refused the request.
    """
    store: Any = context.get("task_state_store")
    stored = store.get(_KEY) if store is not None else None
    if not isinstance(stored, Mapping):
        return None
    texts = {key: str(stored.get(key) or "") for key in ("task_instance_id", "uid", "kind", "message")}
    if texts["kind"] not in {kind.value for kind in OutcomeKind}:
        return None
    numbers = {
        key: value for key in ("exit_code", "max_tries", "try_number") if isinstance(value := stored.get(key), int)
    }
    return EndRecord(
        **texts,
        exit_code=numbers.get("exit_code"),
        result=stored.get("result"),
        max_tries=numbers.get("max_tries"),
        try_number=numbers.get("try_number"),
        is_result_lost=stored.get("is_result_lost") is True,
        is_told=stored.get("is_told") is True,
    )


def write_end_record(context: Context, record: EndRecord) -> EndRecord:
    """Store the end; nothing happens in ``dag.test``, which has no store.

    Returns:
        What is stored: a result that is large, or that JSON does not know, only as lost.

    Raises:
        Exception: Airflow did not store it.
    """
    store: Any = context.get("task_state_store")
    if store is None or not record.uid:
        return record
    if not _is_storable(record.result):
        record = replace(record, result=None, is_result_lost=True)
    store.set(_KEY, asdict(record))
    return record


def withdraw_success(context: Context, message: str) -> None:
    """Turn a stored success into a failure, so that the next try does the work again; an error is logged.

    Args:
        context: the task's context.
        message: why the success does not count.
    """
    try:
        record = read_end_record(context)
        if record is not None and record.has_succeeded:
            failed = OutcomeKind.FAILED.value
            write_end_record(context, replace(record, kind=failed, message=message, result=None, is_result_lost=False))
    except Exception as error:
        context["ti"].task.log.warning("Airflow did not store that the pod's success does not count: %s", error)


def _is_storable(result: Any) -> bool:
    try:
        # Airflow would store NaN and the infinities as null.
        return len(json.dumps(result, allow_nan=False)) <= _LARGEST_RESULT
    except ValueError:
        return False

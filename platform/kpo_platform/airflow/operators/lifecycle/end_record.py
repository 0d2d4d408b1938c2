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
        is_result_lost: whether it has a result that was too large to be stored.
    """

    task_instance_id: str
    uid: str
    kind: str
    exit_code: int | None = None
    message: str = ""
    result: Any = None
    max_tries: int | None = None
    is_result_lost: bool = False

    def counts_for(self, task_instance_id: str, max_tries: int | None, *, is_final: bool) -> bool:
        """Tell whether a process takes this end for its own.

        It does so in the same try. In a later one it takes a success: the worker was lost before it could tell
        Airflow, since no try follows a success otherwise, except after a user's clear.

        Args:
            task_instance_id: the task instance of the process.
            max_tries: Airflow's number of tries now.
            is_final: whether nothing after the pod's end can fail the task, as a ``post_execute`` may do in order to
                get the work done again.
        """
        if task_instance_id == self.task_instance_id:
            return True
        is_retry = max_tries is not None and max_tries == self.max_tries
        return is_retry and is_final and self.kind == OutcomeKind.SUCCEEDED.value


def read_end_record(context: Context) -> EndRecord | None:
    """Read how the task's last pod ended; None if none was stored.

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
    numbers = {key: value for key in ("exit_code", "max_tries") if isinstance(value := stored.get(key), int)}
    return EndRecord(
        **texts,
        exit_code=numbers.get("exit_code"),
        result=stored.get("result"),
        max_tries=numbers.get("max_tries"),
        is_result_lost=stored.get("is_result_lost") is True,
    )


def write_end_record(context: Context, record: EndRecord) -> None:
    """Store the end, a large result only as lost; nothing happens in ``dag.test``, which has no store."""
    store: Any = context.get("task_state_store")
    if store is None or not record.uid:
        return
    if len(json.dumps(record.result)) > _LARGEST_RESULT:
        record = replace(record, result=None, is_result_lost=True)
    store.set(_KEY, asdict(record))

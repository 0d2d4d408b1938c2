"""A try of a task that no Airflow has started, with the context that Jinja and the operator see in a real one."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.api.datamodels._generated import DagRun, DagRunState, DagRunType, TIRunContext
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from kpo_platform.errors import TaskError

if TYPE_CHECKING:
    from airflow.sdk import Context

_RESULT = "return_value"  # Airflow's key for what a task returned


@dataclass(frozen=True)
class Attempt:
    """What a person says of the run in which a task is tried.

    ``map_index`` is -1 for a task that is not mapped; ``params`` are the run's, over the DAG's own; ``results`` are
    those of other tasks, by their ids.
    """

    run_id: str
    logical_date: datetime
    map_index: int = -1
    params: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)


class LocalTaskInstance(RuntimeTaskInstance):
    """A task instance without a supervisor: it knows the results that it was given and keeps what is pushed."""

    results: dict[str, Any]
    pushed: dict[str, Any]

    def xcom_pull(self, task_ids: str | Iterable[str] | None = None, *_: Any, key: str = _RESULT, **__: Any) -> Any:
        """The result of a task, one of its values under another key, or the results of several.

        Raises:
            TaskError: the result was not given.
        """
        if task_ids is not None and not isinstance(task_ids, str):
            return [self.xcom_pull(each, key=key) for each in task_ids]
        name = task_ids or self.task_id
        if name not in self.results:
            raise TaskError(
                f"Task {self.task_id!r} uses the result of task {name!r}, which only a run in Airflow knows: "
                f"give one with --xcom {name}=JSON."
            )
        result = self.results[name]
        return result if key == _RESULT else (result or {}).get(key)

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep what the operator pushes."""
        self.pushed[key] = value

    @staticmethod
    def get_task_states(*_: Any, **__: Any) -> dict[str, Any]:
        """No task has a state here; so one that is stopped was stopped by its user."""
        return {}


def begin(task: Any, attempt: Attempt) -> Context:
    """The context of a try, as Airflow's task runner makes it.

    Raises:
        TaskError: the map index does not go with the task.
    """
    if task.is_mapped and attempt.map_index < 0:
        raise TaskError(f"Task {task.task_id!r} is mapped: say which of its pods by --map-index, counted from 0.")
    if not task.is_mapped and attempt.map_index >= 0:
        raise TaskError(f"Task {task.task_id!r} is not mapped: leave out --map-index.")
    if task.is_mapped and (count := _count(task.expand_input.value)) is not None and attempt.map_index >= count:
        raise TaskError(f"Task {task.task_id!r} has {count} pods: --map-index is at most {count - 1}.")
    instance = LocalTaskInstance.model_construct(
        id=uuid.uuid4(),
        dag_id=task.dag_id,
        run_id=attempt.run_id,
        task_id=task.task_id,
        task=task,
        try_number=1,
        map_index=attempt.map_index,
        max_tries=0,
        start_date=attempt.logical_date,
        results=attempt.results,
        pushed={},
        _ti_context_from_server=TIRunContext(dag_run=_run(attempt, task.dag_id), max_tries=0),
    )
    context: Context = instance.get_template_context()
    context.pop("task_state_store", None)  # it lives in Airflow's database
    return context


def _count(expanded: Any) -> int | None:
    """How many pods an expansion gives, where the DAG's file says it."""
    if not isinstance(expanded, Mapping):
        return len(expanded) if isinstance(expanded, Sized) else None
    if not all(isinstance(each, Sized) for each in expanded.values()):
        return None
    return math.prod(len(each) for each in expanded.values())


def _run(attempt: Attempt, dag_id: str) -> DagRun:
    when = attempt.logical_date
    return DagRun(
        dag_id=dag_id,
        run_id=attempt.run_id,
        logical_date=when,
        data_interval_start=when,
        data_interval_end=when,
        run_after=when,
        start_date=when,
        end_date=None,
        run_type=DagRunType.MANUAL,
        state=DagRunState.RUNNING,
        conf=attempt.params,
        consumed_asset_events=[],
        partition_key=None,
    )

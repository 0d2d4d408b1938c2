"""A task instance without Airflow's services, with the same context as in a real run."""

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

_RESULT = "return_value"  # Airflow's XCom key for a task's result


@dataclass(frozen=True)
class DagRunSettings:
    """The settings of the DAG run in which a task is rendered or run.

    Attributes:
        run_id: the run's id.
        logical_date: the run's logical date.
        map_index: the index of a mapped task's pod; -1 for a task that is not mapped.
        params: the run's params, which override those of the DAG.
        results: results of other tasks by task id.
    """

    run_id: str
    logical_date: datetime
    map_index: int = -1
    params: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)


class LocalTaskInstance(RuntimeTaskInstance):
    """A task instance without a supervisor; its XComs are in memory."""

    results: dict[str, Any]
    pushed: dict[str, Any]

    def xcom_pull(self, task_ids: str | Iterable[str] | None = None, *_: Any, key: str = _RESULT, **__: Any) -> Any:
        """Return the result of a task, one of its values under another key, or the results of several tasks.

        Raises:
            TaskError: the result was not given.
        """
        if task_ids is not None and not isinstance(task_ids, str):
            return [self.xcom_pull(task_id, key=key) for task_id in task_ids]
        task_id = task_ids or self.task_id
        if task_id not in self.results:
            raise TaskError(
                f"Task {self.task_id!r} needs the result of task {task_id!r}. Pass it with --xcom {task_id}=JSON."
            )
        result = self.results[task_id]
        return result if key == _RESULT else (result or {}).get(key)

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep a value that the operator pushes."""
        self.pushed[key] = value

    @staticmethod
    def get_task_states(*_: Any, **__: Any) -> dict[str, Any]:
        """Return no states, so the operator treats a stop as one by the user."""
        return {}


def create_context(task: Any, run_settings: DagRunSettings) -> Context:
    """Create the context of a task instance, as Airflow's task runner does.

    Raises:
        TaskError: the map index is missing, out of range, or given for a task that is not mapped.
    """
    _check_map_index(task, run_settings.map_index)
    instance = LocalTaskInstance.model_construct(
        id=uuid.uuid4(),
        dag_id=task.dag_id,
        run_id=run_settings.run_id,
        task_id=task.task_id,
        task=task,
        try_number=1,
        map_index=run_settings.map_index,
        max_tries=0,
        start_date=run_settings.logical_date,
        results=run_settings.results,
        pushed={},
        _ti_context_from_server=TIRunContext(dag_run=_build_dag_run(run_settings, task.dag_id), max_tries=0),
    )
    context: Context = instance.get_template_context()
    context.pop("task_state_store", None)  # it needs Airflow's database
    return context


def _check_map_index(task: Any, map_index: int) -> None:
    if task.is_mapped and map_index < 0:
        raise TaskError(f"Task {task.task_id!r} is mapped. Choose one of its pods with --map-index, counted from 0.")
    if not task.is_mapped and map_index >= 0:
        raise TaskError(f"Task {task.task_id!r} is not mapped. Leave out --map-index.")
    if task.is_mapped and (count := _count_pods(task.expand_input.value)) is not None and map_index >= count:
        raise TaskError(f"Task {task.task_id!r} has {count} pods. Pass a --map-index of at most {count - 1}.")


def _count_pods(expand_input: Any) -> int | None:
    """Count the pods of a mapped task; None if the number is known only in a run."""
    if not isinstance(expand_input, Mapping):
        return len(expand_input) if isinstance(expand_input, Sized) else None
    if not all(isinstance(values, Sized) for values in expand_input.values()):
        return None
    return math.prod(len(values) for values in expand_input.values())


def _build_dag_run(run_settings: DagRunSettings, dag_id: str) -> DagRun:
    date = run_settings.logical_date
    return DagRun(
        dag_id=dag_id,
        run_id=run_settings.run_id,
        logical_date=date,
        data_interval_start=date,
        data_interval_end=date,
        run_after=date,
        start_date=date,
        end_date=None,
        run_type=DagRunType.MANUAL,
        state=DagRunState.RUNNING,
        conf=run_settings.params,
        consumed_asset_events=[],
        partition_key=None,
    )

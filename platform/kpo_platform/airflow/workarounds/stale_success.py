"""Ignore the success that an executor reports of a deferral when the task has resumed already.

A worker that defers a task ends with success, and its executor says so a moment later. If the trigger fires before the
scheduler has read this, as for a pod that ends at once, Airflow takes the task for one that was killed, and fails it
without a line in its log (apache/airflow#67287 for a queued task, #72716 for a running one; #66374, for a scheduled
one, is fixed in 3.3).
"""

from __future__ import annotations

import logging
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.executors.base_executor import BaseExecutor
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

_MARK = "kpo_platform_ignores_stale_successes"


def ignore_stale_successes(module: Any) -> None:
    """Let the scheduler drop stale successes before it reads what an executor reports.

    Args:
        module: ``airflow.jobs.scheduler_job_runner``.

    Raises:
        AttributeError: its ``SchedulerJobRunner`` has no method ``process_executor_events``.
    """
    runner = module.SchedulerJobRunner
    process = runner.process_executor_events.__func__
    if hasattr(process, _MARK):
        return

    @wraps(process)
    def process_current_events(
        cls: Any, executor: BaseExecutor, job_id: int | None, scheduler_dag_bag: Any, session: Session
    ) -> int:
        drop_stale_successes(executor, session)
        count: int = process(cls, executor, job_id, scheduler_dag_bag, session)
        return count

    setattr(process_current_events, _MARK, True)
    runner.process_executor_events = classmethod(process_current_events)


def drop_stale_successes(executor: BaseExecutor, session: Session) -> None:
    """Remove the successes of tasks that wait to resume or have resumed, from what the executor reports.

    A resumed task keeps its next method until it ends (models/taskinstance.py, `clear_next_method_args`), so its
    success cannot be reported while it is queued or running. A resumed task whose process ended without reporting it
    is found by its missing heartbeat, as Airflow finds it today.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.taskinstancekey import TaskInstanceKey
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    events = executor.event_buffer
    successes = [
        key
        for key, (state, _) in events.items()
        if isinstance(key, TaskInstanceKey) and state == TaskInstanceState.SUCCESS
    ]
    tasks = TaskInstance.filter_for_tis(successes)
    if tasks is None:
        return
    # Columns and no objects: the scheduler reads the objects itself, under a lock.
    resumed = select(
        TaskInstance.dag_id, TaskInstance.task_id, TaskInstance.run_id, TaskInstance.try_number, TaskInstance.map_index
    ).where(
        tasks,
        TaskInstance.next_method.is_not(None),
        TaskInstance.state.in_([TaskInstanceState.QUEUED, TaskInstanceState.RUNNING]),
    )
    for row in session.execute(resumed):
        key = TaskInstanceKey(*row)
        if events.pop(key, None):
            log.info("The success that the executor reports of %s is that of its deferral; it has resumed since.", key)

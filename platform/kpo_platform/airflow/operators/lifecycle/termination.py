"""Distinguish a user's stop of a task, which changes its state before SIGTERM, from a shutdown of its worker.

The stock operator reacts to both alike: it deletes the pod and reports success (apache/airflow#73006).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Context

_ACTIVE_STATES = frozenset({"deferred", "queued", "running", "scheduled", "up_for_reschedule", "up_for_retry"})
"""States in which this try, or the next one, still needs the pod."""


def is_task_active(context: Context) -> bool:
    """Tell whether Airflow still needs the task's work; True if Airflow does not answer, as in a shutdown."""
    ti = context["ti"]
    name = f"{ti.task_id}_{ti.map_index}" if ti.map_index is not None and ti.map_index >= 0 else ti.task_id
    try:
        states = type(ti).get_task_states(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
        )
    except Exception as error:  # any error: a restarted task finds a kept pod, but a deleted pod is lost
        ti.task.log.warning("Cannot read the task's state from Airflow: %s. Its pod is kept.", error)
        return True
    return states.get(ti.run_id, {}).get(name) in _ACTIVE_STATES

"""Distinguish a user's stop of a task from a shutdown of its worker.

Airflow sends SIGTERM for both, and the stock operator reacts to both alike: it deletes the pod and reports success
(apache/airflow#73006). A user's stop changes the task's state before the signal, a shutdown does not.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from airflow.sdk.execution_time import task_runner

if TYPE_CHECKING:
    from airflow.sdk import Context

_ACTIVE_STATES = frozenset({"deferred", "queued", "running", "scheduled", "up_for_reschedule", "up_for_retry"})
"""States in which this try, or the next one, still needs the pod."""

_RESEND_DELAY_S = 0.2


class TaskStopped(BaseException):
    """SIGTERM reached the task. Derives from BaseException so ``except Exception`` does not catch it."""


def interrupt_task(is_creating_pod: bool) -> None:
    """Interrupt the task by an exception, or resend SIGTERM shortly if it cannot be interrupted now.

    The task cannot be interrupted during a request to Airflow: the next request would read the pending response as its
    own.

    Args:
        is_creating_pod: whether the request that creates the pod is pending; an interruption would lose the pod's name.

    Raises:
        TaskStopped: the task can be interrupted.
    """
    comms = getattr(task_runner, "SUPERVISOR_COMMS", None)
    comms_lock = getattr(comms, "_thread_lock", None)
    if not is_creating_pod and (comms_lock is None or not comms_lock.locked()):
        raise TaskStopped
    threading.Timer(_RESEND_DELAY_S, os.kill, (os.getpid(), signal.SIGTERM)).start()


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

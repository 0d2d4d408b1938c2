"""Who ends a task's process: its user, or the platform that shuts a worker down.

Airflow tells both by the same SIGTERM, and the stock operator deletes the pod for both, and reports success
(apache/airflow#73006). A user's stop changes the task's state first, a shutdown does not; so the state decides.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from airflow.sdk.execution_time import task_runner

if TYPE_CHECKING:
    from airflow.sdk import Context

_GOES_ON = frozenset({"deferred", "queued", "running", "scheduled", "up_for_reschedule", "up_for_retry"})
"""States in which this try, or the next one, still wants the pod."""

_AGAIN_AFTER_S = 0.2


class TaskStopped(BaseException):
    """SIGTERM reached the task; no Exception, so that nobody on the way out takes it for a failure of his own."""


def interrupt_task(creates: bool) -> None:
    """Leave whatever the task waits in.

    Args:
        creates: whether the cluster is just being asked for the pod, of which nobody would then know.

    Raises:
        TaskStopped: always, but not while the pod is created, and not in the middle of a talk with Airflow, whose
            answer would then be taken for that to the next question: the signal is sent again after it.
    """
    comms = getattr(task_runner, "SUPERVISOR_COMMS", None)
    talking = getattr(comms, "_thread_lock", None)
    if not creates and (talking is None or not talking.locked()):
        raise TaskStopped
    threading.Timer(_AGAIN_AFTER_S, os.kill, (os.getpid(), signal.SIGTERM)).start()


def is_task_active(context: Context) -> bool:
    """Whether Airflow still wants the task's work; also when it does not say, for then it is Airflow that goes."""
    ti = context["ti"]
    name = f"{ti.task_id}_{ti.map_index}" if ti.map_index is not None and ti.map_index >= 0 else ti.task_id
    try:
        states = type(ti).get_task_states(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
        )
    except Exception as error:  # whatever it is: a pod too many is found again, one too few is not
        ti.task.log.warning("Airflow does not say whether the task is still wanted, so its pod stays: %s", error)
        return True
    return states.get(ti.run_id, {}).get(name) in _GOES_ON

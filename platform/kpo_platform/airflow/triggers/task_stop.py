"""Whether a triggerer that loses a trigger ends the pod: its user has stopped the task, or another triggerer has it.

Airflow 3.3 calls ``on_kill`` for both (apache/airflow#73454), and tells a trigger only the state of its task, not the
try (GetTaskStates). What the states say, by Airflow's source:

- A user's clear sets no state (models/taskinstance.py, `clear_task_instances`), and the trigger is removed once the
  scheduler has set one (models/trigger.py, `clean_unused`, where SQL does not count NULL as another state).
- An event sets ``scheduled`` (models/trigger.py, `handle_event_submit`), too.
- A scheduler takes the state of a queued task away if the scheduler that queued it was lost
  (jobs/scheduler_job_runner.py, `adopt_or_reset_orphaned_tasks`).

So they look the same. A triggerer therefore notes in an XCom that it fires an event about a pod that may run: the
worker that gets the event needs that pod. The id of a trigger is that of one deferral, and ids only grow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.configuration import conf
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetTaskStates, GetXCom
from kubernetes.client import ApiException

from kpo_platform.airflow.api_errors import is_doubtful, is_transient
from kpo_platform.airflow.triggers.over_tasks import OVER
from kpo_platform.pod.json_fields import read_integer
from kpo_platform.pod.merge import Json
from kpo_platform.pod.outcome import decide_outcome
from kpo_platform.pod.state import parse_pod_state

Result = TypeVar("Result")

FIRED = "kpo_platform_fired"
"""The XCom with the id of the last trigger that has fired an event about a pod that may run."""

GONE = "gone"
"""Airflow answers, and does not have the task: its DAG or DAG run was deleted."""

STOPPED = OVER | {GONE}
"""States of a task that is over, or does not exist any more."""

_BEGINS = frozenset({None, "scheduled", "queued", "running"})
"""States of a task that was cleared, and of one whose event another triggerer has fired."""

_HANDLED_LABEL = "already_checked"
"""The stock operator's label of a pod that is kept for its author."""

_PAUSE_S = 2.0
STATE_S = 5.0
"""How long the question for the task's state is repeated."""


def _read_kill_s() -> float:
    """Return how long a stop may take: less than Airflow waits for it, so that the log names a pod that is left."""
    return max(1.0, float(conf.getint("triggerer", "on_kill_timeout", fallback=30)) - 5.0)


KILL_S = _read_kill_s()


@dataclass(frozen=True)
class DeferredTask:
    """A task as its trigger knows it: by its task instance, and the id of the trigger itself."""

    instance: Any
    trigger_id: int | None

    async def read_state(self) -> str | None:
        """Ask Airflow for the task's state; `GONE` if it does not have the task.

        Raises:
            Exception: there is no answer.
        """
        ti = self.instance
        index = -1 if ti.map_index is None else ti.map_index
        # Not by RuntimeTaskInstance.get_task_states in a thread: a cancellation meanwhile would lose its message, by
        # which Airflow tells a stop from a shutdown (asgiref's sync_to_async raises a CancelledError of its own).
        question = GetTaskStates(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=index)
        answer: Any = await task_runner.SUPERVISOR_COMMS.asend(question)
        of_run = answer.task_states.get(ti.run_id) or {}
        state: str | None = of_run.get(ti.task_id if index < 0 else f"{ti.task_id}_{index}", GONE)
        return state

    async def note_event(self) -> None:
        """Store that this trigger, or that of the same id in another triggerer, fires an event.

        Raises:
            Exception: Airflow does not store it.
        """
        if self.instance is not None and self.trigger_id is not None:  # not in ``dag.test``
            await BaseXCom.aset(FIRED, self.trigger_id, **self._ids)

    async def is_stopped(self, state: str | None, pod: Json, container: str) -> bool:
        """Tell whether a user has ended, cleared or removed the task in this state, so that its pod is to be deleted.

        Raises:
            Exception: Airflow does not tell whether an event was fired.
        """
        known = parse_pod_state(pod)
        if known.labels.get(_HANDLED_LABEL) == "True" or state not in STOPPED | _BEGINS:
            return False
        if state in STOPPED:
            return True
        return decide_outcome(known, container=container) is None and not await self._has_fired()

    async def _has_fired(self) -> bool:
        """Tell whether another triggerer has fired an event of this deferral or a later one."""
        # Not by BaseXCom, which creates the object that the XCom names: any task of the run's team can store this one.
        answer: Any = await task_runner.SUPERVISOR_COMMS.asend(GetXCom(key=FIRED, **self._ids))
        noted = read_integer(answer.value)
        return self.trigger_id is None or (noted is not None and noted >= self.trigger_id)

    @property
    def _ids(self) -> Json:
        return {name: getattr(self.instance, name) for name in ("dag_id", "task_id", "run_id", "map_index")}


async def repeat(act: Callable[[], Awaitable[Result]], longest_s: float) -> Result:
    """Repeat what an outage may let fail, at most for these seconds.

    Raises:
        TimeoutError: there is no answer by then.
        Exception: the last failure.
    """
    ends_at, last = time.monotonic() + longest_s, None
    try:
        async with asyncio.timeout(longest_s):
            while True:
                try:
                    return await act()
                except Exception as error:
                    last = error
                    if not _may_pass(error) or time.monotonic() + _PAUSE_S >= ends_at:
                        raise
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        raise last or TimeoutError from None


def _may_pass(error: Exception) -> bool:
    """Tell whether a repetition may help. Only the Kubernetes API says for certain that it does not."""
    return not isinstance(error, ApiException) or is_transient(error) or is_doubtful(error)

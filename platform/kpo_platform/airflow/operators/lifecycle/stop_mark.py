"""A mark of a stopped task's pod, for a process that is killed before it has deleted the pod.

The mark is an XCom. A clear of a running task gives the task instance another id at once. Airflow then refuses what the
old one writes to the task state store, but not its XComs (3.3; models/taskinstance.py, `clear_task_instances`;
api_fastapi/execution_api/routes/task_state_store.py, `_get_task_scope_for_ti`). The next try deletes them, and is given
their keys for that (sdk/execution_time/task_runner.py, `run`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from kpo_platform.airflow.operators.lifecycle.start_record import StartRecord

if TYPE_CHECKING:
    from airflow.sdk import Context

_PREFIX = "kpo_platform_stopped_"
_TIMEOUT_S = 1.0
"""The supervisor kills a stopped process after five seconds."""


def mark_stopped(context: Context, record: StartRecord) -> None:
    """Mark the recorded pod as stopped; a failure is logged, since the pod is deleted next."""
    problems = [f"Airflow has not answered within {_TIMEOUT_S:g} s"]

    def push() -> None:
        try:
            context["ti"].xcom_push(key=_build_key(record), value=True)
            problems.clear()
        except Exception as error:
            problems[:] = [str(error)]

    thread = threading.Thread(target=push, daemon=True)
    thread.start()
    thread.join(_TIMEOUT_S)
    for problem in problems:
        context["task"].log.warning("Cannot mark pod %s as stopped: %s", record.name, problem)


def is_marked_stopped(context: Context, record: StartRecord) -> bool:
    """Tell whether an earlier try has marked the recorded pod; only the first process of a try can see it."""
    start_context = getattr(context["ti"], "_ti_context_from_server", None)
    return _build_key(record) in (getattr(start_context, "xcom_keys_to_clear", None) or ())


def _build_key(record: StartRecord) -> str:
    return f"{_PREFIX}{record.start or record.uid or record.name}"

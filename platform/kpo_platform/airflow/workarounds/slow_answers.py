"""Let the triggerer's main process answer all questions that wait before it asks its database again.

In a turn of its loop it reads one request of its triggers, and 4,096 bytes of their logs (3.3, jobs/
triggerer_job_runner.py, ``run_once``; sdk/execution_time/supervisor.py, ``length_prefixed_frame_reader`` and
``make_buffered_socket_reader``), and asks for all its triggers. With 5,000 of them a turn took some 40 ms, so it
answered 25 requests per second, with more than half of the CPU idle.
"""

from __future__ import annotations

import time
from functools import wraps
from typing import Any

_MARK = "kpo_platform_answers_all"

_LONGEST_S = 0.5
"""How long a turn may last for questions: its events and its heartbeat come after them."""


def answer_all_requests(module: Any) -> None:
    """Let the main process read all that its process of the triggers has sent, in each turn of its loop.

    Args:
        module: ``airflow.jobs.triggerer_job_runner``.

    Raises:
        AttributeError: its ``TriggerRunnerSupervisor`` has no method ``_service_subprocess``.
    """
    supervisor_class = module.TriggerRunnerSupervisor
    serve_some = supervisor_class._service_subprocess
    if hasattr(serve_some, _MARK):
        return

    @wraps(serve_some)
    def serve_all(supervisor: Any, max_wait_time: float, *args: Any, **kwargs: Any) -> Any:
        exit_code = serve_some(supervisor, max_wait_time, *args, **kwargs)
        if args or kwargs:  # waits for the end of the process
            return exit_code
        until = time.monotonic() + _LONGEST_S
        while exit_code is None and time.monotonic() < until and _has_waiting_data(supervisor.selector):
            exit_code = serve_some(supervisor, 0)
        return exit_code

    setattr(serve_all, _MARK, True)
    supervisor_class._service_subprocess = serve_all


def _has_waiting_data(selector: Any) -> bool:
    return bool(selector.get_map()) and bool(selector.select(0))

"""Let a worker see at once that the process of a task has ended.

The worker waits for the sockets of the process. At the end of the process they are closed a moment before it can be
waited for, so the worker often finds it still running, has no socket left to wait for, and looks again only after
``min_heartbeat_interval``, 5 s by default (3.3, sdk/execution_time/supervisor.py, ``_monitor_subprocess``). Until then
the slot is taken, and a failed task counts as running.
"""

from __future__ import annotations

import io
import os
import selectors
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any

_MARK = "kpo_platform_sees_exit"


def see_exit_at_once(module: Any) -> None:
    """Let the worker's wait for the sockets of a task's process also end with the process.

    Args:
        module: ``airflow.sdk.execution_time.supervisor``.

    Raises:
        AttributeError: its ``ActivitySubprocess`` has no method ``_monitor_subprocess``.
    """
    supervisor_class = module.ActivitySubprocess
    monitor = supervisor_class._monitor_subprocess
    if hasattr(monitor, _MARK):
        return

    @wraps(monitor)
    def monitor_until_exit(supervisor: Any) -> None:
        with _wake_at_exit(supervisor.selector, supervisor.pid):
            monitor(supervisor)

    setattr(monitor_until_exit, _MARK, True)
    supervisor_class._monitor_subprocess = monitor_until_exit


@contextmanager
def _wake_at_exit(selector: selectors.BaseSelector, pid: int) -> Iterator[None]:
    """End the waits of a selector when a process ends; if the kernel refuses that, the waits stay Airflow's."""
    try:
        process = io.FileIO(os.pidfd_open(pid))
    except OSError:
        yield
        return
    with process:
        # Airflow calls the first function when the process has ended, and, because that returns False, the second one.
        selector.register(process, selectors.EVENT_READ, (lambda _: False, selector.unregister))
        try:
            yield
        finally:
            with suppress(KeyError, ValueError):  # it has ended
                selector.unregister(process)

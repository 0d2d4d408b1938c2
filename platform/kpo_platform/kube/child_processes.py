"""Find and kill child processes by a variable in their environment."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def kill_processes(variable: str) -> int:
    """Send SIGKILL to every process of this user that has a variable in its environment.

    Without /proc (macOS) no process is found, and the processes end by themselves.

    Args:
        variable: the variable as ``NAME=value``; the value is unique to the processes to kill.

    Returns:
        The number of processes found.
    """
    process_ids = [
        int(file.parent.name) for file in Path("/proc").glob("[0-9]*/environ") if _has_variable(file, variable)
    ]
    for process_id in process_ids:
        with suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)
    return len(process_ids)


def _has_variable(environment_file: Path, variable: str) -> bool:
    try:
        return variable.encode() in environment_file.read_bytes().split(b"\0")
    except OSError:
        return False  # the process has ended, or belongs to another user

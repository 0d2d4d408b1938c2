"""The socket by which the process of the triggers sends lines of logs to the triggerer's main process.

The main process reads 4,096 bytes of it in each turn of its loop, which also stores events (3.3, supervisor.py,
``make_buffered_socket_reader``). A full socket blocks the event loop of all triggers, and lines that are still in it
when a trigger is reported as finished, over another socket, do not reach the task's log.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import struct
import termios
import time

import structlog

_POLL_S = 0.02

_LONGEST_S = 30.0
"""After so many seconds without contact Airflow takes the triggers from a triggerer (3.3)."""


async def wait_until_read() -> None:
    """Wait until the main process has read all lines that were sent; at most 30 seconds."""
    until = time.monotonic() + _LONGEST_S
    while _has_unread_lines() and time.monotonic() < until:
        await asyncio.sleep(_POLL_S)


def _has_unread_lines() -> bool:
    """Tell whether the other end of the socket has not read all; False if the logs go elsewhere, as in ``dag.test``."""
    output = getattr(structlog.get_config()["logger_factory"], "io", None)
    try:
        descriptor = output.fileno()  # type: ignore[union-attr]
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return False
        unread = fcntl.ioctl(descriptor, termios.TIOCOUTQ, struct.pack("i", 0))
    except (AttributeError, OSError, ValueError):  # no file, a closed one, or no such question on this system
        return False
    (count,) = struct.unpack("i", unread)
    return bool(count)

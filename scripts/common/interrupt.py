"""Forwarding of Ctrl-C and SIGTERM to running commands.

Commands run in sessions of their own, so that their children can be terminated with them. The terminal's Ctrl-C does
not reach other sessions, so it is forwarded here, for the commands of all threads.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_sessions: set[int] = set()


@contextmanager
def forward_interrupts(session: int) -> Iterator[None]:
    """Terminate the processes of a session when this process is interrupted during the block.

    Args:
        session: process id of the session leader.
    """
    _sessions.add(session)
    try:
        yield
    finally:
        _sessions.discard(session)


def handle_interrupts() -> None:
    """Make Ctrl-C and SIGTERM terminate running commands and raise KeyboardInterrupt in the main thread."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for session in list(_sessions):
        with suppress(ProcessLookupError):
            os.killpg(session, signal.SIGTERM)
    raise KeyboardInterrupt

"""What Ctrl-C has to end besides this program: the commands it runs.

They run in sessions of their own, so that their children can be ended with them; therefore the terminal's Ctrl-C does
not reach them. It is passed on from here, whichever thread started them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_sessions: set[int] = set()


@contextmanager
def ended_by_interrupt(session: int) -> Iterator[None]:
    """While the block runs, an interrupt ends the processes of a session, too.

    Args:
        session: the id of the process that leads it.
    """
    _sessions.add(session)
    try:
        yield
    finally:
        _sessions.discard(session)


def take_interrupts() -> None:
    """From now on Ctrl-C and SIGTERM end the running commands and raise KeyboardInterrupt in the main thread."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for session in list(_sessions):
        with suppress(ProcessLookupError):
            os.killpg(session, signal.SIGTERM)
    raise KeyboardInterrupt

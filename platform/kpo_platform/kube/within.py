"""A deadline for what has none of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

_Made = TypeVar("_Made")


def within(seconds: float, work: Callable[[], _Made]) -> _Made:
    """Do something in a thread, and wait for it no longer than that; what is late goes on unheard.

    Args:
        seconds: how long it may take.
        work: what is to be done.

    Raises:
        TimeoutError: it took longer.
        Exception: whatever the work raises.
    """
    outcome: queue.Queue[tuple[_Made] | Exception] = queue.Queue(1)

    def run() -> None:
        try:
            outcome.put((work(),))
        except Exception as error:
            outcome.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        made = outcome.get(timeout=min(seconds, threading.TIMEOUT_MAX))
    except queue.Empty:
        raise TimeoutError("timed out") from None
    if isinstance(made, Exception):
        raise made
    return made[0]

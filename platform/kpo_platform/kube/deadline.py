"""How long a command may take."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar


class Deadline:
    """A point in time that moves only while a person thinks.

    Args:
        seconds: how far away it is.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left, never less than zero."""
        return max(0.0, self._end - time.monotonic())

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time spent inside does not count."""
        left = self.left()
        try:
            yield
        finally:
            self._end = time.monotonic() + left


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

"""Deadlines of commands, and timeouts for functions without one."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar


class Deadline:
    """A deadline that can be paused while a prompt waits for the user.

    Args:
        seconds: time until the deadline.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining_seconds(self) -> float:
        """Seconds until the deadline; zero once it has passed."""
        return max(0.0, self._end - time.monotonic())

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Pause the deadline during the context."""
        remaining_seconds = self.remaining_seconds()
        try:
            yield
        finally:
            self._end = time.monotonic() + remaining_seconds


_Result = TypeVar("_Result")


def run_with_timeout(seconds: float, function: Callable[[], _Result]) -> _Result:
    """Run a function in a daemon thread with a timeout; a late result is discarded.

    Args:
        seconds: the timeout.
        function: the function to run.

    Raises:
        TimeoutError: the function did not return in time.
        Exception: whatever the function raises.
    """
    return start_in_thread(function)(seconds)


def start_in_thread(function: Callable[[], _Result]) -> Callable[[float], _Result]:
    """Start a function in a daemon thread.

    Args:
        function: the function to run.

    Returns:
        A function that waits for the result. Its argument is the timeout in seconds. It raises TimeoutError, or
        whatever the started function raises.
    """
    outcome: queue.Queue[tuple[_Result] | Exception] = queue.Queue(1)

    def run() -> None:
        try:
            outcome.put((function(),))
        except Exception as error:
            outcome.put(error)

    def wait(seconds: float) -> _Result:
        try:
            result = outcome.get(timeout=min(seconds, threading.TIMEOUT_MAX))
        except queue.Empty:
            raise TimeoutError("timed out") from None
        if isinstance(result, Exception):
            raise result
        return result[0]

    threading.Thread(target=run, daemon=True).start()
    return wait

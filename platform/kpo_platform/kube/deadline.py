"""How long a command may take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


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

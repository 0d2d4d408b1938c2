"""Wake up the main thread from another one."""

from __future__ import annotations

from queue import Empty, SimpleQueue


class Bell:
    """A `threading.Event` that is cleared by `wait`, in which a signal's handler may raise.

    Python's own event takes locks in Python code, which an exception of a handler may leave in a wrong state.
    """

    def __init__(self) -> None:
        self._rings: SimpleQueue[None] = SimpleQueue()

    @property
    def is_rung(self) -> bool:
        """Whether the next `wait` returns at once."""
        return not self._rings.empty()

    def ring(self) -> None:
        """End the current or the next wait; callable in every thread."""
        self._rings.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait at most for these seconds, and return whether the bell was rung."""
        try:
            self._rings.get(timeout=seconds)
        except Empty:
            return False
        while not self._rings.empty():
            self._rings.get()
        return True

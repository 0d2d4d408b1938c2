"""Notice where a rotation may have taken lines out of a log within one read.

A kubelet that follows a log reads a file to its end and continues with the newest one (k8s.io/cri-client,
pkg/logs/logs.go). If the log was rotated twice meanwhile, it skips the file between without a word. It rotates files of
10 MiB, and looks for them every 10 s (`containerLogMaxSize`, `containerLogMonitorInterval`), so the skipped lines take
that long at least, and the reader is that far behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from kpo_platform.pod.log_lines import SECOND_WIDTH, LogLine

_SHORTEST_S, _LEAST_BYTES = 9.0, 8 * 1024 * 1024


class JumpDetector:
    """Compares how the stamps of lines proceed with how the lines arrive.

    A program that pauses makes the same jump, if its lines are read late. So the next jump counts only after as many
    bytes as a file has.

    Args:
        clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._second, self._stamped, self._arrived, self._bytes = clock, "", 0.0, 0.0, 0

    def is_jump(self, line: LogLine, size: int) -> bool:
        """Take the next new line, of this many bytes, and return whether lines before it may be missing."""
        now, second, jump_s = self._clock(), line.stamp[:SECOND_WIDTH], 0.0
        self._bytes += size
        if second != self._second:
            stamped = datetime.fromisoformat(f"{second}Z").timestamp()
            jump_s = stamped - self._stamped if self._second else 0.0
            self._second, self._stamped = second, stamped
        is_jump = jump_s >= _SHORTEST_S and now - self._arrived < jump_s / 2 and self._bytes >= _LEAST_BYTES
        self._arrived = now
        if is_jump:
            self._bytes = 0
        return is_jump

"""Lines of a container's log, and which of them are new when the log is read again.

The kubelet has no cursor, and the API server truncates ``sinceTime`` to seconds: a log that is read again starts with
lines that were read before. Only the node's stamps are compared; the worker's clock is never asked.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import takewhile

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)(?: |\Z)")
_SECOND = "%Y-%m-%dT%H:%M:%S"
SECOND_WIDTH = 19
_LONGEST_TAIL = 100


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line: its stamp in UTC with nine decimals and without a zone, so that text order is time order."""

    stamp: str
    text: str


@dataclass(frozen=True)
class LogPosition:
    """The last line that was written, for a later process."""

    stamp: str  # as in `LogLine`; may have fewer decimals
    count: int = 0  # of written lines with this stamp; 0 if unknown
    is_boundary: bool = False  # the stamp is no line's: all lines up to its end were written, and no other
    latest: str = ""  # the latest stamp that was written; empty if it is the last line's

    @classmethod
    def at(cls, time: datetime | str | None) -> LogPosition | None:
        """Return the position of the stock trigger's last read, which left out the lines of its own second."""
        if not time:
            return None
        parsed = datetime.fromisoformat(time) if isinstance(time, str) else time
        return cls((parsed.astimezone(UTC) - timedelta(seconds=1)).strftime(_SECOND), is_boundary=True)


class Novelty(Enum):
    """What is known about a line that was read."""

    OLD = "old"
    NEW = "new"
    NEW_AFTER_GAP = "new after a gap"


def parse_line(raw: bytes) -> LogLine | None:
    """Split a line into stamp and text; None if the kubelet did not stamp it.

    Bytes that are not UTF-8 become backslash escapes, as in the stock operator.
    """
    match = _STAMP.match(raw)
    if match is None:
        return None
    second, fraction, zone = (group.decode() for group in match.groups(default=b""))
    if zone != "Z":  # the kubelet stamps in the zone of its node
        second = datetime.fromisoformat(second + zone).astimezone(UTC).strftime(_SECOND)
    return LogLine(f"{second}.{fraction:0<9}", raw[match.end() :].decode("utf-8", errors="backslashreplace"))


class LineSplitter:
    """Splits chunks of bytes into lines."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    @property
    def rest(self) -> bytes:
        """The bytes after the last newline."""
        return b"".join(self._parts)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that this chunk completes, without newlines."""
        *lines, rest = chunk.split(b"\n")
        if lines:
            lines[0] = b"".join([*self._parts, lines[0]])
            self._parts = []
        self._parts.append(rest)
        return lines


class LogCursor:
    """The end of what has been written of a log, over any number of reads.

    The runtime appends, so a read that starts before the last written line repeats the lines up to it in the same
    order. That line is found by stamp and text, and among equal lines by their number. If a later line comes first,
    the file was rotated in between. Stamps need not ascend: a clock may be set back, and stdout and stderr overtake
    each other.

    Attributes:
        position: the position for a later process; None before the first line.
        last: the last line that this cursor has accepted.
        is_found: whether the current read contained the last line of the former ones.
    """

    def __init__(self, position: LogPosition | None = None) -> None:
        self.position, self._start = position, position or LogPosition("")
        self.last: LogLine | None = None
        self.is_found = False
        self._end_stamp = ""
        self._counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._remaining: float = 0
        self._remaining_former = 0

    @property
    def since(self) -> str | None:
        """``sinceTime`` of the next read; None to read from the start.

        It is a second before the last line: stamps of stdout and stderr may be out of order by that much.
        """
        if self.position is None:
            return None
        second = datetime.strptime(self.position.stamp[:SECOND_WIDTH], _SECOND)
        return f"{(second - timedelta(seconds=1)).strftime(_SECOND)}Z"

    @property
    def tail_lines(self) -> int:
        """How many of the log's last lines `is_at_end` compares: those of the last stamp, and one before."""
        return min(self._same_stamp, _LONGEST_TAIL) + 1

    @property
    def _same_stamp(self) -> int:
        return max(self.position.count, 1) if self.position else 1

    @property
    def is_ascending(self) -> bool:
        """Whether the log's end, as it was last compared, is no earlier than the last written line."""
        return self.position is None or self.position.stamp <= self._end_stamp

    def is_at_end(self, tail: bytes, pending: bytes) -> bool:
        """Compare the log's last lines, and return whether they prove that all was read.

        As many lines as were written must have the stamp of the last one: equal lines may have the same stamp.

        Args:
            tail: what was read of the last `tail_lines`.
            pending: what was read after the last written line, without a line end.
        """
        if not tail:
            return not pending and self.position is None
        lines = [parse_line(raw) for raw in tail.removesuffix(b"\n").split(b"\n")]
        last, unended = lines[-1], parse_line(pending)
        if last is None:
            return False
        self._end_stamp = last.stamp
        twins = takewhile(lambda line: line is not None and line.stamp == last.stamp, reversed(lines))
        same_stamp = len(list(twins))
        if unended:
            return same_stamp == 1 and last == unended
        return same_stamp == self._same_stamp <= _LONGEST_TAIL and self.is_last(last)

    def is_last(self, line: LogLine) -> bool:
        """Whether this is the last written line."""
        if self.last is not None:
            return line == self.last
        return self.position is not None and line.stamp.startswith(self.position.stamp)

    def begin_read(self) -> None:
        """Expect the lines of a new read, which starts at `since`."""
        self.is_found = self.position is None or self.position.is_boundary
        self._remaining_former = self._start.count
        if self.last is not None:
            self._remaining = self._counts[self.last.stamp[:SECOND_WIDTH]][hash(self.last)]
        else:
            self._remaining = (self._start.count or math.inf) if self.position else 0

    def accept(self, line: LogLine) -> Novelty:
        """Judge the next line of the current read, and remember it if it is new."""
        if self._remaining_former > 0 and self.last is not None and line.stamp.startswith(self._start.stamp):
            self._remaining_former -= 1  # a former process has written it with the stamp at which this one has begun
            return Novelty.OLD
        if self._remaining > 0:
            if self.is_last(line):
                self.is_found = True
                self._remaining -= 1
                self._remaining_former -= self.last is None
                return Novelty.OLD
            latest = self._get_latest()
            if line.stamp[: len(latest)] <= latest:
                return Novelty.OLD
            self._remaining = self._remaining_former = 0
        novelty = Novelty.NEW if self.is_found else Novelty.NEW_AFTER_GAP
        self.is_found = True
        self._remember(line)
        return novelty

    def _get_latest(self) -> str:
        return (self.position.latest or self.position.stamp) if self.position else ""

    def _remember(self, line: LogLine) -> None:
        self._counts[line.stamp[:SECOND_WIDTH]][hash(line)] += 1
        if len(self._counts) > 2:  # older seconds cannot hold the last line
            del self._counts[next(iter(self._counts))]
        count = self.position.count if self.position and self.position.stamp == line.stamp else 0
        latest = max(self._get_latest(), line.stamp)
        self.last = line
        self.position = LogPosition(line.stamp, count + 1, latest="" if latest == line.stamp else latest)

"""Lines of a container's log, and which of them are new when the log is read again.

The kubelet has no cursor. It filters by ``sinceTime``, which the API server truncates to seconds, so a log that is
read again starts with lines that were read before. Everything here is compared by the node's stamps; the worker's
clock is never asked.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)(?: |\Z)")
_SECOND = "%Y-%m-%dT%H:%M:%S"
_SECOND_WIDTH = 19


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line: its stamp in UTC with nine decimals and without a zone, so that text order is time order."""

    stamp: str
    text: str


@dataclass(frozen=True)
class LogPosition:
    """The last line that was written, for a later process.

    Attributes:
        stamp: as in `LogLine`; may have fewer decimals.
        count: number of written lines with this stamp; 0 if unknown.
        is_boundary: whether the stamp is no line's: all lines up to its end were written, and no other.
        latest: the latest stamp that was written; empty if it is the last line's.
    """

    stamp: str
    count: int = 0
    is_boundary: bool = False
    latest: str = ""

    @classmethod
    def at(cls, time: datetime | str | None) -> LogPosition | None:
        """Return the position of the stock trigger's ``last_log_time``.

        It is the time of the trigger's last read, which left out the lines of its own second.
        """
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
    second, fraction, zone = match.groups()
    text = raw[match.end() :].decode("utf-8", errors="backslashreplace")
    return LogLine(f"{_to_utc(second, zone)}.{(fraction or b'').decode():0<9}", text)


def _to_utc(second: bytes, zone: bytes) -> str:
    """Convert a second to UTC: the kubelet stamps in the zone of its node."""
    if zone == b"Z":
        return second.decode()
    return datetime.fromisoformat((second + zone).decode()).astimezone(UTC).strftime(_SECOND)


class LineSplitter:
    """Splits chunks of bytes into lines.

    Attributes:
        rest: the bytes after the last newline.
    """

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
    """

    def __init__(self, position: LogPosition | None = None) -> None:
        self._start = position
        self._last: LogLine | None = None
        self._last_stamp = position.stamp if position else ""
        self._latest = (position.latest if position else "") or self._last_stamp
        self._same_stamp = position.count if position else 0
        self._counts: dict[str, dict[int, int]] = {}
        self._remaining: float = 0
        self._remaining_former = 0
        self._is_found = False

    @property
    def last(self) -> LogLine | None:
        """The last line that this cursor has accepted."""
        return self._last

    @property
    def position(self) -> LogPosition | None:
        """The position for a later process; None before the first line."""
        if self._last is None:
            return self._start
        latest = self._latest if self._latest != self._last_stamp else ""
        return LogPosition(self._last_stamp, self._same_stamp, latest=latest)

    @property
    def since(self) -> str | None:
        """``sinceTime`` of the next read; None to read from the start.

        It is a second before the last line: stamps of stdout and stderr may be out of order by that much.
        """
        if not self._last_stamp:
            return None
        second = datetime.strptime(self._last_stamp[:_SECOND_WIDTH], _SECOND)
        return f"{(second - timedelta(seconds=1)).strftime(_SECOND)}Z"

    @property
    def is_found(self) -> bool:
        """Whether the current read contained the last line of the former ones."""
        return self._is_found

    @property
    def _is_at_boundary(self) -> bool:
        return self._last is None and self._start is not None and self._start.is_boundary

    def is_last(self, line: LogLine) -> bool:
        """Whether this is the last written line."""
        if self._last is not None:
            return line == self._last
        return bool(self._last_stamp) and line.stamp.startswith(self._last_stamp)

    def begin_read(self) -> None:
        """Expect the lines of a new read, which starts at `since`."""
        self._is_found = not self._last_stamp or self._is_at_boundary
        self._remaining_former = self._start.count if self._start else 0
        if self._last is not None:
            self._remaining = self._counts[self._last.stamp[:_SECOND_WIDTH]][hash(self._last)]
        else:
            self._remaining = (self._start.count or math.inf) if self._start else 0

    def accept(self, line: LogLine) -> Novelty:
        """Judge the next line of the current read, and remember it if it is new."""
        if self._is_of_former_process(line):
            return Novelty.OLD
        if self._remaining > 0:
            if self.is_last(line):
                self._is_found = True
                self._remaining -= 1
                self._remaining_former -= self._last is None
                return Novelty.OLD
            if line.stamp[: len(self._latest)] <= self._latest:
                return Novelty.OLD
            self._remaining = self._remaining_former = 0
        novelty = Novelty.NEW if self._is_found else Novelty.NEW_AFTER_GAP
        self._is_found = True
        self._remember(line)
        return novelty

    def _is_of_former_process(self, line: LogLine) -> bool:
        """Whether a former process has written this line with the stamp at which this one has begun."""
        if self._last is None or self._start is None or self._remaining_former <= 0:
            return False
        is_former = line.stamp.startswith(self._start.stamp)
        self._remaining_former -= is_former
        return is_former

    def _remember(self, line: LogLine) -> None:
        second, key = line.stamp[:_SECOND_WIDTH], hash(line)
        counts = self._counts.get(second)
        if counts is None:
            counts = self._counts[second] = {}
            if len(self._counts) > 2:  # older seconds cannot hold the last line
                del self._counts[next(iter(self._counts))]
        counts[key] = counts.get(key, 0) + 1
        self._same_stamp = self._same_stamp + 1 if line.stamp == self._last_stamp else 1
        self._last, self._last_stamp = line, line.stamp
        self._latest = max(self._latest, line.stamp)

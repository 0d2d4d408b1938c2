"""The check of a task's log with 10^6 numbered lines: doubled and missing lines, marks of gaps, lines per second."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.sync.marks import parse_time

LINES = 1_000_000
BACKLOG = 200_000
"""The lines of a log that is read once its pod has ended."""
BURST = 100_000
"""The program of the longer log pauses after so many lines; rates are measured over so many."""

_NUMBER = re.compile(r"\bnumber (\d{7}) ")
_TIME = re.compile(r'"timestamp":"([^"]+)"')
_MARKS = ("may have a gap between", "may be incomplete")


@dataclass(frozen=True)
class LineReport:
    """What came of the lines.

    Attributes:
        doubled: the number of lines that came again.
        missing: the number of missing lines.
        unmarked: the number of gaps without a line of the log that says so.
        rates: lines per second of each burst, from its first to its last line, by the times in the task's log.
    """

    doubled: int
    missing: int
    unmarked: int
    rates: tuple[int, ...]

    @property
    def rate(self) -> float:
        """The median of the rates; 0 without any."""
        return statistics.median(self.rates) if self.rates else 0.0


@dataclass
class _Reader:
    total: int
    burst: int
    seen: bytearray = field(init=False)
    highest: int = 0
    doubled: int = 0
    is_marked: bool = False
    gaps: list[tuple[int, int, bool]] = field(default_factory=list)
    times: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.seen = bytearray(self.total + 2)

    def read(self, line: str) -> None:
        """Take a line of the log: a notice, or one or more lines of the program."""
        numbers = _NUMBER.findall(line)
        for number in numbers:
            self._count(int(number), line)
        if not numbers and any(mark in line for mark in _MARKS):
            self.is_marked = True

    def close_gap(self, number: int) -> None:
        """Note the numbers that are left out before this one."""
        if number > self.highest + 1:
            self.gaps.append((self.highest + 1, number, self.is_marked))

    def count_unmarked(self) -> int:
        """Count the gaps that no later line has filled and no mark tells of."""
        return sum(not is_marked and 0 in self.seen[first:end] for first, end, is_marked in self.gaps)

    def _count(self, number: int, line: str) -> None:
        if self.seen[number]:
            self.doubled += 1
            return
        self.seen[number] = 1
        if number > self.highest:
            self.close_gap(number)
            self.highest, self.is_marked = number, False
        if number % self.burst in (0, 1) and (match := _TIME.search(line)):
            self.times[number] = parse_time(match[1])


def check_lines(log: Iterable[str], total: int, burst: int = BURST) -> LineReport:
    """Check the lines `number NNNNNNN …` of a task's log.

    Args:
        log: the log's JSON lines, in order.
        total: the number of lines that the program has written, from 1.
        burst: the number of lines over which a rate is measured.
    """
    reader = _Reader(total, burst)
    for line in log:
        reader.read(line)
    reader.close_gap(total + 1)
    ends = [(first, first + burst - 1) for first in range(1, total, burst)]
    spans = [reader.times[last] - reader.times[first] for first, last in ends if {first, last} <= reader.times.keys()]
    return LineReport(
        doubled=reader.doubled,
        missing=reader.seen[1 : total + 1].count(0),
        unmarked=reader.count_unmarked(),
        rates=tuple(round((burst - 1) / seconds) for seconds in spans if seconds > 0),
    )

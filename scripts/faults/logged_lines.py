"""The numbered lines that the programs of DAGs with logs write, in the task's log."""

from __future__ import annotations

from dataclasses import dataclass

NUMBERS = range(100, 301)
"""The numbers of the lines `line NUMBER`."""


@dataclass(frozen=True)
class LineFaults:
    """Lines that are not in a log exactly once.

    Attributes:
        missing: numbers of missing lines.
        doubled: numbers of lines that occur more than once.
    """

    missing: tuple[int, ...] = ()
    doubled: tuple[int, ...] = ()


def find_line_faults(log: str) -> LineFaults:
    """Return the faults of a task's log, in which other words may precede each line."""
    endings = [tuple(line.split()[-2:]) for line in log.splitlines()]
    counts = {number: endings.count(("line", str(number))) for number in NUMBERS}
    return LineFaults(
        tuple(number for number, count in counts.items() if count == 0),
        tuple(number for number, count in counts.items() if count > 1),
    )

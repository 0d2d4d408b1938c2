"""Join the lines of a program that writes faster than Airflow logs.

Airflow takes about 60 µs of CPU for each record of a task's log: its task process encodes it, its supervisor decodes
it, masks secrets and encodes it again (airflow/sdk/log.py). So a core writes some 17,000 records a second.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator

from kpo_platform.pod.log_lines import SECOND_WIDTH, LogLine

FLOOD_LINES = 5_000
"""Lines of a second that are records of their own."""

JOINED_LINES, _JOINED_CHARACTERS = 100, 8_000
"""Most lines and characters of a record: one of more than 32 KiB, escapes included, takes several writes."""


class FloodCounter:
    """Counts the lines that a program writes in a second, by their stamps.

    A log that is read late, as after a deferral, is a flood only where the program's lines were one.
    """

    def __init__(self) -> None:
        self._second, self._count = "", 0

    def is_flood(self, line: LogLine) -> bool:
        """Count the next line, and return whether its second has had more than `FLOOD_LINES`."""
        second = line.stamp[:SECOND_WIDTH]
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        return self._count > FLOOD_LINES


def join_lines(lines: Iterable[LogLine], find_kind: Callable[[LogLine], Hashable]) -> Iterator[list[LogLine]]:
    """Yield the lines in groups that become one record each: neighbours of the same kind, up to the limits.

    Args:
        lines: lines in their order.
        find_kind: returns a line's kind, such as its level; None for a line that stays alone.
    """
    group: list[LogLine] = []
    group_kind: Hashable = None
    characters = 0
    for line in lines:
        kind = find_kind(line)
        characters += len(line.text)
        is_full = len(group) >= JOINED_LINES or characters > _JOINED_CHARACTERS
        if group and (kind is None or kind != group_kind or is_full):
            yield group
            group, characters = [], len(line.text)
        group.append(line)
        group_kind = kind
    if group:
        yield group

"""Join the lines of a program that writes faster than Airflow logs.

Airflow takes about 60 µs of CPU for each record of a task's log: its task process encodes it, its supervisor decodes
it, masks secrets and encodes it again (airflow/sdk/log.py). Ten thousand short lines a second are more than a core.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence

from kpo_platform.airflow.operators.lifecycle.log_lines import LogLine

FLOOD_LINES = 5_000
"""Lines of a second that are records of their own."""

JOINED_LINES, _JOINED_CHARACTERS = 100, 16_000
"""Most lines and characters of a record: more than 32 KiB would take several writes."""


class FloodGauge:
    """Counts lines per second.

    Args:
        clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._second, self._count = clock, 0.0, 0

    def add(self, count: int) -> bool:
        """Count lines, and return whether this second has more than `FLOOD_LINES`."""
        now = self._clock()
        if now - self._second >= 1:
            self._second, self._count = now, 0
        self._count += count
        return self._count > FLOOD_LINES


def join_lines(lines: Sequence[LogLine], find_kind: Callable[[str], Hashable]) -> Iterator[list[LogLine]]:
    """Yield the lines in groups that become one record each: neighbours of the same kind, up to the limits.

    Args:
        lines: lines in their order.
        find_kind: returns a line's kind, such as its level; None for a line that stays alone.
    """
    group: list[LogLine] = []
    group_kind: Hashable = None
    characters = 0
    for line in lines:
        kind = find_kind(line.text)
        characters += len(line.text)
        is_full = len(group) >= JOINED_LINES or characters > _JOINED_CHARACTERS
        if group and (kind is None or kind != group_kind or is_full):
            yield group
            group, characters = [], len(line.text)
        group.append(line)
        group_kind = kind
    if group:
        yield group

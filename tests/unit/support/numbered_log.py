"""The log of a pod with so many lines, as the trigger reads it."""

from __future__ import annotations


class NumberedLog:
    """Answers as `PodRequests` do.

    Args:
        count: the number of lines.
    """

    def __init__(self, count: int) -> None:
        self._lines = [b"2026-11-30T09:00:06.%09dZ line\n" % number for number in range(count)]

    async def read_log(self, *_: str, **query: str) -> bytes:
        """Return all lines, or the last ones."""
        return b"".join(self._lines[-int(query.get("tailLines", len(self._lines))) :])

"""The exit codes of platformctl."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes, as explained by ``platformctl --help``."""

    OK = 0
    FINDINGS = 1
    CHANGES_PENDING = 2
    INCOMPLETE = 3
    USAGE = 64
    INTERRUPTED = 130

"""Measurement of wall-clock time."""

from __future__ import annotations

import time
from collections.abc import Callable


def measure_seconds(function: Callable[[], object]) -> float:
    """Return the wall-clock seconds of one call."""
    start = time.monotonic()
    function()
    return time.monotonic() - start

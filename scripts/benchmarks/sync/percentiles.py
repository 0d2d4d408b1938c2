"""Medians, means and percentiles as the cells of a table; empty without values."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def find_percentile(values: Sequence[float], fraction: float) -> float:
    """Return a percentile by nearest rank."""
    return sorted(values)[max(0, math.ceil(fraction * len(values)) - 1)]


def format_percentiles(values: Sequence[float], digits: int = 2) -> list[str]:
    """Return p50 and p95 as two cells."""
    if not values:
        return ["", ""]
    return [f"{number:.{digits}f}" for number in (statistics.median(values), find_percentile(values, 0.95))]


def format_median(values: Sequence[float], digits: int = 2) -> str:
    """Return the median as a cell."""
    return f"{statistics.median(values):,.{digits}f}" if values else ""


def format_mean(values: Sequence[float], digits: int = 2) -> str:
    """Return the mean as a cell."""
    return f"{statistics.fmean(values):,.{digits}f}" if values else ""

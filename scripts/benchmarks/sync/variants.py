"""What the benchmark compares: engines, the variants of the short runs, and their order."""

from __future__ import annotations

from collections.abc import Sequence

TEAM, STOCK = "team", "stock"
ENGINES = (STOCK, TEAM)
"""The engines of TeamPodOperator, in the order of the tables."""

PLAIN, PLAIN_RESULT, PYTHON = "plain", "plain_result", "python"
TEAM_RESULT, STOCK_RESULT = "team_result", "stock_result"
VARIANTS = (PLAIN, PLAIN_RESULT, PYTHON, TEAM, STOCK, TEAM_RESULT, STOCK_RESULT)
"""The variants of the short runs: a plain client, a Python task, and pods, without and with a result."""

SAMPLES = 30
"""Samples of each variant of the short runs."""

LENGTHS = {20: (20, 22, 24), 60: (60, 62, 64), 120: (120, 122, 124)}
"""Length of the long tasks in the tables → the seconds of those tasks."""

COUNTED_LENGTH = 60
"""The length of the tasks whose requests are counted."""

CHART, DEFAULTS = "chart", "Airflow's defaults"
SETTINGS: dict[str, dict[str, dict[str, str]]] = {
    CHART: {},
    DEFAULTS: {"scheduler": {"scheduler_idle_sleep_time": "1"}},
}
"""Airflow's settings whose idle CPU is compared: none beside the chart's, and the defaults of those that the chart
changes for the sake of the stages."""


def mirror(variants: Sequence[str]) -> list[str]:
    """Return the variants in order and then in reverse (ABBA), so that a drift of the machine affects all alike."""
    return [*variants, *reversed(variants)]


def name_dag(engine: str, suffix: str = "") -> str:
    """Return the id of a DAG of an engine, such as `sync_team_long`."""
    return f"sync_{engine}{suffix}"

"""The section of docs/benchmarks.md about deferred tasks, from the measured parts."""

from __future__ import annotations

from typing import Any

from benchmarks.deferred.load.plans import LOADS
from benchmarks.deferred.load_rows import build_load_rows, build_loss_row
from benchmarks.deferred.tables import (
    build_burst,
    build_cpu,
    build_long_rows,
    build_many_rows,
    build_no_preload,
    build_references,
    build_short_rows,
    build_stages,
    find_items,
)
from benchmarks.deferred.variants import NAMES, POD_VARIANTS
from benchmarks.parts import Measured, Section

_ENDS_PER_S = LOADS["team 500"].pods / LOADS["team 500"].spread_s
_TEXT = (
    'Seconds of deferrable tasks: the stock operator\'s run of the pod (`engine="stock"`, with its defaults), that of '
    "TeamPodOperator, which watches the pod for the first seconds in the worker (`policy.deferAfter`, by default 5 s) "
    "and defers only after that, and the same with `defer_after=0`. All components share one log volume, so that the "
    "triggerer may end a task. *Trigger → run marked*: from the request for the DAG run until Airflow has marked it as "
    "ended. *Over the pod's time*: without the time from the pod's creation until the benchmark's own watch gets the "
    "status in which its program has ended. *Lost*: no success, or no line of the program in the log; *doubled*: more "
    "than one pod, or its line more than once; *late*: the task's end more than 60 s after that of its pod. For the "
    "rows of many deferred tasks, copies of a deferred task are loaded into Airflow's database and pods into "
    "a node that [kwok](https://kwok.sigs.k8s.io) plays; one triggerer runs them all. Their pods wait for at least a "
    f"minute, and then end one after the other, {_ENDS_PER_S:.0f} per second. *Seen*: the event in the log of the "
    "trigger, after it has read the log of the pod; *doubled* is also a second event or try."
)
_TABLES = (
    ("short", build_references),
    ("short", build_stages),
    ("many", build_cpu),
    ("no_preload", build_no_preload),
    ("burst", build_burst),
)


def build_result(parts: Measured) -> dict[str, Any]:
    """Build the section from the parts that are measured: a table with the goals, and tables of each part."""
    return {
        "title": "Deferred tasks",
        "text": _TEXT,
        "columns": ["measurement", "goal", *(NAMES[variant] for variant in POD_VARIANTS)],
        "rows": [
            *build_short_rows(find_items(parts, "short")),
            *build_long_rows(find_items(parts, "long"), find_items(parts, "short")),
            *build_many_rows(find_items(parts, "many"), find_items(parts, "no_preload")),
            *build_load_rows(find_items(parts, "triggers")),
            *build_loss_row(find_items(parts, "loss")),
        ],
        "tables": [build(find_items(parts, name), parts[name]["commit"]) for name, build in _TABLES if name in parts],
    }


SECTION = Section("deferred", build_result)
"""The section."""

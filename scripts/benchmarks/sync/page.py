"""The section of docs/benchmarks.md about the run of a pod, from the measured parts."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.parts import Measured, Section
from benchmarks.sync.marks import STAGES, measure_spans, measure_stages
from benchmarks.sync.percentiles import format_percentiles
from benchmarks.sync.plot import draw_bars
from benchmarks.sync.tables import (
    END_TO_END,
    EXECUTE,
    NAMES,
    Items,
    build_backlog,
    build_idle,
    build_lines,
    build_references,
    build_requests,
    build_stages,
    join_samples,
    select_items,
)
from benchmarks.sync.variants import COUNTED_LENGTH, ENGINES, LENGTHS, PLAIN

FIGURE = "sync.svg"
"""The plot's file, beside the JSON files."""

Rows = list[list[str]]

_DELAY = ("ended", "returned")
_DELAY_GOAL = "p50 ≤ 0.2, p95 ≤ 0.5"
_TEXT = (
    "Seconds of a synchronous task (`deferrable=False`: it waits for its pod in the worker) whose pod does "
    'nothing (`echo hi`): the stock operator\'s run of the pod (`engine="stock"`, with its defaults) and that of '
    "TeamPodOperator. Both run in turn, forwards and then backwards (ABBA), with a Python task without a pod and "
    "a plain client that creates TeamPodOperator's pod, watches it, reads its log and deletes it. With a result, "
    "the stock operator uses the XCom sidecar, and TeamPodOperator the termination message. `execute` is measured "
    "by the times that Airflow writes into the task's log before and after it; *over the plain client*: minus the "
    "median of the plain client with the same program. *Trigger → run marked*: from the request for the DAG run "
    "until Airflow has marked it as ended. *End seen*: the benchmark's own watch gets the status in which the "
    "container has ended. p95 by nearest rank; of the tasks with a length, six of each engine, it is the longest "
    "time."
)
_TABLES = {
    "short": (build_references, build_stages),
    "long": (build_requests,),
    "lines": (build_lines,),
    "backlog": (build_backlog,),
    "idle": (build_idle,),
}
"""Part → its tables."""


def build_result(parts: Measured) -> dict[str, Any]:
    """Build the section from the parts that are measured: a table with the goals, and tables of each part."""
    columns = [f"{NAMES[engine]}, {percentile}" for engine in ENGINES for percentile in ("p50", "p95")]
    return {
        "title": "The run of a pod",
        "text": _TEXT,
        **({"figure": FIGURE} if draw_figure(parts) else {}),
        "columns": ["measurement", "goal", *columns],
        "rows": [*_build_short_rows(_read_items(parts, "short")), *_build_long_rows(_read_items(parts, "long"))],
        "tables": [
            build(_read_items(parts, name), parts[name]["commit"])
            for name, builders in _TABLES.items()
            if name in parts
            for build in builders
        ],
    }


def draw_figure(parts: Measured) -> str:
    """Draw the stages of both engines; empty if they are not measured."""
    samples = join_samples(_read_items(parts, "short"))
    medians = {engine: measure_stages(samples.get(engine, [])) for engine in ENGINES}
    if not any(medians.values()):
        return ""
    bars = {
        stage.replace("`", ""): {
            NAMES[engine]: medians[engine][stage] for engine in ENGINES if stage in medians[engine]
        }
        for stage in STAGES
    }
    return draw_bars("Seconds of each stage of a task whose pod does nothing, medians", bars)


def _read_items(parts: Measured, name: str) -> Items:
    items: Items = parts[name]["items"] if name in parts else []
    return items


def _build_short_rows(blocks: Items) -> Rows:
    """Build the rows of the short runs, each without and with a result."""
    if not blocks:
        return []
    samples = join_samples(blocks)
    floors = {suffix: statistics.median(samples[f"{PLAIN}{suffix}"]) for suffix in ("", "_result")}
    no_floors = dict.fromkeys(floors, 0.0)
    measurements = (
        ("`execute` over the plain client", "p50 ≤ 0.3", EXECUTE, floors),
        ("trigger → run marked", "p50 ≤ 3.2", END_TO_END, no_floors),
        ("end seen → returned", _DELAY_GOAL, _DELAY, no_floors),
    )
    rows = []
    for name, goal, marks, bases in measurements:
        for text, suffix in (("", ""), (", result of 1 KB", "_result")):
            base = bases[suffix]
            spans = [measure_spans(samples[f"{engine}{suffix}"], *marks) for engine in ENGINES]
            cells = [cell for found in spans for cell in format_percentiles([span - base for span in found])]
            rows.append([f"{name}{text}", goal, *cells])
    return rows


def _build_long_rows(items: Items) -> Rows:
    """Build the rows of the long tasks: the delay after the end, and the number of requests."""
    if not items:
        return []
    rows = []
    for length in LENGTHS:
        delays = [
            [delay for item in select_items(items, engine) for delay in item["delays"][str(length)]]
            for engine in ENGINES
        ]
        cells = [cell for found in delays for cell in format_percentiles(found)]
        rows.append([f"end seen → returned, task of {length} s", _DELAY_GOAL, *cells])
    counts = [
        [sum(count.values()) for item in select_items(items, engine) for count in item["requests"]]
        for engine in ENGINES
    ]
    cells = [cell for found in counts for cell in format_percentiles(found, digits=0)]
    return [*rows, [f"requests of a task of {COUNTED_LENGTH} s, result of 1 KB", "p50 ≤ 5", *cells]]


SECTION = Section("sync", build_result, draw_figure, FIGURE)
"""The section."""

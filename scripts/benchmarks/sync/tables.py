"""The tables of the measured parts: references and stages, requests, numbered lines, idle CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.sync.marks import STAGES, Marks, measure_spans, measure_stages
from benchmarks.sync.numbered_lines import BACKLOG, LINES
from benchmarks.sync.percentiles import format_mean, format_median, format_percentiles
from benchmarks.sync.variants import (
    COUNTED_LENGTH,
    DEFAULTS,
    ENGINES,
    LENGTHS,
    PLAIN,
    PLAIN_RESULT,
    PYTHON,
    SETTINGS,
    STOCK,
    TEAM,
)

Items = Sequence[Mapping[str, Any]]
Table = dict[str, Any]

NAMES = {STOCK: "stock", TEAM: "TeamPodOperator", PYTHON: "Python task"}
"""Variant → its column."""

EXECUTE = ("entered", "returned")
END_TO_END = ("triggered", "marked")

_COLUMNS = [NAMES[engine] for engine in ENGINES]


def join_samples(blocks: Items) -> dict[str, list[Any]]:
    """Join the samples of the short runs' blocks by variant."""
    samples: dict[str, list[Any]] = {}
    for block in blocks:
        for variant, found in block.items():
            samples.setdefault(variant, []).extend(found)
    return samples


def select_items(items: Items, engine: str) -> list[Mapping[str, Any]]:
    """Return the items of an engine."""
    return [item for item in items if item["engine"] == engine]


def build_references(blocks: Items, commit: str) -> Table:
    """Build the table of what the operators are compared with."""
    samples = join_samples(blocks)
    python: list[Marks] = samples.get(PYTHON, [])
    references: dict[str, Sequence[float]] = {
        "plain client: create, watch, read the log, delete": samples.get(PLAIN, []),
        "plain client, result of 1 KB": samples.get(PLAIN_RESULT, []),
        "Python task, trigger → run marked": measure_spans(python, *END_TO_END),
        "Python task, worker starts → task's end": measure_spans(python, "started", "finished"),
    }
    return {
        "text": f"References; {len(python)} samples of each variant, commit {commit}.",
        "columns": ["reference", "p50", "p95"],
        "rows": [[name, *format_percentiles(seconds)] for name, seconds in references.items()],
    }


def build_stages(blocks: Items, commit: str) -> Table:
    """Build the budget per stage."""
    samples, variants = join_samples(blocks), (PYTHON, *ENGINES)
    medians = {variant: measure_stages(samples.get(variant, [])) for variant in variants}
    rows = [
        [stage, *(f"{medians[variant][stage]:.2f}" if stage in medians[variant] else "" for variant in variants)]
        for stage in STAGES
    ]
    spans = {variant: measure_spans(samples.get(variant, []), *EXECUTE) for variant in variants}
    return {
        "text": f"Where the time goes: the median of each stage, without a result, commit {commit}. A Python task has "
        "no pod. The last row is the whole `execute`, of which four stages are parts; medians do not add up exactly.",
        "columns": ["stage", *(NAMES[variant] for variant in variants)],
        "rows": [*rows, ["`execute`", *(format_median(spans[variant]) for variant in variants)]],
    }


def build_requests(items: Items, commit: str) -> Table:
    """Build the table of the requests by kind."""
    counts = {
        engine: [count for item in select_items(items, engine) for count in item["requests"]] for engine in ENGINES
    }
    kinds = sorted({kind for found in counts.values() for count in found for kind in count})
    rows = [
        [kind, *(format_median([count.get(kind, 0) for count in counts[engine]], 1) for engine in ENGINES)]
        for kind in kinds
    ]
    others = {engine: [count_others(item) for item in select_items(items, engine)] for engine in ENGINES}
    rows.append(["requests about no pod, per task", *(format_median(others[engine], 1) for engine in ENGINES)])
    return {
        "text": f"Requests of a task of {COUNTED_LENGTH} s with a line per second and a result of 1 KB, by its account "
        "in the API server's audit log; medians. Tasks of "
        f"{', '.join(map(str, LENGTHS))} s ran in parallel, three of each, commit {commit}.",
        "columns": ["request", *_COLUMNS],
        "rows": rows,
    }


def count_others(item: Mapping[str, Any]) -> float:
    """Return the requests about no pod of a run, shared between its tasks."""
    return float(sum(item["others"].values()) / item["tasks"])


def build_lines(items: Items, commit: str) -> Table:
    """Build the table of the numbered lines."""
    return {
        "text": f"{LINES:,} numbered lines, in ten blocks five seconds apart. They are written faster than the log can "
        "be read, and the kubelet rotates the log meanwhile, so lines are lost. A gap is marked if the task's log says "
        "in its place that lines may be missing. Two runs of each engine, a number for each. Lines per second: within "
        f"a whole block, by the times in the task's log; median, commit {commit}.",
        "columns": ["measurement", "goal", *_COLUMNS],
        "rows": _build_line_rows(items, rate_goal=""),
    }


def build_backlog(items: Items, commit: str) -> Table:
    """Build the table of a log that is already written when the task reads it."""
    return {
        "text": f"{BACKLOG:,} such lines, in two blocks, of a deferred task, whose log is read when its pod has ended, "
        "so the speed of the container runtime does not matter. Two runs of each engine; lines per second of a block, "
        f"median, commit {commit}.",
        "columns": ["measurement", "goal", *_COLUMNS],
        "rows": _build_line_rows(items, rate_goal="≥ 50,000"),
    }


def _build_line_rows(items: Items, rate_goal: str) -> list[list[str]]:
    found = {engine: select_items(items, engine) for engine in ENGINES}
    goals = {"doubled": ("doubled lines", "0"), "missing": ("missing lines", ""), "unmarked": ("unmarked gaps", "0")}
    rows = [
        [title, goal, *(" / ".join(f"{item[key]:,}" for item in found[engine]) for engine in ENGINES)]
        for key, (title, goal) in goals.items()
    ]
    rates = {engine: [rate for item in found[engine] for rate in item["rates"]] for engine in ENGINES}
    return [*rows, ["lines per second", rate_goal, *(format_median(rates[engine], 0) for engine in ENGINES)]]


def build_idle(items: Items, commit: str) -> Table:
    """Build the table of the idle CPU."""
    found = {name: [item["components"] for item in items if item["settings"] == name] for name in SETTINGS}
    components = sorted({component for used in found.values() for item in used for component in item})
    rows = [
        [component, *(format_mean([item.get(component, 0.0) for item in found[name]]) for name in SETTINGS)]
        for component in components
    ]
    rows.append(["all", *(format_mean([sum(item.values()) for item in found[name]]) for name in SETTINGS)])
    defaults = [
        f"`{section}.{key}: {text}`" for section, keys in SETTINGS[DEFAULTS].items() for key, text in keys.items()
    ]
    return {
        "text": "CPU seconds that the idle stack uses in a minute, read from the cgroups of its pods: with the chart's "
        f"settings and with Airflow's defaults in their place ({', '.join(defaults)}); mean of two minutes, commit "
        f"{commit}. The chart changes no other setting of Airflow to shorten the times in this section; its value, "
        "with the reason, is in `_default_config.tpl`.",
        "columns": ["component", *SETTINGS],
        "rows": rows,
    }

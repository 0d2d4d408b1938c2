"""The rows and tables of the measured parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.deferred.variants import (
    BURST,
    BURST_TASKS,
    LONG,
    LONG_S,
    MANY,
    MANY_LONG,
    MANY_TASKS,
    NAMES,
    POD_VARIANTS,
    PYTHON,
    REFERENCES,
    RESULT,
    STOCK,
    TEAM,
    TRIGGERER,
    name_dag,
)
from benchmarks.parts import Measured
from benchmarks.sync.marks import STAGES, Marks, measure_spans, measure_stages
from benchmarks.sync.percentiles import format_median, format_percentiles
from benchmarks.sync.tables import END_TO_END, join_samples

Items = Sequence[Mapping[str, Any]]
Rows = list[list[str]]
Table = dict[str, Any]


def find_items(parts: Measured, name: str) -> Items:
    """Return the items of a part; empty if it is not measured."""
    items: Items = parts[name]["items"] if name in parts else []
    return items


def build_short_rows(blocks: Items) -> Rows:
    """Build the rows of pods that do nothing, without and with a result."""
    if not blocks:
        return []
    samples = join_samples(blocks)
    return [
        [f"trigger → run marked, pod that does nothing{text}: p50, p95", "p50 ≤ 3.2", *_format_ends(samples, suffix)]
        for text, suffix in (("", ""), (", result of 1 KB", RESULT))
    ]


def _format_ends(samples: Mapping[str, list[Marks]], suffix: str) -> list[str]:
    spans = [measure_spans(samples.get(name_dag(variant, suffix), []), *END_TO_END) for variant in POD_VARIANTS]
    return [", ".join(format_percentiles(found)) for found in spans]


def build_long_rows(blocks: Items, short: Items) -> Rows:
    """Build the row of pods of 20 s; its goal is Airflow's own share of the short runs, and half a second."""
    if not blocks:
        return []
    samples = join_samples(blocks)
    spans = [measure_over_pod(samples.get(name_dag(variant, LONG), [])) for variant in POD_VARIANTS]
    share = measure_spans(join_samples(short).get(name_dag(TRIGGERER), []), *END_TO_END)
    goal = f"p50 ≤ {format_median([seconds + 0.5 for seconds in share])}" if share else ""
    cells = [", ".join(format_percentiles(found)) for found in spans]
    return [[f"over the pod's time, pod of {LONG_S} s: p50, p95", goal, *cells]]


def measure_over_pod(samples: Sequence[Marks]) -> list[float]:
    """Return the seconds from the trigger to the run's end of each sample, without those of its pod."""
    return [sample["marked"] - (sample["ended"] - sample["created"]) for sample in samples]


def build_many_rows(runs: Items, no_preload: Items) -> Rows:
    """Build the rows of the runs of 100 tasks: CPU per task, and faults."""
    if not runs:
        return []
    found = {variant: _select(runs, variant) for variant in (STOCK, TEAM)}
    rows = [
        _build_cpu_row("CPU seconds of Airflow per task, pods that do nothing", runs, no_preload, MANY),
        _build_cpu_row(f"CPU seconds of Airflow per task, pods of {LONG_S} s", runs, no_preload, MANY_LONG),
    ]
    counts = [
        f"{sum(run['lost'] for run in found[variant])}, {sum(run['doubled'] for run in found[variant])}, "
        f"{sum(run['late'] for run in found[variant])} of {sum(run['tasks'] for run in found[variant])}"
        for variant in (STOCK, TEAM)
    ]
    return [*rows, ["lost, doubled, late tasks", "0", *counts, ""]]


def _build_cpu_row(title: str, runs: Items, no_preload: Items, suffix: str) -> list[str]:
    stock, team = (format_median(list_cpu(runs, name_dag(variant, suffix))) for variant in (STOCK, TEAM))
    alone = format_median(list_cpu(no_preload, name_dag(STOCK, suffix)))
    return [title, "≤ ½ of stock", f"{stock}; without preload {alone}" if alone else stock, team, ""]


def list_cpu(runs: Items, dag: str) -> list[float]:
    """Return the CPU seconds per task of each run of a DAG."""
    return [sum(run["cpu"].values()) / run["tasks"] for run in runs if run["dag"] == dag]


def _select(runs: Items, variant: str) -> Items:
    return [run for run in runs if run["dag"] in (name_dag(variant, MANY), name_dag(variant, MANY_LONG))]


def build_references(blocks: Items, commit: str) -> Table:
    """Build the table of tasks without a pod."""
    samples = join_samples(blocks)
    rows = [
        [NAMES[variant], *format_percentiles(measure_spans(samples.get(name_dag(variant), []), *END_TO_END))]
        for variant in REFERENCES
    ]
    count = len(samples.get(name_dag(TRIGGERER), []))
    return {
        "text": f"Airflow's own share: trigger → run marked of tasks without a pod; {count} samples of each variant "
        f"here and above, commit {commit}.",
        "columns": ["reference", "p50", "p95"],
        "rows": rows,
    }


def build_stages(blocks: Items, commit: str) -> Table:
    """Build the budget per stage of a task with the team's defaults."""
    samples = join_samples(blocks)
    names = {"without a result": name_dag(TEAM), "result of 1 KB": name_dag(TEAM, RESULT)}
    medians = [measure_stages(samples.get(dag, [])) for dag in names.values()]
    rows = [[stage, *(f"{found[stage]:.2f}" if stage in found else "" for found in medians)] for stage in STAGES]
    return {
        "text": "Where the time of a task with the team's defaults goes whose pod does nothing: the median of each "
        f"stage, commit {commit}.",
        "columns": ["stage", *names],
        "rows": rows,
    }


def build_cpu(runs: Items, commit: str) -> Table:
    """Build the table of the CPU by component."""
    runs_of_pods = [(variant, suffix) for suffix in (MANY, MANY_LONG) for variant in (STOCK, TEAM)]
    text = (
        f"CPU seconds per task of runs of {MANY_TASKS} tasks, from the cgroups of Airflow's pods, its own needs when "
        f"idle included; median of the runs, commit {commit}. A Python task needs no pod."
    )
    return _build_components(text, runs, ((PYTHON, MANY), *runs_of_pods))


def build_no_preload(runs: Items, commit: str) -> Table:
    """Build the table of the CPU of stock tasks where nothing of the operator is preloaded."""
    text = (
        "The same of the stock operator in an Airflow without the platform, where the process of each task imports the "
        "operator's modules (without preload); tasks of the stock operator in the table above profit from the "
        f"platform's preload. One run each, commit {commit}."
    )
    return _build_components(text, runs, ((STOCK, MANY), (STOCK, MANY_LONG)))


def _build_components(text: str, runs: Items, columns: Sequence[tuple[str, str]]) -> Table:
    lengths = {MANY: ", pod does nothing", MANY_LONG: f", pod {LONG_S} s"}
    names = [NAMES[variant] + ("" if variant == PYTHON else lengths[suffix]) for variant, suffix in columns]
    dags = [name_dag(*column) for column in columns]
    components = sorted({component for run in runs for component in run["cpu"]})
    rows = [[component, *(_format_component(runs, dag, component) for dag in dags)] for component in components]
    total = ["together", *(format_median(list_cpu(runs, dag)) for dag in dags)]
    seconds = ["seconds until the run's end", *(format_median(_list_seconds(runs, dag), 0) for dag in dags)]
    return {"text": text, "columns": ["component", *names], "rows": [*rows, total, seconds]}


def _format_component(runs: Items, dag: str, component: str) -> str:
    return format_median([run["cpu"].get(component, 0.0) / run["tasks"] for run in runs if run["dag"] == dag])


def _list_seconds(runs: Items, dag: str) -> list[float]:
    return [run["seconds"] for run in runs if run["dag"] == dag]


def build_burst(runs: Items, commit: str) -> Table:
    """Build the table of the burst."""
    names = {name_dag(variant, BURST): NAMES[variant] for variant in POD_VARIANTS}
    return {
        "text": f"A burst of {BURST_TASKS} tasks whose pods last longer than the burst, with Airflow's default of 32 "
        f"task slots: how many pods are created per minute, and when all tasks have freed their slots, "
        f"commit {commit}.",
        "columns": ["variant", "pods per minute", "seconds until all are deferred"],
        "rows": [[names[run["dag"]], f"{run['per_minute']:.0f}", f"{run['deferred_s']:.0f}"] for run in runs],
    }

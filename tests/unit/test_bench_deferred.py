"""The benchmark of deferred tasks: its DAGs, the counted faults, and its section of docs/benchmarks.md."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from benchmarks import record
from benchmarks.deferred.burst import measure_rate
from benchmarks.deferred.many_runs import TaskEnd, count_faults
from benchmarks.deferred.no_preload import write_chart
from benchmarks.deferred.page import SECTION, build_result
from benchmarks.deferred.variants import BURST_TASKS, MANY_TASKS, list_dag_ids, read_dag_files
from kpo_platform.airflow import preload
from stack.release import CHART
from unit.support.contracts import TEAM
from unit.support.dag_files import run_dag_file

MARKS = {"queued": 0.5, "started": 0.6, "opened": 0.8, "parsed": 1.5, "entered": 1.6, "created": 1.7, "running": 2.5}
END = {"ended": 2.6, "returned": 2.7, "finished": 2.8, "marked": 3.0}
SAMPLE = {**MARKS, **END}
LONG_SAMPLE = {"created": 2.0, "ended": 22.0, "marked": 25.0}
SHORT_DAGS = (
    "team",
    "stock",
    "at_once",
    "team_result",
    "stock_result",
    "at_once_result",
    "python",
    "triggerer",
    "worker",
)
CPU = {"scheduler": 200.0, "triggerer": 20.0}
SEEN = "end of the pod → seen by the trigger: p50, p99"
MEMORY = "memory of the process that runs the triggers, and of its container, MiB"
RUN = {"tasks": 100, "seconds": 120.0, "cpu": CPU, "lost": 0, "doubled": 0, "late": 0}


def build_usage(requests: int) -> dict[str, Any]:
    memory = {"runner": 257.4, "container": 503.0}
    return {"seconds": 60.0, "cpu_s": 1.2, "memory_mib": memory, "requests": {"get pods": requests}}


def build_end(median: float, longest: float) -> dict[str, Any]:
    completing = {"seconds": 60.0, "cpu_s": 24.0}
    return {"completing": completing, "seen": {"p50": median, "p99": longest, "max": longest}}


MEASURED: dict[str, dict[str, Any]] = {
    "short": {"commit": "abc", "items": [{f"deferred_{name}": [SAMPLE] for name in SHORT_DAGS}]},
    "long": {
        "commit": "abc",
        "items": [{f"deferred_{variant}_20s": [LONG_SAMPLE] for variant in ("stock", "team", "at_once")}],
    },
    "many": {
        "commit": "def",
        "items": [
            {"dag": "deferred_python_many", **RUN, "cpu": {"scheduler": 90.0}},
            {"dag": "deferred_team_many", **RUN},
            {"dag": "deferred_stock_many", **RUN, "cpu": {"scheduler": 500.0}, "lost": 1},
            {"dag": "deferred_team_many_20s", **RUN},
        ],
    },
    "no_preload": {
        "commit": "fed",
        "items": [{"dag": "deferred_stock_many", **RUN, "cpu": {"scheduler": 900.0}}],
    },
    "triggers": {
        "commit": "abc",
        "items": [
            {"engine": "stock", "pods": 500, "waiting": build_usage(6900), **build_end(1.86, 9.8)},
            {"engine": "team", "pods": 500, "waiting": build_usage(6), **build_end(0.04, 0.36)},
            {"engine": "team", "pods": 5000, "waiting": build_usage(0), **build_end(0.5, 4.2)},
        ],
    },
    "loss": {"commit": "abc", "items": [{"tasks": 5000, "lost": 0, "doubled": 1, "late": 2}] * 2},
    "burst": {
        "commit": "abc",
        "items": [{"dag": "deferred_at_once_burst", "pods": 300, "per_minute": 61.4, "deferred_s": 301.2}],
    },
}


@pytest.fixture
def dags(publish: Callable[..., Any]) -> dict[str, DAG]:
    """The DAGs of all files."""
    publish(alpha={"policy": {**TEAM["policy"], "deferAfter": 7}})
    return {name: dag for text in read_dag_files().values() for name, dag in run_dag_file(text).items()}


def test_files_have_the_dags_of_every_variant(dags: dict[str, DAG]):
    assert sorted(dags) == sorted(list_dag_ids())


def test_variants_differ_in_their_engine_and_the_time_before_the_deferral(dags: dict[str, DAG]):
    tasks = {variant: dags[f"deferred_{variant}"].get_task("work") for variant in ("team", "at_once", "stock")}
    assert {variant: (task.engine, task.deferrable, task.cmds) for variant, task in tasks.items()} == {
        "team": ("team", True, ["sh", "-c", "echo hi"]),
        "at_once": ("team", True, ["sh", "-c", "echo hi"]),
        "stock": ("stock", True, ["sh", "-c", "echo hi"]),
    }
    assert (tasks["team"].defer_after, tasks["at_once"].defer_after) == (7, 0)
    stock_operator = next(kind for kind in type(tasks["stock"]).mro() if kind.__name__ == "KubernetesPodOperator")
    default = inspect.signature(stock_operator).parameters["startup_check_interval_seconds"].default
    assert tasks["stock"].startup_check_interval_seconds == default


def test_runs_of_many_tasks_have_the_numbers_that_are_checked(dags: dict[str, DAG]):
    numbers = dags["deferred_python_many"].get_task("work").op_kwargs_expand_input.value["number"]
    counts = {
        suffix: len(dags[f"deferred_team_{suffix}"].get_task("work").expand_input.value["env_vars"])
        for suffix in ("many", "many_20s", "burst")
    }
    assert counts == {"many": MANY_TASKS, "many_20s": MANY_TASKS, "burst": BURST_TASKS}
    assert numbers == list(range(MANY_TASKS))


@pytest.mark.parametrize(
    ("task", "fault"),
    [
        (TaskEnd("success", 70.0, [10.0], 1), None),
        (TaskEnd("failed", 11.0, [10.0], 1), "lost"),
        (TaskEnd("success", 11.0, [10.0], 0), "lost"),
        (TaskEnd("success", 11.0, [10.0, None], 1), "doubled"),
        (TaskEnd("success", 11.0, [10.0], 2), "doubled"),
        (TaskEnd("success", 70.1, [10.0], 1), "late"),
        (TaskEnd("success", 70.0, [], 1), None),
        (TaskEnd("deferred", None, [10.0], 1), "lost"),
    ],
)
def test_each_fault_of_a_task_is_counted(task: TaskEnd, fault: str | None):
    assert count_faults([task]) == {"lost": 0, "doubled": 0, "late": 0} | ({fault: 1} if fault else {})


def test_rate_is_between_the_first_and_the_last_pod():
    assert measure_rate([10.0, 11.0, 12.0, 13.0]) == {"pods": 4, "per_minute": 60.0}


def test_every_part_has_its_rows_and_tables():
    built = build_result(MEASURED)
    assert built["columns"] == ["measurement", "goal", "stock", "TeamPodOperator", "`defer_after=0`"]
    ends = ["3.00, 3.00"] * 3
    assert built["rows"] == [
        ["trigger → run marked, pod that does nothing: p50, p95", "p50 ≤ 3.2", *ends],
        ["trigger → run marked, pod that does nothing, result of 1 KB: p50, p95", "p50 ≤ 3.2", *ends],
        ["over the pod's time, pod of 20 s: p50, p95", "p50 ≤ 3.50", *["5.00, 5.00"] * 3],
        [
            "CPU seconds of Airflow per task, pods that do nothing",
            "≤ ½ of stock",
            "5.00; without preload 9.00",
            "2.20",
            "",
        ],
        ["CPU seconds of Airflow per task, pods of 20 s", "≤ ½ of stock", "", "2.20", ""],
        ["lost, doubled, late tasks", "0", "1, 0, 0 of 100", "0, 0, 0 of 200", ""],
        ["500 deferred tasks: requests per second while they wait", "≤ 2", "115.0", "0.1", ""],
        ["500 deferred tasks: share of a core while they wait", "< 10 %", "2.0 %", "2.0 %", ""],
        ["500 deferred tasks: share of a core while they end", "", "40.0 %", "40.0 %", ""],
        [f"500 deferred tasks: {MEMORY}", "< 300", "257, 503", "257, 503", ""],
        [
            "500 deferred tasks: end of the pod → seen by the trigger: p50, p99",
            "p99 < 1",
            "1.86, 9.80",
            "0.04, 0.36",
            "",
        ],
        ["5,000 deferred tasks: requests per second while they wait", "", "", "0.0", ""],
        ["5,000 deferred tasks: share of a core while they wait", "", "", "2.0 %", ""],
        ["5,000 deferred tasks: share of a core while they end", "", "", "40.0 %", ""],
        [f"5,000 deferred tasks: {MEMORY}", "", "", "257, 503", ""],
        [f"5,000 deferred tasks: {SEEN}", "p99 < 5", "", "0.50, 4.20", ""],
        ["lost, doubled, late tasks, loaded", "0", "", "0, 2, 4 of 10,000", ""],
    ]
    references, stages, cpu, no_preload, burst = (table["rows"] for table in built["tables"])
    assert references == [
        ["Python task", "3.00", "3.00"],
        ["deferral that ends in the triggerer", "3.00", "3.00"],
        ["deferral that ends in a worker", "3.00", "3.00"],
    ]
    assert stages[0] == ["trigger → queued", "0.50", "0.50"]
    assert stages[-1] == ["task's end → run marked", "0.20", "0.20"]
    assert cpu == [
        ["scheduler", "0.90", "5.00", "2.00", "", "2.00"],
        ["triggerer", "0.00", "0.00", "0.20", "", "0.20"],
        ["together", "0.90", "5.00", "2.20", "", "2.20"],
        ["seconds until the run's end", "120", "120", "120", "", "120"],
    ]
    assert no_preload == [
        ["scheduler", "9.00", ""],
        ["together", "9.00", ""],
        ["seconds until the run's end", "120", ""],
    ]
    assert burst == [["`defer_after=0`", "61", "301"]]


def test_chart_without_preload_differs_in_one_module_which_keeps_its_functions(tmp_path: Path):
    chart = write_chart(tmp_path)
    (changed,) = (
        file.relative_to(chart)
        for file in chart.rglob("*")
        if file.is_file() and file.read_bytes() != (CHART / file.relative_to(chart)).read_bytes()
    )
    functions = {name for name, _ in inspect.getmembers(preload, inspect.isfunction) if name.startswith("preload_")}
    names = {node.name for node in ast.parse((chart / changed).read_text()).body if isinstance(node, ast.FunctionDef)}
    assert (str(changed), names) == ("charts/code/files/kpo_platform/airflow/preload.py", functions)


def test_nothing_measured_gives_no_row():
    assert (build_result({})["rows"], build_result({})["tables"]) == ([], [])


def test_page_is_what_the_results_give():
    file = record.RESULTS / f"{SECTION.name}.json"
    stored = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"parts": {}}
    expected = {**build_result(stored["parts"]), "conditions": stored.get("conditions"), "parts": stored["parts"]}
    assert stored == (expected if file.exists() else {"parts": {}})

"""What the benchmark compares: the variants of a deferrable task, and their DAGs."""

from __future__ import annotations

from pathlib import Path

STOCK, TEAM, AT_ONCE = "stock", "team", "at_once"
POD_VARIANTS = (STOCK, TEAM, AT_ONCE)
"""The engines of TeamPodOperator, and its own one with `defer_after=0`."""

PYTHON, TRIGGERER, WORKER = "python", "triggerer", "worker"
REFERENCES = (PYTHON, TRIGGERER, WORKER)
"""Tasks without a pod: a Python task, and deferrals that end in the triggerer and in a worker."""

RESULT, LONG, MANY, MANY_LONG, BURST = "_result", "_20s", "_many", "_many_20s", "_burst"
SUFFIXES = ("", RESULT, LONG, MANY, MANY_LONG, BURST)

MANY_TASKS, BURST_TASKS, LONG_S = 100, 300, 20
"""The tasks of a run of `_many` and `_burst`, and the seconds of a long pod."""

NAMES = {
    STOCK: "stock",
    TEAM: "TeamPodOperator",
    AT_ONCE: "`defer_after=0`",
    PYTHON: "Python task",
    TRIGGERER: "deferral that ends in the triggerer",
    WORKER: "deferral that ends in a worker",
}
"""Variant → its name on the page."""

_DAGS = Path(__file__).with_name("dags")


def name_dag(variant: str, suffix: str = "") -> str:
    """Return the id of a variant's DAG, such as `deferred_team_20s`."""
    return f"deferred_{variant}{suffix}"


def read_dag_files() -> dict[str, str]:
    """Return the DAG files by their names in the repository."""
    pods = (_DAGS / "deferred_pods.py").read_text(encoding="utf-8")
    files = {
        f"deferred_{variant}.py": pods.replace('VARIANT = "team"', f'VARIANT = "{variant}"') for variant in POD_VARIANTS
    }
    references = (_DAGS / "deferred_references.py").read_text(encoding="utf-8")
    return {**files, "deferred_references.py": references}


def list_dag_ids() -> list[str]:
    """Return the ids of all DAGs in these files."""
    pods = [name_dag(variant, suffix) for variant in POD_VARIANTS for suffix in SUFFIXES]
    return [*map(name_dag, REFERENCES), name_dag(PYTHON, MANY), *pods]

"""Duration of TeamPodOperator's import, and of parsing a file with 100 tasks."""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.contract import write_contract
from common.command import capture_output
from common.paths import REPOSITORY
from common.python_env import ensure_environment
from common.steps import Steps

_ROUNDS = 5
_PARSES = 5
_IMPORTS = 11
_TASKS = 100
_TIMEOUT_S = 300

_FILE = """
from airflow.sdk import DAG
from {module} import {operator} as Operator

with DAG("d"):
    for number in range({tasks}):
        Operator(
            task_id=f"t{{number}}",
            image="busybox:1.35",
            cmds=["sh", "-c"],
            arguments=["echo {{{{ ds }}}}"],
            {more_arguments}
            {team}
        )
"""
_MORE_ARGUMENTS = 'env_vars={"A": "1", "DAY": "{{ ds }}"}, labels={"stage": "test"},'
_STOCK = {
    "module": "airflow.providers.cncf.kubernetes.operators.pod",
    "operator": "KubernetesPodOperator",
    "team": 'namespace="team-alpha",',
}
_TEAM = {"module": "kpo_platform", "operator": "TeamPodOperator", "team": 'team="alpha",'}
_PRELOADED = "kpo_platform.airflow.operators.team_pod"

_TIMER = "import time; before = time.process_time(); {statement}; print(time.process_time() - before)"


def measure_import(steps: Steps) -> dict[str, Any]:
    """Measure the imports of the package and of both operators, each in a new process."""
    python = ensure_environment(steps.note) / "python"
    statements = {
        "`import kpo_platform`": "import kpo_platform",
        "`from kpo_platform import TeamPodOperator`": "from kpo_platform import TeamPodOperator",
        "the stock KubernetesPodOperator": f"from {_STOCK['module']} import KubernetesPodOperator",
    }
    with tempfile.TemporaryDirectory() as airflow_home:
        env = {"AIRFLOW_HOME": airflow_home, "PYTHONPATH": str(REPOSITORY / "platform")}
        rows = []
        for name, statement in statements.items():
            with steps.step(f"Import {name}"):
                words = (python, "-c", _TIMER.format(statement=statement))
                durations = [
                    float(capture_output(words, timeout_s=_TIMEOUT_S, env=env).split()[-1]) for _ in range(_IMPORTS)
                ]
            rows.append([name, *(round(number * 1000) for number in (statistics.median(durations), min(durations)))])
    return {
        "title": "Importing kpo_platform",
        "text": f"CPU milliseconds of one import in a new process, {_IMPORTS} times each. The package itself imports "
        "neither Airflow nor the Kubernetes client; TeamPodOperator imports the stock operator.",
        "columns": ["import", "median", "minimum"],
        "rows": rows,
    }


def measure_parse(steps: Steps) -> dict[str, Any]:
    """Measure parses of a file with 100 tasks in forks, as the dag-processor makes them."""
    python = ensure_environment(steps.note) / "python"
    with tempfile.TemporaryDirectory() as folder:
        variants = _write_variants(Path(folder))
        durations: dict[str, list[float]] = {name: [] for name in variants}
        env = _environment(python, Path(folder))
        for number in range(_ROUNDS):
            with steps.step(f"Parse, round {number + 1} of {_ROUNDS}"):
                for name, (file, *preloaded) in variants.items():
                    words = (python, REPOSITORY / "scripts" / "benchmarks" / "parse_file.py", file, str(_PARSES))
                    output = capture_output((*words, *preloaded), timeout_s=_TIMEOUT_S, env=env)
                    durations[name] += json.loads(output.splitlines()[-1])
    medians = {name: statistics.median(times) for name, times in durations.items()}
    rows = []
    for name, times in durations.items():
        stock = medians[f"KubernetesPodOperator{name.partition(',')[1]}{name.partition(',')[2]}"]
        rows.append([name, round(medians[name] * 1000), round(min(times) * 1000), round(medians[name] / stock, 2)])
    return {
        "title": f"Parsing a DAG file with {_TASKS} tasks",
        "text": "CPU milliseconds of parsing and serializing the file in a fork of the dag-processor, "
        f"{_ROUNDS * _PARSES} times each, in alternation. Airflow imports its modules before it forks, and so does the "
        "platform's plugin for TeamPodOperator, which would otherwise add two seconds per file. The cluster policy "
        "checks tasks of the stock operator, as in every installation of the platform.",
        "columns": ["operator", "median", "minimum", "ratio of medians"],
        "rows": rows,
    }


def _write_variants(folder: Path) -> dict[str, tuple[str, ...]]:
    """Write the compared DAG files; return for each name the file and the modules to import before the fork.

    The files are in the team's folder, because the cluster policy ignores tasks of the stock operator elsewhere.
    """
    variants: dict[str, tuple[str, ...]] = {}
    dags = folder / "dags" / "alpha"
    dags.mkdir(parents=True)
    for kind, more_arguments in ((", image and arguments only", ""), (", with variables and labels", _MORE_ARGUMENTS)):
        for name, operator in (("KubernetesPodOperator", _STOCK), ("TeamPodOperator", _TEAM)):
            file = dags / f"{name}{len(variants)}.py"
            file.write_text(_FILE.format(tasks=_TASKS, more_arguments=more_arguments, **operator))
            variants[f"{name}{kind}"] = (str(file), _PRELOADED)
    return variants


def _environment(python: Path, folder: Path) -> dict[str, str]:
    """Return variables for a process with Airflow and the contract of the unit tests, which has a team alpha."""
    return {
        "AIRFLOW_HOME": str(folder),
        "KPO_PLATFORM_CONTRACT": str(write_contract(python, folder)),
        "PYTHONPATH": str(REPOSITORY / "platform"),
    }

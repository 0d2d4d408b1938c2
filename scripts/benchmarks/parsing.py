"""What TeamPodOperator costs before any task runs: its import, and the parse of a file with a hundred tasks."""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

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
            {words}
            {team}
        )
"""
_WORDS = 'env_vars={"A": "1", "DAY": "{{ ds }}"}, labels={"stage": "test"},'
_STOCK = {
    "module": "airflow.providers.cncf.kubernetes.operators.pod",
    "operator": "KubernetesPodOperator",
    "team": 'namespace="team-alpha",',
}
_OURS = {"module": "kpo_platform", "operator": "TeamPodOperator", "team": 'team="alpha",'}
_PRELOADED = "kpo_platform.airflow.operators.team_pod"

_TIME = "import time; before = time.process_time(); {statement}; print(time.process_time() - before)"


def measure_import(steps: Steps) -> dict[str, Any]:
    """Measure importing the package, and the operator beside the stock one, each in a process of its own."""
    python = ensure_environment(steps.note) / "python"
    statements = {
        "`import kpo_platform`": "import kpo_platform",
        "`from kpo_platform import TeamPodOperator`": "from kpo_platform import TeamPodOperator",
        "the stock KubernetesPodOperator": f"from {_STOCK['module']} import KubernetesPodOperator",
    }
    with tempfile.TemporaryDirectory() as home:
        env = {"AIRFLOW_HOME": home, "PYTHONPATH": str(REPOSITORY / "platform")}
        rows = []
        for name, statement in statements.items():
            with steps.step(f"Import {name}"):
                words = (python, "-c", _TIME.format(statement=statement))
                taken = [
                    float(capture_output(words, timeout_s=_TIMEOUT_S, env=env).split()[-1]) for _ in range(_IMPORTS)
                ]
            rows.append([name, *(round(number * 1000) for number in (statistics.median(taken), min(taken)))])
    return {
        "title": "Importing kpo_platform",
        "text": f"CPU milliseconds of one import in a fresh process, {_IMPORTS} times each. The package itself loads "
        "neither Airflow nor the Kubernetes client; the operator loads the stock one.",
        "columns": ["import", "median", "least"],
        "rows": rows,
    }


def measure_parse(steps: Steps) -> dict[str, Any]:
    """Measure the parse of a file with a hundred tasks, in forks of a process as the dag-processor makes them."""
    python = ensure_environment(steps.note) / "python"
    with tempfile.TemporaryDirectory() as folder:
        arms = _arms(Path(folder))
        taken: dict[str, list[float]] = {name: [] for name in arms}
        env = _environment(python, Path(folder))
        for number in range(_ROUNDS):
            with steps.step(f"Parse, round {number + 1} of {_ROUNDS}"):
                for name, (file, *preloaded) in arms.items():
                    words = (python, REPOSITORY / "scripts" / "benchmarks" / "parse_file.py", file, str(_PARSES))
                    answer = capture_output((*words, *preloaded), timeout_s=_TIMEOUT_S, env=env)
                    taken[name] += json.loads(answer.splitlines()[-1])
    medians = {name: statistics.median(times) for name, times in taken.items()}
    rows = []
    for name, times in taken.items():
        stock = medians[f"KubernetesPodOperator{name.partition(',')[1]}{name.partition(',')[2]}"]
        rows.append([name, round(medians[name] * 1000), round(min(times) * 1000), round(medians[name] / stock, 2)])
    return {
        "title": f"Parsing a DAG file with {_TASKS} tasks",
        "text": "CPU milliseconds of parsing and serializing the file in a fork of the dag-processor, "
        f"{_ROUNDS * _PARSES} times each, in turn. Airflow loads modules of its own before it forks; the platform's "
        "plugin does the same for TeamPodOperator, which would else take two seconds more per file. Tasks of the stock "
        "operator are judged by the cluster policy, as they are wherever the platform is.",
        "columns": ["operator", "median", "least", "ratio of medians"],
        "rows": rows,
    }


def _arms(folder: Path) -> dict[str, tuple[str, ...]]:
    """What is compared: by the name of each, the file and what is loaded before the fork.

    The files lie in the team's folder: the cluster policy leaves tasks of the stock operator alone anywhere else.
    """
    arms: dict[str, tuple[str, ...]] = {}
    dags = folder / "dags" / "alpha"
    dags.mkdir(parents=True)
    for kind, written in ((", image and arguments only", ""), (", with variables and labels", _WORDS)):
        for name, operator in (("KubernetesPodOperator", _STOCK), ("TeamPodOperator", _OURS)):
            file = dags / f"{name}{len(arms)}.py"
            file.write_text(_FILE.format(tasks=_TASKS, words=written, **operator))
            arms[f"{name}{kind}"] = (str(file), _PRELOADED)
    return arms


def _environment(python: Path, folder: Path) -> dict[str, str]:
    """Variables of a process with Airflow and a published contract: that of the unit tests, with a team alpha."""
    paths = ":".join(str(REPOSITORY / name) for name in ("platform", "tests", "scripts"))
    show = "import json; from unit.contracts import CONTRACT; print(json.dumps(CONTRACT))"
    (folder / "contract.json").write_text(capture_output((python, "-c", show), env={"PYTHONPATH": paths}, timeout_s=60))
    return {
        "AIRFLOW_HOME": str(folder),
        "KPO_PLATFORM_CONTRACT": str(folder / "contract.json"),
        "PYTHONPATH": str(REPOSITORY / "platform"),
    }

"""The modules that an import of the package loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def run(script: str) -> str:
    """Run a script in a new Python process; return its output."""
    env = {"PYTHONPATH": str(REPOSITORY / "platform"), "AIRFLOW_HOME": os.environ["AIRFLOW_HOME"]}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=True).stdout


def test_package_import_loads_neither_airflow_nor_kubernetes():
    assert run("import sys, kpo_platform; print([m for m in ('airflow', 'kubernetes') if m in sys.modules])") == "[]\n"


@pytest.mark.parametrize("name", ["contract", "errors", "testing"])
def test_public_module_loads_neither_airflow_nor_kubernetes(name: str):
    script = f"import sys, kpo_platform.{name}; print([m for m in ('airflow', 'kubernetes') if m in sys.modules])"
    assert run(script) == "[]\n"


@pytest.mark.parametrize(
    ("component", "executor", "start_method", "is_loaded"),
    [
        ("dag-processor", "KubernetesExecutor", "fork", True),
        ("scheduler", "LocalExecutor", "fork", True),
        ("scheduler", "LocalExecutor", "spawn", False),
        ("scheduler", "KubernetesExecutor", "fork", False),
        ("triggerer", "LocalExecutor", "fork", False),
    ],
)
def test_components_that_fork_for_files_or_tasks_preload_the_operator(
    component: str, executor: str, start_method: str, is_loaded: bool
):
    script = f"""
import multiprocessing, os, sys
os.environ["AIRFLOW__CORE__EXECUTOR"] = "{executor}"
multiprocessing.set_start_method("{start_method}")
sys.argv = ["airflow", "{component}"]
from kpo_platform.airflow.plugins import reload_settings as plugin
plugin.on_starting(None)
print("kpo_platform.airflow.operators.team_pod" in sys.modules)
"""
    assert run(script).splitlines()[-1:] == [str(is_loaded)]

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


OPERATOR, BUNDLE = "kpo_platform.airflow.operators.team_pod", "kpo_platform.airflow.bundles.git"
SUPERVISOR, WARNINGS = "airflow.sdk.execution_time.supervisor", "kpo_platform.airflow.policies.trigger_warnings"


@pytest.mark.parametrize(
    ("component", "executor", "start_method", "preloaded"),
    [
        ("dag-processor", "KubernetesExecutor", "fork", [OPERATOR, WARNINGS]),
        ("scheduler", "LocalExecutor", "fork", [OPERATOR, BUNDLE, SUPERVISOR]),
        ("scheduler", "LocalExecutor", "spawn", []),
        ("scheduler", "KubernetesExecutor", "fork", []),
        ("triggerer", "LocalExecutor", "fork", []),
    ],
)
def test_component_imports_what_its_forks_need(component: str, executor: str, start_method: str, preloaded: list[str]):
    bundles = [{"name": "alpha", "classpath": f"{BUNDLE}.TeamGitDagBundle", "kwargs": {}}]
    script = f"""
import json, multiprocessing, os, sys
os.environ["AIRFLOW__CORE__EXECUTOR"] = "{executor}"
os.environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = json.dumps({bundles})
multiprocessing.set_start_method("{start_method}")
sys.argv = ["airflow", "{component}"]
from kpo_platform.airflow.plugins import reload_settings as plugin
plugin.on_starting(None)
print(*(name for name in {[OPERATOR, BUNDLE, SUPERVISOR, WARNINGS]} if name in sys.modules))
"""
    assert run(script).splitlines()[-1].split() == preloaded

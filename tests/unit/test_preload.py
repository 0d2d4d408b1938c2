"""airflow.preload: what a component imports before it forks."""

from __future__ import annotations

import pytest

from unit.support.new_process import run_script

OPERATOR, BUNDLE = "kpo_platform.airflow.operators.team_pod", "kpo_platform.airflow.bundles.git"
SUPERVISOR, WARNINGS = "airflow.sdk.execution_time.supervisor", "kpo_platform.airflow.policies.trigger_warnings"


START = "from kpo_platform.airflow.plugins import reload_settings; reload_settings.on_starting(None)"
CELERY = """
from kpo_platform.airflow.policies import cluster_policy
from celery.signals import import_modules
print(import_modules.send(None))
"""


@pytest.mark.parametrize(
    ("command", "executor", "start_method", "script", "preloaded"),
    [
        ("dag-processor", "KubernetesExecutor", "fork", START, [OPERATOR, WARNINGS]),
        ("scheduler", "LocalExecutor", "fork", START, [OPERATOR, BUNDLE, SUPERVISOR]),
        ("scheduler", "LocalExecutor", "spawn", START, []),
        ("scheduler", "KubernetesExecutor", "fork", START, []),
        ("triggerer", "LocalExecutor", "fork", START, []),
        ("celery worker", "CeleryExecutor", "fork", CELERY, [OPERATOR, BUNDLE, SUPERVISOR]),
        ("celery flower", "CeleryExecutor", "fork", CELERY, []),
    ],
)
def test_component_imports_what_its_forks_need(
    command: str, executor: str, start_method: str, script: str, preloaded: list[str]
):
    lines = run_component(command, executor, start_method, f"{BUNDLE}.TeamGitDagBundle", script)
    assert lines[-1].split() == preloaded


def test_celery_worker_starts_without_a_module_that_cannot_be_imported():
    lines = run_component("celery worker", "CeleryExecutor", "fork", "no.such.Bundle", CELERY)
    assert (lines[-1].split(), "None)]" in lines[-2]) == ([OPERATOR, SUPERVISOR], True), lines


def run_component(command: str, executor: str, start_method: str, bundle: str, script: str) -> list[str]:
    """Run a script in a process of a component; return its output, the last line of which are preloaded modules."""
    bundles = [{"name": "alpha", "classpath": bundle, "kwargs": {}}]
    before = f"""
import json, multiprocessing, os, sys
os.environ["AIRFLOW__CORE__EXECUTOR"] = "{executor}"
os.environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = json.dumps({bundles})
multiprocessing.set_start_method("{start_method}")
sys.argv = ["airflow", *"{command}".split()]
"""
    after = f"print(*(name for name in {[OPERATOR, BUNDLE, SUPERVISOR, WARNINGS]} if name in sys.modules))"
    return run_script(f"{before}\n{script}\n{after}").splitlines()

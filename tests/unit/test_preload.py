"""airflow.preload: what a component imports before it forks."""

from __future__ import annotations

import json

import pytest

from unit.support.new_process import run_script

OPERATOR, BUNDLE = "kpo_platform.airflow.operators.team_pod", "kpo_platform.airflow.bundles.git"
SUPERVISOR, WARNINGS = "airflow.sdk.execution_time.supervisor", "kpo_platform.airflow.policies.trigger_warnings"
POLICIES = ["kpo_platform.airflow.policies.dag_access", "kpo_platform.airflow.policies.task_policy"]
LATE = ["kpo_platform.airflow.policies.pod_mutation", "jinja2.ext", "text_unidecode"]
FOR_TASKS = [OPERATOR, *POLICIES, *LATE, BUNDLE, SUPERVISOR, "certificates"]

PREPARE = """
import multiprocessing, os, sys

def start(command, executor, start_method="fork"):
    os.environ["AIRFLOW__CORE__EXECUTOR"] = executor
    multiprocessing.set_start_method(start_method, force=True)
    sys.argv = ["airflow", *command.split()]
    if command.startswith("celery"):
        from kpo_platform.airflow.policies import cluster_policy
        from celery.signals import import_modules
        print(import_modules.send(None))
    else:
        from kpo_platform.airflow.plugins import reload_settings
        reload_settings.on_starting(None)
"""
REPORT = f"""
loaded = [name for name in {[OPERATOR, *POLICIES, *LATE, BUNDLE, SUPERVISOR, WARNINGS]} if name in sys.modules]
from airflow.sdk.api.client import Client
print(*loaded, *["certificates"] * Client._get_ssl_context_cached.cache_info().currsize)
"""


def run_components(*starts: tuple[str, ...], bundle: str = f"{BUNDLE}.TeamGitDagBundle") -> list[str]:
    """Start components in one process; return its output, the last line of which is what was preloaded."""
    bundles = json.dumps([{"name": "alpha", "classpath": bundle, "kwargs": {}}])
    script = "\n".join([PREPARE, *(f"start{start}" for start in starts), REPORT])
    return run_script(script, AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST=bundles).splitlines()


@pytest.mark.parametrize(
    ("command", "executor", "preloaded"),
    [
        ("dag-processor", "KubernetesExecutor", [OPERATOR, *POLICIES, WARNINGS]),
        ("scheduler", "LocalExecutor", FOR_TASKS),
        ("celery worker", "CeleryExecutor", FOR_TASKS),
    ],
)
def test_component_loads_what_its_forks_need(command: str, executor: str, preloaded: list[str]):
    assert run_components((command, executor))[-1].split() == preloaded


def test_component_without_forks_for_tasks_loads_nothing():
    lines = run_components(
        ("scheduler", "LocalExecutor", "spawn"),
        ("scheduler", "KubernetesExecutor", "fork"),
        ("triggerer", "LocalExecutor", "fork"),
        ("celery flower", "CeleryExecutor", "fork"),
    )
    assert lines[-1] == ""


def test_celery_worker_starts_without_a_module_that_cannot_be_imported():
    lines = run_components(("celery worker", "CeleryExecutor"), bundle="no.such.Bundle")
    assert (lines[-1].split(), "None)]" in lines[-2]) == ([OPERATOR, *POLICIES, *LATE, SUPERVISOR], True), lines

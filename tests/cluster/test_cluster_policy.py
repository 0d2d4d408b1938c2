"""The cluster policy: unchanged DAGs with the stock operator run for their team only."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.support.airflow_runs.dag_run import Run, push_dag
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.git_push import push_files
from stack.pod_watch import watch_pods
from stack.release import Stack

BETA_POD = "metadata: {namespace: team-beta}\nspec: {containers: [{name: base}]}\n"

REFUSED = "namespace is 'team-beta', but team 'alpha' has 'team-alpha'"

REFERENCES = {
    "argument": 'namespace="team-beta"',
    "full_spec": 'full_pod_spec=models.V1Pod(metadata=models.V1ObjectMeta(namespace="team-beta"))',
    "template": 'pod_template_dict={"metadata": {"namespace": "team-beta"}}',
    "file": 'pod_template_file=str(Path(__file__).with_name("beta_pod.yaml"))',
}
"""References to another team that are known at parse time: argument → code."""

DAG = """
from pathlib import Path
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG
from kubernetes.client import models
with DAG("reference_by_{name}", schedule=None):
    KubernetesPodOperator(task_id="t", image="busybox:1.35", {argument})
"""
MAPPED = """
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG
with DAG("reference_by_expansion", schedule=None):
    KubernetesPodOperator.partial(task_id="t", image="busybox:1.35").expand(namespace=["team-alpha", "team-beta"])
"""


@pytest.fixture(scope="module")
def unchanged(stack: Stack, airflow: AirflowApi) -> tuple[Run, list[dict[str, Any]]]:
    """A finished run of a DAG without team settings, and its pods."""
    push_dag(stack, airflow, "alpha", "stock_operator.py", "stock_unchanged")
    with watch_pods(stack) as observed:
        run = Run(stack, airflow, "stock_unchanged", airflow.trigger_run("stock_unchanged"))
        assert run.wait_for_end() == "success", run.read_log("hello")
        pods = [pod for pod in observed.all() if pod["metadata"]["labels"].get("dag_id") == "stock_unchanged"]
    return run, pods


def test_stock_operator_runs_in_its_team_namespace_and_account(
    unchanged: tuple[Run, list[dict[str, Any]]],
):
    run, pods = unchanged
    placements = {
        (
            pod["metadata"]["labels"]["task_id"],
            pod["metadata"]["namespace"],
            pod["spec"]["serviceAccountName"],
            pod["spec"]["automountServiceAccountToken"],
            pod["metadata"]["labels"]["kpo-platform/team"],
            pod["metadata"]["labels"]["owner"],
            pod["spec"]["containers"][0]["resources"]["limits"]["memory"],
        )
        for pod in pods
    }
    assert placements == {
        (task, "team-alpha", "team-pod", False, "alpha", "alpha", "256Mi") for task in ("hello", "each", "double")
    }
    assert run.airflow.read_xcom(run.dag, run.id, "double") == 84


def test_stock_operator_tasks_run_in_the_team_pool(unchanged: tuple[Run, list[dict[str, Any]]]):
    run, _ = unchanged
    pools = {task["task_id"]: task["pool"] for task in run.airflow.list_task_instances(run.dag, run.id)}
    assert pools == {"hello": "team-alpha", "each": "team-alpha", "double": "team-alpha"}


def test_applied_policy_is_logged_once(unchanged: tuple[Run, list[dict[str, Any]]]):
    run, _ = unchanged
    sentence = (
        "Cluster policy: this task runs for team 'alpha', with namespace team-alpha, service account team-pod, pool "
        "team-alpha and connection k8s_default. Labels, template and size are the team's, unless the task sets them."
    )
    assert run.read_log("hello").count(sentence) == 1


def test_reference_to_another_team_is_refused_at_parse_time(stack: Stack, airflow: AirflowApi):
    files = {
        f"reference_by_{name}.py": DAG.format(name=name, argument=argument) for name, argument in REFERENCES.items()
    }
    files["reference_by_expansion.py"] = MAPPED
    url = f"git://{stack.service_address('git-server', 'git')}/alpha.git"
    push_files(url, {**files, "beta_pod.yaml": BETA_POD}, "Refer to team beta")
    try:
        refused = wait_for(
            "Airflow to refuse every file", lambda: _read_import_errors(airflow, set(files)), deadline_s=120
        )
    finally:
        push_files(url, dict.fromkeys(files, ""), "Remove references to team beta")
    for file in files:
        assert REFUSED in refused[file], refused[file]


def _read_import_errors(airflow: AirflowApi, files: set[str]) -> dict[str, str]:
    errors = {error["filename"]: error["stack_trace"] for error in airflow.get("importErrors")["import_errors"]}
    if missing := files - set(errors):
        raise NotYet(f"no import error yet for {sorted(missing)}; there are {sorted(errors)}")
    return errors


def test_templated_reference_to_another_team_fails_without_retry(stack: Stack, airflow: AirflowApi):
    url = f"git://{stack.service_address('git-server', 'git')}/alpha.git"
    push_files(url, {"beta_pod.yaml": BETA_POD}, "Add a pod template for team beta")
    push_dag(stack, airflow, "alpha", "late_reference.py", "late_reference")
    with watch_pods(stack) as observed:
        run = Run(stack, airflow, "late_reference", airflow.trigger_run("late_reference"))
        assert run.wait_for_end() == "failed"
        assert [pod for pod in observed.all() if pod["metadata"]["labels"].get("dag_id") == "late_reference"] == []
    for task in airflow.list_task_instances(run.dag, run.id):
        assert (task["state"], task["try_number"]) == ("failed", 1)
    for task in ("rendered", "file"):
        assert f"RefusedPod: {REFUSED}" in run.read_log(task)
    assert "The label kpo-platform/team is 'beta'" in run.read_log("label")

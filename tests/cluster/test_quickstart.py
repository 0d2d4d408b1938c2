"""The sample DAG: push, run in the team's pod, log and result."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.paths import REPOSITORY
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.release import Stack
from stack.sample_run import SampleRun, run_sample


@pytest.fixture(scope="module")
def sample(stack: Stack, airflow: AirflowApi) -> SampleRun:
    """A run of the sample DAG, pushed with git and triggered with the REST API."""
    return run_sample(Steps(), stack, airflow)


def test_run_and_all_tasks_succeed(sample: SampleRun, airflow: AirflowApi):
    tasks = {task["task_id"]: task["state"] for task in airflow.list_task_instances("hello_team", sample.run)}
    assert (sample.state, tasks) == (
        "success",
        {"hello": "success", "by_output": "success", "by_pull": "success"},
    )


def test_pod_log_is_in_airflows_log(sample: SampleRun):
    assert f"Hello from {sample.pod['metadata']['name']}" in sample.log


def test_pod_result_is_returned_as_a_dictionary(sample: SampleRun):
    assert sample.xcom == {"answer": 42, "from": sample.pod["metadata"]["name"]}


@pytest.mark.parametrize("task", ["by_output", "by_pull"])
def test_next_task_receives_the_result(sample: SampleRun, airflow: AirflowApi, task: str):
    assert airflow.read_xcom("hello_team", sample.run, task) == "the answer is 42"


def test_pod_matches_the_contract(sample: SampleRun):
    metadata, spec = sample.pod["metadata"], sample.pod["spec"]
    labels = ("kpo-platform/team", "dag_id", "task_id", "try_number")
    assert {
        "namespace": metadata["namespace"],
        "service account": spec["serviceAccountName"],
        "token": spec["automountServiceAccountToken"],
        "image": spec["containers"][0]["image"],
        "labels": {key: metadata["labels"][key] for key in labels},
    } == {
        "namespace": "team-alpha",
        "service account": "team-pod",
        "token": False,
        "image": "localhost/kpo-platform/busybox:1.35",
        "labels": {
            "kpo-platform/team": "alpha",
            "dag_id": "hello_team",
            "task_id": "hello",
            "try_number": "1",
        },
    }


def test_task_runs_in_the_team_pool_with_deferred_tasks(sample: SampleRun, airflow: AirflowApi, stack: Stack):
    pools = {task["task_id"]: task["pool"] for task in airflow.list_task_instances("hello_team", sample.run)}
    assert pools == {"hello": "team-alpha", "by_output": "default_pool", "by_pull": "default_pool"}
    pool = airflow.get("pools/team-alpha")
    assert {key: pool[key] for key in ("slots", "include_deferred", "description")} == {
        "slots": 128,
        "include_deferred": True,
        "description": "Tasks of team alpha. Managed by the chart kpo-platform.",
    }


def test_dag_source_is_the_file_of_this_checkout(airflow: AirflowApi):
    source = Path(REPOSITORY / "dags" / "hello_team.py").read_text(encoding="utf-8")
    assert airflow.get("dagSources/hello_team")["content"] == source

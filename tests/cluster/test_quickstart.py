"""The main job: a dropped DAG runs in the team's pod, and its log and result come back."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.paths import REPOSITORY
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.release import Stack
from stack.sample_run import SampleRun, run_sample


@pytest.fixture(scope="module")
def ran(stack: Stack, airflow: AirflowApi) -> SampleRun:
    """One run of the sample DAG, dropped by git push and triggered over the REST API."""
    return run_sample(Steps(), stack, airflow)


def test_the_run_succeeded_and_so_did_every_task(ran: SampleRun, airflow: AirflowApi):
    tasks = {task["task_id"]: task["state"] for task in airflow.list_task_instances("hello_team", ran.run)}
    assert (ran.state, tasks) == (
        "success",
        {"hello": "success", "by_output": "success", "by_pull": "success"},
    )


def test_the_pods_log_line_is_in_airflows_log(ran: SampleRun):
    assert f"Hello from {ran.pod['metadata']['name']}" in ran.log


def test_the_pods_result_comes_back_as_a_dictionary(ran: SampleRun):
    assert ran.xcom == {"answer": 42, "from": ran.pod["metadata"]["name"]}


@pytest.mark.parametrize("task", ["by_output", "by_pull"])
def test_the_next_task_has_the_result_by_output_and_by_pull(ran: SampleRun, airflow: AirflowApi, task: str):
    assert airflow.read_xcom("hello_team", ran.run, task) == "the answer is 42"


def test_the_pod_that_airflow_names_ran_as_the_contract_says(ran: SampleRun):
    metadata, spec = ran.pod["metadata"], ran.pod["spec"]
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


def test_the_task_ran_in_the_teams_pool_which_holds_deferred_tasks_too(
    ran: SampleRun, airflow: AirflowApi, stack: Stack
):
    pools = {task["task_id"]: task["pool"] for task in airflow.list_task_instances("hello_team", ran.run)}
    assert pools == {"hello": "team-alpha", "by_output": "default_pool", "by_pull": "default_pool"}
    pool = airflow.get("pools/team-alpha")
    assert {key: pool[key] for key in ("slots", "include_deferred", "description")} == {
        "slots": 128,
        "include_deferred": True,
        "description": "Tasks of team alpha. Kept by the chart kpo-platform.",
    }


def test_the_sample_is_the_file_of_this_checkout(airflow: AirflowApi):
    source = Path(REPOSITORY / "dags" / "hello_team.py").read_text(encoding="utf-8")
    assert airflow.get("dagSources/hello_team")["content"] == source

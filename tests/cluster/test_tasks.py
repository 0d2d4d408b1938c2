"""Airflow task features with a team's pods: functions, mapping, retries, timeouts, setup, teardown, assets, links."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from cluster.support.airflow_runs.dag_run import Run, push_dag
from stack.airflow_api import AirflowApi
from stack.release import Stack


@pytest.fixture(scope="module")
def runs(stack: Stack, airflow: AirflowApi) -> dict[str, Run]:
    """A finished run of each DAG."""
    push_dag(stack, airflow, "alpha", "functions.py", "functions")
    airflow.wait_for_version("everything", airflow.get("dags/functions/details")["bundle_version"])
    runs = {dag: Run(stack, airflow, dag, airflow.trigger_run(dag)) for dag in ("functions", "everything")}
    for run in runs.values():
        run.wait_for_end()
    return runs


def test_function_runs_in_a_pod_is_mapped_and_retried(runs: dict[str, Run], airflow: AirflowApi):
    run = runs["functions"]
    fields = ("task_id", "map_index", "state", "try_number", "pool")
    tasks = sorted(tuple(item[field] for field in fields) for item in _list_task_instances(run))
    assert tasks == [
        ("double", 0, "success", 2, "team-alpha"),
        ("double", 1, "success", 2, "team-alpha"),
        ("numbers", -1, "success", 1, "team-alpha"),
    ]
    path = f"dags/functions/dagRuns/{quote(run.id)}/taskInstances/double/xcomEntries/return_value"
    values = [airflow.get(f"{path}?map_index={index}&stringify=false")["value"] for index in (0, 1)]
    assert values == [2, 4]


def test_setup_teardown_mapping_timeouts_and_assets_work(runs: dict[str, Run], airflow: AirflowApi):
    run = runs["everything"]
    states = sorted(
        (item["task_id"], item["map_index"], item["state"], item["pool"]) for item in _list_task_instances(run)
    )
    assert states == [
        ("each", 0, "success", "team-alpha"),
        ("each", 1, "success", "team-alpha"),
        ("late", -1, "failed", "team-alpha"),
        ("prepare", -1, "success", "team-alpha"),
        ("tidy", -1, "success", "team-alpha"),
        ("work", -1, "success", "team-alpha"),
    ]
    events = airflow.get("assets/events?order_by=-timestamp&limit=1")["asset_events"]
    assert (events[0]["uri"], events[0]["source_run_id"]) == ("test://everything/", run.id)


def test_additional_template_fields_are_rendered(runs: dict[str, Run]):
    run = runs["everything"]
    assert f"run {run.id} in /work" in run.read_log()


def test_task_links_to_its_pod(runs: dict[str, Run], airflow: AirflowApi):
    run = runs["everything"]
    for task in ("work", "prepare"):
        path = f"dags/everything/dagRuns/{quote(run.id)}/taskInstances/{task}/links"
        name = airflow.read_xcom("everything", run.id, task, "pod_name")
        links = airflow.get(path)["extra_links"]
        assert links == {"Pod": f"https://console.kpo-platform.test/team-alpha/{name}"}


def _list_task_instances(run: Run) -> list[dict[str, object]]:
    return run.airflow.list_task_instances(run.dag, run.id)

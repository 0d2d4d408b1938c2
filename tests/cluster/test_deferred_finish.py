"""The end of deferred tasks in the triggerer, with logs that all components can read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

import pytest

from cluster.support.airflow_runs.dag_run import Run, push_dag
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.airflow_api import AirflowApi, NotFoundError
from stack.install import changed_release
from stack.release import Stack
from stack.shared_logs import VALUES, shared_log_claim

PROCESS = re.compile(r"Worker startup parse complete")


@pytest.fixture(scope="module")
def with_shared_logs(stack: Stack, airflow: AirflowApi) -> Iterator[None]:
    """The release with one log volume for all components; afterwards with its own again."""
    with shared_log_claim(stack), changed_release(Steps(), stack, VALUES):
        push_dag(stack, airflow, "alpha", "deferred_finish.py", "finish_queue")
        yield


@pytest.fixture(scope="module")
def ended_run(with_shared_logs: None, stack: Stack, airflow: AirflowApi) -> Run:
    """A run whose tasks have ended."""
    run = Run(stack, airflow, "finish_tasks", airflow.trigger_run("finish_tasks"))
    assert run.wait_for_end() == "failed"
    return run


@pytest.mark.parametrize(
    ("task", "state", "processes"), [("counts", "success", 1), ("has_outlet", "success", 2), ("fails", "failed", 2)]
)
def test_only_a_success_that_needs_no_worker_ends_without_a_second_process(
    ended_run: Run, task: str, state: str, processes: int
):
    assert (ended_run.task_states()[task], len(PROCESS.findall(ended_run.read_log(task)))) == (state, processes)


def test_the_result_and_each_line_of_a_task_that_the_triggerer_ends_are_stored_once(ended_run: Run):
    lines = re.findall(r"\b(started|counted)$", ended_run.read_log("counts"), re.MULTILINE)
    assert (ended_run.airflow.read_xcom(ended_run.dag, ended_run.id, "counts"), lines) == (
        {"rows": 12},
        ["started", "counted"],
    )


def test_the_pods_of_the_ended_tasks_are_deleted(ended_run: Run):
    def probe() -> None:
        if pods := [pod["metadata"]["name"] for pod in ended_run.list_pods()]:
            raise NotYet(f"pods {pods}")

    wait_for("the pods of the ended tasks to be deleted", probe, deadline_s=90, interval_s=2)


@pytest.fixture
def one_slot(airflow: AirflowApi) -> Iterator[None]:
    """A pool with one slot, for the tasks of this test only."""
    with suppress(NotFoundError):  # of an interrupted run
        airflow.delete("pools/one_slot")
    airflow.post("pools", {"name": "one_slot", "slots": 1, "include_deferred": True})
    yield
    airflow.delete("pools/one_slot")


def test_a_finished_task_of_a_full_pool_does_not_queue_behind_new_ones(
    with_shared_logs: None, one_slot: None, stack: Stack, airflow: AirflowApi
):
    run = Run(stack, airflow, "finish_queue", airflow.trigger_run("finish_queue"))
    assert run.wait_for_end() == "success"
    tasks = sorted(airflow.list_task_instances(run.dag, run.id), key=lambda task: str(task["start_date"]))
    times = [time for task in tasks for time in (task["start_date"], task["end_date"])]
    assert times == sorted(times)

"""Kills of Airflow's pods while tasks run: no task is lost or runs twice.

The tests share one run, which continues through all of them and ends in the last one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cluster.support.airflow_runs.dag_run import Run
from cluster.support.airflow_runs.long_runs import (
    SYNC,
    TASKS,
    LongRun,
    kill_component_pod,
    read_component_pods,
    read_persistent_state,
    run_short_dag,
    start_long_run,
    wait_for_component,
    wait_for_persistent_state,
    wait_until_stable,
)
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.pod_watch import ObservedPods, watch_pods
from stack.release import NAMESPACE, Stack


@pytest.fixture
def sync_run(stack: Stack, airflow: AirflowApi) -> Iterator[LongRun]:
    """A run with a single task, which waits in a worker."""
    wait_until_stable(stack)
    long_run = start_long_run(stack, airflow, "long_tasks_sync")
    yield long_run
    wait_until_stable(stack)
    long_run.fail_run()


def test_terminating_scheduler_waits_for_its_tasks(stack: Stack, sync_run: LongRun):
    name, uid = read_component_pods(stack)["scheduler"]
    stack.kubectl("delete", "pod", "-n", NAMESPACE, name, "--wait=false")
    wait_for("the scheduler to wait for its tasks", lambda: check_waiting(stack, name), deadline_s=60)
    sync_run.finish_tasks()
    assert sync_run.run.wait_for_end() == "success", sync_run.task_states()
    assert sync_run.run.read_log("sync").count("Building pod") == 1
    assert read_component_pods(stack).get("scheduler") != (name, uid)


def check_waiting(stack: Stack, scheduler: str) -> None:
    log = stack.kubectl("logs", "-n", NAMESPACE, scheduler, "-c", "scheduler", "--tail=50")
    if "waiting for running tasks to finish" not in log:
        raise NotYet(log[-500:])


def test_task_that_ends_without_api_server_reports_later(stack: Stack, sync_run: LongRun):
    kill_component_pod(stack, "api-server")
    sync_run.finish_tasks()
    wait_for_component(stack, "api-server")
    assert sync_run.run.wait_for_end() == "success", sync_run.task_states()
    assert (sync_run.task_states()[SYNC], sync_run.run.read_log("sync").count("Building pod")) == (("success", 1), 1)


@dataclass(frozen=True)
class SharedRun:
    """State that the tests share."""

    stack: Stack
    airflow: AirflowApi
    observed: ObservedPods
    history: Run
    before: dict[str, Any]
    long_run: LongRun


@pytest.fixture(scope="module")
def shared_run(stack: Stack, airflow: AirflowApi) -> Iterator[SharedRun]:
    history = run_short_dag(stack, airflow)
    with watch_pods(stack) as observed:
        long_run = start_long_run(stack, airflow)
        try:
            yield SharedRun(stack, airflow, observed, history, read_persistent_state(stack, airflow, history), long_run)
        finally:
            wait_until_stable(stack)
            long_run.fail_run()


@pytest.mark.parametrize("component", ["triggerer", "dag-processor", "postgresql", "api-server", "scheduler"])
def test_pods_survive_the_kill_of_a_component(shared_run: SharedRun, component: str):
    kill_component_pod(shared_run.stack, component)
    wait_until_stable(shared_run.stack)
    assert shared_run.long_run.running_pods() == shared_run.long_run.uids
    assert wait_for_persistent_state(shared_run.stack, shared_run.airflow, shared_run.history) == shared_run.before


def test_task_of_a_killed_worker_adopts_its_pod(shared_run: SharedRun):
    shared_run.long_run.wait_for_sync(2)
    assert shared_run.long_run.running_pods() == shared_run.long_run.uids


def test_all_tasks_succeed_in_their_first_pod(shared_run: SharedRun):
    shared_run.long_run.finish_tasks()
    run = shared_run.long_run.run
    assert run.wait_for_end() == "success", shared_run.long_run.task_states()
    assert {task: state for task, (state, _) in shared_run.long_run.task_states().items()} == dict.fromkeys(
        TASKS, "success"
    )
    assert {
        task: number for task, (_, number) in shared_run.long_run.task_states().items() if task[0] != "sync"
    } == dict.fromkeys(TASKS - {SYNC}, 1)
    assert shared_run.long_run.observed_pod_uids(shared_run.observed) == {
        task: {uid} for task, uid in shared_run.long_run.uids.items()
    }
    for task in ("sync", "deferred"):
        assert run.airflow.read_xcom("long_tasks", run.id, task) == {
            "pod": run.airflow.read_xcom("long_tasks", run.id, task, "pod_name")
        }


def test_log_contains_lines_from_before_and_after(shared_run: SharedRun):
    log = shared_run.long_run.run.read_log("deferred")
    assert [log.count(marker) for marker in ("Building pod", "began", "ended")] == [1, 1, 1]

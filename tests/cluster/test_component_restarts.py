"""Every pod of Airflow is killed in turn while tasks run: nothing is lost, nothing runs twice.

One story: the run of the first chapter goes on through all of them and ends in the last one.
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
def one_sync(stack: Stack, airflow: AirflowApi) -> Iterator[LongRun]:
    """A task that waits in a worker, alone."""
    wait_until_stable(stack)
    it = start_long_run(stack, airflow, "long_tasks_sync")
    yield it
    wait_until_stable(stack)
    it.fail_run()


def test_a_scheduler_that_is_asked_to_stop_waits_for_its_tasks(stack: Stack, one_sync: LongRun):
    name, uid = read_component_pods(stack)["scheduler"]
    stack.kubectl("delete", "pod", "-n", NAMESPACE, name, "--wait=false")
    wait_for("the scheduler to wait for its tasks", lambda: waits(stack, name), deadline_s=60)
    one_sync.finish_tasks()
    assert one_sync.run.wait_for_end() == "success", one_sync.task_states()
    assert one_sync.run.read_log("sync").count("Building pod") == 1
    assert read_component_pods(stack).get("scheduler") != (name, uid)


def waits(stack: Stack, scheduler: str) -> None:
    log = stack.kubectl("logs", "-n", NAMESPACE, scheduler, "-c", "scheduler", "--tail=50")
    if "waiting for running tasks to finish" not in log:
        raise NotYet(log[-500:])


def test_a_task_that_ends_while_the_api_server_is_away_tells_when_it_is_back(stack: Stack, one_sync: LongRun):
    kill_component_pod(stack, "api-server")
    one_sync.finish_tasks()
    wait_for_component(stack, "api-server")
    assert one_sync.run.wait_for_end() == "success", one_sync.task_states()
    assert (one_sync.task_states()[SYNC], one_sync.run.read_log("sync").count("Building pod")) == (("success", 1), 1)


@dataclass(frozen=True)
class Story:
    """What the chapters share."""

    stack: Stack
    airflow: AirflowApi
    seen: ObservedPods
    history: Run
    before: dict[str, Any]
    long_run: LongRun


@pytest.fixture(scope="module")
def story(stack: Stack, airflow: AirflowApi) -> Iterator[Story]:
    history = run_short_dag(stack, airflow)
    with watch_pods(stack) as seen:
        long_run = start_long_run(stack, airflow)
        try:
            yield Story(stack, airflow, seen, history, read_persistent_state(stack, airflow, history), long_run)
        finally:
            wait_until_stable(stack)
            long_run.fail_run()


@pytest.mark.parametrize("component", ["triggerer", "dag-processor", "postgresql", "api-server", "scheduler"])
def test_a_component_is_killed_and_the_tasks_pods_run_on(story: Story, component: str):
    kill_component_pod(story.stack, component)
    wait_until_stable(story.stack)
    assert story.long_run.running_pods() == story.long_run.uids
    assert wait_for_persistent_state(story.stack, story.airflow, story.history) == story.before


def test_the_task_in_the_killed_worker_takes_its_pod_up_again(story: Story):
    story.long_run.wait_for_sync(2)
    assert story.long_run.running_pods() == story.long_run.uids


def test_all_tasks_end_well_in_their_first_pod_with_their_results(story: Story):
    story.long_run.finish_tasks()
    run = story.long_run.run
    assert run.wait_for_end() == "success", story.long_run.task_states()
    assert {task: state for task, (state, _) in story.long_run.task_states().items()} == dict.fromkeys(TASKS, "success")
    assert {
        task: number for task, (_, number) in story.long_run.task_states().items() if task[0] != "sync"
    } == dict.fromkeys(TASKS - {SYNC}, 1)
    assert story.long_run.observed_pod_uids(story.seen) == {task: {uid} for task, uid in story.long_run.uids.items()}
    for task in ("sync", "deferred"):
        assert run.airflow.read_xcom("long_tasks", run.id, task) == {
            "pod": run.airflow.read_xcom("long_tasks", run.id, task, "pod_name")
        }


def test_the_log_from_before_and_after_is_there(story: Story):
    log = story.long_run.run.read_log("deferred")
    assert [log.count(words) for words in ("Building pod", "began", "ended")] == [1, 1, 1]

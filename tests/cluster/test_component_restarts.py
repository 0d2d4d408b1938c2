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
    Lasting,
    components,
    finished_run,
    holdings,
    holdings_again,
    kill,
    settle,
    start,
    wait_until_ready,
)
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.pod_watch import ObservedPods, watch_pods
from stack.release import NAMESPACE, Stack


@pytest.fixture
def one_sync(stack: Stack, airflow: AirflowApi) -> Iterator[Lasting]:
    """A task that waits in a worker, alone."""
    settle(stack)
    it = start(stack, airflow, "lasting_sync")
    yield it
    settle(stack)
    it.stop()


def test_a_scheduler_that_is_asked_to_stop_waits_for_its_tasks(stack: Stack, one_sync: Lasting):
    name, uid = components(stack)["scheduler"]
    stack.kubectl("delete", "pod", "-n", NAMESPACE, name, "--wait=false")
    wait_for("the scheduler to wait for its tasks", lambda: waits(stack, name), deadline_s=60)
    one_sync.tell_to_end()
    assert one_sync.run.end() == "success", one_sync.tasks()
    assert one_sync.run.read_log("sync").count("Building pod") == 1
    assert components(stack).get("scheduler") != (name, uid)


def waits(stack: Stack, scheduler: str) -> None:
    log = stack.kubectl("logs", "-n", NAMESPACE, scheduler, "-c", "scheduler", "--tail=50")
    if "waiting for running tasks to finish" not in log:
        raise NotYet(log[-500:])


def test_a_task_that_ends_while_the_api_server_is_away_tells_when_it_is_back(stack: Stack, one_sync: Lasting):
    kill(stack, "api-server")
    one_sync.tell_to_end()
    wait_until_ready(stack, "api-server")
    assert one_sync.run.end() == "success", one_sync.tasks()
    assert (one_sync.tasks()[SYNC], one_sync.run.read_log("sync").count("Building pod")) == (("success", 1), 1)


@dataclass(frozen=True)
class Story:
    """What the chapters share."""

    stack: Stack
    airflow: AirflowApi
    seen: ObservedPods
    history: Run
    before: dict[str, Any]
    lasting: Lasting


@pytest.fixture(scope="module")
def story(stack: Stack, airflow: AirflowApi) -> Iterator[Story]:
    history = finished_run(stack, airflow)
    with watch_pods(stack) as seen:
        lasting = start(stack, airflow)
        try:
            yield Story(stack, airflow, seen, history, holdings(stack, airflow, history), lasting)
        finally:
            settle(stack)
            lasting.stop()


@pytest.mark.parametrize("component", ["triggerer", "dag-processor", "postgresql", "api-server", "scheduler"])
def test_a_component_is_killed_and_the_tasks_pods_run_on(story: Story, component: str):
    kill(story.stack, component)
    settle(story.stack)
    assert story.lasting.pods() == story.lasting.uids
    assert holdings_again(story.stack, story.airflow, story.history) == story.before


def test_the_task_in_the_killed_worker_takes_its_pod_up_again(story: Story):
    story.lasting.wait_for_sync(2)
    assert story.lasting.pods() == story.lasting.uids


def test_all_tasks_end_well_in_their_first_pod_with_their_results(story: Story):
    story.lasting.tell_to_end()
    run = story.lasting.run
    assert run.end() == "success", story.lasting.tasks()
    assert {task: state for task, (state, _) in story.lasting.tasks().items()} == dict.fromkeys(TASKS, "success")
    assert {task: number for task, (_, number) in story.lasting.tasks().items() if task[0] != "sync"} == dict.fromkeys(
        TASKS - {SYNC}, 1
    )
    assert story.lasting.seen_in(story.seen) == {task: {uid} for task, uid in story.lasting.uids.items()}
    for task in ("sync", "deferred"):
        assert run.airflow.read_xcom("lasting", run.id, task) == {
            "pod": run.airflow.read_xcom("lasting", run.id, task, "pod_name")
        }


def test_the_log_from_before_and_after_is_there(story: Story):
    log = story.lasting.run.read_log("deferred")
    assert [log.count(words) for words in ("Building pod", "began", "ended")] == [1, 1, 1]

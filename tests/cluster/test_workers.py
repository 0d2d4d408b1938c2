"""Pods that run tasks are taken away under them, by a drained node and by a kill.

One story under each executor that has such pods: its run goes on through all chapters and ends in the last one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.support.airflow_runs.executors import release_with_executor
from cluster.support.airflow_runs.long_runs import SYNC, LongRun, kill_component_pod, run_short_dag, start_long_run
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.pod_watch import ObservedPods, watch_pods
from stack.release import NAMESPACE, RELEASE, Stack

WORKER = f"{RELEASE}-worker-0"
GRACE_S = 30
SOONER = {
    "workers": {"terminationGracePeriodSeconds": GRACE_S},
    "config": {"scheduler": {"task_instance_heartbeat_timeout": "60"}, "celery": {"worker_concurrency": 4}},
}
"""What the tests would wait ten minutes for, and five."""

ONCE, DEFERRED = ("once", "-1"), ("deferred", "-1")
celery = pytest.mark.parametrize("executor", ["CeleryExecutor"], indirect=True, scope="module")


@pytest.fixture(scope="module", params=["CeleryExecutor", "KubernetesExecutor"])
def executor(stack: Stack, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[str]:
    """The release with one executor after the other."""
    with release_with_executor(stack, request.param, tmp_path_factory.mktemp("values") / "executor.yaml", SOONER):
        yield request.param


@dataclass(frozen=True)
class Story:
    """What the chapters share."""

    seen: ObservedPods
    long_run: LongRun


@pytest.fixture(scope="module")
def story(executor: str, stack: Stack, airflow: AirflowApi) -> Iterator[Story]:
    with watch_pods(stack) as seen:
        long_run = start_long_run(stack, airflow, "long_tasks_tries")
        long_run.wait_for_sync(1, "once")
        try:
            yield Story(seen, long_run)
        finally:
            long_run.fail_run()


@celery
def test_a_worker_that_is_asked_to_stop_waits_for_tasks_that_end_in_time(
    executor: str, stack: Stack, airflow: AirflowApi
):
    it = start_long_run(stack, airflow, "long_tasks_sync")
    stack.kubectl("delete", "pod", "-n", NAMESPACE, WORKER, "--wait=false")
    wait_for("the worker to wait for its task", lambda: waits(stack), deadline_s=GRACE_S)
    it.finish_tasks()
    assert it.run.wait_for_end() == "success", it.task_states()
    assert (it.task_states()[SYNC], it.run.read_log("sync").count("Building pod")) == (("success", 1), 1)


def waits(stack: Stack) -> None:
    log = stack.kubectl("logs", "-n", NAMESPACE, WORKER, "-c", "worker", "--tail=50")
    if "Warm shutdown" not in log:
        raise NotYet(log[-500:])


def workers(story: Story) -> set[str]:
    """The pods in which tasks of the run wait."""
    run = story.long_run.run
    tasks = run.airflow.list_task_instances(run.dag, run.id)
    return {task["hostname"].partition(".")[0] for task in tasks if task["state"] == "running"}


def kill_processes(stack: Stack, pods: set[str]) -> None:
    """Kill all of the pods' processes on the node, which is this machine, as the kernel does when memory is out."""
    uids = [stack.get("pod", pod, "-n", NAMESPACE)["metadata"]["uid"] for pod in pods]
    for file in Path("/proc").glob("[0-9]*/cgroup"):
        with suppress(OSError):  # it has ended
            if any(uid in file.read_text() for uid in uids):
                os.kill(int(file.parent.name), signal.SIGKILL)


def test_a_drained_node_s_tasks_take_their_pods_up_elsewhere(
    executor: str, stack: Stack, airflow: AirflowApi, story: Story
):
    stack.kubectl("delete", "pod", "-n", NAMESPACE, *workers(story), "--wait=false")
    story.long_run.wait_for_sync(2)
    if executor == "KubernetesExecutor":
        story.long_run.wait_for_sync(2, "once")
    assert (
        story.long_run.task_states()
        == {
            "CeleryExecutor": {SYNC: ("running", 2), ONCE: ("failed", 1), DEFERRED: ("deferred", 1)},
            "KubernetesExecutor": {SYNC: ("running", 1), ONCE: ("running", 1), DEFERRED: ("deferred", 1)},
        }[executor]
    )
    assert story.long_run.running_pods() == story.long_run.uids
    run_short_dag(stack, airflow)


def test_a_killed_scheduler_s_tasks_run_on_where_they_are_and_the_next_one_starts_others(
    executor: str, stack: Stack, airflow: AirflowApi, story: Story
):
    before = (workers(story), story.long_run.task_states())
    kill_component_pod(stack, "scheduler")
    run_short_dag(stack, airflow)
    assert (workers(story), story.long_run.task_states()) == before
    assert story.long_run.running_pods() == story.long_run.uids


def test_a_killed_worker_s_task_takes_its_pod_up_if_it_has_retries_and_fails_if_it_has_none(
    executor: str, stack: Stack, story: Story
):
    tries = story.long_run.task_states()[SYNC][1]
    kill_processes(stack, workers(story))
    story.long_run.wait_for_sync(3)
    wait_for("the task without retries to fail", lambda: failed(story), deadline_s=180, interval_s=1)
    assert story.long_run.task_states() == {
        SYNC: ("running", tries + 1),
        ONCE: ("failed", 1),
        DEFERRED: ("deferred", 1),
    }
    assert story.long_run.running_pods() == story.long_run.uids


def failed(story: Story) -> None:
    if (seen := story.long_run.task_states())[ONCE][0] != "failed":
        raise NotYet(str(seen))


def test_the_failed_task_takes_its_pod_up_once_it_is_cleared(executor: str, story: Story):
    run = story.long_run.run
    body = {"dry_run": False, "dag_run_id": run.id, "task_ids": ["once"], "only_failed": True}
    before = run.read_log("once").count("Pod has reached Running phase")
    run.airflow.post(f"dags/{run.dag}/clearTaskInstances", body)
    story.long_run.wait_for_sync(before + 1, "once")
    assert story.long_run.running_pods() == story.long_run.uids


def test_all_tasks_end_well_each_in_the_one_pod_that_it_ever_had(executor: str, story: Story):
    story.long_run.finish_tasks()
    assert story.long_run.run.wait_for_end() == "success", story.long_run.task_states()
    assert story.long_run.observed_pod_uids(story.seen) == {task: {uid} for task, uid in story.long_run.uids.items()}

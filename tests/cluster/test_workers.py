"""Worker pods are lost while they run tasks: by a drained node and by a kill.

The tests share one run per executor with worker pods, which continues through all of them and ends in the last one.
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
SHORT_TIMEOUTS = {
    "workers": {"terminationGracePeriodSeconds": GRACE_S},
    "config": {"scheduler": {"task_instance_heartbeat_timeout": "60"}, "celery": {"worker_concurrency": 4}},
}
"""Shorter timeouts instead of ten and five minutes."""

ONCE, DEFERRED = ("once", "-1"), ("deferred", "-1")
celery = pytest.mark.parametrize("executor", ["CeleryExecutor"], indirect=True, scope="module")


@pytest.fixture(scope="module", params=["CeleryExecutor", "KubernetesExecutor"])
def executor(stack: Stack, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[str]:
    """The release with one executor after the other."""
    with release_with_executor(
        stack, request.param, tmp_path_factory.mktemp("values") / "executor.yaml", SHORT_TIMEOUTS
    ):
        yield request.param


@dataclass(frozen=True)
class SharedRun:
    """State that the tests share."""

    observed: ObservedPods
    long_run: LongRun


@pytest.fixture(scope="module")
def shared_run(executor: str, stack: Stack, airflow: AirflowApi) -> Iterator[SharedRun]:
    with watch_pods(stack) as observed:
        long_run = start_long_run(stack, airflow, "long_tasks_tries")
        long_run.wait_for_sync(1, "once")
        try:
            yield SharedRun(observed, long_run)
        finally:
            long_run.fail_run()


@celery
def test_terminating_worker_waits_for_tasks_that_end_in_time(executor: str, stack: Stack, airflow: AirflowApi):
    long_run = start_long_run(stack, airflow, "long_tasks_sync")
    stack.kubectl("delete", "pod", "-n", NAMESPACE, WORKER, "--wait=false")
    wait_for("the worker to wait for its task", lambda: check_waiting(stack), deadline_s=GRACE_S)
    long_run.finish_tasks()
    assert long_run.run.wait_for_end() == "success", long_run.task_states()
    assert (long_run.task_states()[SYNC], long_run.run.read_log("sync").count("Building pod")) == (("success", 1), 1)


def check_waiting(stack: Stack) -> None:
    log = stack.kubectl("logs", "-n", NAMESPACE, WORKER, "-c", "worker", "--tail=50")
    if "Warm shutdown" not in log:
        raise NotYet(log[-500:])


def list_worker_pods(shared_run: SharedRun) -> set[str]:
    """Return the pods in which tasks of the run wait."""
    run = shared_run.long_run.run
    tasks = run.airflow.list_task_instances(run.dag, run.id)
    return {task["hostname"].partition(".")[0] for task in tasks if task["state"] == "running"}


def kill_processes(stack: Stack, pods: set[str]) -> None:
    """Kill the pods' processes on the node, which is this machine, as the OOM killer does."""
    uids = [stack.get("pod", pod, "-n", NAMESPACE)["metadata"]["uid"] for pod in pods]
    for file in Path("/proc").glob("[0-9]*/cgroup"):
        with suppress(OSError):  # the process has ended
            if any(uid in file.read_text() for uid in uids):
                os.kill(int(file.parent.name), signal.SIGKILL)


def test_tasks_of_a_drained_node_adopt_their_pods_elsewhere(
    executor: str, stack: Stack, airflow: AirflowApi, shared_run: SharedRun
):
    stack.kubectl("delete", "pod", "-n", NAMESPACE, *list_worker_pods(shared_run), "--wait=false")
    shared_run.long_run.wait_for_sync(2)
    if executor == "KubernetesExecutor":
        shared_run.long_run.wait_for_sync(2, "once")
    assert (
        shared_run.long_run.task_states()
        == {
            "CeleryExecutor": {SYNC: ("running", 2), ONCE: ("failed", 1), DEFERRED: ("deferred", 1)},
            "KubernetesExecutor": {SYNC: ("running", 1), ONCE: ("running", 1), DEFERRED: ("deferred", 1)},
        }[executor]
    )
    assert shared_run.long_run.running_pods() == shared_run.long_run.uids
    run_short_dag(stack, airflow)


def test_tasks_survive_a_killed_scheduler(executor: str, stack: Stack, airflow: AirflowApi, shared_run: SharedRun):
    before = (list_worker_pods(shared_run), shared_run.long_run.task_states())
    kill_component_pod(stack, "scheduler")
    run_short_dag(stack, airflow)
    assert (list_worker_pods(shared_run), shared_run.long_run.task_states()) == before
    assert shared_run.long_run.running_pods() == shared_run.long_run.uids


def test_task_of_a_killed_worker_needs_retries_to_adopt_its_pod(executor: str, stack: Stack, shared_run: SharedRun):
    tries = shared_run.long_run.task_states()[SYNC][1]
    kill_processes(stack, list_worker_pods(shared_run))
    shared_run.long_run.wait_for_sync(3)
    wait_for("the task without retries to fail", lambda: check_failed(shared_run), deadline_s=180, interval_s=1)
    assert shared_run.long_run.task_states() == {
        SYNC: ("running", tries + 1),
        ONCE: ("failed", 1),
        DEFERRED: ("deferred", 1),
    }
    assert shared_run.long_run.running_pods() == shared_run.long_run.uids


def check_failed(shared_run: SharedRun) -> None:
    if (observed := shared_run.long_run.task_states())[ONCE][0] != "failed":
        raise NotYet(str(observed))


def test_failed_task_adopts_its_pod_once_it_is_cleared(executor: str, shared_run: SharedRun):
    run = shared_run.long_run.run
    body = {"dry_run": False, "dag_run_id": run.id, "task_ids": ["once"], "only_failed": True}
    before = run.read_log("once").count("Pod has reached Running phase")
    run.airflow.post(f"dags/{run.dag}/clearTaskInstances", body)
    shared_run.long_run.wait_for_sync(before + 1, "once")
    assert shared_run.long_run.running_pods() == shared_run.long_run.uids


def test_all_tasks_succeed_in_their_first_pods(executor: str, shared_run: SharedRun):
    shared_run.long_run.finish_tasks()
    assert shared_run.long_run.run.wait_for_end() == "success", shared_run.long_run.task_states()
    assert shared_run.long_run.observed_pod_uids(shared_run.observed) == {
        task: {uid} for task, uid in shared_run.long_run.uids.items()
    }

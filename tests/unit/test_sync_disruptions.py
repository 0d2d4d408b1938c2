"""Disruptions under a sync run, and several pods of one task: the right pod is replaced, failed or taken up."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes.client import ApiException

from kpo_platform.airflow.operators.lifecycle.start_record import build_start_id
from unit.support.cluster_server import Cluster, Rule
from unit.support.fake_kubelet import FakePod, Program
from unit.support.task_ends import build_callback, run_until
from unit.support.task_faults import at, kill_while_running
from unit.support.task_process import Run, StartTask, Task


def test_disrupted_pod_is_replaced_three_times_then_the_task_fails(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=30)

    def evict() -> None:
        for pod in fake_cluster.pods.values():
            if pod.containers[0].is_running:
                pod.evict(fake_cluster.now)

    fake_cluster.on_tick = evict
    task = start_task()
    runs = task.run_to_end()
    assert [run.outcome for run in runs[:3]] == ["rescheduled"] * 3
    assert len(runs) == 4
    assert runs[3].outcome.endswith(
        " Its task was restarted 3 times in this try. Check the other workloads of its node, or set resource requests "
        "and a priority class that protect the pod."
    )
    assert [line.split()[1] for line in fake_cluster.ledger] == ["started", "interrupted"] * 4
    assert (fake_cluster.created, fake_cluster.pods) == (4, {})


@pytest.mark.parametrize("at_s", [0.5, 1, 2])
def test_pod_deleted_while_pending_is_replaced(at_s: float, fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.prepare = lambda pod: setattr(pod, "has_room", fake_cluster.created > 1)
    at(at_s, fake_cluster, lambda pod: fake_cluster.pods.pop(pod.name))
    task = start_task()
    runs = task.run_to_end()
    second = task.pod_name(1)
    assert [run.outcome for run in runs] == ["rescheduled", None]
    assert fake_cluster.ledger == [f"{second} started", f"{second} finished with 0"]


def test_pod_that_vanishes_while_its_program_runs_is_replaced(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=20)
    at(5, fake_cluster, lambda pod: fake_cluster.pods.pop(pod.name))
    runs = start_task().run_to_end()
    assert [run.outcome for run in runs] == ["rescheduled", None]


@pytest.mark.parametrize("code", [3, 99])
def test_program_that_failed_by_itself_and_was_then_collected_is_a_failure(
    code: int, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(code=code)
    task = start_task(skip_on_exit_code=99)
    fake_cluster.act("DELETE", lambda: fake_cluster.pods.clear())
    run = task.run()
    assert run.outcome.partition(":")[0] == ("AirflowSkipException" if code == 99 else "AirflowException")


def test_disruption_beats_skip_on_exit_code(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=20, stop_code=99)
    at(5, fake_cluster, lambda pod: pod.evict(fake_cluster.now))
    runs = start_task(skip_on_exit_code=99).run_to_end()
    assert [run.outcome for run in runs] == ["rescheduled", None]


def test_of_several_pods_of_the_task_the_stored_one_is_taken_up(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=20)
    task = start_task()
    kill_while_running(task)
    stored = fake_cluster.pods[task.pod]
    twin = {**stored.pod, "metadata": {**stored.pod["metadata"], "name": "twin", "uid": "uid-twin"}}
    fake_cluster.pods["twin"] = FakePod(twin, fake_cluster.programs, fake_cluster.now, lambda line: None)
    run = task.run()
    assert (run.outcome, run.requests, [*fake_cluster.pods]) == (
        None,
        ["GET POD", "GET pods", "WATCH POD", "DELETE POD"],
        ["twin"],
    )


def test_without_a_stored_pod_the_newest_with_the_tasks_labels_is_taken_up(
    fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(runs_s=40)
    task = start_task()
    kill_while_running(task)
    old = fake_cluster.pods[task.pod]
    newer = {**old.pod, "metadata": {**old.pod["metadata"], "name": "newer", "uid": "uid-newer"}}
    fake_cluster.pods["newer"] = FakePod(newer, fake_cluster.programs, fake_cluster.now + 5, lambda line: None)
    task.store.values.clear()  # type: ignore[union-attr]
    task.reschedules = 1
    run = task.run()
    assert (run.outcome, run.requests[0], run.requests[-1], [*fake_cluster.pods]) == (
        None,
        "GET pods",
        "DELETE POD",
        [task.pod],
    )
    assert build_start_id("ti-1", 0) in task.pod


# What the log says of a pod that is being deleted


def tell_kept(task: Task, run: Run) -> list[str]:
    return [line.replace(task.pod, "POD") for line in run.log if "kept" in line or "keep" in line]


NOT_KEPT = "Pod POD cannot be kept: it is already being deleted."


def drain(pod: FakePod, seconds: float = 0) -> None:
    """Let the cluster delete the pod, whose program runs for some seconds more."""
    pod.deleted_at = 5
    pod.runs_until = 5 + seconds


@pytest.mark.parametrize("action", ["keep_pod", "delete_active_pod", "delete_succeeded_pod"])
def test_drained_pod_is_not_said_to_be_kept(action: str, fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=50)
    task = start_task(on_finish_action=action)
    at(5, fake_cluster, drain)
    first = task.run()
    fake_cluster.sleep(10)
    assert (first.outcome, tell_kept(task, first), fake_cluster.pods) == ("rescheduled", [NOT_KEPT], {})
    assert (task.run().outcome, len(fake_cluster.ledger)) == (None, 4)


def test_failed_task_does_not_say_that_it_keeps_a_pod_that_is_being_deleted(
    fake_cluster: Cluster, start_task: StartTask
):
    def fail_later(name: str, arguments: Any) -> None:
        if name == "on_pod_starting":
            fake_cluster.sleep(10)
            raise RuntimeError(name)

    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task(on_finish_action="keep_pod", callbacks=build_callback(fail_later))
    at(5, fake_cluster, lambda pod: drain(pod, 20))
    run = task.run()
    assert (run.outcome, tell_kept(task, run)[1:]) == ("RuntimeError: on_pod_starting", [NOT_KEPT])


@pytest.mark.parametrize("is_deleted", [True, False])
def test_stopped_task_says_whether_its_pod_runs_on(is_deleted: bool, fake_cluster: Cluster, start_task: StartTask):
    def tick() -> None:
        if fake_cluster.now == 5 and is_deleted:
            drain(fake_cluster.pods[task.pod], 20)
        if fake_cluster.now == 10:
            task.state = "failed"
            task.operator.on_kill()

    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task(on_kill_action="keep_pod")
    fake_cluster.on_tick = tick
    run = task.run()
    kept, deleted = "but its pod keeps running: on_kill_action is 'keep_pod'", "and its pod is already being deleted"
    assert run.outcome == f"AirflowException: The task was stopped, {deleted if is_deleted else kept}."
    assert [line == NOT_KEPT for line in tell_kept(task, run)] == [is_deleted]


@pytest.mark.parametrize("is_deleted", [True, False])
def test_shutdown_of_the_worker_says_that_the_pod_is_kept_unless_it_is_being_deleted(
    is_deleted: bool, fake_cluster: Cluster, start_task: StartTask
):
    def tick() -> None:
        if fake_cluster.now == 5 and is_deleted:
            drain(fake_cluster.pods[task.pod], 20)
        if fake_cluster.now == 10:
            task.operator.on_kill()

    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task()
    fake_cluster.on_tick = tick
    run = task.run()
    kept = "The worker is shutting down: pod POD is kept. The task restarts, and takes up its pod if it has one."
    assert (run.outcome, tell_kept(task, run)) == ("rescheduled", [] if is_deleted else [kept])


@pytest.mark.usefixtures("alarm")
def test_success_that_is_not_read_is_not_left_to_the_next_try_in_a_pod_that_is_being_deleted(
    fake_cluster: Cluster, start_task: StartTask
):
    """The next try would not take it up."""

    def drain_and_fail(request: Any) -> None:
        drain(fake_cluster.pods[task.pod], 50)
        raise ApiException(status=502, reason="error dialing backend")

    fake_cluster.rules += [Rule("exec", drain_and_fail), Rule("exec", lambda request: fake_cluster.sleep(20))]
    task = start_task(do_xcom_push=True)
    assert run_until(15, task).outcome == "AirflowTaskTimeout: Timeout, PID: 1"
    said = [line for line in task.log.lines if "kept" in line or "Deleting" in line]
    assert said == [f"Deleting pod: {task.pod}"]
    fake_cluster.on_tick = lambda: None
    assert (task.retry().outcome, len(fake_cluster.ledger)) == ({"rows": 3}, 4)

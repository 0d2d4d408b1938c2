"""Cleared and stopped tasks in a sync run, and fixed names of their pods."""

from __future__ import annotations

import time
from typing import Any

import pytest

from kpo_platform.airflow.operators.lifecycle import start_record
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from unit.support.cluster_server import Cluster
from unit.support.fake_kubelet import FakePod, Program
from unit.support.task_faults import at, clear, kill_while_running, stop_while_running
from unit.support.task_process import Killed, Run, StartTask, Task


def test_cleared_task_whose_worker_was_lost_continues_with_its_running_pod(
    fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task()
    kill_while_running(task)
    pod = task.pod
    run = clear(task)
    assert (run.outcome, fake_cluster.ledger) == (None, [f"{pod} started", f"{pod} finished with 0"])
    assert f"Reattached to pod {pod} of try 1, whose worker was lost." in run.log


def test_cleared_deferrable_task_gives_the_triggerer_time_to_delete_its_pod(
    fake_cluster: Cluster, start_task: StartTask
):
    """With LocalExecutor the next try starts before the triggerer has heard of the clear."""
    task, pod = defer_and_clear(fake_cluster, start_task)
    at(fake_cluster.now + 4, fake_cluster, lambda pod: setattr(pod, "deleted_at", fake_cluster.now))
    run = task.retry()
    reason = f"Pod {pod} of try 1 is being deleted: the task starts a new pod."
    assert (type(run.error).__name__, reason in run.log) == ("TaskDeferred", True)
    assert fake_cluster.ledger[:2] == [f"{pod} started", f"{pod} interrupted"]


@pytest.mark.parametrize(("arguments", "waits_s"), [({}, 10), ({"on_kill_action": "keep_pod"}, 0)])
def test_cleared_deferrable_task_continues_with_a_pod_that_nothing_deletes(
    arguments: dict[str, Any], waits_s: float, fake_cluster: Cluster, start_task: StartTask
):
    task, pod = defer_and_clear(fake_cluster, start_task, **arguments)
    began_at = fake_cluster.now
    run = task.retry()
    assert f"Reattached to pod {pod} of try 1, whose worker was lost." in run.log
    assert (type(run.error).__name__, fake_cluster.now - began_at) == ("TaskDeferred", waits_s)


def defer_and_clear(cluster: Cluster, start_task: StartTask, **arguments: Any) -> tuple[Task, str]:
    """Defer a task whose program runs, and clear it."""
    cluster.programs["base"] = Program(runs_s=100)
    task = start_task(deferrable=True, **arguments)
    pod = task.pod
    assert type(task.run().error).__name__ == "TaskDeferred"
    cluster.sleep(5)
    task.max_tries = task.try_number + 1
    return task, pod


@pytest.mark.parametrize("code", [0, 3])
def test_cleared_task_whose_pod_has_ended_does_its_work_again(code: int, fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(code=code)
    task = start_task()
    kill_while_running(task)
    pod = task.pod
    fake_cluster.sleep(100)
    fake_cluster.programs["base"] = Program()
    run = clear(task)
    assert (run.outcome, fake_cluster.ledger[2:]) == (None, [f"{task.pod} started", f"{task.pod} finished with 0"])
    assert f"Pod {pod} of try 1 has ended: the task starts a new pod." in run.log


@pytest.mark.parametrize("is_killed", [False, True])
def test_task_cleared_while_it_runs_starts_a_new_pod(
    is_killed: bool, fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task()
    first, run = stop_and_clear(task, monkeypatch, is_killed=is_killed)
    ledger = [
        f"{first} started",
        f"{first} interrupted",
        f"{task.pod} started",
        f"{task.pod} finished with 0",
    ]
    assert (run.outcome, sorted(fake_cluster.ledger), [*fake_cluster.pods]) == (None, sorted(ledger), [])
    reason = f"The task was stopped while pod {first} ran: the task starts a new pod."
    assert (reason in run.log) is is_killed


def stop_and_clear(task: Task, monkeypatch: pytest.MonkeyPatch, *, is_killed: bool) -> tuple[str, Run]:
    """Clear a running task, whose process may be killed before it deletes the pod, and run its next try."""
    first = task.pod
    with monkeypatch.context() as patch:
        if is_killed:
            patch.setattr(PodApi, "delete", kill)
        run = stop_while_running(task)
    assert (run.outcome, isinstance(run.error, Killed)) == (
        ("Killed", True) if is_killed else ("AirflowException: The task was stopped, and its pod was deleted.", False)
    )
    return first, task.retry()


def kill(*_: Any) -> None:
    raise Killed


@pytest.mark.parametrize(
    ("is_slow", "problem"), [(True, "Airflow has not answered within 0.1 s"), (False, "Airflow is away")]
)
def test_stop_does_not_depend_on_its_mark(
    is_slow: bool, problem: str, fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    class Refusing(dict[str, Any]):
        def update(self, values: dict[str, Any]) -> None:  # type: ignore[override]
            if any("stopped" in key for key in values):
                time.sleep(1 if is_slow else 0)
                raise RuntimeError("Airflow is away")

    fake_cluster.programs["base"] = Program(runs_s=100)
    monkeypatch.setattr(start_record, "_STOPPED_TIMEOUT_S", 0.1 if is_slow else 10)
    task = start_task()
    task.xcoms = Refusing()
    assert stop_while_running(task).log[-2:] == [
        f"warning: Cannot mark pod {task.pod} as stopped: {problem}",
        f"Deleting pod: {task.pod}",
    ]


FIXED: dict[str, Any] = {"name": "load", "random_name_suffix": False, "on_finish_action": "keep_pod"}
REPLACED = "Deleting pod: load. The new pod has the same name (random_name_suffix is False)."


def test_kept_pod_with_a_fixed_name_is_replaced_after_a_disruption(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.prepare = lambda pod: setattr(pod, "refusal", "OutOfcpu" if fake_cluster.created == 1 else "")
    runs = start_task(**FIXED).run_to_end()
    assert [run.outcome for run in runs] == ["rescheduled", None]
    assert (REPLACED in runs[1].log, fake_cluster.created, [*fake_cluster.pods]) == (True, 2, ["load"])


@pytest.mark.parametrize("act", [clear, Task.retry], ids=["clear", "retry"])
@pytest.mark.parametrize("reattaches", [True, False])
def test_kept_pod_with_a_fixed_name_is_replaced_by_the_next_try(
    act: Any, reattaches: bool, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(code=3)
    task = start_task(**FIXED, reattach_on_restart=reattaches)
    assert task.run().outcome.startswith("AirflowException: The program failed with exit code 3: hello.")
    fake_cluster.programs["base"] = Program()
    run = act(task)
    assert (run.outcome, REPLACED in run.log, fake_cluster.created) == (None, True, 2)


def test_running_pod_with_a_fixed_name_that_a_stop_has_kept_is_replaced(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task(**FIXED, on_kill_action="keep_pod")
    stop_while_running(task)
    run = task.retry()
    assert (run.outcome, REPLACED in run.log) == (None, True)
    assert fake_cluster.ledger == ["load started", "load interrupted", "load started", "load finished with 0"]


def test_kept_pod_of_another_task_is_not_replaced(fake_cluster: Cluster, start_task: StartTask):
    assert start_task(**FIXED).run().outcome is None
    kept: FakePod = fake_cluster.pods["load"]
    other = start_task(**FIXED)
    other.id = "ti-of-another-run"
    assert other.run().outcome.startswith("PodNameTaken: ")
    assert fake_cluster.pods == {"load": kept}

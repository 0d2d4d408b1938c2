"""Two things go wrong for one pod: what the first process knew is known to the third one, too."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from unit.support.cluster_server import Cluster
from unit.support.fake_kubelet import Program
from unit.support.pod_store import refuse
from unit.support.task_ends import build_callback, fail_in
from unit.support.task_faults import at, clear, stop_while_running
from unit.support.task_process import Killed, Run, StartTask, Task

ONCE, TWICE = 2, 4
"""Lines of the ledger, in which a program starts and ends."""

MAY_NOT_DELETE = refuse(403, "Forbidden", 'pods "p" is forbidden: User "u" cannot delete resource "pods"')


def kill(*_: Any) -> None:
    raise Killed


def stop_without_effect(task: Task, monkeypatch: pytest.MonkeyPatch, request: str = "delete") -> Run:
    """Clear a running task whose process is killed before its request reaches the API server."""
    with monkeypatch.context() as patch:
        patch.setattr(PodApi, request, kill)
        run = stop_while_running(task)
    task.cluster.on_tick = lambda: None
    return run


# A stop, and then the loss of the next process


def test_stopped_pod_that_succeeded_is_not_taken_by_a_later_process_of_the_try(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task()
    first = task.pod
    stop_without_effect(task, monkeypatch)
    fake_cluster.down = (fake_cluster.now, fake_cluster.now + 60)
    at(fake_cluster.now + 20, fake_cluster, lambda pod: task.operator.on_kill())
    assert task.retry().outcome == "rescheduled"
    fake_cluster.on_tick = lambda: None
    fake_cluster.sleep(200)
    run = task.run()
    assert (run.outcome, fake_cluster.ledger[2:]) == (None, [f"{task.pod} started", f"{task.pod} finished with 0"])
    assert f"The task was stopped while pod {first} ran: the task starts a new pod." in run.log


def test_stopped_pod_that_succeeded_is_not_taken_by_a_later_try(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task()
    stop_without_effect(task, monkeypatch)
    fake_cluster.sleep(200)
    fake_cluster.down = (fake_cluster.now, fake_cluster.now + 4000)
    assert "the Kubernetes API did not answer" in str(task.retry().outcome)
    fake_cluster.sleep(1000)
    assert (task.retry().outcome, len(fake_cluster.ledger)) == (None, TWICE)


def test_stopped_pod_that_could_not_be_removed_is_not_taken_up_by_the_next_try(
    fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task()
    fake_cluster.add("DELETE", MAY_NOT_DELETE, 2)
    stop_while_running(task)
    fake_cluster.on_tick = lambda: None
    assert type(task.retry().error).__name__ == "FormerPodRemains"
    run = task.retry()
    assert (run.outcome, [line.split()[1] for line in fake_cluster.ledger]) == (
        None,
        ["started", "interrupted", "started", "finished"],
    )


def test_stopped_pod_that_shall_be_kept_runs_on_when_its_mark_was_lost(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task(on_kill_action="keep_pod")
    first = task.pod
    stop_without_effect(task, monkeypatch, "mark_checked")
    assert task.retry().outcome is None
    assert sorted(line for line in fake_cluster.ledger if line.startswith(first)) == [
        f"{first} finished with 0",
        f"{first} started",
    ]


# A success, and then the loss of its result


def test_work_of_a_result_that_cannot_be_stored_is_done_once_wherever_its_process_is_killed(
    fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.result = json.dumps("x" * 70_000)
    whole = start_task(do_xcom_push=True)
    whole.run()
    for step in range(1, whole.steps.count + 1):
        fake_cluster.pods.clear()
        fake_cluster.ledger.clear()
        task = start_task(do_xcom_push=True)
        task.steps.kill_after = step
        task.run()
        task.steps.kill_after = 0
        task.retry()
        assert len(fake_cluster.ledger) == ONCE, f"killed after step {step} of {whole.steps.count}"


def test_stored_result_is_told_in_every_try_until_airflow_has_it(fake_cluster: Cluster, start_task: StartTask):
    task = start_task(do_xcom_push=True, retries=3)
    task.max_tries = 3
    outcomes = [task.run().outcome, *(task.retry().outcome for _ in range(3))]
    assert (outcomes, len(fake_cluster.ledger)) == ([{"rows": 3}] * 4, ONCE)


def test_success_is_taken_when_the_retries_were_raised_meanwhile(fake_cluster: Cluster, start_task: StartTask):
    task = start_task(retries=2)
    task.max_tries = 2
    task.run()
    task.arguments["retries"] = 3
    assert (task.retry().outcome, len(fake_cluster.ledger)) == (None, ONCE)


# A failure after the success, and then a refused clean-up


def test_bad_result_is_written_again_although_its_pod_was_left(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.add("DELETE", MAY_NOT_DELETE, 1000)
    fake_cluster.result = "no json"
    task = start_task(do_xcom_push=True)
    assert "its result is not JSON" in str(task.run().outcome)
    first, fake_cluster.result = task.pod, '{"rows": 3}'
    run = task.retry()
    assert (run.outcome, len(fake_cluster.ledger)) == ({"rows": 3}, TWICE)
    assert f"An earlier try has failed after the end of pod {first}: the task starts a new pod." in run.log


@pytest.mark.parametrize("name", ["on_pod_completion", "on_pod_teardown", "on_pod_cleanup"])
def test_work_that_a_callback_rejected_is_done_again_although_its_pod_was_left(
    name: str, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.add("DELETE", MAY_NOT_DELETE, 1000)
    task = start_task(callbacks=fail_in(name))
    assert task.run().outcome == f"RuntimeError: {name} of the author"
    task.arguments.pop("callbacks")
    fake_cluster.sleep(300)
    assert (task.retry().outcome, len(fake_cluster.ledger)) == (None, TWICE)


def test_work_that_a_post_execute_rejected_is_done_again_although_its_pod_was_left(
    fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.add("DELETE", MAY_NOT_DELETE, 1000)
    task = start_task(post_execute=lambda context, result: None)
    task.run()  # what the runner calls after it has failed
    assert (task.retry().outcome, len(fake_cluster.ledger)) == (None, TWICE)


def test_pod_of_a_killed_process_is_taken_before_its_post_execute(fake_cluster: Cluster, start_task: StartTask):
    def call(name: str, arguments: dict[str, Any]) -> None:
        if name == "on_pod_completion":
            raise Killed

    task = start_task(post_execute=lambda context, result: None, callbacks=build_callback(call))
    assert isinstance(task.run().error, Killed)
    task.arguments.pop("callbacks")
    assert (task.retry().outcome, len(fake_cluster.ledger)) == (None, ONCE)


def test_result_that_only_the_left_pod_has_is_read_again(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.add("DELETE", MAY_NOT_DELETE, 1000)
    fake_cluster.programs["base"] = Program(result=b'{"a": NaN}')
    task = start_task(xcom="message")
    task.run()
    assert (str(task.retry().outcome), len(fake_cluster.ledger)) == ("{'a': nan}", ONCE)


@pytest.mark.parametrize("name", ["on_pod_completion", "on_pod_teardown"])
def test_work_that_a_callback_rejected_is_done_again_after_a_kill_during_the_clean_up(
    name: str, fake_cluster: Cluster, start_task: StartTask
):
    def call(called: str, arguments: dict[str, Any]) -> None:
        if called == name:
            raise RuntimeError(called)
        if called == "on_pod_cleanup":
            raise Killed

    task = start_task(callbacks=build_callback(call))
    assert isinstance(task.run().error, Killed)
    task.arguments.pop("callbacks")
    assert (task.retry().outcome, len(fake_cluster.ledger)) == (None, TWICE)


@pytest.mark.parametrize("wanted", ["on_pod_creation", "on_pod_starting"])
def test_work_that_an_early_callback_rejected_is_done_again_although_its_pod_was_left(
    wanted: str, fake_cluster: Cluster, start_task: StartTask
):
    def call(name: str, arguments: dict[str, Any]) -> None:
        if name == wanted:
            fake_cluster.sleep(30)
            raise RuntimeError(name)

    fake_cluster.add("DELETE", MAY_NOT_DELETE, 1000)
    task = start_task(callbacks=build_callback(call))
    assert task.run().outcome == f"RuntimeError: {wanted}"
    task.arguments.pop("callbacks")
    assert (task.retry().outcome, len(fake_cluster.ledger)) == (None, TWICE)


@pytest.mark.parametrize(("state", "lines"), [("restarting", TWICE), ("running", ONCE)], ids=["clear", "shutdown"])
def test_clear_during_the_clean_up_of_a_result_that_cannot_be_stored_does_the_work_again(
    state: str, lines: int, fake_cluster: Cluster, start_task: StartTask
):
    def call(name: str, arguments: dict[str, Any]) -> None:
        if name == "on_pod_cleanup":
            task.state = state
            task.operator.on_kill()

    fake_cluster.result = json.dumps("x" * 70_000)
    task = start_task(do_xcom_push=True, callbacks=build_callback(call))
    assert len(task.run().outcome) == 70_000
    task.state = "running"
    task.arguments.pop("callbacks")
    outcome = task.retry().outcome
    assert (outcome == "x" * 70_000, len(fake_cluster.ledger)) == (lines == TWICE, lines)


# Another namespace, and no right to the former one


MAY_NOT_READ = refuse(403, "Forbidden", 'pods "p" is forbidden: User "u" cannot get resource "pods"')


def move(task: Task, cluster: Cluster) -> None:
    """Let the recorded pod be in another namespace, where the task's connection has no rights."""
    assert task.store is not None
    task.store.values["kpo_platform_start"]["namespace"] = "team-former"
    cluster.add("team-former", MAY_NOT_READ, 1000)


def test_task_whose_namespace_has_changed_is_cleared_as_any_other(fake_cluster: Cluster, start_task: StartTask):
    task = start_task()
    task.run()
    first = task.pod
    move(task, fake_cluster)
    run = clear(task)
    assert (run.outcome, len(fake_cluster.ledger)) == (None, TWICE)
    assert (
        f"Cannot read the former pod {first} in namespace team-former: HTTP 403, "
        'pods "p" is forbidden: User "u" cannot get resource "pods". '
        "An earlier process has stored its end."
    ) in run.log


def test_pod_in_a_former_namespace_that_may_run_is_named(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task()
    first = task.pod
    stop_without_effect(task, monkeypatch)
    move(task, fake_cluster)
    assert task.retry().outcome == (
        f"FormerPodRemains: The pod was not created: the task's former pod {first} in namespace team-former may still "
        "run, and the task's connection may not read it: HTTP 403, "
        'pods "p" is forbidden: User "u" cannot get resource "pods". '
        "Give the task's connection the right to read pods in namespace team-former. "
        "Or make sure that the pod is gone, and delete the key kpo_platform_start from the task state store "
        "(Airflow's API, …/taskInstances/…/state-store). Then clear the task."
    )

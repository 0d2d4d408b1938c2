"""The former pods of a task in a sync run: none runs beside a new one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout

from unit.support.cluster_server import Cluster
from unit.support.fake_kubelet import XCOM_SIDECAR, FakePod, Program
from unit.support.pod_store import refuse
from unit.support.task_faults import at, clear, kill_while_running
from unit.support.task_process import Killed, Run, StartTask, Task

Act = Callable[[Task], Run]

NEXT: list[Act] = [Task.run, Task.retry, clear]
NEVER = float("inf")


def lose_worker(fake_cluster: Cluster, start_task: StartTask, **arguments: Any) -> tuple[Task, FakePod]:
    """Start a task with a long program, and kill its process."""
    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task(log_events_on_failure=False, **arguments)
    kill_while_running(task)
    fake_cluster.sleep(5)
    return task, fake_cluster.pods[task.pod]


def drain(pod: FakePod, runs_until: float) -> None:
    """Delete a pod, as a drain of its node does, whose program runs on until then."""
    pod.deleted_at, pod.runs_until = 6, runs_until


def read_ledger(fake_cluster: Cluster) -> list[str]:
    """Read the ledger without the pods' names."""
    return [line.split(" ", 1)[1] for line in fake_cluster.ledger]


ONE_AFTER_ANOTHER = ["started", "interrupted", "started", "finished with 0"]


@pytest.mark.parametrize("reattaches", [True, False])
@pytest.mark.parametrize("act", NEXT, ids=["restart", "retry", "clear"])
def test_new_pod_waits_for_the_program_of_a_pod_that_is_being_deleted(
    act: Act, reattaches: bool, fake_cluster: Cluster, start_task: StartTask
):
    task, pod = lose_worker(fake_cluster, start_task, reattach_on_restart=reattaches)
    drain(pod, 30)
    run = act(task)
    assert (run.outcome, read_ledger(fake_cluster)) == (None, ONE_AFTER_ANOTHER)
    assert f"The new pod is created when the program of the former pod {pod.name} has ended." in run.log


def test_task_on_a_node_that_does_not_answer_starts_no_second_pod(fake_cluster: Cluster, start_task: StartTask):
    task, pod = lose_worker(fake_cluster, start_task)
    drain(pod, NEVER)
    began_at = fake_cluster.now
    assert (task.run().outcome, fake_cluster.created, fake_cluster.now - began_at) == (
        f"FormerPodRemains: The pod was not created: the task's former pod {pod.name} in namespace team-alpha has not "
        "ended within 90 s, perhaps because its node does not answer. A retry waits for it again. If its node does not "
        f"run any more, delete the pod with `kubectl -n team-alpha delete pod {pod.name} --force`.",
        1,
        90,
    )
    pod.runs_until = 0
    assert (task.retry().outcome, read_ledger(fake_cluster)) == (None, ONE_AFTER_ANOTHER)


def shut_down(task: Task) -> None:
    task.operator.on_kill()


def stop(task: Task) -> None:
    task.state = "failed"
    task.operator.on_kill()


def time_out(task: Task) -> None:
    raise AirflowTaskTimeout


@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        (shut_down, "rescheduled"),
        (stop, "AirflowException: The task was stopped, and its pod was deleted."),
        (time_out, "AirflowTaskTimeout"),
    ],
)
def test_wait_for_a_former_pod_ends_at_once_with_its_process(
    act: Callable[[Task], None], outcome: str, fake_cluster: Cluster, start_task: StartTask
):
    task, pod = lose_worker(fake_cluster, start_task)
    drain(pod, NEVER)
    at(20, fake_cluster, lambda _: act(task))
    assert (task.run().outcome, fake_cluster.created, fake_cluster.now) == (outcome, 1, 20)


@pytest.mark.parametrize("action", ["delete_pod", "keep_pod"])
def test_former_pod_that_cannot_be_removed_fails_the_task(action: str, fake_cluster: Cluster, start_task: StartTask):
    task, pod = lose_worker(fake_cluster, start_task, reattach_on_restart=False, on_finish_action=action)
    method = "DELETE" if action == "delete_pod" else "PATCH"
    fake_cluster.add(method, refuse(403, "Forbidden", "pods is forbidden"))
    assert (task.run().outcome, fake_cluster.created) == (
        f"FormerPodRemains: The pod was not created: the task cannot remove its former pod {pod.name} in namespace "
        "team-alpha: HTTP 403, pods is forbidden. Delete that pod, or give the task's connection the right to do it; "
        "then clear the task.",
        1,
    )
    assert (task.retry().outcome, read_ledger(fake_cluster)) == (None, ONE_AFTER_ANOTHER)


def test_former_pod_is_removed_after_an_outage(fake_cluster: Cluster, start_task: StartTask):
    task, _ = lose_worker(fake_cluster, start_task, reattach_on_restart=False)
    fake_cluster.add("DELETE", refuse(503, "ServiceUnavailable", "busy"), times=3)
    assert (task.run().outcome, read_ledger(fake_cluster)) == (None, ONE_AFTER_ANOTHER)


def test_former_pod_that_has_ended_does_not_keep_the_task_from_its_work(fake_cluster: Cluster, start_task: StartTask):
    task, _ = lose_worker(fake_cluster, start_task)
    fake_cluster.sleep(200)
    fake_cluster.add("DELETE", refuse(403, "Forbidden", "pods is forbidden"))
    run = clear(task)
    assert (run.outcome, read_ledger(fake_cluster)) == (None, ["started", "finished with 0"] * 2)


@pytest.mark.parametrize("act", [Task.run, Task.retry], ids=["restart", "retry"])
def test_process_that_is_killed_while_it_ends_a_kept_pod_leaves_none_running(
    act: Act, fake_cluster: Cluster, start_task: StartTask
):
    task, pod = lose_worker(fake_cluster, start_task, reattach_on_restart=False, on_finish_action="keep_pod")
    pod.runs_until = 30
    fake_cluster.act("PATCH", lambda: setattr(task.steps, "kill_after", task.steps.count + 1))
    assert isinstance(task.run().error, Killed)
    task.steps.kill_after = 0
    assert (act(task).outcome, read_ledger(fake_cluster)) == (None, ONE_AFTER_ANOTHER)


@pytest.mark.parametrize("is_own", [True, False])
def test_kept_pod_with_a_fixed_name_is_replaced_only_by_its_task_when_nothing_is_stored(
    is_own: bool, fake_cluster: Cluster, start_task: StartTask
):
    """Airflow has deleted what the task stored, as with `[state_store] clear_on_success`."""
    task = start_task(name="load", random_name_suffix=False, on_finish_action="keep_pod")
    task.run()
    assert task.store is not None
    task.store.values.clear()
    if not is_own:
        fake_cluster.pods["load"].pod["metadata"]["labels"]["run_id"] = "another"
    outcome = clear(task).outcome
    assert (outcome is None, fake_cluster.created) == ((True, 2) if is_own else (False, 1))
    assert is_own or "another pod load exists" in str(outcome)


def test_stop_of_the_next_try_ends_a_pod_whose_sidecar_still_runs(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    task, pod = lose_worker(fake_cluster, start_task, do_xcom_push=True, retries=2)
    fake_cluster.sleep(100)
    assert [each.name for each in pod.mains if each.is_running] == [XCOM_SIDECAR]
    step, task.state = task.steps.take, "failed"

    def stop_after(act: Callable[[], Any]) -> Any:
        monkeypatch.undo()
        answer = step(act)
        task.operator.on_kill()
        return answer

    monkeypatch.setattr(task.steps, "take", stop_after)
    assert task.retry().outcome == "AirflowException: The task was stopped, and its pod was deleted."
    fake_cluster.sleep(40)
    assert fake_cluster.pods == {}

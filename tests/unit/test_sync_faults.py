"""Faults of cluster, worker and users under a sync run: nothing is lost, doubled or falsely successful."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.operators.lifecycle.callbacks import call_back
from kpo_platform.airflow.operators.lifecycle.stop_signal import TaskStopped
from unit.support.cluster_server import Cluster, Rule
from unit.support.fake_kubelet import FakePod, Program
from unit.support.pod_store import refuse
from unit.support.task_ends import EXIT_3, EXITS, build_callback, raise_in, start_last_try
from unit.support.task_faults import answer_looks, at, kill_while_running
from unit.support.task_process import Killed, StartTask


def delete(pod: FakePod) -> None:
    """Delete a pod as another user would."""
    pod.deleted_at = 1


# 1. Cleared tasks


def test_cleared_task_does_not_take_up_a_pod_that_is_being_deleted(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=30, stop_code=0)
    task = start_task()
    kill_while_running(task)
    first = task.pod
    delete(fake_cluster.pods[first])
    run = task.retry()
    assert (run.outcome, [line for line in fake_cluster.ledger if "finished" in line]) == (
        None,
        [f"{task.pod} finished with 0"],
    )
    assert f"Pod {first} of try 1 is being deleted: the task starts a new pod." in run.log


def test_program_that_ends_with_0_when_it_is_stopped_has_not_done_its_work(
    fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(runs_s=30, stop_code=0)
    at(5, fake_cluster, delete)
    runs = start_task().run_to_end()
    assert [run.outcome for run in runs] == ["rescheduled", None]
    assert [line.split(" ", 1)[1] for line in fake_cluster.ledger] == [
        "started",
        "interrupted",
        "started",
        "finished with 0",
    ]


def test_pod_that_a_user_stopped_is_not_taken_up(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=30)
    task = start_task()
    kill_while_running(task)
    first = task.pod
    fake_cluster.pods[first].pod["metadata"]["labels"]["already_checked"] = "True"
    run = task.retry()
    assert (run.outcome, run.requests[:2], f"{task.pod} finished with 0" in fake_cluster.ledger) == (
        None,
        ["GET POD", "POST pods"],
        True,
    )


# 2. Pods that ended unseen


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(0, None), (3, EXIT_3)],
)
def test_pod_that_ended_while_no_worker_looked_gives_its_result(
    code: int, outcome: str | None, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(code=code)
    task = start_task(log_events_on_failure=False)
    kill_while_running(task)
    fake_cluster.sleep(100)
    run = task.run()
    assert (run.outcome and run.outcome.replace(task.pod, "POD"), fake_cluster.created) == (outcome, 1)
    assert run.requests == ["GET POD", *(["GET events"] if code else []), "DELETE POD"]
    assert run.log[2:] == [
        f"Pod {task.pod} ended while no process of the task watched it: the task uses its end.",
        "The log of container base is written from its start: it is not known how much of it an earlier process of "
        "this try has written.",
        "[base] hello",
        f"Deleting pod: {task.pod}",
    ]


# 3. Outages of the API server


OUTAGES = {
    "before the creation": (0, 300),
    "while pending": (1, 300),
    "while running": (3, 300),
    "at the end": (5, 300),
}


@pytest.mark.parametrize("has_result", [True, False])
@pytest.mark.parametrize("when", OUTAGES)
def test_task_waits_while_the_api_server_is_away(
    when: str, has_result: bool, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(runs_s=4)
    fake_cluster.down = OUTAGES[when]
    task = start_task(do_xcom_push=has_result)
    run = task.run()
    assert (run.outcome, fake_cluster.ledger, fake_cluster.pods) == (
        {"rows": 3} if has_result else None,
        [f"{task.pod} started", f"{task.pod} finished with 0"],
        {},
    )
    others = re.compile("Cannot (?!.*(the log of|the events of))|Kubernetes API answers")
    said = [line for line in run.log if others.search(line)]
    assert (len(said), said[-1][:33]) == (2, "The Kubernetes API answers again "), said


@pytest.mark.parametrize("part", ["exec", "DELETE", "GET pods"])
def test_outage_that_begins_with_a_request_of_the_end_is_waited_for(
    part: str, fake_cluster: Cluster, start_task: StartTask
):
    task = start_task(do_xcom_push=True)
    fake_cluster.act(part, lambda: setattr(fake_cluster, "down", (fake_cluster.now, fake_cluster.now + 100)))
    run = task.run()
    assert (run.outcome, fake_cluster.pods, len(fake_cluster.ledger)) == ({"rows": 3}, {}, 2)
    assert fake_cluster.now >= 100


@pytest.mark.parametrize("limit", [{"startup_timeout_seconds": 300}, {"schedule_timeout_seconds": 100}])
@pytest.mark.parametrize("part", ["GET pods", "GET events"])
def test_outage_does_not_count_as_time_without_a_start(
    part: str, limit: dict[str, Any], fake_cluster: Cluster, start_task: StartTask
):
    """Scheduler and kubelet need the API server too, so the pod may find a node, or start, only afterwards."""
    is_scheduled = "startup_timeout_seconds" in limit
    fake_cluster.prepare = lambda pod: pod.__dict__.update(has_room=is_scheduled, runs_until=430)
    at(430, fake_cluster, lambda pod: setattr(pod, "has_room", True))
    fake_cluster.act(part, lambda: setattr(fake_cluster, "down", (fake_cluster.now, fake_cluster.now + 400)))
    task = start_task(**limit)
    run = task.run()
    assert (run.outcome, fake_cluster.ledger, fake_cluster.pods) == (
        None,
        [f"{task.pod} started", f"{task.pod} finished with 0"],
        {},
    )


def test_outage_does_not_count_as_time_without_quota(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.quota, fake_cluster.down = 0, (15, 400)
    at(430, fake_cluster, lambda pod: setattr(fake_cluster, "quota", 1))
    fake_cluster.prepare = lambda pod: setattr(pod, "has_room", False)
    run = start_task(schedule_timeout_seconds=100).run()
    assert (type(run.error).__name__, fake_cluster.created) == ("PodLaunchTimeoutException", 1)


@pytest.mark.parametrize("runs_s", [10, 1000])
def test_pod_that_starts_while_its_late_task_ends_is_left_for_the_next_try(
    runs_s: float, fake_cluster: Cluster, start_task: StartTask
):
    looks = []

    def look(request: Any) -> None:
        looks.extend([fake_cluster.now] if fake_cluster.now >= 100 else [])
        if len(looks) == 2:  # after the one at which the time was over
            fake_cluster.down = (fake_cluster.now, fake_cluster.now + 50)
            fake_cluster.pods[task.pod].has_room = True

    fake_cluster.programs["base"] = Program(runs_s=runs_s)
    fake_cluster.prepare = lambda pod: setattr(pod, "has_room", False)
    fake_cluster.rules.append(Rule("GET pods", look, times=1000))
    task = start_task(schedule_timeout_seconds=100)
    assert task.run().outcome.startswith("PodLaunchTimeoutException: ")
    assert (task.retry().outcome, fake_cluster.created, len(fake_cluster.ledger)) == (None, 1, 2)


@pytest.mark.parametrize("start", [0, 1, 3])
def test_outage_longer_than_the_timeout_leaves_the_pod_and_the_next_try_takes_its_result(
    start: float, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(runs_s=100)
    fake_cluster.down = (start, start + 5000)
    task = start_task(do_xcom_push=True)
    run, first = task.run(), task.pod
    assert run.error.__class__.__name__ == "ApiServerUnavailable"
    assert (
        f"{first} in namespace team-alpha: the Kubernetes API did not answer for 3600 s (policy.apiServerTimeout)"
        in str(run.error)
    )
    assert [*fake_cluster.pods] == ([first] if start else [])
    fake_cluster.sleep(2000)
    assert (task.retry().outcome, len(fake_cluster.ledger)) == ({"rows": 3}, 2)


# 4. Exits of the author's code

ONCE, TWICE = 2, 4
"""Lines of the ledger, in which a program starts and ends."""

LATE = ("on_pod_completion", "on_pod_teardown", "on_pod_cleanup")


@pytest.mark.parametrize(("error", "said"), EXITS)
@pytest.mark.parametrize("name", ["on_pod_creation", "on_pod_starting"])
def test_exit_of_an_early_callback_ends_the_pod(
    name: str, error: BaseException, said: str, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(runs_s=20)
    run = start_last_try(start_task, callbacks=raise_in(name, error)).run()
    fake_cluster.sleep(5)
    assert (run.outcome, fake_cluster.pods) == (f"AirflowException: The task's {name} failed: {said}", {})
    assert run.error is not None
    assert run.error.__cause__ is error


@pytest.mark.parametrize(("error", "said"), EXITS)
@pytest.mark.parametrize("name", LATE)
def test_retry_after_the_exit_of_a_late_callback_does_the_work_again(
    name: str, error: BaseException, said: str, fake_cluster: Cluster, start_task: StartTask
):
    task = start_task(callbacks=raise_in(name, error))
    run = task.run()
    fake_cluster.sleep(5)
    assert (run.outcome, fake_cluster.pods) == (f"AirflowException: The task's {name} failed: {said}", {})
    task.arguments.pop("callbacks")
    assert (task.retry().outcome, len(fake_cluster.ledger)) == (None, TWICE)


@pytest.mark.parametrize("name", LATE)
def test_exit_of_a_late_callback_does_not_hide_the_programs_failure(
    name: str, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(code=3)
    run = start_last_try(start_task, callbacks=raise_in(name, SystemExit(1))).run()
    assert "The program failed with exit code 3: hello." in str(run.outcome)
    assert f"warning: The task's {name} failed: SystemExit: 1" in run.log


def test_exit_when_the_client_is_built_again_leaves_the_pod_to_the_next_try(
    fake_cluster: Cluster, start_task: StartTask
):
    """As any error of a read of the pod."""
    calls: list[str] = []

    def call(name: str, arguments: dict[str, Any]) -> None:
        calls.append(name)
        if calls.count("on_sync_client_creation") in (2, 3):  # for the watch, and for a read of the pod
            raise SystemExit(1)

    fake_cluster.programs["base"] = Program(runs_s=20)
    answer_looks(5, fake_cluster, refuse(401, "Unauthorized", "expired"))
    task = start_task(callbacks=build_callback(call))
    said = f"pod {task.pod} in namespace team-alpha: The task's on_sync_client_creation failed: SystemExit: 1. The task"
    assert str(task.run().outcome).startswith(f"PodUnreadable: Cannot read {said} deletes no pod for this.")
    assert (task.retry().outcome, len(fake_cluster.ledger)) == (None, ONCE)


def test_exit_of_a_subclass_while_it_defers_the_task_ends_the_pod(fake_cluster: Cluster, start_task: StartTask):
    class Deferring(TeamPodOperator):
        def invoke_defer_method(self, **_: Any) -> None:
            raise SystemExit(1)

    fake_cluster.programs["base"] = Program(runs_s=20)
    task = start_last_try(start_task, deferrable=True)
    task.operator_class = Deferring
    run = task.run()
    fake_cluster.sleep(5)
    assert (run.outcome, fake_cluster.pods) == ("SystemExit: 1", {})


@pytest.mark.parametrize("error", [KeyboardInterrupt(), AirflowTaskTimeout("Timeout, PID: 1"), TaskStopped(), Killed()])
def test_what_interrupts_a_callback_passes_through(error: BaseException):
    operator, context = SimpleNamespace(callbacks=[raise_in("on_pod_creation", error)], client=None), Any
    with pytest.raises(type(error)) as raised:
        call_back(operator, context, "on_pod_creation")  # type: ignore[arg-type]
    assert raised.value is error

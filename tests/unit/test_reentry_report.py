"""lifecycle.trigger_report: what a trigger has reported outlasts a shutdown of the worker that has heard of it."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from kpo_platform.airflow.operators.lifecycle.pod_logs import PodLogs
from unit.support.pod_statuses import RUNNING, ended, pod
from unit.support.task_restarts import Store, TaskProcess, send_at
from unit.test_reentry import LOST_EXIT, LOST_RESULT, NAME, STOPPED, change_pod, defer, read_log

DRAINED = [{**STOPPED, "involvedObject": {"fieldPath": "spec.containers{base}"}}]
TAKEN = f"Pod {NAME} no longer exists. Its end is judged by its events and by the trigger's report"
RESTARTED = f"Pod {NAME} no longer exists: the task starts a new pod."


@pytest.fixture
def deferred(task_process: TaskProcess) -> TaskProcess:
    """A task whose program runs and that waits in the triggerer."""
    return start_deferred(task_process)


def start_deferred(task: TaskProcess, **arguments: Any) -> TaskProcess:
    task.arguments = {"deferrable": True, "log_events_on_failure": False, **arguments}
    return defer(task)


def shut_down_at_first_look(task: TaskProcess, fired: str, state: str = "gone", **event: Any) -> None:
    """Let the worker shut down while it looks at a pod that has reached a state before."""
    change_pod(task, state)
    task.pods.before = send_at("GET", signal.SIGTERM)
    assert task.resume(fired, **event) == "rescheduled"
    task.pods.before = lambda request: None
    task.lines.clear()


@pytest.mark.parametrize(("fired", "outcome"), [("success", "None"), ("failed", LOST_EXIT)])
def test_reported_end_of_a_pod_that_is_gone_outlasts_a_shutdown(deferred: TaskProcess, fired: str, outcome: str):
    shut_down_at_first_look(deferred, fired)
    assert (deferred.run(), deferred.pods.created, f"{TAKEN} ({fired})." in deferred.lines) == (outcome, 1, True)
    assert read_log(deferred) == ["The log of container base may be incomplete from its start: the pod is gone."]


def test_reported_end_outlasts_a_second_shutdown(deferred: TaskProcess):
    shut_down_at_first_look(deferred, "success")
    deferred.pods.before = send_at("/events", signal.SIGTERM)
    assert deferred.run() == "rescheduled"
    deferred.pods.before = lambda request: None
    assert (deferred.run(), deferred.pods.created) == ("None", 1)


def test_reported_end_outlasts_a_shutdown_before_the_first_look(deferred: TaskProcess):
    change_pod(deferred, "gone")

    def resume(task: Any, context: Any) -> Any:
        task.on_kill()
        event = {"name": NAME, "namespace": "team-alpha", "status": "success", "message": ""}
        return task.resume_execution("trigger_reentry", {"event": event}, context)

    assert deferred.run(resume) == "rescheduled"
    assert (deferred.run(), deferred.pods.created) == ("None", 1)


def test_reported_end_outlasts_a_shutdown_and_a_pod_that_goes_later(
    deferred: TaskProcess, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patched:
        patched.setattr(PodLogs, "update", lambda logs: deferred.operator.on_kill())
        change_pod(deferred, "succeeded")
        assert deferred.resume("success") == "rescheduled"
    change_pod(deferred, "gone")
    assert (deferred.run(), deferred.pods.created) == ("None", 1)


@pytest.mark.parametrize("xcom", ["message", "sidecar"])
def test_reported_success_whose_result_is_gone_is_not_done_again(task_process: TaskProcess, xcom: str):
    deferred = start_deferred(task_process, xcom=xcom)
    shut_down_at_first_look(deferred, "success")
    assert (deferred.run(), deferred.pods.created) == (LOST_RESULT, 1)


def test_reported_success_ends_a_task_that_does_not_reattach(task_process: TaskProcess):
    deferred = start_deferred(task_process, reattach_on_restart=False)
    shut_down_at_first_look(deferred, "success")
    assert (deferred.run(), deferred.pods.created) == ("None", 1)


def test_reported_success_ends_a_task_whose_uid_was_not_stored(deferred: TaskProcess):
    assert deferred.store is not None
    deferred.store["kpo_platform_start"]["uid"] = ""
    shut_down_at_first_look(deferred, "success")
    assert (deferred.run(), deferred.pods.created) == ("None", 1)


@pytest.mark.parametrize("fired", ["success", "failed"])
def test_drained_pod_starts_again_after_a_shutdown(deferred: TaskProcess, fired: str):
    deferred.pods.events = DRAINED
    shut_down_at_first_look(deferred, fired)
    assert (deferred.run(), deferred.pods.created, RESTARTED in deferred.lines) == ("deferred", 2, True)


@pytest.mark.parametrize("fired", ["error", "timeout"])
def test_pod_of_no_reported_end_starts_again_after_a_shutdown(deferred: TaskProcess, fired: str):
    shut_down_at_first_look(deferred, fired)
    assert (deferred.run(), deferred.pods.created) == ("deferred", 2)


def test_report_of_a_former_pod_does_not_end_its_successor(deferred: TaskProcess):
    deferred.pods.events = DRAINED
    shut_down_at_first_look(deferred, "success")
    assert (deferred.run(), deferred.pods.created) == ("deferred", 2)
    deferred.pods.events = []
    shut_down_at_first_look(deferred, "error")
    assert (deferred.run(), deferred.pods.created) == ("deferred", 3)


def test_pod_that_runs_after_a_reported_end_is_taken_up(deferred: TaskProcess):
    shut_down_at_first_look(deferred, "success", "running")
    assert (deferred.run(), deferred.pods.created) == ("deferred", 1)


def test_report_about_another_pod_of_the_name_is_forgotten_when_the_own_one_runs(task_process: TaskProcess):
    """The trigger looks at a pod by its name: a pod that still runs cannot be the one whose end it has seen."""
    deferred = start_deferred(task_process, name="fixed", random_name_suffix=False)
    deferred.pods.before = send_at("/log", signal.SIGTERM)
    assert deferred.resume("success", _redefer_count=3) == "rescheduled"
    deferred.pods.before = lambda request: None
    change_pod(deferred, "gone")
    assert (deferred.run(), deferred.pods.created) == ("deferred", 2)


def test_ended_namesake_of_a_pod_that_is_gone_is_no_end_after_a_shutdown(task_process: TaskProcess):
    deferred = start_deferred(task_process, name="fixed", random_name_suffix=False)
    deferred.pods.set_status(pod("Succeeded", ended(0))["status"])
    deferred.pods.pod["metadata"]["uid"] = "another"
    shut_down_at_first_look(deferred, "success", "succeeded")
    deferred.pods.status = pod("Running", RUNNING)["status"]
    assert deferred.run().startswith("PodNameTaken: The pod was not created: another pod fixed exists")


def test_task_that_stores_nothing_restarts_although_the_report_is_lost(deferred: TaskProcess):
    class FullStore(Store):
        def set(self, key: str, value: Any) -> None:
            raise OSError("no answer")

    deferred.store = FullStore(deferred.store or {})
    change_pod(deferred, "gone")
    deferred.pods.before = send_at("GET", signal.SIGTERM)
    assert deferred.resume("success") == "rescheduled"
    assert "Airflow did not store what the trigger has reported: no answer" in deferred.lines

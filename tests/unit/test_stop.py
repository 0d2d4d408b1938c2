"""lifecycle: SIGTERM and the end of ``execution_timeout`` at any moment of a task's process."""

from __future__ import annotations

import signal
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner

from kpo_platform.airflow.operators.lifecycle import run
from unit.support.http_server import Answer, Request, status
from unit.support.pod_statuses import ended, pod
from unit.support.stop_moments import (
    ENDED_POD,
    LOG,
    MOMENTS,
    NAME,
    RUNNING_POD,
    Arrange,
    after_the_pod_was_deleted,
    arrange,
    before_execute,
    while_the_pod_is_created,
    while_the_program_runs,
    while_the_rest_of_the_log_is_read,
    while_the_result_is_read,
)
from unit.support.task_restarts import TaskProcess, send, send_at

FAILED_POD = pod("Failed", ended(3))["status"]
DELETED = "AirflowException: The task was stopped, and its pod was deleted."
NO_POD = "AirflowException: The task was stopped before it had a pod."
KEPT = "AirflowException: The task was stopped, but its pod keeps running: on_kill_action is 'keep_pod'."

TERM, TIMEOUT = signal.SIGTERM, signal.SIGALRM


def finish(task: TaskProcess) -> str:
    """Let the program end, and run the next process."""
    task.pods.before = task.pods.after = lambda request: None
    task.pods.set_status(ENDED_POD)
    return task.run()


@pytest.mark.parametrize(("state", "is_twice"), [("failed", False), (None, True)])
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
def test_users_stop_deletes_the_pod(
    task_process: TaskProcess, monkeypatch: pytest.MonkeyPatch, moment: Arrange, state: str | None, is_twice: bool
):
    task_process.state = state
    task_process.at_state_read = lambda: send(TERM) if is_twice else None
    arrange(task_process, monkeypatch, moment, TERM)
    outcome, (was_created, _) = task_process.run(), MOMENTS[moment]
    assert (outcome, task_process.pods.changes, task_process.pods.pods) == (
        (DELETED, ["create", "delete"], {}) if was_created else (NO_POD, [], {})
    )


@pytest.mark.parametrize(("state", "is_twice"), [("running", False), (RuntimeError("Airflow is gone"), True)])
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
def test_shutdown_loses_and_doubles_no_work(task_process: TaskProcess, moment: Arrange, state: Any, is_twice: bool):
    task_process.state = state
    task_process.at_state_read = lambda: send(TERM) if is_twice else None
    with pytest.MonkeyPatch.context() as monkeypatch:
        arrange(task_process, monkeypatch, moment, TERM)
        outcome, (was_created, is_left) = task_process.run(), MOMENTS[moment]
    assert (outcome, bool(task_process.pods.pods), task_process.pods.created) == ("rescheduled", is_left, was_created)
    assert (finish(task_process), task_process.pods.changes) == ("{'rows': 5}", ["create", "delete"])


@pytest.mark.parametrize(("state", "outcome"), [("running", "rescheduled"), ("failed", DELETED)])
@pytest.mark.parametrize("part", ["/log", "DELETE"])
def test_stop_after_execution_timeout_at_the_end_of_a_success_is_not_missed(
    task_process: TaskProcess, monkeypatch: pytest.MonkeyPatch, part: str, state: str, outcome: str
):
    task_process.state = state
    arrange(task_process, monkeypatch, while_the_result_is_read, TERM)
    sent = send_at(part, TIMEOUT, TERM)

    def send_later(request: Request) -> None:
        if "/log" in request.path:  # one request reads the whole log
            threading.Event().wait(0.2)  # until the result is read
            sent(request)
        sent(request)

    task_process.pods.before = send_later
    assert task_process.run() == outcome
    if state == "running":
        assert (finish(task_process), task_process.pods.created) == ("{'rows': 5}", 1)


LATE: dict[Arrange, tuple[str, list[str]]] = {
    while_the_rest_of_the_log_is_read: ("{'rows': 5}", ["create", "delete"]),
    while_the_result_is_read: ("AirflowTaskTimeout", ["create"]),
    after_the_pod_was_deleted: ("{'rows': 5}", ["create", "delete"]),
}
"""Moments at which the program has ended: its success is told, or left to the next try."""


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
def test_execution_timeout_ends_the_pod(task_process: TaskProcess, monkeypatch: pytest.MonkeyPatch, moment: Arrange):
    arrange(task_process, monkeypatch, moment, TIMEOUT)
    outcome, (was_created, _) = task_process.run(), MOMENTS[moment]
    timed_out = "AirflowTaskTimeout", ["create", "delete"] if was_created else []
    assert (outcome, task_process.pods.changes) == LATE.get(moment, timed_out)


@pytest.mark.parametrize(
    ("arguments", "status", "outcome", "changes"),
    [
        ({"deferrable": False, "on_finish_action": "keep_pod"}, FAILED_POD, NO_POD, ["create", "mark"]),
        ({"deferrable": True}, FAILED_POD, NO_POD, ["create"]),
        ({"deferrable": True}, RUNNING_POD, DELETED, ["create", "delete"]),
    ],
    ids=["kept for its author", "ended", "running"],
)
def test_stop_of_the_next_try_ends_the_pod_of_the_former_only_if_it_runs(
    task_process: TaskProcess, monkeypatch: pytest.MonkeyPatch, arguments: Any, status: Any, outcome: str, changes: Any
):
    task_process.arguments = {**arguments, "log_events_on_failure": False}
    task_process.pods.status = RUNNING_POD if arguments["deferrable"] else status
    task_process.run()
    task_process.pods.set_status(status)
    task_process.retry()
    task_process.state = "failed"
    before_execute(task_process, monkeypatch, TERM)
    assert (task_process.run(), task_process.pods.changes) == (outcome, changes)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    ("number", "outcome"),
    [(TERM, "AirflowException: The task was stopped, and its pod may still run."), (TIMEOUT, "AirflowTaskTimeout")],
)
def test_refused_deletion_does_not_hide_why_the_task_ends(
    task_process: TaskProcess, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, outcome: str, method: str
):
    task_process.state = "failed"
    arrange(task_process, monkeypatch, while_the_pod_is_created, number)
    forbidden = status(403, "pods is forbidden")
    task_process.pods.before = lambda request: forbidden if request.method == method else None
    assert (task_process.run(), task_process.pods.changes) == (outcome, ["create"])
    where, kubectl = f"pod {NAME} in namespace team-alpha", f"kubectl -n team-alpha delete pod {NAME}"
    fix = f"Delete it with `{kubectl}`." if number == TERM else "The next try takes it up."
    assert f"Cannot end {where}: HTTP 403, pods is forbidden. {fix}" in task_process.lines


def test_stop_during_an_outage_leaves_the_pod_running(task_process: TaskProcess, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run, "LATE_S", 0.3)
    task_process.state = "failed"
    arrange(task_process, monkeypatch, while_the_program_runs, TERM)
    stop = task_process.pods.before

    def fail_after_the_stop(request: Request) -> Any:
        stop(request)
        return status(503, "busy") if task_process.operator.stop_signal.is_requested else None

    task_process.pods.before = fail_after_the_stop
    assert task_process.run() == "AirflowException: The task was stopped, and its pod may still run."
    assert (task_process.pods.changes, len(task_process.pods.pods)) == (["create"], 1)


def test_log_of_a_success_without_a_result_is_read_before_its_pod_is_deleted(
    task_process: TaskProcess, monkeypatch: pytest.MonkeyPatch
):
    arrange(task_process, monkeypatch, while_the_result_is_read, TIMEOUT)
    act, task_process.ti["max_tries"] = task_process.pods.before, 0

    def answer_late(request: Request) -> Answer | None:
        threading.Event().wait(0.5 if "/log" in request.path else 0)
        return act(request)

    task_process.pods.before = answer_late
    assert (task_process.run(), task_process.pods.changes) == ("AirflowTaskTimeout", ["create", "delete"])
    deleted = task_process.lines.index(f"Deleting pod: {NAME}")
    assert [line for line in task_process.lines[:deleted] if "[base]" in line] == ["[base] one", "[base] two"]


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        ({"on_finish_action": "keep_pod"}, ["create", "end"]),
        ({"on_kill_action": "keep_pod"}, ["create", "delete"]),
    ],
)
def test_execution_timeout_while_the_program_runs_ends_the_pod_as_a_failure_does(
    task_process: TaskProcess, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], changes: list[str]
):
    task_process.arguments = arguments
    arrange(task_process, monkeypatch, while_the_program_runs, TIMEOUT)
    assert (task_process.run(), task_process.pods.changes) == ("AirflowTaskTimeout", changes)


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        ({"on_kill_action": "keep_pod"}, ["create", "delete"]),
        ({"on_finish_action": "keep_pod", "on_kill_action": "keep_pod"}, ["create", "end"]),
    ],
)
def test_execution_timeout_during_the_creation_ends_the_pod_as_a_failure_does(
    task_process: TaskProcess, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], changes: list[str]
):
    task_process.arguments = arguments
    arrange(task_process, monkeypatch, while_the_pod_is_created, TIMEOUT)
    assert (task_process.run(), task_process.pods.changes) == ("AirflowTaskTimeout", changes)


def test_stopped_task_may_keep_its_pod(task_process: TaskProcess, monkeypatch: pytest.MonkeyPatch):
    task_process.state, task_process.arguments = "failed", {"on_kill_action": "keep_pod"}
    arrange(task_process, monkeypatch, while_the_program_runs, TERM)
    assert (task_process.run(), task_process.pods.changes) == (KEPT, ["create", "mark"])
    assert task_process.lines[-1] == (
        f"Pod {NAME} is kept in namespace team-alpha. Inspect it with `kubectl -n team-alpha logs {NAME} -c base` and "
        f"`kubectl -n team-alpha describe pod {NAME}`. Delete it with `kubectl -n team-alpha delete pod {NAME}`."
    )


@pytest.mark.parametrize("state", ["failed", "running"])
def test_signal_after_the_run_does_nothing(task_process: TaskProcess, state: str):
    task_process.state, task_process.pods.status = state, ENDED_POD
    task_process.arguments = {"deferrable": False}

    def execute_then_stop(task: Any, context: Any) -> Any:
        result = task.execute(context)
        send(TERM)
        return result

    assert (task_process.run(execute_then_stop), task_process.pods.changes) == ("None", ["create", "delete"])


@pytest.mark.parametrize(
    ("state", "outcome", "changes"), [("failed", DELETED, ["create", "delete"]), ("running", "rescheduled", ["create"])]
)
@pytest.mark.parametrize("moment", ["GET", "/log"])
def test_signal_after_a_deferral_is_handled_as_before_it(
    task_process: TaskProcess, moment: str, state: str, outcome: str, changes: list[str]
):
    task_process.arguments, task_process.pods.status = {"deferrable": True}, RUNNING_POD
    task_process.pods.log = LOG
    assert task_process.run() == "deferred"
    task_process.pods.set_status(ENDED_POD)
    task_process.state, task_process.pods.before = state, send_at(moment, TERM)
    assert (task_process.resume("success"), task_process.pods.changes) == (outcome, changes)
    if state == "running":
        assert (finish(task_process), task_process.pods.changes) == ("None", ["create", "delete"])


def test_signal_during_a_request_to_airflow_waits_for_its_answer(
    task_process: TaskProcess, monkeypatch: pytest.MonkeyPatch
):
    lock, steps = threading.Lock(), []
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", SimpleNamespace(_thread_lock=lock), raising=False)

    def push(self: TaskProcess, key: str, value: Any) -> None:
        with lock:
            if not steps:
                send(TERM)
            time.sleep(0.1)
            steps.append(f"answered {key}")

    def read_state() -> None:
        steps.append("stopped")
        time.sleep(0.5)  # the signal that is sent again comes after the stop, too

    monkeypatch.setattr(TaskProcess, "_push", push)
    task_process.state, task_process.at_state_read = "failed", read_state
    task_process.arguments, task_process.pods.status = {"deferrable": False}, RUNNING_POD
    marked = "answered kpo_platform_stopped_20e0cf0c37"
    assert (task_process.run(), steps[0], steps[-2:]) == (DELETED, "answered pod_name", ["stopped", marked])


@pytest.mark.parametrize(
    ("reattaches", "words", "changes"),
    [(True, "takes up", ["create"]), (False, "replaces", ["create", "delete", "create"])],
)
def test_shutdown_says_what_becomes_of_the_pod(
    task_process: TaskProcess, reattaches: bool, words: str, changes: list[str]
):
    task = task_process
    task.arguments = {"deferrable": True, "reattach_on_restart": reattaches}
    task.pods.set_status(RUNNING_POD)
    task.pods.after = send_at("POST", TERM)
    assert (task.run(), task.reschedule_delay_s) == ("rescheduled", 10)
    assert task.lines[-1] == f"The worker is shutting down. The task restarts, and {words} its pod if it has one."
    task.pods.after = lambda request: None
    assert (task.run(), task.pods.changes) == ("deferred", changes)

"""Moments of a task's process at which it gets a signal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.operators.lifecycle import patience
from unit.support.http_server import Answer, Fault, Request, status
from unit.support.pod_statuses import RUNNING, ended, pod
from unit.support.task_restarts import TaskProcess, send, send_at

NAME = "t-20e0cf0c37"
RUNNING_POD, ENDED_POD = pod("Running", RUNNING)["status"], pod("Running", ended(0))["status"]
LOG = ["2026-11-29T09:00:06.100000000Z one", "2026-11-29T09:00:06.200000000Z two"]

Arrange = Callable[[TaskProcess, pytest.MonkeyPatch, signal.Signals], None]


def before_execute(task: TaskProcess, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    execute = TeamPodOperator.execute
    monkeypatch.setattr(TeamPodOperator, "execute", lambda self, context: (send(number), execute(self, context))[1])


def while_the_pod_is_built(task: TaskProcess, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    build = TeamPodOperator.build_pod_request_obj

    def build_then_send(self: Any, context: Any = None, **arguments: Any) -> Any:
        request = build(self, context, **arguments)
        send(number)
        return request

    monkeypatch.setattr(TeamPodOperator, "build_pod_request_obj", build_then_send)


def while_the_pod_is_created(task: TaskProcess, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    task.pods.after = send_at("POST", number)


def while_the_answer_to_the_creation_is_lost(
    task: TaskProcess, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    sent = send_at("POST", number)

    def lose(request: Request) -> Answer | None:
        sent(request)
        return Fault.CLOSE if request.method == "POST" else None

    task.pods.after = lose


def while_the_api_server_is_away(task: TaskProcess, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    monkeypatch.setattr(patience, "_FIRST_WAIT_S", 60)
    monkeypatch.setattr(patience, "_LONGEST_WAIT_S", 60)
    monkeypatch.setattr(patience.random, "random", lambda: 1.0)
    failures = [status(503, "busy")]

    def fail_once(request: Request) -> Answer | None:
        if request.method != "GET" or "/log" in request.path or not failures:
            return None
        threading.Timer(0.3, send, [number]).start()
        return failures.pop()

    task.pods.before = fail_once


def while_the_program_runs(task: TaskProcess, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    task.pods.before = send_at(f"GET /api/v1/namespaces/team-alpha/pods/{NAME}", number)


def end_program(task: TaskProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the program end before the first look at its pod."""
    task.pods.status = ENDED_POD


def while_the_rest_of_the_log_is_read(
    task: TaskProcess, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    end_program(task, monkeypatch)
    sent = send_at("/log", number)

    def send_later(request: Request) -> None:
        threading.Event().wait(0.2 if "/log" in request.path else 0)  # until the result is read
        sent(request)

    task.pods.before = send_later


def while_the_result_is_read(task: TaskProcess, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    end_program(task, monkeypatch)
    task.pods.before = send_at("EXEC", number, pause_s=0)


def after_the_pod_was_deleted(task: TaskProcess, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    end_program(task, monkeypatch)
    task.pods.after = send_at("DELETE", number)


MOMENTS: dict[Arrange, tuple[bool, bool]] = {
    before_execute: (False, False),
    while_the_pod_is_built: (False, False),
    while_the_pod_is_created: (True, True),
    while_the_answer_to_the_creation_is_lost: (True, True),
    while_the_api_server_is_away: (True, True),
    while_the_program_runs: (True, True),
    while_the_rest_of_the_log_is_read: (True, True),
    while_the_result_is_read: (True, True),
    after_the_pod_was_deleted: (True, False),
}
"""Moments of a process; whether the pod was created, and whether it exists when the signal arrives."""


def arrange(task: TaskProcess, monkeypatch: pytest.MonkeyPatch, moment: Arrange, number: signal.Signals) -> None:
    task.arguments = {"deferrable": False, **task.arguments, "do_xcom_push": True, "log_events_on_failure": False}
    task.pods.status, task.pods.log, task.pods.result = RUNNING_POD, LOG, {"rows": 5}
    moment(task, monkeypatch, number)

"""lifecycle.run: a deferred task comes back from its trigger, and looks at its pod."""

from __future__ import annotations

import signal
from itertools import product
from typing import Any

import pytest

from kpo_platform.airflow.operators.lifecycle import ending, quota_wait
from unit.support.http_server import Answer, Fault, Request, status
from unit.support.pod_statuses import LATER, RUNNING, WAITING, ended, pod, target
from unit.support.task_restarts import TaskProcess, send_at

NAME = "t-20e0cf0c37"

STATES: dict[str, dict[str, Any]] = {
    "running": pod("Running", RUNNING),
    "pending": pod("Pending", WAITING),
    "succeeded": pod("Succeeded", ended(0)),
    "succeeded beside a sidecar": pod("Running", ended(0), aside=RUNNING),
    "failed": pod("Running", ended(3), aside=RUNNING),
    "out of memory": pod("Running", ended(137, reason="OOMKilled"), aside=RUNNING),
    "evicted": pod("Failed", ended(137, LATER), reason="Evicted", **target("TerminationByKubelet", "low on memory")),
    "being deleted": pod("Running", RUNNING, deleted=True),
    "gone": {},
    "replaced": pod("Running", RUNNING),
}
"""Pods as the task finds them when it comes back."""

FAILED = (
    "AirflowException: The program failed with exit code 3: three. That is the last line of its log: look there for "
    "the cause. [KPO-END111: "
    f"docs/troubleshooting.md#kpo-end111] Pod: {NAME}."
)
OUT_OF_MEMORY = 'AirflowException: The program ran out of memory: container "base" was killed'
LOST_EXIT = (
    f"AirflowException: Pod {NAME} failed. The program failed, and its pod was deleted before its exit code and log "
    "were read."
)
LATE = "AirflowException: trigger: execution_timeout"
LATE_END = f"AirflowException: Pod {NAME} failed. trigger: execution_timeout"
LOST_RESULT = (
    f"AirflowFailException: The program succeeded, but pod {NAME} was deleted before its result was read. "
    "The task is not tried again, because its work is done. [KPO-RES108: docs/troubleshooting.md#kpo-res108]"
)

STATUSES = ("success", "failed", "timeout", "error")

OUTCOMES: dict[str, tuple[str, str, str, str]] = {
    "running": ("deferred", "deferred", LATE, "deferred"),
    "pending": ("deferred", "deferred", LATE, "deferred"),
    "succeeded": ("result",) * 4,
    "succeeded beside a sidecar": ("result",) * 4,
    "failed": (FAILED,) * 4,
    "out of memory": (OUT_OF_MEMORY,) * 4,
    "evicted": ("rescheduled", "rescheduled", LATE_END, "rescheduled"),
    "being deleted": ("deferred", "deferred", LATE, "deferred"),
    "gone": ("result", LOST_EXIT, LATE_END, "rescheduled"),
    "replaced": ("result", LOST_EXIT, LATE_END, "rescheduled"),
}
"""How the process ends, by the pod's state, for each of `STATUSES`."""


def line(second: int, text: str) -> str:
    return f"2026-11-29T09:00:{second:02}.100000000Z {text}"


LOG = [line(6, "one"), line(7, "two"), line(7, "two"), line(8, "three")]


@pytest.fixture
def deferred(task_process: TaskProcess) -> TaskProcess:
    """A task whose program runs and that waits in the triggerer."""
    task_process.arguments = {"deferrable": True, "log_events_on_failure": False}
    return defer(task_process)


def defer(task: TaskProcess) -> TaskProcess:
    task.pods.set_status(STATES["running"]["status"])
    task.pods.log = LOG
    assert task.run() == "deferred"
    task.pods.changes.clear()
    task.lines.clear()
    return task


def change_pod(task: TaskProcess, state: str) -> None:
    """Let the pod reach a state while no process looks."""
    if state == "gone":
        task.pods.pods.clear()
        return
    task.pods.set_status(STATES[state]["status"])
    deletion = {key: value for key, value in STATES[state]["metadata"].items() if key.startswith("deletion")}
    task.pods.pod["metadata"] |= deletion | ({"uid": "another"} if state == "replaced" else {})


def read_log(task: TaskProcess) -> list[str]:
    """Return the program's lines in the task's log, and what is said about them."""
    return [text.removeprefix("[base] ") for text in task.lines if "[base]" in text or "log of" in text]


@pytest.mark.parametrize("last_log_time", [None, "2026-11-29T09:00:07.300000+00:00"])
@pytest.mark.parametrize("xcom", ["", "message", "sidecar"])
@pytest.mark.parametrize(("state", "fired"), [*product(STATES, STATUSES)])
def test_end_is_told_by_the_pod_then_by_the_event(
    task_process: TaskProcess, state: str, fired: str, xcom: str, last_log_time: str | None
):
    task = task_process
    task.arguments = {"deferrable": True, "log_events_on_failure": False, "xcom": xcom or False}
    defer(task)
    task.pods.result = {"rows": 5}
    change_pod(task, "succeeded beside a sidecar" if xcom == "sidecar" and state == "succeeded" else state)
    outcome = task.resume(fired, last_log_time=last_log_time)
    expected = OUTCOMES[state][STATUSES.index(fired)]
    if expected == "result":
        expected = "None" if not xcom else LOST_RESULT if state in ("gone", "replaced") else "{'rows': 5}"
    assert (outcome if expected != OUT_OF_MEMORY else outcome[: len(expected)]) == expected
    is_left = outcome == "deferred" or state in ("gone", "replaced")
    assert task.pods.changes == ([] if is_left else ["delete"])
    has_log = outcome != "deferred" and state not in ("pending", "gone", "replaced")
    read = ((["one"] if last_log_time is None else []) + ["two", "two", "three"]) * has_log
    missing = "from its start" if last_log_time is None else "after 2026-11-29T09:00:06Z"
    if state in ("gone", "replaced"):
        read = [f"The log of container base may be incomplete {missing}: the pod is gone."]
    assert read_log(task) == read
    pushed = xcom == "sidecar" and state in ("failed", "out of memory")
    assert task.xcoms.get("return_value") == ({"rows": 5} if pushed else None)


STOPPED = {"reason": "Killing", "message": "Stopping container base"}


@pytest.mark.parametrize("fired", ["success", "failed"])
def test_deferred_task_whose_pod_was_drained_and_is_gone_starts_again(deferred: TaskProcess, fired: str):
    """The program may end with 0 because it was told to: its trigger cannot know."""
    deferred.pods.events = [{**STOPPED, "involvedObject": {"fieldPath": "spec.containers{base}"}}]
    change_pod(deferred, "gone")
    assert deferred.resume(fired) == "rescheduled"
    deferred.pods.status = STATES["running"]["status"]
    assert (deferred.run(), deferred.pods.created) == ("deferred", 2)


STOPPED_END = "AirflowException: The task was stopped, and its pod was deleted."


@pytest.mark.parametrize("state", ["failed", "success", "restarting"])
def test_task_that_was_stopped_before_its_deferral_ends_its_pod(task_process: TaskProcess, state: str):
    """Airflow refuses to defer a task that does not run any more; no trigger would end the pod."""
    task_process.arguments = {"deferrable": True}
    task_process.pods.set_status(STATES["running"]["status"])
    task_process.state = state
    assert (task_process.run(), task_process.pods.pods) == (STOPPED_END, {})


def test_task_that_was_stopped_before_its_next_deferral_ends_its_pod(deferred: TaskProcess):
    deferred.state = "failed"
    assert (deferred.resume("error"), deferred.pods.pods) == (STOPPED_END, {})


def test_error_events_defer_three_times_then_the_worker_waits(deferred: TaskProcess):
    counts = []
    for _ in range(3):
        assert deferred.resume("error") == "deferred"
        assert deferred.deferral is not None
        trigger: Any = deferred.deferral.trigger
        counts.append(trigger.trigger_kwargs)
    reads = 0

    def end_later(request: Request) -> None:
        nonlocal reads
        reads += request.method == "GET" and "/log" not in request.path
        if reads == 5:
            change_pod(deferred, "succeeded")

    deferred.pods.before = end_later
    assert (deferred.resume("error"), counts) == ("None", [{"_redefer_count": number} for number in (1, 2, 3)])
    assert (read_log(deferred), deferred.pods.changes) == (["one", "two", "two", "three"], ["delete"])


def test_worker_that_waits_for_the_start_counts_the_time_before_it_too(
    deferred: TaskProcess, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(quota_wait, "_LEAST_S", 0)
    change_pod(deferred, "pending")
    deferred.arguments["schedule_timeout_seconds"] = 60
    deferred.pods.pod["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    assert deferred.resume("error", _redefer_count=3) == (
        f"PodLaunchTimeoutException: Pod {NAME} found no node within 60 s (schedule_timeout_seconds, by default the "
        "team's policy.roomTimeout). Kubernetes does not say why."
    )


@pytest.mark.parametrize("count", [0, 3])
def test_image_that_can_never_be_pulled_fails_the_task_at_once(deferred: TaskProcess, count: int):
    never = {"waiting": {"reason": "ErrImageNeverPull", "message": "image is not present with pull policy of Never"}}
    deferred.pods.set_status(pod("Pending", never)["status"])
    assert deferred.resume("error", _redefer_count=count) == (
        "PodLaunchFailedException: The image busybox:1.35 is not on the node, and its pull policy is Never "
        '(ErrImageNeverPull). Set image_pull_policy="IfNotPresent". [KPO-IMG102: '
        f"docs/troubleshooting.md#kpo-img102] Pod: {NAME}."
    )
    assert deferred.pods.changes == ["delete"]


def test_image_that_may_be_pulled_later_defers_again(deferred: TaskProcess):
    busy = {"waiting": {"reason": "ErrImagePull", "message": "pull QPS exceeded"}}
    deferred.pods.set_status(pod("Pending", busy)["status"])
    assert deferred.resume("error") == "deferred"


def shut_down_at_reentry(task: TaskProcess) -> None:
    """Let the worker shut down after it has written all lines of a running program."""
    task.pods.before = send_at("&since", signal.SIGTERM)
    assert task.resume("error", _redefer_count=3) == "rescheduled"
    task.pods.before = lambda request: None


def test_log_continues_after_a_shutdown_and_another_deferral(deferred: TaskProcess):
    shut_down_at_reentry(deferred)
    assert read_log(deferred) == ["one", "two", "two", "three"]
    deferred.pods.log = [*LOG, line(8, "three"), line(9, "four")]
    assert deferred.run() == "deferred"
    assert deferred.deferral is not None
    trigger: Any = deferred.deferral.trigger
    assert str(trigger.last_log_time) == "2026-11-29 09:00:08.100000+00:00"
    change_pod(deferred, "succeeded")
    assert deferred.resume("success", last_log_time=trigger.last_log_time) == "None"
    assert read_log(deferred) == ["one", "two", "two", "three", "three", "four"]


def test_log_continues_after_a_shutdown_then_the_lines_of_the_trigger(deferred: TaskProcess):
    shut_down_at_reentry(deferred)
    deferred.lines.clear()
    deferred.pods.log = [*LOG, line(9, "four"), line(11, "five")]
    assert deferred.run() == "deferred"
    change_pod(deferred, "succeeded")
    assert deferred.resume("success", last_log_time="2026-11-29T09:00:11.300000+00:00") == "None"
    assert read_log(deferred) == ["five"]


def test_worker_that_waits_after_a_deferral_goes_on_after_the_triggers_lines(deferred: TaskProcess):
    deferred.pods.after = lambda request: change_pod(deferred, "succeeded") if "/log" in request.path else None
    outcome = deferred.resume("error", _redefer_count=3, last_log_time="2026-11-29T09:00:07.300000+00:00")
    assert (outcome, read_log(deferred)) == ("None", ["two", "two", "three"])


@pytest.mark.parametrize("fired", STATUSES)
def test_a_busy_api_server_at_reentry_is_waited_for(deferred: TaskProcess, fired: str):
    change_pod(deferred, "succeeded")
    failures: list[Answer] = [status(500, "etcd"), status(503, "busy"), status(429, "slow"), status(500, "etcd")]
    deferred.pods.before = lambda request: failures.pop() if failures else None
    assert (deferred.resume(fired), deferred.pods.changes) == ("None", ["delete"])


def test_a_timeout_ends_the_pod_that_its_task_keeps(task_process: TaskProcess):
    task_process.arguments = {"deferrable": True, "on_finish_action": "keep_pod", "log_events_on_failure": False}
    defer(task_process)
    assert (task_process.resume("timeout"), task_process.pods.changes) == (LATE, ["end"])


@pytest.mark.parametrize("method", ["DELETE", "/log"])
def test_execution_timeout_in_the_clean_up_of_a_late_task_ends_its_pod(deferred: TaskProcess, method: str):
    sent = [send_at(method, signal.SIGALRM)]
    deferred.pods.before = lambda request: (
        sent.pop()(request) or Fault.CLOSE if sent and method in f"{request.method} {request.path}" else None
    )
    assert (deferred.resume("timeout"), deferred.pods.changes) == ("AirflowTaskTimeout", ["delete"])


def test_log_that_is_not_answered_delays_the_end_of_a_late_pod_for_a_minute(
    deferred: TaskProcess, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ending, "LATE_S", 0.3)
    deferred.pods.before = lambda request: Fault.HANG if "/log" in request.path else None
    assert (deferred.resume("timeout"), deferred.pods.changes) == (LATE, ["delete"])
    assert read_log(deferred) == [
        "The log of container base may be incomplete from its start: it was not read within 0.3 s."
    ]


def test_program_that_succeeds_while_its_late_task_ends_is_left_for_the_next_try(deferred: TaskProcess):
    deferred.pods.after = lambda request: change_pod(deferred, "succeeded") if "/log" in request.path else None
    assert (deferred.resume("timeout"), deferred.pods.changes) == (LATE, [])
    deferred.retry()
    assert (deferred.run(), deferred.pods.changes) == ("None", ["delete"])


def test_disrupted_deferred_task_starts_a_new_pod_in_the_same_try(deferred: TaskProcess):
    change_pod(deferred, "evicted")
    assert (deferred.resume("failed"), deferred.reschedule_delay_s) == ("rescheduled", 10)
    deferred.pods.status = STATES["running"]["status"]
    assert (deferred.run(), deferred.pods.changes) == ("deferred", ["delete", "create"])
    assert deferred.pods.pod["metadata"]["name"] != NAME

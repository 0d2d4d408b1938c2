"""lifecycle.run: a deferred task whose trigger has failed, or which was stopped without a triggerer."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.triggers.pod import ContainerState, KubernetesPodTrigger
from airflow.providers.cncf.kubernetes.utils.pod_manager import AsyncPodManager

from kpo_platform.airflow.operators.lifecycle.pod_wait import is_time_up
from unit.support.pod_statuses import RUNNING, WAITING, pod
from unit.support.task_restarts import TaskProcess
from unit.test_reentry import change_pod, defer, shut_down_at_reentry

LATE_START = {"message": "Pod took too long to start. More than 120s. Check the pod events in kubernetes."}


def start_deferred(task: TaskProcess, **arguments: Any) -> TaskProcess:
    """Start a task that waits for its running program in the triggerer."""
    task.arguments = {"deferrable": True, **arguments}
    return defer(task)


def read_trigger(task: TaskProcess) -> Any:
    """Return the trigger with which the task waits."""
    assert task.deferral is not None
    return task.deferral.trigger


def test_clear_of_a_stop_that_no_triggerer_has_received_continues_with_the_pod(task_process: TaskProcess):
    deferred = start_deferred(task_process)
    deferred.retry(max_tries=2)
    assert (deferred.run(), deferred.pods.changes, deferred.pods.created) == ("deferred", [], 1)


def test_restart_counts_the_errors_of_the_trigger_from_zero(task_process: TaskProcess):
    deferred = start_deferred(task_process)
    assert deferred.resume("error", _redefer_count=2) == "deferred"
    assert read_trigger(deferred).trigger_kwargs == {"_redefer_count": 3}
    shut_down_at_reentry(deferred)
    assert deferred.run() == "deferred"
    assert "_redefer_count" not in (read_trigger(deferred).trigger_kwargs or {})


def test_log_of_an_interval_is_written_again_after_an_error_of_the_trigger(task_process: TaskProcess):
    start_deferred(task_process, logging_interval=5)
    assert (task_process.resume("error"), read_trigger(task_process).last_log_time) == ("deferred", None)


# A pod that the trigger has seen pending for too long, perhaps because of an outage


@pytest.mark.parametrize("deadline", [{}, {"_execution_deadline": time.time() + 3600}])
def test_pod_that_has_started_after_its_trigger_fired_late_is_deferred_again(
    task_process: TaskProcess, deadline: dict[str, Any]
):
    start_deferred(task_process)
    assert (task_process.resume("timeout", **LATE_START, **deadline), task_process.pods.changes) == ("deferred", [])
    assert read_trigger(task_process).trigger_kwargs == {"_redefer_count": 1}
    said = f"Pod t-20e0cf0c37 has not ended; its trigger reported: {LATE_START['message']}"
    assert said in task_process.lines


def test_started_pod_whose_trigger_fires_late_again_and_again_is_waited_for(task_process: TaskProcess):
    start_deferred(task_process)
    outcomes = [task_process.resume("timeout", **LATE_START) for _ in range(3)]
    task_process.pods.after = lambda request: change_pod(task_process, "succeeded") if "/log" in request.path else None
    outcomes.append(task_process.resume("timeout", **LATE_START))
    assert (outcomes, task_process.pods.created) == (["deferred"] * 3 + ["None"], 1)


@pytest.mark.parametrize(("state", "outcome"), [("succeeded", "None"), ("evicted", "rescheduled")])
def test_pod_that_has_started_and_ended_after_its_trigger_fired_late_is_judged_by_its_end(
    task_process: TaskProcess, state: str, outcome: str
):
    start_deferred(task_process)
    change_pod(task_process, state)
    assert task_process.resume("timeout", **LATE_START) == outcome


def build_event(reason: str, message: str, container: str = "") -> dict[str, Any]:
    """Build an event of a pod, or of one of its containers."""
    return {"reason": reason, "message": message, "involvedObject": {"fieldPath": container}}


BASE = "spec.containers{base}"
DRAINED = build_event("Killing", "Stopping container base", BASE)
LATE_END = f"AirflowException: Pod t-20e0cf0c37 failed. {LATE_START['message']}"


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (DRAINED, "rescheduled"),
        (build_event("Started", "Container started", BASE), "rescheduled"),
        (build_event("TaintManagerEviction", "Marking for deletion Pod team-alpha/t"), "rescheduled"),
        (build_event("Started", "Container started", "spec.initContainers{first}"), LATE_END),
        (build_event("Killing", "Stopping container first", "spec.initContainers{first}"), LATE_END),
        (build_event("FailedScheduling", "0/3 nodes are available"), LATE_END),
    ],
)
def test_pod_that_is_gone_after_its_trigger_fired_late_is_judged_by_its_events(
    task_process: TaskProcess, event: dict[str, Any], outcome: str
):
    start_deferred(task_process)
    task_process.pods.events = [event]
    change_pod(task_process, "gone")
    assert task_process.resume("timeout", **LATE_START) == outcome


def test_pod_that_is_deleted_before_it_has_started_does_not_hide_a_late_start(task_process: TaskProcess):
    start_deferred(task_process)
    task_process.pods.set_status(pod("Pending", WAITING)["status"])
    task_process.pods.pod["metadata"] |= pod("Pending", WAITING, deleted=True)["metadata"]
    assert task_process.resume("timeout", **LATE_START) == LATE_END


@pytest.mark.parametrize(
    "fired", [{"message": "trigger: execution_timeout"}, {**LATE_START, "_execution_deadline": time.time() - 1}]
)
def test_drain_of_a_pod_that_is_gone_does_not_hide_that_the_tasks_time_is_up(
    task_process: TaskProcess, fired: dict[str, Any]
):
    start_deferred(task_process)
    task_process.pods.events = [DRAINED]
    change_pod(task_process, "gone")
    assert task_process.resume("timeout", **fired) == f"AirflowException: Pod t-20e0cf0c37 failed. {fired['message']}"


@pytest.mark.parametrize("state", ["pending", "running"])
def test_task_whose_time_is_up_as_well_ends_its_pod(task_process: TaskProcess, state: str):
    start_deferred(task_process)
    change_pod(task_process, state)
    outcome = task_process.resume("timeout", **LATE_START, _execution_deadline=time.time() - 1)
    assert (outcome, task_process.pods.changes) == (f"AirflowException: {LATE_START['message']}", ["delete"])


def test_execution_timeout_ends_a_running_pod_by_the_triggers_clock(task_process: TaskProcess):
    start_deferred(task_process)
    outcome = task_process.resume("timeout", _execution_deadline=time.time() + 130)
    assert (outcome, task_process.pods.changes) == ("AirflowException: trigger: execution_timeout", ["delete"])


def test_pod_that_starts_while_its_late_task_ends_is_left_for_the_next_try(task_process: TaskProcess):
    start_deferred(task_process)
    task_process.pods.set_status(pod("Pending", WAITING)["status"])
    reads: list[str] = []

    def start_later(request: Any) -> None:
        reads.extend([request.path] if request.method == "GET" and request.path.endswith("t-20e0cf0c37") else [])
        if len(reads) == 2:  # after the one at which the pod was pending
            task_process.pods.set_status(pod("Running", RUNNING)["status"])

    task_process.pods.before = start_later
    outcome = task_process.resume("timeout", **LATE_START)
    assert (outcome, task_process.pods.changes) == (f"PodLaunchTimeoutException: {LATE_START['message']}", [])
    task_process.retry()
    assert (task_process.run(), task_process.pods.created) == ("deferred", 1)


async def fire(trigger: KubernetesPodTrigger) -> Any:
    """Run a trigger until it fires, and return its event."""
    return (await anext(trigger.run())).payload


@pytest.mark.parametrize("moment", ["before", "pending", "running", "start"])
def test_time_that_is_up_is_read_from_the_providers_event(moment: str, monkeypatch: pytest.MonkeyPatch):
    """The clock does not tell, because the worker's may be behind the triggerer's."""

    async def wait(*_: Any) -> Any:
        await asyncio.sleep(0.2)
        return ContainerState.RUNNING

    async def read_pending(*_: Any) -> Any:
        return SimpleNamespace(status=SimpleNamespace(phase="Pending", conditions=[], container_statuses=None))

    if moment != "start":
        suffix = "_within_deadline" if moment == "running" else ""
        monkeypatch.setattr(KubernetesPodTrigger, f"_wait_for_pod_start{suffix}", wait)
    monkeypatch.setattr(KubernetesPodTrigger, "_get_pod", read_pending)
    monkeypatch.setattr(AsyncPodManager, "read_pod", read_pending)
    monkeypatch.setattr(AsyncPodManager, "watch_pod_events", wait)
    deadline = time.time() + {"before": -1, "start": 60}.get(moment, 0.1)
    trigger = KubernetesPodTrigger(
        "p", "n", datetime.now(UTC), "base", schedule_timeout=0, trigger_kwargs={"_execution_deadline": deadline}
    )
    event = {**asyncio.run(fire(trigger)), "_execution_deadline": time.time() + 60}
    assert (event["status"], is_time_up(event)) == ("timeout", moment != "start")

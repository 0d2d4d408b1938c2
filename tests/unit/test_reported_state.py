"""lifecycle.trigger_report: the last state that a trigger has seen of a pod that is gone."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from kpo_platform.pod.message_result import FIELDS
from kpo_platform.pod.summary import summarize_pod
from unit.support.pod_statuses import RUNNING, ended, pod, target
from unit.support.task_restarts import TaskProcess, send_at
from unit.test_reentry import LOST_RESULT, NAME, change_pod
from unit.test_reentry_report import start_deferred

RESTARTED = "rescheduled"


def report(task: TaskProcess, found: dict[str, Any], **metadata: Any) -> str:
    """Build what a trigger tells of the task's pod in this state."""
    own = {**task.pods.pod["metadata"], **metadata}
    containers = [{"name": "base", **FIELDS}]
    spec = {**found["spec"], "containers": containers}
    return json.dumps(summarize_pod({**found, "metadata": {**found["metadata"], **own}, "spec": spec}))


def resume_without_pod(task: TaskProcess, fired: str, found: dict[str, Any], **metadata: Any) -> str:
    """Resume the task after its trigger has seen a state of its pod, which is gone now."""
    seen = report(task, found, **metadata)
    change_pod(task, "gone")
    return task.resume(fired, pod=seen)


DONE = pod("Succeeded", ended(0, message='{"rows": 5}'))


def test_result_of_a_pod_that_is_gone_is_that_of_its_message(task_process: TaskProcess):
    deferred = start_deferred(task_process, xcom="message")
    assert resume_without_pod(deferred, "success", DONE) == "{'rows': 5}"


def test_success_of_a_pod_that_is_gone_needs_no_result(task_process: TaskProcess):
    assert resume_without_pod(start_deferred(task_process), "success", DONE) == "None"


def test_exit_code_of_a_pod_that_is_gone_is_in_the_error(task_process: TaskProcess):
    outcome = resume_without_pod(start_deferred(task_process), "failed", pod("Failed", ended(3)))
    assert outcome == (
        "AirflowException: The program failed with exit code 3. Look for the cause in its log. [KPO-END111: "
        f"docs/troubleshooting.md#kpo-end111] Pod: {NAME}."
    )


@pytest.mark.parametrize(
    "found",
    [
        pod("Failed", ended(137), reason="Evicted", message="The node was low on resource: memory."),
        pod(
            "Failed",
            ended(143, at="2026-11-29T09:20:05Z"),
            **target("DeletionByTaintManager", "Taint manager: deleting"),
            deleted=True,
        ),
        pod("Running", ended(0, at="2026-11-29T09:20:05Z"), deleted=True),
    ],
    ids=["evicted", "tainted", "stopped with exit code 0"],
)
def test_disrupted_pod_that_is_gone_is_started_again(task_process: TaskProcess, found: dict[str, Any]):
    assert resume_without_pod(start_deferred(task_process), "failed", found) == RESTARTED


def test_pod_whose_end_the_trigger_has_not_seen_is_judged_by_its_events(task_process: TaskProcess):
    assert resume_without_pod(start_deferred(task_process), "error", pod("Running", RUNNING)) == RESTARTED


def test_state_of_another_pod_does_not_count(task_process: TaskProcess):
    deferred = start_deferred(task_process, xcom="message")
    assert resume_without_pod(deferred, "success", DONE, uid="another") == LOST_RESULT


@pytest.mark.parametrize("seen", ["", "{", "[]", '{"metadata": 1}', "null"])
def test_state_that_is_none_does_not_count(task_process: TaskProcess, seen: str):
    deferred = start_deferred(task_process)
    change_pod(deferred, "gone")
    assert deferred.resume("success", pod=seen) == "None"


def test_pod_that_exists_is_judged_by_its_own_state(task_process: TaskProcess):
    deferred = start_deferred(task_process)
    seen = report(deferred, pod("Failed", ended(3)))
    change_pod(deferred, "succeeded")
    assert deferred.resume("failed", pod=seen) == "None"


def test_reported_result_outlasts_a_shutdown(task_process: TaskProcess):
    deferred = start_deferred(task_process, xcom="message")
    seen = report(deferred, DONE)
    change_pod(deferred, "gone")
    deferred.pods.before = send_at("GET", signal.SIGTERM)
    assert deferred.resume("success", pod=seen) == "rescheduled"
    deferred.pods.before = lambda request: None
    assert (deferred.run(), deferred.pods.created) == ("{'rows': 5}", 1)

"""lifecycle.pod_run: Airflow resumes a task because its trigger failed, and nothing watches the pod any more."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.bases.operator import TriggerFailureReason

from unit.support.http_server import Answer, Request, status
from unit.support.pod_statuses import RUNNING, ended, pod
from unit.support.task_ends import build_callback
from unit.support.task_restarts import TaskProcess

TIMED_OUT = f"TaskDeferralTimeout: {TriggerFailureReason.TRIGGER_TIMEOUT}"


@pytest.fixture
def deferred(task_process: TaskProcess) -> TaskProcess:
    """A task whose program runs and that waits in the triggerer."""
    task_process.arguments = {"deferrable": True}
    task_process.pods.status = pod("Running", RUNNING)["status"]
    assert task_process.run() == "deferred"
    return task_process


def fail_trigger(task: TaskProcess, error: Any = TriggerFailureReason.TRIGGER_TIMEOUT) -> str:
    arguments = {"error": error, "traceback": ["Traceback"]}
    return task.run(lambda operator, context: operator.resume_execution("__fail__", arguments, context))


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(TriggerFailureReason.TRIGGER_TIMEOUT, TIMED_OUT), ("no such class", "TaskDeferralError: no such class")],
)
def test_failed_trigger_ends_the_pod(deferred: TaskProcess, error: Any, outcome: str):
    assert (fail_trigger(deferred, error), deferred.pods.changes) == (outcome, ["create", "delete"])


def test_failed_trigger_ends_the_pod_that_its_task_keeps(deferred: TaskProcess):
    deferred.arguments = {"deferrable": True, "on_finish_action": "keep_pod"}
    assert (fail_trigger(deferred), deferred.pods.changes) == (TIMED_OUT, ["create", "end"])


def test_success_that_no_triggerer_saw_is_left_for_the_next_try(deferred: TaskProcess):
    """As after an outage of the triggerer that outlasts ``execution_timeout``."""
    deferred.pods.set_status(pod("Succeeded", ended(0))["status"])
    assert fail_trigger(deferred) == TIMED_OUT
    deferred.retry()
    assert (deferred.run(), deferred.pods.changes) == ("None", ["create", "delete"])


@pytest.mark.parametrize("status", [pod("Running", RUNNING), pod("Succeeded", ended(0))], ids=["ended", "left"])
def test_failed_trigger_calls_no_callback(deferred: TaskProcess, status: dict[str, Any]):
    names: list[str] = []
    deferred.pods.set_status(status["status"])
    deferred.arguments["callbacks"] = build_callback(lambda name, arguments: names.append(name))
    assert (fail_trigger(deferred), {*names} - {"on_sync_client_creation"}) == (TIMED_OUT, set())


def test_success_that_no_triggerer_saw_is_deleted_without_another_try(deferred: TaskProcess):
    deferred.pods.set_status(pod("Succeeded", ended(0))["status"])
    deferred.ti["max_tries"] = 0
    assert (fail_trigger(deferred), deferred.pods.changes) == (TIMED_OUT, ["create", "delete"])


def test_failed_trigger_ends_the_pod_when_the_api_server_answers_again(deferred: TaskProcess):
    failures: list[Answer] = [status(503, "busy"), status(500, "etcd"), status(429, "slow")]
    deferred.pods.before = lambda request: failures.pop() if failures else None
    assert (fail_trigger(deferred), deferred.pods.changes) == (TIMED_OUT, ["create", "delete"])


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_refusal_of_the_api_server_does_not_hide_the_failed_trigger(deferred: TaskProcess, method: str):
    def refuse(request: Request) -> Answer | None:
        return status(403, "pods is forbidden") if request.method == method else None

    deferred.pods.before = refuse
    assert (fail_trigger(deferred), deferred.pods.changes) == (TIMED_OUT, ["create"])
    assert any(line.startswith("Cannot ") for line in deferred.lines)


def test_failed_trigger_leaves_another_pod_of_the_same_name(deferred: TaskProcess):
    deferred.pods.pod["metadata"]["uid"] = "another"
    assert (fail_trigger(deferred), deferred.pods.changes) == (TIMED_OUT, ["create"])


def test_failed_trigger_of_a_task_without_a_stored_pod_fails_the_task(deferred: TaskProcess):
    deferred.store = None
    assert (fail_trigger(deferred), deferred.pods.changes) == (TIMED_OUT, ["create"])


def test_failed_trigger_of_the_former_version_ends_its_pod(deferred: TaskProcess):
    assert deferred.store is not None
    metadata = deferred.pods.pod["metadata"]
    metadata["labels"].pop("kpo-platform/start")
    deferred.store.clear()
    deferred.store["pod_identifier"] = {key: metadata[key] for key in ("name", "namespace", "uid")}
    assert (fail_trigger(deferred), deferred.pods.changes) == (TIMED_OUT, ["create", "delete"])


@pytest.mark.parametrize(
    ("max_tries", "reattaches", "fix"),
    [
        (1, True, "The next try takes it up."),
        (1, False, "The next try replaces it."),
        (0, True, "Delete it with `kubectl -n team-alpha delete pod POD`."),
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_pod_that_a_failed_trigger_leaves_is_named(
    deferred: TaskProcess, method: str, max_tries: int, reattaches: bool, fix: str
):
    deferred.pods.before = lambda request: status(403, "no right") if request.method == method else None
    deferred.ti["max_tries"], deferred.arguments["reattach_on_restart"] = max_tries, reattaches
    name = next(iter(deferred.pods.pods))
    assert fail_trigger(deferred) == TIMED_OUT
    said = f"Cannot end pod {name} in namespace team-alpha: HTTP 403, no right. {fix.replace('POD', name)}"
    assert said in deferred.lines

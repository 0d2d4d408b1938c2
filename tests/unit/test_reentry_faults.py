"""lifecycle.run: a deferred task comes back while Airflow or the cluster does not tell all that it needs."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk.exceptions import AirflowNotFoundException

from kpo_platform.airflow.operators.lifecycle import ending, patience
from kpo_platform.airflow.operators.lifecycle.pod_logs import PodLogs
from unit.support.http_server import status
from unit.support.pod_statuses import RUNNING, ended, pod
from unit.support.task_faults import fail_lookups
from unit.support.task_restarts import ForgetfulStore, TaskProcess, send_at
from unit.test_reentry import STATUSES, change_pod, defer, read_log

NAME = "t-20e0cf0c37"
GONE = "The log of container base may be incomplete"


@pytest.fixture
def deferred(task_process: TaskProcess) -> TaskProcess:
    """A task whose program runs and that waits in the triggerer."""
    task_process.arguments = {"deferrable": True, "log_events_on_failure": False}
    return defer(task_process)


@pytest.mark.parametrize(("state", "outcome"), [("running", "deferred"), ("succeeded", "None")])
def test_pod_outlasts_a_connection_that_airflow_does_not_give_out(
    deferred: TaskProcess, monkeypatch: pytest.MonkeyPatch, state: str, outcome: str
):
    change_pod(deferred, state)
    fail_lookups(monkeypatch, [AirflowNotFoundException("The conn_id `k8s_default` isn't defined")] * 2)
    assert (deferred.resume("success"), deferred.pods.created) == (outcome, 1)
    assert deferred.pods.changes == ([] if state == "running" else ["delete"])


def test_worker_waits_for_the_pod_if_it_cannot_defer(deferred: TaskProcess, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any, **__: Any) -> None:
        change_pod(deferred, "succeeded")
        raise AirflowNotFoundException("The conn_id `k8s_default` isn't defined")

    monkeypatch.setattr(KubernetesPodOperator, "invoke_defer_method", fail)
    assert (deferred.resume("error"), deferred.pods.changes) == ("None", ["delete"])
    assert deferred.lines.count(
        "Cannot defer: The conn_id `k8s_default` isn't defined. The task waits for its pod in the worker instead."
    ) == 1  # fmt: skip


@pytest.mark.parametrize("state", ["succeeded", "running", "gone"])
def test_pod_outlasts_a_store_that_does_not_answer(deferred: TaskProcess, monkeypatch: pytest.MonkeyPatch, state: str):
    monkeypatch.setattr(patience, "STARTUP_S", 0.2)
    assert deferred.store is not None
    store = deferred.store = ForgetfulStore(deferred.store)
    store.failures = 100
    change_pod(deferred, state)
    outcome = deferred.resume("success")
    assert (outcome, deferred.pods.changes) == (
        "deferred" if state == "running" else "None",
        ["delete"] if state == "succeeded" else [],
    )
    assert f"Airflow does not tell the uid of pod {NAME}: no answer" in deferred.lines


def test_drained_pod_is_no_success_although_the_store_does_not_answer(deferred: TaskProcess):
    """The program may end with 0 because it was told to; the events of the pod say it."""
    deferred.pods.events = [
        {
            "reason": "Killing",
            "message": "Stopping container base",
            "involvedObject": {"fieldPath": "spec.containers{base}"},
        }
    ]
    assert deferred.store is not None
    store = deferred.store = ForgetfulStore(deferred.store)
    store.failures = 3
    change_pod(deferred, "gone")
    assert deferred.resume("success") == "rescheduled"


@pytest.mark.parametrize(
    ("failures", "outcome"),
    [
        (2, "rescheduled"),
        (
            100,
            "StateUnreadable: Cannot read Airflow's task state store: no answer. Pod fixed in namespace team-alpha was "
            "not deleted, and may still run. Check Airflow's API server. A retry of the task takes up the pod, or its "
            "result.",
        ),
    ],
)
def test_pod_of_another_run_is_left_alone_if_the_store_does_not_answer(
    task_process: TaskProcess, monkeypatch: pytest.MonkeyPatch, failures: int, outcome: str
):
    monkeypatch.setattr(patience, "STARTUP_S", 0.2)
    task_process.arguments = {"deferrable": True, "name": "fixed", "random_name_suffix": False}
    deferred = defer(task_process)
    assert deferred.store is not None
    store = deferred.store = ForgetfulStore(deferred.store)
    store.failures = failures
    deferred.pods.set_status(pod("Succeeded", ended(0))["status"])
    deferred.pods.pod["metadata"]["uid"] = "another"
    assert (deferred.resume("success"), deferred.pods.changes) == (outcome, [])


def test_rest_of_a_log_that_is_gone_is_marked_as_missing(deferred: TaskProcess, monkeypatch: pytest.MonkeyPatch):
    finish = PodLogs.finish

    def shut_down(logs: PodLogs) -> None:
        monkeypatch.setattr(PodLogs, "finish", finish)
        deferred.operator.on_kill()

    deferred.pods.before = lambda request: status(503, "busy") if "/log" in request.path else None
    monkeypatch.setattr(PodLogs, "finish", shut_down)
    change_pod(deferred, "succeeded")
    assert deferred.resume("success") == "rescheduled"
    change_pod(deferred, "gone")
    deferred.lines.clear()
    assert (deferred.run(), read_log(deferred)) == ("None", [f"{GONE} from its start: the pod is gone."])


@pytest.mark.parametrize(
    ("state", "fired", "outcome"),
    [
        (pod("Succeeded", ended(0)), "success", "rescheduled"),
        (pod("Failed", ended(3)), "failed", "rescheduled"),
        (pod("Running", RUNNING), "success", "None"),
    ],
)
def test_end_of_another_pod_of_the_same_name_does_not_count(
    task_process: TaskProcess, state: dict[str, Any], fired: str, outcome: str
):
    """The trigger looks at a pod by its name: a pod that still runs cannot be the one whose end it has seen."""
    task_process.arguments = {"deferrable": True, "name": "fixed", "random_name_suffix": False}
    deferred = defer(task_process)
    deferred.pods.set_status(state["status"])
    deferred.pods.pod["metadata"]["uid"] = "another"
    assert (deferred.resume(fired), deferred.pods.changes) == (outcome, [])


def test_log_of_a_container_that_its_node_has_lost_is_marked_as_missing(deferred: TaskProcess):
    lost = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}
    deferred.pods.set_status(pod("Failed", lost)["status"])
    deferred.resume("failed")
    assert read_log(deferred) == [f"{GONE} from its start: its node has lost the container."]


# A pod whose uid Airflow has not stored


def forget_uid(task: TaskProcess) -> TaskProcess:
    """Let Airflow not have stored the pod's uid."""
    assert task.store is not None
    task.store["kpo_platform_start"]["uid"] = ""
    return task


def start_fixed(task: TaskProcess) -> TaskProcess:
    """Start a task that waits in the triggerer for a pod of a fixed name, whose uid is not known."""
    task.arguments = {"deferrable": True, "name": "fixed", "random_name_suffix": False, "log_events_on_failure": False}
    return forget_uid(defer(task))


def replace_pod(task: TaskProcess, status: dict[str, Any]) -> None:
    """Let a pod of another start get the pod's name."""
    task.pods.set_status(status["status"])
    task.pods.pod["metadata"] |= {"uid": "another", "labels": {"kpo-platform/start": "another"}}


def stop_at_first_look(task: TaskProcess) -> str:
    task.state = "failed"
    task.pods.before = send_at("GET", signal.SIGTERM)
    return task.resume("error")


STOPPED = "AirflowException: The task was stopped, and its pod was deleted."
STOPPED_WITHOUT = "AirflowException: The task was stopped, and it no longer has a pod."
STOPPED_KEPT = "AirflowException: The task was stopped, but its pod keeps running: on_kill_action is 'keep_pod'."


def test_stop_ends_a_pod_of_unknown_uid_before_the_first_look(deferred: TaskProcess):
    forget_uid(deferred)
    assert (stop_at_first_look(deferred), deferred.pods.changes) == (STOPPED, ["delete"])


def test_stop_marks_a_pod_of_unknown_uid_that_it_keeps(task_process: TaskProcess):
    task_process.arguments = {"deferrable": True, "on_kill_action": "keep_pod"}
    deferred = forget_uid(defer(task_process))
    assert (stop_at_first_look(deferred), deferred.pods.changes) == (STOPPED_KEPT, ["mark"])


def test_stop_ends_the_pod_if_the_store_does_not_answer(deferred: TaskProcess):
    assert deferred.store is not None
    store = deferred.store = ForgetfulStore(deferred.store)
    store.failures = 100
    assert (stop_at_first_look(deferred), deferred.pods.changes) == (STOPPED, ["delete"])


def test_stop_leaves_another_pod_of_the_name(task_process: TaskProcess):
    deferred = start_fixed(task_process)
    replace_pod(deferred, pod("Running", RUNNING))
    assert (stop_at_first_look(deferred), deferred.pods.changes) == (STOPPED_WITHOUT, [])


@pytest.mark.parametrize(
    ("state", "fired", "outcome"),
    [
        (pod("Running", RUNNING), "error", "rescheduled"),
        (pod("Running", RUNNING), "success", "None"),
        (pod("Failed", ended(3)), "failed", "rescheduled"),
        (pod("Running", RUNNING), "timeout", "AirflowException: Pod fixed failed. trigger: execution_timeout"),
    ],
)
def test_another_pod_of_the_name_is_not_taken_for_the_pod_of_unknown_uid(
    task_process: TaskProcess, state: dict[str, Any], fired: str, outcome: str
):
    deferred = start_fixed(task_process)
    replace_pod(deferred, state)
    assert (deferred.resume(fired), deferred.pods.changes) == (outcome, [])


def test_trigger_that_failed_ends_no_other_pod_of_the_name(task_process: TaskProcess):
    deferred = start_fixed(task_process)
    replace_pod(deferred, pod("Running", RUNNING))
    failed = {"error": "trigger: failed"}
    outcome = deferred.run(lambda task, context: task.resume_execution("__fail__", failed, context))
    assert (outcome.split(":")[0], deferred.pods.changes) == ("TaskDeferralError", [])


def test_timeout_says_that_it_has_not_ended_a_pod_that_it_could_not_look_at(
    task_process: TaskProcess, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ending, "LATE_S", 0.2)
    task_process.ti["max_tries"] = 0
    task_process.arguments = {"deferrable": True, "log_events_on_failure": False}
    deferred = forget_uid(defer(task_process))
    late = send_at("GET", signal.SIGALRM)
    deferred.pods.before = lambda request: late(request) or (status(503, "busy") if request.method == "GET" else None)
    assert (deferred.resume("error"), deferred.pods.changes) == ("AirflowTaskTimeout", [])
    assert [text for text in deferred.lines if "clean up" in text] == [
        f"Cannot clean up pod {NAME}: the pod was not changed: its uid is not known, and another pod may have its name."
    ]


@pytest.mark.parametrize("fired", STATUSES)
@pytest.mark.parametrize("state", ["running", "gone"])
def test_message_of_a_trigger_is_one_clean_line(deferred: TaskProcess, state: str, fired: str):
    change_pod(deferred, state)
    texts = [deferred.resume(fired, message="\x1b[31mtwo\nlines"), *deferred.lines]
    assert not any("\x1b" in text or "two\nlines" in text for text in texts)
    assert any("[31mtwo lines" in text for text in texts) == (state == "running" or fired == "timeout")

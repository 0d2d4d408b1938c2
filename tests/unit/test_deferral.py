"""lifecycle.run: a task starts its pod and waits for it in the triggerer."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk.exceptions import TaskDeferred

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.triggers.team_pod import TeamPodTrigger
from kpo_platform.pod.identity import START_LABEL
from unit.support.http_server import Request, status
from unit.support.pod_statuses import RUNNING, WAITING, ended, pod
from unit.support.task_restarts import TaskProcess

STARTED_AT = datetime(2026, 11, 29, 9, tzinfo=UTC)

ARGUMENTS: dict[str, dict[str, Any]] = {
    "none": {},
    "logging_interval": {"logging_interval": 5},
    "get_logs": {"get_logs": False},
    "poll_interval": {"poll_interval": 7},
    "execution_timeout": {"execution_timeout": timedelta(minutes=3)},
    "termination_grace_period": {"termination_grace_period": 9},
    "on_kill_action": {"on_kill_action": "keep_pod"},
    "on_finish_action": {"on_finish_action": "delete_succeeded_pod"},
    "startup_timeout_seconds": {"startup_timeout_seconds": 11},
    "schedule_timeout_seconds": {"schedule_timeout_seconds": 13},
    "log_events_on_startup": {"log_events_on_startup": False},
}


def defer_as_stock_operator(task: TaskProcess, arguments: dict[str, Any]) -> TaskDeferred:
    """Let the stock operator defer with the pod and the team's values of the last process."""
    shared = {"startup_timeout_seconds": 300, "schedule_timeout_seconds": 86400, "kubernetes_conn_id": "k8s_default"}
    stock = KubernetesPodOperator(task_id="t", image="busybox:1.35", **{**shared, **arguments})
    stock.pod, stock.startup_check_interval_seconds = task.operator.pod, 0.01  # type: ignore[assignment]
    with pytest.raises(TaskDeferred) as deferral:
        stock.invoke_defer_method(context=task.context)
    return deferral.value


def describe(deferral: TaskDeferred) -> tuple[str, dict[str, Any], str]:
    path, arguments = deferral.trigger.serialize()  # type: ignore[attr-defined]
    return path, {**arguments, "trigger_start_time": None}, deferral.method_name


def describe_platforms(stock: TaskDeferred, task: TaskProcess) -> tuple[str, dict[str, Any], str]:
    """Describe the platform's trigger with the arguments of a stock one, which reads the log if it has an interval."""
    path, arguments, method = describe(stock)
    if arguments["logging_interval"] is not None:
        return path, arguments, method
    metadata = task.pods.pod["metadata"]
    own = {
        "pod_uid": metadata["uid"],
        "start": metadata["labels"][START_LABEL],
        "finish": None,
    }
    return f"{TeamPodTrigger.__module__}.TeamPodTrigger", {**arguments, **own}, method


@pytest.mark.parametrize("name", ARGUMENTS)
def test_trigger_gets_the_stock_operators_arguments(task_process: TaskProcess, name: str):
    if not hasattr(KubernetesPodOperator(task_id="t"), name) and name != "none":
        pytest.skip(f"this provider has no {name}")
    task_process.arguments = {"deferrable": True, **ARGUMENTS[name]}
    task_process.pods.status = pod("Pending", WAITING)["status"]
    assert task_process.run() == "deferred"
    stock, ours = defer_as_stock_operator(task_process, ARGUMENTS[name]), task_process.deferral
    assert ours is not None
    assert describe(ours) == describe_platforms(stock, task_process)
    assert (ours.timeout is None) == (stock.timeout is None)


def test_execution_timeout_counts_from_the_start_of_the_task(task_process: TaskProcess):
    task_process.arguments = {"deferrable": True, "execution_timeout": timedelta(minutes=3)}
    task_process.started_at = datetime.now(UTC) - timedelta(seconds=100)
    task_process.pods.status = pod("Running", RUNNING)["status"]
    assert task_process.run() == "deferred"
    deferral: Any = task_process.deferral
    deadline = deferral.trigger.trigger_kwargs["_execution_deadline"]
    assert deadline == int(task_process.started_at.timestamp() + 180)
    assert 135 <= deferral.timeout.total_seconds() <= 140  # 80 s, and a minute for the trigger's own event


@pytest.mark.parametrize(("xcom", "result"), [(False, "None"), (True, "{'rows': 5}")])
def test_a_pod_that_has_ended_before_the_deferral_gives_its_result_at_once(
    task_process: TaskProcess, xcom: bool, result: str
):
    task_process.arguments = {"deferrable": True, "do_xcom_push": xcom}
    task_process.pods.result = {"rows": 5}
    task_process.pods.status = pod("Running", ended(0), aside=RUNNING)["status"]
    task_process.pods.log = ["2026-11-29T09:00:06.000000000Z hello"]
    assert (task_process.run(), task_process.pods.changes) == (result, ["create", "delete"])
    assert [line for line in task_process.lines if "hello" in line] == ["[base] hello"]


def test_a_pod_that_has_failed_before_the_deferral_fails_the_task(task_process: TaskProcess):
    task_process.arguments = {"deferrable": True, "log_events_on_failure": False}
    task_process.pods.status = pod("Failed", ended(3))["status"]
    failure = (
        "AirflowException: The program failed with exit code 3. Look for the cause in its log. [KPO-END111: "
        "docs/troubleshooting.md#kpo-end111] Pod: t-20e0cf0c37."
    )
    assert (task_process.run(), task_process.pods.changes) == (failure, ["create", "delete"])


def test_wait_for_quota_shortens_the_triggers_wait_for_a_node(task_process: TaskProcess):
    task_process.arguments = {"deferrable": True, "schedule_timeout_seconds": 600}
    task_process.pods.status = pod("Pending", WAITING)["status"]
    task_process.pods.before = lambda request: status(403, "exceeded quota: q") if request.method == "POST" else None
    assert task_process.run() == "rescheduled"
    assert task_process.store is not None
    task_process.store["kpo_platform_waits_for_quota"]["since"] -= 100
    task_process.pods.before = lambda request: None
    assert task_process.run() == "deferred"
    deferral: Any = task_process.deferral
    assert 490 <= deferral.trigger.schedule_timeout <= 500


def test_wait_for_a_node_begins_again_with_the_next_triggerer(task_process: TaskProcess):
    task_process.arguments = {"deferrable": True, "schedule_timeout_seconds": 600}
    task_process.pods.status = pod("Pending", WAITING)["status"]
    assert task_process.run() == "deferred"
    trigger: Any = task_process.deferral.trigger if task_process.deferral else None
    _, stored = trigger.serialize()
    assert type(trigger)(**stored).schedule_timeout == 600


def test_rest_of_the_log_is_read_before_a_pod_with_a_bad_result_is_deleted(
    task_process: TaskProcess, monkeypatch: pytest.MonkeyPatch
):
    def delay(request: Request) -> None:
        threading.Event().wait(1 if "/log" in request.path else 0)

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("no JSON")

    task_process.arguments = {"deferrable": True, "do_xcom_push": True}
    task_process.pods.log = ["2026-11-29T09:00:06.100000000Z one", "2026-11-29T09:00:07.100000000Z two"]
    task_process.pods.set_status(pod("Running", RUNNING)["status"])
    assert task_process.run() == "deferred"
    task_process.pods.set_status(pod("Running", ended(0), aside=RUNNING)["status"])
    task_process.pods.before = delay
    monkeypatch.setattr(TeamPodOperator, "extract_xcom", fail)
    assert "no JSON" in task_process.resume("success")
    lines = [line for line in task_process.lines if line.startswith(("[base]", "Deleting"))]
    assert [line.split()[-1] for line in lines[:2]] == ["one", "two"]
    assert (lines[2:], task_process.pods.changes) == (["Deleting pod: t-20e0cf0c37"], ["create", "delete"])

"""lifecycle.pod_run: stop by the user, shutdown of the worker, timeout, and cleanup."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.pod_manager import OnKillAction
from airflow.sdk.exceptions import AirflowException, AirflowRescheduleException, AirflowTaskTimeout
from kubernetes.client import ApiException
from kubernetes.client import models as k8s

from kpo_platform.airflow.operators.lifecycle import termination
from kpo_platform.airflow.operators.lifecycle.pod_run import RestartSafePodOperator
from unit.support.contracts import TEAM
from unit.support.published_contract import Publish

Run = tuple[RestartSafePodOperator, list[str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Create a task with a pod; return it and the list of deleted pods."""
    operator, deleted = RestartSafePodOperator(task_id="t"), []
    operator.pod = k8s.V1Pod(metadata=k8s.V1ObjectMeta(name="t-1", namespace="n"))
    client = SimpleNamespace(
        delete_namespaced_pod=lambda name, namespace: deleted.append(name), patch_namespaced_pod=lambda **_: None
    )
    monkeypatch.setattr(RestartSafePodOperator, "client", client)
    return operator, deleted


def build_context(states: Any) -> Any:
    class Ti(SimpleNamespace):
        @staticmethod
        def get_task_states(**query: Any) -> Any:
            if isinstance(states, Exception):
                raise states
            return {"r": {"t": states}}

    task = SimpleNamespace(log=SimpleNamespace(warning=lambda *arguments: None))
    return {"ti": Ti(dag_id="d", task_id="t", run_id="r", map_index=-1, task=task)}


@pytest.mark.parametrize("state", ["running", "up_for_retry", RuntimeError("Airflow is gone")])
def test_shutdown_keeps_the_pod_and_reschedules_the_task(run: Run, state: Any):
    task, deleted = run
    with pytest.raises(AirflowRescheduleException), task._handle_outcome(build_context(state)):
        task.on_kill()
    assert deleted == []


@pytest.mark.parametrize("state", ["failed", "success", "restarting", "removed", None])
def test_stop_deletes_the_pod(run: Run, state: str | None):
    task, deleted = run
    stopped = pytest.raises(AirflowException, match=r"^The task was stopped, and its pod was deleted\.$")
    with stopped, task._handle_outcome(build_context(state)):
        task.on_kill()
    assert deleted == ["t-1"]


KEPT_POD = (
    "Pod t-1 is kept in namespace n. Inspect it with `kubectl -n n logs t-1 -c base` and "
    "`kubectl -n n describe pod t-1`. Delete it with `kubectl -n n delete pod t-1`."
)


def collect_log(run: RestartSafePodOperator, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the task's log lines, and set on_kill_action to keep_pod."""
    lines: list[str] = []
    log = SimpleNamespace(info=lambda text, *values: lines.append(text % values if values else text))
    monkeypatch.setattr(RestartSafePodOperator, "log", log)
    run.on_kill_action = OnKillAction.KEEP_POD
    return lines


SKIPPED = "Skipping pod deletion since on_kill_action is set to 'keep_pod'."


def test_stop_with_keep_pod_names_the_kept_pod(run: Run, monkeypatch: pytest.MonkeyPatch):
    task, deleted = run
    lines = collect_log(task, monkeypatch)
    pod_kept = pytest.raises(
        AirflowException, match=r"^The task was stopped, but its pod keeps running: on_kill_action is 'keep_pod'\.$"
    )
    with pod_kept, task._handle_outcome(build_context("failed")):
        task.on_kill()
    assert (deleted, lines) == ([], [SKIPPED, KEPT_POD])


def test_stop_before_pod_creation_names_no_pod(run: Run, monkeypatch: pytest.MonkeyPatch):
    task, _ = run
    lines, task.pod = collect_log(task, monkeypatch), None
    with pytest.raises(AirflowException), task._handle_outcome(build_context("failed")):
        task.on_kill()
    assert lines == [SKIPPED]


def test_timeout_with_keep_pod_names_the_kept_pod(run: Run, monkeypatch: pytest.MonkeyPatch):
    task, deleted = run
    lines = collect_log(task, monkeypatch)
    try:
        raise AirflowTaskTimeout
    except AirflowTaskTimeout:
        task.on_kill()
    assert (deleted, lines) == ([], [SKIPPED, KEPT_POD])


@pytest.mark.parametrize(
    ("last_log_time", "log_lines"), [(None, [f"If the task is stopped: {KEPT_POD}"]), ("2026-01-01", [])]
)
def test_deferral_with_keep_pod_names_the_pod_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, last_log_time: str | None, log_lines: list[str]
):
    task, _ = run
    lines = collect_log(task, monkeypatch)
    monkeypatch.setattr(
        KubernetesPodOperator, "invoke_defer_method", lambda *_, **arguments: lines.append(str(arguments))
    )
    task.invoke_defer_method(last_log_time)
    assert lines == [*log_lines, str({"last_log_time": last_log_time, "context": None})]


def test_timeout_deletes_the_pod(run: Run):
    task, deleted = run
    try:
        raise AirflowTaskTimeout
    except AirflowTaskTimeout:
        task.on_kill()
    assert deleted == ["t-1"]


def test_signal_outside_of_the_run_is_ignored(run: Run):
    task, deleted = run
    task.on_kill()
    assert (deleted, task._killed) == ([], False)


def test_signal_during_request_to_airflow_is_resent(monkeypatch: pytest.MonkeyPatch):
    sent: list[tuple[float, Any]] = []

    def timer(seconds: float, *call: Any) -> Any:
        return SimpleNamespace(start=lambda: sent.append((seconds, call[0].__name__)))

    comms = SimpleNamespace(_thread_lock=SimpleNamespace(locked=lambda: True))
    monkeypatch.setattr(termination.task_runner, "SUPERVISOR_COMMS", comms, raising=False)
    monkeypatch.setattr(termination.threading, "Timer", timer)
    termination.interrupt_task(is_creating_pod=False)
    assert sent == [(0.2, "kill")]


def test_stop_during_pod_creation_deletes_the_created_pod(run: Run, monkeypatch: pytest.MonkeyPatch):
    task, deleted = run
    task.pod = None
    original_handler = signal.signal(signal.SIGTERM, lambda *_: task.on_kill())

    def create(pod: k8s.V1Pod) -> k8s.V1Pod:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.05)
        return pod

    task.pod_manager = SimpleNamespace(create_pod=create)  # type: ignore[assignment]
    try:
        stopped = pytest.raises(AirflowException, match=r"^The task was stopped, and its pod was deleted\.$")
        with stopped, task._handle_outcome(build_context("failed")):
            task.create_pod(k8s.V1Pod(metadata=k8s.V1ObjectMeta(name="t-2", namespace="n")))
            time.sleep(5)
    finally:
        signal.signal(signal.SIGTERM, original_handler)
    assert deleted == ["t-2"]


@pytest.mark.parametrize(
    ("phase", "message"), [("Running", r"\(403\)\nReason: no pods/log"), ("Failed", r"^Pod t-1 returned a failure\.\n")]
)
def test_api_error_is_raised_unless_the_pod_failed(run: Run, phase: str, message: str):
    task, _ = run
    spec = k8s.V1PodSpec(containers=[k8s.V1Container(name="base")])
    pod = k8s.V1Pod(metadata=task.pod.metadata, spec=spec, status=k8s.V1PodStatus(phase=phase))
    reads = dict.fromkeys(("read_current_pod", "read_pod"), lambda pod: pod)
    task.pod_manager = SimpleNamespace(**reads, delete_pod=lambda pod: None)  # type: ignore[assignment]

    def fail_to_read_log() -> None:
        try:
            raise ApiException(403, "no pods/log")
        finally:
            task.cleanup(pod, pod)

    with pytest.raises((ApiException, AirflowException), match=message):
        fail_to_read_log()


def test_on_finish_action_overrides_the_teams_failure_policy(publish: Publish):
    publish(gamma={"policy": {**TEAM["policy"], "onFailure": "keep"}})
    from kpo_platform import TeamPodOperator

    default = TeamPodOperator(task_id="a", team="gamma", image="b:1")
    explicit = TeamPodOperator(task_id="b", team="gamma", image="b:1", on_finish_action="delete_pod")
    assert (default.on_failure, explicit.on_failure) == ("keep", "")


def test_reattached_pod_has_less_time_to_find_a_node(run: Run, monkeypatch: pytest.MonkeyPatch):
    task, _ = run
    metadata = k8s.V1ObjectMeta(
        name="t-1", labels={"try_number": "1"}, creation_timestamp=datetime.now(UTC) - timedelta(seconds=100)
    )
    earlier = k8s.V1Pod(metadata=metadata, status=k8s.V1PodStatus(phase="Pending"))
    monkeypatch.setattr(RestartSafePodOperator, "_find_earlier_pod", lambda *_: earlier)
    task.schedule_timeout_seconds = 600
    context: Any = {"ti": SimpleNamespace(try_number=1)}
    assert task.get_or_create_pod(earlier, context) is earlier
    assert 490 <= task.schedule_timeout_seconds <= 500


class StateStore:
    """A task state store that has the same value under every key."""

    def get(self, key: str) -> dict[str, int]:
        return {"try": 1, "count": 3}


@pytest.mark.parametrize(
    ("store", "reason"),
    [(StateStore(), "restarted 3 times in this try"), (None, "not restarted: Airflow stores no task state")],
)
def test_disruption_without_further_restart_fails_the_task(run: Run, store: StateStore | None, reason: str):
    context: Any = {"task_state_store": store, "ti": SimpleNamespace(try_number=1)}
    with pytest.raises(AirflowException) as failure:
        run[0]._restart_after_disruption(context, "evicted", RuntimeError())
    assert str(failure.value) == (
        f"The pod was disrupted by the cluster (evicted), and its task was {reason}. Check the other workloads of its "
        "node, or set resource requests and a priority class that protect the pod."
    )


def test_restart_after_a_disruption_waits_for_room_anew(run: Run):
    stored = {"kpo_platform_waits_for_quota": {"since": 1000.0, "try": 1}}
    store = SimpleNamespace(get=stored.get, set=stored.__setitem__)
    context: Any = {"task_state_store": store, "ti": SimpleNamespace(try_number=1)}
    with pytest.raises(AirflowRescheduleException):
        run[0]._restart_after_disruption(context, "evicted", RuntimeError())
    assert stored == {"kpo_platform_waits_for_quota": {"try": 1}, "kpo_platform_disruptions": {"count": 1, "try": 1}}

"""A run that is cut short ends its pod: Ctrl-C, ``execution_timeout``, a failure right after the creation."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout

from kpo_platform.airflow.operators.lifecycle import ending, quota_wait
from kpo_platform.airflow.operators.lifecycle.pod_logs import PodLogs
from unit.support.cluster_server import Cluster, Rule
from unit.support.fake_kubelet import Program
from unit.support.http_server import Fault
from unit.support.task_ends import EXIT_3, build_callback, refuse_to_store, run_until, tell
from unit.support.task_faults import at
from unit.support.task_process import StartTask, Store

ONCE = 2
"""Lines of the ledger, in which a program starts and ends."""

EXIT_3_WITHOUT_LOG = EXIT_3.replace(
    ": hello. That is the last line of its log: look there for the cause", ". Look for the cause in its log"
)


def interrupt(cluster: Cluster, at_s: float) -> None:
    """Press Ctrl-C at a time of the cluster."""

    def tick() -> None:
        if cluster.now >= at_s:
            cluster.on_tick = lambda: None
            raise KeyboardInterrupt

    cluster.on_tick = tick


def time_out(*_: Any) -> None:
    raise AirflowTaskTimeout("Timeout, PID: 1")


def time_out_without_answer(_: Any) -> Any:
    """End the task's time during a request that has no effect."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)
    threading.Event().wait(0.3)
    return Fault.CLOSE


@pytest.mark.parametrize("on_kill_action", ["delete_pod", "keep_pod"])
def test_ctrl_c_in_dag_test_ends_the_pod(on_kill_action: str, fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=100)
    interrupt(fake_cluster, 10)
    task = start_task(on_kill_action=on_kill_action)
    task.store = None
    with pytest.raises(KeyboardInterrupt):
        task.run()
    fake_cluster.sleep(60)
    assert [*fake_cluster.pods] == ([] if on_kill_action == "delete_pod" else [task.pod])
    end = ", and its pod was deleted." if on_kill_action == "delete_pod" else ", but its pod keeps running"
    assert any(line.startswith(f"The task was interrupted{end}") for line in task.log.lines)


def test_ctrl_c_during_the_creation_ends_the_pod(fake_cluster: Cluster, start_task: StartTask):
    def press(request: Any) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        threading.Event().wait(0.3)

    fake_cluster.rules.append(Rule("POST pods", press, is_after=True))
    task = start_task()
    task.store = None
    with pytest.raises(KeyboardInterrupt):
        task.run()
    assert (fake_cluster.created, fake_cluster.pods) == (1, {})


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize(("max_tries", "said"), [(0, "Cannot clean up pod {}: "), (1, "Pod {} is not deleted: ")])
def test_execution_timeout_waits_a_minute_for_the_api_server(
    max_tries: int, said: str, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(runs_s=1000)
    fake_cluster.down = (5, 800)
    task = start_task()
    task.max_tries = max_tries
    run = run_until(10, task)
    assert (run.outcome, [*fake_cluster.pods]) == ("AirflowTaskTimeout: Timeout, PID: 1", [task.pod])
    assert fake_cluster.now <= 10 + 60 + 15
    assert any(line.startswith(f"warning: {said.format(task.pod)}") for line in run.log)


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("max_tries", [1, 0])
def test_success_in_an_outage_outlives_execution_timeout_if_another_try_takes_it(
    max_tries: int, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(runs_s=6)
    fake_cluster.down = (5, 30)
    task = start_task(do_xcom_push=True)
    task.max_tries = max_tries
    run = run_until(20, task)
    assert run.outcome == "AirflowTaskTimeout: Timeout, PID: 1"
    fake_cluster.sleep(100)
    assert [*fake_cluster.pods] == [task.pod] * max_tries
    if max_tries:
        assert (task.retry().outcome, len(fake_cluster.ledger)) == ({"rows": 3}, ONCE)


@pytest.mark.usefixtures("alarm")
def test_log_is_read_before_the_pod_of_a_failed_task_is_deleted(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=1000)
    task = start_task(log_events_on_failure=False)
    run = run_until(10, task)
    deleted = run.log.index(f"Deleting pod: {task.pod}")
    assert "[base] hello" in run.log[:deleted]
    assert [line for line in run.log if "404" in line] == []


@pytest.mark.usefixtures("alarm")
def test_execution_timeout_in_the_clean_up_after_another_failure_ends_the_pod(
    fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(runs_s=1000)

    def begin_outage(name: str, arguments: Any) -> None:
        if name == "on_pod_starting":
            fake_cluster.down = (fake_cluster.now, fake_cluster.now + 30)
            raise RuntimeError("of the author")

    task = start_task(callbacks=build_callback(begin_outage))
    run = run_until(20, task)
    fake_cluster.sleep(60)
    assert (run.outcome, fake_cluster.pods) == ("AirflowTaskTimeout: Timeout, PID: 1", {})


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("step", ["kill", "DELETE pods"])
@pytest.mark.parametrize(("code", "outcome"), [(0, {"rows": 3}), (3, EXIT_3)])
def test_execution_timeout_in_the_clean_up_after_the_programs_end_leaves_no_pod(
    step: str, code: int, outcome: Any, fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    fake_cluster.programs["base"], end_sidecar = Program(code=code), Cluster.end_sidecar

    def end_late(cluster: Cluster, name: str) -> None:
        end_sidecar(cluster, name)
        if step == "kill":
            signal.raise_signal(signal.SIGALRM)

    monkeypatch.setattr(Cluster, "end_sidecar", end_late)
    fake_cluster.rules.append(Rule("DELETE pods", time_out_without_answer, int(step != "kill")))
    task = start_task(do_xcom_push=True)
    assert tell(task, task.run()) == outcome
    fake_cluster.sleep(60)
    assert fake_cluster.pods == {}


@pytest.mark.parametrize(("code", "outcome"), [(0, None), (3, EXIT_3_WITHOUT_LOG)])
def test_execution_timeout_during_the_rest_of_the_log_says_what_is_missing(
    code: int, outcome: Any, fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(PodLogs, "finish", time_out)
    monkeypatch.setattr(ending, "LOG_REST_S", 0.3)
    fake_cluster.programs["base"] = Program(code=code)
    fake_cluster.rules.append(Rule("/log", lambda _: Fault.HANG, 9))
    task = start_task()
    run = task.run()
    missing = "The log of container base may be incomplete from its start: it was not read within 0.3 s."
    assert tell(task, run) == outcome
    assert any(line.endswith(missing) for line in run.log[: run.log.index(f"Deleting pod: {task.pod}")])


def test_failure_after_the_creation_ends_the_pod(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: Any) -> None:
        raise RuntimeError("after the creation")

    monkeypatch.setattr(quota_wait, "shorten_schedule_timeout", fail)
    run = start_task().run()
    fake_cluster.sleep(60)
    assert (run.outcome, fake_cluster.created, fake_cluster.pods) == ("RuntimeError: after the creation", 1, {})


def test_airflow_that_does_not_tell_the_wait_for_quota_does_not_end_the_pod(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    def read(store: Store, key: str) -> Any:
        if key == "kpo_platform_waits_for_quota":
            raise RuntimeError("HTTP 500")
        return store.values.get(key)

    monkeypatch.setattr(Store, "get", read)
    fake_cluster.programs["base"] = Program(runs_s=30)
    task = start_task()
    task.max_tries = 0
    at(5, fake_cluster, lambda pod: task.operator.on_kill())
    runs = task.run_to_end()
    assert ([run.outcome for run in runs], fake_cluster.created) == (["rescheduled", None], 1)
    assert "warning: Cannot read since when the task has waited for quota: HTTP 500" in runs[-1].log


def test_airflow_that_does_not_store_the_pods_identity_does_not_end_the_run(
    fake_cluster: Cluster, start_task: StartTask
):
    class Refusing(dict[str, Any]):
        def update(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("HTTP 500")

    task = start_task(do_xcom_push=True)
    task.xcoms = Refusing()
    refuse_to_store(task, lambda key, value: key == "kpo_platform_start" and bool(value["uid"]))
    run = task.run()
    assert (run.outcome, fake_cluster.pods) == ({"rows": 3}, {})
    assert [line for line in run.log if "did not store" in line] == [
        "warning: Airflow did not store the pod's uid: HTTP 500",
        "warning: Airflow did not store the XCom pod_name: HTTP 500",
        "warning: Airflow did not store the XCom pod_namespace: HTTP 500",
    ]


@pytest.mark.parametrize("name", ["on_pod_completion", "on_pod_cleanup"])
@pytest.mark.parametrize("is_lost", [False, True])
def test_callback_that_takes_too_long_does_not_hide_that_there_is_no_result(
    name: str, is_lost: bool, fake_cluster: Cluster, start_task: StartTask
):
    def call(called: str, arguments: dict[str, Any]) -> None:
        if called == name:
            time_out()

    task = start_task(do_xcom_push=True, callbacks=build_callback(call))
    if is_lost:
        fake_cluster.act("exec", lambda: fake_cluster.end_sidecar(task.pod))
    fake_cluster.result = "no json"
    why = "its work is done" if is_lost else "its result is not JSON"
    runs = [task.run(), task.run()]
    assert [(why in str(run.outcome), "execution_timeout has ended the author" in str(run.log)) for run in runs] == [
        (True, True),
        (True, name == "on_pod_cleanup"),
    ]
    assert (len(fake_cluster.ledger), fake_cluster.pods) == (ONCE, {})


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize(("size", "pods"), [(1, 0), (70_000, 1)])
def test_late_success_is_left_to_a_try_that_replaces_it_only_for_its_result(
    size: int, pods: int, fake_cluster: Cluster, start_task: StartTask
):
    def call(called: str, arguments: dict[str, Any]) -> None:
        if called == "on_pod_completion":
            signal.raise_signal(signal.SIGALRM)

    fake_cluster.result = f'"{size * "x"}"'
    task = start_task(do_xcom_push=True, callbacks=build_callback(call), reattach_on_restart=False)
    assert run_until(1000, task).outcome == "AirflowTaskTimeout: Timeout, PID: 1"
    fake_cluster.sleep(60)
    assert (len(fake_cluster.pods), any("is not deleted" in line for line in task.log.lines)) == (pods, pods == 1)
    task.arguments.pop("callbacks")
    assert (task.retry().outcome, len(fake_cluster.ledger), fake_cluster.pods) == (size * "x", ONCE, {})


@pytest.mark.usefixtures("alarm")
def test_success_without_a_stored_result_is_not_left_to_a_try_that_replaces_it(
    fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.rules.append(Rule("exec", time_out, 1))
    task = start_task(do_xcom_push=True, reattach_on_restart=False)
    run = run_until(1000, task)
    fake_cluster.sleep(60)
    assert (run.outcome, fake_cluster.pods) == ("AirflowTaskTimeout: Timeout, PID: 1", {})

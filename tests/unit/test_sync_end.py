"""The end of a run: a success is stored first, and nothing that follows makes the work be done again or hides it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout
from kubernetes.client import ApiException

from kpo_platform.airflow.operators.lifecycle.pod_logs import PodLogs
from kpo_platform.airflow.operators.lifecycle.task_result import SIDECAR, read_failed_result
from kpo_platform.pod.state import parse_pod_state
from unit.support.cluster_server import Cluster, Rule
from unit.support.fake_kubelet import Program
from unit.support.pod_store import refuse
from unit.support.task_ends import EXIT_3, build_callback, fail_in, refuse_to_store, tell
from unit.support.task_faults import stop_while_running
from unit.support.task_process import Killed, StartTask, Task

END = "kpo_platform_end"
ONCE, TWICE = 2, 4
"""Lines of the ledger, in which a program starts and ends."""


def time_out(*_: Any) -> None:
    raise AirflowTaskTimeout("Timeout, PID: 1")


def read_end(task: Task, *names: str) -> list[Any]:
    assert task.store is not None
    return [task.store.values[END][name] for name in names]


# Order


def test_end_is_stored_before_log_and_callbacks(fake_cluster: Cluster, start_task: StartTask):
    seen = []

    def call(name: str, arguments: dict[str, Any]) -> None:
        if name == "on_pod_completion":
            seen.extend([*read_end(task, "kind", "result"), *sorted(task.log.lines[-2:])])

    task, size = start_task(do_xcom_push=True, callbacks=build_callback(call)), "The result has 11 bytes."
    assert (task.run().outcome, seen) == ({"rows": 3}, ["succeeded", {"rows": 3}, size, "[base] hello"])


@pytest.mark.parametrize(("code", "outcome"), [(0, {"rows": 3}), (3, EXIT_3)])
def test_execution_timeout_during_the_rest_of_the_log_does_not_change_the_end(
    code: int, outcome: Any, fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(PodLogs, "finish", time_out)
    fake_cluster.programs["base"] = Program(code=code)
    task = start_task(do_xcom_push=True)
    run = task.run()
    assert (tell(task, run), fake_cluster.pods) == (outcome, {})
    said = "execution_timeout has ended the wait for the rest of the log; the program had ended before."
    assert f"warning: {said}" in run.log


def test_execution_timeout_after_a_disruption_fails_the_task(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(PodLogs, "finish", time_out)
    fake_cluster.programs["base"] = Program(runs_s=20)
    fake_cluster.on_tick = lambda: [pod.evict(fake_cluster.now) for pod in fake_cluster.pods.values()]
    assert start_task().run().outcome == "AirflowTaskTimeout: Timeout, PID: 1"


def test_process_killed_in_a_callback_leaves_log_and_callbacks_to_the_next(
    fake_cluster: Cluster, start_task: StartTask
):
    calls: list[str] = []

    def call(name: str, arguments: dict[str, Any]) -> None:
        calls.append(name)
        if calls.count("on_pod_completion") == 1 and name == "on_pod_completion":
            raise Killed

    task = start_task(do_xcom_push=True, callbacks=build_callback(call))
    assert isinstance(task.run().error, Killed)
    calls[:] = ["on_pod_completion"]
    run = task.run()
    assert (run.outcome, len(fake_cluster.ledger), fake_cluster.pods) == ({"rows": 3}, ONCE, {})
    assert [name for name in calls[1:] if name in ("on_pod_completion", "on_pod_teardown", "on_pod_cleanup")] == [
        "on_pod_completion",
        "on_pod_teardown",
        "on_pod_cleanup",
    ]
    assert "[base] hello" in run.log


# What may follow a success


@pytest.mark.parametrize("name", ["on_pod_completion", "on_pod_teardown", "on_pod_cleanup"])
def test_retry_after_a_failed_callback_does_the_work_again(name: str, fake_cluster: Cluster, start_task: StartTask):
    task = start_task(do_xcom_push=True, callbacks=fail_in(name))
    assert task.run().outcome == f"RuntimeError: {name} of the author"
    assert read_end(task, "kind", "message", "result") == ["failed", f"RuntimeError: {name} of the author", None]
    task.arguments.pop("callbacks")
    assert (task.retry().outcome, len(fake_cluster.ledger)) == ({"rows": 3}, TWICE)


def test_retry_after_a_callback_that_took_too_long_takes_the_result(fake_cluster: Cluster, start_task: StartTask):
    def call(name: str, arguments: dict[str, Any]) -> None:
        if name == "on_pod_completion":
            time_out()

    task = start_task(do_xcom_push=True, callbacks=build_callback(call))
    assert task.run().outcome == "AirflowTaskTimeout: Timeout, PID: 1"
    task.arguments.pop("callbacks")
    assert (task.retry().outcome, len(fake_cluster.ledger)) == ({"rows": 3}, ONCE)


def test_result_that_airflow_refuses_is_repeated_in_each_try(fake_cluster: Cluster, start_task: StartTask):
    """A task fails after its run if its result is no mapping (multiple_outputs) or cannot be pushed."""
    task = start_task(do_xcom_push=True)
    runs = [task.run(), task.retry(), task.retry()]
    assert [run.outcome for run in runs] == [{"rows": 3}] * 3
    assert len(fake_cluster.ledger) == ONCE
    assert [any("has stored its end" in line for line in run.log) for run in runs] == [False, True, True]


def stop(task: Task) -> None:
    stop_while_running(task)


def refuse_creation(task: Task) -> None:
    task.cluster.add("POST pods", refuse(403, "Forbidden", "pods is forbidden"))
    task.run()


def end_api_server(task: Task) -> None:
    task.cluster.down = (3, 5000)
    task.run()


def fail(task: Task) -> None:
    task.cluster.programs["base"] = Program(code=3)
    task.run()


@pytest.mark.parametrize(("act", "calls"), [(fail, 1), (stop, 0), (refuse_creation, 0), (end_api_server, 0)])
def test_cleanup_is_called_after_a_failure_but_not_after_a_stop_or_outage(
    act: Any, calls: int, fake_cluster: Cluster, start_task: StartTask
):
    names: list[str] = []
    fake_cluster.programs["base"] = Program(runs_s=100)
    act(start_task(callbacks=build_callback(lambda name, arguments: names.append(name))))
    assert ("on_pod_manifest_created" in names, names.count("on_pod_cleanup")) == (True, calls)


def test_user_who_stops_a_task_at_its_end_gets_the_work_done_again(fake_cluster: Cluster, start_task: StartTask):
    def call(name: str, arguments: dict[str, Any]) -> None:
        if name == "on_pod_completion":
            task.state = "restarting"
            task.operator.on_kill()

    task = start_task(do_xcom_push=True, callbacks=build_callback(call))
    assert task.run().outcome == "AirflowException: The task was stopped, and its pod was deleted."
    task.arguments.pop("callbacks")
    task.state = "running"
    assert (task.retry().outcome, len(fake_cluster.ledger)) == ({"rows": 3}, TWICE)


# Errors of storing


@pytest.mark.parametrize(("code", "outcome"), [(0, {"rows": 3}), (3, EXIT_3)])
def test_end_that_airflow_does_not_store_is_told(code: int, outcome: Any, fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(code=code)
    task = start_task(do_xcom_push=True, log_events_on_failure=False)
    refuse_to_store(task, lambda key, value: key == END)
    run = task.run()
    assert (tell(task, run), [*fake_cluster.pods]) == (outcome, [] if code else [task.pod])
    said = "warning: Airflow did not store how the pod ended: HTTP 500"
    assert run.log.count(said) == (1 if code else 2)


def test_success_that_was_not_stored_keeps_its_pod_until_it_is(fake_cluster: Cluster, start_task: StartTask):
    task = start_task(do_xcom_push=True)
    refuse_to_store(task, lambda key, value: key == END)
    run = task.run()
    assert run.log[-1].startswith(
        f"warning: Pod {task.pod} is not deleted: Airflow did not store its end, and a later process of the task may "
        f"need its result. Pod {task.pod} is kept in namespace team-alpha. "
    )
    del task.store.set  # type: ignore[union-attr]
    assert (task.run().outcome, len(fake_cluster.ledger), fake_cluster.pods) == ({"rows": 3}, ONCE, {})


@pytest.mark.parametrize("text", ['{"rows": NaN}', '{"rows": 3}'], ids=["not JSON", "refused"])
def test_result_that_cannot_be_stored_is_stored_as_lost(text: str, fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.result = text
    task = start_task(do_xcom_push=True)
    refuse_to_store(task, lambda key, value: key == END and value["result"] is not None)
    assert (str(task.run().outcome), fake_cluster.pods) == (text.replace('"', "'").replace("NaN", "nan"), {})
    assert read_end(task, "kind", "result", "is_result_lost") == ["succeeded", None, True]


def test_lost_result_is_stored(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.act("exec", lambda: fake_cluster.end_sidecar(task.pod))
    task = start_task(do_xcom_push=True)
    assert "its work is done" in str(task.run().outcome)
    assert read_end(task, "kind", "is_result_lost") == ["succeeded", True]
    assert ("its work is done" in str(task.run().outcome), len(fake_cluster.ledger)) == (True, ONCE)


@pytest.mark.parametrize("reattaches", [True, False])
@pytest.mark.parametrize("act", [Task.run, Task.retry])
def test_result_that_is_not_stored_is_read_again_from_its_pod(
    act: Any, reattaches: bool, fake_cluster: Cluster, start_task: StartTask
):
    def call(name: str, arguments: dict[str, Any]) -> None:
        if name == "on_pod_completion":
            raise Killed

    fake_cluster.result = json.dumps("x" * 70_000)
    task = start_task(do_xcom_push=True, callbacks=build_callback(call), reattach_on_restart=reattaches)
    assert isinstance(task.run().error, Killed)
    task.arguments.pop("callbacks")
    assert (act(task).outcome, len(fake_cluster.ledger), fake_cluster.pods) == ("x" * 70_000, ONCE, {})


def test_bad_result_is_stored_as_a_failure(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.result = "no json"
    task = start_task(do_xcom_push=True)
    task.run()
    message = str(task.run().outcome).removeprefix(f"AirflowException: Pod {task.pod} failed. ")
    assert message.startswith("The program succeeded, but its result is not JSON (line 1, column 1: ")
    assert read_end(task, "kind", "message", "is_result_lost") == ["failed", message, False]


def test_disruption_that_airflow_cannot_count_is_told(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=20)
    fake_cluster.on_tick = lambda: [pod.evict(fake_cluster.now) for pod in fake_cluster.pods.values()]
    task = start_task()
    refuse_to_store(task, lambda key, value: key == "kpo_platform_disruptions")
    outcome = task.run().outcome
    assert outcome.startswith(
        f"AirflowException: Pod {task.pod} failed. The pod was disrupted by the cluster (Evicted)"
    )
    assert outcome.endswith(" Its task was not restarted: Airflow did not store the number of restarts (HTTP 500).")


# Reading the result


def fail_to_read(cluster: Cluster, read_s: float, times: int) -> Rule:
    """Let the node refuse the result, each time after some seconds."""

    def fail(request: Any) -> None:
        cluster.sleep(read_s)
        raise ApiException(status=502, reason="error dialing backend")

    cluster.rules.append(Rule("exec", fail, times))
    return cluster.rules[-1]


@pytest.mark.parametrize("read_s", [9, 59])
def test_node_that_does_not_give_the_result_leaves_the_pod_to_the_next_try(
    read_s: float, fake_cluster: Cluster, start_task: StartTask
):
    rule = fail_to_read(fake_cluster, read_s, times=10_000)
    task = start_task(do_xcom_push=True)
    run, first = task.run(), task.pod
    assert type(run.error).__name__ == "ResultUnreadable"
    assert str(run.error).startswith(f"Cannot read the result of pod {first}, whose program succeeded: HTTP 502")
    assert ([*fake_cluster.pods], 600 <= fake_cluster.now <= 670) == ([first], True)
    rule.times = 0
    assert (task.retry().outcome, len(fake_cluster.ledger), fake_cluster.pods) == ({"rows": 3}, ONCE, {})


def test_outage_of_the_api_server_leaves_the_node_its_time(fake_cluster: Cluster, start_task: StartTask):
    def begin_outage() -> None:
        fake_cluster.down = (fake_cluster.now, fake_cluster.now + 900)

    fake_cluster.act("exec", begin_outage)
    fail_to_read(fake_cluster, 9, times=40)
    assert (start_task(do_xcom_push=True).run().outcome, fake_cluster.now > 1300) == ({"rows": 3}, True)


def test_rejected_credentials_are_read_again_for_the_result(fake_cluster: Cluster, start_task: StartTask):
    def fail(request: Any) -> None:
        raise ApiException(status=401, reason="Unauthorized")

    fake_cluster.rules.append(Rule("exec", fail))
    assert start_task(do_xcom_push=True).run().outcome == {"rows": 3}


def test_result_of_a_pod_that_has_ended_as_a_whole_is_not_waited_for():
    """Its status may still say that the sidecar runs."""
    statuses = [{"name": SIDECAR, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]
    state = parse_pod_state({"status": {"phase": "Failed", "reason": "Evicted", "containerStatuses": statuses}})
    assert read_failed_result(SimpleNamespace(), SimpleNamespace(is_gone=False, state=state)) is None  # type: ignore[arg-type]

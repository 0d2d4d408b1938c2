"""A sync run tells the true reason of its end, whatever fails beside it, and calls the author's callbacks as stock."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

from unit.support.cluster_server import Cluster, Rule
from unit.support.fake_kubelet import Program
from unit.support.pod_store import refuse
from unit.support.task_ends import EXIT_3, NAMES, build_callback, fail_in, run_until, tell
from unit.support.task_process import StartTask


@pytest.mark.parametrize("text", ["no json", '{"half": ', ""])
def test_bad_result_of_a_failed_program_does_not_hide_its_exit_code(
    text: str, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"], fake_cluster.result = Program(code=3), text
    task = start_task(do_xcom_push=True)
    run = task.run()
    assert (tell(task, run), "return_value" in task.xcoms, fake_cluster.pods) == (EXIT_3, False, {})
    assert any(line.startswith("Cannot read a result of the failed program: ") for line in run.log)


def test_result_of_a_failed_program_is_kept(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(code=3)
    task = start_task(do_xcom_push=True)
    assert tell(task, task.run()) == EXIT_3
    assert task.xcoms == {"pod_name": task.pod, "pod_namespace": "team-alpha", "return_value": {"rows": 3}}


def test_bad_result_of_a_successful_program_fails_the_task(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.result = "no json"
    task = start_task(do_xcom_push=True)
    run = task.run()
    assert (run.outcome, fake_cluster.pods) == (
        "AirflowException: The program succeeded, but its result is not JSON (line 1, column 1: Expecting value); it "
        'begins with "no json". Write JSON to /airflow/xcom/return.json, for example with json.dump: also a single '
        f"text needs quotation marks. [KPO-RES102: docs/troubleshooting.md#kpo-res102] Pod: {task.pod}.",
        {},
    )


@pytest.mark.parametrize("name", ["", "on_pod_completion"])
def test_bad_result_leaves_out_no_callback_and_is_told_first(name: str, fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.result, calls = "no json", []

    def call(called: str, arguments: dict[str, Any]) -> None:
        calls.append(called)
        if called == name:
            raise RuntimeError("of the author")

    run = start_task(do_xcom_push=True, callbacks=build_callback(call)).run()
    assert "JSON" in run.outcome
    assert [each for each in NAMES if each not in calls] == (["on_pod_teardown"] if name else [])
    assert ("warning: RuntimeError: of the author" in run.log, fake_cluster.pods) == (bool(name), {})


def test_lost_result_of_a_successful_program_does_not_start_it_again(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.act("exec", lambda: fake_cluster.end_sidecar(task.pod))
    task = start_task(do_xcom_push=True)
    run = task.run()
    assert tell(task, run) == (
        "AirflowFailException: The program succeeded, but pod POD lost its container airflow-xcom-sidecar before its "
        "result was read. The task is not tried again, because its work is done. [KPO-RES108: "
        "docs/troubleshooting.md#kpo-res108]"
    )


def test_outage_before_the_result_is_read_leaves_the_pod(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.act("exec", lambda: setattr(fake_cluster, "down", (fake_cluster.now, fake_cluster.now + 5000)))
    task = start_task(do_xcom_push=True)
    run = task.run()
    assert (type(run.error).__name__, [*fake_cluster.pods]) == ("ApiServerUnavailable", [task.pod])
    fake_cluster.sleep(2000)
    assert (task.retry().outcome, len(fake_cluster.ledger), fake_cluster.pods) == ({"rows": 3}, 2, {})


@pytest.mark.parametrize(("code", "outcome"), [(0, {"rows": 3}), (3, EXIT_3)])
def test_refused_clean_up_does_not_change_the_end(
    code: int, outcome: Any, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(code=code)
    fake_cluster.add("DELETE", refuse(403, "Forbidden", "pods is forbidden"))
    task = start_task(do_xcom_push=True)
    run = task.run()
    assert tell(task, run) == outcome
    assert run.log[-1].startswith(f"warning: Cannot clean up pod {task.pod}: HTTP 403, ")


@pytest.mark.parametrize("name", ["on_pod_completion", "on_pod_teardown", "on_pod_cleanup"])
def test_callback_that_fails_at_the_end_does_not_hide_an_exit_code(
    name: str, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(code=3)
    task = start_task(callbacks=fail_in(name))
    run = task.run()
    assert (tell(task, run), fake_cluster.pods) == (EXIT_3, {})
    assert f"warning: RuntimeError: {name} of the author" in run.log


@pytest.mark.parametrize("name", [*NAMES, "progress_callback"])
def test_callback_that_fails_fails_a_successful_task_and_leaves_no_pod(
    name: str, fake_cluster: Cluster, start_task: StartTask
):
    run = start_task(callbacks=fail_in(name)).run()
    fake_cluster.sleep(60)
    assert (run.outcome, fake_cluster.pods) == (f"RuntimeError: {name} of the author", {})


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("action", ["delete_pod", "keep_pod"])
def test_execution_timeout_ends_the_pod(action: str, fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task(on_finish_action=action, log_events_on_failure=False)
    run = run_until(10, task)
    fake_cluster.on_tick = lambda: None
    fake_cluster.sleep(60)
    assert run.outcome == "AirflowTaskTimeout: Timeout, PID: 1"
    assert fake_cluster.ledger == [f"{task.pod} started", f"{task.pod} interrupted"]
    assert [pod.reason for pod in fake_cluster.pods.values()] == (["DeadlineExceeded"] if action == "keep_pod" else [])
    assert fake_cluster.requests.count(f"DELETE pods/{task.pod}") == (action == "delete_pod")


@pytest.mark.usefixtures("alarm")
def test_execution_timeout_in_an_outage_is_told_and_ends_the_pod(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=1000)
    fake_cluster.down = (5, 50)
    task = start_task()
    run = run_until(10, task)
    fake_cluster.sleep(60)
    assert (run.outcome, fake_cluster.pods) == ("AirflowTaskTimeout: Timeout, PID: 1", {})


def end_while_the_log_is_read(cluster: Cluster) -> None:
    """Let time pass with the requests, and by itself while the stock operator waits for the end of the log.

    It waits in its only thread, after it has once seen that the container runs.
    """
    timers: list[threading.Timer] = []

    def pass_time(_: Any) -> None:
        cluster.sleep(0.5)
        if cluster.log_queries and not timers:
            timers.append(threading.Timer(0.5, cluster.sleep, [10]))
            timers[0].start()

    cluster.rules.append(Rule("GET pods/", pass_time, times=10_000))


@pytest.mark.parametrize("code", [0, 3])
def test_callbacks_are_called_as_by_the_stock_operator(code: int, fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(code=code, runs_s=4)
    end_while_the_log_is_read(fake_cluster)
    calls: list[tuple[Any, ...]] = []

    def call(name: str, arguments: dict[str, Any]) -> None:
        pod = arguments.get("pod")
        status = getattr(pod, "status", None)
        phase = status.phase if name in ("on_pod_starting", "on_pod_completion") else None
        types = {key: type(value).__name__ for key, value in sorted(arguments.items()) if key != "operator"}
        if name != "on_sync_client_creation":
            # The stock operator adds a line feed to the last line of a log.
            calls.append((name, types, arguments.get("mode"), phase, arguments.get("line", "").rstrip()))

    by_engine = []
    for operator in (KubernetesPodOperator, None):
        calls.clear()
        task = start_task(callbacks=build_callback(call), on_finish_action="keep_pod")
        if operator is not None:
            task.operator_class = operator
        task.run()
        fake_cluster.pods.clear()
        by_engine.append(list(calls))
    assert [call[0] for call in by_engine[1]] == [*NAMES[:3], "progress_callback", *NAMES[3:]]
    # The stock operator calls on_pod_cleanup only after a success.
    assert by_engine[1] == [*by_engine[0], *(by_engine[1][-1:] if code else [])]

"""A running pod outlasts whatever keeps its task from looking at it: refusals, proxies, and Airflow's connections."""

from __future__ import annotations

import json
import signal
import ssl
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowSecretsBackendAccessDenied
from kubernetes.client import ApiException
from urllib3.exceptions import SSLError

from kpo_platform.airflow.api_errors import ApiRefusal, describe_error
from kpo_platform.airflow.operators.lifecycle import pod_api
from kpo_platform.airflow.operators.lifecycle.observed_pod import PodUnreadable
from kpo_platform.airflow.operators.lifecycle.pod_logs import PodLogs
from unit.support.cluster_server import Cluster, Rule
from unit.support.fake_kubelet import Program
from unit.support.pod_store import refuse
from unit.support.task_ends import build_callback, run_until
from unit.support.task_faults import FORBIDDEN, answer_looks, fail_lookups, kill_while_running
from unit.support.task_process import StartTask

PROXY_ANSWERS = [
    (302, ""),
    (400, "Bad Request"),
    (403, "RBAC: access denied"),
    (404, "default backend - 404"),
    refuse(404, "NotFound", "the server could not find the requested resource", kind=""),
    (405, "no"),
    (408, "Request Timeout"),
    (409, "Conflict"),
    (418, {"message": "teapot"}),
    (501, "no"),
    (520, "unknown error"),
]


@pytest.mark.parametrize("answer", PROXY_ANSWERS)
@pytest.mark.parametrize("part", ["POST pods", "GET pods/", "DELETE pods/"])
def test_refusal_of_a_proxy_is_not_the_last_word(part: str, answer: Any, fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=30)
    fake_cluster.add(part, answer, times=4)
    task = start_task()
    run = task.run()
    assert (run.outcome, fake_cluster.ledger) == (None, [f"{task.pod} started", f"{task.pod} finished with 0"])
    assert (fake_cluster.created, fake_cluster.pods) == (1, {})


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (FORBIDDEN, 'pods "p" is forbidden: User "u" cannot get resource "pods". The task deletes no pod for this. '
         "Give the task's connection this right."),
        ((400, "Bad Request"), "Bad Request. The task deletes no pod for this. Correct what the message names, or ask "
         "the platform team."),
    ],
)  # fmt: skip
def test_pod_that_may_not_be_read_runs_on_and_the_next_try_takes_it_up(
    answer: Any, said: str, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(runs_s=200)
    answer_looks(5, fake_cluster, answer, times=10_000)
    task = start_task()
    run = task.run()
    assert run.outcome == (
        f"PodUnreadable: Cannot read pod {task.pod} in namespace team-alpha: HTTP {answer[0]}, {said} A retry of the "
        "task takes up the pod, or its result."
    )
    assert (65 <= fake_cluster.now <= 160, "DELETE POD" in run.requests, len(fake_cluster.pods)) == (True, False, 1)
    fake_cluster.rules.clear()
    assert (task.retry().outcome, fake_cluster.created, len(fake_cluster.ledger)) == (None, 1, 2)


LOOKUP_ERRORS = [
    AirflowNotFoundException("The conn_id `k8s_default` isn't defined"),
    AirflowSecretsBackendAccessDenied("throttled"),
    RuntimeError("API_SERVER_ERROR"),
]


@pytest.mark.parametrize("error", LOOKUP_ERRORS)
def test_pod_outlasts_a_connection_that_airflow_does_not_give_out(
    error: Exception, fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    """The connection is read again when the API server has refused the credentials of the first read."""
    fake_cluster.programs["base"] = Program(runs_s=30)
    errors = fail_lookups(monkeypatch, [error] * 3, lambda: fake_cluster.now >= 5)
    task = start_task()
    answer_looks(5, fake_cluster, refuse(401, "Unauthorized", "expired"))
    run = task.run()
    assert (run.outcome, errors, fake_cluster.pods) == (None, [], {})
    assert fake_cluster.ledger == [f"{task.pod} started", f"{task.pod} finished with 0"]
    assert any("Cannot read pod" in line and str(error) in line for line in run.log), run.log


@pytest.mark.parametrize("error", LOOKUP_ERRORS)
def test_restarted_task_waits_for_its_connection(
    error: Exception, fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    fake_cluster.programs["base"] = Program(runs_s=30)
    task = start_task()
    kill_while_running(task)
    errors = fail_lookups(monkeypatch, [error] * 3)
    assert (task.retry().outcome, errors, fake_cluster.created) == (None, [], 1)
    assert len(fake_cluster.ledger) == 2


def test_result_outlasts_a_connection_that_airflow_does_not_give_out(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    task = start_task(xcom="sidecar")
    errors: list[Exception] = []

    def expire(request: Any) -> None:
        errors.extend(fail_lookups(monkeypatch, [*LOOKUP_ERRORS]))
        raise ApiException(status=401, reason="expired")

    fake_cluster.rules.append(Rule("exec", expire))
    assert (task.run().outcome, len(errors), fake_cluster.created) == ({"rows": 3}, 3, 1)


def test_first_process_tells_at_once_that_there_is_no_connection(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    fail_lookups(monkeypatch, [LOOKUP_ERRORS[0]] * 100)
    assert start_task().run().outcome == "AirflowNotFoundException: The conn_id `k8s_default` isn't defined"
    assert fake_cluster.now == 0


def test_certificate_of_a_proxy_that_has_just_started_is_not_the_last_word(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    fake_cluster.programs["base"] = Program(runs_s=30)
    refused = ssl.SSLCertVerificationError("certificate verify failed: self-signed certificate")
    errors = [SSLError(refused)] * 4
    send = pod_api.send_request

    def send_with_errors(client: Any, method: str, *arguments: Any, **options: Any) -> Any:
        if method == "GET" and fake_cluster.now >= 5 and errors:
            raise errors.pop()
        return send(client, method, *arguments, **options)

    monkeypatch.setattr(pod_api, "send_request", send_with_errors)
    task = start_task()
    fake_cluster.watches = None
    assert (task.run().outcome, errors, len(fake_cluster.ledger), fake_cluster.pods) == (None, [], 2, {})


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("max_tries", [1, 0])
def test_execution_timeout_leaves_a_pod_that_cannot_be_read_to_the_next_try(
    max_tries: int, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.watches, fake_cluster.programs["base"] = None, Program(runs_s=10)
    fake_cluster.rules.append(Rule("GET pods/", lambda request: FORBIDDEN if fake_cluster.now >= 5 else None, 10_000))
    task = start_task(xcom="sidecar")
    task.max_tries = max_tries
    run = run_until(20, task)
    assert (run.outcome, "DELETE POD" in run.requests) == ("AirflowTaskTimeout: Timeout, PID: 1", not max_tries)
    if max_tries:
        fake_cluster.rules.clear()
        assert (task.retry().outcome, fake_cluster.created, len(fake_cluster.ledger)) == ({"rows": 3}, 1, 2)


@pytest.mark.parametrize("state", ["running", "restarting"])
def test_result_that_airflow_cannot_store_is_not_lost_by_a_shutdown_during_the_clean_up(
    state: str, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.result = json.dumps("x" * 70_000)
    task = start_task(xcom="sidecar")
    task.state = state
    fake_cluster.act("DELETE pods", lambda: task.operator.on_kill())
    assert (task.run().outcome, fake_cluster.pods) == ("x" * 70_000, {})


def test_shutdown_before_the_clean_up_leaves_the_pod_with_its_result(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    fake_cluster.result = json.dumps("x" * 70_000)
    task = start_task(xcom="sidecar")
    finish = PodLogs.finish

    def shut_down(logs: PodLogs) -> None:
        monkeypatch.setattr(PodLogs, "finish", finish)
        task.operator.on_kill()

    monkeypatch.setattr(PodLogs, "finish", shut_down)
    assert [run.outcome for run in task.run_to_end()] == ["rescheduled", "x" * 70_000]
    assert (fake_cluster.created, fake_cluster.pods) == (1, {})


@pytest.mark.usefixtures("alarm")
def test_result_that_airflow_cannot_store_outlasts_a_callback_that_takes_too_long(
    fake_cluster: Cluster, start_task: StartTask
):
    def call(called: str, arguments: dict[str, Any]) -> None:
        if called == "on_pod_cleanup":
            signal.raise_signal(signal.SIGALRM)

    fake_cluster.result = json.dumps("x" * 70_000)
    task = start_task(xcom="sidecar", callbacks=build_callback(call))
    assert (task.run().outcome, fake_cluster.pods) == ("x" * 70_000, {})


def test_error_of_the_authors_callback_is_told_as_it_is(fake_cluster: Cluster, start_task: StartTask):
    def call(called: str, arguments: dict[str, Any]) -> None:
        if called == "on_sync_client_creation":
            raise ValueError("of the author")

    run = start_task(callbacks=build_callback(call)).run()
    assert (run.outcome, fake_cluster.now) == ("ValueError: of the author", 0)


def test_refusal_is_told_in_the_words_of_the_api_server():
    refusal = ApiRefusal(status=403, reason="Forbidden")
    refusal.body = json.dumps(FORBIDDEN[1])  # type: ignore[index]
    error = PodUnreadable("Cannot read pod p", "")
    error.__cause__ = refusal
    said = 'HTTP 403, pods "p" is forbidden: User "u" cannot get resource "pods"'
    assert [describe_error(each) for each in (refusal, error)] == [said, said]


def test_task_that_takes_a_stored_end_has_the_name_of_its_pod(fake_cluster: Cluster, start_task: StartTask):
    task = start_task(xcom="sidecar")
    name, task.steps.kill_after = task.pod, 100
    fake_cluster.rules.append(Rule("DELETE pods", lambda request: setattr(task.steps, "kill_after", 1) or None))
    task.run()
    task.steps.kill_after = 0
    assert task.retry().outcome == {"rows": 3}
    assert task.xcoms == {"pod_name": name, "pod_namespace": "team-alpha"}

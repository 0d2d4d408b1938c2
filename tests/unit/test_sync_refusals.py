"""A running pod outlasts whatever keeps its task from looking at it: refusals, proxies, and Airflow's connections."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowSecretsBackendAccessDenied

from kpo_platform.airflow.operators.lifecycle.pod_logs import PodLogs
from unit.support.cluster_server import Cluster
from unit.support.fake_kubelet import Program
from unit.support.pod_store import refuse
from unit.support.task_faults import at
from unit.support.task_process import StartTask

PROXY_ANSWERS = [
    (302, ""),
    (400, "Bad Request"),
    (403, "RBAC: access denied"),
    (404, "default backend - 404"),
    (405, "no"),
    (408, "Request Timeout"),
    (409, "Conflict"),
    (418, {"message": "teapot"}),
    (501, "no"),
    (520, "unknown error"),
]
FORBIDDEN = refuse(403, "Forbidden", 'pods "p" is forbidden: User "u" cannot get resource "pods"')


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
    at(5, fake_cluster, lambda pod: fake_cluster.add("GET pods/", answer, times=10_000))
    task = start_task()
    run = task.run()
    assert run.outcome == (
        f"PodUnreadable: Cannot read pod {task.pod} in namespace team-alpha: HTTP {answer[0]}, {said} A retry of the "
        "task takes up the pod, or its result."
    )
    assert (65 <= fake_cluster.now <= 90, "DELETE POD" in run.requests, len(fake_cluster.pods)) == (True, False, 1)
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
    read_client: Any = vars(KubernetesPodOperator)["client"].func
    errors = [error] * 3
    task = start_task()

    def read(operator: Any) -> Any:
        if fake_cluster.now >= 5 and errors:
            raise errors.pop()
        return read_client(operator)

    property_ = cached_property(read)
    property_.__set_name__(KubernetesPodOperator, "client")
    monkeypatch.setattr(KubernetesPodOperator, "client", property_)
    at(5, fake_cluster, lambda pod: fake_cluster.add("GET pods/", refuse(401, "Unauthorized", "expired")))
    run = task.run()
    assert (run.outcome, errors, fake_cluster.pods) == (None, [], {})
    assert fake_cluster.ledger == [f"{task.pod} started", f"{task.pod} finished with 0"]
    text = str(error)
    assert any("Cannot read pod" in line and text in line for line in run.log), run.log


@pytest.mark.parametrize("state", ["running", "restarting"])
def test_result_that_airflow_cannot_store_is_not_lost_by_a_shutdown_during_the_clean_up(
    state: str, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.result = json.dumps("x" * 70_000)
    task = start_task(xcom=True)
    task.state = state
    fake_cluster.act("DELETE pods", lambda: task.operator.on_kill())
    assert (task.run().outcome, fake_cluster.pods) == ("x" * 70_000, {})


def test_shutdown_before_the_clean_up_leaves_the_pod_with_its_result(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    fake_cluster.result = json.dumps("x" * 70_000)
    task = start_task(xcom=True)
    finish = PodLogs.finish

    def shut_down(logs: PodLogs) -> None:
        monkeypatch.setattr(PodLogs, "finish", finish)
        task.operator.on_kill()

    monkeypatch.setattr(PodLogs, "finish", shut_down)
    assert [run.outcome for run in task.run_to_end()] == ["rescheduled", "x" * 70_000]
    assert (fake_cluster.created, fake_cluster.pods) == (1, {})

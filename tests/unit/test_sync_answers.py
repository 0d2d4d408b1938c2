"""Answers of a busy or starting API server, and of a proxy before it, under a sync run."""

from __future__ import annotations

from typing import Any

import pytest

from unit.support.cluster_server import Cluster
from unit.support.fake_kubelet import Program
from unit.support.pod_store import refuse
from unit.support.task_faults import FORBIDDEN, answer_looks, kill_while_running
from unit.support.task_process import StartTask

NO_RESOURCE = refuse(404, "NotFound", "the server could not find the requested resource", kind="")
"""The answer of a server that does not know the path, such as an API server that starts or a gateway."""


@pytest.mark.parametrize("answer", [refuse(503, "x", "starting"), refuse(500, "x", "etcd"), refuse(429, "x", "busy")])
def test_busy_api_server_is_asked_again(answer: Any, fake_cluster: Cluster, start_task: StartTask):
    for part in ("POST pods", "WATCH pods", "GET pods/", "DELETE pods"):
        fake_cluster.add(part, answer, times=3)
    task = start_task()
    assert (task.run().outcome, fake_cluster.created, fake_cluster.pods) == (None, 1, {})


@pytest.mark.parametrize(("code", "error"), [(0, "NoneType"), (3, "AirflowException")])
def test_events_that_are_not_answered_do_not_delay_the_task(
    code: int, error: str, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.add("GET events", refuse(500, "x", "etcd of the events"), times=10_000)
    fake_cluster.programs |= {"base": Program(code=code, runs_s=4), "slow": Program(runs_s=8)}
    task = start_task(pod_override={"spec": {"initContainers": [{"name": "slow", "image": "slow:1"}]}})
    run = task.run()
    warning = f"warning: Cannot read the events of pod {task.pod}: HTTP 500, etcd of the events."
    assert (type(run.error).__name__, run.log.count(warning), fake_cluster.pods) == (error, 1 + bool(code), {})
    assert fake_cluster.now < 18


def test_events_are_logged_when_they_are_answered_again(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.prepare = lambda pod: setattr(pod, "runs_until", 25)
    fake_cluster.events = [{"metadata": {"uid": "e"}, "message": "Pulling image", "involvedObject": {}}]
    fake_cluster.add("GET events", refuse(429, "x", "busy"), times=2)
    assert start_task().run().log.count("The Pod has an Event: Pulling image from None") == 1


def test_retry_after_is_honoured(fake_cluster: Cluster, start_task: StartTask):
    code, body = refuse(429, "TooManyRequests", "busy")  # type: ignore[misc]
    fake_cluster.add("POST pods", (code, body, {"Retry-After": "40"}))
    start_task().run()
    assert 40 <= fake_cluster.now <= 48


def test_rejected_credentials_are_read_again(fake_cluster: Cluster, start_task: StartTask):
    for part in ("POST pods", "WATCH pods", "GET pods/", "DELETE pods"):
        fake_cluster.add(part, refuse(401, "Unauthorized", "Unauthorized"))
    run = start_task().run()
    warning = "warning: The Kubernetes API rejected the credentials (HTTP 401): they are read again."
    assert (run.outcome, run.log.count(warning), fake_cluster.pods) == (None, 3, {})


def test_missing_right_fails_at_once(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.add("POST pods", refuse(403, "Forbidden", "pods is forbidden: User cannot create"))
    run = start_task().run()
    assert (type(run.error).__name__, run.requests) == ("ApiRefusal", ["POST pods"])


@pytest.mark.parametrize("refusal", [FORBIDDEN, refuse(401, "Unauthorized", "Unauthorized")])
def test_running_pod_outlasts_a_server_that_starts_and_refuses_what_is_allowed(
    refusal: Any, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(runs_s=30)
    answer_looks(5, fake_cluster, refusal, times=4)
    task = start_task()
    run = task.run()
    assert (run.outcome, fake_cluster.ledger) == (None, [f"{task.pod} started", f"{task.pod} finished with 0"])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((404, "default backend - 404"), "HTTP 404"),
        ((404, {"message": "no route"}), "HTTP 404"),
        (NO_RESOURCE, "HTTP 404, the server could not find the requested resource"),
        ((200, {"message": "maintenance"}), "the answer is not a"),
        ((200, {"metadata": {}}), "the answer is not a"),
        ((200, "maintenance"), "the answer is not a JSON object"),
    ],
)
def test_answer_of_a_proxy_does_not_say_that_the_pod_is_gone(
    answer: Any, said: str, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(runs_s=30)
    answer_looks(5, fake_cluster, answer, times=4)
    task = start_task()
    run = task.run()
    assert (run.outcome, fake_cluster.ledger) == (None, [f"{task.pod} started", f"{task.pod} finished with 0"])
    assert f"warning: Cannot read pod {task.pod} in namespace team-alpha: {said}" in str(run.log)


@pytest.mark.parametrize("answer", [{"message": "maintenance"}, {"metadata": {}}, {"items": {}}, {"kind": "Status"}])
def test_answer_of_a_proxy_is_not_taken_for_what_was_asked(answer: Any, fake_cluster: Cluster, start_task: StartTask):
    for part in ("POST pods", "WATCH pods", "GET pods/", "DELETE pods"):
        fake_cluster.add(part, (200, answer), times=2)
    task = start_task()
    run = task.run()
    assert (run.outcome, fake_cluster.ledger) == (None, [f"{task.pod} started", f"{task.pod} finished with 0"])
    assert fake_cluster.pods == {}


def test_restarted_task_does_not_take_the_answer_of_a_proxy_for_an_empty_list(
    fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(runs_s=30)
    task = start_task()
    kill_while_running(task)
    assert task.store is not None
    task.store.values.clear()
    fake_cluster.add("GET pods", (200, {"message": "maintenance"}), times=4)
    assert (task.retry().outcome, fake_cluster.created, len(fake_cluster.ledger)) == (None, 1, 2)


@pytest.mark.parametrize("refusal", [FORBIDDEN, refuse(401, "Unauthorized", "Unauthorized"), NO_RESOURCE])
def test_restarted_task_outlasts_a_server_that_starts(refusal: Any, fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=30)
    task = start_task()
    kill_while_running(task)
    fake_cluster.add("GET pods/", refusal, times=4)
    assert (task.run().outcome, fake_cluster.created, len(fake_cluster.ledger)) == (None, 1, 2)

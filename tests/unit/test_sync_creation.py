"""The creation of a pod in a sync run: requests without an answer, and the end of ``execution_timeout`` meanwhile."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.client import ApiClient

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.operators.lifecycle import pod_api
from unit.support.cluster_server import Cluster, Rule
from unit.support.fake_kubelet import Program
from unit.support.http_server import Fault, Request
from unit.support.pod_store import refuse
from unit.support.task_ends import run_with_timeout, start_last_try
from unit.support.task_process import StartTask, Task

FULL = refuse(403, "Forbidden", 'pods "t" is forbidden: exceeded quota: team-quota')
UNANSWERED = [Fault.CLOSE, Fault.CUT, *(refuse(code, "", "busy") for code in (408, 429, 500, 504)), (403, "RBAC: no")]


@pytest.mark.parametrize("answer", UNANSWERED)
def test_pod_of_an_unanswered_request_is_found_although_the_quota_is_used_up(
    answer: Any, fake_cluster: Cluster, start_task: StartTask
):
    """The first request is still in admission when the pod is looked for, and creates it before the second one."""
    fake_cluster.quota = 1
    fake_cluster.add("POST", answer)
    fake_cluster.add("POST", FULL, is_after=True)
    task = start_task(xcom="sidecar")
    run = task.run()
    assert (run.outcome, fake_cluster.created, fake_cluster.pods) == ({"rows": 3}, 1, {})
    assert run.requests[:4] == ["POST pods", "GET POD", "POST pods", "GET POD"]
    assert fake_cluster.now < 60


def test_refused_request_is_repeated_without_a_look_for_its_pod(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.add("POST", FULL, times=3)
    assert start_task().run().requests == ["POST pods", "WATCH POD", "DELETE POD"]
    assert fake_cluster.requests[:4] == ["POST pods"] * 4


def test_look_for_the_pod_of_an_unanswered_request_precedes_every_further_request(
    fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.add("POST", Fault.CLOSE)
    fake_cluster.add("POST", FULL, times=2)
    task = start_task()
    assert (task.run().outcome, fake_cluster.created) == (None, 1)
    assert fake_cluster.requests[:7] == [*["POST pods", f"GET pods/{task.pod}"] * 3, "POST pods"]


TIMED_OUT = "AirflowTaskTimeout: Timeout, PID: 1"


def end_time() -> None:
    """End the time of the task, which runs in the main thread."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("arguments", [{}, {"on_kill_action": "keep_pod"}, {"random_name_suffix": False}])
def test_pod_that_is_created_when_the_time_is_over_is_ended(
    arguments: dict[str, Any], fake_cluster: Cluster, start_task: StartTask
):
    """If the task looked for its pod at once, the request would create it afterwards."""
    has_looked = threading.Event()

    def look(_: Any) -> Any:
        has_looked.set()
        return None if fake_cluster.created else refuse(404, "NotFound", "not found")

    fake_cluster.act("POST", lambda: (end_time(), has_looked.wait(0.3)))
    fake_cluster.rules.append(Rule("GET pods/", look, 10))
    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task(**arguments)
    assert run_with_timeout(task).outcome == TIMED_OUT
    assert [each.split("/")[0] for each in fake_cluster.requests] == ["POST pods", "GET pods", "DELETE pods"]
    fake_cluster.sleep(60)
    assert (fake_cluster.created, fake_cluster.pods) == (1, {})


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("fault", [Fault.CLOSE, Fault.HANG])
def test_end_of_the_time_waits_no_longer_than_for_the_answer_to_the_creation(
    fault: Fault, fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    send = pod_api.send_request
    monkeypatch.setattr(
        pod_api, "send_request", lambda *args, **options: send(*args, **{**options, "read_timeout_s": 0.5})
    )
    fake_cluster.rules.append(Rule("POST", lambda _: (end_time(), fault)[1], is_after=True))
    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task()
    assert run_with_timeout(task).outcome == TIMED_OUT
    assert [each.split("/")[0] for each in fake_cluster.requests] == ["POST pods", "GET pods", "DELETE pods"]
    assert (fake_cluster.created, fake_cluster.pods) == (1, {})


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("end", [lambda task: end_time(), lambda task: task.operator.on_kill()])
def test_pod_that_is_created_after_the_end_of_its_task_is_ended(
    end: Callable[[Task], object], fake_cluster: Cluster, start_task: StartTask
):
    """The API server may still create a pod for a client that no longer waits for the answer."""

    def create_late(request: Request) -> Fault:
        late = [lambda: end(task), lambda: fake_cluster._answer(request, "pods")]
        fake_cluster.on_tick = lambda: late and late.pop(0)()
        return Fault.CLOSE

    fake_cluster.rules.append(Rule("POST", create_late))
    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task()
    task.state = "restarting"
    run_with_timeout(task)
    fake_cluster.sleep(20)
    assert (fake_cluster.created, fake_cluster.pods) == (1, {})


@pytest.mark.usefixtures("alarm")
def test_end_of_the_time_interrupts_the_login_before_the_creation(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    """A program that logs in may run without end; it has created no pod."""
    monkeypatch.setattr(ApiClient, "update_params_for_auth", lambda *_: end_time())
    assert (start_task().run().outcome, fake_cluster.requests) == (TIMED_OUT, [])


def test_exit_of_a_subclass_while_it_creates_the_pod_ends_the_pod(fake_cluster: Cluster, start_task: StartTask):
    class Creating(TeamPodOperator):
        def create_pod(self, pod: Any) -> Any:
            super().create_pod(pod)
            raise SystemExit(1)

    fake_cluster.programs["base"] = Program(runs_s=20)
    task = start_last_try(start_task)
    task.operator_class = Creating
    run = task.run()
    fake_cluster.sleep(5)
    assert (run.outcome, fake_cluster.pods) == ("SystemExit: 1", {})

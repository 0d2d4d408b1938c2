"""lifecycle.pod_diagnosis: the cause of a failure in the first line of a task's error, whatever the cluster answers."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import unquote

import pytest
from kubernetes.client import ApiClient, Configuration, CoreV1Api

from kpo_platform.airflow.operators.lifecycle import pod_diagnosis, task_reader
from kpo_platform.airflow.operators.lifecycle.patience import Patience
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.airflow.operators.lifecycle.task_reader import TaskReader
from kpo_platform.diagnosis.need import Answer, Need
from kpo_platform.pod.state import PodState
from unit.support.cluster_server import Cluster
from unit.support.contracts import TEAM
from unit.support.diagnosis import build_event
from unit.support.fake_kubelet import Program
from unit.support.http_server import Fault, serving
from unit.support.pod_store import refuse
from unit.support.published_contract import Publish
from unit.support.task_ends import EXIT_3, UNSEEN_EXIT_3, tell
from unit.support.task_process import StartTask
from unit.support.virtual_time import LogLines

NO_SECRET = Program(never_starts="CreateContainerConfigError", message='secret "etl" not found')
MISSING = 'Secret "etl" does not exist in team-alpha (CreateContainerConfigError).'


@pytest.mark.parametrize("grace_s", [0, 60, 200])
def test_missing_secret_fails_the_task_after_the_grace(
    grace_s: int, fake_cluster: Cluster, start_task: StartTask, publish: Publish
):
    publish(alpha={"policy": {**TEAM["policy"], "missingObjectTimeout": grace_s}})
    fake_cluster.programs["base"] = NO_SECRET
    task = start_task()
    run = task.run()
    assert run.outcome.startswith(f"PodLaunchFailedException: {MISSING}"), run.outcome
    told = run.outcome.removeprefix("PodLaunchFailedException: ").removesuffix(f" Pod: {task.pod}.")
    assert run.log.count(f"Pod {task.pod} does not start yet: {told}") == 1
    assert (fake_cluster.pods, grace_s <= fake_cluster.now < grace_s + 5) == ({}, True)


def test_events_are_read_before_a_pod_is_given_up(fake_cluster: Cluster, start_task: StartTask):
    message = 'failed to resolve reference "busybox:1.35": status code [manifests 1.35]: 401 Unauthorized'
    fake_cluster.programs["base"] = Program(never_starts="ErrImagePull", message=message)
    text = "Unable to retrieve some image pull secrets (etl-login); attempting to pull the image may not succeed."
    fake_cluster.events = [build_event("FailedToRetrieveImagePullSecret", text)]
    run = start_task(image_pull_secrets=["etl-login"]).run()
    missing = 'PodLaunchFailedException: The pull secret "etl-login" does not exist in team-alpha (ErrImagePull).'
    assert run.outcome.startswith(missing), run.outcome
    assert 60 <= fake_cluster.now < 65


def test_secret_that_is_created_in_the_grace_lets_the_pod_start(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = NO_SECRET

    def create_secret() -> None:
        if fake_cluster.now >= 50:
            for pod in fake_cluster.pods.values():
                pod.container("base").program = Program()

    fake_cluster.on_tick = create_secret
    run = start_task().run()
    assert (run.outcome, sum("does not start yet" in line for line in run.log)) == (None, 1)


def test_time_without_an_answer_does_not_count_for_the_grace(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"], fake_cluster.down = NO_SECRET, (30, 330)
    run = start_task().run()
    assert (MISSING in run.outcome, 350 <= fake_cluster.now < 370) == (True, True)


@pytest.mark.parametrize("answer", [refuse(403, "Forbidden", "no"), refuse(500, "x", "broken"), Fault.CLOSE])
def test_events_that_cannot_be_read_do_not_hide_the_failure(answer: Any, fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(code=3)
    fake_cluster.add("GET events", answer, times=1000)
    task = start_task()
    assert (tell(task, task.run()), fake_cluster.pods) == (EXIT_3, {})


def test_mistake_of_the_diagnosis_does_not_hide_the_failure(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: Any) -> Any:
        raise ValueError("a mistake")

    monkeypatch.setattr(pod_diagnosis, "diagnose_with", fail)
    fake_cluster.programs["base"] = Program(code=3)
    task = start_task()
    run = task.run()
    assert (tell(task, run), fake_cluster.pods) == (UNSEEN_EXIT_3, {})
    assert "warning: Cannot diagnose the pod (ValueError: a mistake)." in run.log


@pytest.mark.parametrize(
    "events",
    [[5, None, "x"], [{"metadata": 1, "involvedObject": [], "reason": {}}], [{"message": "\x1b[31m" * 9999}]],
    ids=["no objects", "other types", "long and hostile"],
)
def test_malformed_events_do_not_hide_the_failure(events: list[Any], fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs |= {"base": Program(code=3), "slow": Program(runs_s=20)}
    fake_cluster.events = events
    slow = [{"name": "slow", "image": "slow:1"}]
    task = start_task(pod_override={"spec": {"initContainers": slow}})
    run = task.run()
    assert (tell(task, run), fake_cluster.pods) == (EXIT_3, {})
    assert not any("\x1b" in line for line in run.log)


def test_last_line_is_that_of_the_log_and_not_of_a_result(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(code=3, lines=(b"ValueError: no such table",), result=b'{"rows": 7}')
    task = start_task(xcom=True)
    outcome = tell(task, task.run())
    assert outcome.startswith("AirflowException: The program failed with exit code 3: ValueError: no such table. ")
    assert "rows" not in outcome


def read(need: Need, answer: Any) -> tuple[Answer, list[str]]:
    """Read an object with the rights of a task, whose API server answers this; return the requests, too."""
    with serving(lambda request: answer) as server:
        client = CoreV1Api(ApiClient(Configuration(host=server.url)))
        found = TaskReader(PodApi(lambda: client, Patience(5, LogLines()))).read(need)
        return found, [request.path for request in server.seen]


FOUND = {"kind": "PersistentVolumeClaim", "metadata": {"uid": "u"}}
CLAIM = Need("PersistentVolumeClaim", "team-alpha", "data")
CLAIM_PATH = "/api/v1/namespaces/team-alpha/persistentvolumeclaims/data"
EVENTS = Need("Event", "team-alpha", "PersistentVolumeClaim/data")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((200, FOUND), Answer((FOUND,))),
        (refuse(404, "NotFound", "not found", kind="persistentvolumeclaims"), Answer()),
        (refuse(403, "Forbidden", "no right"), Answer(refusal="HTTP 403, no right")),
        (Fault.HANG, Answer(refusal="no answer in time")),
        ((200, "no JSON"), Answer(refusal="the answer is not a JSON object")),
    ],
    ids=["found", "absent", "no right", "no answer", "no object"],
)
def test_claim_that_a_cause_depends_on_is_read_once(answer: Any, expected: Answer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(task_reader, "_LONGEST_S", 0.5)
    began_at = time.monotonic()
    assert read(CLAIM, answer) == (expected, [CLAIM_PATH])
    assert time.monotonic() - began_at < 2


def test_events_of_a_claim_are_those_of_the_object():
    found, (path,) = read(EVENTS, (200, {"kind": "EventList", "items": [{"reason": "ProvisioningFailed"}, 5]}))
    assert found == Answer(({"reason": "ProvisioningFailed"},))
    assert unquote(path) == (
        "/api/v1/namespaces/team-alpha/events?fieldSelector=involvedObject.kind=PersistentVolumeClaim,"
        "involvedObject.name=data"
    )


def test_all_objects_of_a_kind_are_listed():
    assert read(Need("Node"), (200, {"kind": "NodeList", "items": [{"spec": {}}]})) == (
        Answer(({"spec": {}},)),
        ["/api/v1/nodes"],
    )


def test_secret_is_never_read():
    assert read(Need("Secret", "team-alpha", "etl"), (200, {})) == (
        Answer(refusal="Airflow has no right to read it"),
        [],
    )


def test_nothing_is_read_when_the_time_is_over(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(task_reader, "_LONGEST_S", 0.0)
    assert read(CLAIM, (200, {})) == (Answer(refusal="no time left"), [])


@pytest.mark.parametrize("answer", [(200, "one\nKeyError: 5\n"), refuse(404, "NotFound", "no log"), Fault.HANG])
def test_last_lines_that_an_earlier_process_has_written_are_read_again(answer: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(task_reader, "_LONGEST_S", 0.5)
    with serving(lambda request: answer) as server:
        client = ApiClient(Configuration(host=server.url))
        reader = TaskReader(PodApi(lambda: CoreV1Api(client), Patience(5, LogLines())))
        lines = reader.read_last_lines(client, PodState("p", namespace="n"), "base")
        assert lines == (["one", "KeyError: 5"] if isinstance(answer, tuple) and answer[0] == 200 else [])
        assert [request.path for request in server.seen] == [
            "/api/v1/namespaces/n/pods/p/log?container=base&tailLines=50&limitBytes=65536"
        ]


def test_failure_without_a_log_in_the_task_is_told_with_the_programs_last_line(
    fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(code=3)
    task = start_task(get_logs=False)
    run = task.run()
    assert (tell(task, run), any("hello" in line for line in run.log)) == (EXIT_3, False)


def test_cause_is_also_that_nothing_happens(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["slow"] = Program(runs_s=1500)
    slow = [{"name": "slow", "image": "slow:1"}]
    run = start_task(pod_override={"spec": {"initContainers": slow}}, startup_timeout_seconds=3600).run()
    told = [line for line in run.log if "does not start yet" in line]
    assert (run.outcome, len(told)) == (None, 1)
    assert re.search(r'Init container "slow" has run for \d+ min, and the program waits for it', told[0])

"""What a run says: text of the cluster in one clean line, the pod's name, and what to do next."""

from __future__ import annotations

import re
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from kubernetes.client import ApiException

from kpo_platform.airflow.api_errors import ApiRefusal, describe_failure
from kpo_platform.errors import PlatformError
from unit.support.cluster_server import Cluster, Rule
from unit.support.fake_kubelet import FakePod, Program
from unit.support.pod_store import refuse
from unit.support.task_ends import tell
from unit.support.task_faults import at, stop_while_running
from unit.support.task_process import Run, StartTask

DIRTY = "\x1b[31mred\nline\x07 of\u202e the cluster " + "x" * 5000
CLEAN = "[31mred line of the cluster x"
FAILED = Program(code=3)


def check(run: Run, count: int) -> None:
    """Check that the dirty text is in so many lines of log and error, and in none as it is."""
    lines = [*run.log, str(run.outcome)]
    assert [line for line in lines if re.search(r"[\x00-\x1f\x7f\u202e]", line) or len(line) > 2000] == []
    assert sum(CLEAN in line for line in lines) == count, lines


def test_dirty_text_of_a_status_is_cleaned(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    fake_cluster.programs["base"] = FAILED
    read = FakePod.read

    def read_dirty(pod: FakePod) -> Any:
        found = read(pod)
        for status in found["status"].get("containerStatuses", []):
            if "terminated" in status["state"]:
                status["state"]["terminated"] |= {"message": f"{DIRTY}{CLEAN}", "reason": "Error\x1b"}
        return found

    monkeypatch.setattr(FakePod, "read", read_dirty)
    check(start_task().run(), 1)


def test_dirty_text_of_an_event_is_cleaned(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs |= {"base": FAILED, "slow": Program(runs_s=8)}
    involved = {"fieldPath": "spec\n\x1b"}
    fake_cluster.events.append(
        {"metadata": {"uid": "1"}, "reason": "Bad\x1b", "message": DIRTY, "type": "Warning", "involvedObject": involved}
    )
    slow = [{"name": "slow", "image": "slow:1"}]
    check(start_task(pod_override={"spec": {"initContainers": slow}}).run(), 2)


@pytest.mark.parametrize(("request_text", "count"), [("POST pods", 1), ("DELETE", 1), ("/log", 1)])
def test_dirty_text_of_a_refusal_is_cleaned(
    request_text: str, count: int, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.add(request_text, refuse(422, "Invalid\x1b\n", DIRTY), times=1000)
    check(start_task().run(), count)


def test_dirty_text_about_an_image_is_cleaned(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    fake_cluster.programs["base"] = Program(never_starts="InvalidImageName")
    read = FakePod.read

    def read_dirty(pod: FakePod) -> Any:
        found = read(pod)
        for status in found["status"].get("containerStatuses", []):
            status["state"].get("waiting", {})["message"] = DIRTY
        return found

    monkeypatch.setattr(FakePod, "read", read_dirty)
    check(start_task().run(), 1)


def test_dirty_text_of_a_full_quota_is_cleaned(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.add("POST pods", refuse(403, "Forbidden", f"exceeded quota: {DIRTY}"))
    check(start_task().run(), 1)


def test_dirty_text_of_the_sidecar_is_cleaned(fake_cluster: Cluster, start_task: StartTask):
    def fail(request: Any) -> None:
        raise ApiRefusal(status=403, reason=DIRTY)

    fake_cluster.rules.append(Rule("exec", fail, times=1000))
    check(start_task(do_xcom_push=True).run(), 2)


def test_dirty_refusal_in_a_callback_is_cleaned():
    error = ApiException(status=403, reason=DIRTY)
    assert describe_failure(error) == f"ApiException: HTTP 403, {CLEAN}{'x' * 171}…"
    assert describe_failure(RuntimeError("a\n\x1bb")) == "RuntimeError: a b"


@pytest.mark.parametrize("kind", [AirflowFailException, PlatformError, RuntimeError])
def test_error_without_text_is_told_by_its_type(kind: type[Exception]):
    assert describe_failure(kind("")) == kind.__name__


def test_refusal_says_neither_headers_nor_body():
    error = ApiRefusal(status=403, reason="Forbidden")
    error.headers, error.body = {"Authorization": "secret"}, '{"message": "no\\u001b\\nway"}'
    assert str(error) == "HTTP 403, no way"


@pytest.mark.parametrize(
    ("status", "message", "told"),
    [
        (
            403,
            'User "a" cannot create resource "pods"',
            "The account a cannot create pods in namespace team-alpha (HTTP 403). Correct namespace; or the "
            "platform team adds it to the chart's teams or, in that of a team, binds its Role pod-launcher: "
            "kubectl -n team-alpha create "
            "rolebinding pod-launcher-a --role=pod-launcher --user=a [KPO-ADM111: docs/troubleshooting.md#kpo-adm111]",
        ),
        (
            401,
            "Unauthorized",
            "The API server rejects the credentials of the task: they are invalid or have expired (HTTP 401). For "
            'the platform team: Renew the credentials of the Airflow connection "k8s_default".'
            " [KPO-ADM118: docs/troubleshooting.md#kpo-adm118]",
        ),
        (
            422,
            "spec.containers: Required value",
            "The pod is not valid: spec.containers: Required value (HTTP 422). Correct pod_override. [KPO-ADM116: "
            "docs/troubleshooting.md#kpo-adm116]",
        ),
    ],
)
def test_refused_creation_says_what_to_do(
    status: int, message: str, told: str, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.rules.append(Rule("POST pods", lambda request: refuse(status, "Refused", message), times=2))
    task = start_task()
    assert tell(task, task.run()) == f"ApiRefusal: {told} Pod POD was not created."


def test_disrupted_pod_that_is_not_replaced_is_named(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=20)
    at(5, fake_cluster, lambda pod: pod.evict(fake_cluster.now))
    task = start_task()
    task.store = None
    assert str(tell(task, task.run())).startswith("AirflowException: Pod POD failed. The pod was disrupted by the ")


@pytest.mark.parametrize("stop_s", [0.5, 5])
def test_pod_that_a_stop_cannot_end_is_named(stop_s: float, fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=100)
    fake_cluster.add("DELETE", refuse(403, "Forbidden", "pods is forbidden"))
    task = start_task()
    stop_while_running(task, stop_s)
    assert (
        f"warning: Cannot end pod {task.pod} in namespace team-alpha: HTTP 403, pods is forbidden. Delete it with "
        f"`kubectl -n team-alpha delete pod {task.pod}`."
    ) in task.log.lines


def test_text_of_airflows_errors_is_clean(fake_cluster: Cluster, start_task: StartTask):
    task = start_task()
    store: Any = task.store
    keep = store.set

    def refuse_uid(key: str, value: Any) -> None:
        if value.get("uid"):
            raise RuntimeError(DIRTY)
        keep(key, value)

    store.set = refuse_uid
    check(task.run(), 2)  # the pod's uid and its end

"""lifecycle.pod_api: requests on pods against a real server that stores pods and has faults."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient, ApiException, Configuration, CoreV1Api

from kpo_platform.airflow.operators.lifecycle.patience import ApiServerUnavailable, Patience
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi, PodNameTaken
from kpo_platform.airflow.operators.lifecycle.quota_wait import is_quota_exceeded
from kpo_platform.airflow.operators.lifecycle.stop_signal import TaskStopped
from unit.support.http_server import Fault, Request, Server, serving, status
from unit.support.pod_store import PodStore, lose
from unit.support.virtual_time import LogLines, VirtualTime

SECRET = "value-of-a-variable"


def build_pod(name: str = "p", start: str | None = "s-1", **metadata: Any) -> dict[str, Any]:
    labels = {"kpo-platform/start": start} if start else {}
    container = {"name": "base", "env": [{"name": "PASSWORD", "value": SECRET}]}
    whole = {"name": name, "namespace": "n", "labels": labels, **metadata}
    return {"metadata": whole, "spec": {"containers": [container]}}


class World:
    """A PodApi, and the server, the time and the log that it has."""

    def __init__(self, server: Server, store: PodStore) -> None:
        self.server, self.store, self.time, self.log = server, store, VirtualTime(), LogLines()
        self.clients = [self.build_client("token-1")]
        self.api = PodApi(lambda: self.clients[-1], self.build_patience(600), self.refresh)

    def build_client(self, token: str) -> CoreV1Api:
        configuration = Configuration(host=self.server.url)
        configuration.api_key = {"authorization": f"Bearer {token}"}
        return CoreV1Api(ApiClient(configuration))

    def build_patience(self, timeout_s: float) -> Patience:
        return Patience(timeout_s, self.log, clock=self.time.clock, sleep=self.time.sleep, random=lambda: 1.0)

    def refresh(self) -> None:
        self.clients.append(self.build_client(f"token-{len(self.clients) + 1}"))


@pytest.fixture
def world() -> Iterator[World]:
    store = PodStore()
    with serving(store) as server:
        world = World(server, store)
        yield world
    assert not [line for line in world.log.lines if SECRET in line]


def stored(world: World) -> dict[str, str]:
    """The uids of the stored pods by name."""
    return {name: pod["metadata"]["uid"] for name, pod in world.store.pods.items()}


def test_create_is_one_request(world: World):
    created = world.api.create(build_pod())
    assert created == build_pod(uid="uid-1")
    assert (world.store.requests, world.log.lines) == (["POST "], [])


@pytest.mark.parametrize("fault", [Fault.CLOSE, Fault.CUT, status(504, ""), status(500, "etcdserver: timed out")])
def test_create_whose_answer_is_lost_returns_the_created_pod(world: World, fault: Any):
    world.store.after[1] = lambda request: fault
    assert world.api.create(build_pod()) == build_pod(uid="uid-1")
    assert (world.store.requests, world.time.slept, stored(world)) == (["POST ", "GET /p"], [1], {"p": "uid-1"})


def test_create_that_did_not_arrive_is_repeated(world: World):
    world.store.before[1] = lose
    assert world.api.create(build_pod()) == build_pod(uid="uid-3")
    assert world.store.requests == ["POST ", "GET /p", "POST "]


def test_create_whose_answers_are_lost_in_a_long_outage_leaves_one_pod(world: World):
    world.store.after[1] = lose
    world.store.before.update(dict.fromkeys(range(2, 20), lambda request: status(503, "")))
    assert world.api.create(build_pod()) == build_pod(uid="uid-1")
    assert (set(world.store.requests[1:]), stored(world)) == ({"GET /p"}, {"p": "uid-1"})


def test_create_whose_answer_is_lost_does_not_wait_for_the_quota_that_it_uses(world: World):
    world.store.quota, world.store.after[1] = 1, lose
    assert world.api.create(build_pod()) == build_pod(uid="uid-1")


def test_exhausted_quota_is_left_to_the_caller(world: World):
    world.store.quota = 0
    with pytest.raises(ApiException) as refused:
        world.api.create(build_pod())
    assert is_quota_exceeded(refused.value)
    assert (world.store.requests, world.time.slept) == (["POST "], [])


def test_exhausted_quota_after_a_lost_request_is_left_to_the_caller(world: World):
    world.store.quota, world.store.before[1] = 0, lose
    with pytest.raises(ApiException) as refused:
        world.api.create(build_pod())
    assert is_quota_exceeded(refused.value)


def test_create_of_a_pod_that_exists_returns_it(world: World):
    world.api.create(build_pod())
    assert world.api.create(build_pod()) == build_pod(uid="uid-1")
    assert world.store.requests == ["POST ", "POST ", "GET /p"]


@pytest.mark.parametrize(("own", "other"), [("s-1", "s-2"), ("s-1", None), (None, "s-1"), (None, None)])
def test_create_refuses_the_name_of_another_pod(world: World, own: str | None, other: str | None):
    world.store.pods["p"] = build_pod(start=other, uid="u")
    with pytest.raises(PodNameTaken) as refused:
        world.api.create(build_pod(start=own))
    assert str(refused.value) == (
        "The pod was not created: another pod p exists in namespace n. Delete it, or let the task's pods have "
        "different names (name=, random_name_suffix=True)."
    )
    assert (world.time.slept, stored(world)) == ([], {"p": "u"})


def test_create_waits_until_another_pod_of_its_name_is_gone(world: World):
    world.store.pods["p"] = build_pod(start="s-0", uid="u", deletionTimestamp="t", deletionGracePeriodSeconds=30)
    world.time.on_sleep = lambda number: world.store.pods.clear() if number == 3 else None
    assert world.api.create(build_pod())["metadata"]["labels"] == {"kpo-platform/start": "s-1"}
    assert world.time.slept == [2, 2, 2]
    assert world.log.lines == ["info: Pod p is created when the former pod of this name is gone."]


def test_create_waits_at_most_a_minute_longer_than_the_grace_period(world: World):
    world.store.pods["p"] = build_pod(start="s-0", uid="u", deletionTimestamp="t", deletionGracePeriodSeconds=30)
    with pytest.raises(PodNameTaken, match=r"another pod p is still being deleted in namespace n\."):
        world.api.create(build_pod())
    assert sum(world.time.slept) == 90


def test_name_that_is_freed_between_two_requests_is_used(world: World):
    world.store.pods["p"] = build_pod(start="s-0", uid="u")
    world.store.before[2] = lambda request: (world.store.pods.clear(), status(404, ""))[1]
    assert world.api.create(build_pod())["metadata"]["uid"] == "uid-3"


def test_quota_that_changes_meanwhile_is_no_name_conflict(world: World):
    conflict = 'Operation cannot be fulfilled on resourcequotas "q": the object has been modified; please apply again'
    world.store.before[1] = lambda request: status(409, conflict)
    assert world.api.create(build_pod())["metadata"]["uid"] == "uid-3"


@pytest.mark.parametrize("code", [400, 403, 404, 422])
def test_rejected_pod_is_raised_without_its_values(world: World, code: int):
    refusal = {"kind": "Status", "message": "no", "details": {**build_pod(), "kind": "pods"}}
    world.store.before[1] = lambda request: (code, refusal)
    with pytest.raises(ApiException) as refused:
        world.api.create(build_pod())
    assert (refused.value.status, world.store.requests) == (code, ["POST "])
    assert (SECRET in str(refused.value.body), SECRET in str(refused.value)) == (True, False)


def interrupt(request: Request) -> Any:
    os.kill(os.getpid(), signal.SIGUSR1)
    return Fault.HANG


def test_create_that_a_signal_interrupts_leaves_a_pod_of_the_name(world: World):
    def stop(*_: Any) -> None:
        raise TaskStopped

    former = signal.signal(signal.SIGUSR1, stop)
    try:
        world.store.quota, world.store.after[1] = 1, interrupt
        with pytest.raises(TaskStopped):
            world.api.create(build_pod())
    finally:
        signal.signal(signal.SIGUSR1, former)
    assert world.api.read("p", "n") == build_pod(uid="uid-1")
    assert world.api.create(build_pod()) == build_pod(uid="uid-1")
    assert stored(world) == {"p": "uid-1"}


def test_read_finds_the_pod_of_this_uid_only(world: World):
    world.store.pods["p"] = build_pod(uid="u")
    found = [world.api.read("p", "n", uid) for uid in (None, "u", "v")]
    assert [*found, world.api.read("q", "n")] == [build_pod(uid="u"), build_pod(uid="u"), None, None]


def test_read_survives_an_outage(world: World):
    world.store.pods["p"] = build_pod(uid="u")
    world.store.before = {1: lose, 2: lambda request: Fault.CUT, 3: lambda request: (429, {}, {"Retry-After": "5"})}
    assert world.api.read("p", "n") == build_pod(uid="u")
    assert world.time.slept == [1, 2, 6]


def test_read_in_an_outage_longer_than_the_timeout_names_the_pod(world: World):
    world.store.before = dict.fromkeys(range(1, 100), lose)
    with pytest.raises(ApiServerUnavailable, match=r"^Cannot read pod p in namespace n: the Kubernetes API did"):
        world.api.read("p", "n")


def test_list_returns_the_newest_first(world: World):
    ages = {"old": "2026-01-01T00:00:00Z", "new": "2026-01-03T00:00:00Z", "middle": "2026-01-02T00:00:00Z"}
    world.store.pods = {name: build_pod(name, uid=name, creationTimestamp=age) for name, age in ages.items()}
    world.store.pods["other"] = build_pod("other", start="s-2", uid="o")
    found = world.api.list_by_labels("n", "kpo-platform/start=s-1")
    assert [pod["metadata"]["name"] for pod in found] == ["new", "middle", "old"]


def test_delete_has_a_uid_as_precondition(world: World):
    world.store.pods = {"p": build_pod(uid="u"), "q": build_pod("q", uid="v")}
    assert [world.api.delete("p", "n", "u", 5), world.api.delete("p", "n", "u"), world.api.delete("q", "n", "u")] == [
        True,
        False,
        False,
    ]
    assert world.server.seen[0].body == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": "u"},
        "gracePeriodSeconds": 5,
    }
    assert stored(world) == {"q": "v"}


def test_delete_whose_answer_is_lost_is_done_once(world: World):
    world.store.pods, world.store.after[1] = {"p": build_pod(uid="u")}, lose
    assert world.api.delete("p", "n", "u") is False
    assert world.store.requests == ["DELETE /p", "DELETE /p"]


def test_ended_pod_has_label_and_deadline_at_once(world: World):
    world.store.pods["p"] = build_pod(uid="u")
    assert world.api.end("p", "n", "u")
    pod = world.store.pods["p"]
    assert pod["metadata"]["labels"] == {"kpo-platform/start": "s-1", "already_checked": "True"}
    assert pod["spec"]["activeDeadlineSeconds"] == 1
    assert [request.headers["content-type"] for request in world.server.seen] == ["application/merge-patch+json"]


def test_other_and_absent_pods_are_not_changed(world: World):
    world.store.pods["p"] = build_pod(uid="u")
    changes = (world.api.mark_checked, world.api.end)
    assert [change(name, "n", "v") for change in changes for name in ("p", "q")] == [False] * 4
    assert world.store.pods["p"] == build_pod(uid="u")


@pytest.mark.parametrize("code", [400, 403, 409, 422])
def test_refused_change_is_raised(world: World, code: int):
    world.store.pods["p"] = build_pod(uid="u")
    world.store.before = dict.fromkeys((1, 2), lambda request: status(code, "no"))
    for change in (world.api.delete, world.api.end):
        with pytest.raises(ApiException):
            change("p", "n", "u")


def test_events_are_those_of_the_pod(world: World):
    world.store.events = [{"reason": "Evicted"}]
    assert world.api.read_events("p", "n", "u") == [{"reason": "Evicted"}]
    assert world.server.seen[0].path == (
        "/api/v1/namespaces/n/events?fieldSelector=involvedObject.kind%3DPod%2CinvolvedObject.name%3Dp%2C"
        "involvedObject.uid%3Du"
    )


def test_rejected_credentials_are_read_again_once(world: World):
    world.store.pods["p"] = build_pod(uid="u")
    world.store.before[1] = lambda request: status(401, "Unauthorized")
    assert world.api.read("p", "n") == build_pod(uid="u")
    assert [request.headers["authorization"] for request in world.server.seen] == ["Bearer token-1", "Bearer token-2"]
    assert world.log.lines == ["warning: The Kubernetes API rejected the credentials (HTTP 401): they are read again."]


def test_credentials_that_stay_rejected_are_raised(world: World):
    """A server that starts may refuse the read of a pod that the task has created; a list is refused at once."""
    world.store.before = dict.fromkeys(range(1, 50), lambda request: status(401, "Unauthorized"))
    with pytest.raises(ApiException, match="Unauthorized"):
        world.api.list_by_labels("n", "a=b")
    assert (len(world.store.requests), world.time.slept) == (2, [])
    with pytest.raises(ApiException, match="Unauthorized"):
        world.api.read("p", "n")
    assert sum(world.time.slept) == 60


def test_token_of_a_file_is_read_before_each_request(world: World, tmp_path: Path):
    token = tmp_path / "token"

    def read_token(configuration: Configuration) -> None:
        configuration.api_key["authorization"] = f"Bearer {token.read_text()}"

    world.clients[0].api_client.configuration.refresh_api_key_hook = read_token
    for text in ("first", "second"):
        token.write_text(text)
        world.api.read("p", "n")
    assert [request.headers["authorization"] for request in world.server.seen] == ["Bearer first", "Bearer second"]

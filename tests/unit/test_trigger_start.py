"""triggers.start_check: why the pod of a deferred task does not start."""

from __future__ import annotations

import time
from typing import Any

import pytest

from kpo_platform.airflow.triggers import start_check, start_events
from kpo_platform.pod.reported_end import CANNOT_START
from unit.support.contracts import TEAM
from unit.support.informer_scene import build_ended, build_pod
from unit.support.namespace_server import refusing
from unit.support.pod_statuses import WAITING
from unit.support.pod_trigger import build_trigger, fire, serve_pods
from unit.support.published_contract import Publish
from unit.support.task_log import Log

Json = dict[str, Any]

NO_SECRET = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "etl" not found'}}
MISSING = 'Secret "etl" does not exist in n (CreateContainerConfigError).'
NO_MOUNT = {
    "metadata": {"name": "a.1", "uid": "e-1"},
    "type": "Warning",
    "reason": "FailedMount",
    "message": 'MountVolume.SetUp failed for volume "v" : secret "etl" not found',
    "involvedObject": {"kind": "Pod", "name": "a", "uid": "uid-a"},
    "lastTimestamp": "2026-11-30T09:00:01Z",
}


@pytest.fixture(autouse=True)
def log(trigger_log: Log, monkeypatch: pytest.MonkeyPatch) -> Log:
    monkeypatch.setattr(start_events, "_PAUSE_S", 0.05)
    monkeypatch.setattr(start_events, "_LONGEST_PAUSE_S", 0.1)
    return trigger_log


def set_grace(publish: Publish, seconds: int) -> None:
    publish(gamma={"namespace": "n", "policy": {**TEAM["policy"], "missingObjectTimeout": seconds}})


@pytest.mark.parametrize("grace_s", [0, 1])
def test_missing_secret_fails_the_task_after_the_grace(grace_s: int, log: Log, publish: Publish):
    set_grace(publish, grace_s)
    began_at = time.monotonic()
    event = fire(serve_pods(build_pod("a", "Pending", NO_SECRET)), build_trigger())
    assert (event["status"], event[CANNOT_START], event["message"].startswith(MISSING)) == ("error", True, True), event
    assert grace_s <= time.monotonic() - began_at < grace_s + 1
    assert [line for line in log.lines if MISSING in line] == [f"Pod a does not start yet: {event['message']}"]


def test_secret_that_is_created_in_the_grace_lets_the_pod_start(log: Log, publish: Publish):
    set_grace(publish, 60)
    server = serve_pods(build_pod("a", "Pending", NO_SECRET))
    event = fire(server, build_trigger(), lambda: server.put(build_pod("a")), lambda: server.put(build_ended("a")))
    assert event["status"] == "success"


def test_cause_that_only_the_events_tell_is_found(log: Log, publish: Publish):
    set_grace(publish, 0)
    server = serve_pods(build_pod("a", "Pending", WAITING))
    other = {**NO_MOUNT, "involvedObject": {"kind": "Pod", "name": "a", "uid": "another"}}
    server.events = [other]
    event = fire(server, build_trigger(), lambda: server.events.append(NO_MOUNT))
    assert (event["status"], event[CANNOT_START]) == ("error", True)
    assert event["message"].startswith('Secret "etl" does not exist in n (FailedMount).'), event


def test_events_are_not_listed_for_pods_that_have_started(log: Log):
    server = serve_pods(build_pod("a"))
    event = fire(
        server, build_trigger(), lambda: None, lambda: None, lambda: None, lambda: server.put(build_ended("a"))
    )
    assert (event["status"], "EVENTS" in server.requests) == ("success", False)


@pytest.mark.parametrize("code", [403, 500])
def test_events_that_cannot_be_listed_do_not_delay_the_task(code: int, log: Log):
    server = serve_pods(build_pod("a", "Pending", WAITING))
    server.acts["EVENTS"] = [refusing(code)] * 1000
    steps = [lambda: None, lambda: None, lambda: server.put(build_ended("a"))]
    event = fire(server, build_trigger(), *steps)
    assert (event["status"], "EVENTS" in server.requests) == ("success", True)


def test_pod_that_cannot_be_read_is_waited_for(log: Log):
    server = serve_pods(build_pod("a", "Pending", NO_SECRET))
    server.acts["GET a"] = [refusing(403)] * 1000
    event = fire(server, build_trigger(), lambda: None, lambda: server.put(build_ended("a")))
    assert event["status"] == "success"


def test_malformed_events_do_not_end_the_wait(log: Log):
    server = serve_pods(build_pod("a", "Pending", WAITING))
    server.events = [{"involvedObject": {"uid": "uid-a"}, "reason": 5, "message": ["x"]}, {"involvedObject": None}]
    event = fire(server, build_trigger(), lambda: None, lambda: None, lambda: server.put(build_ended("a")))
    assert (event["status"], "EVENTS" in server.requests) == ("success", True)


def test_cause_is_also_that_nothing_happens(log: Log, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(start_check, "_AGAIN_S", 0.1)
    untouched = {**build_pod("a", "Pending"), "status": {"phase": "Pending"}}
    untouched["metadata"] |= {"creationTimestamp": "2026-11-01T00:00:00Z"}
    server = serve_pods(untouched)
    event = fire(server, build_trigger(), *[lambda: None] * 3, lambda: server.put(build_ended("a")))
    told = [line for line in log.lines if "does not start yet" in line]
    assert (event["status"], len(told)) == ("success", 1)
    assert 'The node "node-1" has not yet accepted the pod' in told[0]

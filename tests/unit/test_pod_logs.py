"""lifecycle.pod_logs: which containers are followed, and from where."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client import models as k8s

from kpo_platform.airflow.operators.lifecycle import pod_logs
from kpo_platform.airflow.operators.lifecycle.log_positions import LogProgress
from kpo_platform.airflow.operators.lifecycle.pod_logs import PodLogs
from kpo_platform.pod.log_lines import LogPosition
from kpo_platform.pod.state import ContainerState, PodState

POSITION = LogPosition("2026-01-01T00:00:01.000000000", 1)


@dataclass
class Follower:
    """A follower that only records what it is told."""

    container: str
    begins_at: LogPosition | None
    calls: list[str] = field(default_factory=list)
    position: LogPosition | None = None
    has_finished: bool = False
    is_alive: bool = False

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.calls.append(name)


@pytest.fixture
def followers(monkeypatch: pytest.MonkeyPatch) -> list[Follower]:
    found: list[Follower] = []

    def follow(client: Any, name: str, namespace: str, container: str, writer: Any, **options: Any) -> Follower:
        found.append(Follower(container, options["position"]))
        return found[-1]

    monkeypatch.setattr(pod_logs, "LogFollower", follow)
    return found


@pytest.fixture
def pod() -> Any:
    """A pod with an init container that stays, and a program."""
    spec = k8s.V1PodSpec(init_containers=[k8s.V1Container(name="proxy")], containers=[k8s.V1Container(name="base")])
    model = k8s.V1Pod(metadata=k8s.V1ObjectMeta(name="p", namespace="n"), spec=spec)
    return SimpleNamespace(model=model, state=PodState("p", "n"), is_gone=False)


@pytest.fixture
def operator() -> Any:
    log = SimpleNamespace(lines=[])
    log.info = lambda text, *values: log.lines.append(text % values)
    manager = SimpleNamespace(_reconcile_requested_log_containers=lambda wanted, names, pod: names, log=log)
    flags = {"container_name_log_prefix_enabled": True, "get_logs": True, "callbacks": [], "log_formatter": None}
    logs = {"container_logs": "base", "init_container_logs": True, "pod_manager": manager}
    return SimpleNamespace(base_container_name="base", client=SimpleNamespace(api_client=None), **flags, **logs)


def set_phases(pod: Any, **phases: Any) -> None:
    pod.state = PodState("p", "n", containers=tuple(ContainerState(name, phase) for name, phase in phases.items()))


def describe(followers: list[Follower]) -> list[Any]:
    return [(each.container, each.begins_at, each.calls) for each in followers]


def test_containers_are_followed_when_they_start_and_told_when_they_end(
    pod: Any, operator: Any, followers: list[Follower]
):
    logs = PodLogs(operator, pod)
    logs.update()
    assert followers == []
    set_phases(pod, proxy="running", base="waiting")
    logs.update()
    set_phases(pod, proxy="running", base="terminated")
    logs.update()
    assert describe(followers) == [
        ("proxy", None, ["start"]),
        ("base", None, ["container_ended", "start", "container_ended"]),
    ]
    logs.finish()
    assert [each.calls[-1] for each in followers] == ["stop_following", "container_ended"]


def test_sidecar_that_is_started_again_is_followed_from_its_last_line(
    pod: Any, operator: Any, followers: list[Follower]
):
    logs = PodLogs(operator, pod)
    for phase in ("running", "terminated", "running"):
        set_phases(pod, proxy=phase)
        logs.update()
    assert describe(followers) == [("proxy", None, ["start", "container_ended"])]
    followers[0].has_finished, followers[0].position = True, POSITION
    logs.update()
    logs.update()
    assert describe(followers)[1:] == [("proxy", POSITION, ["start"])]


def test_stopped_logs_tell_what_was_written_of_every_container(pod: Any, operator: Any, followers: list[Follower]):
    later = LogPosition("2026-01-01T00:00:02.000000000", 1)
    logs = PodLogs(operator, pod, LogProgress({"base": POSITION, "proxy": POSITION}))
    set_phases(pod, proxy="running", base="waiting")
    logs.update()
    followers[0].position = later
    assert logs.stop() == {"base": POSITION, "proxy": later}
    assert describe(followers) == [("proxy", POSITION, ["start", "close", "wait"])]
    assert operator.pod_manager.log.lines == [
        "The log of container proxy continues after 2026-01-01T00:00:01.000000000Z."
    ]

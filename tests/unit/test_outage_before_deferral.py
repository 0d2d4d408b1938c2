"""lifecycle.pod_wait: an outage of the Kubernetes API in the first seconds does not keep a task in its worker."""

from __future__ import annotations

from typing import Any

import pytest

from unit.support.cluster_server import Cluster
from unit.support.fake_kubelet import Program
from unit.support.task_process import StartTask, Task

OUTAGE_S = 3700


@pytest.fixture
def task(start_task: StartTask, fake_cluster: Cluster) -> Task:
    fake_cluster.programs["base"] = Program(runs_s=9000)
    return start_task(deferrable=True, defer_after=5)


@pytest.mark.parametrize("has_room", [True, False])
@pytest.mark.parametrize("began_s", [0.5, 4.5])
def test_task_is_deferred_when_its_first_seconds_are_over(
    has_room: bool, began_s: float, task: Task, fake_cluster: Cluster
):
    def prepare(pod: Any) -> None:
        pod.has_room = has_room

    fake_cluster.prepare = prepare
    fake_cluster.down = (began_s, OUTAGE_S)
    assert (task.run().outcome, fake_cluster.now) == ("deferred", 5)


def test_task_whose_pod_is_gone_does_not_wait_for_its_events(task: Task, fake_cluster: Cluster):
    def begin_outage() -> None:
        fake_cluster.down = (fake_cluster.now, OUTAGE_S)

    fake_cluster.on_tick = lambda: fake_cluster.pods.clear() if fake_cluster.now >= 2 else None
    fake_cluster.act("events", begin_outage)
    run = task.run()
    assert (run.outcome, fake_cluster.now) == ("deferred", 5)
    assert "events" in run.requests[-1]


def test_task_that_cannot_be_deferred_either_waits_for_the_end_of_the_outage(
    task: Task, fake_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no connection")

    fake_cluster.programs["base"] = Program(runs_s=20)
    fake_cluster.down = (0.5, 600)
    monkeypatch.setattr(type(task.build()), "invoke_defer_method", refuse)
    run = task.run()
    assert run.outcome is None
    assert fake_cluster.now >= 600

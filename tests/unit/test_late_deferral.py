"""lifecycle.run: a deferrable task watches its pod for the first seconds, and defers what takes longer."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.callbacks import KubernetesPodOperatorCallback

from kpo_platform import TeamPodOperator
from kpo_platform.errors import PodError
from unit.support.cluster_server import Cluster
from unit.support.contracts import TEAM
from unit.support.fake_kubelet import Program, stamp
from unit.support.log_server import Fragment
from unit.support.published_contract import Publish
from unit.support.task_process import StartTask, Store, Task

LINES = (b"first", b"second")


def write_line(cluster: Cluster, task: Task, text: bytes) -> None:
    """Let the program write one more line."""
    log = cluster.pods[task.pod].container("base").log
    log.add(Fragment(f"{stamp(cluster.now)[:-1]}.500000000Z", text))


def read_program_lines(log: list[str]) -> list[str]:
    return [line for line in log if line.startswith("[base]")]


def test_program_that_ends_in_the_first_seconds_does_not_defer(start_task: StartTask, fake_cluster: Cluster):
    run = start_task(deferrable=True, defer_after=5).run()
    assert (run.outcome, read_program_lines(run.log)) == (None, ["[base] hello"])
    assert run.requests == ["POST pods", "WATCH POD", "DELETE POD"]


def test_program_that_runs_longer_defers_and_its_log_is_continued(start_task: StartTask, fake_cluster: Cluster):
    fake_cluster.programs["base"] = Program(runs_s=60, lines=LINES)
    task = start_task(deferrable=True, defer_after=5)
    deferred = task.run()
    assert (deferred.outcome, fake_cluster.now) == ("deferred", 5)
    assert (read_program_lines(deferred.log), deferred.requests) == (
        ["[base] first", "[base] second"],
        ["POST pods", "WATCH POD"],
    )
    write_line(fake_cluster, task, b"third")
    fake_cluster.sleep(60)
    resumed = task.resume("success")
    assert (resumed.outcome, read_program_lines(resumed.log)) == (None, ["[base] third"])


def test_pod_that_does_not_start_in_the_first_seconds_defers(start_task: StartTask, fake_cluster: Cluster):
    def prepare(pod: Any) -> None:
        pod.has_room = False

    fake_cluster.prepare = prepare
    run = start_task(deferrable=True, defer_after=5).run()
    assert (run.outcome, fake_cluster.now, read_program_lines(run.log)) == ("deferred", 5, [])


def test_task_without_first_seconds_defers_at_once(start_task: StartTask, fake_cluster: Cluster):
    run = start_task(deferrable=True, defer_after=0).run()
    assert (run.outcome, run.requests, fake_cluster.log_queries) == ("deferred", ["POST pods"], [])


def test_task_that_cannot_store_its_place_in_the_log_waits_in_the_worker(
    start_task: StartTask, fake_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    keep = Store.set

    def lose(store: Store, key: str, value: Any) -> None:
        if "log" in key:
            raise OSError("no answer")
        keep(store, key, value)

    monkeypatch.setattr(Store, "set", lose)
    fake_cluster.programs["base"] = Program(runs_s=20, lines=LINES)
    run = start_task(deferrable=True, defer_after=5).run()
    assert (run.outcome, read_program_lines(run.log)) == (None, ["[base] first", "[base] second"])
    assert [line for line in run.log if line.startswith("warning:")][1:] == [
        "warning: Cannot store how far the log was written: no answer",
        "warning: Cannot defer: Airflow did not store the log position. The task waits for its pod in the worker "
        "instead.",
    ]


def test_task_that_cannot_defer_waits_in_the_worker(
    start_task: StartTask, fake_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    starts: list[str] = []

    class Callbacks(KubernetesPodOperatorCallback):
        @staticmethod
        def on_pod_starting(*, pod: Any, **_: Any) -> None:
            starts.append(pod.metadata.name)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no connection")

    monkeypatch.setattr(TeamPodOperator, "invoke_defer_method", refuse)
    fake_cluster.programs["base"] = Program(runs_s=20, lines=LINES)
    task = start_task(deferrable=True, defer_after=5, callbacks=Callbacks)
    run = task.run()
    assert (run.outcome, read_program_lines(run.log)) == (None, ["[base] first", "[base] second"])
    assert starts == [task.pod]


def test_task_that_is_stopped_after_its_first_seconds_ends_its_pod(start_task: StartTask, fake_cluster: Cluster):
    fake_cluster.programs["base"] = Program(runs_s=60)
    task = start_task(deferrable=True, defer_after=5)
    task.state = "failed"
    assert "The task was stopped" in str(task.run().outcome)
    assert "DELETE" in fake_cluster.requests[-1]


def test_teams_policy_holds_unless_the_task_sets_its_own_seconds(publish: Publish):
    publish(alpha={"policy": {**TEAM["policy"], "deferAfter": 7}})
    tasks = [TeamPodOperator(task_id="t", team="alpha", image="busybox:1.35", defer_after=s) for s in (None, 0, 1.5)]
    assert [task.defer_after for task in tasks] == [7, 0, 1.5]


@pytest.mark.parametrize(
    ("seconds", "sentence"),
    [
        (-1, "defer_after is -1, but it cannot be negative. Write 0 to defer at once."),
        (float("nan"), "defer_after is nan, but it cannot be negative. Write 0 to defer at once."),
        ("5", "defer_after is a string, but a number of seconds is required. Write defer_after=300."),
    ],
)
def test_seconds_that_are_none_are_refused(publish: Publish, seconds: Any, sentence: str):
    publish()
    with pytest.raises(PodError) as refused:
        TeamPodOperator(task_id="t", team="alpha", image="busybox:1.35", defer_after=seconds)
    assert sentence in str(refused.value)

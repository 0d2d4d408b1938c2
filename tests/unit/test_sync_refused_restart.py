"""A restart or retry whose pod would be refused now continues with the pod that it has."""

from __future__ import annotations

from typing import Any

import pytest

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.exceptions import RefusedPod
from unit.support.cluster_server import Cluster
from unit.support.fake_kubelet import Program
from unit.support.task_faults import at, clear
from unit.support.task_process import Run, StartTask, Task

ONCE = 2
"""Lines of the ledger, in which a program starts and ends."""


def refuse_pods(*_: Any, **__: Any) -> None:
    raise RefusedPod("The image is not allowed.")


def restart_refused(task: Task, monkeypatch: pytest.MonkeyPatch, act: Any = Task.run) -> Run:
    monkeypatch.setattr(TeamPodOperator, "_build_composed_pod", refuse_pods)
    run: Run = act(task)
    return run


@pytest.mark.parametrize("runs_on", [True, False], ids=["running", "ended"])
def test_restart_that_would_be_refused_continues_with_its_pod(
    runs_on: bool, fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task(do_xcom_push=True)
    at(fake_cluster.now + 5, fake_cluster, lambda pod: task.operator.on_kill())
    assert task.run().outcome == "rescheduled"
    fake_cluster.on_tick = lambda: None
    fake_cluster.sleep(0 if runs_on else 200)
    run = restart_refused(task, monkeypatch)
    assert (run.outcome, len(fake_cluster.ledger), fake_cluster.pods) == ({"rows": 3}, ONCE, {})
    said = "warning: Cannot create a new pod: The image is not allowed. The task looks for its former pod"
    assert any(line.startswith(said) for line in run.log)


def test_retry_that_would_be_refused_takes_a_stored_success(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    task = start_task(do_xcom_push=True)
    task.run()
    assert (restart_refused(task, monkeypatch, Task.retry).outcome, len(fake_cluster.ledger)) == ({"rows": 3}, ONCE)


def test_refused_process_that_needs_a_new_pod_fails_with_the_refusal(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    task = start_task()
    task.run()
    assert "The image is not allowed." in str(restart_refused(task, monkeypatch, clear).outcome)
    assert len(fake_cluster.ledger) == ONCE


def test_first_process_that_is_refused_looks_for_no_pod(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    run = restart_refused(start_task(), monkeypatch)
    assert ("The image is not allowed." in str(run.outcome), run.requests) == (True, [])

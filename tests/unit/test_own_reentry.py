"""lifecycle.overrides: the code of a subclass that follows the deferral runs however long the pod runs."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from kpo_platform import TeamPodOperator
from unit.support.cluster_server import Cluster
from unit.support.fake_kubelet import Program
from unit.support.task_process import Killed, StartTask, Task

METHODS = ["trigger_reentry", "resume_execution"]


def build_class(name: str, calls: list[str]) -> type[TeamPodOperator]:
    """Return a subclass that notes the calls of one method."""

    def run(self: Any, *args: Any, **options: Any) -> Any:
        calls.append(name)
        return getattr(super(kind, self), name)(*args, **options)

    kind = type("Own", (TeamPodOperator,), {name: run})
    return kind


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("runs_s", "seconds"), [(60, 5), (2, 0), (2, 5)])
def test_own_code_after_the_deferral_runs_however_long_the_pod_runs(
    method: str, runs_s: int, seconds: int, start_task: StartTask, fake_cluster: Cluster
):
    calls: list[str] = []
    fake_cluster.programs["base"] = Program(runs_s=runs_s)
    task = start_task(deferrable=True, defer_after=seconds)
    task.operator_class = build_class(method, calls)
    assert (task.run().outcome, fake_cluster.now) == ("deferred", 0)
    fake_cluster.sleep(70)
    assert (task.resume("success").outcome, calls) == (None, [method])


def test_class_with_other_code_watches_its_pod_first(start_task: StartTask, fake_cluster: Cluster):
    calls: list[str] = []
    task = start_task(deferrable=True, defer_after=5)
    task.operator_class = build_class("execute", calls)
    assert (task.run().outcome, calls) == (None, ["execute"])


class Report(TeamPodOperator):
    """Publishes what the pod has made, and keeps the events that it gets."""

    events: ClassVar[list[dict[str, Any]]] = []

    def trigger_reentry(self, context: Any, event: dict[str, Any]) -> Any:
        Report.events.append(event)
        return super().trigger_reentry(context, event), "published"


@pytest.fixture
def report(start_task: StartTask) -> Task:
    Report.events.clear()
    task = start_task(deferrable=True, defer_after=5, xcom="message", trigger_kwargs={"own": 1})
    task.operator_class = Report
    return task


def lose_worker(task: Task, steps: int = 4) -> None:
    """Kill the process that has created the pod, which ends meanwhile."""
    task.steps.kill_after = steps
    assert isinstance(task.run().error, Killed)
    task.steps.kill_after = 0
    task.cluster.sleep(70)


def test_own_code_runs_in_the_process_that_finds_the_ended_pod(report: Task):
    lose_worker(report)
    restarted = report.run()
    event = {"status": "success", "name": report.pod, "namespace": "team-alpha", "message": "Container succeeded"}
    assert (restarted.outcome, Report.events) == (({"rows": 3}, "published"), [{**event, "own": 1}])
    assert "DELETE POD" in restarted.requests


def test_own_code_runs_after_a_failure_too(report: Task, fake_cluster: Cluster):
    fake_cluster.programs["base"] = Program(code=3)
    lose_worker(report)
    restarted = report.run()
    assert "The program failed with exit code 3" in str(restarted.outcome)
    assert [event["status"] for event in Report.events] == ["failed"]


def test_own_code_runs_for_a_stored_end(report: Task):
    lose_worker(report)
    assert report.run().outcome == ({"rows": 3}, "published")
    assert report.run().outcome == ({"rows": 3}, "published")  # its worker was lost before Airflow knew of the success
    assert [event["status"] for event in Report.events] == ["success", "success"]


def test_own_code_runs_if_the_task_cannot_be_deferred(report: Task, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no connection")

    monkeypatch.setattr(TeamPodOperator, "invoke_defer_method", refuse)
    assert (report.run().outcome, len(Report.events)) == (({"rows": 3}, "published"), 1)


def test_own_code_does_not_run_in_a_task_that_is_not_deferrable(report: Task):
    report.arguments["deferrable"] = False
    assert (report.run().outcome, Report.events) == ({"rows": 3}, [])

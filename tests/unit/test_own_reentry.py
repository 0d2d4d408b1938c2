"""lifecycle.overrides: the code of a subclass that follows the deferral runs however long the pod runs."""

from __future__ import annotations

from typing import Any

import pytest

from kpo_platform import TeamPodOperator
from unit.support.cluster_server import Cluster
from unit.support.fake_kubelet import Program
from unit.support.task_process import StartTask

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

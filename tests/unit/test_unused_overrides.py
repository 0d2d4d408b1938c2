"""lifecycle.engine: a subclass learns which of its methods the run of a pod does not call."""

from __future__ import annotations

import re
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk.exceptions import TaskDeferred

from common.paths import REPOSITORY
from kpo_platform import TeamPodOperator
from kpo_platform.airflow.operators.lifecycle.engine import UNUSED
from unit.support.cluster_server import Cluster
from unit.support.task_process import StartTask

WARNING = (
    "warning: Report overrides find_pod, cleanup, which is not called in the run of a pod. Use callbacks, or set "
    'engine="stock".'
)


class Report(TeamPodOperator):
    """An author's subclass."""

    def build_pod_request_obj(self, *args: Any, **options: Any) -> Any:
        return super().build_pod_request_obj(*args, **options)

    def find_pod(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError

    def cleanup(self, *args: Any, **options: Any) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(("kind", "warnings"), [(Report, [WARNING]), (TeamPodOperator, [])])
def test_task_warns_of_methods_that_are_not_called(
    kind: type, warnings: list[str], fake_cluster: Cluster, start_task: StartTask
):
    task = start_task()
    task.operator_class = kind
    run = task.run()
    assert (run.outcome, [line for line in run.log if "overrides" in line]) == (None, warnings)


CALLED = {
    *("execute", "trigger_reentry", "resume_execution", "build_pod_request_obj", "get_or_create_pod", "create_pod"),
    *("invoke_defer_method", "extract_xcom"),
}
"""The methods that docs/operator.md names, without ``on_kill``, which Airflow calls."""


def record_calls(calls: set[str]) -> type[TeamPodOperator]:
    """Return a subclass that overrides the methods of the run of a pod, and records which are called."""

    def override(name: str) -> Any:
        def run(self: Any, *args: Any, **options: Any) -> Any:
            calls.add(name)
            return getattr(super(kind, self), name)(*args, **options)

        return run

    kind = type("Recording", (TeamPodOperator,), {name: override(name) for name in {*CALLED, *UNUSED}})
    return kind


def test_run_of_a_pod_calls_the_methods_that_the_page_names_and_no_other(fake_cluster: Cluster, start_task: StartTask):
    calls: set[str] = set()
    kind = record_calls(calls)
    waiting = start_task(do_xcom_push=True)
    waiting.operator_class = kind
    assert waiting.run().outcome == {"rows": 3}
    deferred = start_task(deferrable=True)
    deferred.id, deferred.operator_class = "ti-of-another-run", kind
    deferral: Any = deferred.run().error
    assert isinstance(deferral, TaskDeferred)
    trigger: Any = deferral.trigger
    event = {"status": "success", "name": trigger.pod_name, "namespace": trigger.pod_namespace, "message": ""}
    fake_cluster.sleep(100)
    deferred.build().resume_execution("trigger_reentry", {"event": event}, deferred.context())
    assert calls == CALLED


def test_page_names_the_methods_that_are_called():
    page = (REPOSITORY / "docs" / "operator.md").read_text(encoding="utf-8")
    sentence = page.partition("says so in the task's log. The platform's engine calls ")[2].partition("callbacks")[0]
    assert {*re.findall(r"`(\w+)`", sentence)} == {*CALLED, "on_kill"}


def test_every_method_is_one_of_the_stock_operator():
    assert [name for name in UNUSED if not hasattr(KubernetesPodOperator, name)] == []

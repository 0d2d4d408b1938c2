"""lifecycle.engine: a subclass learns which of its methods the run of a pod does not call."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

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


def test_every_method_is_one_of_the_stock_operator():
    assert [name for name in UNUSED if not hasattr(KubernetesPodOperator, name)] == []

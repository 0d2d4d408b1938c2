"""Render the pod of a task as its operator would send it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.execution_time.context import set_current_context

from kpo_platform import contract
from kpo_platform.errors import TaskError
from kpo_platform.offline.task_instance import DagRunSettings, create_context

if TYPE_CHECKING:
    from airflow.sdk import Context
    from kubernetes.client import models as k8s


class _PodBuilt(BaseException):
    """Stops the operator before it sends the pod.

    Derives from BaseException so `except Exception` in an operator does not catch it.
    """

    def __init__(self, pod: k8s.V1Pod) -> None:
        self.pod = pod


def render_pod(task: Any, run_settings: DagRunSettings) -> k8s.V1Pod:
    """Render a task's templates, and execute its operator until it would send the pod.

    Args:
        task: a task that creates a pod, mapped or not.
        run_settings: the settings of the DAG run.

    Raises:
        TaskError: the task needs a result or map index that was not given.
        PodError: the pod is refused; one reason a line.
    """
    context = create_context(task, run_settings)
    with set_current_context(context):  # Airflow's hook for pods looks there for the task
        context["ti"].render_templates(context)
        operator: Any = context["task"]  # a mapped task has become a plain one
        return _build_pod(operator, context)


def _build_pod(operator: Any, context: Context) -> k8s.V1Pod:
    """Build the pod in ``execute``, because ``@task.team_pod`` sets its command only there."""
    callbacks, operator.callbacks = operator.callbacks, []  # callbacks get a client of the cluster
    deferrable, operator.deferrable = operator.deferrable, False
    operator.get_or_create_pod = _raise_pod_built
    try:
        with set_in_cluster_label(operator):
            execute_operator(operator, context)
    except _PodBuilt as stop:
        return stop.pod
    finally:
        del operator.get_or_create_pod
        operator.callbacks, operator.deferrable = callbacks, deferrable
    raise TaskError(f"Task {operator.task_id!r} creates no pod: its operator ended without one. Name another task.")


def _raise_pod_built(pod_request_obj: k8s.V1Pod, context: Context) -> k8s.V1Pod:
    raise _PodBuilt(pod_request_obj)


def execute_operator(operator: Any, context: Context) -> Any:
    """Execute an operator as Airflow's task runner does; ExecutorSafeguard rejects other callers."""

    def execute() -> Any:
        ExecutorSafeguard.tracker.set(operator)
        return operator.execute(context)

    return copy_context().run(execute)


@contextmanager
def set_in_cluster_label(operator: Any) -> Iterator[None]:
    """Give pods the label airflow_kpo_in_cluster that they get when Airflow sends them.

    Otherwise the hook reads it from the connection, and offline the connection is another one.
    """
    modes = {team.connection.id: team.connection.mode for team in contract.load().teams.values()}
    in_cluster = modes.get(operator.kubernetes_conn_id, "inCluster") == "inCluster"
    build_pod = operator.build_pod_request_obj

    def build_labeled_pod(*args: Any, **kwargs: Any) -> Any:
        operator.hook._is_in_cluster = in_cluster
        return build_pod(*args, **kwargs)

    operator.build_pod_request_obj = build_labeled_pod
    try:
        yield
    finally:
        del operator.build_pod_request_obj

"""The pod of a task as its operator sends it, with every value rendered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.execution_time.context import set_current_context

from kpo_platform import contract
from kpo_platform.errors import TaskError
from kpo_platform.offline.task_instance import Attempt, begin

if TYPE_CHECKING:
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
    from airflow.sdk import Context
    from kubernetes.client import models as k8s


@dataclass(frozen=True)
class Rendered:
    """A task with its values rendered, and its pod."""

    operator: KubernetesPodOperator
    context: Context
    pod: k8s.V1Pod


class _Made(BaseException):
    """The pod is made, and would now be sent; no Exception, so that no operator takes it for a failure."""

    def __init__(self, pod: k8s.V1Pod) -> None:
        self.pod = pod


def rendered(task: Any, attempt: Attempt) -> Rendered:
    """Render a task's templates, and let its operator work until it would send the pod.

    Args:
        task: one that makes a pod, mapped or not.
        attempt: the run that is imagined.

    Raises:
        TaskError: the task needs what was not given.
        PodError: the pod is refused; every reason, one a line.
    """
    context = begin(task, attempt)
    with set_current_context(context):  # Airflow's hook for pods looks there for the task
        context["ti"].render_templates(context)
        operator: Any = context["task"]  # of a mapped task, the one that it became
        return Rendered(operator, context, _made(operator, context))


def _made(operator: Any, context: Context) -> k8s.V1Pod:
    """The pod that ``execute`` makes: ``@task.team_pod`` writes its command only there."""
    callbacks, operator.callbacks = operator.callbacks, []  # they get a client of the cluster
    deferrable, operator.deferrable = operator.deferrable, False
    operator.get_or_create_pod = _stop
    try:
        with sent_in_cluster(operator):
            execute(operator, context)
    except _Made as made:
        return made.pod
    finally:
        del operator.get_or_create_pod
        operator.callbacks, operator.deferrable = callbacks, deferrable
    raise TaskError(f"Task {operator.task_id!r} makes no pod.")


def _stop(pod_request_obj: k8s.V1Pod, context: Context) -> k8s.V1Pod:
    raise _Made(pod_request_obj)


def execute(operator: Any, context: Context) -> Any:
    """Execute a task as Airflow's task runner does, of which an operator makes sure."""

    def executed() -> Any:
        ExecutorSafeguard.tracker.set(operator)
        return operator.execute(context)

    return copy_context().run(executed)


@contextmanager
def sent_in_cluster(operator: Any) -> Iterator[None]:
    """While a pod is made, let the label airflow_kpo_in_cluster say what it says when Airflow sends the pod.

    The hook would open a connection to know it, and a person's is another one.
    """
    modes = {team.connection.id: team.connection.mode for team in contract.load().teams.values()}
    build, inside = operator.build_pod_request_obj, modes.get(operator.kubernetes_conn_id, "inCluster") == "inCluster"

    def built(*arguments: Any, **named: Any) -> Any:
        operator.hook._is_in_cluster = inside
        return build(*arguments, **named)

    operator.build_pod_request_obj = built
    try:
        yield
    finally:
        del operator.build_pod_request_obj

"""Airflow's cluster policy: access to team DAGs, and team defaults and rules for the stock operator.

Existing DAGs need no edit: in a team's bundle or folder, a KubernetesPodOperator gets the team's namespace, service
account, labels, template and size, as a TeamPodOperator with the same arguments would. Airflow finds this module by its
entry point ``airflow.policy`` and loads it in every process, so its hooks import their code only when it is needed.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from airflow.policies import hookimpl

from kpo_platform.airflow import guards, preload, workarounds
from kpo_platform.contract import FILE_VARIABLE

if TYPE_CHECKING:
    from kubernetes.client import models as k8s

_PROVIDER = "airflow.providers.cncf.kubernetes."
_STOCK_MODULE = f"{_PROVIDER}operators.pod"
_SPARK_MODULE = f"{_PROVIDER}operators.spark_kubernetes."

guards.install()
workarounds.install()
preload.preload_in_celery_worker()


@hookimpl
def dag_policy(dag: Any) -> None:
    """Grant a team's role access to the team's DAG when it is parsed, if the team has a role; log refused triggers."""
    if FILE_VARIABLE in os.environ:
        from kpo_platform.airflow.policies.dag_access import grant_team_access

        grant_team_access(dag)
    if _is_dag_processor():
        from kpo_platform.airflow.policies.trigger_warnings import warn_about_dag

        warn_about_dag(dag)


@hookimpl
def task_policy(task: Any) -> None:
    """Check a task and set its team's defaults when its DAG is parsed; log refused triggers.

    Raises:
        AirflowClusterPolicyViolation: the task is refused, with one reason per line. Airflow shows it as the DAG's
            import error.
    """
    if _is_pod_operator(getattr(task, "operator_class", type(task))):
        from kpo_platform.airflow.policies.task_policy import apply_team_to_task

        apply_team_to_task(task)
    if _is_dag_processor():
        from kpo_platform.airflow.policies.trigger_warnings import warn_about_task

        warn_about_task(task)


@hookimpl
def pod_mutation_hook(pod: k8s.V1Pod) -> None:
    """Apply the team's defaults and rules to a stock operator's pod, with every value rendered.

    Other pods are not changed, such as those of KubernetesExecutor's workers.

    Raises:
        RefusedPod: the pod is refused, with one reason per line. Airflow does not retry the task.
    """
    from airflow.sdk import get_current_context

    try:
        context = get_current_context()
    except RuntimeError:
        return
    if _is_pod_operator(type(context["task"])):
        from kpo_platform.airflow.policies.pod_mutation import apply_team_to_pod

        apply_team_to_pod(pod, context)


def _is_dag_processor() -> bool:
    """Tell whether this process stores the DAGs that it parses; a worker would log the same for every task."""
    return FILE_VARIABLE in os.environ and "dag-processor" in sys.argv


def _is_pod_operator(operator_class: Any) -> bool:
    """Tell whether tasks of this class start pods in this cluster; False unless the stock operator is loaded.

    Operators of other providers that extend the stock one, such as EKS' and GKE's, start pods in other clusters. The
    Spark operator starts none itself: it creates a custom resource, and the team's Role decides who may do that.
    """
    stock_class = getattr(sys.modules.get(_STOCK_MODULE), "KubernetesPodOperator", None)
    if FILE_VARIABLE not in os.environ or stock_class is None or not isinstance(operator_class, type):
        return False
    modules = [f"{base.__module__}." for base in operator_class.__mro__ if issubclass(base, stock_class)]
    return bool(modules) and not any(
        module.startswith(_SPARK_MODULE)
        or (module.startswith("airflow.providers.") and not module.startswith(_PROVIDER))
        for module in modules
    )

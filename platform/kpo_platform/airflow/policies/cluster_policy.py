"""Airflow's cluster policy: a team's DAGs are its people's, and stock KubernetesPodOperator tasks keep its agreements.

An existing DAG needs no edit: in a team's bundle or folder its pods get the team's namespace, account, labels, template
and size, as a TeamPodOperator with the same arguments would. Airflow finds this module by its entry point
``airflow.policy`` and loads it in every one of its processes, so it imports next to nothing.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from airflow.policies import hookimpl

from kpo_platform.contract import FILE_VARIABLE

if TYPE_CHECKING:
    from kubernetes.client import models as k8s

_PROVIDER = "airflow.providers.cncf.kubernetes."
_STOCK = f"{_PROVIDER}operators.pod"
_SPARK = f"{_PROVIDER}operators.spark_kubernetes."


@hookimpl
def dag_policy(dag: Any) -> None:
    """Open a team's DAG to the team's people, when it is read, where Airflow keeps roles for them."""
    if FILE_VARIABLE in os.environ:
        from kpo_platform.airflow.policies.dag_access import grant_team_access

        grant_team_access(dag)


@hookimpl
def task_policy(task: Any) -> None:
    """Give a task of the stock operator what its team decides, when its DAG is read.

    Raises:
        AirflowClusterPolicyViolation: the task is refused; every reason, one a line. It becomes the import error of
            its DAG.
    """
    if _runs_a_pod(getattr(task, "operator_class", type(task))):
        from kpo_platform.airflow.policies.stock_operator import apply_team_to_task

        apply_team_to_task(task)


@hookimpl
def pod_mutation_hook(pod: k8s.V1Pod) -> None:
    """Give the pod of a stock operator's task what its team decides: the last gate, with every value rendered.

    Pods that no task of a team's DAG makes, such as those of KubernetesExecutor's workers, are left alone.

    Raises:
        RefusedPod: the pod is refused; every reason, one a line. The task is not tried again.
    """
    from airflow.sdk import get_current_context

    try:
        context = get_current_context()
    except RuntimeError:
        return
    if _runs_a_pod(type(context["task"])):
        from kpo_platform.airflow.policies.stock_operator import apply_team_to_pod

        apply_team_to_pod(pod, context)


def _runs_a_pod(kind: Any) -> bool:
    """Whether tasks of this kind start pods in this cluster; without the stock operator there are none.

    Left alone are operators of other providers that build on the stock one, such as EKS' and GKE's, which start theirs
    in clusters of their own, and the one for Spark, which starts none itself: it asks Spark's operator by an object of
    which the team's Role says who may write it.
    """
    stock = getattr(sys.modules.get(_STOCK), "KubernetesPodOperator", None)
    if FILE_VARIABLE not in os.environ or stock is None or not isinstance(kind, type) or not issubclass(kind, stock):
        return False
    homes = [f"{one.__module__}." for one in kind.__mro__ if issubclass(one, stock)]
    return not any(
        home.startswith(_SPARK) or (home.startswith("airflow.providers.") and not home.startswith(_PROVIDER))
        for home in homes
    )

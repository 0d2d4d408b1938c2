"""Apply a team's layers and rules to the pod of a stock operator's task, before it is created."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import models as k8s

from kpo_platform.airflow.exceptions import RefusedPod
from kpo_platform.airflow.operators.arguments.precheck import check_task
from kpo_platform.airflow.operators.arguments.serialize import serialize_pod
from kpo_platform.airflow.operators.lifecycle.task_run import read_task_run
from kpo_platform.airflow.operators.team_pod import TeamPodOperator
from kpo_platform.airflow.policies.stock_request import build_request, rename_container
from kpo_platform.airflow.team_lookup import find_owner
from kpo_platform.contract import Contract
from kpo_platform.contract import load as load_contract
from kpo_platform.errors import PlatformError
from kpo_platform.finding import raise_refusals
from kpo_platform.pod.compose import BASE, PodRequest, compose
from kpo_platform.pod.identity import add_run_identity
from kpo_platform.pod.merge import Json
from kpo_platform.pod.rules.all_rules import check_pod

if TYPE_CHECKING:
    from airflow.sdk import Context


def apply_team_to_pod(pod: k8s.V1Pod, context: Context) -> None:
    """Change a stock operator's pod into the one that a TeamPodOperator of its team would create.

    Raises:
        RefusedPod: the pod, or an argument of its task, is refused.
    """
    contract, task = load_contract(), cast("KubernetesPodOperator", context["task"])
    team_name = find_owner(task.dag, contract)
    if team_name is None or isinstance(task, TeamPodOperator):
        return
    try:
        composed = _compose_pod(serialize_pod(pod), team_name, contract, context)
    except PlatformError as error:
        raise RefusedPod(str(error)) from None
    mutated = PodGenerator.deserialize_model_dict(rename_container(composed, BASE, task.base_container_name))
    pod.metadata, pod.spec = mutated.metadata, mutated.spec
    team = contract.team(team_name)
    task.log.info(
        "Cluster policy: this task runs for team %r, with namespace %s, service account %s, pool %s and connection "
        "%s. Labels, template and size are the team's, unless the task sets them.",
        *(team_name, team.namespace, team.service_account.name, task.pool, task.kubernetes_conn_id),
    )


def _compose_pod(pod: Json, team_name: str, contract: Contract, context: Context) -> Json:
    """Compose the team's layers and the stock operator's pod; check the requested pod and the composed one."""
    task, team = cast("KubernetesPodOperator", context["task"]), contract.team(team_name)
    requested_pod = compose(contract, build_request(task, team_name))
    arguments = rename_container(_remove_stock_defaults(pod), task.base_container_name, BASE)
    composed = compose(contract, PodRequest(team=team_name, arguments=arguments))
    composed = add_run_identity(composed, team_name, team, read_task_run(context))
    refusals = check_task(task, team_name, contract)
    for checked_pod in (requested_pod, composed):
        refusals += check_pod(checked_pod, team_name, team, contract)
    raise_refusals(dict.fromkeys(refusals))
    return composed


def _remove_stock_defaults(pod: Json) -> Json:
    """Remove the stock operator's default values, which would override the team's."""
    spec = _remove_defaults(pod["spec"], hostNetwork=False)
    containers = [_remove_defaults(container, terminationMessagePolicy="File") for container in spec["containers"]]
    return {**pod, "metadata": _remove_defaults(pod["metadata"]), "spec": {**spec, "containers": containers}}


def _remove_defaults(fields: Json, **defaults: Any) -> Json:
    values = {key: value for key, value in fields.items() if value not in ({}, [], None)}
    return {key: value for key, value in values.items() if key not in defaults or value != defaults[key]}

"""What the cluster policy does to tasks and pods of the stock operator; loaded only where there are some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from airflow.exceptions import AirflowClusterPolicyViolation
from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import models as k8s

from kpo_platform import contract
from kpo_platform.airflow.exceptions import RefusedPod
from kpo_platform.airflow.operators.arguments.mapped import list_expansions, read_expanded_names, unmap_task
from kpo_platform.airflow.operators.arguments.pod_fields import build_argument_layer
from kpo_platform.airflow.operators.arguments.precheck import precheck_pod
from kpo_platform.airflow.operators.arguments.serialize import is_unresolved, read_pod_file, serialize, serialize_pod
from kpo_platform.airflow.operators.lifecycle.task_run import read_task_run
from kpo_platform.airflow.operators.pod_link import build_links
from kpo_platform.airflow.operators.team_pod import TeamPodOperator
from kpo_platform.airflow.team_lookup import get_dag_roots
from kpo_platform.contract import Contract, Team
from kpo_platform.errors import PlatformError
from kpo_platform.finding import Refusal, raise_refusals
from kpo_platform.pod.compose import BASE, PodRequest, compose
from kpo_platform.pod.identity import add_run_identity
from kpo_platform.pod.merge import Json, merge
from kpo_platform.pod.rules.all_rules import check_pod
from kpo_platform.pod.rules.ownership import check_connection, check_task_team, check_trigger_kwargs, find_team_of_file

if TYPE_CHECKING:
    from airflow.sdk import Context

_STOCK_POOL = "default_pool"
_STOCK_CONNECTIONS = (None, KubernetesHook.default_conn_name)
_OF_WHOLE_PODS = ("label", "missing")
"""Rules that miss something, which an expansion may still give."""


def apply_team_to_task(task: Any) -> None:
    """Give a task, mapped or not, its team's namespace, pool and connection, and judge what is known of its pod.

    Raises:
        AirflowClusterPolicyViolation: the task is refused.
    """
    whole = contract.load()
    name = _team_of(task, whole)
    if name is None:
        return
    try:
        if issubclass(getattr(task, "operator_class", type(task)), TeamPodOperator):
            _adopt_own(task, name, whole)
        elif hasattr(task, "partial_kwargs"):
            _adopt_mapped(task, name, whole)
        else:
            _adopt_stock(task, name, whole)
    except PlatformError as error:
        raise AirflowClusterPolicyViolation(f"Task {task.task_id} of DAG {task.dag_id}: {error}") from None


def apply_team_to_pod(pod: k8s.V1Pod, context: Context) -> None:
    """Make a stock operator's pod the one that a TeamPodOperator of its team would start.

    Raises:
        RefusedPod: the pod, or what the task asked for beneath it, is refused.
    """
    whole, task = contract.load(), cast("KubernetesPodOperator", context["task"])
    name = _team_of(task, whole)
    if name is None or isinstance(task, TeamPodOperator):
        return
    team, container = whole.team(name), task.base_container_name
    try:
        asked = check_pod(compose(whole, _request(task, name)), name, team, whole)
        composed = compose(whole, PodRequest(team=name, arguments=_renamed(_said(serialize_pod(pod)), container, BASE)))
        composed = add_run_identity(composed, name, team, read_task_run(context))
        beside = _beside_the_pod(task, name, whole)
        raise_refusals(dict.fromkeys([*beside, *asked, *check_pod(composed, name, team, whole)]))
    except PlatformError as error:
        raise RefusedPod(str(error)) from None
    made = PodGenerator.deserialize_model_dict(_renamed(composed, BASE, container))
    pod.metadata, pod.spec = made.metadata, made.spec
    task.log.info(
        "Cluster policy: this task runs for team %r, with namespace %s, service account %s, pool %s, connection %s and "
        "the team's labels, template and size where it names none.",
        *(name, team.namespace, team.service_account.name, task.pool, task.kubernetes_conn_id),
    )


def _team_of(task: Any, whole: Contract) -> str | None:
    return find_team_of_file(task.dag.fileloc, get_dag_roots(), whole.teams)


def _adopt_own(task: Any, name: str, whole: Contract) -> None:
    """A TeamPodOperator keeps its agreements itself, except for what it cannot know when it is made."""
    if hasattr(task, "partial_kwargs"):
        for expansion in list_expansions(task):
            _judge_own(unmap_task(task, expansion, own=True), name)
        _fill(task, {"pool": whole.team(name).pool.name} if "pool" not in task.partial_kwargs else {})
        task.operator_extra_links = build_links(whole)
    else:
        _judge_own(task, name)


def _judge_own(task: Any, name: str) -> None:
    raise_refusals(check_task_team(getattr(task, "team", name), name))


def _adopt_mapped(task: Any, name: str, whole: Contract) -> None:
    """What a mapped task leaves to its expansion is judged by the gate, when its pod is made."""
    for expansion in list_expansions(task):
        one = unmap_task(task, expansion, own=False)
        found = _reasons(one, name, whole) if one else []
        raise_refusals(each for each in found if expansion.whole or each.rule not in _OF_WHOLE_PODS)
    _fill(task, _decided(task.partial_kwargs, whole.team(name)))


def _fill(task: Any, decided: Mapping[str, str]) -> None:
    """Give a mapped task what the team decides and its expansion does not give."""
    names = read_expanded_names(task)
    if names is None:  # the expansion may give the same, and is to win then instead of ending the task
        task._disallow_kwargs_override = False
    task.partial_kwargs.update({key: value for key, value in decided.items() if key not in (names or ())})


def _adopt_stock(task: KubernetesPodOperator, name: str, whole: Contract) -> None:
    raise_refusals(_reasons(task, name, whole))
    for argument, value in _decided(vars(task), whole.team(name)).items():
        setattr(task, argument, value)
    task.operator_extra_links = (*task.operator_extra_links, *build_links(whole))


def _reasons(task: KubernetesPodOperator, name: str, whole: Contract) -> list[Refusal]:
    """What speaks against a stock task as far as it is known before rendering."""
    known = precheck_pod(whole, _request(task, name), complete=not _template_comes_later(task))
    return [*_beside_the_pod(task, name, whole), *known]


def _beside_the_pod(task: KubernetesPodOperator, name: str, whole: Contract) -> list[Refusal]:
    return [
        *check_connection(serialize(task.kubernetes_conn_id), name, whole),
        *check_trigger_kwargs(task.trigger_kwargs),
    ]


def _decided(given: Mapping[str, Any], team: Team) -> dict[str, str]:
    """What the team decides where the author says nothing."""
    decided = {}
    if given.get("namespace") is None:
        decided["namespace"] = team.namespace
    if given.get("pool", _STOCK_POOL) == _STOCK_POOL:
        decided["pool"] = team.pool.name
    if given.get("kubernetes_conn_id") in _STOCK_CONNECTIONS and not given.get("config_file"):
        decided["kubernetes_conn_id"] = team.connection.id
    return decided


def _request(task: KubernetesPodOperator, name: str) -> PodRequest:
    """What a stock task asks for; its arguments win over its full_pod_spec, and that over its template."""
    beneath = merge(_first_is_base(_template(task)), _first_is_base(serialize_pod(task.full_pod_spec)))
    # The namespace of the arguments may be what this policy gave; it must not hide another one beneath.
    namespace = (beneath.get("metadata") or {}).get("namespace") or serialize(task.namespace)
    own = {
        "metadata": _present({"namespace": namespace}),
        "spec": _present({"serviceAccountName": task.service_account_name}),
    }
    return PodRequest(team=name, own_template=beneath, arguments=merge(build_argument_layer(task, frozenset()), own))


def _template(task: KubernetesPodOperator) -> Json:
    """The template of a stock task, of which a file wins over a dictionary; nothing while it is not known."""
    if _template_comes_later(task):
        return {}
    path = serialize(task.pod_template_file)
    return read_pod_file(path) if path else serialize_pod(task.pod_template_dict)


def _template_comes_later(task: KubernetesPodOperator) -> bool:
    return is_unresolved(task.pod_template_file or task.pod_template_dict)


def _first_is_base(pod: Json) -> Json:
    """The stock operator takes the first container for the task's, whatever its name."""
    containers = (pod.get("spec") or {}).get("containers") or []
    return _renamed(pod, containers[0].get("name"), BASE) if containers else pod


def _renamed(pod: Json, name: str, new: str) -> Json:
    spec = pod["spec"]
    containers = [{**one, "name": new} if one.get("name") == name else one for one in spec["containers"]]
    return {**pod, "spec": {**spec, "containers": containers}}


def _present(fields: Json) -> Json:
    return {key: value for key, value in fields.items() if value is not None}


def _said(pod: Json) -> Json:
    """A pod without what the stock operator writes where its author says nothing; it would win over the team's."""
    spec = _without_empty(pod["spec"], hostNetwork=False)
    containers = spec["containers"]
    spec["containers"] = [_without_empty(container, terminationMessagePolicy="File") for container in containers]
    return {**pod, "metadata": _without_empty(pod["metadata"]), "spec": spec}


def _without_empty(fields: Json, **stock: Any) -> Json:
    given = {key: value for key, value in fields.items() if value not in ({}, [], None)}
    return {key: value for key, value in given.items() if key not in stock or value != stock[key]}

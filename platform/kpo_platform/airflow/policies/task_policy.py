"""Apply a team's defaults and rules to tasks that start pods, when their DAG is parsed."""

from __future__ import annotations

from typing import Any

from airflow.exceptions import AirflowClusterPolicyViolation
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import get_parsing_context

from kpo_platform.airflow.operators.arguments.mapped import list_expansions, unmap_task
from kpo_platform.airflow.operators.arguments.precheck import check_task, precheck_pod
from kpo_platform.airflow.operators.team_pod import TeamPodOperator
from kpo_platform.airflow.policies.stock_request import build_request, is_template_unresolved
from kpo_platform.airflow.policies.task_defaults import set_defaults, set_mapped_defaults, set_mapped_team_pod_defaults
from kpo_platform.airflow.team_lookup import find_owner
from kpo_platform.contract import Contract
from kpo_platform.contract import load as load_contract
from kpo_platform.errors import PlatformError
from kpo_platform.finding import Refusal, raise_refusals
from kpo_platform.pod.rules.ownership import check_task_team

_PRESENCE_RULES = ("label", "missing")
"""Rules that require a label, volume or value, which an incomplete expansion may still add."""


def apply_team_to_task(task: Any) -> None:
    """Check a task, mapped or not, and set its team's namespace, pool and connection.

    Raises:
        AirflowClusterPolicyViolation: the task is refused.
    """
    contract = load_contract()
    team_name = find_owner(task.dag, contract)
    if team_name is None:
        return
    try:
        if issubclass(getattr(task, "operator_class", type(task)), TeamPodOperator):
            _apply_to_team_pod(task, team_name, contract)
        elif hasattr(task, "partial_kwargs"):
            _apply_to_mapped_stock(task, team_name, contract)
        else:
            _apply_to_stock(task, team_name, contract)
    except PlatformError as error:
        raise AirflowClusterPolicyViolation(f"Task {task.task_id} of DAG {task.dag_id}: {error}") from None


def _apply_to_team_pod(task: Any, team_name: str, contract: Contract) -> None:
    """Check the task's team; the constructor of TeamPodOperator checks the other arguments.

    A mapped task's single tasks are created here, so that their constructors run when the DAG is parsed. In the
    process of a task, Airflow creates the one that it runs.
    """
    if not hasattr(task, "partial_kwargs"):
        _check_team(task, team_name)
        return
    for expansion in () if get_parsing_context().task_id else list_expansions(task):
        _check_team(unmap_task(task, expansion, is_team_pod=True), team_name)
    set_mapped_team_pod_defaults(task, contract.team(team_name), contract)


def _check_team(task: Any, team_name: str) -> None:
    raise_refusals(check_task_team(getattr(task, "team", team_name), team_name))


def _apply_to_mapped_stock(task: Any, team_name: str, contract: Contract) -> None:
    """Check the arguments of a mapped task that the DAG file contains; `apply_team_to_pod` checks all in the run."""
    for expansion in list_expansions(task):
        single_task = unmap_task(task, expansion, is_team_pod=False)
        refusals = _check_stock_task(single_task, team_name, contract) if single_task else []
        raise_refusals(refusal for refusal in refusals if expansion.is_complete or refusal.rule not in _PRESENCE_RULES)
    set_mapped_defaults(task, contract.team(team_name))


def _apply_to_stock(task: KubernetesPodOperator, team_name: str, contract: Contract) -> None:
    raise_refusals(_check_stock_task(task, team_name, contract))
    set_defaults(task, contract.team(team_name), contract)


def _check_stock_task(task: KubernetesPodOperator, team_name: str, contract: Contract) -> list[Refusal]:
    request = build_request(task, team_name)
    pod_refusals = precheck_pod(contract, request, complete=not is_template_unresolved(task))
    return [*check_task(task, team_name, contract), *pod_refusals]

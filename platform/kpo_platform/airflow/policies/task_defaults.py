"""Set the team's namespace, pool, connection and links on tasks that do not set them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

from kpo_platform.airflow.operators.arguments.mapped import list_expanded_names
from kpo_platform.airflow.operators.pod_link import build_links
from kpo_platform.contract import Contract, Team

_STOCK_POOL = "default_pool"
_STOCK_CONNECTIONS = (None, KubernetesHook.default_conn_name)


def set_defaults(task: KubernetesPodOperator, team: Team, contract: Contract) -> None:
    """Set the team's defaults on a task of the stock operator."""
    for name, value in _select_defaults(vars(task), team).items():
        setattr(task, name, value)
    task.operator_extra_links = (*task.operator_extra_links, *build_links(contract))


def set_mapped_defaults(task: Any, team: Team) -> None:
    """Set the team's defaults on a mapped task of the stock operator."""
    _set_partial(task, _select_defaults(task.partial_kwargs, team))


def set_mapped_team_pod_defaults(task: Any, team: Team, contract: Contract) -> None:
    """Set pool and links on a mapped TeamPodOperator; its single tasks set the rest themselves."""
    _set_partial(task, {"pool": team.pool.name} if "pool" not in task.partial_kwargs else {})
    task.operator_extra_links = build_links(contract)


def _set_partial(task: Any, defaults: Mapping[str, str]) -> None:
    """Set arguments that all single tasks share, except those that the expansion sets."""
    names = list_expanded_names(task)
    if names is None:  # the expansion may set the same arguments; it must override them instead of failing the task
        task._disallow_kwargs_override = False
    task.partial_kwargs.update({key: value for key, value in defaults.items() if key not in (names or ())})


def _select_defaults(arguments: Mapping[str, Any], team: Team) -> dict[str, str]:
    """Select the team's values for arguments that are absent or have the stock default."""
    defaults = {}
    if arguments.get("namespace") is None:
        defaults["namespace"] = team.namespace
    if arguments.get("pool", _STOCK_POOL) == _STOCK_POOL:
        defaults["pool"] = team.pool.name
    if arguments.get("kubernetes_conn_id") in _STOCK_CONNECTIONS and not arguments.get("config_file"):
        defaults["kubernetes_conn_id"] = team.connection.id
    return defaults

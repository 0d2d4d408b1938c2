"""Grant access to a team's DAGs to the team's role in Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpo_platform.airflow.team_lookup import find_owner
from kpo_platform.contract import load as load_contract

if TYPE_CHECKING:
    from airflow.sdk import DAG

ACTIONS = frozenset({"can_read", "can_edit", "can_delete"})
"""The permissions of the team's role on a DAG; ``can_edit`` includes starting and stopping its runs."""


def grant_team_access(dag: DAG) -> None:
    """Grant the team's role access to a DAG in the team's bundle or folder; roles that the DAG names keep theirs.

    Airflow copies the DAG's access control into its database on every parse, and refuses a DAG with an unknown role.

    Raises:
        ContractError: the contract cannot be read.
    """
    contract = load_contract()
    team_name = find_owner(dag, contract)
    if team_name is not None and (role := contract.team(team_name).role):
        dag.access_control = {**(dag.access_control or {}), role: {"DAGs": set(ACTIONS)}}

"""Who sees and runs a team's DAG in Airflow: the team's role, whose members are the team's people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpo_platform import contract
from kpo_platform.airflow.team_lookup import get_dag_roots
from kpo_platform.pod.rules.ownership import find_team_of_file

if TYPE_CHECKING:
    from airflow.sdk import DAG

ACTIONS = frozenset({"can_read", "can_edit", "can_delete"})
"""What the team's people may do with a DAG; to start and stop its runs is to edit it."""


def grant_team_access(dag: DAG) -> None:
    """Give a DAG that lies in a team's bundle or folder to the team's role, beside the roles that its author names.

    Airflow writes what the DAG says into its database each time the DAG is read, and refuses the DAG if it has no such
    role.

    Raises:
        ContractError: the contract cannot be read.
    """
    whole = contract.load()
    name = find_team_of_file(dag.fileloc, get_dag_roots(), whole.teams)
    if name is not None and whole.team(name).role:
        dag.access_control = {**(dag.access_control or {}), whole.team(name).role: {"DAGs": set(ACTIONS)}}

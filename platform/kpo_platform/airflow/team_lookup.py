"""Find the team of a task by its arguments, or by the bundle or folder of its DAG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpo_platform.airflow.bundle_lookup import find_bundle
from kpo_platform.contract import Contract
from kpo_platform.errors import TeamError, describe_unknown_name
from kpo_platform.finding import raise_refusals
from kpo_platform.pod.rules.ownership import check_task_team, find_team_of_bundle

if TYPE_CHECKING:
    from airflow.sdk import DAG


def find_team(named_team: str | None, dag: DAG | None, contract: Contract) -> str:
    """Find the team that a task runs for.

    Args:
        named_team: the team that the task, or default_args, names.
        dag: the task's DAG; None if the task has none yet.
        contract: defines the teams.

    Raises:
        TeamError: the team is not in the contract, or the task names none and no team owns its DAG.
        PodError: the task names another team than the one that owns the DAG.
    """
    owner = find_owner(dag, contract) if dag else None
    if named_team is not None and named_team not in contract.teams:
        raise TeamError(*describe_unknown_name("team", named_team, contract.teams))
    if named_team is None and owner is None:
        raise TeamError(
            "The task has no team",
            "Set team= in the task or in default_args, or move the DAG file into the bundle or folder of its team. "
            f"Known teams: {', '.join(sorted(contract.teams)) or 'none'}.",
        )
    team = named_team or str(owner)
    raise_refusals(check_task_team(team, owner))
    return team


def find_owner(dag: DAG, contract: Contract) -> str | None:
    """Find the team that owns a DAG by its bundle or folder, as the guards do; None if no team does."""
    return find_team_of_bundle(*find_bundle(dag.fileloc), contract)

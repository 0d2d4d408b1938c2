"""Whose task it is: the team that was named, or the one in whose bundle or folder the DAG lies."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from airflow.configuration import conf

from kpo_platform.contract import Contract
from kpo_platform.errors import TeamError, unknown
from kpo_platform.finding import refuse
from kpo_platform.pod.rules.ownership import foreign, team_of_file

if TYPE_CHECKING:
    from airflow.sdk import DAG


def find_team(named: str | None, dag: DAG | None, contract: Contract) -> str:
    """The team that a task runs for.

    Args:
        named: the team that the task, or default_args, names.
        dag: the DAG of the task, as far as it has one already.
        contract: which teams there are.

    Raises:
        TeamError: the team is not in the contract, or neither name, bundle nor folder gives one.
        PodError: the task names another team than the one whose DAG it is in.
    """
    origin = team_of_file(dag.fileloc, get_dag_roots(), contract.teams) if dag else None
    if named is not None and named not in contract.teams:
        raise TeamError(*unknown("team", named, contract.teams))
    if named is None and origin is None:
        raise TeamError(
            "The task has no team",
            "give team=, set it in default_args, or let the DAG lie in the bundle or folder of its team; "
            f"known are: {', '.join(sorted(contract.teams)) or 'none'}.",
        )
    team = named or str(origin)
    refuse(foreign(team, origin))
    return team


@cache
def get_dag_roots() -> tuple[str, ...]:
    """The folders below which DAGs lie: Airflow's bundles, each in a folder of its name, and the DAGs folder."""
    from airflow.dag_processing.bundles.base import get_bundle_storage_root_path

    bundles: object = get_bundle_storage_root_path()  # type: ignore[no-untyped-call]
    return (str(bundles), str(conf.get("core", "dags_folder")))

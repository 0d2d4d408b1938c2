"""Rule: a task runs for the team that owns its DAG file; the owner is the team of the bundle or the folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kpo_platform.contract import Contract
from kpo_platform.finding import Refusal

_TRIGGER_FIELDS = frozenset({"message", "name", "namespace", "status"})
"""Fields of the trigger's event, which the trigger sets itself."""


def find_team_of_bundle(bundle_name: str | None, relative_fileloc: str | None, contract: Contract) -> str | None:
    """Find the team that owns a DAG by its bundle or, in a bundle that all teams share, by its folder.

    Airflow stores both names in the table ``dag`` (3.3, models/dag.py). The chart gives a team's bundle the team's
    name, and the shared DAGs the bundle ``shared-dags``.

    Args:
        bundle_name: the bundle; None if it is not known, then no team owns the DAG.
        relative_fileloc: the DAG file, relative to the root of its bundle; None if it is not known.
        contract: defines the teams, and the teams of other bundles.

    Returns:
        The owner: the team of the bundle, else the outermost folder that is a team's name. None if no team owns the
        DAG.
    """
    if bundle_name is None:
        return None
    if bundle_name in contract.isolation.bundles:
        return contract.isolation.bundles[bundle_name]
    if bundle_name in contract.teams:
        return bundle_name
    folders = (relative_fileloc or "").split("/")[:-1]
    return next((folder for folder in folders if folder in contract.teams), None)


def check_task_team(team: str, owner: str | None) -> list[Refusal]:
    """Refuse a task for another team than the owner of its DAG file.

    Args:
        team: the team of the task.
        owner: the team that owns the DAG file; None if unknown.
    """
    if owner is None or owner == team:
        return []
    return [
        Refusal(
            "team",
            f"The task has team {team!r}, but its DAG file is in the bundle or folder of team {owner!r}",
            f"Leave out team, or move the DAG file to the folder or bundle of team {team!r}.",
        )
    ]


def check_connection(conn_id: str | None, team: str, contract: Contract) -> list[Refusal]:
    """Refuse another team's connection, because it would run the pod with that team's cluster and identity.

    Args:
        conn_id: the Airflow connection of the task; None and Jinja templates are not checked.
        team: the team of the task.
        contract: has the connections of all teams.
    """
    own = contract.team(team).connection.id
    if conn_id == own:
        return []
    owners = [name for name, other in contract.teams.items() if other.connection.id == conn_id]
    if not owners:
        return []
    return [
        Refusal(
            "team",
            f"The task uses the connection {conn_id!r} of team {owners[0]!r}, but it runs for team {team!r}, which has "
            f"{own!r}",
            "Leave out kubernetes_conn_id.",
        )
    ]


def check_trigger_kwargs(trigger_kwargs: Any) -> list[Refusal]:
    """Refuse fields that would make the trigger report about another pod than the task's.

    Args:
        trigger_kwargs: the task's argument; Jinja templates are not checked.
    """
    fields = _TRIGGER_FIELDS & trigger_kwargs.keys() if isinstance(trigger_kwargs, Mapping) else frozenset()
    return [
        Refusal(
            "locked",
            f"trigger_kwargs has {name!r}, which only the trigger sets",
            f"Leave {name!r} out.",
            "trigger_kwargs",
        )
        for name in sorted(fields)
    ]

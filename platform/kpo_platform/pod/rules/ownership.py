"""Rule: a task runs for the team that owns its DAG file; the owner is the team of the bundle or the folder."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePath
from typing import Any

from kpo_platform.contract import Contract
from kpo_platform.finding import Refusal

_TRIGGER_FIELDS = frozenset({"message", "name", "namespace", "status"})
"""Fields of the trigger's event, which the trigger sets itself."""


def find_team_of_file(file: str | PurePath, roots: Iterable[str | PurePath], teams: Collection[str]) -> str | None:
    """Find the team that owns a DAG file.

    Args:
        file: the DAG file.
        roots: the folders with DAG files: Airflow's folder of bundles, with one subfolder per bundle, which has the
            name of its team, and the DAGs folder.
        teams: the names of all teams.

    Returns:
        The name of the outermost folder below a root that is a team's name, so a folder inside a team's bundle cannot
        change the owner. None if there is none.
    """
    path = str(file)
    for root in roots:
        prefix = f"{str(root).rstrip('/')}/"
        if path.startswith(prefix):
            folders = path[len(prefix) :].split("/")[:-1]
            return next((folder for folder in folders if folder in teams), None)
    return None


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

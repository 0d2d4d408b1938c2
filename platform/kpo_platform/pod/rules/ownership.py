"""Whose DAG a file is: by the bundle or the folder in which it lies."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePath
from typing import Any

from kpo_platform.contract import Contract
from kpo_platform.finding import Refusal

_OF_THE_TRIGGER = frozenset({"message", "name", "namespace", "status"})


def find_team_of_file(file: str | PurePath, roots: Iterable[str | PurePath], teams: Collection[str]) -> str | None:
    """The team whose DAG a file is, or None where neither bundle nor folder tells.

    Args:
        file: the DAG's file.
        roots: folders below which DAGs lie: that of Airflow's bundles, whose folders are named after the bundle and
            so after the team, and the DAGs folder. Names of folders above them mean nothing.
        teams: the names of all teams.

    Returns:
        The outermost folder below a root that bears a team's name: a team's bundle is that team's, whatever its
        repository calls its folders.
    """
    path = str(file)
    for root in roots:
        beneath = f"{str(root).rstrip('/')}/"
        if path.startswith(beneath):
            folders = path[len(beneath) :].split("/")[:-1]
            return next((folder for folder in folders if folder in teams), None)
    return None


def check_task_team(team: str, origin: str | None) -> list[Refusal]:
    """Refuse that a task runs for another team than the one whose DAG it is in.

    Args:
        team: for whom the task wants to run.
        origin: whose DAG it is, None where that is not known.
    """
    if origin is None or origin == team:
        return []
    return [
        Refusal(
            "team",
            f"The task wants to run for team {team!r}, but its DAG lies in the bundle or folder of team {origin!r}",
            f"leave out team=, or move the DAG to team {team!r}.",
        )
    ]


def check_connection(conn_id: str | None, team: str, contract: Contract) -> list[Refusal]:
    """Refuse another team's connection: it would run the pod where, or as whom, that team runs its own.

    Args:
        conn_id: the Airflow connection that the task uses; None or a text with Jinja says nothing yet.
        team: for whom the task runs.
        contract: which team has which connection.
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
            "leave out kubernetes_conn_id.",
        )
    ]


def check_trigger_kwargs(trigger_kwargs: Any) -> list[Refusal]:
    """Refuse what would have the trigger speak of another pod than the task's, which the task then takes for its own.

    Args:
        trigger_kwargs: of the task; a text with Jinja says nothing yet.
    """
    said = _OF_THE_TRIGGER & trigger_kwargs.keys() if isinstance(trigger_kwargs, Mapping) else frozenset()
    return [
        Refusal(
            "locked",
            f"trigger_kwargs has {name!r}, but what became of which pod is for the trigger to say",
            f"leave {name!r} out.",
            "trigger_kwargs",
        )
        for name in sorted(said)
    ]

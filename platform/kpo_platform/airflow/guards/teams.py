"""The owners of names, and the rights between teams, all by the contract."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from kpo_platform.contract import Action, Contract, UnlistedAccess

NameKind = Literal["connection", "variable", "asset"]
"""Things that only their name assigns to a team."""

_SEPARATORS = "_-."


@dataclass(frozen=True)
class Owners:
    """Who may use a name.

    Attributes:
        teams: the teams that own it, and may read and write; empty if no team does.
        others: what every other task may do, also one of a DAG of no team.
    """

    teams: frozenset[str]
    others: UnlistedAccess

    def allow(self, team: str | None, access: Literal["write", "read"]) -> bool:
        """Tell whether a team may read or write; None stands for a DAG of no team."""
        return team in self.teams or self.others in (access, "write")


@dataclass(frozen=True)
class _Index:
    """Names of a contract as `_fold` returns them: team to its name, and connection to the teams that own it."""

    teams: dict[str, str]
    connections: dict[str, frozenset[str]]


_latest: tuple[Contract, _Index] | None = None


def find_owners(kind: NameKind, name: str, contract: Contract, remote_log_conn_id: str | None = None) -> Owners:
    """Find the owners of a connection, a variable or an asset by its name.

    The first rule that fits decides: ``git-<team>`` is that team's connection; a team's ``connection.id`` belongs to
    all teams that name it; every team may read the connection for remote logs; names in ``isolation.shared`` are
    shared; a name that begins with a team's name and ``_``, ``-`` or ``.`` is that team's, the longest team name
    first; ``isolation.unlisted`` says what everybody may do with the rest.

    Upper and lower case are the same, because Airflow finds ``alpha_db`` and ``ALPHA_db`` in one environment variable
    (3.3, secrets/environment_variables.py: ``conn_id.upper()``). Connections and variables with a path segment ``.`` or
    ``..`` are refused to all, because a secrets backend that sends names as URLs would find another name.

    Args:
        kind: the kind of the name.
        name: the id of a connection, the key of a variable, or the name or URI of an asset.
        contract: defines teams and isolation.
        remote_log_conn_id: Airflow's option ``logging.remote_log_conn_id``, if it is set.
    """
    folded = _fold(name)
    if kind != "asset" and has_dot_segment(name):
        return Owners(frozenset(), "none")
    if kind == "connection":
        if owners := _get_index(contract).connections.get(folded):
            return Owners(owners, "none")
        if remote_log_conn_id and folded == _fold(remote_log_conn_id):
            return Owners(frozenset(), "read")
    if any(fnmatchcase(folded, _fold(pattern)) for pattern in _get_shared_names(kind, contract)):
        return Owners(frozenset(), "write")
    if team := find_team_of_name(name, contract):
        return Owners(frozenset({team}), "none")
    return Owners(frozenset(), contract.isolation.unlisted)


def has_dot_segment(name: str) -> bool:
    """Tell whether a name, read as a path, has a segment ``.`` or ``..``."""
    return not {".", ".."}.isdisjoint(name.strip().split("/"))


def find_team_of_name(name: str, contract: Contract) -> str | None:
    """Find the team with the longest name that, followed by ``_``, ``-`` or ``.``, begins this name; None if none."""
    folded = _fold(name)
    teams = _get_index(contract).teams
    ends = (end for end in range(len(folded) - 1, 0, -1) if folded[end] in _SEPARATORS)
    return next((teams[folded[:end]] for end in ends if folded[:end] in teams), None)


def has_grant(team: str | None, owner: str | None, action: Action, contract: Contract) -> bool:
    """Tell whether a team may do this with DAGs of the owner.

    Args:
        team: the team that asks; None is a DAG of no team.
        owner: the team that owns the DAG; None if no team does, then everybody may.
        action: the action; a team may do everything with its own DAGs.
        contract: has the grants.
    """
    if owner is None or team == owner:
        return True
    return any(
        grant.from_team == team and grant.to == owner and action in grant.do for grant in contract.isolation.grants
    )


def _get_index(contract: Contract) -> _Index:
    """Get the names of a contract for look-ups; one contract is in use at a time, and it may have 500 teams."""
    global _latest
    latest = _latest  # other threads may replace it
    if latest is None or latest[0] is not contract:
        _latest = latest = (contract, _create_index(contract))
    return latest[1]


def _create_index(contract: Contract) -> _Index:
    connections: dict[str, frozenset[str]] = {}
    for name, team in contract.teams.items():
        connection_id = _fold(team.connection.id)
        connections[connection_id] = connections.get(connection_id, frozenset()) | {name}
    git = {_fold(f"git-{name}"): frozenset({name}) for name in contract.teams}
    return _Index({_fold(name): name for name in contract.teams}, connections | git)


def _get_shared_names(kind: NameKind, contract: Contract) -> tuple[str, ...]:
    shared = contract.isolation.shared
    return {"connection": shared.connections, "variable": shared.variables, "asset": shared.assets}[kind]


def _fold(name: str) -> str:
    """Make names comparable that a database or an environment variable takes for the same."""
    return name.strip().upper()

"""Judge what a task asks for: None if its team may do it, otherwise a sentence with the reason and the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kpo_platform.airflow.guards.execution_api.rules import Access, DagRule, NameRule
from kpo_platform.airflow.guards.teams import (
    NameKind,
    Owners,
    find_owners,
    has_dot_segment,
    has_grant,
)
from kpo_platform.contract import Contract

UNKNOWN_TASK = "The token's task does not exist any more. Run the task again."


@dataclass(frozen=True)
class Asker:
    """The task that asks.

    Attributes:
        team: the team that owns its DAG; None if no team does.
        contract: defines teams and isolation.
        remote_log_conn_id: Airflow's connection for remote logs, None if there is none.
    """

    team: str | None
    contract: Contract
    remote_log_conn_id: str | None = None

    def __str__(self) -> str:
        """Name the asker as the subject of a sentence."""
        return "A DAG of no team" if self.team is None else f"Team {self.team!r}"

    def find_owners(self, kind: NameKind, name: str) -> Owners:
        """Find the owners of a name."""
        return find_owners(kind, name, self.contract, self.remote_log_conn_id)


def describe_unknown_endpoint(endpoint: str) -> str:
    """Describe the refusal of an endpoint that has no rule."""
    return (
        f"The request {endpoint!r} is refused: the guard of the Execution API has no rule for it. Upgrade the package "
        "kpo-platform to a version for this Airflow."
    )


def judge_name(asker: Asker, rule: NameRule, name: str) -> str | None:
    """Judge the use of a connection or a variable."""
    owners = asker.find_owners(rule.kind, name)
    if owners.allow(asker.team, rule.access):
        return None
    return f"{asker} cannot {rule.access} {rule.kind} {name!r}: {_explain_name(asker, rule.kind, name, owners)}"


def describe_denial(kind: str, name: str, contract: Contract) -> str | None:
    """Describe why a connection or a variable was refused, for a process that does not know the team; None if unclear.

    Args:
        kind: ``connection`` or ``variable``.
        name: its name.
        contract: defines teams and isolation.
    """
    if kind not in ("connection", "variable"):
        return None
    asker = Asker(None, contract)
    name_kind: NameKind = "connection" if kind == "connection" else "variable"
    owners = asker.find_owners(name_kind, name)
    if not owners.teams and owners.others == "write":
        return None
    return f"{kind.capitalize()} {name!r} is refused: {_explain_name(asker, name_kind, name, owners)}"


def judge_asset(asker: Asker, name: str | None, uri: str | None, access: Access) -> str | None:
    """Judge the use of an asset or, by its name alone, of an asset alias.

    Every owner of name or URI counts. If neither has an owner, it is enough that one of them is shared.
    """
    parts = list(dict.fromkeys(part for part in (name, uri) if part))
    owners = {part: asker.find_owners("asset", part) for part in parts}
    owned = [part for part in parts if owners[part].teams]
    for part in owned:
        if not any(has_grant(asker.team, team, "asset", asker.contract) for team in owners[part].teams):
            return _refuse_asset(asker, part, owners[part], access)
    if owned or not parts or any(owners[part].allow(asker.team, access) for part in parts):
        return None
    return _refuse_asset(asker, parts[0], owners[parts[0]], access)


def judge_dag(asker: Asker, rule: DagRule, dag_id: str, owners: Iterable[str | None]) -> str | None:
    """Judge a request about a DAG.

    Args:
        asker: the task that asks.
        rule: the rule of the request.
        dag_id: the DAG.
        owners: the teams that own it, and those that own the DAG version of the run in question.
    """
    for owner in sorted(filter(None, owners)):
        if owner == asker.team or any(has_grant(asker.team, owner, action, asker.contract) for action in rule.grants):
            continue
        return f"{asker} cannot {rule.verb} DAG {dag_id!r}: it belongs to team {owner!r}. " + (
            _suggest_grant(asker, owner, rule.grants[0]) if rule.grants else "Only tasks of that team can do it."
        )
    return None


def _refuse_asset(asker: Asker, name: str, owners: Owners, access: Access) -> str:
    verb = "read" if access == "read" else "update"
    remedy = _suggest_sharing(asker, "asset", name)
    if owners.teams and asker.team:
        remedy = f"{remedy.rstrip('.')}, or add {_describe_grant(asker.team, min(owners.teams), 'asset')}."
    return f"{asker} cannot {verb} asset {name!r}: {_describe_owners(owners)}. {remedy}"


def _explain_name(asker: Asker, kind: NameKind, name: str, owners: Owners) -> str:
    """Return the cause of a refusal and its remedy, as the end of a sentence and another one."""
    if has_dot_segment(name):
        return "its name has a path segment '.' or '..'. Use another name."
    return f"{_describe_owners(owners)}. {_suggest_sharing(asker, kind, name)}"


def _describe_owners(owners: Owners) -> str:
    if not owners.teams:
        return "no team owns it, and isolation.unlisted does not allow it"
    names = " and ".join(repr(team) for team in sorted(owners.teams))
    return f"it belongs to team{'s' if len(owners.teams) > 1 else ''} {names}"


def _suggest_sharing(asker: Asker, kind: NameKind, name: str) -> str:
    """Suggest the value that would allow every team to use the name, if there is one."""
    field = f"{kind}s"
    isolation = asker.contract.isolation
    shared = isolation.shared.model_copy(update={field: (name,)})
    contract = asker.contract.model_copy(update={"isolation": isolation.model_copy(update={"shared": shared})})
    if find_owners(kind, name, contract, asker.remote_log_conn_id).allow(asker.team, "write"):
        return f"List it in isolation.shared.{field}."
    if asker.team and not name.lower().startswith("git-"):
        return f"Set it as connection.id of team {asker.team!r}, or use the connection of that team."
    return "Use another connection."


def _suggest_grant(asker: Asker, owner: str, action: str) -> str:
    if asker.team is None:
        return "Give the DAG's bundle a team in isolation.bundles."
    return f"Add {_describe_grant(asker.team, owner, action)}."


def _describe_grant(team: str, owner: str, action: str) -> str:
    return f"{{from: {team}, to: {owner}, do: [{action}]}} to isolation.grants"

"""The plan: a pure function of contract, sign-ins and live state."""

from __future__ import annotations

from collections.abc import Mapping

from kpo_platform.bootstrap import claim, connection, registry_secret
from kpo_platform.bootstrap.actions import Action, Plan, Target, Verb
from kpo_platform.bootstrap.credentials import Credentials
from kpo_platform.bootstrap.state import Live
from kpo_platform.contract import Contract, Team
from kpo_platform.kube import NAMESPACE


def make(contract: Contract, teams: Mapping[str, Team], credentials: Credentials, live: Live) -> Plan:
    """What one run has to do for some teams.

    Args:
        contract: what the chart published.
        teams: the teams that the run is for, by name.
        credentials: the sign-ins that were found for their registries.
        live: what is there now.
    """
    actions = [action for name in sorted(teams) for action in _team(name, teams[name], credentials, live)]
    ids = sorted({team.connection.id for team in teams.values()})
    actions += [connection.plan(each, contract.xcom_sidecar, live.connections.get(each)) for each in ids]
    return Plan(tuple(actions))


def _team(name: str, team: Team, credentials: Credentials, live: Live) -> list[Action]:
    if team.namespace not in live.namespaces:
        note = f"the namespace of team {name} is not there: the chart makes it, run helm upgrade"
        return [Action(Verb.BLOCKED, Target(NAMESPACE.kind, "", team.namespace), note=note)]
    actions = []
    if team.registry.host:
        secret = live.secrets.get((team.namespace, team.registry.pull_secret))
        actions.append(registry_secret.plan(name, team, credentials, secret))
    actions += [claim.plan(name, team, volume, live) for volume in team.volumes]
    return actions + claim.orphans(team, live)

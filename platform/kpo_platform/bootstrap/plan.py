"""The plan: a pure function of contract, sign-ins and live state."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kpo_platform.bootstrap.connections import connection, env_secret
from kpo_platform.bootstrap.connections.target_cluster import TargetAccess
from kpo_platform.bootstrap.model import Action, LiveState, ObjectRef, Plan, Verb
from kpo_platform.bootstrap.registry import pull_secret
from kpo_platform.bootstrap.registry.docker_config import RegistryCredentials
from kpo_platform.bootstrap.volumes import claim
from kpo_platform.contract import Contract, Team
from kpo_platform.contract.team import ConnectionRef
from kpo_platform.kube import NAMESPACE, VOLUME_CLAIM


def make_plan(
    contract: Contract,
    teams: Mapping[str, Team],
    credentials: RegistryCredentials,
    live: LiveState,
    ways: Mapping[str, TargetAccess] = MappingProxyType({}),
) -> Plan:
    """What one run has to do for some teams.

    Args:
        contract: what the chart published.
        teams: the teams that the run is for, by name.
        credentials: the sign-ins that were found for their registries.
        live: what is there now.
        ways: what was found for the connections that lead to a cluster outside, by connection id.
    """
    actions = [action for name in sorted(teams) for action in _plan_team(name, teams[name], credentials, live)]
    refs = connection.list_connections(teams)
    actions += [_plan_api_connection(contract, ref, live, ways.get(ref.id)) for ref in refs if ref.via == "api"]
    actions += env_secret.plan_secret(contract, tuple(ref for ref in refs if ref.via == "env"), ways, live)
    return Plan(tuple(actions))


def explain_refusal(made: Plan, teams: Mapping[str, Team]) -> str:
    """Why nothing of a plan may be done, as a sentence: a volume cannot be as the contract has it. Or nothing.

    A volume holds data, so what is wrong with one is mended before anything is done beside it.

    Args:
        made: the plan.
        teams: the teams that it is for, by name.
    """
    blocked = [each.target for each in made.actions if each.verb is Verb.BLOCKED]
    stuck = [each for each in blocked if each.kind == VOLUME_CLAIM.kind]
    if not stuck:
        return ""
    spaces = {each.namespace for each in stuck}
    others = " ".join(f"--team {name}" for name, team in sorted(teams.items()) if team.namespace not in spaces)
    return (
        f"Nothing is written as long as {', '.join(map(str, stuck))} cannot be as the contract has it: mend the "
        f"volume's values and run helm upgrade{f', or do the others alone with {others}' if others else ''}."
    )


def _plan_api_connection(contract: Contract, ref: ConnectionRef, live: LiveState, way: TargetAccess | None) -> Action:
    name = env_secret.format_variable_name(ref.id)
    if name in live.connection_variables:
        note = (
            f"Airflow's pods have {name} in their environment, which wins over Airflow's database: take it away "
            "there (helm upgrade, if connection.via was env before), or set connection.via to env"
        )
        return Action(Verb.BLOCKED, connection.make_connection_ref(ref.id), note=note)
    return connection.plan_connection(ref, contract.xcom_sidecar, live.connections.get(ref.id), way, live.read_at)


def _plan_team(name: str, team: Team, credentials: RegistryCredentials, live: LiveState) -> list[Action]:
    if team.namespace not in live.namespaces:
        note = f"the namespace of team {name} is not there: the chart makes it, run helm upgrade"
        return [Action(Verb.BLOCKED, ObjectRef(NAMESPACE.kind, "", team.namespace), note=note)]
    actions = []
    if team.registry.host:
        secret = live.secrets.get((team.namespace, team.registry.pull_secret))
        actions.append(pull_secret.plan_pull_secret(name, team, credentials, secret))
    actions += [claim.plan_claim(name, team, volume, live) for volume in team.volumes]
    return actions + claim.plan_orphans(team, live)

"""Plan a run from the contract, the credentials and the live state."""

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
    target_access: Mapping[str, TargetAccess] = MappingProxyType({}),
) -> Plan:
    """Plan one run for some teams.

    Args:
        contract: the contract that the chart published.
        teams: the teams of the run, by name.
        credentials: the credentials for the teams' registries.
        live: the live state.
        target_access: by connection id, the access for connections to another cluster.
    """
    actions = [action for name in sorted(teams) for action in _plan_team(name, teams[name], credentials, live)]
    refs = connection.list_connections(teams)
    actions += [
        _plan_api_connection(contract, ref, live, target_access.get(ref.id)) for ref in refs if ref.via == "api"
    ]
    actions += env_secret.plan_secret(contract, tuple(ref for ref in refs if ref.via == "env"), target_access, live)
    return Plan(tuple(actions))


def explain_refusal(plan: Plan, teams: Mapping[str, Team]) -> str:
    """Explain why a plan must not be applied; empty if it may be.

    A run with a blocked volume claim writes nothing, because the claim holds data.

    Args:
        plan: the plan.
        teams: the teams of the plan, by name.
    """
    claims = [
        action.target
        for action in plan.actions
        if action.verb is Verb.BLOCKED and action.target.kind == VOLUME_CLAIM.kind
    ]
    if not claims:
        return ""
    namespaces = {ref.namespace for ref in claims}
    others = " ".join(f"--team {name}" for name, team in sorted(teams.items()) if team.namespace not in namespaces)
    return (
        f"Nothing was written: {', '.join(map(str, claims))} cannot change to match the contract. Correct the volume's "
        f"values and run helm upgrade{f', or apply the other teams alone with {others}' if others else ''}."
    )


def _plan_api_connection(
    contract: Contract, ref: ConnectionRef, live: LiveState, access: TargetAccess | None
) -> Action:
    name = env_secret.format_variable_name(ref.id)
    if name in live.connection_variables:
        note = (
            f"Airflow's pods have {name} in their environment, which overrides Airflow's database. Remove it there "
            "(run helm upgrade if connection.via was env before) or set connection.via to env"
        )
        return Action(Verb.BLOCKED, connection.make_connection_ref(ref.id), note=note)
    return connection.plan_connection(ref, contract.xcom_sidecar, live.connections.get(ref.id), access, live.read_at)


def _plan_team(name: str, team: Team, credentials: RegistryCredentials, live: LiveState) -> list[Action]:
    if team.namespace not in live.namespaces:
        note = f"the namespace of team {name} does not exist. Run helm upgrade to create it"
        return [Action(Verb.BLOCKED, ObjectRef(NAMESPACE.kind, "", team.namespace), note=note)]
    actions = []
    if team.registry.host:
        secret = live.secrets.get((team.namespace, team.registry.pull_secret))
        actions.append(pull_secret.plan_pull_secret(name, team, credentials, secret))
    actions += [claim.plan_claim(name, team, volume, live) for volume in team.volumes]
    return actions + claim.plan_orphaned_claims(team, live)

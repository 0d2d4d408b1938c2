"""Verify the state after a run, read back from the cluster and from Airflow."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kpo_platform.bootstrap.connections import connection, env_secret
from kpo_platform.bootstrap.model import LiveSecret, LiveState, ObjectRef
from kpo_platform.bootstrap.registry import pull_secret
from kpo_platform.bootstrap.registry.checks import HostLogin, describe_result, get_secret_login
from kpo_platform.bootstrap.registry.docker_config import describe_expiry
from kpo_platform.bootstrap.registry.hosts import normalize_host
from kpo_platform.bootstrap.registry.login_check import LoginResult, LoginStatus
from kpo_platform.bootstrap.volumes import claim
from kpo_platform.contract import Contract, Team
from kpo_platform.contract.team import ConnectionRef

_INTERVAL = 2.0


@dataclass(frozen=True)
class Evidence:
    """Result of verifying one object.

    The attributes are keys of the JSON output.

    Attributes:
        target: the object.
        healthy: whether it matches the contract.
        seen: a description of the live object, or of the problem.
        verified: whether the check was complete, for example whether the registry could be reached to check a login.
    """

    target: ObjectRef
    healthy: bool
    seen: str
    verified: bool = True


def verify_state(
    contract: Contract, teams: Mapping[str, Team], live: LiveState, login_results: Mapping[HostLogin, LoginResult]
) -> tuple[Evidence, ...]:
    """Compare the live state with the contract.

    Args:
        contract: the contract that the chart published.
        teams: the teams of the run, by name.
        live: the live state.
        login_results: the results of checking the logins in the teams' secrets.
    """
    evidence = []
    for name in sorted(teams):
        team = teams[name]
        if team.registry.host:
            evidence.append(_verify_secret(team, live, login_results))
        evidence += [_verify_claim(team, volume.name, live) for volume in team.volumes]
    refs = connection.list_connections(teams)
    return (*evidence, *(_verify_connection(contract, ref, live) for ref in refs))


def wait_for_claims(read: Callable[[], LiveState], teams: Mapping[str, Team], timeout: float) -> LiveState:
    """Read the live state until no claim is being provisioned.

    Args:
        read: reads the live state.
        teams: the teams whose claims to wait for.
        timeout: the longest wait in seconds. `verify_state` reports claims that are still unbound then.
    """
    end = time.monotonic() + timeout
    while True:
        live = read()
        if time.monotonic() + _INTERVAL > end or not _is_provisioning(teams, live):
            return live
        time.sleep(_INTERVAL)


def _is_provisioning(teams: Mapping[str, Team], live: LiveState) -> bool:
    keys = [(team.namespace, volume.name) for team in teams.values() for volume in team.volumes]
    claims = [live.claims[key] for key in keys if key in live.claims]
    return any(item.phase == "Pending" and not claim.is_waiting_for_pod(item, live) for item in claims)


def _verify_secret(team: Team, live: LiveState, login_results: Mapping[HostLogin, LoginResult]) -> Evidence:
    target = pull_secret.make_secret_ref(team)
    secret = live.secrets.get((team.namespace, team.registry.pull_secret))
    if secret is None:
        return Evidence(target, False, "does not exist. Log in to its registry, and run bootstrap again")
    seen = f"type {secret.type}, for {', '.join(sorted(secret.logins)) or 'no registry'}"
    host_login = get_secret_login(team, live)
    if secret.type != pull_secret.SECRET_TYPE or host_login is None:
        return Evidence(target, False, f"{seen}; {_describe_unusable_secret(team, secret)}")
    result = login_results[host_login]
    is_healthy = result.status is not LoginStatus.REJECTED
    fix = "" if is_healthy else f". Run docker login {team.registry.host}, and run bootstrap again"
    return Evidence(
        target,
        is_healthy,
        f"{seen}; {describe_result(result)}{describe_expiry(host_login[1])}{fix}",
        verified=result.status is not LoginStatus.UNVERIFIED,
    )


def _describe_unusable_secret(team: Team, secret: LiveSecret) -> str:
    """Describe why a Secret has no login for the team's registry, and what to do."""
    host = team.registry.host
    if secret.type != pull_secret.SECRET_TYPE:
        return f"the type must be {pull_secret.SECRET_TYPE}. Delete the Secret, and run bootstrap again"
    reason = secret.logins.get(normalize_host(host))
    cause = reason if isinstance(reason, str) else f"it needs a login for {host}"
    return f"{cause}. Run docker login {host}, and run bootstrap again"


def _verify_claim(team: Team, name: str, live: LiveState) -> Evidence:
    target = claim.make_claim_ref(team, name)
    live_claim = live.claims.get((team.namespace, name))
    if live_claim is None:
        return Evidence(target, False, "does not exist. Run bootstrap again")
    description = claim.describe_claim(live_claim)
    if live_claim.phase == "Bound":
        return Evidence(target, True, description)
    if claim.is_waiting_for_pod(live_claim, live):
        risk = claim.find_binding_risk(live_claim, live)
        seen = f"{description}: its storage class binds it when a pod first uses it{f'; {risk}' if risk else ''}"
        return Evidence(target, True, seen, verified=not risk)
    is_awaited = live_claim.phase == "Pending" and live_claim.node
    pod_note = f", although a pod waits for it on node {live_claim.node}" if is_awaited else ""
    command = f"kubectl -n {team.namespace} describe pvc {name}"
    return Evidence(target, False, f"{description}{pod_note}. Inspect it with: {command}")


def _verify_connection(contract: Contract, ref: ConnectionRef, live: LiveState) -> Evidence:
    target, is_in_env = connection.make_connection_ref(ref.id), ref.via == "env"
    current = env_secret.read_connection(ref, live) if is_in_env else live.connections.get(ref.id)
    if current is None:
        return Evidence(target, False, "does not exist. Run bootstrap again")
    if problem := connection.find_problem(ref, contract.xcom_sidecar, current, live.read_at):
        return Evidence(target, False, f"{problem}. {connection.find_fix(ref)}")
    record = connection.read_record(current)
    cluster = "in cluster" if ref.mode == "inCluster" else connection.describe_record(record)
    seen = f"type {current.type}, {cluster}, XCom sidecar {contract.xcom_sidecar.image}"
    if not is_in_env:
        return Evidence(target, True, seen)
    is_used, usage = env_secret.check_usage(contract, ref.id, live)
    return Evidence(target, is_used, f"{seen}; {usage}")

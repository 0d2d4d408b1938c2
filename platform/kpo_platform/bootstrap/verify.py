"""What is there after a run, read back from the cluster and from Airflow, with evidence."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kpo_platform.bootstrap.connections import connection, env_secret
from kpo_platform.bootstrap.model import LiveState, ObjectRef
from kpo_platform.bootstrap.registry import pull_secret
from kpo_platform.bootstrap.registry.checks import HostLogin, describe_result, get_secret_login
from kpo_platform.bootstrap.registry.docker_config import describe_expiry, normalize_host
from kpo_platform.bootstrap.registry.login_check import LoginResult, LoginStatus
from kpo_platform.bootstrap.volumes import claim
from kpo_platform.contract import Contract, Team
from kpo_platform.contract.team import ConnectionRef

_INTERVAL = 2.0


@dataclass(frozen=True)
class Evidence:
    """One object: whether it is as the contract wants it, and what was seen.

    What could not be seen in whole, such as whether a registry that nobody reaches takes a sign-in, is not verified.
    """

    target: ObjectRef
    healthy: bool
    seen: str
    verified: bool = True


def verify_state(
    contract: Contract, teams: Mapping[str, Team], live: LiveState, answers: Mapping[HostLogin, LoginResult]
) -> tuple[Evidence, ...]:
    """Compare what is there with what the contract wants.

    Args:
        contract: what the chart published.
        teams: the teams that the run is for, by name.
        live: what is there.
        answers: what the registries say to the sign-ins in the teams' secrets.
    """
    found = []
    for name in sorted(teams):
        team = teams[name]
        if team.registry.host:
            found.append(_verify_secret(team, live, answers))
        found += [_verify_claim(team, volume.name, live) for volume in team.volumes]
    return (*found, *(_verify_connection(contract, ref, live) for ref in connection.list_connections(teams)))


def wait_for_claims(read: Callable[[], LiveState], teams: Mapping[str, Team], timeout: float) -> LiveState:
    """Read the live state, and again while claims are being provisioned.

    Args:
        read: reads the live state.
        teams: the teams whose claims are waited for.
        timeout: seconds to wait at most; what is unfinished then is for `check` to say.
    """
    end = time.monotonic() + timeout
    while True:
        live = read()
        if time.monotonic() + _INTERVAL > end or not _is_provisioning(teams, live):
            return live
        time.sleep(_INTERVAL)


def _is_provisioning(teams: Mapping[str, Team], live: LiveState) -> bool:
    keys = [(team.namespace, volume.name) for team in teams.values() for volume in team.volumes]
    found = [live.claims[key] for key in keys if key in live.claims]
    return any(each.phase == "Pending" and not claim.is_waiting_for_pod(each, live) for each in found)


def _verify_secret(team: Team, live: LiveState, answers: Mapping[HostLogin, LoginResult]) -> Evidence:
    target = pull_secret.make_secret_ref(team)
    found = live.secrets.get((team.namespace, team.registry.pull_secret))
    if found is None:
        return Evidence(target, False, "is not there")
    seen = f"type {found.type}, for {', '.join(sorted(found.logins)) or 'no registry'}"
    pair = get_secret_login(team, live)
    if found.type != pull_secret.SECRET_TYPE or pair is None:
        why = found.logins.get(normalize_host(team.registry.host))
        return Evidence(target, False, f"{seen}; {why}" if isinstance(why, str) else seen)
    answer = answers[pair].status
    verified = answer is not LoginStatus.UNVERIFIED
    return Evidence(
        target,
        answer is not LoginStatus.REJECTED,
        f"{seen}; {describe_result(answers[pair])}{describe_expiry(pair[1])}",
        verified,
    )


def _verify_claim(team: Team, name: str, live: LiveState) -> Evidence:
    target = claim.make_claim_ref(team, name)
    found = live.claims.get((team.namespace, name))
    if found is None:
        return Evidence(target, False, "is not there")
    if found.phase == "Bound":
        return Evidence(target, True, claim.describe_claim(found))
    if claim.is_waiting_for_pod(found, live):
        doubt = claim.find_binding_risk(found, live)
        seen = (
            f"{claim.describe_claim(found)}: its class binds it when a pod first uses it{f'; {doubt}' if doubt else ''}"
        )
        return Evidence(target, True, seen, verified=not doubt)
    used = f", though a pod waits for it on node {found.node}" if found.phase == "Pending" and found.node else ""
    look = f"look with: kubectl -n {team.namespace} describe pvc {name}"
    return Evidence(target, False, f"{claim.describe_claim(found)}{used}; {look}")


def _verify_connection(contract: Contract, ref: ConnectionRef, live: LiveState) -> Evidence:
    target, by_env = connection.make_connection_ref(ref.id), ref.via == "env"
    found = env_secret.read_connection(ref, live) if by_env else live.connections.get(ref.id)
    if found is None:
        return Evidence(target, False, "is not there")
    if wrong := connection.describe_problem(ref, contract.xcom_sidecar, found, live.read_at):
        return Evidence(target, False, wrong)
    way = "in cluster" if ref.mode == "inCluster" else connection.describe_record(connection.read_record(found))
    seen = f"type {found.type}, {way}, XCom sidecar {contract.xcom_sidecar.image}"
    if not by_env:
        return Evidence(target, True, seen)
    used, how = env_secret.check_usage(contract, ref.id, live)
    return Evidence(target, used, f"{seen}; {how}")

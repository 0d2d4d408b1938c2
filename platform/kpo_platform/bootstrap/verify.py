"""What is there after a run, read back from the cluster and from Airflow, with evidence."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kpo_platform.bootstrap.connections import connection, env_secret
from kpo_platform.bootstrap.model import Live, Target
from kpo_platform.bootstrap.plan import references
from kpo_platform.bootstrap.registry import pull_secret
from kpo_platform.bootstrap.registry.checks import Pair, pair_of, told
from kpo_platform.bootstrap.registry.docker_config import bare_host, short_life
from kpo_platform.bootstrap.registry.login_check import Answer, Verdict
from kpo_platform.bootstrap.volumes import claim
from kpo_platform.contract import Contract, Team
from kpo_platform.contract.team import ConnectionRef

_INTERVAL = 2.0


@dataclass(frozen=True)
class Evidence:
    """One object: whether it is as the contract wants it, and what was seen.

    What could not be seen in whole, such as whether a registry that nobody reaches takes a sign-in, is not verified.
    """

    target: Target
    healthy: bool
    seen: str
    verified: bool = True


def check(
    contract: Contract, teams: Mapping[str, Team], live: Live, answers: Mapping[Pair, Verdict]
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
            found.append(_secret(team, live, answers))
        found += [_claim(team, volume.name, live) for volume in team.volumes]
    return (*found, *(_connection(contract, ref, live) for ref in references(teams)))


def settle(read: Callable[[], Live], teams: Mapping[str, Team], timeout: float) -> Live:
    """Read the live state, and again while claims are being provisioned.

    Args:
        read: reads the live state.
        teams: the teams whose claims are waited for.
        timeout: seconds to wait at most; what is unfinished then is for `check` to say.
    """
    end = time.monotonic() + timeout
    while True:
        live = read()
        if time.monotonic() + _INTERVAL > end or not _provisioning(teams, live):
            return live
        time.sleep(_INTERVAL)


def _provisioning(teams: Mapping[str, Team], live: Live) -> bool:
    keys = [(team.namespace, volume.name) for team in teams.values() for volume in team.volumes]
    found = [live.claims[key] for key in keys if key in live.claims]
    return any(each.phase == "Pending" and not claim.waits_for_pod(each, live) for each in found)


def _secret(team: Team, live: Live, answers: Mapping[Pair, Verdict]) -> Evidence:
    target = pull_secret.target(team)
    found = live.secrets.get((team.namespace, team.registry.pull_secret))
    if found is None:
        return Evidence(target, False, "is not there")
    seen = f"type {found.type}, for {', '.join(sorted(found.logins)) or 'no registry'}"
    pair = pair_of(team, live)
    if found.type != pull_secret.TYPE or pair is None:
        why = found.logins.get(bare_host(team.registry.host))
        return Evidence(target, False, f"{seen}; {why}" if isinstance(why, str) else seen)
    answer = answers[pair].answer
    verified = answer is not Answer.UNVERIFIED
    return Evidence(
        target, answer is not Answer.REFUSED, f"{seen}; {told(answers[pair])}{short_life(pair[1])}", verified
    )


def _claim(team: Team, name: str, live: Live) -> Evidence:
    target = claim.target(team, name)
    found = live.claims.get((team.namespace, name))
    if found is None:
        return Evidence(target, False, "is not there")
    if found.phase == "Bound":
        return Evidence(target, True, claim.about(found))
    if claim.waits_for_pod(found, live):
        doubt = claim.doubt(found, live)
        seen = f"{claim.about(found)}: its class binds it when a pod first uses it{f'; {doubt}' if doubt else ''}"
        return Evidence(target, True, seen, verified=not doubt)
    used = f", though a pod waits for it on node {found.node}" if found.phase == "Pending" and found.node else ""
    look = f"look with: kubectl -n {team.namespace} describe pvc {name}"
    return Evidence(target, False, f"{claim.about(found)}{used}; {look}")


def _connection(contract: Contract, ref: ConnectionRef, live: Live) -> Evidence:
    target, by_env = connection.target(ref.id), ref.via == "env"
    found = env_secret.live_connection(ref, live) if by_env else live.connections.get(ref.id)
    if found is None:
        return Evidence(target, False, "is not there")
    if wrong := connection.as_it_should_be(ref, contract.xcom_sidecar, found, live.at):
        return Evidence(target, False, wrong)
    way = "in cluster" if ref.mode == "inCluster" else connection.shown(connection.record_of(found))
    seen = f"type {found.type}, {way}, XCom sidecar {contract.xcom_sidecar.image}"
    if not by_env:
        return Evidence(target, True, seen)
    used, how = env_secret.in_use(contract, ref.id, live)
    return Evidence(target, used, f"{seen}; {how}")

"""The only way by which data goes: a team's volume claims, by name and on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kpo_platform.bootstrap import labels
from kpo_platform.bootstrap.actions import Target
from kpo_platform.bootstrap.removed import removed_teams
from kpo_platform.contract import Contract
from kpo_platform.errors import NotFound, TeamError, unknown
from kpo_platform.kube import VOLUME_CLAIM, Kube, Object
from kpo_platform.pod.refusals import TEAM_LABEL


@dataclass(frozen=True)
class Claim:
    """A volume claim that can go.

    Attributes:
        target: the claim.
        about: its size, class and phase.
        found: the claim as it was read.
    """

    target: Target
    about: str
    found: Object = field(repr=False)


@dataclass(frozen=True)
class Doomed:
    """What is left of a team, or is a team's, and would go.

    Attributes:
        namespace: the team's namespace.
        declared: whether the contract still has the team.
        claims: the claims that bootstrap made for it, those of the contract and orphans.
    """

    namespace: str
    declared: bool
    claims: tuple[Claim, ...]


def find(kube: Kube, contract: Contract, name: str) -> Doomed:
    """What of a team would go.

    Args:
        kube: the cluster.
        contract: what the chart published.
        name: a team, declared or of the past.

    Raises:
        TeamError: there is no such team and nothing is left of one.
        ClusterError: the cluster could not be read.
    """
    declared = name in contract.teams
    past = {} if declared else {team.name: team.namespace for team in removed_teams(kube, contract)}
    if not declared and name not in past:
        raise TeamError(*unknown("team", name, [*contract.teams, *past]))
    namespace = contract.teams[name].namespace if declared else past[name]
    found = kube.find(VOLUME_CLAIM, namespace, f"{labels.MARK},{TEAM_LABEL}={name}")
    return Doomed(namespace, declared, tuple(_claim(each) for each in found))


def delete(kube: Kube, doomed: Doomed) -> Iterator[tuple[Claim, str]]:
    """Delete the claims, one after the other, and say what was seen of each afterwards.

    Raises:
        Forbidden: the caller may not (rbac/bootstrap-operator-delete.yaml).
        ClusterError: one could not be deleted; those before it are.
    """
    for claim in doomed.claims:
        try:
            kube.delete(VOLUME_CLAIM, claim.found)
            kube.get(VOLUME_CLAIM, claim.target.name, claim.target.namespace)
        except NotFound:
            yield claim, "gone"
        else:
            yield claim, "goes when the last pod that uses it has ended"


def _claim(found: Object) -> Claim:
    meta, spec = found["metadata"], found["spec"]
    size = spec["resources"]["requests"]["storage"]
    about = f"{size}, class {spec.get('storageClassName') or 'none'}, {(found.get('status') or {}).get('phase', '')}"
    return Claim(Target(VOLUME_CLAIM.kind, meta["namespace"], meta["name"]), about, found)

"""The only way by which data goes: a team's volume claims, by name and on purpose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kpo_platform.bootstrap import labels
from kpo_platform.bootstrap.model import ObjectRef
from kpo_platform.bootstrap.volumes.left_namespaces import LeftNamespace
from kpo_platform.contract import Contract
from kpo_platform.errors import NotFound, TeamError, describe_unknown_name
from kpo_platform.kube import VOLUME_CLAIM, Kube, Object
from kpo_platform.pod.identity import TEAM_LABEL


@dataclass(frozen=True)
class DeletableClaim:
    """A volume claim that can go.

    Attributes:
        ref: the claim.
        about: its size, class and phase.
        found: the claim as it was read.
    """

    ref: ObjectRef
    description: str
    object: Object = field(repr=False)


@dataclass(frozen=True)
class DeletionPlan:
    """What is left of a team, or is a team's, and would go.

    Attributes:
        declared: whether the contract still has the team.
        left: the namespaces that it had and that no team has any more.
        claims: the claims that bootstrap made for it in all of its namespaces, those of the contract and orphans.
    """

    is_declared: bool
    left_namespaces: tuple[str, ...]
    claims: tuple[DeletableClaim, ...]


def plan_deletion(kube: Kube, contract: Contract, name: str, every: Iterable[LeftNamespace]) -> DeletionPlan:
    """What of a team would go.

    Args:
        kube: the cluster.
        contract: what the chart published.
        name: a team, declared or of the past.
        every: the namespaces that no team has any more.

    Raises:
        TeamError: there is no such team and nothing is left of one.
        ClusterError: the cluster could not be read.
    """
    every = tuple(every)
    current = [contract.teams[name].namespace] if name in contract.teams else []
    left = [each.namespace for each in every if each.name == name]
    if not current and not left:
        raise TeamError(*describe_unknown_name("team", name, {*contract.teams, *(each.name for each in every)}))
    which = f"{labels.SELECTOR},{TEAM_LABEL}={name}"
    found = [claim for namespace in (*current, *left) for claim in kube.list_objects(VOLUME_CLAIM, namespace, which)]
    return DeletionPlan(bool(current), tuple(left), tuple(_parse_claim(each) for each in found))


def delete_claims(kube: Kube, plan: DeletionPlan) -> Iterator[tuple[DeletableClaim, str]]:
    """Delete the claims, one after the other, and say what was seen of each afterwards.

    Raises:
        Forbidden: the caller may not (rbac/bootstrap-operator-delete.yaml).
        ClusterError: one could not be deleted; those before it are.
    """
    for claim in plan.claims:
        try:
            kube.delete(VOLUME_CLAIM, claim.object)
            kube.get(VOLUME_CLAIM, claim.ref.name, claim.ref.namespace)
        except NotFound:
            yield claim, "gone"
        else:
            yield claim, "goes when the last pod that uses it has ended"


def _parse_claim(found: Object) -> DeletableClaim:
    meta, spec = found["metadata"], found["spec"]
    size = spec["resources"]["requests"]["storage"]
    about = f"{size}, class {spec.get('storageClassName') or 'none'}, {(found.get('status') or {}).get('phase', '')}"
    return DeletableClaim(ObjectRef(VOLUME_CLAIM.kind, meta["namespace"], meta["name"]), about, found)

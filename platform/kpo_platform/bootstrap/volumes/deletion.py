"""Delete a team's volume claims. Nothing else in this package deletes data."""

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
    """A volume claim that can be deleted.

    Attributes:
        ref: the claim.
        description: its size, storage class and phase.
        object: the claim as read from the API server.
    """

    ref: ObjectRef
    description: str
    object: Object = field(repr=False)


@dataclass(frozen=True)
class DeletionPlan:
    """The data of a team that a deletion would remove.

    Attributes:
        is_declared: whether the contract still has the team.
        left_namespaces: the namespaces that the team used and that no team uses any more.
        claims: the claims that bootstrap created for the team in all its namespaces, including those no longer in the
            contract.
    """

    is_declared: bool
    left_namespaces: tuple[str, ...]
    claims: tuple[DeletableClaim, ...]


def plan_deletion(kube: Kube, contract: Contract, name: str, left_namespaces: Iterable[LeftNamespace]) -> DeletionPlan:
    """Plan the deletion of a team's data.

    Args:
        kube: the cluster.
        contract: the contract that the chart published.
        name: the team's name. The contract may no longer have the team.
        left_namespaces: the namespaces that no team uses any more.

    Raises:
        TeamError: the contract has no such team, and no namespace of such a team is left.
        ClusterError: the cluster cannot be read.
    """
    all_left = tuple(left_namespaces)
    current = [contract.teams[name].namespace] if name in contract.teams else []
    left = [item.namespace for item in all_left if item.name == name]
    if not current and not left:
        raise TeamError(*describe_unknown_name("team", name, {*contract.teams, *(item.name for item in all_left)}))
    selector = f"{labels.SELECTOR},{TEAM_LABEL}={name}"
    claims = [claim for space in (*current, *left) for claim in kube.list_objects(VOLUME_CLAIM, space, selector)]
    return DeletionPlan(bool(current), tuple(left), tuple(_parse_claim(claim) for claim in claims))


def delete_claims(kube: Kube, plan: DeletionPlan) -> Iterator[tuple[DeletableClaim, str]]:
    """Delete the claims one after the other, and yield each with its state afterwards.

    Raises:
        Forbidden: the caller may not delete claims (rbac/bootstrap-operator-delete.yaml).
        ClusterError: a claim cannot be deleted. The claims before it are deleted.
    """
    for claim in plan.claims:
        try:
            kube.delete(VOLUME_CLAIM, claim.object)
            kube.get(VOLUME_CLAIM, claim.ref.name, claim.ref.namespace)
        except NotFound:
            yield claim, "deleted"
        else:
            yield claim, "terminating until the last pod that uses it has ended"


def _parse_claim(claim: Object) -> DeletableClaim:
    meta, spec = claim["metadata"], claim["spec"]
    size = spec["resources"]["requests"]["storage"]
    phase = (claim.get("status") or {}).get("phase", "")
    description = f"{size}, class {spec.get('storageClassName') or 'none'}, {phase}"
    return DeletableClaim(ObjectRef(VOLUME_CLAIM.kind, meta["namespace"], meta["name"]), description, claim)

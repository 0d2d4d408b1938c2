"""Namespaces that a team has left, or that are left of one: the chart lets them stand, with everything in them."""

from __future__ import annotations

from dataclasses import dataclass

from kpo_platform.contract import Contract
from kpo_platform.kube import Kube
from kpo_platform.kube.resource import NAMESPACE, Object
from kpo_platform.pod.identity import TEAM_LABEL

_RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"


@dataclass(frozen=True)
class LeftNamespace:
    """A namespace that no team has any more, and the name of the team that had it; it may be declared elsewhere now."""

    name: str
    namespace: str


def list_left_namespaces(kube: Kube, contract: Contract) -> tuple[LeftNamespace, ...]:
    """The namespaces that this release once made for a team and that no team has any more, in their order.

    Raises:
        Forbidden: the caller may not list namespaces (rbac/bootstrap-operator-cluster.yaml).
        ClusterError: they could not be read.
    """
    labels = f"app.kubernetes.io/part-of=kpo-platform,app.kubernetes.io/instance={contract.release.name},{TEAM_LABEL}"
    found = kube.list_objects(NAMESPACE, labels=labels)
    current = {team.namespace for team in contract.teams.values()}
    left = [
        each["metadata"]
        for each in found
        if _is_from_release(each, contract) and each["metadata"]["name"] not in current
    ]
    return tuple(LeftNamespace(meta["labels"][TEAM_LABEL], meta["name"]) for meta in left)


def _is_from_release(namespace: Object, contract: Contract) -> bool:
    """Whether a namespace is of this release and not of one that has the same name elsewhere."""
    annotations = namespace["metadata"].get("annotations") or {}
    return bool(annotations.get(_RELEASE_NAMESPACE) == contract.release.namespace)

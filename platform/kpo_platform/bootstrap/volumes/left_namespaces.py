"""List namespaces no team uses any more. The chart keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from kpo_platform.contract import Contract
from kpo_platform.kube import NAMESPACE, Kube, Object
from kpo_platform.pod.identity import TEAM_LABEL

_RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"


@dataclass(frozen=True)
class LeftNamespace:
    """A namespace that no team uses any more.

    The attributes are keys of the JSON output.

    Attributes:
        name: the name of the team that used it. The contract may still have the team, with another namespace.
        namespace: the namespace.
    """

    name: str
    namespace: str


def list_left_namespaces(kube: Kube, contract: Contract) -> tuple[LeftNamespace, ...]:
    """List the namespaces that this release created for a team and that no team uses any more.

    Raises:
        Forbidden: the caller may not list namespaces (rbac/bootstrap-operator-cluster.yaml).
        ClusterError: the namespaces cannot be read.
    """
    labels = f"app.kubernetes.io/part-of=kpo-platform,app.kubernetes.io/instance={contract.release.name},{TEAM_LABEL}"
    used = {team.namespace for team in contract.teams.values()}
    return tuple(
        LeftNamespace(namespace["metadata"]["labels"][TEAM_LABEL], namespace["metadata"]["name"])
        for namespace in kube.list_objects(NAMESPACE, labels=labels)
        if _is_from_release(namespace, contract) and namespace["metadata"]["name"] not in used
    )


def _is_from_release(namespace: Object, contract: Contract) -> bool:
    """Whether this release created the namespace.

    A release of the same name in another namespace sets the same labels.
    """
    annotations = namespace["metadata"].get("annotations") or {}
    return bool(annotations.get(_RELEASE_NAMESPACE) == contract.release.namespace)

"""The contract as the chart published it in a cluster."""

from __future__ import annotations

from kpo_platform.contract import CONFIGMAP_KEY, CONFIGMAP_LABELS, Contract, parse
from kpo_platform.errors import ContractError
from kpo_platform.kube.client import Kube
from kpo_platform.kube.resource import CONFIG_MAP


def read_contract(kube: Kube, namespace: str) -> Contract:
    """The contract of the release in a namespace; from now on errors name the role whose right is missing.

    Raises:
        ContractError: there is none, there are several, or it is not one that this package reads.
        ClusterError: the namespace could not be read.
    """
    contract = parse(read_contract_text(kube, namespace))
    kube.role_rules = contract.rules
    return contract


def read_contract_text(kube: Kube, namespace: str) -> str:
    """The same as the chart wrote it, not read yet.

    Raises:
        ContractError: there is none, or there are several.
        ClusterError: the namespace could not be read.
    """
    found = kube.list_objects(CONFIG_MAP, namespace, CONFIGMAP_LABELS)
    if not found:
        raise ContractError(
            f"No contract in namespace {namespace} of {kube.server}: is the chart installed there? "
            "See helm list --all-namespaces, and name the release's namespace with --namespace."
        )
    if len(found) > 1:
        names = ", ".join(sorted(each["metadata"]["name"] for each in found))
        raise ContractError(
            f"Namespace {namespace} has several contracts ({names}); expected one release in a namespace."
        )
    return str((found[0].get("data") or {}).get(CONFIGMAP_KEY, ""))

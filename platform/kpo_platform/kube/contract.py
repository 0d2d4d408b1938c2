"""Read the contract that the chart published in a cluster."""

from __future__ import annotations

from kpo_platform.contract import CONFIGMAP_KEY, CONFIGMAP_LABELS, Contract, parse
from kpo_platform.errors import ContractError
from kpo_platform.kube.client import Kube
from kpo_platform.kube.resource import CONFIG_MAP


def read_contract(kube: Kube, namespace: str) -> Contract:
    """Read the contract of the release in a namespace.

    Later errors of ``kube`` name the role that grants a missing right.

    Raises:
        ContractError: the namespace has no contract or several, or this package cannot read the contract.
        ClusterError: the namespace could not be read.
    """
    contract = parse(read_contract_text(kube, namespace))
    kube.role_rules = contract.rules
    return contract


def read_contract_text(kube: Kube, namespace: str) -> str:
    """Read the contract's text, without parsing it.

    Raises:
        ContractError: the namespace has no contract or several.
        ClusterError: the namespace could not be read.
    """
    config_maps = kube.list_objects(CONFIG_MAP, namespace, CONFIGMAP_LABELS)
    if not config_maps:
        raise ContractError(
            f"Namespace {namespace} of {kube.server} has no contract. Check with helm list --all-namespaces where the "
            "chart is installed, and pass the release's namespace with --namespace."
        )
    if len(config_maps) > 1:
        names = ", ".join(sorted(body["metadata"]["name"] for body in config_maps))
        raise ContractError(
            f"Namespace {namespace} has several contracts ({names}). Install only one release in a namespace."
        )
    return str((config_maps[0].get("data") or {}).get(CONFIGMAP_KEY, ""))

"""The contract: the settings of the platform and its teams, as the chart publishes them.

The chart merges all defaults, resolves all names and writes the result into one ConfigMap. Python code reads names and
defaults from the contract only. Airflow's pods mount it as the file in ``KPO_PLATFORM_CONTRACT``; `platformctl` reads
it over the Kubernetes API.
"""

from __future__ import annotations

from kpo_platform.contract.isolation import Action, AllowedTrigger, Grant, Isolation, SharedNames, UnlistedAccess
from kpo_platform.contract.model import Airflow, Contract, Release, Service, ServiceAccountRef, XComSidecar
from kpo_platform.contract.reading import (
    FILE_VARIABLE,
    VERSION,
    find_contract_file,
    get_saved_contract_file,
    load,
    parse,
)
from kpo_platform.contract.team import (
    Cleanup,
    ConnectionRef,
    Dags,
    Images,
    Limits,
    Network,
    Owner,
    Policy,
    Pool,
    Registry,
    Rights,
    Scheduling,
    Size,
    Team,
    TeamServiceAccount,
    Volume,
)

CONFIGMAP_KEY = "contract.json"
"""The key of the ConfigMap that holds the contract."""

CONFIGMAP_LABELS = "app.kubernetes.io/part-of=kpo-platform,app.kubernetes.io/component=contract"
"""The label selector of the contract's ConfigMap."""

__all__ = [
    "CONFIGMAP_KEY",
    "CONFIGMAP_LABELS",
    "FILE_VARIABLE",
    "VERSION",
    "Action",
    "Airflow",
    "AllowedTrigger",
    "Cleanup",
    "ConnectionRef",
    "Contract",
    "Dags",
    "Grant",
    "Images",
    "Isolation",
    "Limits",
    "Network",
    "Owner",
    "Policy",
    "Pool",
    "Registry",
    "Release",
    "Rights",
    "Scheduling",
    "Service",
    "ServiceAccountRef",
    "SharedNames",
    "Size",
    "Team",
    "TeamServiceAccount",
    "UnlistedAccess",
    "Volume",
    "XComSidecar",
    "find_contract_file",
    "get_saved_contract_file",
    "load",
    "parse",
]

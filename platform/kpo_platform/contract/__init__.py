"""The contract: what the chart published about the platform and its teams.

The chart merges every default and spells out every name, once, into one ConfigMap. Everything in Python reads
names and defaults from here and derives none again. Mounted into Airflow's pods it is a file that
``KPO_PLATFORM_CONTRACT`` names; `platformctl` reads the same text over the API.
"""

from __future__ import annotations

from kpo_platform.contract.model import (
    Airflow,
    Contract,
    Release,
    Service,
    ServiceAccountRef,
    XComSidecar,
)
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
"""The label selector that finds the contract's ConfigMap in a namespace."""

__all__ = [
    "CONFIGMAP_KEY",
    "CONFIGMAP_LABELS",
    "FILE_VARIABLE",
    "VERSION",
    "Airflow",
    "Cleanup",
    "ConnectionRef",
    "Contract",
    "Dags",
    "Images",
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
    "Size",
    "Team",
    "TeamServiceAccount",
    "Volume",
    "XComSidecar",
    "find_contract_file",
    "get_saved_contract_file",
    "load",
    "parse",
]

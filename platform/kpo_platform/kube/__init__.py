"""The tools' only door to the Kubernetes API.

Objects go in and come out as plain mappings in the API's own spelling. Every call has a deadline, and every
failure becomes one of our errors, with a message that names the verb, the resource and the namespace.
"""

from kpo_platform.kube.child_processes import kill_processes
from kpo_platform.kube.client import FIELD_MANAGER, Kube
from kpo_platform.kube.config import find_kubeconfig
from kpo_platform.kube.contract import read_contract, read_contract_text
from kpo_platform.kube.deadline import Deadline, start_in_thread
from kpo_platform.kube.missing_rights import BOOTSTRAP_ROLES
from kpo_platform.kube.port_forward import Tunnel
from kpo_platform.kube.resource import (
    CONFIG_MAP,
    CRON_JOB,
    DEPLOYMENT,
    JOB,
    LEASE,
    NAMESPACE,
    POD,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    STORAGE_CLASS,
    VOLUME_CLAIM,
    Object,
    Resource,
)

__all__ = [
    "BOOTSTRAP_ROLES",
    "CONFIG_MAP",
    "CRON_JOB",
    "DEPLOYMENT",
    "FIELD_MANAGER",
    "JOB",
    "LEASE",
    "NAMESPACE",
    "POD",
    "SECRET",
    "SERVICE",
    "STATEFUL_SET",
    "STORAGE_CLASS",
    "VOLUME_CLAIM",
    "Deadline",
    "Kube",
    "Object",
    "Resource",
    "Tunnel",
    "find_kubeconfig",
    "kill_processes",
    "read_contract",
    "read_contract_text",
    "start_in_thread",
]

"""The Kubernetes API client of platformctl and bootstrap.

Objects are plain mappings with the API's field names. Every call has a timeout. Every failure is raised as an error of
kpo_platform.errors, and its message names verb, resource and namespace.
"""

from kpo_platform.kube.child_processes import kill_processes
from kpo_platform.kube.client import FIELD_MANAGER, Kube
from kpo_platform.kube.config import find_kubeconfig
from kpo_platform.kube.contract import read_contract, read_contract_text
from kpo_platform.kube.deadline import Deadline, start_in_thread
from kpo_platform.kube.missing_rights import BOOTSTRAP_ROLE_PREFIX, find_role_files
from kpo_platform.kube.port_forward import Tunnel
from kpo_platform.kube.resource import (
    CONFIG_MAP,
    CRON_JOB,
    DEPLOYMENT,
    EVENT,
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
    "BOOTSTRAP_ROLE_PREFIX",
    "CONFIG_MAP",
    "CRON_JOB",
    "DEPLOYMENT",
    "EVENT",
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
    "find_role_files",
    "kill_processes",
    "read_contract",
    "read_contract_text",
    "start_in_thread",
]

"""The exceptions of kpo-platform.

    PlatformError                         Base class of the package's errors
    ├── ContractError                     The contract is missing, unreadable or of another version
    ├── TeamError                         The contract does not have this team, size, template or sidecar
    ├── PodError                          The pod is refused
    │   ├── PodNameTaken                  Another pod has the name of the task's pod
    │   ├── FormerPodRemains              The former pod of a task may still run, so that no new one is created
    │   ├── RefusedPod                    A running task's pod is refused; Airflow does not retry the task
    │   └── RefusalError                  A pod or a task is refused; the message has one line for each refusal
    │       └── ArgumentRefusalError      A mapped task's arguments are refused when the running task is created
    ├── GuardError                        The guard cannot protect this Airflow
    ├── ForeignAssetError                 A task would emit an event of an asset that its team may not update
    ├── TriggerRefusedError               A trigger, or one of its arguments, is refused
    ├── NotPlainError                     A value is, or contains, an object of another class, or is not valid
    ├── BundleError                       A team's DAG bundle cannot be read; Airflow retries automatically
    ├── CommandFailed                     A command in a pod ended with another exit code than 0
    ├── DagError                          A DAG file cannot be read
    ├── TaskError                         The task does not exist, or a value that it needs is missing
    ├── QuotaTimeout                      The quota stayed exhausted until the deadline
    ├── ApiServerUnavailable              The API server did not answer until the deadline; the pod is left running
    │   ├── PodUnreadable                 The task is not allowed to read its pod, which is left running
    │   └── ResultUnreadable              The node did not give out the result in time; the pod is left running
    ├── ConnectionUnreadable              Airflow does not give out the connection to the cluster
    ├── StateUnreadable                   Airflow does not give out a stored value that the task needs to find its pod
    ├── ClusterError                      The Kubernetes API rejected or failed a request
    │   ├── Unreachable                   The API server does not answer
    │   ├── Forbidden                     The caller lacks a right; the message names verb, resource and namespace
    │   ├── NotFound                      The object does not exist
    │   └── Conflict                      The object exists already, has changed, or has another manager's fields
    ├── AirflowError                      Airflow's REST API rejected or failed a request
    └── BootstrapError                    Bootstrap cannot complete; the next run continues after the last write

RefusalError is in `kpo_platform.finding`. RefusedPod and ArgumentRefusalError (`kpo_platform.airflow.exceptions`),
ConnectionUnreadable and StateUnreadable (`kpo_platform.airflow.api_errors`) and, in
`kpo_platform.airflow.operators.lifecycle`, QuotaTimeout (`quota_wait`), ApiServerUnavailable (`patience`),
PodUnreadable (`observed_pod`), ResultUnreadable (`task_result`), PodNameTaken (`pod_api`) and FormerPodRemains
(`former_pod`) derive from Airflow's exceptions too.
BundleError (`kpo_platform.airflow.bundles.git`) is also a RuntimeError, and NotPlainError a ValueError. The guards'
errors are in `kpo_platform.airflow.guards`.

Every message tells a user the problem, its cause and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AirflowError",
    "BootstrapError",
    "ClusterError",
    "Conflict",
    "ContractError",
    "DagError",
    "Forbidden",
    "NotFound",
    "PlatformError",
    "PodError",
    "TaskError",
    "TeamError",
    "Unreachable",
]


class PlatformError(Exception):
    """Base class of the package's errors.

    Args:
        evidence: the observed problem and the expected state; or the whole message.
        fix: what to do next; empty if the evidence says it.
    """

    def __init__(self, evidence: str = "", fix: str = "") -> None:
        super().__init__(f"{evidence}. {fix}" if fix else evidence)
        self.evidence = evidence
        self.fix = fix


class ContractError(PlatformError):
    """The contract is missing, unreadable or of another version."""


class TeamError(PlatformError):
    """The contract does not have this team, size, template or sidecar."""


class PodError(PlatformError):
    """The pod is refused."""


class DagError(PlatformError):
    """A DAG file cannot be read."""


class TaskError(PlatformError):
    """The task does not exist, or a value that it needs is missing."""


class ClusterError(PlatformError):
    """The Kubernetes API rejected or failed a request."""


class Unreachable(ClusterError):  # noqa: N818
    """The API server does not answer."""


class Forbidden(ClusterError):  # noqa: N818
    """The caller lacks a right; the message names verb, resource and namespace."""


class NotFound(ClusterError):  # noqa: N818
    """The object does not exist."""


class Conflict(ClusterError):  # noqa: N818
    """The object exists already, has changed, or has another manager's fields."""


class AirflowError(PlatformError):
    """Airflow's REST API rejected or failed a request."""


class BootstrapError(PlatformError):
    """Bootstrap cannot complete; the next run continues after the last write."""


def describe_unknown_name(kind: str, name: str, known: Iterable[str]) -> tuple[str, str]:
    """Describe a name that the contract does not have.

    Args:
        kind: the kind of object, such as ``team``.
        name: the unknown name.
        known: the existing names.

    Returns:
        The evidence, and a fix with the most similar name, or with all names if none is similar.
    """
    names = list(known)
    fix = suggest_name(name, names) if names else f"The contract has no {kind}; ask the platform team for one."
    return f"{kind} {name!r} is not in the contract", fix


def suggest_name(name: str, known: Iterable[str]) -> str:
    """Suggest the known name that is most similar to a wrong one, or all known names if none is similar."""
    names = sorted(known)
    similar = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {similar[0]!r}?" if similar else f"Use one of: {', '.join(names) or '(none)'}."

"""Find the connection variables in the environment of Airflow's pods."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from kpo_platform.bootstrap.model import ContainerVariable
from kpo_platform.contract import Contract
from kpo_platform.kube import Object

VARIABLE_PREFIX = "AIRFLOW_CONN_"
"""The prefix of the environment variables from which Airflow reads connections."""

_FINISHED_PHASES = ("Succeeded", "Failed")


def select_airflow_pods(pods: Iterable[Object], contract: Contract) -> list[Object]:
    """Select Airflow's pods from the pods of the release's namespace.

    These are the release's own pods and all pods with a service account that may start teams' pods. The pods of an
    Airflow that the chart did not install are recognized only by these accounts. Not selected are finished and
    terminating pods, and the KubernetesExecutor's pods for one task: the next task gets a new pod, which reads the
    current values.
    """
    return [pod for pod in pods if _is_long_running(pod) and _is_airflow_pod(pod, contract)]


def imports_secret(pods: Iterable[Object], secret: str) -> bool:
    """Whether a container imports all keys of a Secret as variables (``envFrom``)."""
    containers = [container for pod in pods for container in pod["spec"]["containers"]]
    sources = [source for container in containers for source in container.get("envFrom") or []]
    return any(_get_secret_name(source) == secret for source in sources)


def find_connection_variables(
    pods: Iterable[Object], secret: str, keys: Iterable[str]
) -> dict[str, tuple[ContainerVariable, ...]]:
    """Find the connection variables in the environment of some pods, by variable name.

    Variables that a pod imports from other Secrets and from ConfigMaps (``envFrom``) are not found.

    Args:
        pods: the pods.
        secret: the name of the Secret that bootstrap writes.
        keys: the keys of that Secret.
    """
    variables: dict[str, tuple[ContainerVariable, ...]] = {}
    secret_keys = tuple(keys)
    for pod in pods:
        start_times = _read_start_times(pod)
        for container in pod["spec"]["containers"]:
            for name, is_managed in _read_variables(container, secret, secret_keys).items():
                started_at = start_times.get(container["name"])
                variable = ContainerVariable(pod["metadata"]["name"], is_managed, started_at)
                variables[name] = (*variables.get(name, ()), variable)
    return variables


def read_write_times(secret: Object) -> dict[str, datetime]:
    """Read when each key of a Secret was last written, from its managed fields.

    A field manager has one time for all keys that it wrote. So a key may be older than its time, and is never newer.
    """
    meta = secret["metadata"]
    times: dict[str, datetime] = {}
    for entry in meta.get("managedFields") or []:
        time = _parse_time(entry.get("time") or meta["creationTimestamp"])
        for field in (entry.get("fieldsV1") or {}).get("f:data") or {}:
            key = field.removeprefix("f:")
            times[key] = max(time, times.get(key, time))
    return {key: times.get(key) or _parse_time(meta["creationTimestamp"]) for key in secret.get("data") or {}}


def _is_long_running(pod: Object) -> bool:
    meta, phase = pod["metadata"], (pod.get("status") or {}).get("phase")
    is_for_one_task = "kubernetes_executor" in (meta.get("labels") or {})
    return phase not in _FINISHED_PHASES and "deletionTimestamp" not in meta and not is_for_one_task


def _is_airflow_pod(pod: Object, contract: Contract) -> bool:
    release = contract.release
    accounts = {account.name for account in contract.airflow.service_accounts if account.namespace == release.namespace}
    labels = pod["metadata"].get("labels") or {}
    return labels.get("app.kubernetes.io/instance") == release.name or _get_account(pod) in accounts


def _get_account(pod: Object) -> str:
    return str(pod["spec"].get("serviceAccountName") or "default")


def _read_variables(container: Object, secret: str, keys: tuple[str, ...]) -> dict[str, bool]:
    """Read a container's connection variables and whether each comes from the Secret.

    ``env`` overrides ``envFrom``.
    """
    sources = [source for source in container.get("envFrom") or [] if _get_secret_name(source) == secret]
    prefixes = [str(source.get("prefix") or "") for source in sources]
    variables = {f"{prefix}{key}": not prefix for prefix in prefixes for key in keys}
    for entry in container.get("env") or []:
        source = (entry.get("valueFrom") or {}).get("secretKeyRef") or {}
        variables[entry["name"]] = (source.get("name"), source.get("key")) == (secret, entry["name"])
    return {name: is_managed for name, is_managed in variables.items() if name.startswith(VARIABLE_PREFIX)}


def _get_secret_name(source: Object) -> str:
    return str((source.get("secretRef") or {}).get("name", ""))


def _read_start_times(pod: Object) -> dict[str, datetime]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    running = {status["name"]: (status.get("state") or {}).get("running") for status in statuses}
    return {name: _parse_time(state["startedAt"]) for name, state in running.items() if state}


def _parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text)

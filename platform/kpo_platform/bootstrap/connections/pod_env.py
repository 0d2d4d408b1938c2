"""Who of Airflow's pods has which connection in its environment, out of what, and since when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from kpo_platform.bootstrap.model import ContainerVariable
from kpo_platform.contract import Contract
from kpo_platform.kube import Object

VARIABLE_PREFIX = "AIRFLOW_CONN_"
"""How the variables begin in which Airflow looks for connections."""

_FINISHED_PHASES = ("Succeeded", "Failed")


def select_airflow_pods(pods: Iterable[Object], contract: Contract) -> list[Object]:
    """Airflow's pods, out of those in the release's namespace: the release's own, and those that start teams' pods.

    Of an Airflow that the chart did not install only the service accounts are known. What is over or ends is left out,
    and so is a KubernetesExecutor's pod for one task: the next task's reads everything anew.
    """
    return [each for each in pods if _is_long_running(each) and _is_airflow_pod(each, contract)]


def imports_secret(pods: Iterable[Object], secret: str) -> bool:
    """Whether a container takes every key of a Secret into its environment, so that its keys tell what it has."""
    containers = [each for pod in pods for each in pod["spec"]["containers"]]
    return any(_get_secret_name(source) == secret for each in containers for source in each.get("envFrom") or [])


def find_connection_variables(
    pods: Iterable[Object], secret: str, keys: Iterable[str]
) -> dict[str, tuple[ContainerVariable, ...]]:
    """The connections' variables in the environment of some pods, by name.

    Args:
        pods: the pods.
        secret: the name of the Secret that bootstrap writes.
        keys: its keys. What is in other Secrets and in ConfigMaps that are taken as a whole is not known.
    """
    found: dict[str, tuple[ContainerVariable, ...]] = {}
    known = tuple(keys)
    for pod in pods:
        started = _read_start_times(pod)
        for container in pod["spec"]["containers"]:
            for name, ours in _read_variables(container, secret, known).items():
                holder = ContainerVariable(pod["metadata"]["name"], ours, started.get(container["name"]))
                found[name] = (*found.get(name, ()), holder)
    return found


def read_write_times(secret: Object) -> dict[str, datetime]:
    """When each key of a Secret was last written, by the API server's own notes.

    They have one time for all that one hand wrote, so a key may be older than it seems, and is never newer.
    """
    meta = secret["metadata"]
    noted: dict[str, datetime] = {}
    for entry in meta.get("managedFields") or []:
        time = _parse_time(entry.get("time") or meta["creationTimestamp"])
        for field in (entry.get("fieldsV1") or {}).get("f:data") or {}:
            key = field.removeprefix("f:")
            noted[key] = max(time, noted.get(key, time))
    return {key: noted.get(key) or _parse_time(meta["creationTimestamp"]) for key in secret.get("data") or {}}


def _is_long_running(pod: Object) -> bool:
    meta, phase = pod["metadata"], (pod.get("status") or {}).get("phase")
    one_task = "kubernetes_executor" in (meta.get("labels") or {})
    return phase not in _FINISHED_PHASES and "deletionTimestamp" not in meta and not one_task


def _is_airflow_pod(pod: Object, contract: Contract) -> bool:
    release = contract.release
    accounts = {each.name for each in contract.airflow.service_accounts if each.namespace == release.namespace}
    labels = pod["metadata"].get("labels") or {}
    return labels.get("app.kubernetes.io/instance") == release.name or _get_account(pod) in accounts


def _get_account(pod: Object) -> str:
    return str(pod["spec"].get("serviceAccountName") or "default")


def _read_variables(container: Object, secret: str, keys: tuple[str, ...]) -> dict[str, bool]:
    """The connections' variables of a container, and whether each is that of the Secret; a single one goes before."""
    whole = [
        str(each.get("prefix") or "") for each in container.get("envFrom") or [] if _get_secret_name(each) == secret
    ]
    found = {f"{prefix}{key}": not prefix for prefix in whole for key in keys}
    for entry in container.get("env") or []:
        source = (entry.get("valueFrom") or {}).get("secretKeyRef") or {}
        found[entry["name"]] = (source.get("name"), source.get("key")) == (secret, entry["name"])
    return {name: ours for name, ours in found.items() if name.startswith(VARIABLE_PREFIX)}


def _get_secret_name(source: Object) -> str:
    return str((source.get("secretRef") or {}).get("name", ""))


def _read_start_times(pod: Object) -> dict[str, datetime]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    running = {each["name"]: (each.get("state") or {}).get("running") for each in statuses}
    return {name: _parse_time(state["startedAt"]) for name, state in running.items() if state}


def _parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text)

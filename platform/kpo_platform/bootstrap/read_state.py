"""What is there now: the live state that a plan is compared with."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from kpo_platform.bootstrap.connections import pod_env
from kpo_platform.bootstrap.model import (
    LiveClaim,
    LiveConnection,
    LiveConnectionsSecret,
    LiveSecret,
    LiveState,
    NamespacedName,
    StorageClass,
)
from kpo_platform.bootstrap.registry import docker_config
from kpo_platform.contract import Contract, Team
from kpo_platform.errors import NotFound
from kpo_platform.kube import NAMESPACE, POD, SECRET, STORAGE_CLASS, VOLUME_CLAIM, Object, Resource

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"


class ClusterReader(Protocol):
    """How the cluster is read; `Kube` is one."""

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """One object."""

    def list_objects(self, resource: Resource, namespace: str = "", labels: str = "") -> list[Object]:
        """All objects of a kind."""


class ConnectionReader(Protocol):
    """How Airflow's connections are read; `AirflowApi` is one."""

    def get_connection(self, name: str) -> Mapping[str, Any] | None:
        """One connection as Airflow's REST API gives it, or nothing."""


def read_live_state(
    kube: ClusterReader, airflow: ConnectionReader, contract: Contract, teams: Mapping[str, Team]
) -> LiveState:
    """Read what is there for some teams.

    Raises:
        ClusterError: the cluster could not be read.
        AirflowError: the connections could not be read.
    """
    housed = [team for team in teams.values() if _namespace_exists(kube, team.namespace)]
    ids = sorted({team.connection.id for team in teams.values()})
    pods = pod_env.select_airflow_pods(kube.list_objects(POD, contract.release.namespace), contract)
    connections_secret = _read_connections_secret(kube, contract, teams, pods)
    return LiveState(
        namespaces=frozenset(team.namespace for team in housed),
        secrets=dict(_read_secrets(kube, housed)),
        claims={key: claim for team in housed for key, claim in _read_claims(kube, team.namespace)},
        storage_classes=tuple(
            _parse_storage_class(found) for found in _sort_newest_first(kube.list_objects(STORAGE_CLASS))
        ),
        connections={name: _parse_connection(found) for name in ids if (found := airflow.get_connection(name))},
        connections_secret=connections_secret,
        connection_variables=pod_env.find_connection_variables(
            pods, contract.airflow.connections_secret, connections_secret.values if connections_secret else ()
        ),
        read_at=datetime.now(UTC),
    )


def select_teams(contract: Contract, names: tuple[str, ...]) -> dict[str, Team]:
    """The teams of these names, or all of them where no name is given.

    Raises:
        TeamError: the contract has no such team.
    """
    return {name: contract.team(name) for name in names or tuple(sorted(contract.teams))}


def _namespace_exists(kube: ClusterReader, namespace: str) -> bool:
    try:
        kube.get(NAMESPACE, namespace)
    except NotFound:
        return False
    return True


def _read_secrets(kube: ClusterReader, teams: list[Team]) -> list[tuple[NamespacedName, LiveSecret]]:
    found = []
    for team in teams:
        if not team.registry.host:
            continue
        try:
            secret = kube.get(SECRET, team.registry.pull_secret, team.namespace)
        except NotFound:
            continue
        found.append(((team.namespace, team.registry.pull_secret), _parse_secret(secret)))
    return found


def _parse_secret(found: Object) -> LiveSecret:
    meta = found["metadata"]
    logins = docker_config.read_secret_logins(f"{meta.get('namespace', '')}/{meta['name']}", found)
    return LiveSecret(found.get("type", ""), meta.get("labels") or {}, logins, meta["resourceVersion"])


def _read_connections_secret(
    kube: ClusterReader, contract: Contract, teams: Mapping[str, Team], pods: list[Object]
) -> LiveConnectionsSecret | None:
    name = contract.airflow.connections_secret
    is_needed = any(team.connection.via == "env" for team in teams.values())
    if not is_needed and not pod_env.imports_secret(pods, name):
        return None
    try:
        found = kube.get(SECRET, name, contract.release.namespace)
    except NotFound:
        return None
    values = {key: base64.b64decode(text).decode() for key, text in (found.get("data") or {}).items()}
    meta = found["metadata"]
    return LiveConnectionsSecret(
        values, meta.get("labels") or {}, meta["resourceVersion"], pod_env.read_write_times(found)
    )


def _read_claims(kube: ClusterReader, namespace: str) -> list[tuple[NamespacedName, LiveClaim]]:
    found = kube.list_objects(VOLUME_CLAIM, namespace)
    return [((namespace, each["metadata"]["name"]), _parse_claim(each)) for each in found]


def _parse_claim(found: Object) -> LiveClaim:
    meta, spec = found["metadata"], found["spec"]
    return LiveClaim(
        size=spec["resources"]["requests"]["storage"],
        access_modes=tuple(spec.get("accessModes") or ()),
        storage_class=spec.get("storageClassName") or "",
        phase=(found.get("status") or {}).get("phase", ""),
        labels=meta.get("labels") or {},
        resource_version=meta["resourceVersion"],
        node=(meta.get("annotations") or {}).get(_SELECTED_NODE, ""),
    )


def _sort_newest_first(found: list[Object]) -> list[Object]:
    return sorted(found, key=lambda each: str(each["metadata"].get("creationTimestamp", "")), reverse=True)


def _parse_storage_class(found: Object) -> StorageClass:
    annotations = found["metadata"].get("annotations") or {}
    return StorageClass(
        name=found["metadata"]["name"],
        is_default=annotations.get(_DEFAULT_CLASS) == "true",
        is_expandable=bool(found.get("allowVolumeExpansion")),
        waits_for_pod=found.get("volumeBindingMode") == "WaitForFirstConsumer",
        provisioner=found.get("provisioner", ""),
    )


def _parse_connection(found: Mapping[str, Any]) -> LiveConnection:
    try:
        extra = json.loads(found.get("extra") or "{}")
    except ValueError:
        extra = {}
    return LiveConnection(str(found.get("conn_type")), extra if isinstance(extra, dict) else {})

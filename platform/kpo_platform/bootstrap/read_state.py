"""Read the live state from the cluster and from Airflow."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from kpo_platform.bootstrap.connections import pod_env
from kpo_platform.bootstrap.connections.airflow_api import AirflowApi
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
from kpo_platform.kube import NAMESPACE, POD, SECRET, STORAGE_CLASS, VOLUME_CLAIM, Kube, Object

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"


def read_live_state(kube: Kube, airflow: AirflowApi, contract: Contract, teams: Mapping[str, Team]) -> LiveState:
    """Read the live state of some teams.

    Raises:
        ClusterError: the cluster cannot be read.
        AirflowError: the connections cannot be read.
    """
    teams_with_namespace = [team for team in teams.values() if _namespace_exists(kube, team.namespace)]
    connection_ids = sorted({team.connection.id for team in teams.values()})
    pods = pod_env.select_airflow_pods(kube.list_objects(POD, contract.release.namespace), contract)
    secret = _read_connections_secret(kube, contract, teams, pods)
    return LiveState(
        namespaces=frozenset(team.namespace for team in teams_with_namespace),
        secrets=dict(_read_secrets(kube, teams_with_namespace)),
        claims={key: claim for team in teams_with_namespace for key, claim in _read_claims(kube, team.namespace)},
        storage_classes=_read_storage_classes(kube),
        connections=_read_connections(airflow, connection_ids),
        connections_secret=secret,
        connection_variables=pod_env.find_connection_variables(
            pods, contract.airflow.connections_secret, secret.values if secret else ()
        ),
        read_at=datetime.now(UTC),
    )


def _namespace_exists(kube: Kube, namespace: str) -> bool:
    try:
        kube.get(NAMESPACE, namespace)
    except NotFound:
        return False
    return True


def _read_secrets(kube: Kube, teams: list[Team]) -> list[tuple[NamespacedName, LiveSecret]]:
    secrets = []
    for team in teams:
        if not team.registry.host:
            continue
        try:
            secret = kube.get(SECRET, team.registry.pull_secret, team.namespace)
        except NotFound:
            continue
        secrets.append(((team.namespace, team.registry.pull_secret), _parse_secret(secret)))
    return secrets


def _parse_secret(secret: Object) -> LiveSecret:
    meta = secret["metadata"]
    logins = docker_config.read_secret_logins(f"{meta.get('namespace', '')}/{meta['name']}", secret)
    return LiveSecret(secret.get("type", ""), meta.get("labels") or {}, logins, meta["resourceVersion"])


def _read_connections_secret(
    kube: Kube, contract: Contract, teams: Mapping[str, Team], pods: list[Object]
) -> LiveConnectionsSecret | None:
    name = contract.airflow.connections_secret
    is_needed = any(team.connection.via == "env" for team in teams.values())
    if not is_needed and not pod_env.imports_secret(pods, name):
        return None
    try:
        secret = kube.get(SECRET, name, contract.release.namespace)
    except NotFound:
        return None
    values = {key: base64.b64decode(text).decode() for key, text in (secret.get("data") or {}).items()}
    meta = secret["metadata"]
    return LiveConnectionsSecret(
        values, meta.get("labels") or {}, meta["resourceVersion"], pod_env.read_write_times(secret)
    )


def _read_claims(kube: Kube, namespace: str) -> list[tuple[NamespacedName, LiveClaim]]:
    claims = kube.list_objects(VOLUME_CLAIM, namespace)
    return [((namespace, claim["metadata"]["name"]), _parse_claim(claim)) for claim in claims]


def _parse_claim(claim: Object) -> LiveClaim:
    meta, spec = claim["metadata"], claim["spec"]
    return LiveClaim(
        size=spec["resources"]["requests"]["storage"],
        access_modes=tuple(spec.get("accessModes") or ()),
        storage_class=spec.get("storageClassName") or "",
        phase=(claim.get("status") or {}).get("phase", ""),
        labels=meta.get("labels") or {},
        resource_version=meta["resourceVersion"],
        node=(meta.get("annotations") or {}).get(_SELECTED_NODE, ""),
    )


def _read_storage_classes(kube: Kube) -> tuple[StorageClass, ...]:
    """Read the storage classes, newest first."""
    classes = sorted(kube.list_objects(STORAGE_CLASS), key=_get_creation_time, reverse=True)
    return tuple(_parse_storage_class(storage_class) for storage_class in classes)


def _get_creation_time(storage_class: Object) -> str:
    return str(storage_class["metadata"].get("creationTimestamp", ""))


def _parse_storage_class(storage_class: Object) -> StorageClass:
    annotations = storage_class["metadata"].get("annotations") or {}
    return StorageClass(
        name=storage_class["metadata"]["name"],
        is_default=annotations.get(_DEFAULT_CLASS) == "true",
        is_expandable=bool(storage_class.get("allowVolumeExpansion")),
        waits_for_pod=storage_class.get("volumeBindingMode") == "WaitForFirstConsumer",
        provisioner=storage_class.get("provisioner", ""),
    )


def _read_connections(airflow: AirflowApi, connection_ids: list[str]) -> dict[str, LiveConnection]:
    contents = {connection_id: airflow.get_connection(connection_id) for connection_id in connection_ids}
    return {connection_id: _parse_connection(content) for connection_id, content in contents.items() if content}


def _parse_connection(content: Mapping[str, Any]) -> LiveConnection:
    try:
        extra = json.loads(content.get("extra") or "{}")
    except ValueError:
        extra = {}
    return LiveConnection(str(content.get("conn_type")), extra if isinstance(extra, dict) else {})

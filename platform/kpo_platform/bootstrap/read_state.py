"""What is there now: the live state that a plan is compared with."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from kpo_platform.bootstrap.connections import pod_env
from kpo_platform.bootstrap.model import Key, Live, LiveClaim, LiveConnection, LiveEnvironment, LiveSecret, StorageClass
from kpo_platform.bootstrap.registry import docker_config
from kpo_platform.contract import Contract, Team
from kpo_platform.errors import NotFound
from kpo_platform.kube import NAMESPACE, POD, SECRET, STORAGE_CLASS, VOLUME_CLAIM, Object, Resource

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_NODE = "volume.kubernetes.io/selected-node"


class Reader(Protocol):
    """How the cluster is read; `Kube` is one."""

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """One object."""

    def list_objects(self, resource: Resource, namespace: str = "", labels: str = "") -> list[Object]:
        """All objects of a kind."""


class Connections(Protocol):
    """How Airflow's connections are read; `AirflowApi` is one."""

    def connection(self, name: str) -> Mapping[str, Any] | None:
        """One connection as Airflow's REST API gives it, or nothing."""


def read(kube: Reader, airflow: Connections, contract: Contract, teams: Mapping[str, Team]) -> Live:
    """Read what is there for some teams.

    Raises:
        ClusterError: the cluster could not be read.
        AirflowError: the connections could not be read.
    """
    housed = [team for team in teams.values() if _exists(kube, team.namespace)]
    ids = sorted({team.connection.id for team in teams.values()})
    pods = pod_env.of_airflow(kube.list_objects(POD, contract.release.namespace), contract)
    environment = _environment(kube, contract, teams, pods)
    return Live(
        namespaces=frozenset(team.namespace for team in housed),
        secrets=dict(_secrets(kube, housed)),
        claims={key: claim for team in housed for key, claim in _claims(kube, team.namespace)},
        classes=tuple(_storage_class(found) for found in _newest_first(kube.list_objects(STORAGE_CLASS))),
        connections={name: _connection(found) for name in ids if (found := airflow.connection(name))},
        environment=environment,
        variables=pod_env.held(pods, contract.airflow.connections_secret, environment.values if environment else ()),
        at=datetime.now(UTC),
    )


def contract_teams(contract: Contract, names: tuple[str, ...]) -> dict[str, Team]:
    """The teams of these names, or all of them where no name is given.

    Raises:
        TeamError: the contract has no such team.
    """
    return {name: contract.team(name) for name in names or tuple(sorted(contract.teams))}


def _exists(kube: Reader, namespace: str) -> bool:
    try:
        kube.get(NAMESPACE, namespace)
    except NotFound:
        return False
    return True


def _secrets(kube: Reader, teams: list[Team]) -> list[tuple[Key, LiveSecret]]:
    found = []
    for team in teams:
        if not team.registry.host:
            continue
        try:
            secret = kube.get(SECRET, team.registry.pull_secret, team.namespace)
        except NotFound:
            continue
        found.append(((team.namespace, team.registry.pull_secret), _secret(secret)))
    return found


def _secret(found: Object) -> LiveSecret:
    meta = found["metadata"]
    logins = docker_config.entries(f"{meta.get('namespace', '')}/{meta['name']}", found)
    return LiveSecret(found.get("type", ""), meta.get("labels") or {}, logins, meta["resourceVersion"])


def _environment(
    kube: Reader, contract: Contract, teams: Mapping[str, Team], pods: list[Object]
) -> LiveEnvironment | None:
    name = contract.airflow.connections_secret
    wanted = any(team.connection.via == "env" for team in teams.values())
    if not wanted and not pod_env.takes_whole(pods, name):
        return None
    try:
        found = kube.get(SECRET, name, contract.release.namespace)
    except NotFound:
        return None
    values = {key: base64.b64decode(text).decode() for key, text in (found.get("data") or {}).items()}
    meta = found["metadata"]
    return LiveEnvironment(values, meta.get("labels") or {}, meta["resourceVersion"], pod_env.written(found))


def _claims(kube: Reader, namespace: str) -> list[tuple[Key, LiveClaim]]:
    found = kube.list_objects(VOLUME_CLAIM, namespace)
    return [((namespace, each["metadata"]["name"]), _claim(each)) for each in found]


def _claim(found: Object) -> LiveClaim:
    meta, spec = found["metadata"], found["spec"]
    return LiveClaim(
        size=spec["resources"]["requests"]["storage"],
        access_modes=tuple(spec.get("accessModes") or ()),
        storage_class=spec.get("storageClassName") or "",
        phase=(found.get("status") or {}).get("phase", ""),
        labels=meta.get("labels") or {},
        version=meta["resourceVersion"],
        node=(meta.get("annotations") or {}).get(_NODE, ""),
    )


def _newest_first(found: list[Object]) -> list[Object]:
    return sorted(found, key=lambda each: str(each["metadata"].get("creationTimestamp", "")), reverse=True)


def _storage_class(found: Object) -> StorageClass:
    annotations = found["metadata"].get("annotations") or {}
    return StorageClass(
        name=found["metadata"]["name"],
        default=annotations.get(_DEFAULT_CLASS) == "true",
        expandable=bool(found.get("allowVolumeExpansion")),
        waits_for_pod=found.get("volumeBindingMode") == "WaitForFirstConsumer",
        provisioner=found.get("provisioner", ""),
    )


def _connection(found: Mapping[str, Any]) -> LiveConnection:
    try:
        extra = json.loads(found.get("extra") or "{}")
    except ValueError:
        extra = {}
    return LiveConnection(str(found.get("conn_type")), extra if isinstance(extra, dict) else {})

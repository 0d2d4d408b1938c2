"""What is there now: the live state that a plan is compared with."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from kpo_platform.bootstrap import credentials, variables
from kpo_platform.bootstrap.credentials import Login
from kpo_platform.bootstrap.variables import Holder
from kpo_platform.contract import Contract, Team
from kpo_platform.errors import NotFound
from kpo_platform.kube import NAMESPACE, POD, SECRET, STORAGE_CLASS, VOLUME_CLAIM, Object, Resource

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_NODE = "volume.kubernetes.io/selected-node"

_NEVER = datetime.min.replace(tzinfo=UTC)

Key = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True)
class LiveSecret:
    """A Secret, read as a registry secret.

    Attributes:
        type: its type, which can never change.
        labels: its labels.
        logins: what it has for each registry, by its bare host: a sign-in, or why there is none.
        version: its resource version.
    """

    type: str
    labels: Mapping[str, str]
    logins: Mapping[str, Login | str]
    version: str


@dataclass(frozen=True)
class LiveClaim:
    """A PersistentVolumeClaim.

    Attributes:
        size: what it asks for.
        access_modes: its access modes.
        storage_class: its class, empty for none.
        phase: such as ``Pending``.
        labels: its labels.
        version: its resource version.
        node: the node that was chosen for the first pod that uses it; empty as long as its class waits for one.
    """

    size: str
    access_modes: tuple[str, ...]
    storage_class: str
    phase: str
    labels: Mapping[str, str]
    version: str
    node: str = ""


@dataclass(frozen=True)
class StorageClass:
    """A StorageClass."""

    name: str
    default: bool
    expandable: bool
    waits_for_pod: bool
    provisioner: str = ""


@dataclass(frozen=True)
class LiveConnection:
    """An Airflow connection; its extra may hold secrets, which Airflow's API masks."""

    type: str
    extra: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class LiveEnvironment:
    """The Secret with the connections in the environment of Airflow's pods.

    Attributes:
        values: its content, which is secret, by key.
        labels: its labels.
        version: its resource version.
        written: when each key was last written.
    """

    values: Mapping[str, str] = field(repr=False)
    labels: Mapping[str, str]
    version: str
    written: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class Live:
    """The live state as far as a plan for some teams needs it.

    Attributes:
        namespaces: the teams' namespaces that are there.
        secrets: the registry secrets.
        claims: the volume claims.
        classes: the storage classes, newest first.
        connections: what Airflow's database has, by connection id.
        environment: the Secret with the connections that go by the environment.
        variables: who of Airflow's pods has which connection's variable in its environment, by its name.
        at: when it was read.
    """

    namespaces: frozenset[str] = frozenset()
    secrets: Mapping[Key, LiveSecret] = field(default_factory=dict)
    claims: Mapping[Key, LiveClaim] = field(default_factory=dict)
    classes: tuple[StorageClass, ...] = ()
    connections: Mapping[str, LiveConnection] = field(default_factory=dict)
    environment: LiveEnvironment | None = None
    variables: Mapping[str, tuple[Holder, ...]] = field(default_factory=dict)
    at: datetime = _NEVER

    @property
    def default_class(self) -> StorageClass | None:
        """The class that a claim without one gets: of several the newest, as the API server chooses."""
        return next((each for each in self.classes if each.default), None)


class Reader(Protocol):
    """How the cluster is read; `Kube` is one."""

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """One object."""

    def find(self, resource: Resource, namespace: str = "", labels: str = "") -> list[Object]:
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
    pods = variables.of_airflow(kube.find(POD, contract.release.namespace), contract)
    environment = _environment(kube, contract, teams, pods)
    return Live(
        namespaces=frozenset(team.namespace for team in housed),
        secrets=dict(_secrets(kube, housed)),
        claims={key: claim for team in housed for key, claim in _claims(kube, team.namespace)},
        classes=tuple(_storage_class(found) for found in _newest_first(kube.find(STORAGE_CLASS))),
        connections={name: _connection(found) for name in ids if (found := airflow.connection(name))},
        environment=environment,
        variables=variables.held(pods, contract.airflow.connections_secret, environment.values if environment else ()),
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
    logins = credentials.entries(f"{meta.get('namespace', '')}/{meta['name']}", found)
    return LiveSecret(found.get("type", ""), meta.get("labels") or {}, logins, meta["resourceVersion"])


def _environment(
    kube: Reader, contract: Contract, teams: Mapping[str, Team], pods: list[Object]
) -> LiveEnvironment | None:
    name = contract.airflow.connections_secret
    wanted = any(team.connection.via == "env" for team in teams.values())
    if not wanted and not variables.takes_whole(pods, name):
        return None
    try:
        found = kube.get(SECRET, name, contract.release.namespace)
    except NotFound:
        return None
    values = {key: base64.b64decode(text).decode() for key, text in (found.get("data") or {}).items()}
    meta = found["metadata"]
    return LiveEnvironment(values, meta.get("labels") or {}, meta["resourceVersion"], variables.written(found))


def _claims(kube: Reader, namespace: str) -> list[tuple[Key, LiveClaim]]:
    found = kube.find(VOLUME_CLAIM, namespace)
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

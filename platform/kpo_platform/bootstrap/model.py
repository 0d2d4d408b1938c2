"""Data types of a bootstrap run: the plan, its actions and the live state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

CONNECTION_KIND = "Connection"
"""The kind of an Airflow connection, used next to the kinds of Kubernetes."""


class Verb(StrEnum):
    """What a plan does with an object."""

    CREATE = "create"
    CHANGE = "change"
    UNCHANGED = "unchanged"
    BLOCKED = "blocked"


@dataclass(frozen=True, order=True)
class ObjectRef:
    """Reference to a Kubernetes object or an Airflow connection, which has no namespace."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {f'{self.namespace}/' if self.namespace else ''}{self.name}"


@dataclass(frozen=True)
class FieldChange:
    """Old and new value of one field, both safe to print."""

    field: str
    old: str
    new: str


@dataclass(frozen=True)
class Action:
    """What a plan does with one object, and why.

    Attributes:
        verb: what happens.
        target: the object.
        changes: the fields that change, for ``CHANGE``.
        note: details for the user; for ``BLOCKED`` the reason and the fix.
        body: the object to write, for ``CREATE`` and ``CHANGE``. It may hold secret values and is never printed.
        resource_version: the resource version that the plan is based on; empty for an object that does not exist.
    """

    verb: Verb
    target: ObjectRef
    changes: tuple[FieldChange, ...] = ()
    note: str = ""
    body: dict[str, Any] = field(default_factory=dict, repr=False)
    resource_version: str = ""

    @property
    def is_pending(self) -> bool:
        """Whether the action writes something."""
        return self.verb in (Verb.CREATE, Verb.CHANGE)


@dataclass(frozen=True)
class Plan:
    """All actions of one run, in order."""

    actions: tuple[Action, ...]

    @property
    def object_writes(self) -> tuple[Action, ...]:
        """The pending writes to Kubernetes."""
        return tuple(action for action in self.actions if action.is_pending and action.target.kind != CONNECTION_KIND)

    @property
    def connection_writes(self) -> tuple[Action, ...]:
        """The pending writes to Airflow."""
        return tuple(action for action in self.actions if action.is_pending and action.target.kind == CONNECTION_KIND)

    @property
    def has_pending(self) -> bool:
        """Whether the plan writes anything."""
        return bool(self.object_writes or self.connection_writes)

    @property
    def has_blocked(self) -> bool:
        """Whether an object cannot be changed to match the contract."""
        return any(action.verb is Verb.BLOCKED for action in self.actions)

    def count(self, verb: Verb) -> int:
        """Count the actions with a verb."""
        return sum(action.verb is verb for action in self.actions)


def find_changes(fields: Iterable[tuple[str, str, str]]) -> tuple[FieldChange, ...]:
    """Keep the fields that change.

    Args:
        fields: name, old value and new value of each field.
    """
    return tuple(FieldChange(name, old, new) for name, old, new in fields if old != new)


_MIN_TIME = datetime.min.replace(tzinfo=UTC)

NamespacedName = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True)
class RegistryLogin:
    """User name and password for one registry."""

    username: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True)
class LiveSecret:
    """A Secret that has the name of a team's registry secret.

    Attributes:
        type: the Secret's type, which is immutable.
        labels: the labels.
        logins: by normalized registry host, the login, or the reason why the entry has none.
        resource_version: the resource version.
    """

    type: str
    labels: Mapping[str, str]
    logins: Mapping[str, RegistryLogin | str]
    resource_version: str


@dataclass(frozen=True)
class LiveClaim:
    """A PersistentVolumeClaim of the cluster.

    Attributes:
        size: the requested size.
        access_modes: the access modes.
        storage_class: the storage class; empty for none.
        phase: the phase, such as ``Pending``.
        labels: the labels.
        resource_version: the resource version.
        node: the node that the scheduler selected for the first pod that uses the claim; empty if there is none yet.
    """

    size: str
    access_modes: tuple[str, ...]
    storage_class: str
    phase: str
    labels: Mapping[str, str]
    resource_version: str
    node: str = ""


@dataclass(frozen=True)
class StorageClass:
    """A StorageClass of the cluster.

    Attributes:
        name: the name.
        is_default: whether it is marked as the default class.
        is_expandable: whether its claims can grow.
        waits_for_pod: whether it binds a claim only when a pod uses it (``WaitForFirstConsumer``).
        provisioner: the provisioner.
    """

    name: str
    is_default: bool
    is_expandable: bool
    waits_for_pod: bool
    provisioner: str = ""


@dataclass(frozen=True)
class LiveConnection:
    """An Airflow connection.

    Its extra may hold secrets, which Airflow's API masks.
    """

    type: str
    extra: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class LiveConnectionsSecret:
    """The Secret from which Airflow's pods get connections as environment variables.

    Attributes:
        values: the content by key; it is secret.
        labels: the labels.
        resource_version: the resource version.
        written_at: the time of the last write of each key.
    """

    values: Mapping[str, str] = field(repr=False)
    labels: Mapping[str, str]
    resource_version: str
    written_at: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class ContainerVariable:
    """A connection's environment variable in one container of Airflow.

    Attributes:
        pod: the name of the pod.
        is_managed: whether the value comes from the Secret that bootstrap writes.
        started_at: when the container started and so read the value; None if it is not running.
    """

    pod: str
    is_managed: bool
    started_at: datetime | None


@dataclass(frozen=True)
class LiveState:
    """The live state of some teams, for a plan or a verification.

    Attributes:
        namespaces: the existing namespaces of the teams.
        secrets: the registry secrets.
        claims: the volume claims.
        storage_classes: the storage classes, newest first.
        connections: the connections in Airflow's database, by connection id.
        connections_secret: the Secret with the connections that are passed as environment variables; None if it does
            not exist or is not needed.
        connection_variables: the environment variables of connections in Airflow's containers, by variable name.
        read_at: when the state was read.
    """

    namespaces: frozenset[str] = frozenset()
    secrets: Mapping[NamespacedName, LiveSecret] = field(default_factory=dict)
    claims: Mapping[NamespacedName, LiveClaim] = field(default_factory=dict)
    storage_classes: tuple[StorageClass, ...] = ()
    connections: Mapping[str, LiveConnection] = field(default_factory=dict)
    connections_secret: LiveConnectionsSecret | None = None
    connection_variables: Mapping[str, tuple[ContainerVariable, ...]] = field(default_factory=dict)
    read_at: datetime = _MIN_TIME

    @property
    def default_storage_class(self) -> StorageClass | None:
        """The default storage class; the newest if there are several, as in Kubernetes."""
        return next((storage_class for storage_class in self.storage_classes if storage_class.is_default), None)

"""A plan: what one run will do, object by object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

CONNECTION_KIND = "Connection"
"""The kind of an Airflow connection, beside the kinds of Kubernetes."""


class Verb(StrEnum):
    """What happens to an object."""

    CREATE = "create"
    CHANGE = "change"
    UNCHANGED = "unchanged"
    BLOCKED = "blocked"


@dataclass(frozen=True, order=True)
class ObjectRef:
    """The object that an action is about; an Airflow connection has no namespace."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {f'{self.namespace}/' if self.namespace else ''}{self.name}"


@dataclass(frozen=True)
class FieldChange:
    """One field's old and new value, both fit to be shown."""

    field: str
    old: str
    new: str


@dataclass(frozen=True)
class Action:
    """What happens to one object, and why.

    Attributes:
        verb: what happens.
        target: the object.
        changes: the fields that change, for ``CHANGE``.
        note: what else a person should know; for ``BLOCKED`` the reason and what to do.
        body: what is written, for ``CREATE`` and ``CHANGE``; it may hold secret values and is never shown.
        seen: the resource version that the plan was made from, empty for what is not there yet.
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
    """All actions of one run, in their order."""

    actions: tuple[Action, ...]

    @property
    def object_writes(self) -> tuple[Action, ...]:
        """The pending writes to Kubernetes."""
        return tuple(each for each in self.actions if each.is_pending and each.target.kind != CONNECTION_KIND)

    @property
    def connection_writes(self) -> tuple[Action, ...]:
        """The pending writes to Airflow."""
        return tuple(each for each in self.actions if each.is_pending and each.target.kind == CONNECTION_KIND)

    @property
    def has_pending(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.object_writes or self.connection_writes)

    @property
    def has_blocked(self) -> bool:
        """Whether something cannot be as the contract wants it."""
        return any(each.verb is Verb.BLOCKED for each in self.actions)

    def count(self, verb: Verb) -> int:
        """How many actions there are of a verb."""
        return sum(each.verb is verb for each in self.actions)


def find_changes(pairs: Iterable[tuple[str, str, str]]) -> tuple[FieldChange, ...]:
    """The fields whose values differ, out of triples of field, old value and new value."""
    return tuple(FieldChange(name, old, new) for name, old, new in pairs if old != new)


_EPOCH = datetime.min.replace(tzinfo=UTC)


NamespacedName = tuple[str, str]
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
    logins: Mapping[str, RegistryLogin | str]
    resource_version: str


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
    resource_version: str
    node: str = ""


@dataclass(frozen=True)
class StorageClass:
    """A StorageClass."""

    name: str
    is_default: bool
    is_expandable: bool
    waits_for_pod: bool
    provisioner: str = ""


@dataclass(frozen=True)
class LiveConnection:
    """An Airflow connection; its extra may hold secrets, which Airflow's API masks."""

    type: str
    extra: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class LiveConnectionsSecret:
    """The Secret with the connections in the environment of Airflow's pods.

    Attributes:
        values: its content, which is secret, by key.
        labels: its labels.
        version: its resource version.
        written: when each key was last written.
    """

    values: Mapping[str, str] = field(repr=False)
    labels: Mapping[str, str]
    resource_version: str
    written_at: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class LiveState:
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
    secrets: Mapping[NamespacedName, LiveSecret] = field(default_factory=dict)
    claims: Mapping[NamespacedName, LiveClaim] = field(default_factory=dict)
    storage_classes: tuple[StorageClass, ...] = ()
    connections: Mapping[str, LiveConnection] = field(default_factory=dict)
    connections_secret: LiveConnectionsSecret | None = None
    connection_variables: Mapping[str, tuple[ContainerVariable, ...]] = field(default_factory=dict)
    read_at: datetime = _EPOCH

    @property
    def default_storage_class(self) -> StorageClass | None:
        """The class that a claim without one gets: of several the newest, as the API server chooses."""
        return next((each for each in self.storage_classes if each.is_default), None)


@dataclass(frozen=True)
class ContainerVariable:
    """A container of Airflow that is given a connection's variable.

    Attributes:
        pod: its pod.
        ours: whether the value comes from the Secret that bootstrap writes.
        started: when it started, which is when it took the value that was there; nothing where it does not run.
    """

    pod: str
    is_managed: bool
    started_at: datetime | None


@dataclass(frozen=True)
class RegistryLogin:
    """A user's name and password for one registry."""

    username: str = field(repr=False)
    password: str = field(repr=False)

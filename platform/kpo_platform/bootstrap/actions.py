"""A plan: what one run will do, object by object."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

CONNECTION = "Connection"
"""The kind of an Airflow connection, beside the kinds of Kubernetes."""


class Verb(StrEnum):
    """What happens to an object."""

    CREATE = "create"
    CHANGE = "change"
    UNCHANGED = "unchanged"
    BLOCKED = "blocked"


@dataclass(frozen=True, order=True)
class Target:
    """The object that an action is about; an Airflow connection has no namespace."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {f'{self.namespace}/' if self.namespace else ''}{self.name}"


@dataclass(frozen=True)
class Change:
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
    target: Target
    changes: tuple[Change, ...] = ()
    note: str = ""
    body: dict[str, Any] = field(default_factory=dict, repr=False)
    seen: str = ""

    @property
    def pending(self) -> bool:
        """Whether the action writes something."""
        return self.verb in (Verb.CREATE, Verb.CHANGE)


@dataclass(frozen=True)
class Plan:
    """All actions of one run, in their order."""

    actions: tuple[Action, ...]

    @property
    def objects(self) -> tuple[Action, ...]:
        """The pending writes to Kubernetes."""
        return tuple(each for each in self.actions if each.pending and each.target.kind != CONNECTION)

    @property
    def connections(self) -> tuple[Action, ...]:
        """The pending writes to Airflow."""
        return tuple(each for each in self.actions if each.pending and each.target.kind == CONNECTION)

    @property
    def pending(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.objects or self.connections)

    @property
    def blocked(self) -> bool:
        """Whether something cannot be as the contract wants it."""
        return any(each.verb is Verb.BLOCKED for each in self.actions)

    def count(self, verb: Verb) -> int:
        """How many actions there are of a verb."""
        return sum(each.verb is verb for each in self.actions)


def changes(pairs: Iterable[tuple[str, str, str]]) -> tuple[Change, ...]:
    """The fields whose values differ, out of triples of field, old value and new value."""
    return tuple(Change(name, old, new) for name, old, new in pairs if old != new)

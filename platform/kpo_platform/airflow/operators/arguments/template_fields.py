"""A task's templated fields, without the empty ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class NonEmptyTemplateFields:
    """Descriptor for ``template_fields``: all names on the class, only the non-empty fields on a task.

    Airflow serializes every templated field of every task, also the empty ones, which takes most of the time to parse a
    DAG file. The fields are checked at each access, so a field that is set later is rendered too.

    Args:
        names: the names of all templated fields.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)

    def __get__(self, task: Any, owner: type | None = None) -> tuple[str, ...]:
        """Return the names for a class or for one of its tasks."""
        if task is None:
            return self._names
        get_value = vars(task).get
        return tuple([name for name in self._names if get_value(name)])

"""The templated fields of a task, without those that say nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class NonEmptyTemplateFields:
    """``template_fields`` of an operator: of the class all of them, of a task those with something in them.

    Airflow serializes every templated field of every task, the empty ones as well, and that is most of what the parse
    of a file costs. What is asked for is looked at anew each time, so a field that is set later is rendered too.

    Args:
        names: those of the class.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)

    def __get__(self, task: Any, kind: type | None = None) -> tuple[str, ...]:
        """The names, for a class or for one of its tasks."""
        if task is None:
            return self._names
        value_of = vars(task).get
        return tuple([name for name in self._names if value_of(name)])

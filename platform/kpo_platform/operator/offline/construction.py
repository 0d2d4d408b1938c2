"""Make tasks although they are refused, so that one reading of a file finds everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from kpo_platform import TeamPodOperator
from kpo_platform.errors import PlatformError
from kpo_platform.operator.offline.place import caller
from kpo_platform.pod.finding import Refusal, Refused

Place = tuple[str, int] | None
Note = Callable[[Any, Place, list[Refusal]], None]
"""Takes what was refused: the task, where it is made, why."""


def reasons(error: BaseException) -> list[Refusal]:
    """Why a task could not be made, whoever says so."""
    if isinstance(error, Refused):
        return list(error.refusals)
    if isinstance(error, PlatformError):
        return [Refusal("name", error.evidence, error.fix)]
    return [Refusal("argument", str(error))]


@contextmanager
def forgiving(root: str, note: Note) -> Iterator[dict[int, Place]]:
    """While this lasts, a task whose arguments are refused is made without them, and the reasons are noted.

    Args:
        root: the folder of the DAG files.
        note: is told of every refusal.

    Yields:
        Where each task was made, by its identity.
    """
    places: dict[int, Place] = {}
    made: list[Any] = []  # so that no other task gets the identity of one that is gone
    before = {kind: kind.__init__ for kind in (TeamPodOperator, KubernetesPodOperator)}
    for kind, init in before.items():
        kind.__init__ = _forgiving(init, root, note, places, made)  # type: ignore[method-assign]
    try:
        yield places
    finally:
        for kind, init in before.items():
            kind.__init__ = init  # type: ignore[method-assign]


def _forgiving(init: Any, root: str, note: Note, places: dict[int, Place], made: list[Any]) -> Any:
    @wraps(init)
    def make(self: Any, **arguments: Any) -> None:
        if id(self) in places:  # an operator that is made of this one; its own turn is on already
            init(self, **arguments)
            return
        places[id(self)] = caller(root)
        made.append(self)
        _make(self, init, arguments, lambda found: note(self, places[id(self)], found))

    make.__wrapped__ = init.__wrapped__  # Airflow recognizes a class's own constructor by it
    return make


def _make(task: Any, init: Any, arguments: dict[str, Any], note: Callable[[list[Refusal]], None]) -> None:
    left = dict(arguments)
    while True:
        try:
            init(task, **left)
            return
        except (PlatformError, AirflowException, TypeError, ValueError) as error:
            found = reasons(error)
            _name(task, arguments)
            note(found)
            wrong = {each.argument for each in found} & left.keys()
            if getattr(task, "_dag", None) is not None:
                return  # it is whole, only its pod is refused
            if not wrong:
                break
            left = {name: value for name, value in left.items() if name not in wrong}
    kept = {name: arguments[name] for name in ("task_id", "dag", "task_group", "default_args") if name in arguments}
    BaseOperator.__init__(task, **kept)


def _name(task: Any, arguments: dict[str, Any]) -> None:
    """Give the reports a name for a task that was not made yet."""
    if "task_id" not in vars(task):
        object.__setattr__(task, "task_id", str(arguments.get("task_id", "")))

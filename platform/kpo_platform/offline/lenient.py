"""Make tasks although they are refused, so that one reading of a file finds everything that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import wraps
from inspect import signature
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import BaseOperator
from airflow.sdk.definitions._internal.contextmanager import DagContext, TaskGroupContext
from airflow.sdk.exceptions import AirflowException, DuplicateTaskIdFound

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.operators.arguments.serialize import LATER
from kpo_platform.errors import PlatformError
from kpo_platform.finding import Refusal, Refused
from kpo_platform.offline.source_location import caller

Place = tuple[str, int] | None
Note = Callable[[Any, Place, list[Refusal]], None]
"""Takes what was refused: the task, where it is made, why."""

_PLAIN = {
    name: parameter.default
    for name, parameter in signature(BaseOperator.__init__).parameters.items()
    if parameter.default is not parameter.empty
}
"""Every argument of Airflow's own with its default, so that none comes from ``default_args``, which may be wrong."""


def reasons(error: BaseException) -> list[Refusal]:
    """Why a task could not be made, whoever says so."""
    if isinstance(error, Refused):
        return list(error.refusals)
    if isinstance(error, PlatformError):
        return [Refusal("name", error.evidence, error.fix)]
    return [Refusal("argument", str(error))]


@dataclass
class Making:
    """The tasks that were made: where each one was, and which of them are no more than a name, by their identities."""

    places: dict[int, Place] = field(default_factory=dict)
    unfinished: set[int] = field(default_factory=set)
    tasks: list[Any] = field(default_factory=list)  # so that no other task gets the identity of one that is gone


@dataclass(frozen=True)
class Unmapped:
    """A task whose arguments were refused before it was mapped; it will be one of this name."""

    dag_id: str
    task_id: str


@contextmanager
def forgiving(root: str, note: Note) -> Iterator[Making]:
    """While this lasts, a task whose arguments are refused is made without them, and the reasons are noted.

    Args:
        root: the folder of the DAG files.
        note: is told of every refusal.

    Yields:
        What is known of the tasks that were made.
    """
    making = Making()
    before = {kind: kind.__init__ for kind in (TeamPodOperator, KubernetesPodOperator)}
    for kind, init in before.items():
        kind.__init__ = _forgiving(init, root, note, making)  # type: ignore[method-assign]
    own, inherited = vars(TeamPodOperator)["partial"], vars(BaseOperator)["partial"]
    TeamPodOperator.partial = classmethod(_forgiving_partial(own, root, note))  # type: ignore[assignment]
    KubernetesPodOperator.partial = classmethod(_forgiving_partial(inherited, root, note))  # type: ignore[assignment]
    try:
        yield making
    finally:
        TeamPodOperator.partial = own  # type: ignore[method-assign]
        del KubernetesPodOperator.partial
        for kind, init in before.items():
            kind.__init__ = init  # type: ignore[method-assign]


def _forgiving(init: Any, root: str, note: Note, making: Making) -> Any:
    @wraps(init)
    def make(self: Any, **arguments: Any) -> None:
        if id(self) in making.places:  # an operator that is made of this one; its own turn is on already
            init(self, **arguments)
            return
        place = making.places[id(self)] = caller(root)
        making.tasks.append(self)
        if not _make(self, init, arguments, lambda found: note(self, place, found)):
            making.unfinished.add(id(self))

    make.__wrapped__ = init.__wrapped__  # Airflow recognizes a class's own constructor by it
    return make


def _forgiving_partial(before: Any, root: str, note: Note) -> Any:
    def partial(kind: Any, **arguments: Any) -> Any:
        left = dict(arguments)
        while True:
            try:
                return before.__get__(None, kind)(**left)
            except (PlatformError, AirflowException, TypeError, ValueError) as error:
                found = [_with_argument(each, left) for each in reasons(error)]
                wrong = {each.argument for each in found}
                if wrong & {"", "task_id"} or any(left[name] is LATER for name in wrong):
                    raise
                note(_unmapped(arguments), caller(root), found)
                left = _without(wrong, left)

    return partial


def _unmapped(arguments: Mapping[str, Any]) -> Unmapped:
    dag = arguments.get("dag") or DagContext.get_current()
    group = arguments.get("task_group") or (TaskGroupContext.get_current(dag) if dag else None)
    name = str(arguments.get("task_id"))
    return Unmapped(dag.dag_id if dag else "", group.child_id(name) if group else name)


def _make(task: Any, init: Any, arguments: dict[str, Any], note: Callable[[list[Refusal]], None]) -> bool:
    """Make a task, without the arguments that are refused; tell whether there is more of it than its name."""
    left = dict(arguments)
    while True:
        try:
            init(task, **left)
            return True
        except (PlatformError, AirflowException, TypeError, ValueError) as error:
            found = [_with_argument(each, left) for each in reasons(error)]
            _name(task, arguments)
            note(found)
            if isinstance(error, PlatformError) and getattr(task, "_dag", None) is not None:
                return True  # it is whole, only its pod is refused
        _take_out(task)
        wrong = {each.argument for each in found if left.get(each.argument) is not LATER} & left.keys() - {"task_id"}
        if not wrong:
            break
        left = _without(wrong, left)
    _stand_in(task, arguments)
    return False


def _without(wrong: Set[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are left; an image that is wrong is not missing for that, but one that nobody knows yet."""
    left = {name: value for name, value in given.items() if name not in wrong}
    return {**left, "image": LATER} if "image" in wrong else left


def _with_argument(refusal: Refusal, given: Mapping[str, Any]) -> Refusal:
    """The refusal with the argument that it is about; Airflow names it in the sentence, if at all."""
    words = re.findall(r"\w+", refusal.evidence) if not refusal.argument and refusal.rule == "argument" else []
    return replace(refusal, argument=next((word for word in words if word in given), refusal.argument))


def _name(task: Any, arguments: dict[str, Any]) -> None:
    """Give the reports a name for a task that was not made yet."""
    if "task_id" not in vars(task):
        object.__setattr__(task, "task_id", str(arguments.get("task_id", "")))


def _take_out(task: Any) -> None:
    """Take a half-made task out of its group and its DAG, where the next try would meet it as its double."""
    group, dag, name = (vars(task).get(each) for each in ("task_group", "_dag", "task_id"))
    if group is not None and group.children.get(name) is task:
        del group.children[name]
    if dag is not None and dag.task_dict.get(name) is task:
        del dag.task_dict[name]
        dag.task_group.used_group_ids.discard(name)
    for attribute in ("task_group", "_dag"):
        object.__setattr__(task, attribute, None)


def _stand_in(task: Any, arguments: Mapping[str, Any]) -> None:
    """Make a task of a refused one's name, or a similar one where that is taken: the file goes on with it."""
    kept = {name: arguments[name] for name in ("dag", "task_group") if name in arguments}
    name = re.sub(r"[^\w.-]", "_", str(arguments.get("task_id")))[:200]
    for task_id in (name, *(f"{name}__{number}" for number in range(2, 1000))):
        with suppress(DuplicateTaskIdFound):
            BaseOperator.__init__(task, **{**_PLAIN, **kept, "task_id": task_id})
            return
        _take_out(task)

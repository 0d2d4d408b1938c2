"""Collect the refusals of tasks: create refused tasks too, so that one pass over a file finds all its problems."""

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
from kpo_platform.airflow.operators.arguments.serialize import UNRESOLVED
from kpo_platform.errors import PlatformError
from kpo_platform.finding import Refusal, RefusalError
from kpo_platform.offline.source_location import find_caller

Location = tuple[str, int] | None
"""File and line of the call that creates a task, if known."""
OnRefusals = Callable[[Any, Location, list[Refusal]], None]
"""Takes a refused task, its location, and its refusals."""

_DEFAULTS = {
    name: parameter.default
    for name, parameter in signature(BaseOperator.__init__).parameters.items()
    if parameter.default is not parameter.empty
}
"""BaseOperator's arguments with their defaults: they override ``default_args``, which may hold the invalid value."""


def list_refusals(error: BaseException) -> list[Refusal]:
    """Convert an error of an operator's constructor to refusals."""
    if isinstance(error, RefusalError):
        return list(error.refusals)
    if isinstance(error, PlatformError):
        return [Refusal("name", error.evidence, error.fix)]
    return [Refusal("argument", str(error))]


@dataclass
class CreatedTasks:
    """The tasks that DAG files created; `id()` of a task is its key.

    Attributes:
        locations: where each task is created.
        incomplete: the placeholders of tasks that could not be created.
        tasks: the tasks; as long as they exist, no `id()` is used twice.
    """

    locations: dict[int, Location] = field(default_factory=dict)
    incomplete: set[int] = field(default_factory=set)
    tasks: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class MappedTask:
    """The name of a mapped task whose ``partial`` arguments were refused, before the task existed."""

    dag_id: str
    task_id: str


@contextmanager
def collect_refusals(root: str, on_refusals: OnRefusals) -> Iterator[CreatedTasks]:
    """Within the context, create tasks without their refused arguments and report the refusals.

    Args:
        root: the folder of the DAG files.
        on_refusals: takes the refusals.

    Yields:
        The tasks created so far.
    """
    created = CreatedTasks()
    constructors = {operator: operator.__init__ for operator in (TeamPodOperator, KubernetesPodOperator)}
    for operator, init in constructors.items():
        operator.__init__ = _wrap_init(init, root, on_refusals, created)  # type: ignore[method-assign]
    own, inherited = vars(TeamPodOperator)["partial"], vars(BaseOperator)["partial"]
    TeamPodOperator.partial = classmethod(_wrap_partial(own, root, on_refusals))  # type: ignore[assignment]
    KubernetesPodOperator.partial = classmethod(_wrap_partial(inherited, root, on_refusals))  # type: ignore[assignment]
    try:
        yield created
    finally:
        TeamPodOperator.partial = own  # type: ignore[method-assign]
        del KubernetesPodOperator.partial
        for operator, init in constructors.items():
            operator.__init__ = init  # type: ignore[method-assign]


def _wrap_init(init: Any, root: str, on_refusals: OnRefusals, created: CreatedTasks) -> Any:
    @wraps(init)
    def init_leniently(self: Any, **arguments: Any) -> None:
        if id(self) in created.locations:  # the constructor of a base class, called by a wrapped one
            init(self, **arguments)
            return
        location = created.locations[id(self)] = find_caller(root)
        created.tasks.append(self)
        if not _init_task(self, init, arguments, lambda refusals: on_refusals(self, location, refusals)):
            created.incomplete.add(id(self))

    init_leniently.__wrapped__ = init.__wrapped__  # by this attribute Airflow recognizes a class's own constructor
    return init_leniently


def _wrap_partial(partial: Any, root: str, on_refusals: OnRefusals) -> Any:
    def partial_leniently(operator: Any, **arguments: Any) -> Any:
        remaining = dict(arguments)
        while True:
            try:
                return partial.__get__(None, operator)(**remaining)
            except (PlatformError, AirflowException, TypeError, ValueError) as error:
                refusals = [_add_argument_name(refusal, remaining) for refusal in list_refusals(error)]
                refused = {refusal.argument for refusal in refusals}
                if refused & {"", "task_id"} or any(remaining[name] is UNRESOLVED for name in refused):
                    raise
                on_refusals(_identify_mapped_task(arguments), find_caller(root), refusals)
                remaining = _drop_arguments(refused, remaining)

    return partial_leniently


def _identify_mapped_task(arguments: Mapping[str, Any]) -> MappedTask:
    dag = arguments.get("dag") or DagContext.get_current()
    group = arguments.get("task_group") or (TaskGroupContext.get_current(dag) if dag else None)
    task_id = str(arguments.get("task_id"))
    return MappedTask(dag.dag_id if dag else "", group.child_id(task_id) if group else task_id)


def _init_task(task: Any, init: Any, arguments: dict[str, Any], report: Callable[[list[Refusal]], None]) -> bool:
    """Create a task without its refused arguments; return False if it became a placeholder."""
    remaining = dict(arguments)
    while True:
        try:
            init(task, **remaining)
            return True
        except (PlatformError, AirflowException, TypeError, ValueError) as error:
            refusals = [_add_argument_name(refusal, remaining) for refusal in list_refusals(error)]
            _set_task_id(task, arguments)
            report(refusals)
            if isinstance(error, PlatformError) and getattr(task, "_dag", None) is not None:
                return True  # the task is complete, only its pod is refused
        _detach_task(task)
        known = (refusal.argument for refusal in refusals if remaining.get(refusal.argument) is not UNRESOLVED)
        refused = set(known) & remaining.keys() - {"task_id"}
        if not refused:
            break
        remaining = _drop_arguments(refused, remaining)
    _init_placeholder(task, arguments)
    return False


def _drop_arguments(refused: Set[str], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Drop refused arguments; replace a refused image by an unknown one, so that it is not reported as missing."""
    remaining = {name: value for name, value in arguments.items() if name not in refused}
    return {**remaining, "image": UNRESOLVED} if "image" in refused else remaining


def _add_argument_name(refusal: Refusal, arguments: Mapping[str, Any]) -> Refusal:
    """Add the argument to a refusal by Airflow, which names it only in its message, if at all."""
    words = re.findall(r"\w+", refusal.evidence) if not refusal.argument and refusal.rule == "argument" else []
    return replace(refusal, argument=next((word for word in words if word in arguments), refusal.argument))


def _set_task_id(task: Any, arguments: dict[str, Any]) -> None:
    """Set the id of a task whose constructor failed earlier, for the findings."""
    if "task_id" not in vars(task):
        object.__setattr__(task, "task_id", str(arguments.get("task_id", "")))


def _detach_task(task: Any) -> None:
    """Remove a half-created task from its group and DAG, where the next try would find a duplicate id."""
    group, dag, task_id = (vars(task).get(attribute) for attribute in ("task_group", "_dag", "task_id"))
    if group is not None and group.children.get(task_id) is task:
        del group.children[task_id]
    if dag is not None and dag.task_dict.get(task_id) is task:
        del dag.task_dict[task_id]
        dag.task_group.used_group_ids.discard(task_id)
    for attribute in ("task_group", "_dag"):
        object.__setattr__(task, attribute, None)


def _init_placeholder(task: Any, arguments: Mapping[str, Any]) -> None:
    """Create a task with the refused task's id, or a similar unused one, so that the file can use the object."""
    kept = {name: arguments[name] for name in ("dag", "task_group") if name in arguments}
    name = re.sub(r"[^\w.-]", "_", str(arguments.get("task_id")))[:200]
    for task_id in (name, *(f"{name}__{number}" for number in range(2, 1000))):
        with suppress(DuplicateTaskIdFound):
            BaseOperator.__init__(task, **{**_DEFAULTS, **kept, "task_id": task_id})
            return
        _detach_task(task)

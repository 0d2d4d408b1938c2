"""Find triggers of a DAG that the triggerer will refuse, when the DAG is read.

Only a run shows with which trigger a task defers. So this looks at the trigger classes that the operator's own code
names, and reports a task only if all of them will be refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from types import CodeType, FunctionType
from typing import Any

from airflow.configuration import conf
from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger

from kpo_platform.airflow.guards.triggers.judge import (
    CALLBACK_CLASS,
    build_refusal,
    describe_missing_entry,
    is_class_allowed,
    judge_trigger,
)
from kpo_platform.airflow.guards.triggers.request import TriggerRequest
from kpo_platform.contract import Contract
from kpo_platform.finding import Refusal


def find_refused_triggers_of_task(task: Any, contract: Contract) -> list[Refusal]:
    """Find the triggers of a task, mapped or not, if the triggerer will refuse all of them."""
    if not contract.isolation.enabled or not _may_defer(task):
        return []
    class_paths = sorted(_list_class_paths(task))
    if any(is_class_allowed(path, contract) for path in class_paths):
        return []
    return [build_refusal(path, describe_missing_entry(path, contract)) for path in class_paths]


def find_refused_triggers_of_dag(dag: Any, contract: Contract) -> list[Refusal]:
    """Find the refused triggers that belong to no task: deadline callbacks and watchers of the schedule's assets."""
    if not contract.isolation.enabled:
        return []
    judgements = (
        judge_trigger(request, contract, lambda _: frozenset())
        for request in (*_list_callbacks(dag), *_list_watchers(dag))
    )
    return [judgement.refusal for judgement in judgements if judgement.refusal is not None]


def _may_defer(task: Any) -> bool:
    """Tell whether a task defers; an operator without the argument ``deferrable`` may."""
    if not hasattr(task, "partial_kwargs"):
        return bool(getattr(task, "deferrable", True))
    if "deferrable" in task.partial_kwargs:
        return bool(task.partial_kwargs["deferrable"])
    if "deferrable" not in inspect.signature(task.operator_class.__init__).parameters:
        return True
    return conf.getboolean("operators", "default_deferrable", fallback=False)


def _list_class_paths(task: Any) -> set[str]:
    """List the class paths of a task's triggers: those of the most derived class whose code names any."""
    if getattr(task, "start_from_trigger", False) and getattr(task, "start_trigger_args", None):
        return {str(task.start_trigger_args.trigger_cls)}
    operator_class: Any = getattr(task, "operator_class", type(task))
    return _list_class_paths_of_operator(operator_class)


@cache
def _list_class_paths_of_operator(operator_class: Any) -> set[str]:
    for base in operator_class.__mro__:
        if base is BaseOperator:
            break
        if class_paths := {
            f"{trigger_class.__module__}.{trigger_class.__qualname__}"
            for member in vars(base).values()
            for trigger_class in _list_named_triggers(member)
        }:
            return class_paths
    return set()


def _list_named_triggers(member: Any) -> Iterator[type[BaseTrigger]]:
    """List the trigger classes that a method names and its module has."""
    function = inspect.unwrap(member) if callable(member) else None
    if isinstance(function, FunctionType):
        for name in _list_names(function.__code__):
            value = function.__globals__.get(name)
            if isinstance(value, type) and issubclass(value, BaseTrigger):
                yield value


def _list_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _list_names(constant)


def _list_callbacks(dag: Any) -> Iterator[TriggerRequest]:
    """List the deadline callbacks that run in the triggerer; the others have the argument ``executor``."""
    for alert in getattr(dag, "deadline", None) or ():
        callback = alert.callback
        if type(callback).__name__ == "AsyncCallback":
            yield TriggerRequest(CALLBACK_CLASS, {"callback_path": callback.path, "callback_kwargs": {}})


def _list_watchers(dag: Any) -> Iterator[TriggerRequest]:
    for asset in _list_assets(getattr(dag.timetable, "asset_condition", None)):
        for watcher in getattr(asset, "watchers", ()):
            with suppress(Exception):  # Airflow reports what a trigger's own code raises as an import error
                class_path, arguments = watcher.trigger.serialize()
                yield TriggerRequest(class_path, arguments)


def _list_assets(condition: Any) -> Iterator[Any]:
    """List the assets of a condition, which may be nested."""
    yield condition
    for inner in getattr(condition, "objects", ()):
        yield from _list_assets(inner)

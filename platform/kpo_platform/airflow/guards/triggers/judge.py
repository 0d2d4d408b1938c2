"""Judge a stored trigger by its class path and arguments, before anything is imported."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kpo_platform.airflow.guards.triggers.default_triggers import DEFAULT_TRIGGERS, DefaultTrigger
from kpo_platform.airflow.guards.triggers.plain_values import (
    NotPlainError,
    convert_plain,
    read_items,
    unwrap_dictionary,
)
from kpo_platform.airflow.guards.triggers.request import FindDagTeams, Scope, TriggerRefusedError, TriggerRequest
from kpo_platform.contract import AllowedTrigger, Contract
from kpo_platform.finding import Refusal

CALLBACK_CLASS = "airflow.triggers.callback.CallbackTrigger"
"""Airflow's trigger that imports and calls ``callback_path`` (3.3, triggers/callback.py)."""

PLAIN_VALUES_FIX = "Pass only JSON values, dates, times, tuples, sets and UUIDs."
_ASK = "Ask the platform team to add the class and its arguments to triggerer.allow."


@dataclass(frozen=True)
class Judgement:
    """The result for a trigger.

    Attributes:
        refusal: why the trigger must not run; None if it may.
        arguments: the arguments to run it with, in serde's form; what was not judged is not in them.
    """

    refusal: Refusal | None
    arguments: dict[str, Any]


def judge_trigger(request: TriggerRequest, contract: Contract, find_dag_teams: FindDagTeams) -> Judgement:
    """Judge a trigger of a task, a callback or an asset watcher.

    Never raises: what cannot be judged is refused.
    """
    return _judge(request, contract, find_dag_teams)


def judge_form(request: TriggerRequest, contract: Contract) -> Judgement:
    """Judge class path and types as `judge_trigger` does, without the owners of what the trigger reaches."""
    return _judge(request, contract, None)


def is_class_allowed(class_path: str, contract: Contract) -> bool:
    """Tell whether at least some arguments are allowed for this class."""
    return class_path in DEFAULT_TRIGGERS or any(_is_for(entry, class_path) for entry in contract.isolation.triggers)


def describe_missing_entry(class_path: str, contract: Contract) -> TriggerRefusedError:
    """Describe why no entry of the contract allows a class."""
    if any(_is_for(entry, class_path) for entry in contract.isolation.triggers):
        return TriggerRefusedError("its arguments are not those that triggerer.allow has for it")
    return TriggerRefusedError("it is not in the list of allowed triggers")


def _judge(request: TriggerRequest, contract: Contract, find_dag_teams: FindDagTeams | None) -> Judgement:
    try:
        default = DEFAULT_TRIGGERS.get(request.class_path)
        arguments = _read_arguments(request.arguments, default)
        _check(request, arguments, default, contract, find_dag_teams)
    except TriggerRefusedError as refused:
        return Judgement(build_refusal(request.class_path, refused), {})
    except Exception as error:  # the arguments come from a task, and may be anything
        failure = TriggerRefusedError(f"it cannot be judged ({type(error).__name__})", "Correct its arguments.")
        return Judgement(build_refusal(request.class_path, failure), {})
    return Judgement(None, arguments)


def _read_arguments(raw: Any, default: DefaultTrigger | None) -> dict[str, Any]:
    """Convert the arguments to plain values; arguments that are not taken from the task become None."""
    raw = unwrap_dictionary(raw)
    if not isinstance(raw, dict):
        raise TriggerRefusedError("its arguments are not a dictionary", "Correct the trigger's serialize().")
    ignored = default.ignored if default else frozenset()
    arguments = {}
    for name, value in raw.items():
        if name.startswith("__") or not name.isidentifier():
            raise TriggerRefusedError(f"it has no argument {name[:64]!r}", "Correct the trigger's serialize().")
        try:
            arguments[name] = None if name in ignored else convert_plain(value)
        except NotPlainError as error:
            raise TriggerRefusedError(f"its argument {name[:64]!r} {error}", PLAIN_VALUES_FIX) from None
    return arguments


def _check(
    request: TriggerRequest,
    arguments: dict[str, Any],
    default: DefaultTrigger | None,
    contract: Contract,
    find_dag_teams: FindDagTeams | None,
) -> None:
    """Check the arguments of a default trigger, then what it reaches; an entry of the contract replaces the latter.

    Only tasks have default triggers. A callback or an asset watcher belongs to no task, and needs an entry.
    """
    is_listed = any(_allows(entry, request.class_path, arguments) for entry in contract.isolation.triggers)
    if (default is None or request.task_instance_id is None) and not is_listed:
        raise describe_missing_entry(request.class_path, contract)
    if default is None:
        return
    scope = Scope(request, contract, find_dag_teams or _raise_unknown_owner)
    if unknown := sorted(arguments.keys() - default.arguments):
        raise TriggerRefusedError(f"it has no argument {unknown[0][:64]!r}", "Leave the argument out.")
    for check in default.checks:
        check(arguments, scope)
    for check in default.owner_checks if find_dag_teams and not is_listed else ():
        check(arguments, scope)


def _raise_unknown_owner(dag_id: str) -> frozenset[str | None]:
    raise LookupError(dag_id)


def _is_for(entry: AllowedTrigger, class_path: str) -> bool:
    """Tell whether an entry is for a class; one for callbacks must name the callbacks."""
    return entry.class_path == class_path and (class_path != CALLBACK_CLASS or "callback_path" in entry.arguments)


def _allows(entry: AllowedTrigger, class_path: str, arguments: dict[str, Any]) -> bool:
    return _is_for(entry, class_path) and all(
        name in arguments and _is_among(arguments[name], values) for name, values in entry.arguments.items()
    )


def _is_among(value: Any, allowed: Iterable[str]) -> bool:
    """Tell whether a value, or every item of a list, is among texts; numbers are compared as in JSON."""
    items = read_items(value)
    if items is not None:
        return bool(items) and all(_is_among(item, allowed) for item in items)
    if isinstance(value, dict):
        return False
    return (value if isinstance(value, str) else json.dumps(value)) in allowed


def build_refusal(class_path: Any, refused: TriggerRefusedError) -> Refusal:
    """Build the refusal of a trigger; its text is the sentence in the task's log."""
    name = str(class_path)
    shown = repr(name) if len(name) <= 200 else repr(f"{name[:199]}…")
    return Refusal("trigger", f"The triggerer refuses the trigger {shown}: {refused.evidence}", refused.fix or _ASK)

"""Expand a mapped task into single tasks when its DAG is parsed, as far as their arguments are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kpo_platform.airflow.operators.arguments.serialize import UNRESOLVED
from kpo_platform.errors import PlatformError
from kpo_platform.pod.rules.argument_names import KNOWN_ARGUMENTS

_MAX_EXPANSIONS = 100


@dataclass(frozen=True)
class Expansion:
    """The arguments of one single task from ``expand`` or ``expand_kwargs``.

    Attributes:
        arguments: the arguments whose values are in the DAG file.
        is_complete: whether no further argument comes from another task.
    """

    arguments: dict[str, Any]
    is_complete: bool


def list_expansions(task: Any) -> Iterator[Expansion]:
    """List expansions that together contain every value in the DAG file, at most a hundred."""
    value = task.expand_input.value
    if hasattr(task, "op_kwargs_expand_input"):  # a decorated function's arguments do not change its pod
        return iter([Expansion({"op_kwargs": {}}, is_complete=False)])
    if isinstance(value, Mapping):
        return _expand_lists(value)
    return _expand_dictionaries(value if isinstance(value, list | tuple) else [value])


def list_expanded_names(task: Any) -> frozenset[str] | None:
    """List the arguments that the expansion sets; None if another task's result decides."""
    value = task.expand_input.value
    if isinstance(value, Mapping):
        return frozenset(value)
    if isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value):
        return frozenset(name for item in value for name in item)
    return None


def unmap_task(task: Any, expansion: Expansion, *, is_team_pod: bool) -> Any:
    """Create the single task of an expansion, with placeholders for unknown arguments.

    Args:
        task: the mapped task.
        expansion: the arguments of the single task.
        is_team_pod: whether the task is a TeamPodOperator, which also accepts a placeholder for ``pod_override``.

    Returns:
        The task; None if its constructor fails for another reason than a refusal. Airflow reports that in the run.

    Raises:
        PlatformError: the task is refused.
    """
    unknown_arguments = {"image": UNRESOLVED, **({"pod_override": UNRESOLVED} if is_team_pod else {})}
    placeholders = {} if expansion.is_complete else unknown_arguments
    missing = {name: value for name, value in placeholders.items() if name not in task.partial_kwargs}
    try:
        return task.unmap({**missing, **expansion.arguments})
    except PlatformError:
        raise
    except Exception:  # a subclass by a DAG author may raise anything
        if is_team_pod and expansion.is_complete:
            raise
        return None


def _expand_lists(value: Mapping[str, Any]) -> Iterator[Expansion]:
    lists = {name: items for name, items in value.items() if isinstance(items, list | tuple)}
    others = {
        name: UNRESOLVED for name in value.keys() - lists.keys() if name == "image" or name not in KNOWN_ARGUMENTS
    }
    longest = max((len(items) for items in lists.values()), default=1)
    for index in range(min(longest, _MAX_EXPANSIONS)):
        arguments = {name: items[min(index, len(items) - 1)] for name, items in lists.items() if items}
        yield Expansion({**others, **arguments}, is_complete=len(lists) == len(value))


def _expand_dictionaries(values: list[Any] | tuple[Any, ...]) -> Iterator[Expansion]:
    for value in values[:_MAX_EXPANSIONS]:
        if isinstance(value, Mapping):
            yield Expansion(dict(value), is_complete=True)
        else:
            yield Expansion({}, is_complete=False)

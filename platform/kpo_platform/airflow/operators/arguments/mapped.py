"""A mapped task as the single tasks that will come of it, as far as its file says what they are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kpo_platform.airflow.operators.arguments.serialize import UNRESOLVED
from kpo_platform.errors import PlatformError
from kpo_platform.pod.rules.argument_names import KNOWN_ARGUMENTS

_MOST = 100


@dataclass(frozen=True)
class Expansion:
    """What one of the tasks is given.

    Attributes:
        arguments: what the file says of it.
        whole: whether that is all.
    """

    arguments: dict[str, Any]
    whole: bool


def list_expansions(task: Any) -> Iterator[Expansion]:
    """What the tasks will be given: every value that is in the file at least once, at most a hundred tasks."""
    value = task.expand_input.value
    if hasattr(task, "op_kwargs_expand_input"):  # what its function is given is no matter of its pod
        return iter([Expansion({"op_kwargs": {}}, whole=False)])
    if isinstance(value, Mapping):
        return _of_lists(value)
    return _of_dictionaries(value if isinstance(value, list | tuple) else [value])


def read_expanded_names(task: Any) -> frozenset[str] | None:
    """The names of the arguments that the tasks are given; None where another task decides."""
    value = task.expand_input.value
    if isinstance(value, Mapping):
        return frozenset(value)
    if isinstance(value, list | tuple) and all(isinstance(each, Mapping) for each in value):
        return frozenset(name for each in value for name in each)
    return None


def unmap_task(task: Any, expansion: Expansion, *, own: bool) -> Any:
    """The task that comes of an expansion, with placeholders for what is not known yet.

    Args:
        task: the mapped task.
        expansion: what it is given.
        own: whether it is a TeamPodOperator, which takes a placeholder for the rest of its pod as well.

    Returns:
        The task; None where it can't be made yet, for a reason that is no refusal: Airflow tells when it is made.

    Raises:
        PlatformError: the task is refused.
    """
    later = {} if expansion.whole else {"image": UNRESOLVED, **({"pod_override": UNRESOLVED} if own else {})}
    missing = {name: value for name, value in later.items() if name not in task.partial_kwargs}
    try:
        return task.unmap({**missing, **expansion.arguments})
    except PlatformError:
        raise
    except Exception:  # a class of the author's own may raise anything
        if own and expansion.whole:
            raise
        return None


def _of_lists(value: Mapping[str, Any]) -> Iterator[Expansion]:
    lists = {name: each for name, each in value.items() if isinstance(each, list | tuple)}
    others = {
        name: UNRESOLVED for name in value.keys() - lists.keys() if name == "image" or name not in KNOWN_ARGUMENTS
    }
    longest = max((len(each) for each in lists.values()), default=1)
    for number in range(min(longest, _MOST)):
        said = {name: each[min(number, len(each) - 1)] for name, each in lists.items() if each}
        yield Expansion({**others, **said}, whole=len(lists) == len(value))


def _of_dictionaries(value: list[Any] | tuple[Any, ...]) -> Iterator[Expansion]:
    for each in value[:_MOST]:
        yield Expansion(dict(each), whole=True) if isinstance(each, Mapping) else Expansion({}, whole=False)

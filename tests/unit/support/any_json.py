"""JSON of any shape, and JSON of a known shape with damage."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["2026-11-29T09:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "Always", "True"])
)
ANY_JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


def damage(value: Any) -> st.SearchStrategy[Any]:
    """Build a strategy for copies of an object in which some parts are any other JSON."""
    path, replacement = st.sampled_from(list(_list_paths(value))), ANY_JSON
    return st.lists(st.tuples(path, replacement), max_size=4).map(lambda changes: _replace_parts(value, changes))


def _list_paths(value: Any) -> Iterator[tuple[Any, ...]]:
    keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (key,)
        yield from ((key, *rest) for rest in _list_paths(value[key]))


def _replace_parts(value: Any, changes: list[tuple[tuple[Any, ...], Any]]) -> Any:
    result = deepcopy(value)
    for (*parents, last), replacement in changes:
        part = result
        try:
            for key in parents:
                part = part[key]
            part[last] = replacement
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change has replaced a parent
    return result

"""Descriptions and defaults in the chart's values.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator

from common.values_schema import FieldPath

_KEY = re.compile(r"^( *)([A-Za-z][\w-]*):(.*)$")
_DESCRIPTION = "-- "
"""Start of the first comment line of a description."""


def read_descriptions(text: str) -> dict[FieldPath, str]:
    """Return the ``# --`` comment above each field: path → text in one line."""
    descriptions: dict[FieldPath, str] = {}
    comment: list[str] = []
    for path, line in _lines_with_paths(text):
        if line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
            continue
        if path and comment and comment[0].startswith(_DESCRIPTION):
            descriptions[path] = " ".join(comment).removeprefix(_DESCRIPTION)
        comment = []
    return descriptions


def read_defaults(text: str) -> dict[FieldPath, str]:
    """Return the default of each field as written: path → text.

    A block is joined to one line.
    """
    defaults = {path: line.partition(":")[2].strip() for path, line in _lines_with_paths(text) if path}
    return {path: default or _join_block(path, defaults) for path, default in defaults.items()}


def _lines_with_paths(text: str) -> Iterator[tuple[FieldPath, str]]:
    """Yield each line without indentation, and the path of the key that it sets; no path for other lines."""
    parents: list[tuple[int, str]] = []
    for line in text.splitlines():
        match = _KEY.match(line)
        if match:
            indent, key = len(match[1]), match[2]
            parents = [(other, name) for other, name in parents if other < indent] + [(indent, key)]
        yield tuple(name for _, name in parents) if match else (), line.strip()


def _join_block(path: FieldPath, defaults: dict[FieldPath, str]) -> str:
    children = [child for child in defaults if child[:-1] == path]
    return (
        "{" + ", ".join(f"{child[-1]}: {defaults[child] or _join_block(child, defaults)}" for child in children) + "}"
    )

"""Traversal of the schema of the chart's values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_TEAM = "#/$defs/team"

Schema = dict[str, Any]
Path = tuple[str, ...]


def iterate_fields(schema: Schema, root: Schema | None = None, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """Yield every named field below a part of the schema with its path; `*` stands for list items and map keys.

    References to the team are resolved. Other definitions, such as Kubernetes objects, count as one field.

    Args:
        schema: the part.
        root: the complete schema; by default the part is complete.
        path: path of the part.
    """
    root = root or schema
    for name, field in schema.get("properties", {}).items():
        target = {**root["$defs"]["team"], **field} if is_team(field) else field
        yield (*path, name), target
        yield from iterate_fields(target, root, (*path, name))
    for inner in ("items", "additionalProperties"):
        below = schema.get(inner)
        if isinstance(below, dict):
            yield from iterate_fields(root["$defs"]["team"] if is_team(below) else below, root, (*path, "*"))


def settable_paths(schema: Schema) -> set[Path]:
    """Return the paths of fields without named fields below them; team fields count once, as teamDefaults."""
    return {path for path, field in iterate_fields(schema) if path[0] != "teams" and "properties" not in field}


def is_team(field: Schema) -> bool:
    """Return whether a field refers to the definition of a team."""
    return bool(field.get("$ref") == _TEAM)

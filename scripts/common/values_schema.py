"""Fields of the chart's values schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_TEAM = "#/$defs/team"

Schema = dict[str, Any]
FieldPath = tuple[str, ...]


def iterate_fields(
    schema: Schema, root: Schema | None = None, path: FieldPath = ()
) -> Iterator[tuple[FieldPath, Schema]]:
    """Yield every field below a schema with its path.

    In a path, ``*`` means an item of a list or a key of a map.

    The definition of a team is followed wherever it is referenced. Other definitions, such as Kubernetes objects,
    are one field.

    Args:
        schema: the schema to start from.
        root: the schema that holds the definitions; by default ``schema``.
        path: the path of ``schema``.
    """
    root = root or schema
    for name, field in schema.get("properties", {}).items():
        yield (*path, name), field
        yield from iterate_fields(_resolve_team(field, root), root, (*path, name))
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from iterate_fields(_resolve_team(schema[keyword], root), root, (*path, "*"))


def list_settable_paths(schema: Schema) -> set[FieldPath]:
    """Return the paths of all fields without named fields below them.

    The fields of a team count once, as those of teamDefaults.
    """
    return {path for path, field in iterate_fields(schema) if path[0] != "teams" and not has_fields(field, schema)}


def has_fields(field: Schema, root: Schema) -> bool:
    """Whether a field has named fields below it."""
    return "properties" in _resolve_team(field, root)


def is_team(field: Schema) -> bool:
    """Whether a field refers to the definition of a team."""
    return bool(field.get("$ref") == _TEAM)


def _resolve_team(field: Schema, root: Schema) -> Schema:
    return {**root["$defs"]["team"], **field} if is_team(field) else field

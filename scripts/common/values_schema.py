"""The schema of the chart's values, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_TEAM = "#/$defs/team"

Schema = dict[str, Any]
Path = tuple[str, ...]


def fields(schema: Schema, whole: Schema | None = None, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """Every field that a part of the schema names, with its path; what a list or a map holds has a star in it.

    A team is followed wherever it stands. Other definitions, such as Kubernetes' own objects, are one field.

    Args:
        schema: the part.
        whole: the schema that it is from; without one it is itself the whole.
        path: where the part stands.
    """
    whole = whole or schema
    for name, field in schema.get("properties", {}).items():
        target = {**whole["$defs"]["team"], **field} if is_team(field) else field
        yield (*path, name), target
        yield from fields(target, whole, (*path, name))
    for inner in ("items", "additionalProperties"):
        below = schema.get(inner)
        if isinstance(below, dict):
            yield from fields(whole["$defs"]["team"] if is_team(below) else below, whole, (*path, "*"))


def values(schema: Schema) -> set[Path]:
    """The paths of what can be set: fields that hold no named fields; teams count once, as teamDefaults."""
    return {path for path, field in fields(schema) if path[0] != "teams" and "properties" not in field}


def is_team(field: Schema) -> bool:
    """Whether a field is a team."""
    return bool(field.get("$ref") == _TEAM)

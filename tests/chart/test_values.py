"""values.yaml, its schema, and the versions: said once, or held together by these tests."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator

import yaml

from chart.rendering import CHART, ROOT, Object, checked_by
from common.values_schema import iterate_fields, settable_paths

SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text())
KEY = re.compile(r"^( *)([A-Za-z][\w-]*):")


def comments() -> dict[tuple[str, ...], str]:
    """The `# --` comments of values.yaml: path → text."""
    found: dict[tuple[str, ...], str] = {}
    path: list[tuple[int, str]] = []
    text: list[str] = []
    for line in (CHART / "values.yaml").read_text().splitlines():
        if line.strip().startswith("#"):
            text.append(line.strip().removeprefix("#").strip())
        elif match := KEY.match(line):
            path = [step for step in path if step[0] < len(match[1])] + [(len(match[1]), match[2])]
            if text and text[0].startswith("-- "):
                found[tuple(name for _, name in path)] = " ".join(text).removeprefix("-- ")
            text = []
        else:
            text = []
    return found


def defaults(values: Object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all values that values.yaml sets."""
    for name, value in values.items():
        yield (*path, name)
        if isinstance(value, dict):
            yield from defaults(value, (*path, name))


def test_every_field_has_a_description() -> None:
    bare = [".".join(path) for path, field in iterate_fields(SCHEMA) if not field.get("description")]
    assert bare == []


def test_our_own_objects_take_no_unknown_key() -> None:
    opened = [
        ".".join(path)
        for path, field in iterate_fields(SCHEMA)
        if "properties" in field and field.get("additionalProperties") is not False
    ]
    assert opened == []
    assert SCHEMA["additionalProperties"] is False


def test_every_field_of_the_chart_has_a_default() -> None:
    named = {path for path, _ in iterate_fields(SCHEMA) if "*" not in path and path != ("global",)}
    assert named <= set(defaults(yaml.safe_load((CHART / "values.yaml").read_text())))


def test_there_are_at_most_250_values() -> None:
    """Teams count once, as teamDefaults: what can be set, not how often."""
    assert 100 < len(settable_paths(SCHEMA)) <= 250


def test_values_and_schema_say_the_same() -> None:
    described = {path: field["description"] for path, field in iterate_fields(SCHEMA) if "*" not in path}
    described.pop(("global",))
    assert comments() == described


def test_kubernetes_own_objects_are_those_of_its_newest_version() -> None:
    assert checked_by("kubernetes-schema") == (0, "")


def unchecked(part: object, path: str) -> Iterator[str]:
    """The paths of the objects in a schema that may hold anything."""
    if not isinstance(part, dict):
        return
    if part.get("type") == "object" and not {"properties", "additionalProperties", "$ref"} & set(part):
        yield path
    for name, inner in part.items():
        yield from unchecked(inner, f"{path}.{name}")


def test_nothing_may_hold_anything_but_what_helm_itself_hands_down() -> None:
    assert list(unchecked(SCHEMA, "")) == [".properties.global"]


def test_the_reference_says_what_values_and_schema_say() -> None:
    assert checked_by("values-reference") == (0, "")


def test_chart_and_package_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert chart["version"] == project["project"]["version"]


def test_the_image_is_the_airflow_that_the_chart_names() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["images"]["airflow"]["tag"] == chart["appVersion"]

"""values.yaml, its schema and its reference agree with each other; so do the versions."""

from __future__ import annotations

import json
from collections.abc import Iterator

import yaml

from chart.rendering import CHART, Object, list_containers, map_pods_by_component, render, render_errors, run_check
from common.values_schema import iterate_fields, list_settable_paths
from common.values_yaml import read_descriptions
from project import VERSION

SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text())
SET_BY_HELM = (("global",), ("code",))


def iterate_defaults(values: Object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the paths of all values that values.yaml sets."""
    for name, value in values.items():
        yield (*path, name)
        if isinstance(value, dict):
            yield from iterate_defaults(value, (*path, name))


def test_every_field_has_a_description() -> None:
    assert [".".join(path) for path, field in iterate_fields(SCHEMA) if not field.get("description")] == []


def test_own_objects_refuse_unknown_keys() -> None:
    team = ((("team",), SCHEMA["$defs"]["team"]),)
    open_objects = [
        ".".join(path)
        for path, field in (*iterate_fields(SCHEMA), *team)
        if "properties" in field and field.get("additionalProperties") is not False
    ]
    assert open_objects == []
    assert SCHEMA["additionalProperties"] is False


def test_every_field_has_a_default() -> None:
    paths = {path for path, _ in iterate_fields(SCHEMA) if "*" not in path and path not in SET_BY_HELM}
    assert paths <= set(iterate_defaults(yaml.safe_load((CHART / "values.yaml").read_text())))


def test_values_are_at_most_250() -> None:
    """A team counts once, as teamDefaults."""
    assert 100 < len(list_settable_paths(SCHEMA)) <= 250


def test_every_value_has_its_description_in_values_yaml() -> None:
    descriptions = {path: field["description"] for path, field in iterate_fields(SCHEMA) if "*" not in path}
    for path in SET_BY_HELM:
        descriptions.pop(path)
    assert read_descriptions((CHART / "values.yaml").read_text()) == descriptions


def test_generated_reference_and_descriptions_are_up_to_date() -> None:
    assert run_check("values-reference") == (0, "")


def test_kubernetes_definitions_are_those_of_the_newest_version() -> None:
    assert run_check("kubernetes-schema") == (0, "")


def list_open_objects(part: object, path: str) -> Iterator[str]:
    """Yield the paths of the objects in a schema that may hold anything."""
    if not isinstance(part, dict):
        return
    if part.get("type") == "object" and not {"properties", "additionalProperties", "$ref"} & set(part):
        yield path
    for name, inner in part.items():
        yield from list_open_objects(inner, f"{path}.{name}")


def test_only_helm_s_global_value_may_hold_anything() -> None:
    assert list(list_open_objects(SCHEMA, "")) == [".properties.global"]


def test_subchart_has_no_values() -> None:
    assert render_errors({"code": {"enabled": True}}) == ["- at '/code': additional properties 'enabled' not allowed"]


def test_chart_and_package_have_the_same_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == VERSION


def test_airflow_image_tag_is_the_chart_s_app_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    containers = list_containers(map_pods_by_component(render())["scheduler"])
    assert {container["image"] for container in containers} == {f"docker.io/apache/airflow:{chart['appVersion']}"}

"""Every value of the chart can be set and has an effect."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.rendering import CHART, Object, render, render_text
from chart.test_values import SCHEMA
from common.values_schema import iterate_fields

ALL: Object = yaml.safe_load((Path(__file__).parent / "all-values.yaml").read_text())

UNCHANGED = {
    "airflow.enabled": "false removes most objects; test_team_layer_only.py sets it",
    "airflow.apiService.name": "refused unless the above is false; test_team_layer_only.py sets it",
    "airflow.apiService.port": "no effect unless the above is false; test_team_layer_only.py sets it",
    "template": "only the default template fits",
    "data.brokerUrlSecretName": "refused with the embedded broker; test_executors.py sets it",
    "data.metadataSecretName": "refused with the embedded database; test_airflow.py sets it",
    "data.metadataConnection.host": "refused with the embedded database; test_database.py sets it",
    "data.metadataConnection.port": "no effect without the above; test_database.py sets it",
    "data.metadataConnection.db": "no effect without the host; test_database.py sets it",
    "data.metadataConnection.user": "no effect without the host; test_database.py sets it",
    "data.metadataConnection.passwordSecretName": "no effect without the host; test_database.py sets it",
    "data.metadataConnection.caSecretName": "no effect without the host; test_database.py sets it",
    "data.metadataConnection.sslmode": "no effect without the host; test_database.py sets it",
    "dags.persistence.existingClaim": "refused with gitSync; test_shared_dags.py sets it",
    "dags.persistence.subPath": "no effect without the above; test_shared_dags.py sets it",
    "logs.persistence.existingClaim": "removes the components' own volumes; test_executors.py sets it",
    "migrateDatabaseJob.downgradeTo": "a version stops all Airflow components; test_migration.py sets it",
    "postgresql.enabled": "false is refused without one of the above; test_airflow.py sets it",
    "redis.enabled": "false is refused without an external broker; test_executors.py sets it",
}
"""Fields that keep their default in all-values.yaml: path → reason."""


def iterate_paths(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every value; ``*`` stands for a list item."""
    for name, value in values.items():
        yield (*path, name)
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                yield from iterate_paths(inner, (*path, name, "*") if isinstance(value, list) else (*path, name))


def list_team_fields() -> list[tuple[str, ...]]:
    """Return the paths of a team's fields that hold no other field."""
    fields = iterate_fields(SCHEMA["$defs"]["team"])
    return [path for path, field in fields if "*" not in path and "properties" not in field]


def copy_values_without(path: tuple[str, ...]) -> Object:
    """Return all-values.yaml without one field of team alpha."""
    values = deepcopy(ALL)
    parent = values["teams"]["alpha"]
    for name in path[:-1]:
        parent = parent[name]
    del parent[path[-1]]
    return values


def test_all_values_sets_every_field() -> None:
    team = set(iterate_paths(ALL["teams"]["alpha"]))
    team |= {("sizes", "*", name) for name in ALL["teams"]["alpha"]["sizes"]["huge"]}
    assert {path for path, _ in iterate_fields(SCHEMA["$defs"]["team"])} <= team
    platform = {
        path for path, _ in iterate_fields(SCHEMA) if path[0] not in ("teams", "teamDefaults", "global", "code")
    }
    assert platform <= set(iterate_paths(ALL))


def test_all_values_together_render_valid_objects() -> None:
    assert render(ALL)


def test_all_values_differ_from_their_defaults() -> None:
    default = yaml.safe_load((CHART / "values.yaml").read_text())

    def list_unchanged(values: Object, defaults: Object, prefix: str = "") -> Iterator[str]:
        for name, value in values.items():
            if isinstance(value, dict) and value and isinstance(defaults.get(name), dict):
                yield from list_unchanged(value, defaults[name], f"{prefix}{name}.")
            elif value == defaults.get(name):
                yield prefix + name

    platform = {name: value for name, value in ALL.items() if name not in ("teams", "teamDefaults")}
    unchanged = [*list_unchanged(platform, default), *list_unchanged(ALL["teams"]["alpha"], default["teamDefaults"])]
    assert sorted(unchanged) == sorted(UNCHANGED)


@pytest.mark.parametrize("path", [path for path in list_team_fields() if path != ("template",)], ids=".".join)
def test_every_team_field_has_an_effect(path: tuple[str, ...]) -> None:
    changed = copy_values_without(path)
    if path == ("sizes",):  # the default size would be missing
        changed["teams"]["alpha"]["defaultSize"] = "small"
        small = {**ALL["teams"]["alpha"], "defaultSize": "small"}
        assert render_text(changed) != render_text({**ALL, "teams": {**ALL["teams"], "alpha": small}})
    else:
        if path == ("labels",):  # one of them is required
            changed["teams"]["alpha"]["labels"] = {"cost-centre": "43"}
        assert render_text(changed) != render_text(ALL)

"""Every field of the chart can be set, and each one changes something."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.rendering import CHART, Object, render, text
from chart.test_values import SCHEMA
from common.values_schema import iterate_fields

ALL: Object = yaml.safe_load((Path(__file__).parent / "all-values.yaml").read_text())

ONE_VALUE_ONLY = {
    "airflow.enabled": "false leaves little to see; test_team_layer_only.py sets it",
    "airflow.apiService.name": "refused unless the above is false; test_team_layer_only.py sets it",
    "airflow.apiService.port": "of no effect unless the above is false; test_team_layer_only.py sets it",
    "template": "there is one template so far",
    "data.brokerUrlSecretName": "refused beside the embedded broker; test_executors.py sets it",
    "data.metadataSecretName": "refused beside the embedded database; test_airflow.py sets it",
    "data.metadataConnection.host": "refused beside the embedded database; test_database.py sets it",
    "data.metadataConnection.port": "of no effect without the above; test_database.py sets it",
    "data.metadataConnection.db": "of no effect without the host; test_database.py sets it",
    "data.metadataConnection.user": "of no effect without the host; test_database.py sets it",
    "data.metadataConnection.passwordSecretName": "of no effect without the host; test_database.py sets it",
    "data.metadataConnection.caSecretName": "of no effect without the host; test_database.py sets it",
    "data.metadataConnection.sslmode": "of no effect without the host; test_database.py sets it",
    "dags.persistence.existingClaim": "refused beside gitSync; test_shared_dags.py sets it",
    "dags.persistence.subPath": "of no effect without the above; test_shared_dags.py sets it",
    "logs.persistence.existingClaim": "leaves no volumes of their own; test_executors.py sets it",
    "migrateDatabaseJob.downgradeTo": "a version leaves nothing of Airflow running; test_migration.py sets it",
    "postgresql.enabled": "false is refused without the above; test_airflow.py sets it",
    "redis.enabled": "false is refused without a broker of one's own; test_executors.py sets it",
}
"""Fields that keep their default in all-values.yaml, and why."""


def paths(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every value; the name of a team, of a size or of an item is a star."""
    for name, value in values.items():
        yield (*path, name)
        below = value if isinstance(value, list) else [value]
        for inner in below:
            if isinstance(inner, dict):
                yield from paths(inner, (*path, name, "*") if isinstance(value, list) else (*path, name))


def settable() -> list[tuple[str, ...]]:
    """The fields of a team that hold no other field."""
    team = list(iterate_fields(SCHEMA["$defs"]["team"]))
    return [path for path, field in team if "*" not in path and "properties" not in field]


def without(path: tuple[str, ...]) -> Object:
    """All values but one of team alpha's."""
    values = deepcopy(ALL)
    holder = values["teams"]["alpha"]
    for name in path[:-1]:
        holder = holder[name]
    del holder[path[-1]]
    return values


def test_every_field_is_set_once() -> None:
    team = set(paths(ALL["teams"]["alpha"]))
    team |= {("sizes", "*", name) for name in ALL["teams"]["alpha"]["sizes"]["huge"]}
    assert {path for path, _ in iterate_fields(SCHEMA["$defs"]["team"])} <= team
    platform = {path for path, _ in iterate_fields(SCHEMA) if path[0] not in ("teams", "teamDefaults", "global")}
    assert platform <= set(paths(ALL))


def test_all_of_it_together_is_valid_for_kubernetes() -> None:
    assert render(ALL)


def test_every_value_differs_from_its_default() -> None:
    default = yaml.safe_load((CHART / "values.yaml").read_text())

    def same(given: Object, known: Object, path: str = "") -> Iterator[str]:
        for name, value in given.items():
            if isinstance(value, dict) and value and isinstance(known.get(name), dict):
                yield from same(value, known[name], f"{path}{name}.")
            elif value == known.get(name):
                yield path + name

    platform = {name: value for name, value in ALL.items() if name not in ("teams", "teamDefaults")}
    unchanged = [*same(platform, default), *same(ALL["teams"]["alpha"], default["teamDefaults"])]
    assert sorted(unchanged) == sorted(ONE_VALUE_ONLY)


@pytest.mark.parametrize("path", [path for path in settable() if path != ("template",)], ids=".".join)
def test_no_field_of_a_team_is_without_effect(path: tuple[str, ...]) -> None:
    changed = without(path)
    if path == ("sizes",):  # the default size would be missing
        changed["teams"]["alpha"]["defaultSize"] = "small"
        assert text(changed) != text({**ALL, "teams": {"alpha": {**ALL["teams"]["alpha"], "defaultSize": "small"}}})
    else:
        if path == ("labels",):  # one of them is required
            changed["teams"]["alpha"]["labels"] = {"cost-centre": "43"}
        assert text(changed) != text(ALL)

"""A database that is there already, named in parts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from chart.objects import env_by_name, list_secret_names
from chart.rendering import Object, find_by_prefix, list_containers, pods_by_component, render, render_text

EXTERNAL: Object = {
    "postgresql": {"enabled": False},
    "data": {
        "metadataConnection": {
            "host": "db.example",
            "port": 6432,
            "db": "orchestra",
            "user": "conductor",
            "passwordSecretName": "our-database",
            "sslmode": "verify-full",
            "caSecretName": "our-authority",
        }
    },
}
AUTHORITY = "/opt/kpo-platform/database-ca/ca.crt"
PASSWORD = "KPO_PLATFORM_DATABASE_PASSWORD"
URL = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
BESIDE = f"conductor:$({PASSWORD})@db.example:6432/orchestra"


def given() -> dict[str, dict[str, Any]]:
    """What the containers that speak to the database are told about it, by component and container."""
    found = {}
    for name, pod in pods_by_component(render(EXTERNAL)).items():
        for container in list_containers(pod):
            told = env_by_name(container)
            if URL in told:
                found[f"{name}/{container['name']}"] = {
                    key: told[key] for key in (PASSWORD, URL, f"{URL}_ASYNC", "PGSSLROOTCERT")
                }
    return found


def test_every_part_gets_the_url_in_both_drivers_words_and_the_password_from_the_secret() -> None:
    assert given() == {
        f"{component}/{container}": {
            PASSWORD: {"secretKeyRef": {"name": "our-database", "key": "password"}},
            URL: f"postgresql+psycopg2://{BESIDE}?sslmode=verify-full",
            f"{URL}_ASYNC": f"postgresql+asyncpg://{BESIDE}?ssl=verify-full",
            "PGSSLROOTCERT": AUTHORITY,
        }
        for component, container in [
            *((name, "wait-for-migrations") for name in ("api-server", "dag-processor", "scheduler", "triggerer")),
            *((name, name) for name in ("api-server", "dag-processor", "scheduler", "triggerer")),
            ("migration", "migrate"),
        ]
    }


EVERYBODY: Object = {
    **EXTERNAL,
    "executor": "CeleryExecutor",
    "databaseCleanup": {"enabled": True},
    "teams": {"alpha": {}},
}


def test_whoever_speaks_to_the_database_has_its_authority_and_nothing_else_of_that_secret() -> None:
    volume = {"secretName": "our-authority", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    told, mounted, volumes = set(), set(), {}
    for name, pod in pods_by_component(render(EVERYBODY)).items():
        for one in pod["spec"].get("volumes", []):
            if one["name"] == "database-ca":
                volumes[name] = one["secret"]
        for container in list_containers(pod):
            place = f"{name}/{container['name']}"
            if env_by_name(container).get("PGSSLROOTCERT") == AUTHORITY:
                told.add(place)
            if any(f"{one['mountPath']}/ca.crt" == AUTHORITY for one in container.get("volumeMounts", [])):
                mounted.add(place)
    looks = {"secrets": {"secretName": "our-authority", "optional": True}}
    speakers = {
        *("api-server", "dag-processor", "database-cleanup", "migration", "scheduler", "team-settings", "triggerer")
    }
    assert told == mounted
    assert {place.split("/")[0] for place in told} == speakers
    assert volumes == {**dict.fromkeys(speakers, volume), **looks}


def test_without_an_authority_of_its_own_the_drivers_are_told_of_none() -> None:
    connection = {key: value for key, value in EXTERNAL["data"]["metadataConnection"].items() if key != "caSecretName"}
    assert "PGSSLROOTCERT" not in render_text({**EXTERNAL, "data": {"metadataConnection": connection}})


@pytest.mark.parametrize(("variable", "word"), [(URL, "sslmode"), (f"{URL}_ASYNC", "ssl")])
def test_the_driver_finds_everything_in_its_url(variable: str, word: str) -> None:
    url = make_url(given()["migration/migrate"][variable].replace(f"$({PASSWORD})", "p%40ss"))
    arguments, named = url.get_dialect()().create_connect_args(url)
    known = {key: named[key] for key in ("host", "port", "user", "password", word)}
    assert arguments == []
    assert known == {
        "host": "db.example",
        "port": 6432,
        "user": "conductor",
        "password": "p@ss",
        word: "verify-full",
    }


def test_no_secret_is_made_for_it_and_nothing_of_the_embedded_one_is_left() -> None:
    objects = render(EXTERNAL)
    job = find_by_prefix(objects, "Job", "airflow-secrets-")
    made = json.loads(env_by_name(job["spec"]["template"]["spec"]["containers"][0])["SECRETS"])
    assert sorted(made) == ["admin", "api-secret-key", "fernet-key", "jwt-secret"]
    assert [item["metadata"]["name"] for item in objects if "postgresql" in item["metadata"]["name"]] == []
    assert list_secret_names(objects) == {*made.values(), "our-authority", "our-database"}


def test_the_migration_runs_again_for_another_database() -> None:
    other = {**EXTERNAL, "data": {"metadataConnection": {**EXTERNAL["data"]["metadataConnection"], "db": "second"}}}
    names = {
        find_by_prefix(render(values), "Job", "airflow-migration-")["metadata"]["name"] for values in (EXTERNAL, other)
    }
    assert len(names) == 2

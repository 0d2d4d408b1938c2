"""External database, configured with data.metadataConnection."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from chart.objects import list_secret_names, read_env
from chart.rendering import Object, find_by_prefix, list_containers, map_pods_by_component, render, render_text

EXTERNAL: Object = {
    "postgresql": {"enabled": False},
    "data": {
        "metadataConnection": {
            "host": "db.example",
            "port": 6432,
            "db": "orchestra",
            "user": "conductor",
            "passwordSecretName": "my-password",
            "sslmode": "verify-full",
            "caSecretName": "my-ca",
        }
    },
}
CA_FILE = "/opt/kpo-platform/database-ca/ca.crt"
PASSWORD = "KPO_PLATFORM_DATABASE_PASSWORD"
URL = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
CREDENTIALS_AND_HOST = f"conductor:$({PASSWORD})@db.example:6432/orchestra"


def read_database_env() -> dict[str, dict[str, Any]]:
    """Return the database variables of all containers that have them, by component and container."""
    variables = {}
    for name, pod in map_pods_by_component(render(EXTERNAL)).items():
        for container in list_containers(pod):
            env = read_env(container)
            if URL in env:
                variables[f"{name}/{container['name']}"] = {
                    key: env[key] for key in (PASSWORD, URL, f"{URL}_ASYNC", "PGSSLROOTCERT")
                }
    return variables


def test_containers_get_both_urls_and_the_password_secret() -> None:
    assert read_database_env() == {
        f"{component}/{container}": {
            PASSWORD: {"secretKeyRef": {"name": "my-password", "key": "password"}},
            URL: f"postgresql+psycopg2://{CREDENTIALS_AND_HOST}?sslmode=verify-full",
            f"{URL}_ASYNC": f"postgresql+asyncpg://{CREDENTIALS_AND_HOST}?ssl=verify-full",
            "PGSSLROOTCERT": CA_FILE,
        }
        for component, container in [
            *((name, "wait-for-migrations") for name in ("api-server", "dag-processor", "scheduler", "triggerer")),
            *((name, name) for name in ("api-server", "dag-processor", "scheduler", "triggerer")),
            ("migration", "migrate"),
        ]
    }


ALL_DATABASE_CLIENTS: Object = {
    **EXTERNAL,
    "executor": "CeleryExecutor",
    "databaseCleanup": {"enabled": True},
    "teams": {"alpha": {}},
}


def test_database_clients_mount_only_the_ca_certificate() -> None:
    volume = {"secretName": "my-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    configured, mounted, volumes = set(), set(), {}
    for name, pod in map_pods_by_component(render(ALL_DATABASE_CLIENTS)).items():
        for item in pod["spec"].get("volumes", []):
            if item["name"] == "database-ca":
                volumes[name] = item["secret"]
        for container in list_containers(pod):
            place = f"{name}/{container['name']}"
            if read_env(container).get("PGSSLROOTCERT") == CA_FILE:
                configured.add(place)
            if any(f"{mount['mountPath']}/ca.crt" == CA_FILE for mount in container.get("volumeMounts", [])):
                mounted.add(place)
    checked = {"secrets": {"secretName": "my-ca", "optional": True}}
    clients = {
        *("api-server", "dag-processor", "database-cleanup", "migration", "scheduler", "team-settings", "triggerer")
    }
    assert configured == mounted
    assert {place.split("/")[0] for place in configured} == clients
    assert volumes == {**dict.fromkeys(clients, volume), **checked}


def test_without_ca_secret_no_ca_file_is_configured() -> None:
    connection = {key: value for key, value in EXTERNAL["data"]["metadataConnection"].items() if key != "caSecretName"}
    assert "PGSSLROOTCERT" not in render_text({**EXTERNAL, "data": {"metadataConnection": connection}})


@pytest.mark.parametrize(("variable", "option"), [(URL, "sslmode"), (f"{URL}_ASYNC", "ssl")])
def test_driver_reads_all_options_from_its_url(variable: str, option: str) -> None:
    url = make_url(read_database_env()["migration/migrate"][variable].replace(f"$({PASSWORD})", "p%40ss"))
    arguments, named = url.get_dialect()().create_connect_args(url)
    options = {key: named[key] for key in ("host", "port", "user", "password", option)}
    assert arguments == []
    assert options == {
        "host": "db.example",
        "port": 6432,
        "user": "conductor",
        "password": "p@ss",
        option: "verify-full",
    }


def test_external_database_replaces_the_embedded_one() -> None:
    objects = render(EXTERNAL)
    job = find_by_prefix(objects, "Job", "airflow-secrets-")
    generated = json.loads(read_env(job["spec"]["template"]["spec"]["containers"][0])["SECRETS"])
    assert sorted(generated) == ["admin", "api-secret-key", "fernet-key", "jwt-secret"]
    assert [item["metadata"]["name"] for item in objects if "postgresql" in item["metadata"]["name"]] == []
    assert list_secret_names(objects) == {*generated.values(), "my-ca", "my-password"}


def test_migration_runs_again_for_another_database() -> None:
    other_database = {
        **EXTERNAL,
        "data": {"metadataConnection": {**EXTERNAL["data"]["metadataConnection"], "db": "second"}},
    }
    names = {
        find_by_prefix(render(values), "Job", "airflow-migration-")["metadata"]["name"]
        for values in (EXTERNAL, other_database)
    }
    assert len(names) == 2

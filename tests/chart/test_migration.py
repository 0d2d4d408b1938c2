"""The migration Job: migrate, downgrade, and refuse a newer database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from types import ModuleType

import pytest
from sqlalchemy import Connection, create_engine, event, text

from chart.objects import read_env
from chart.pod_scripts import load_script
from chart.rendering import Object, find_by_prefix, find_object, map_pods_by_component, render

DOWNGRADE: Object = {"migrateDatabaseJob": {"downgradeTo": "3.2.2"}, "scheduler": {"replicas": 2}}
COMPONENTS = {
    "airflow-api-server": "Deployment",
    "airflow-dag-processor": "Deployment",
    "airflow-scheduler": "StatefulSet",
    "airflow-triggerer": "StatefulSet",
}


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load_script("database", monkeypatch)


@pytest.fixture
def connection() -> Iterator[Connection]:
    """An SQLite database with the PostgreSQL function that the script uses."""
    engine = create_engine("sqlite://")

    @event.listens_for(engine, "connect")
    def add_function(raw: object, _: object) -> None:
        def to_regclass(name: str) -> str | None:
            with closing(raw.cursor()) as cursor:  # type: ignore[attr-defined]
                row = cursor.execute("SELECT name FROM sqlite_master WHERE name = ?", (name,)).fetchone()
            return row and row[0]

        raw.create_function("to_regclass", 1, to_regclass)  # type: ignore[attr-defined]

    with engine.connect() as connection:
        yield connection


def store_revision(connection: Connection, table: str, revision: str) -> None:
    connection.execute(text(f"CREATE TABLE {table} (version_num TEXT)"))
    connection.execute(text(f"INSERT INTO {table} VALUES ('{revision}')"))


def test_empty_or_current_database_is_accepted(database: ModuleType, connection: Connection) -> None:
    from airflow.providers.fab.auth_manager.models.db import _REVISION_HEADS_MAP as FAB_HEADS
    from airflow.utils.db import _REVISION_HEADS_MAP as AIRFLOW_HEADS

    database.exit_if_database_is_newer(connection)
    store_revision(connection, "alembic_version", list(AIRFLOW_HEADS.values())[-1])
    store_revision(connection, "alembic_version_fab", list(FAB_HEADS.values())[-1])
    database.exit_if_database_is_newer(connection)


AIRFLOW, FAB = version("apache-airflow"), version("apache-airflow-providers-fab")


@pytest.mark.parametrize(
    ("table", "image", "downgrade"),
    [
        ("alembic_version", f"Airflow {AIRFLOW}", f"set migrateDatabaseJob.downgradeTo={AIRFLOW} in that release"),
        (
            "alembic_version_fab",
            f"FAB provider {FAB}",
            f"run `airflow fab-db downgrade --to-version {FAB} --yes` in its API server",
        ),
    ],
)
def test_newer_database_is_refused_with_the_downgrade(
    database: ModuleType,
    connection: Connection,
    table: str,
    image: str,
    downgrade: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store_revision(connection, table, "0123456789ab")
    with pytest.raises(SystemExit) as failure:
        database.exit_if_database_is_newer(connection)
    assert failure.value.code == 65
    assert capsys.readouterr().err == (
        f"The image with {image} does not know revision 0123456789ab in table {table}: a newer image has migrated the "
        "database. Return to the newer image, then delete the pods that have not started, because Kubernetes does not "
        "replace those of a StatefulSet (kubectl delete pod --field-selector status.phase=Pending --selector "
        "statefulset.kubernetes.io/pod-name, in this namespace). To use this image, downgrade the schema with the "
        f"newer image first: {downgrade} (docs/upgrade.md, Rollback).\n"
    )


def test_job_does_not_retry_on_a_newer_database() -> None:
    job = find_by_prefix(render(), "Job", "airflow-migration-")["spec"]
    assert {key: value for key, value in job.items() if key != "template"} == {
        "backoffLimit": 10,
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "FailJob",
                    "onExitCodes": {"containerName": "migrate", "operator": "In", "values": [65]},
                }
            ]
        },
    }
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_pods_of_failed_jobs_stay() -> None:
    jobs = [item for item in render({"teams": {"alpha": {}}}) if item["kind"] == "Job"]
    policies = {
        job["metadata"]["labels"]["app.kubernetes.io/component"]: job["spec"]["template"]["spec"]["restartPolicy"]
        for job in jobs
    }
    assert policies == dict.fromkeys(["migration", "secrets", "team-settings"], "Never")


@pytest.mark.parametrize("executor", ["LocalExecutor", "CeleryExecutor", "KubernetesExecutor"])
def test_the_test_pod_is_the_only_helm_hook(executor: str) -> None:
    values = {"executor": executor, "logs": {"persistence": {"existingClaim": "logs"}}, "teams": {"alpha": {}}}
    hooks = {
        f"{item['kind']} {item['metadata']['name']}": annotations["helm.sh/hook"]
        for item in render(values)
        if "helm.sh/hook" in (annotations := item["metadata"].get("annotations", {}))
    }
    assert hooks == {"Pod airflow-test": "test"}


def test_wait_reasons_appear_in_the_pod_status() -> None:
    policies = {
        f"{component}/{container['name']}": container["terminationMessagePolicy"]
        for component, pod in map_pods_by_component(render({"teams": {"alpha": {}}})).items()
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
        if "terminationMessagePolicy" in container
    }
    waiting = ("api-server", "dag-processor", "scheduler", "team-settings", "triggerer")
    expected = [
        *(f"{component}/wait-for-migrations" for component in waiting),
        "dag-processor/wait-for-roles",
        "migration/migrate",
        "secrets/make-secrets",
        "team-settings/team-settings",
    ]
    assert policies == dict.fromkeys(expected, "FallbackToLogsOnError")


def test_airflow_has_no_replicas_during_a_downgrade() -> None:
    objects = render(DOWNGRADE)
    assert {
        name: find_object(objects, kind, name)["spec"]["replicas"] for name, kind in COMPONENTS.items()
    } == dict.fromkeys(COMPONENTS, 0)
    assert find_object(objects, "StatefulSet", "airflow-postgresql")["spec"]["replicas"] == 1


def test_downgrade_and_migration_are_different_jobs() -> None:
    jobs = [find_by_prefix(render(values), "Job", "airflow-migration-") for values in ({}, DOWNGRADE)]
    targets = [read_env(job["spec"]["template"]["spec"]["containers"][0])["DOWNGRADE_TO"] for job in jobs]
    assert targets == ["", "3.2.2"]
    assert jobs[0]["metadata"]["name"] != jobs[1]["metadata"]["name"]

"""The database's schema: brought up to date by one Job, taken back by it, and never waited for in vain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from types import ModuleType

import pytest
from sqlalchemy import Connection, create_engine, event, text

from chart.rendering import Object, find_by_prefix, find_object, pods_by_component, render
from chart.test_scripts import script
from chart.test_secrets import variables

BACK: Object = {"migrateDatabaseJob": {"downgradeTo": "3.2.2"}, "scheduler": {"replicas": 2}}
COMPONENTS = {
    "airflow-api-server": "Deployment",
    "airflow-dag-processor": "Deployment",
    "airflow-scheduler": "StatefulSet",
    "airflow-triggerer": "StatefulSet",
}


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return script("database", monkeypatch)


@pytest.fixture
def connection() -> Iterator[Connection]:
    """A database that answers like PostgreSQL as far as the script asks it."""
    engine = create_engine("sqlite://")

    @event.listens_for(engine, "connect")
    def learn(raw: object, _: object) -> None:
        def to_regclass(name: str) -> str | None:
            with closing(raw.cursor()) as cursor:  # type: ignore[attr-defined]
                found = cursor.execute("SELECT name FROM sqlite_master WHERE name = ?", (name,)).fetchone()
            return found and found[0]

        raw.create_function("to_regclass", 1, to_regclass)  # type: ignore[attr-defined]

    with engine.connect() as opened:
        yield opened


def store(connection: Connection, table: str, revision: str) -> None:
    connection.execute(text(f"CREATE TABLE {table} (version_num TEXT)"))
    connection.execute(text(f"INSERT INTO {table} VALUES ('{revision}')"))


def test_an_empty_database_and_one_of_this_image_are_taken(database: ModuleType, connection: Connection) -> None:
    from airflow.providers.fab.auth_manager.models.db import _REVISION_HEADS_MAP as OF_FAB
    from airflow.utils.db import _REVISION_HEADS_MAP as OF_AIRFLOW

    database.refuse_newer(connection)
    store(connection, "alembic_version", list(OF_AIRFLOW.values())[-1])
    store(connection, "alembic_version_fab", list(OF_FAB.values())[-1])
    database.refuse_newer(connection)


AIRFLOW, FAB = version("apache-airflow"), version("apache-airflow-providers-fab")


@pytest.mark.parametrize(
    ("table", "image", "how"),
    [
        ("alembic_version", f"Airflow {AIRFLOW}", f"migrateDatabaseJob.downgradeTo={AIRFLOW}"),
        (
            "alembic_version_fab",
            f"FAB provider {FAB}",
            f"`airflow fab-db downgrade --to-version {FAB} --yes` in its API server",
        ),
    ],
)
def test_a_database_that_a_newer_image_migrated_is_refused_with_the_way_back(
    database: ModuleType,
    connection: Connection,
    table: str,
    image: str,
    how: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store(connection, table, "0123456789ab")
    with pytest.raises(SystemExit) as ended:
        database.refuse_newer(connection)
    assert ended.value.code == 65
    assert capsys.readouterr().err == (
        f"the database has revision 0123456789ab in {table}, which this image with {image} does not know: a newer "
        "image has migrated it. Go back to that one, and then delete the pods that have not started, for Kubernetes "
        "does not replace those of a StatefulSet (kubectl delete pod --field-selector status.phase=Pending --selector "
        "statefulset.kubernetes.io/pod-name, in this namespace); to come here all the same, have it take the schema "
        f"back first, by {how} (docs/upgrade.md, Rollback)\n"
    )


def test_the_job_gives_up_at_once_on_such_a_database() -> None:
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


def test_the_pods_of_a_job_that_fails_stay_to_be_read() -> None:
    jobs = [item for item in render({"teams": {"alpha": {}}}) if item["kind"] == "Job"]
    policies = {
        job["metadata"]["labels"]["app.kubernetes.io/component"]: job["spec"]["template"]["spec"]["restartPolicy"]
        for job in jobs
    }
    assert policies == dict.fromkeys(["migration", "secrets", "team-settings"], "Never")


@pytest.mark.parametrize("executor", ["LocalExecutor", "CeleryExecutor", "KubernetesExecutor"])
def test_only_a_test_is_a_hook_of_helm_so_that_apply_and_wait_need_none(executor: str) -> None:
    values = {"executor": executor, "logs": {"persistence": {"existingClaim": "logs"}}, "teams": {"alpha": {}}}
    hooks = {
        f"{item['kind']} {item['metadata']['name']}": annotations["helm.sh/hook"]
        for item in render(values)
        if "helm.sh/hook" in (annotations := item["metadata"].get("annotations", {}))
    }
    assert hooks == {"Pod airflow-test": "test"}


def test_what_a_pod_waits_for_stands_in_its_status() -> None:
    found = {
        f"{component}/{container['name']}": container["terminationMessagePolicy"]
        for component, pod in pods_by_component(render({"teams": {"alpha": {}}})).items()
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
    assert found == dict.fromkeys(expected, "FallbackToLogsOnError")


def test_nothing_of_airflow_runs_while_the_schema_is_taken_back() -> None:
    objects = render(BACK)
    assert {
        name: find_object(objects, kind, name)["spec"]["replicas"] for name, kind in COMPONENTS.items()
    } == dict.fromkeys(COMPONENTS, 0)
    assert find_object(objects, "StatefulSet", "airflow-postgresql")["spec"]["replicas"] == 1


def test_to_take_it_back_is_another_job_and_so_is_the_way_forward() -> None:
    jobs = [find_by_prefix(render(values), "Job", "airflow-migration-") for values in ({}, BACK)]
    told = [variables(job["spec"]["template"]["spec"]["containers"][0])["DOWNGRADE_TO"] for job in jobs]
    assert told == ["", "3.2.2"]
    assert jobs[0]["metadata"]["name"] != jobs[1]["metadata"]["name"]

"""A database whose schema is another than the image's: ahead, and it is said at once; taken back, and forward again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from cluster.documented import commands, follow
from cluster.endings import wait_for_last_words
from cluster.lasting import components, finished_run, holdings, holdings_again, kill, settle, wait_until_ready
from cluster.postgres import query
from cluster.runs import Run
from common.paths import REPOSITORY
from common.run import capture
from common.steps import Steps
from common.waiting import NotYet, wait_for
from road.airflow_api import AirflowApi
from road.bring_up import install
from road.stack import CHART, NAMESPACE, RELEASE, VALUES, Stack

LATER = "0123456789ab"
OF_AIRFLOW_3_2 = "1d6611b6ab7c"
OF_FAB_1_4 = "6709f7a774b9"
SENTENCE = (
    f"the database has revision {LATER} in alembic_version, which this image with Airflow 3.3.2 does not know: a newer "
    "image has migrated it. Go back to that one; to come here all the same, have it take the schema back first, by "
    "migrateDatabaseJob.downgradeTo=3.3.2 (docs/airflow.md, Going back)"
)
FAB_SENTENCE = (
    f"the database has revision {LATER} in alembic_version_fab, which this image with FAB provider 3.9.0 does not "
    "know: a newer image has migrated it. Go back to that one; to come here all the same, have it take the schema back "
    "first, by `airflow fab-db downgrade --to-version 3.9.0 --yes` in its API server (docs/airflow.md, Going back)"
)


@pytest.fixture(scope="module")
def history(stack: Stack, airflow: AirflowApi) -> Iterator[Run]:
    yield finished_run(stack, airflow)
    install(Steps(), stack)


@contextmanager
def ahead(stack: Stack, table: str) -> Iterator[None]:
    """The database is as a newer image would have left it."""
    known = query(stack, f"SELECT version_num FROM {table}")
    query(stack, f"UPDATE {table} SET version_num = '{LATER}'")
    try:
        yield
    finally:
        query(stack, f"UPDATE {table} SET version_num = '{known}'")


def test_pods_and_the_migration_job_say_that_the_database_is_ahead_and_the_job_gives_up(
    stack: Stack, history: Run, tmp_path: Path
):
    with ahead(stack, "alembic_version"):
        kill(stack, "dag-processor")
        another_job(stack, tmp_path)
        wait_for_last_words(stack, "migration", "migrate", 65, SENTENCE)
        wait_for("the migration Job to give up", lambda: given_up(stack), deadline_s=60)
        wait_for_last_words(stack, "dag-processor", "wait-for-migrations", 65, SENTENCE)


def another_job(stack: Stack, folder: Path) -> None:
    """Upgrade so that the migration is due again; it cannot end well."""
    values = {"migrateDatabaseJob": {"resources": {"requests": {"memory": "513Mi"}}}}
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    words = ["upgrade", RELEASE, CHART, "--namespace", NAMESPACE, "--values", VALUES]
    stack.helm([*words, "--values", folder / "values.yaml"], lambda _: None, timeout_s=120)


def given_up(stack: Stack) -> None:
    jobs = stack.get("jobs", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=migration")["items"]
    job = max(jobs, key=lambda job: str(job["metadata"]["creationTimestamp"]))
    reasons = [one.get("reason") for one in job["status"].get("conditions", []) if one["type"] == "Failed"]
    if reasons != ["PodFailurePolicy"]:
        raise NotYet(str(job["status"]))


def test_the_waiting_pod_starts_once_the_database_is_right_again(stack: Stack, history: Run):
    wait_until_ready(stack, "dag-processor")


def test_pods_say_that_the_tables_of_people_are_ahead_and_how_those_are_taken_back(stack: Stack, history: Run):
    with ahead(stack, "alembic_version_fab"):
        kill(stack, "dag-processor")
        wait_for_last_words(stack, "dag-processor", "wait-for-migrations", 65, FAB_SENTENCE)


def test_the_tables_of_people_are_taken_back_as_the_page_says(stack: Stack, history: Run):
    wait_until_ready(stack, "dag-processor")
    newest = query(stack, "SELECT version_num FROM alembic_version_fab")
    follow(stack, commands("Going back")[1], REPOSITORY)
    assert query(stack, "SELECT version_num FROM alembic_version_fab") == OF_FAB_1_4 != newest


def test_the_schema_is_taken_back_and_a_rollback_brings_everything_up(stack: Stack, airflow: AirflowApi, history: Run):
    install(Steps(), stack)
    before = holdings(stack, airflow, history)
    back, forth = commands_of_going_back(revision(stack))
    follow(stack, back, REPOSITORY)
    assert query(stack, "SELECT version_num FROM alembic_version") == OF_AIRFLOW_3_2
    assert components(stack).keys() == {"postgresql"}
    follow(stack, forth, REPOSITORY)
    settle(stack)
    assert query(stack, "SELECT version_num FROM alembic_version_fab") != OF_FAB_1_4
    assert holdings_again(stack, airflow, history) == before
    finished_run(stack, airflow)


def revision(stack: Stack) -> int:
    """The number of the release's revision, as `helm history` shows it."""
    words = [stack.programs / "helm", "status", RELEASE, "--namespace", NAMESPACE, "--output", "json"]
    return int(json.loads(capture(words, env=stack.variables))["version"])


def commands_of_going_back(revision: int) -> tuple[str, str]:
    """Give the page's commands that take the schema back, and the one that rolls back to a revision."""
    back, rollback = commands("Going back")[0].split("helm rollback")
    assert rollback.count("REVISION") == 1
    return back, f"helm rollback{rollback.replace('REVISION', str(revision))}"

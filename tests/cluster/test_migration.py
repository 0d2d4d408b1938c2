"""A database whose schema is another than the image's: ahead, and it is said at once; taken back, and forward again.

And pods that cannot start, which hold a roll-back up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import Any

import pytest
import yaml

from cluster.support.airflow_runs.dag_run import Run
from cluster.support.airflow_runs.long_runs import (
    kill_component_pod,
    read_component_pods,
    read_persistent_state,
    run_short_dag,
    wait_for_component,
    wait_for_persistent_state,
    wait_until_stable,
)
from cluster.support.docs.commands import read_commands, run_commands
from cluster.support.pods.container_end import END_S, wait_for_container_end
from cluster.support.services.embedded_database import query_database
from common.command import capture_output
from common.paths import REPOSITORY
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.install import install_release
from stack.release import CHART, NAMESPACE, RELEASE, VALUES, Stack

LATER = "0123456789ab"
OF_AIRFLOW_3_2 = "1d6611b6ab7c"
OF_FAB_1_4 = "6709f7a774b9"
SENTENCE = (
    "the database has revision {later} in {table}, which this image with {image} does not know: a newer image has "
    "migrated it. Go back to that one, and then delete the pods that have not started, for Kubernetes does not replace "
    "those of a StatefulSet (kubectl delete pod --field-selector status.phase=Pending --selector "
    "statefulset.kubernetes.io/pod-name, in this namespace); to come here all the same, have it take the schema back "
    "first, by {how} (docs/upgrade.md, Rollback)"
).format
AIRFLOW_AHEAD = SENTENCE(
    later=LATER, table="alembic_version", image="Airflow 3.3.2", how="migrateDatabaseJob.downgradeTo=3.3.2"
)
FAB_AHEAD = SENTENCE(
    later=LATER,
    table="alembic_version_fab",
    image="FAB provider 3.9.0",
    how="`airflow fab-db downgrade --to-version 3.9.0 --yes` in its API server",
)


@pytest.fixture(scope="module")
def history(stack: Stack, airflow: AirflowApi) -> Iterator[Run]:
    yield run_short_dag(stack, airflow)
    install_release(Steps(), stack)


@contextmanager
def ahead(stack: Stack, table: str) -> Iterator[None]:
    """The database is as a newer image would have left it."""
    known = query_database(stack, f"SELECT version_num FROM {table}")
    query_database(stack, f"UPDATE {table} SET version_num = '{LATER}'")
    try:
        yield
    finally:
        query_database(stack, f"UPDATE {table} SET version_num = '{known}'")


def test_pods_and_the_migration_job_say_that_the_database_is_ahead_and_the_job_gives_up(
    stack: Stack, history: Run, tmp_path: Path
):
    with ahead(stack, "alembic_version"):
        kill_component_pod(stack, "dag-processor")
        another_job(stack, tmp_path)
        wait_for_container_end(stack, "migration", "migrate", 65, AIRFLOW_AHEAD)
        wait_for("the migration Job to give up", lambda: given_up(stack), deadline_s=60)
        wait_for_container_end(stack, "dag-processor", "wait-for-migrations", 65, AIRFLOW_AHEAD)


def another_job(stack: Stack, folder: Path) -> None:
    """Upgrade so that the migration is due again; it cannot end well."""
    upgrade(stack, folder, {"migrateDatabaseJob": {"resources": {"requests": {"memory": "513Mi"}}}})


def upgrade(stack: Stack, folder: Path, values: dict[str, Any]) -> None:
    """Upgrade without waiting for what becomes of it."""
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
    wait_for_component(stack, "dag-processor")


def test_pods_say_that_the_tables_of_people_are_ahead_and_how_those_are_taken_back(stack: Stack, history: Run):
    with ahead(stack, "alembic_version_fab"):
        kill_component_pod(stack, "dag-processor")
        wait_for_container_end(stack, "dag-processor", "wait-for-migrations", 65, FAB_AHEAD)


def test_the_tables_of_people_are_taken_back_as_the_page_says(stack: Stack, history: Run):
    wait_for_component(stack, "dag-processor")
    newest = query_database(stack, "SELECT version_num FROM alembic_version_fab")
    run_commands(stack, read_commands("upgrade.md", "FAB tables")[0], REPOSITORY)
    assert query_database(stack, "SELECT version_num FROM alembic_version_fab") == OF_FAB_1_4 != newest


def test_the_schema_is_taken_back_and_a_rollback_brings_everything_up(stack: Stack, airflow: AirflowApi, history: Run):
    install_release(Steps(), stack)
    before = read_persistent_state(stack, airflow, history)
    back, forth = commands_of_going_back(revision(stack))[:2]
    run_commands(stack, back, REPOSITORY)
    assert query_database(stack, "SELECT version_num FROM alembic_version") == OF_AIRFLOW_3_2
    assert read_component_pods(stack).keys() == {"postgresql"}
    run_commands(stack, forth, REPOSITORY)
    wait_until_stable(stack)
    assert query_database(stack, "SELECT version_num FROM alembic_version_fab") != OF_FAB_1_4
    assert wait_for_persistent_state(stack, airflow, history) == before
    run_short_dag(stack, airflow)


def revision(stack: Stack) -> int:
    """The number of the release's revision, as `helm history` shows it."""
    words = [stack.programs / "helm", "status", RELEASE, "--namespace", NAMESPACE, "--output", "json"]
    return int(json.loads(capture_output(words, env=stack.environment))["version"])


def commands_of_going_back(revision: int) -> tuple[str, str, str]:
    """Give the page's commands that take the schema back, that roll back to a revision, and for when that hangs."""
    headings = "Rollback", "Pods that do not start"
    blocks = (read_commands("upgrade.md", heading)[0] for heading in headings)
    schema, hanging = (block.replace("REVISION", str(revision)) for block in blocks)
    back, rollback = schema.split("helm rollback")
    return back, f"helm rollback{rollback}", hanging


def test_pods_that_cannot_start_hang_after_a_rollback_until_they_are_deleted(
    stack: Stack, airflow: AirflowApi, history: Run, tmp_path: Path
):
    install_release(Steps(), stack)
    before = read_persistent_state(stack, airflow, history)
    rollback, follow_up = commands_of_going_back(revision(stack))[2].split("kubectl delete")
    upgrade(stack, tmp_path, {"platform": {"package": "image"}})
    stuck = wait_for("scheduler and triggerer to fail", lambda: failing(stack), END_S, interval_s=2)
    run_commands(stack, rollback, REPOSITORY)
    sleep(60)
    assert failing(stack) == stuck
    run_commands(stack, f"kubectl delete{follow_up}", REPOSITORY)
    wait_until_stable(stack)
    assert wait_for_persistent_state(stack, airflow, history) == before
    run_short_dag(stack, airflow)


def failing(stack: Stack) -> dict[str, str]:
    """The uids of scheduler and triggerer once both have tried in vain to start."""
    pods = stack.get("pods", "-n", NAMESPACE, "--field-selector", "status.phase=Pending")["items"]
    found = {
        pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod["metadata"]["uid"]
        for pod in pods
        if any(one["restartCount"] for one in pod["status"].get("initContainerStatuses", []))
    }
    seen = {component: uid for component, uid in found.items() if component in ("scheduler", "triggerer")}
    if len(seen) != 2:
        raise NotYet(str(found))
    return seen

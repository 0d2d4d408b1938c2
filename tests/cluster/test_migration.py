"""A database with a newer schema than the image's: it is reported, downgraded, and upgraded again.

Also pods that cannot start, which block a rollback.
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
from common.airflow_version import AIRFLOW_VERSION
from common.command import capture_output
from common.paths import REPOSITORY
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.embedded_database import query_database
from stack.install import install_release
from stack.release import CHART, NAMESPACE, RELEASE, VALUES, Stack

NEWER_REVISION = "0123456789ab"
AIRFLOW_3_2_REVISION = "1d6611b6ab7c"
FAB_1_4_REVISION = "6709f7a774b9"
MESSAGE = (
    "The image with {image} does not know revision {later} in table {table}: a newer image has migrated the database. "
    "Return to the newer image, then delete the pods that have not started, because Kubernetes does not replace those "
    "of a StatefulSet (kubectl delete pod --field-selector status.phase=Pending --selector "
    "statefulset.kubernetes.io/pod-name, in this namespace). To use this image, downgrade the schema with the newer "
    "image first: {how} (docs/upgrade.md, Rollback)."
).format
AIRFLOW_MESSAGE = MESSAGE(
    later=NEWER_REVISION,
    table="alembic_version",
    image=f"Airflow {AIRFLOW_VERSION}",
    how=f"set migrateDatabaseJob.downgradeTo={AIRFLOW_VERSION} in that release",
)
FAB_MESSAGE = MESSAGE(
    later=NEWER_REVISION,
    table="alembic_version_fab",
    image="FAB provider 3.9.0",
    how="run `airflow fab-db downgrade --to-version 3.9.0 --yes` in its API server",
)


@pytest.fixture(scope="module")
def history(stack: Stack, airflow: AirflowApi) -> Iterator[Run]:
    yield run_short_dag(stack, airflow)
    install_release(Steps(), stack)


@contextmanager
def newer_revision(stack: Stack, table: str) -> Iterator[None]:
    """Set the revision to one of a newer image during the block."""
    revision_before = query_database(stack, f"SELECT version_num FROM {table}")
    query_database(stack, f"UPDATE {table} SET version_num = '{NEWER_REVISION}'")
    try:
        yield
    finally:
        query_database(stack, f"UPDATE {table} SET version_num = '{revision_before}'")


def test_newer_database_is_reported_and_the_job_fails(stack: Stack, history: Run, tmp_path: Path):
    with newer_revision(stack, "alembic_version"):
        kill_component_pod(stack, "dag-processor")
        run_migration_again(stack, tmp_path)
        wait_for_container_end(stack, "migration", "migrate", 65, AIRFLOW_MESSAGE)
        wait_for("the migration Job to fail", lambda: check_job_failed(stack), deadline_s=60)
        wait_for_container_end(stack, "dag-processor", "wait-for-migrations", 65, AIRFLOW_MESSAGE)


def run_migration_again(stack: Stack, folder: Path) -> None:
    """Upgrade so that the migration Job runs again; it cannot succeed."""
    upgrade(stack, folder, {"migrateDatabaseJob": {"resources": {"requests": {"memory": "513Mi"}}}})


def upgrade(stack: Stack, folder: Path, values: dict[str, Any]) -> None:
    """Upgrade without waiting for the result."""
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    words = ["upgrade", RELEASE, CHART, "--namespace", NAMESPACE, "--values", VALUES]
    stack.helm([*words, "--values", folder / "values.yaml"], lambda _: None, timeout_s=120)


def check_job_failed(stack: Stack) -> None:
    jobs = stack.get("jobs", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=migration")["items"]
    job = max(jobs, key=lambda job: str(job["metadata"]["creationTimestamp"]))
    reasons = [
        condition.get("reason") for condition in job["status"].get("conditions", []) if condition["type"] == "Failed"
    ]
    if reasons != ["PodFailurePolicy"]:
        raise NotYet(str(job["status"]))


def test_waiting_pod_starts_once_the_database_matches_again(stack: Stack, history: Run):
    wait_for_component(stack, "dag-processor")


def test_newer_fab_tables_are_reported_with_their_downgrade(stack: Stack, history: Run):
    with newer_revision(stack, "alembic_version_fab"):
        kill_component_pod(stack, "dag-processor")
        wait_for_container_end(stack, "dag-processor", "wait-for-migrations", 65, FAB_MESSAGE)


def test_fab_tables_are_downgraded_as_documented(stack: Stack, history: Run):
    wait_for_component(stack, "dag-processor")
    newest = query_database(stack, "SELECT version_num FROM alembic_version_fab")
    run_commands(stack, read_commands("upgrade.md", "FAB tables")[0], REPOSITORY)
    assert query_database(stack, "SELECT version_num FROM alembic_version_fab") == FAB_1_4_REVISION != newest


def test_downgrade_and_rollback_restore_the_release(stack: Stack, airflow: AirflowApi, history: Run):
    install_release(Steps(), stack)
    before = read_persistent_state(stack, airflow, history)
    downgrade, rollback = read_rollback_commands(read_revision(stack))[:2]
    run_commands(stack, downgrade, REPOSITORY)
    assert query_database(stack, "SELECT version_num FROM alembic_version") == AIRFLOW_3_2_REVISION
    assert read_component_pods(stack).keys() == {"postgresql"}
    run_commands(stack, rollback, REPOSITORY)
    wait_until_stable(stack)
    assert query_database(stack, "SELECT version_num FROM alembic_version_fab") != FAB_1_4_REVISION
    assert wait_for_persistent_state(stack, airflow, history) == before
    run_short_dag(stack, airflow)


def read_revision(stack: Stack) -> int:
    """Return the number of the release's revision, as `helm history` shows it."""
    words = [stack.programs / "helm", "status", RELEASE, "--namespace", NAMESPACE, "--output", "json"]
    return int(json.loads(capture_output(words, env=stack.environment))["version"])


def read_rollback_commands(read_revision: int) -> tuple[str, str, str]:
    """Return the page's commands: downgrade the schema, roll back to a revision, and resolve blocked pods."""
    headings = "Rollback", "Pods that do not start"
    blocks = (read_commands("upgrade.md", heading)[0] for heading in headings)
    schema, hanging = (block.replace("REVISION", str(read_revision)) for block in blocks)
    downgrade, rollback = schema.split("helm rollback")
    return downgrade, f"helm rollback{rollback}", hanging


def test_blocked_pods_stay_after_a_rollback_until_deleted(
    stack: Stack, airflow: AirflowApi, history: Run, tmp_path: Path
):
    install_release(Steps(), stack)
    before = read_persistent_state(stack, airflow, history)
    rollback, follow_up = read_rollback_commands(read_revision(stack))[2].split("kubectl delete")
    upgrade(stack, tmp_path, {"platform": {"package": "image"}})
    failing_before = wait_for("scheduler and triggerer to fail", lambda: read_failing_pods(stack), END_S, interval_s=2)
    run_commands(stack, rollback, REPOSITORY)
    sleep(60)
    assert read_failing_pods(stack) == failing_before
    run_commands(stack, f"kubectl delete{follow_up}", REPOSITORY)
    wait_until_stable(stack)
    assert wait_for_persistent_state(stack, airflow, history) == before
    run_short_dag(stack, airflow)


def read_failing_pods(stack: Stack) -> dict[str, str]:
    """Return the uids of scheduler and triggerer once both have failed to start."""
    pods = stack.get("pods", "-n", NAMESPACE, "--field-selector", "status.phase=Pending")["items"]
    uids = {
        pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod["metadata"]["uid"]
        for pod in pods
        if any(condition["restartCount"] for condition in pod["status"].get("initContainerStatuses", []))
    }
    expected = {component: uid for component, uid in uids.items() if component in ("scheduler", "triggerer")}
    if len(expected) != 2:
        raise NotYet(str(uids))
    return expected

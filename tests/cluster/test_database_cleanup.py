"""The chart's CronJob deletes old rows of Airflow's database, started as docs/database.md describes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cluster.support.airflow_runs.dag_run import Run
from cluster.support.airflow_runs.long_runs import run_short_dag
from cluster.support.docs.commands import read_commands, run_commands
from common.steps import Steps
from stack.airflow_api import AirflowApi, NotFoundError
from stack.embedded_database import query_database
from stack.install import install_release
from stack.release import NAMESPACE, Stack

LONG_AGO = "2020-01-01T00:00:00Z"


@pytest.fixture
def folder(stack: Stack, tmp_path: Path) -> Iterator[Path]:
    """A folder for values files; afterwards the release has its own values again."""
    yield tmp_path
    install_release(Steps(), stack)


@pytest.fixture
def history(stack: Stack, airflow: AirflowApi) -> Run:
    """A recent run."""
    return run_short_dag(stack, airflow)


def upgrade(stack: Stack, folder: Path, values: dict[str, object]) -> None:
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    install_release(Steps(), stack, folder / "values.yaml")


def test_job_deletes_old_runs_and_keeps_recent_ones(stack: Stack, airflow: AirflowApi, history: Run, folder: Path):
    old = run_short_dag(stack, airflow)
    for table in ("dag_run", "task_instance"):
        query_database(stack, f"UPDATE {table} SET start_date = '{LONG_AGO}' WHERE run_id = '{old.id}'")
    upgrade(stack, folder, {"databaseCleanup": {"enabled": True, "retentionDays": 30, "skipArchive": True}})
    (run_now,) = read_commands("database.md", "Cleanup")
    try:
        run_commands(stack, run_now, folder)
    finally:
        stack.kubectl("delete", "job", "clean-now", "-n", NAMESPACE, "--ignore-not-found")
    with pytest.raises(NotFoundError):
        airflow.get(f"dags/{old.dag}/dagRuns/{old.id}")
    assert airflow.list_task_instances(history.dag, history.id)[0]["state"] == "success"
    assert query_database(stack, "SELECT count(*) FROM pg_tables WHERE tablename LIKE '_airflow_deleted_%'") == "0"

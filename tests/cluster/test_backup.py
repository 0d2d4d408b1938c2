"""Backup and restore of the embedded database with the commands in docs/database.md."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cluster.support.airflow_runs.long_runs import read_persistent_state, run_short_dag, wait_for_persistent_state
from cluster.support.docs.commands import read_commands, run_commands
from stack.airflow_api import AirflowApi, NotFoundError
from stack.embedded_database import query_database
from stack.release import Stack

BEFORE = "SELECT datname FROM pg_database WHERE datname LIKE 'airflow\\_before\\_%'"


def test_restored_database_equals_the_backup(stack: Stack, airflow: AirflowApi, tmp_path: Path):
    history, key = run_short_dag(stack, airflow), f"backup-{time.time_ns()}"
    airflow.post("variables", {"key": key, "value": "kept"})
    before = read_persistent_state(stack, airflow, history)
    (back_up,), (restore,) = read_commands("database.md", "Backup"), read_commands("database.md", "Restore")
    run_commands(stack, back_up, tmp_path)
    assert (tmp_path / "airflow.dump").stat().st_mode & 0o077 == 0
    airflow.delete(f"variables/{key}")
    later = run_short_dag(stack, airflow)
    run_commands(stack, restore, tmp_path)
    assert wait_for_persistent_state(stack, airflow, history) == before
    assert airflow.get(f"variables/{key}")["value"] == "kept"
    with pytest.raises(NotFoundError):
        airflow.list_task_instances(later.dag, later.id)
    run_short_dag(stack, airflow)
    airflow.delete(f"variables/{key}")
    for name in query_database(stack, BEFORE, "postgres").split():
        query_database(stack, f"DROP DATABASE {name}", "postgres")

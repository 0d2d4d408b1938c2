"""Airflow's DAG processor as a process of its own: a DAG id stays with the team that has it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

from integration.support.airflow_process import run_airflow
from unit.support.airflow_database import AirflowDatabase
from unit.support.contracts import write_contract
from unit.support.stored_triggers import build_two_teams

_WAIT_S = 60
_DAG = "from airflow.sdk import DAG\nwith DAG({!r}, schedule=None): pass\n"
_CONFLICT = (
    "DAG 'report' is not loaded: a DAG of team 'alpha' has this id, and this file belongs to team 'beta'. Rename the "
    "DAG. If it has moved here on purpose, remove the other one, and wait until Airflow has marked that one as stale "
    "(about two minutes)."
)


def run_dag_processor(folder: Path) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Run ``airflow dag-processor`` with the database, the contract and the bundles of a folder."""
    bundles = [
        {
            "name": team,
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(folder / "bundles" / team), "refresh_interval": 1},
        }
        for team in ("alpha", "beta")
    ]
    return run_airflow(
        folder,
        "dag-processor",
        AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL="1",
        AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST=json.dumps(bundles),
        AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL="1",
        AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL="1",
    )


def read_dags(folder: Path) -> tuple[dict[str, str], dict[tuple[str, str], str]]:
    """Return the bundles of the active DAGs, and the import errors by bundle and file."""
    with closing(sqlite3.connect(folder / "airflow.db", timeout=10)) as database:
        dags = dict(database.execute("SELECT dag_id, bundle_name FROM dag WHERE NOT is_stale"))
        errors = database.execute("SELECT bundle_name, filename, stacktrace FROM import_error")
        return dags, {(bundle, file): text for bundle, file, text in errors}


def wait_for_dags(folder: Path, process: subprocess.Popen[bytes], expected: Any) -> None:
    """Wait until `read_dags` returns this."""
    deadline = time.monotonic() + _WAIT_S
    while (seen := read_dags(folder)) != expected:
        log = (folder / "dag-processor.log").read_text()[-5000:]
        assert process.poll() is None, f"the DAG processor has ended\n{log}"
        assert time.monotonic() < deadline, f"{seen}\n{log}"
        time.sleep(0.2)


def test_dag_id_of_another_team_is_refused_until_that_team_removes_its_file(
    tmp_path: Path, airflow_database: AirflowDatabase
):
    write_contract(tmp_path / "contract.json", build_two_teams().model_dump(by_alias=True))
    airflow_database.add_dag("report", "alpha", "x.py")
    alpha, beta = tmp_path / "bundles" / "alpha" / "x.py", tmp_path / "bundles" / "beta" / "y.py"
    alpha.write_text(_DAG.format("report"))
    beta.parent.mkdir()
    beta.write_text(_DAG.format("report") + _DAG.format("beta_own"))
    with run_dag_processor(tmp_path) as process:
        wait_for_dags(tmp_path, process, ({"report": "alpha"}, {("beta", "y.py"): _CONFLICT}))
        alpha.unlink()
        wait_for_dags(tmp_path, process, ({"report": "beta", "beta_own": "beta"}, {}))

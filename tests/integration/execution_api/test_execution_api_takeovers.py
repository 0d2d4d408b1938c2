"""The guard of the Execution API on DAG ids that two teams use."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.dag import DagModel
from airflow.models.dagbag import DBDagBag
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.serialization.definitions.dag import SerializedDAG
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from airflow.utils.session import create_session
from sqlalchemy import select

from integration.support.execution_api import ExecutionApi
from integration.support.isolation_database import LOGICAL_DATE, RUN_ID, add_run
from kpo_platform.airflow.guards.execution_api import request as guarded_request
from kpo_platform.airflow.guards.origin import Origin
from kpo_platform.airflow.guards.task_origins import read_task_origin

BETA_XCOM = f"/xcoms/beta_dag/{RUN_ID}/t/k"


def test_dag_that_took_over_an_id_does_not_reach_the_earlier_runs(execution_api: ExecutionApi):
    """Alpha's repository defines beta's DAG id: the run of beta's version stays beta's, alpha's new run is alpha's."""
    with create_session() as session:
        dag = session.get_one(DagModel, "beta_dag")
        dag.bundle_name = "alpha"
        serialized = session.scalars(select(SerializedDagModel).where(SerializedDagModel.dag_id == "beta_dag")).one()
        serialized.dag_version.bundle_name = "beta"
        session.flush()
        task = add_run(session, "beta_dag", "r2", LOGICAL_DATE + timedelta(days=1))
        task.dag_run.created_dag_version_id = None
        XComModel.set("k", "new", dag_id="beta_dag", task_id="t", run_id="r2", session=session)

    def read(path: str, **params: Any) -> int:
        return execution_api.request_as("alpha", "GET", path, params=params).status_code

    assert read(BETA_XCOM) == 403
    assert read("/xcoms/beta_dag/r2/t/k") == 200
    assert read("/xcoms/beta_dag/r2/t/k", include_prior_dates=True) == 403
    assert read(f"/dag-runs/beta_dag/{RUN_ID}") == 403
    assert read(f"/dag-runs/beta_dag/{RUN_ID}/state") == 403
    assert read("/dag-runs/beta_dag/r2/state") == 200
    assert execution_api.request_as("alpha", "POST", f"/dag-runs/beta_dag/{RUN_ID}/clear").status_code == 403
    answer = execution_api.request_as("beta", "GET", "/variables/beta_key")
    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        "DAG 'beta_dag' exists in the bundles of teams 'alpha' and 'beta'. Rename one of them.",
    )


def parse_beta_dag(bundle: str, description: str) -> None:
    """Store a DAG with the id of beta's DAG, as the DAG processor does; its runs are not pinned to a bundle version."""
    with DAG("beta_dag", schedule=None, description=description, disable_bundle_versioning=True) as dag:
        EmptyOperator(task_id="t")
    dag.fileloc, dag.relative_fileloc = __file__, "x.py"
    lazy = LazyDeserializedDAG.from_dag(dag)
    with create_session() as session:
        SerializedDAG.bulk_write_to_db(bundle, None, [lazy], session=session)
        session.flush()
        SerializedDagModel.write_dag(lazy, bundle_name=bundle, session=session)


def give_run_the_latest_version(run_id: str) -> None:
    """Let the scheduler give the unfinished tasks of a run the latest version of the DAG."""
    with create_session() as session:
        run = session.scalars(select(DagRun).where(DagRun.run_id == run_id)).one()
        scheduler = Mock(scheduler_dag_bag=DBDagBag(load_op_links=False))
        assert SchedulerJobRunner._verify_integrity_if_dag_changed(scheduler, run, session)


@pytest.mark.parametrize("is_cleared", [False, True])
def test_running_code_does_not_get_the_team_that_takes_its_dag_id_back(execution_api: ExecutionApi, is_cleared: bool):
    """Alpha's code runs from alpha's version, and beta's file is parsed again: the running task gets beta's version."""
    parse_beta_dag("alpha", "alpha's")
    with create_session() as session:
        task = add_run(session, "beta_dag", "r2", datetime.now(UTC))
        task_id = task.id
        task.queued_dttm = task.start_date = datetime.now(UTC)
    assert execution_api.request_as(task_id, "GET", "/variables/alpha_key").status_code == 200
    parse_beta_dag("beta", "beta's")
    give_run_the_latest_version("r2")
    with create_session() as session:
        task = session.get_one(TaskInstance, task_id)
        assert (task.state, task.dag_version.bundle_name) == ("running", "beta")
        if is_cleared:  # clearing another task of the run, with the latest version
            task.dag_run.created_dag_version_id = task.dag_version_id
            task.dag_run.queued_at = task.dag_run.start_date = datetime.now(UTC)
    guarded_request._tasks._results.clear()
    own = [("GET", f"/variables/{prefix}_key") for prefix in ("alpha", "beta", "common")]
    for method, path in [*own, ("GET", BETA_XCOM), ("POST", "/dag-runs/beta_dag/r3"), ("GET", "/variables/keys")]:
        answer = execution_api.request_as(task_id, method, path, **({"json": {}} if method == "POST" else {}))
        assert (answer.status_code, answer.json()["detail"]) == (
            403,
            "DAG 'beta_dag' exists in the bundles of teams 'alpha' and 'beta'. Rename one of them.",
        )
    beat = execution_api.request_as(
        task_id, "PUT", f"/task-instances/{task_id}/heartbeat", json={"hostname": "h", "pid": 1}
    )
    assert beat.status_code == 204


def test_run_that_begins_after_a_takeover_has_ended_has_its_team(execution_api: ExecutionApi):
    parse_beta_dag("alpha", "alpha's")
    with create_session() as session:
        add_run(session, "beta_dag", "r2", datetime.now(UTC))
    parse_beta_dag("beta", "beta's")
    with create_session() as session:
        task = add_run(session, "beta_dag", "r3", datetime.now(UTC))
        task_id = task.id
        task.start_date = task.dag_run.start_date = datetime.now(UTC)
    codes = [execution_api.request_as(task_id, "GET", f"/variables/{x}_key").status_code for x in ("beta", "alpha")]
    assert codes == [200, 403]


@pytest.mark.parametrize("compressed", [False, True])
def test_file_that_took_over_an_id_in_a_shared_bundle_does_not_reach_the_earlier_runs(
    execution_api: ExecutionApi, compressed: bool
):
    """Beta's folder of the shared bundle defines gamma's DAG id: the version of gamma's run keeps its file."""
    with create_session() as session:
        session.get_one(DagModel, "gamma_dag").relative_fileloc = "etl/beta/x.py"
        serialized = session.scalars(select(SerializedDagModel).where(SerializedDagModel.dag_id == "gamma_dag")).one()
        if compressed:
            serialized._data_compressed, serialized._data = zlib.compress(json.dumps(serialized._data).encode()), None
        session.flush()
        task = read_task_origin(session, execution_api.tasks["gamma"])
        assert task is not None
        assert task.dag == Origin("shared-dags", "etl/gamma/x.py")
    paths = (f"/xcoms/gamma_dag/{RUN_ID}/t/k", f"/dag-runs/gamma_dag/{RUN_ID}")
    assert [execution_api.request_as("beta", "GET", path).status_code for path in paths] == [403, 403]

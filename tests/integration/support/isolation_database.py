"""A sqlite database of Airflow with DAGs of teams alpha, beta and gamma, and of no team."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from airflow import settings
from airflow.models import Connection, Variable
from airflow.models.asset import AssetAliasModel, AssetModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, AssetAlias
from airflow.serialization.definitions.dag import SerializedDAG
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from airflow.state import get_state_backend
from airflow.state.metastore import AssetScope
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select
from sqlalchemy.orm import Session

from unit.support.airflow_database import create_tables

RUN_ID = "r1"
LOGICAL_DATE = datetime(2026, 1, 2, tzinfo=UTC)
ORIGINS = {
    "alpha": ("alpha", "x.py"),
    "beta": ("beta", "x.py"),
    "gamma": ("shared-dags", "etl/gamma/x.py"),
    "common": ("shared-dags", "x.py"),
}
"""Prefix of a DAG's id and of all its names, to its bundle and file; common has no team."""


def connect(file: Path) -> None:
    """Let Airflow's sessions of this process use another database."""
    settings.dispose_orm(do_log=False)
    settings.SQL_ALCHEMY_CONN = f"sqlite:///{file}"
    settings.SQL_ALCHEMY_CONN_ASYNC = f"sqlite+aiosqlite:///{file}"
    settings.configure_orm()


def create_database(file: Path) -> dict[str, UUID]:
    """Create the database; return the id of the running task of each DAG."""
    create_tables(file)
    connect(file)
    with create_session() as session:
        session.add_all(DagBundleModel(name=bundle) for bundle in sorted({bundle for bundle, _ in ORIGINS.values()}))
        session.flush()
        tasks = {prefix: _add_dag(session, prefix, *origin) for prefix, origin in ORIGINS.items()}
    settings.dispose_orm(do_log=False)  # writes everything into the file, so that tests can copy it
    return tasks


def _add_dag(session: Session, prefix: str, bundle: str, file: str) -> UUID:
    """Add a DAG with a run, a task with an XCom, an asset with an alias and a state, a connection and a variable."""
    asset = Asset(f"{prefix}_asset", uri=f"s3://{prefix}/asset")
    with DAG(f"{prefix}_dag", schedule=None) as dag:
        EmptyOperator(task_id="t", outlets=[asset, AssetAlias(f"{prefix}_alias")])
    dag.fileloc, dag.relative_fileloc = __file__, file
    lazy = LazyDeserializedDAG.from_dag(dag)
    SerializedDAG.bulk_write_to_db(bundle, None, [lazy], session=session)
    session.flush()
    SerializedDagModel.write_dag(lazy, bundle_name=bundle, session=session)
    session.flush()
    task = add_run(session, f"{prefix}_dag", RUN_ID, LOGICAL_DATE)
    XComModel.set("k", f"{prefix} value", dag_id=task.dag_id, task_id="t", run_id=RUN_ID, session=session)
    session.add(HITLDetail(ti_id=task.id, options=["yes"], subject="?", multiple=False, params={}, assignees=[]))
    session.add(Connection(conn_id=f"{prefix}_db", conn_type="http", host=prefix))
    session.add(Variable(key=f"{prefix}_key", val=prefix))
    model = session.scalars(select(AssetModel).where(AssetModel.name == asset.name)).one()
    alias = session.scalars(select(AssetAliasModel).where(AssetAliasModel.name == f"{prefix}_alias")).one()
    alias.assets.append(model)
    get_state_backend().set(AssetScope(asset_id=model.id), "k", '"v"', session=session)
    session.flush()
    return task.id


def add_run(session: Session, dag_id: str, run_id: str, logical_date: datetime) -> TaskInstance:
    """Add a run of the DAG's latest version; return its task, which is running."""
    dag = SerializedDagModel.get_dag(dag_id, session=session)
    run: DagRun = dag.create_dagrun(
        run_id=run_id,
        logical_date=logical_date,
        data_interval=(logical_date, logical_date),
        run_after=logical_date,
        run_type=DagRunType.MANUAL,
        triggered_by=DagRunTriggeredByType.TEST,
        state=DagRunState.RUNNING,
        session=session,
    )
    task = run.get_task_instance("t", session=session)
    task.state = TaskInstanceState.RUNNING
    task.start_date = logical_date
    task.hostname, task.unixname, task.pid = "h", "u", 1
    session.flush()
    return task

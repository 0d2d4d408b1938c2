"""Airflow's own tables in SQLite, with deferred tasks in them.

Every conftest imports this module, also where neither Airflow nor SQLAlchemy is installed.
"""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass
class DeferredTask:
    """A deferred task and its trigger."""

    trigger_id: int
    task_instance_id: str


class AirflowDatabase:
    """Airflow's tables, and shortcuts to fill them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add_dag(
        self, dag_id: str, bundle: str, file: str = "dag.py", task_ids: Iterable[str] = ("wait",), **task: Any
    ) -> None:
        """Add a DAG with tasks and one run of it, as the dag-processor and the scheduler do."""
        from airflow.dag_processing.collection import update_dag_parsing_results_in_db
        from airflow.models.dagbundle import DagBundleModel
        from airflow.models.serialized_dag import SerializedDagModel
        from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
        from airflow.sdk import DAG
        from airflow.serialization.serialized_objects import LazyDeserializedDAG
        from airflow.utils.session import create_session
        from airflow.utils.state import DagRunState
        from airflow.utils.types import DagRunTriggeredByType, DagRunType
        from sqlalchemy import select

        with DAG(dag_id, schedule=None) as dag:
            for task_id in task_ids:
                DateTimeSensorAsync(task_id=task_id, target_time="2026-01-01T00:00:00+00:00", **task)
        path = self._folder / bundle / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {dag_id}\n")
        dag.fileloc, dag.relative_fileloc = str(path), file
        with create_session() as session:
            if not session.scalar(select(DagBundleModel).where(DagBundleModel.name == bundle)):
                session.add(DagBundleModel(name=bundle))
        with create_session() as session:
            lazy = LazyDeserializedDAG.from_dag(dag)
            update_dag_parsing_results_in_db(bundle, None, [lazy], {}, 0.1, set(), session)
            serialized = SerializedDagModel.get_dag(dag_id, session=session)
            assert serialized is not None
            serialized.create_dagrun(
                run_id=f"{bundle}-{file}".replace("/", "-"),
                run_type=DagRunType.MANUAL,
                triggered_by=DagRunTriggeredByType.TEST,
                state=DagRunState.RUNNING,
                run_after=datetime.datetime.now(datetime.UTC),
                session=session,
            )

    def defer(
        self,
        dag_id: str,
        class_path: str,
        arguments: Any,
        run_id: str | None = None,
        task_id: str = "wait",
    ) -> DeferredTask:
        """Defer a task as the Execution API does, which stores whatever the task sent."""
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.trigger import Trigger
        from airflow.utils.session import create_session
        from airflow.utils.state import TaskInstanceState
        from sqlalchemy import select

        with create_session() as session:
            trigger = Trigger(classpath=class_path, kwargs={})
            trigger.encrypted_kwargs = arguments if isinstance(arguments, str) else json.dumps(arguments)
            session.add(trigger)
            session.flush()
            query = select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.task_id == task_id)
            task = session.scalars(query.where(TaskInstance.run_id == run_id) if run_id else query).first()
            assert task is not None
            task.state, task.trigger_id = TaskInstanceState.DEFERRED, trigger.id
            task.start_date = datetime.datetime.now(datetime.UTC)
            return DeferredTask(trigger.id, str(task.id))

    def read_task(self, dag_id: str) -> tuple[str | None, str | None, Any]:
        """Return state, next method and next arguments of the DAG's only task."""
        (task,) = self.read_tasks(dag_id).values()
        return task

    def read_tasks(self, dag_id: str) -> dict[str, tuple[str | None, str | None, Any]]:
        """Return state, next method and next arguments of the DAG's tasks by id."""
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            tasks = session.scalars(select(TaskInstance).where(TaskInstance.dag_id == dag_id))
            return {task.task_id: (task.state, task.next_method, task.next_kwargs) for task in tasks}

    def list_triggers(self) -> list[int]:
        """Return the ids of all triggers."""
        from airflow.models.trigger import Trigger
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            return list(session.scalars(select(Trigger.id)))


def create_tables(file: Path) -> None:
    """Create Airflow's tables in an SQLite file, as its migrations would leave them."""
    import airflow.models
    from airflow.models.base import Base
    from airflow.models.tasklog import LogTemplate
    from airflow.utils.db import _get_alembic_config
    from alembic.script import ScriptDirectory
    from sqlalchemy import create_engine, text
    from sqlalchemy.orm import sessionmaker

    engine = create_engine(f"sqlite:///{file}")
    airflow.models.import_all_models()
    Base.metadata.create_all(engine)
    with sessionmaker(engine).begin() as session:
        session.add(LogTemplate(filename="{{ ti.dag_id }}.log", elasticsearch_id="{dag_id}"))
        # Airflow's commands demand the revision of the latest migration.
        session.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        (head,) = ScriptDirectory.from_config(_get_alembic_config()).get_heads()
        session.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": head})
    engine.dispose()


@pytest.fixture(scope="session")
def empty_airflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create Airflow's tables once; each test gets a copy of the file."""
    file = tmp_path_factory.mktemp("airflow") / "airflow.db"
    create_tables(file)
    return file


@pytest.fixture
def airflow_database(
    empty_airflow_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AirflowDatabase]:
    """Replace Airflow's database by one in a temporary folder, with all tables."""
    from airflow import settings
    from airflow.models.crypto import get_fernet
    from cryptography.fernet import Fernet
    from sqlalchemy import create_engine, event
    from sqlalchemy.orm import scoped_session, sessionmaker

    file = tmp_path / "airflow.db"
    shutil.copyfile(empty_airflow_database, file)
    engine = create_engine(f"sqlite:///{file}")
    settings_of_connection = "PRAGMA foreign_keys=ON; PRAGMA synchronous=OFF"
    event.listen(engine, "connect", lambda connection, _: connection.executescript(settings_of_connection))
    make_session = sessionmaker(autocommit=False, autoflush=False, bind=engine, expire_on_commit=False)
    monkeypatch.setattr(settings, "engine", engine)
    monkeypatch.setattr(settings, "Session", scoped_session(make_session))
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    get_fernet.cache_clear()
    yield AirflowDatabase(tmp_path / "bundles")
    get_fernet.cache_clear()
    settings.Session.remove()
    engine.dispose()

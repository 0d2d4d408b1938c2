"""Read from Airflow's database where the versions of a DAG come from, those of a task's run and all of a DAG."""

from __future__ import annotations

import json
import zlib
from datetime import datetime
from uuid import UUID

from airflow.models.callback import Callback
from airflow.models.dag import DagModel
from airflow.models.dag_version import DagVersion
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from sqlalchemy import ColumnElement, and_, func, or_, select, true
from sqlalchemy.orm import Session

from kpo_platform.airflow.guards.origin import Origin, TaskOrigin


def read_task_origin(session: Session, token_id: UUID) -> TaskOrigin | None:
    """Read the origin of the task, an earlier try of a task, or the callback that a token is for; None if unknown."""
    for model, key in ((TaskInstance, TaskInstance.id), (TaskInstanceHistory, TaskInstanceHistory.task_instance_id)):
        row = session.execute(
            select(
                model.dag_id,
                model.run_id,
                model.dag_version_id,
                DagRun.created_dag_version_id,
                DagModel.bundle_name,
                DagModel.relative_fileloc,
                DagRun.queued_at,
                DagRun.start_date,
                model.queued_dttm,
                model.start_date,
            )
            .select_from(model)
            .outerjoin(DagModel, DagModel.dag_id == model.dag_id)
            .outerjoin(DagRun, and_(DagRun.dag_id == model.dag_id, DagRun.run_id == model.run_id))
            .where(key == token_id)
        ).one_or_none()
        if row is not None:
            dag_id, run_id, task_version, run_version, bundle, file, *times = row
            present = Origin(bundle, file)
            known = DagVersion.id.in_(list(filter(None, (task_version, run_version))))
            versions = _read_versions(
                session,
                DagVersion.dag_id == dag_id,
                or_(known, _is_valid_since(dag_id, min(filter(None, times), default=None))),
            )
            return TaskOrigin(
                versions.get(task_version, present), dag_id, run_id, frozenset({present, *versions.values()})
            )
    return _read_callback_origin(session, token_id)


def _read_callback_origin(session: Session, callback_id: UUID) -> TaskOrigin | None:
    """Read the origin of a callback: its bundle, or that of the DAG whose deadline it reports.

    Airflow starts it from the DAG's present bundle and file (3.3, models/deadline.py, executors/workloads/callback.py).
    """
    query = select(Callback.bundle_name, Callback.data, Callback.created_at).where(Callback.id == callback_id)
    row = session.execute(query).one_or_none()
    if row is None:
        return None
    bundle, data, created = row
    dag_id = str(data.get("dag_id", "")) if isinstance(data, dict) else ""
    present = _read_present_origin(session, dag_id)
    if present is None:
        return TaskOrigin(Origin(bundle))
    own = present if bundle in (None, present.bundle) else Origin(bundle)
    versions = _read_versions(session, DagVersion.dag_id == dag_id, _is_valid_since(dag_id, created))
    return TaskOrigin(own, dag_id, None, frozenset({present, *versions.values()}))


def read_dag_origins(session: Session, target: tuple[str, str | None, bool]) -> frozenset[Origin]:
    """Read the origins of a DAG: the present one, and those of its versions that a run or all runs have.

    Args:
        session: a session of the database.
        target: the DAG, the run or None, and whether the versions of all runs count.
    """
    dag_id, run_id, history = target
    present = _read_present_origin(session, dag_id)
    if present is None:
        return frozenset()
    if history:
        versions = _read_versions(session, DagVersion.dag_id == dag_id)
    elif run_id is not None:
        run_version = select(DagRun.created_dag_version_id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
        versions = _read_versions(session, DagVersion.id.in_(run_version))
    else:
        versions = {}
    return frozenset({present, *versions.values()})


def _read_present_origin(session: Session, dag_id: str) -> Origin | None:
    """Read where a DAG comes from now; None if there is no DAG of this id."""
    query = select(DagModel.bundle_name, DagModel.relative_fileloc).where(DagModel.dag_id == dag_id)
    row = session.execute(query).one_or_none()
    return Origin(*row) if row is not None else None


def _is_valid_since(dag_id: str, start: datetime | None) -> ColumnElement[bool]:
    """Select the versions of a DAG that were the latest one at a time or later; all if the time is not known."""
    if start is None:
        return true()
    earlier = select(func.max(DagVersion.version_number)).where(
        DagVersion.dag_id == dag_id, DagVersion.created_at < start
    )
    return or_(DagVersion.created_at >= start, DagVersion.version_number == earlier.scalar_subquery())


def _read_versions(session: Session, *conditions: ColumnElement[bool]) -> dict[UUID, Origin]:
    """Read the origins of versions of DAGs, except of those without a bundle.

    A version keeps its bundle and its file when another team takes over the DAG's id. The table ``dag`` does not: it
    has the file that was parsed last (3.3, models/dag_version.py, models/serialized_dag.py).
    """
    data, compressed = SerializedDagModel._data, SerializedDagModel._data_compressed
    rows = session.execute(
        select(DagVersion.id, DagVersion.bundle_name, data["dag"]["relative_fileloc"].as_string(), compressed)
        .outerjoin(SerializedDagModel, SerializedDagModel.dag_version_id == DagVersion.id)
        .where(DagVersion.bundle_name.is_not(None), *conditions)
    )
    return {
        version: Origin(bundle, file if packed is None else _unpack_file(packed))
        for version, bundle, file, packed in rows
    }


def _unpack_file(packed: bytes) -> str | None:
    """Get the file of a serialized DAG that is stored as with ``core.compress_serialized_dags``."""
    file: str | None = json.loads(zlib.decompress(packed))["dag"].get("relative_fileloc")
    return file

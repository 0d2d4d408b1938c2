"""Read from Airflow's database which bundles own tasks and DAGs; the results are cached for a few seconds.

The queries run in the thread pool of the API server, as those of its own endpoints do, and never in its event loop.
Asynchronous sessions of Airflow need a second driver and a second pool of connections.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Concatenate, Generic, ParamSpec, TypeVar
from uuid import UUID

from airflow.models.asset import AssetAliasModel, AssetModel, TaskOutletAssetReference
from airflow.models.callback import Callback
from airflow.models.dag import DagModel
from airflow.models.dag_version import DagVersion
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.utils.session import create_session
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session, aliased
from starlette.concurrency import run_in_threadpool

from kpo_platform.airflow.guards.execution_api.origin import Origin, TaskOrigin

CACHE_SECONDS = 5
_CACHE_SIZE = 10_000
_CACHE_KEY_LENGTH = 1_000

K = TypeVar("K")
V = TypeVar("V")
P = ParamSpec("P")


async def read_in_thread(read: Callable[Concatenate[Session, P], V], *args: P.args, **kwargs: P.kwargs) -> V:
    """Call a function of the database in another thread with a session of its own."""

    def read_with_session() -> V:
        with create_session(scoped=False) as session:
            return read(session, *args, **kwargs)

    return await run_in_threadpool(read_with_session)


class TimedCache(Generic[K, V]):
    """Results of a function of the database, each for `CACHE_SECONDS`.

    Tasks choose the keys. So that they cannot fill the memory, nothing is kept for unknown or very long keys.
    """

    def __init__(self, read: Callable[[Session, K], V | None]) -> None:
        self._read = read
        self._results: dict[K, tuple[float, V]] = {}

    async def get(self, key: K) -> V | None:
        """Get the result from the cache, or from the database in another thread."""
        known = self._results.get(key)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        result = await read_in_thread(self._read, key)
        if result and len(repr(key)) <= _CACHE_KEY_LENGTH:
            self._store(key, result)
        return result

    def _store(self, key: K, result: V) -> None:
        now = time.monotonic()
        if len(self._results) >= _CACHE_SIZE:
            self._results = {key: entry for key, entry in self._results.items() if entry[0] > now}
        if len(self._results) >= _CACHE_SIZE:
            self._results.clear()
        self._results[key] = (now + CACHE_SECONDS, result)


def read_task_origin(session: Session, token_id: UUID) -> TaskOrigin | None:
    """Read the origin of the task, an earlier try of a task, or the callback that a token is for; None if unknown."""
    for model, key in ((TaskInstance, TaskInstance.id), (TaskInstanceHistory, TaskInstanceHistory.task_instance_id)):
        run_version = aliased(DagVersion)
        row = session.execute(
            select(
                model.dag_id,
                model.run_id,
                DagModel.bundle_name,
                DagModel.relative_fileloc,
                DagVersion.bundle_name,
                run_version.bundle_name,
            )
            .select_from(model)
            .outerjoin(DagModel, DagModel.dag_id == model.dag_id)
            .outerjoin(DagVersion, DagVersion.id == model.dag_version_id)
            .outerjoin(DagRun, and_(DagRun.dag_id == model.dag_id, DagRun.run_id == model.run_id))
            .outerjoin(run_version, run_version.id == DagRun.created_dag_version_id)
            .where(key == token_id)
        ).one_or_none()
        if row is not None:
            dag_id, run_id, bundle, file, version_bundle, run_bundle = row
            dag = Origin(bundle, file)
            return TaskOrigin(dag.of_version(version_bundle), dag_id, run_id, dag.of_version(run_bundle))
    callback = session.execute(select(Callback.bundle_name).where(Callback.id == token_id)).one_or_none()
    return None if callback is None else TaskOrigin(Origin(callback[0], None))


def read_dag_origins(session: Session, target: tuple[str, str | None, bool]) -> frozenset[Origin]:
    """Read the origins of a DAG: the present one, and those of its versions that a run or all runs have.

    Args:
        session: a session of the database.
        target: the DAG, the run or None, and whether the versions of all runs count.
    """
    dag_id, run_id, history = target
    row = session.execute(
        select(DagModel.bundle_name, DagModel.relative_fileloc).where(DagModel.dag_id == dag_id)
    ).one_or_none()
    if row is None:
        return frozenset()
    dag = Origin(*row)
    versions = select(DagVersion.bundle_name).where(DagVersion.dag_id == dag_id).distinct()
    if not history:
        versions = versions.join(DagRun, DagRun.created_dag_version_id == DagVersion.id).where(
            DagRun.dag_id == dag_id, DagRun.run_id == run_id
        )
    bundles = session.scalars(versions) if history or run_id is not None else ()
    return frozenset({dag, *(dag.of_version(bundle) for bundle in bundles)})


def read_assets(
    session: Session, names: Iterable[str | None], uris: Iterable[str | None]
) -> tuple[tuple[str, str], ...]:
    """Read name and URI of all assets, also inactive ones, that have one of these names or URIs."""
    known_names, known_uris = list(filter(None, names)), list(filter(None, uris))
    query = select(AssetModel.name, AssetModel.uri).where(
        or_(AssetModel.name.in_(known_names), AssetModel.uri.in_(known_uris))
    )
    return tuple((name, uri) for name, uri in session.execute(query))


def read_referred_assets(
    session: Session, reference: tuple[str | None, str | None, str | None]
) -> tuple[tuple[str, str], ...]:
    """Read name and URI of the assets of an alias or, without one, of those that have this name or URI.

    Args:
        session: a session of the database.
        reference: name, URI and alias.
    """
    name, uri, alias = reference
    if alias is None:
        return read_assets(session, [name], [uri])
    query = select(AssetModel.name, AssetModel.uri).join(AssetModel.aliases).where(AssetAliasModel.name == alias)
    return tuple((name, uri) for name, uri in session.execute(query))


def read_outlets(session: Session, task_instance_id: UUID) -> list[tuple[str, str]]:
    """Read name and URI of the assets that the DAG of a task names as the task's outlets."""
    query = (
        select(AssetModel.name, AssetModel.uri)
        .join(TaskOutletAssetReference, TaskOutletAssetReference.asset_id == AssetModel.id)
        .join(
            TaskInstance,
            and_(
                TaskInstance.dag_id == TaskOutletAssetReference.dag_id,
                TaskInstance.task_id == TaskOutletAssetReference.task_id,
            ),
        )
        .where(TaskInstance.id == task_instance_id)
    )
    return [(name, uri) for name, uri in session.execute(query)]

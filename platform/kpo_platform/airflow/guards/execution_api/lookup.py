"""Read from Airflow's database in other threads; the results are cached for a few seconds.

The queries run in the thread pool of the API server, as those of its own endpoints do, and never in its event loop.
Asynchronous sessions of Airflow need a second driver and a second pool of connections.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Concatenate, Generic, ParamSpec, TypeVar
from uuid import UUID

from airflow.models.asset import AssetAliasModel, AssetModel, TaskOutletAssetReference
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

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

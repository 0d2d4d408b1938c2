"""One informer for each cluster, identity and namespace of an event loop, as long as a trigger needs it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from kpo_platform.airflow.triggers.connection import read_patiently
from kpo_platform.airflow.triggers.informer_metrics import report_metrics
from kpo_platform.airflow.triggers.orphans import watch_for_orphans
from kpo_platform.airflow.triggers.pod_informer import PodInformer
from kpo_platform.airflow.triggers.pod_requests import OpenClient, PodRequests
from kpo_platform.airflow.triggers.start_events import watch_start_events

_LINGER_S = 30.0
"""How long an informer that is not needed stays: the next task begins with what it knows."""


@dataclass(frozen=True)
class InformerKey:
    """What informers must have in common to be one.

    Attributes:
        connection: the id of the Airflow connection, which names the identity.
        config: a hash of what a task has brought along of its connection.
    """

    connection: str | None
    cluster_context: str | None
    in_cluster: bool | None
    config: str
    namespace: str


@dataclass
class _Shared:
    informer: PodInformer
    helpers: list[asyncio.Task[None]]
    users: int = 0
    is_closed: bool = False


_SHARED: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[InformerKey, _Shared]] = WeakKeyDictionary()

_ENDING: set[asyncio.Future[None]] = set()
"""Keeps the tasks alive that close informers; the event loop has only weak references."""


@asynccontextmanager
async def use_informer(key: InformerKey, open_client: OpenClient) -> AsyncIterator[PodInformer]:
    """Give the informer of a key for the block; the first one starts it with a client of its own."""
    loop = asyncio.get_running_loop()
    of_loop = _SHARED.setdefault(loop, {})
    if key not in of_loop or of_loop[key].informer.has_ended:
        # Not in the context of the first trigger, whose log would get the lines of the informer.
        of_loop[key] = contextvars.Context().run(_start, key, open_client)
    shared = of_loop[key]
    shared.users += 1
    try:
        yield shared.informer
    finally:
        shared.users -= 1
        if not shared.users:
            contextvars.Context().run(loop.call_later, _LINGER_S, _end_if_unused, of_loop, key, shared)


def _start(key: InformerKey, open_client: OpenClient) -> _Shared:
    requests = PodRequests(read_patiently(key.connection, open_client), key.namespace)
    informer = PodInformer(requests, key.namespace)
    informer.start()
    helpers = (report_metrics, watch_for_orphans, watch_start_events)
    return _Shared(informer, [asyncio.create_task(helper(informer, key.namespace)) for helper in helpers])


def _end_if_unused(of_loop: dict[InformerKey, _Shared], key: InformerKey, shared: _Shared) -> None:
    if shared.users or shared.is_closed:
        return
    shared.is_closed = True
    if of_loop.get(key) is shared:
        del of_loop[key]
    for helper in shared.helpers:
        helper.cancel()
    _ENDING.add(task := asyncio.ensure_future(shared.informer.close()))
    task.add_done_callback(_ENDING.discard)

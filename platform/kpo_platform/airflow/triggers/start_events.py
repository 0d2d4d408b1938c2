"""Warnings about pods that have not started, by one list for all deferred tasks of a namespace."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator

from kpo_platform.airflow.api_errors import describe_error
from kpo_platform.airflow.triggers.pod_cache import PodNews
from kpo_platform.airflow.triggers.pod_informer import PodInformer
from kpo_platform.pod.json_fields import read_object, read_text
from kpo_platform.pod.merge import Json

log = logging.getLogger(__name__)

_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0
_SHARE = 20
"""The pause is this many times as long as the list took: thousands of waiting pods have thousands of events."""


async def watch_start_events(informer: PodInformer, namespace: str) -> None:
    """Tell those who wait for a pod its warnings, as long as pods have not started, until the task is cancelled."""
    pause_s = _PAUSE_S
    while True:
        await asyncio.sleep(pause_s)
        waiting = [news for news in informer.cache.waiting if _is_pending(news)]
        if not waiting:
            pause_s = _PAUSE_S
            continue
        began_at = time.monotonic()
        try:
            await _tell(waiting, informer.requests.list_warnings())
        except Exception as error:  # without them, a cause is found later, or with less evidence
            log.debug("Cannot list the events in namespace %s: %s", namespace, describe_error(error))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        else:
            pause_s = min(max(_PAUSE_S, (time.monotonic() - began_at) * _SHARE), _LONGEST_PAUSE_S)


def _is_pending(news: PodNews) -> bool:
    return news.pod is not None and read_object(news.pod.get("status")).get("phase") == "Pending"


async def _tell(waiting: list[PodNews], events: AsyncIterator[Json]) -> None:
    by_uid: dict[str, list[Json]] = {news.uid: [] for news in waiting if news.uid}
    async for event in events:
        uid = read_text(read_object(event.get("involvedObject")).get("uid"))
        if uid in by_uid:
            by_uid[uid].append(event)
    for news in waiting:
        if news.uid in by_uid:
            news.tell_warnings(by_uid[news.uid])

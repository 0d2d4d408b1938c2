"""Reads of single pods that the list and the watch do not have."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from collections.abc import Callable

from kpo_platform.airflow.api_errors import describe_error
from kpo_platform.airflow.triggers.outage import Refusals
from kpo_platform.airflow.triggers.pod_cache import PodCache, PodNews
from kpo_platform.airflow.triggers.pod_moment import Moment
from kpo_platform.airflow.triggers.pod_requests import PodRequests
from kpo_platform.pod.json_fields import read_object, read_text
from kpo_platform.pod.summary import summarize_pod

log = logging.getLogger(__name__)

_LOOK_S = 5.0
_AT_ONCE = 20
"""So many reads at a time: the list, the watch and the logs need connections of the client's pool (100), too."""


class PodLooks:
    """Reads the pod of each who waits for one that is not in the cache, until it is gone or the cache has it.

    Args:
        requests: the requests.
        cache: what the list and the watch have.
        get_period: returns the period of what is asked for now, see `Moment`.
        refused_s: how long refusals may last before the one who waits is told.
    """

    def __init__(self, requests: PodRequests, cache: PodCache, get_period: Callable[[], int], refused_s: float) -> None:
        self._requests, self._cache, self._get_period = requests, cache, get_period
        self._refused_s = refused_s
        self._tasks: dict[PodNews, asyncio.Task[None]] = {}
        self._postponed: set[PodNews] = set()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def begin(self, news: PodNews) -> None:
        """Read a pod now, unless it is being read."""
        self._postponed.discard(news)
        if news not in self._tasks:
            # Not in the context of a trigger, see `use_informer`.
            look = contextvars.Context().run(asyncio.create_task, self._look(news), name=f"look at {news.name}")
            self._tasks[news] = look

    def postpone(self, news: PodNews) -> None:
        """Read a pod after the outage: thousands of tasks shall not try it meanwhile."""
        self._postponed.add(news)

    def begin_postponed(self) -> None:
        """Read the pods that are still not known."""
        postponed, self._postponed = self._postponed, set()
        for news in postponed:
            if not self._cache.knows(news):
                self.begin(news)

    def end(self, news: PodNews) -> None:
        """Read a pod no longer."""
        self._postponed.discard(news)
        if (task := self._tasks.pop(news, None)) is not None:
            task.cancel()

    async def close(self) -> None:
        """End all reads."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, news: PodNews) -> None:
        refusals = Refusals(self._refused_s)
        while not self._cache.knows(news):
            try:
                async with self._turns:
                    await self._read(news)
            except Exception as error:
                log.debug("Cannot read pod %s: %s", news.name, describe_error(error))
                if refusals.have_lasted(error):
                    news.fail(error)
            else:
                refusals.clear()
            if news.is_gone:
                return
            await asyncio.sleep(random.uniform(0.8, 1) * _LOOK_S)
        self._tasks.pop(news, None)

    async def _read(self, news: PodNews) -> None:
        """Read a pod, again if more was told meanwhile: the answer may be older, and "gone" is never taken back."""
        updates = -1
        while news.updates != updates and not self._cache.knows(news):
            updates, period = news.updates, self._get_period()
            pod = await self._requests.read(news.name)
        if self._cache.knows(news):
            return  # created after the answer, or the watch is about to tell that it is gone
        if pod is None or not news.is_of(pod):
            news.tell_gone()
        else:
            version = read_text(read_object(pod.get("metadata")).get("resourceVersion"))
            news.tell(summarize_pod(pod), Moment(period, version))

"""Know the task pods of a namespace by one list and one watch, for all deferred tasks of an event loop."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from kubernetes.client import ApiException

from kpo_platform.airflow.api_errors import advise, describe_error, is_forbidden, read_retry_after
from kpo_platform.airflow.triggers.outage import Outage, Refusals
from kpo_platform.airflow.triggers.pod_cache import PodCache, PodNews
from kpo_platform.airflow.triggers.pod_looks import PodLooks
from kpo_platform.airflow.triggers.pod_moment import Moment, is_lower
from kpo_platform.airflow.triggers.pod_requests import PodRequests
from kpo_platform.airflow.triggers.watch_silence import WatchSilence
from kpo_platform.pod.json_fields import read_integer, read_object, read_text
from kpo_platform.pod.merge import Json

log = logging.getLogger(__name__)

_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 15.0
_REFUSED_S = 60.0
"""How long refusals may last before the tasks are told, and how long a refused watch is not tried again."""

_POLL_S = (2.0, 5.0)
_YIELD_AFTER = 50  # pods of a list, so that other triggers run meanwhile
_CHANGES = ("ADDED", "MODIFIED")


class _OutdatedError(Exception):
    """The API server no longer has, or does not yet have, the version from which the watch was to continue."""


class PodInformer:
    """Keeps `PodNews` current until `close`. No error ends it, least of all one of those who wait.

    Attributes:
        cache: what is known of the pods.
        events, lists: how many events of the watch were handled, and how many whole lists.
    """

    def __init__(self, requests: PodRequests, namespace: str) -> None:
        self.requests, self._namespace = requests, namespace
        self.events = self.lists = 0
        self.cache = PodCache()
        self._version, self._listed, self._period = "", "", 0
        self._failures, self._refusals = 0, Refusals(_REFUSED_S)
        self._polls_until, self._polls = 0.0, 0
        self._outage = Outage(namespace, self._wake_all)
        self._has_worked, self._silence = False, WatchSilence(namespace, _POLL_S[1])
        self._looks = PodLooks(requests, self.cache, lambda: self._period, _REFUSED_S)
        self._lister: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pods(self) -> int:
        """How many pods are known."""
        return len(self.cache)

    @property
    def waiting(self) -> int:
        """How many tasks wait for news."""
        return len(self.cache.waiting)

    @property
    def interrupted_since_s(self) -> float:
        """For how many seconds nothing has been found out; 0 while the state of the pods is known."""
        return self._outage.since_s

    @property
    def interrupted_s(self) -> float:
        """How long, in seconds and in all, nothing could be found out."""
        return self._outage.total_s

    @property
    def is_interrupted(self) -> bool:
        """Whether requests have failed for a while, and nothing can be found out now."""
        return self._outage.is_reported

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, which only a fault of this class can cause."""
        return self._task is not None and self._task.done()

    def start(self) -> None:
        """Begin to list and watch."""
        self._task = asyncio.create_task(self._run(), name=f"informer of {self._namespace}")
        self._task.add_done_callback(self._end)

    async def close(self) -> None:
        """End all requests."""
        self._outage.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._looks.close()
        await self.requests.renew()

    @asynccontextmanager
    async def subscribe(self, news: PodNews) -> AsyncIterator[None]:
        """Keep news of a pod current for the block."""
        if not self.cache.add(news):
            if self._outage.lasts:
                self._looks.postpone(news)
            else:
                self._looks.begin(news)
        try:
            yield
        finally:
            self.cache.remove(news)
            self._looks.end(news)

    async def _run(self) -> None:
        while True:
            if not self._version and not await self._try(self._list):
                continue
            if time.monotonic() < self._polls_until:
                self._polls += 1
                await asyncio.sleep(min(_POLL_S[0] + self._polls / 10, _POLL_S[1]))
                self._version = ""
            elif await self._try(self._watch) and not self._has_worked:
                await asyncio.sleep(random.uniform(0.5, 1) * _SHORTEST_PAUSE_S)  # whatever ends watches at once

    async def _try(self, act: Callable[[], Awaitable[None]]) -> bool:
        try:
            await act()
        except _OutdatedError:
            self._version = ""
            await asyncio.sleep(random.uniform(0, 1) * _SHORTEST_PAUSE_S)
            return False
        except Exception as error:
            await self._handle(error, is_watch=act == self._watch)
            return False
        self._failures = 0
        return True

    async def _list(self) -> None:
        self._period += 1
        self._version = await self._read_all() or ""
        self._refusals.clear()
        self._end_outage()

    async def _read_all(self) -> str | None:
        """Read all pods, and return the version of the list; None if a watch beside it has overtaken it."""
        names: set[str] = set()
        listed = Moment(self._period)
        async for page in self.requests.list_pages():
            listed = Moment(self._period, page.version)
            for pod in page.items:
                if self._is_overtaken(listed):
                    return None
                names.add(self.cache.put(pod, self._period))
                if len(names) % _YIELD_AFTER == 0:
                    await asyncio.sleep(0)
        if not listed.version:
            raise ConnectionError("the answer is not a list of pods")
        if self._is_overtaken(listed):
            return None
        self.cache.keep_only(names, listed)
        self._listed = listed.version
        self.lists += 1
        for news in list(self.cache.list_missing()):
            self._looks.begin(news)
        return listed.version

    def _is_overtaken(self, listed: Moment) -> bool:
        """Tell whether the watch has told all that a list has, and perhaps that one of its pods is gone."""
        return listed.is_before(Moment(self._period, self._version))

    async def _watch(self) -> None:
        self._has_worked = False
        self._silence.begin()
        async with self._listing_beside(), self.requests.watch(self._version) as events:
            self._silence.note_answer()
            self._end_outage()
            async for event in events:
                self._take(event)

    @asynccontextmanager
    async def _listing_beside(self) -> AsyncIterator[None]:
        """List the pods beside a watch, until its first event, if a proxy may hold back what the API server sends."""
        self._lister = asyncio.create_task(self._list_beside()) if self._silence.is_held_back else None
        try:
            yield
        finally:
            self._end_lister()

    def _end_lister(self) -> None:
        if self._lister is not None:
            self._lister.cancel()
            self._lister = None

    async def _list_beside(self) -> None:
        while True:
            await asyncio.sleep(_POLL_S[1])
            with suppress(Exception):  # the watch tells of an outage, or ends in silence as well
                await self._read_all()

    def _take(self, event: Json) -> None:
        kind, found = read_text(event.get("type")), read_object(event.get("object"))
        if kind == "ERROR":
            code = read_integer(found.get("code"))
            raise _OutdatedError if code == 410 else ApiException(code, read_text(found.get("message")))
        metadata = read_object(found.get("metadata"))
        version = read_text(metadata.get("resourceVersion"))
        if not version or not (kind == "BOOKMARK" or (kind in (*_CHANGES, "DELETED") and metadata.get("name"))):
            raise ConnectionError("the answer is not an event of a pod")
        if is_lower(version, self._version):
            raise _OutdatedError  # the cluster was restored from a backup
        self._has_worked, self._failures, self._version = True, 0, version
        self._polls = 0
        self._refusals.clear()
        self._silence.note_event()
        self._end_lister()
        self.events += 1
        if is_lower(version, self._listed):
            return  # held back: a list beside the watch has told the pod's state since then, or that it is gone
        if kind in _CHANGES:
            self.cache.put(found, self._period)
        elif kind == "DELETED":
            for news in self.cache.take_out(found, self._period):  # or its labels have changed
                self._looks.begin(news)

    async def _handle(self, error: Exception, *, is_watch: bool) -> None:
        """Decide how to continue after a failed request, and wait."""
        if self._silence.has_caused(error, is_watch=is_watch):
            self._version = ""
            return
        if is_watch and not self._has_worked:
            self._version = ""
        if getattr(error, "status", None) == 410:
            self._version = ""
        if is_watch and isinstance(error, ApiException) and (is_forbidden(error) or error.status in (404, 405, 501)):
            self._poll(error)
            return
        self._outage.begin(error)
        if self._refusals.have_lasted(error):
            for news in self.cache.waiting:
                news.fail(error)
        pause_s = random.uniform(0.1, 1) * min(_SHORTEST_PAUSE_S * 2.0 ** min(self._failures, 10), _LONGEST_PAUSE_S)
        self._failures += 1
        await asyncio.sleep(max(pause_s, read_retry_after(error) or 0.0))

    def _poll(self, refusal: Exception) -> None:
        """List the pods instead of watching them, for a while."""
        is_first, self._polls_until = not self._polls_until, time.monotonic() + _REFUSED_S
        self._version = ""
        if is_first:
            log.warning(
                "Cannot watch the pods of namespace %s: %s. They are listed every %.0f seconds instead. %s",
                *(self._namespace, describe_error(refusal), _POLL_S[1], advise(refusal)),
            )

    def _end_outage(self) -> None:
        if self._outage.lasts:
            self._outage.end()
            self._looks.begin_postponed()

    def _wake_all(self) -> None:
        for news in self.cache.waiting:
            news.wake()

    def _end(self, task: asyncio.Task[None]) -> None:
        """Tell those who wait that nothing more will come, which only a fault of this class can cause."""
        if not task.cancelled() and (error := task.exception()) is not None:
            for news in self.cache.waiting:
                news.fail(error if isinstance(error, Exception) else RuntimeError(repr(error)))

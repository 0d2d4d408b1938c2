"""Know the task pods of a namespace by one list and one watch, for all deferred tasks of an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from kubernetes.client import ApiException

from kpo_platform.airflow.api_errors import advise, describe_error, is_forbidden, is_transient, read_retry_after
from kpo_platform.airflow.triggers.pod_cache import PodCache, PodNews
from kpo_platform.airflow.triggers.pod_requests import PodRequests
from kpo_platform.pod.json_fields import read_integer, read_object, read_text
from kpo_platform.pod.merge import Json
from kpo_platform.pod.summary import summarize_pod

log = logging.getLogger(__name__)

_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 15.0
_REFUSED_S = 60.0
"""How long refusals may last before the tasks are told: an API server that has just started refuses what it will
allow. And how long a refused watch is not tried again."""

_POLL_S = (2.0, 5.0)
_LOOK_S = 5.0
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
        self._version = ""
        self._failures, self._refused_since = 0, 0.0
        self._polls_until, self._polls = 0.0, 0
        self._interrupted_at: float | None = time.monotonic()
        self._interrupted_s, self._has_told_interruption = 0.0, False
        self._has_worked = self._is_held_back = False
        self._looks: dict[PodNews, asyncio.Task[None]] = {}
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
        return 0.0 if self._interrupted_at is None else time.monotonic() - self._interrupted_at

    @property
    def interrupted_s(self) -> float:
        """How long, in seconds and in all, nothing could be found out."""
        return self._interrupted_s + self.interrupted_since_s

    @property
    def is_interrupted(self) -> bool:
        """Whether requests have failed, and nothing can be found out now."""
        return self._has_told_interruption

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
        tasks = [task for task in (self._task, *self._looks.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.requests.renew()

    @asynccontextmanager
    async def subscribe(self, news: PodNews) -> AsyncIterator[None]:
        """Keep news of a pod current for the block."""
        if not self.cache.add(news) and self._interrupted_at is None:
            self._look_at(news)
        try:
            yield
        finally:
            self.cache.remove(news)
            if (look := self._looks.pop(news, None)) is not None:
                look.cancel()

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
        self._version, self._refused_since = await self._read_all(), 0.0
        self._resume()

    async def _read_all(self) -> str:
        """Read all pods, and return the version of the list."""
        names, version = [], ""
        async for page in self.requests.list_pages():
            version = page.version
            for pod in page.pods:
                self.cache.put(pod)
                names.append(read_text(read_object(pod.get("metadata")).get("name")))
                if len(names) % _YIELD_AFTER == 0:
                    await asyncio.sleep(0)
        if not version:
            raise ConnectionError("the answer is not a list of pods")
        self.cache.keep_only(names)
        self.lists += 1
        for news in list(self.cache.list_missing()):
            self._look_at(news)
        return version

    async def _watch(self) -> None:
        self._has_worked = False
        async with self.requests.watch(self._version) as events, self._listing_beside():
            self._resume()
            async for event in events:
                self._take(event)
        self._is_held_back &= not self._has_worked

    @asynccontextmanager
    async def _listing_beside(self) -> AsyncIterator[None]:
        """List the pods beside a watch while a proxy may hold back what the API server sends."""
        task = asyncio.create_task(self._list_beside()) if self._is_held_back else None
        try:
            yield
        finally:
            if task is not None:
                task.cancel()

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
        if version.isdigit() and self._version.isdigit() and int(version) < int(self._version):
            raise _OutdatedError  # the cluster was restored from a backup
        self._has_worked, self._failures, self._version = True, 0, version
        self._polls, self._refused_since = 0, 0.0
        self.events += 1
        if kind in _CHANGES:
            self.cache.put(found)
        elif kind == "DELETED":
            for news in self.cache.take_out(found):  # or its labels have changed
                self._look_at(news)

    async def _handle(self, error: Exception, *, is_watch: bool) -> None:
        """Decide how to continue after a failed request, and wait."""
        if is_watch and isinstance(error.__cause__, TimeoutError):
            self._note_silence()
            return
        if is_watch and not self._has_worked:
            self._version = ""
        if getattr(error, "status", None) == 410:
            self._version = ""
        if is_watch and isinstance(error, ApiException) and (is_forbidden(error) or error.status in (404, 405, 501)):
            self._poll(error)
            return
        self._interrupt(error)
        if getattr(error, "status", None) == 401:
            with suppress(Exception):
                await self.requests.renew()
        if not is_transient(error):
            self._note_refusal(error)
        pause_s = random.uniform(0.1, 1) * min(_SHORTEST_PAUSE_S * 2.0 ** min(self._failures, 10), _LONGEST_PAUSE_S)
        self._failures += 1
        await asyncio.sleep(max(pause_s, read_retry_after(error) or 0.0))

    def _note_silence(self) -> None:
        """List the pods after a silent watch: the API server sends a bookmark every minute."""
        self._version = ""
        if not self._is_held_back:
            self._is_held_back = True
            log.warning(
                "The watch of the pods of namespace %s is silent: a proxy may hold back what the Kubernetes API sends. "
                "The pods are listed beside it every %.0f seconds. Let the proxy pass on answers at once.",
                *(self._namespace, _POLL_S[1]),
            )

    def _poll(self, refusal: Exception) -> None:
        """List the pods instead of watching them, for a while."""
        is_first, self._polls_until = not self._polls_until, time.monotonic() + _REFUSED_S
        self._version = ""
        if is_first:
            log.warning(
                "Cannot watch the pods of namespace %s: %s. They are listed every %.0f seconds instead. %s",
                *(self._namespace, describe_error(refusal), _POLL_S[1], advise(refusal)),
            )

    def _note_refusal(self, error: Exception) -> None:
        now = time.monotonic()
        self._refused_since = self._refused_since or now
        if now - self._refused_since >= _REFUSED_S:
            for news in self.cache.waiting:
                news.fail(error)

    def _interrupt(self, error: Exception) -> None:
        self._interrupted_at = self._interrupted_at or time.monotonic()
        if not self._has_told_interruption:
            self._has_told_interruption = True
            log.warning("Cannot read the pods of namespace %s: %s.", self._namespace, describe_error(error))
            for news in self.cache.waiting:
                news.wake()

    def _resume(self) -> None:
        if self._interrupted_at is None:
            return
        lasted_s = time.monotonic() - self._interrupted_at
        self._interrupted_at, self._interrupted_s = None, self._interrupted_s + lasted_s
        if self._has_told_interruption:
            self._has_told_interruption = False
            log.info("The pods of namespace %s are read again after %.0f seconds.", self._namespace, lasted_s)
            for news in self.cache.waiting:
                news.wake()

    def _look_at(self, news: PodNews) -> None:
        if news not in self._looks:
            # Not in the context of a trigger, see `use_informer`.
            look = contextvars.Context().run(asyncio.create_task, self._look(news), name=f"look at {news.name}")
            self._looks[news] = look

    async def _look(self, news: PodNews) -> None:
        """Read a pod that the list or watch does not have, until it is gone or they have it."""
        while not self.cache.knows(news):
            try:
                pod = await self.requests.read(news.name)
            except Exception as error:
                log.debug("Cannot read pod %s: %s", news.name, describe_error(error))
            else:
                if pod is None or not news.is_of(pod):
                    news.tell(None, is_gone=True)
                    return
                news.tell(summarize_pod(pod))
            await asyncio.sleep(random.uniform(0.8, 1) * _LOOK_S)
        self._looks.pop(news, None)

    def _end(self, task: asyncio.Task[None]) -> None:
        """Tell those who wait that nothing more will come, which only a fault of this class can cause."""
        if not task.cancelled() and (error := task.exception()) is not None:
            for news in self.cache.waiting:
                news.fail(error if isinstance(error, Exception) else RuntimeError(repr(error)))

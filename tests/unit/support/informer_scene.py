"""An informer, its API server, and deferred tasks that wait for their pods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from kpo_platform.airflow.triggers.pod_cache import PodNews
from kpo_platform.airflow.triggers.pod_informer import PodInformer
from kpo_platform.airflow.triggers.pod_requests import PodRequests
from kpo_platform.pod.state import parse_pod_state
from unit.support.namespace_server import NamespaceServer, serve
from unit.support.pod_statuses import RUNNING, ended, pod

Json = dict[str, Any]


def build_pod(name: str, phase: str = "Running", state: Json = RUNNING, uid: str = "") -> Json:
    found = pod(phase, state)
    return {**found, "metadata": {"name": name, "namespace": "n", "uid": uid or f"uid-{name}"}}


def build_ended(name: str, code: int = 0) -> Json:
    return build_pod(name, "Failed" if code else "Succeeded", ended(code))


class Watcher:
    """What a deferred task knows of its pod."""

    def __init__(self, news: PodNews) -> None:
        self.news = news

    async def wait_for(self, *wanted: str) -> str:
        """Wait until the pod is in a state, and describe it."""
        async with asyncio.timeout(5):
            while (known := self.describe()) not in wanted:
                await self.news.wait(5)
        return known

    def describe(self) -> str:
        if self.news.error is not None:
            return f"error: {self.news.error}"
        if self.news.pod is None:
            return "gone" if self.news.is_gone else "unknown"
        state = parse_pod_state(self.news.pod)
        code = state.container("base").exit_code
        known = state.phase if code is None else f"{state.phase} {code}"
        return f"{known}, gone" if self.news.is_gone else known


class Scene:
    """An API server, an informer, and those who watch."""

    def __init__(self, server: NamespaceServer, informer: PodInformer, stack: AsyncExitStack) -> None:
        self.server, self.informer, self._stack = server, informer, stack

    async def watch(self, name: str, uid: str | None = None, start: str = "") -> Watcher:
        news = PodNews(name, f"uid-{name}" if uid is None else uid, start)
        await self._stack.enter_async_context(self.informer.subscribe(news))
        return Watcher(news)

    async def wait_until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not is_so():
                await asyncio.sleep(0.005)

    def count(self, request: str) -> int:
        return self.server.requests.count(request)


@asynccontextmanager
async def open_scene(server: NamespaceServer) -> AsyncIterator[Scene]:
    async with serve(server) as open_client, AsyncExitStack() as stack:
        informer = PodInformer(PodRequests(open_client, "n"), "n")
        informer.start()
        try:
            yield Scene(server, informer, stack)
        finally:
            await informer.close()


def play(act: Callable[[Scene], Awaitable[None]], *pods: Json) -> None:
    server = NamespaceServer()
    for each in pods:
        server.put(each)
    play_with(act, server)


def play_with(act: Callable[[Scene], Awaitable[None]], server: NamespaceServer) -> None:
    async def run() -> None:
        async with open_scene(server) as scene:
            await act(scene)

    asyncio.run(run())

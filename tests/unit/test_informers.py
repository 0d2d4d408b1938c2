"""triggers.informers: one informer for each cluster, identity and namespace, as long as someone needs it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from kpo_platform.airflow.triggers import informers
from kpo_platform.airflow.triggers.informers import InformerKey, use_informer
from unit.support.informer_scene import build_pod
from unit.support.namespace_server import NamespaceServer, serve

KEY = InformerKey("k8s_default", None, None, "", "n")


@pytest.fixture(autouse=True)
def short_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informers, "_LINGER_S", 0.1)


def play(act: Callable[[NamespaceServer, Any], Awaitable[None]]) -> NamespaceServer:
    server = NamespaceServer()
    server.put(build_pod("a"))

    async def run() -> None:
        async with serve(server) as open_client, asyncio.timeout(10):
            await act(server, open_client)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    asyncio.run(run())
    return server


async def wait_until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("other", "is_shared"),
    [
        (KEY, True),
        (replace(KEY, connection="other"), False),
        (replace(KEY, cluster_context="other"), False),
        (replace(KEY, in_cluster=True), False),
        (replace(KEY, config="other"), False),
        (replace(KEY, namespace="m"), False),
    ],
)
def test_informer_is_shared_by_what_has_the_same_key(other: InformerKey, is_shared: bool):
    async def act(server: NamespaceServer, open_client: Any) -> None:
        async with use_informer(KEY, open_client) as first, use_informer(other, open_client) as second:
            assert (first is second) is is_shared

    play(act)


def test_informer_stays_for_a_moment_and_ends_then():
    async def act(server: NamespaceServer, open_client: Any) -> None:
        async with use_informer(KEY, open_client) as first:
            await wait_until(lambda: first.pods == 1)
        async with use_informer(KEY, open_client) as second:
            assert second is first
        await wait_until(lambda: first.has_ended)
        async with use_informer(KEY, open_client) as third:
            assert third is not first
            await wait_until(lambda: third.pods == 1)

    assert play(act).requests.count("LIST") == 2


def test_informer_has_none_of_the_context_of_its_first_trigger():
    context = contextvars.ContextVar("context", default="none")
    seen: list[str] = []

    async def act(server: NamespaceServer, open_client: Any) -> None:
        def open_and_look() -> Any:
            seen.append(context.get())
            return open_client()

        context.set("of the first trigger")
        async with use_informer(KEY, open_and_look) as informer:
            await wait_until(lambda: informer.pods == 1)

    play(act)
    assert seen == ["none"]


def test_informer_that_has_failed_is_replaced(monkeypatch: pytest.MonkeyPatch):
    async def act(server: NamespaceServer, open_client: Any) -> None:
        async with use_informer(KEY, open_client) as first:
            await wait_until(lambda: first.pods == 1)
            assert first._task is not None
            first._task.cancel()
            await wait_until(lambda: first.has_ended)
            async with use_informer(KEY, open_client) as second:
                assert second is not first

    play(act)

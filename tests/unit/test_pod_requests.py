"""triggers.pod_requests: a client is closed, and replaced, without harm to the requests that use it.

One whose credentials are rejected is replaced for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kpo_platform.airflow.api_errors import ApiRefusal, is_transient
from kpo_platform.airflow.triggers import pod_requests
from kpo_platform.airflow.triggers.pod_requests import PodRequests
from unit.support.informer_scene import build_pod
from unit.support.namespace_server import HeldAnswer, NamespaceServer, serve

CLIENTS: list[Any] = []


def play(act: Callable[[NamespaceServer, PodRequests], Awaitable[None]]) -> None:
    server = NamespaceServer()
    server.put(build_pod("a"))
    CLIENTS.clear()

    async def run() -> None:
        async with serve(server) as open_client, asyncio.timeout(10):

            @asynccontextmanager
            async def open_noted() -> AsyncIterator[Any]:
                async with open_client() as client:
                    CLIENTS.append(client)
                    yield client

            requests = PodRequests(open_noted, "n")
            await act(server, requests)
            await requests.renew()
            assert [is_closed(client) for client in CLIENTS] == [True] * len(CLIENTS)

    asyncio.run(run())


def is_closed(client: Any) -> bool:
    return bool(client.rest_client.pool_manager.closed)


def test_former_client_is_closed_after_its_last_request():
    async def act(server: NamespaceServer, requests: PodRequests) -> None:
        held = [HeldAnswer(server), HeldAnswer(server)]
        server.acts["GET a"] = [*held]
        reads = []
        for each in held:  # one after the other: each has its own answer
            reads.append(asyncio.create_task(requests.read("a")))
            await each.asked.wait()
        await requests.renew()
        assert await requests.read("a") is not None
        assert len(CLIENTS) == 2
        for each, read in zip(held, reads, strict=True):
            assert not is_closed(CLIENTS[0])
            each.released.set()
            assert await read is not None
        assert [is_closed(client) for client in CLIENTS] == [True, False]

    play(act)


def test_former_client_is_closed_after_a_request_that_was_given_up():
    async def act(server: NamespaceServer, requests: PodRequests) -> None:
        server.acts["GET a"] = [held := HeldAnswer(server)]
        read = asyncio.create_task(requests.read("a"))
        await held.asked.wait()
        await requests.renew()
        read.cancel()
        with pytest.raises(asyncio.CancelledError):
            await read
        held.released.set()
        assert is_closed(CLIENTS[0])

    play(act)


def test_request_to_a_closed_client_looks_like_a_lost_connection():
    async def act(_: NamespaceServer, requests: PodRequests) -> None:
        assert await requests.read("a") is not None
        await CLIENTS[0].close()
        with pytest.raises(ConnectionError, match="Session is closed") as raised:
            await requests.read("a")
        assert is_transient(raised.value)

    play(act)


async def list_all(requests: PodRequests) -> None:
    assert [len(page.items) async for page in requests.list_pages()] == [1]


async def watch(requests: PodRequests) -> None:
    async with requests.watch("1") as events:
        assert (await anext(events))["type"] == "ADDED"


REQUESTS = {
    "LIST": list_all,
    "WATCH": watch,
    "GET a": lambda requests: requests.read("a"),
    "LOG a": lambda requests: requests.read_log("a", "base"),
    "DELETE a": lambda requests: requests.delete("a", None, None),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_request_whose_credentials_have_expired_is_sent_with_new_ones(name: str, monkeypatch: pytest.MonkeyPatch):
    async def act(server: NamespaceServer, requests: PodRequests) -> None:
        server.expired = 1
        await REQUESTS[name](requests)
        assert (server.requests, len(CLIENTS)) == ([name] * 2, 2)

    monkeypatch.setattr(pod_requests, "_YOUNG_S", 0.0)
    play(act)


def test_expired_credentials_are_read_once_for_all_requests(monkeypatch: pytest.MonkeyPatch):
    async def act(server: NamespaceServer, requests: PodRequests) -> None:
        server.expired = 1
        assert None not in await asyncio.gather(*(requests.read("a") for _ in range(50)))
        assert (server.requests, len(CLIENTS)) == (["GET a"] * 100, 2)

    monkeypatch.setattr(pod_requests, "_YOUNG_S", 0.0)
    play(act)


def test_credentials_that_were_just_read_are_not_read_again():
    """Thousands of tasks may make requests while the API server rejects what the connection has."""

    async def act(server: NamespaceServer, requests: PodRequests) -> None:
        server.expired = 9
        for _ in range(3):
            with pytest.raises(ApiRefusal, match="401"):
                await requests.read("a")
        assert (server.requests, len(CLIENTS)) == (["GET a"] * 3, 1)

    play(act)

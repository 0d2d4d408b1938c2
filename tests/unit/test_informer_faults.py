"""triggers.pod_informer: answers that are none, and watches that a proxy holds back."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from kpo_platform.airflow.triggers import pod_informer, pod_looks, pod_requests
from unit.support.informer_scene import Scene, build_ended, build_pod, play
from unit.support.namespace_server import refusing

SILENT = (
    "The watch of the pods of namespace n is silent: a proxy may hold back what the Kubernetes API sends. The pods are "
    "listed beside it every 0 seconds. Let the proxy pass on answers at once."
)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_informer, "_SHORTEST_PAUSE_S", 0.01)
    monkeypatch.setattr(pod_informer, "_LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(pod_looks, "_LOOK_S", 0.03)
    monkeypatch.setattr(pod_informer, "_POLL_S", (0.02, 0.05))


async def close(request: web.Request) -> web.StreamResponse | None:
    assert request.transport is not None
    request.transport.abort()
    return None


async def answer_garbage(request: web.Request) -> web.StreamResponse | None:
    return web.Response(body=b"<html>\n")


async def hold_back(request: web.Request) -> web.StreamResponse | None:
    response = web.StreamResponse()
    await response.prepare(request)
    while request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(0.01)
    return response


def list_warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_watch_that_a_proxy_holds_back_is_helped_by_lists(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async def act(scene: Scene) -> None:
        scene.server.acts["WATCH"] = [hold_back] * 1000
        watchers = [await scene.watch(name) for name in ("a", "b")]
        for watcher in watchers:
            await watcher.wait_for("Running")
        await scene.wait_until(lambda: scene.count("WATCH") > 1)
        scene.server.put(build_ended("a"))
        scene.server.delete("b")
        await watchers[0].wait_for("Succeeded 0")
        await watchers[1].wait_for("Running, gone")

    monkeypatch.setattr(pod_requests, "_SILENCE_S", 0.3)
    play(act, build_pod("a"), build_pod("b"))
    assert list_warnings(caplog) == [SILENT]


async def answer_never(request: web.Request) -> web.StreamResponse | None:
    while request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(0.01)
    return web.Response()


def test_watch_whose_answer_a_proxy_holds_back_is_helped_by_lists(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A proxy that buffers may send no headers before there is something to send after them."""

    async def act(scene: Scene) -> None:
        scene.server.acts["WATCH"] = [answer_never] * 1000
        watcher = await scene.watch("a")
        await watcher.wait_for("Running")
        await scene.wait_until(lambda: scene.count("WATCH") == 3)
        scene.server.put(build_ended("a"))
        await watcher.wait_for("Succeeded 0")
        assert scene.count("WATCH") == 3

    monkeypatch.setattr(pod_requests, "_SILENCE_S", 0.5)
    play(act, build_pod("a"))
    assert list_warnings(caplog) == [SILENT]


def test_lists_beside_a_watch_end_with_its_first_event(monkeypatch: pytest.MonkeyPatch):
    async def act(scene: Scene) -> None:
        scene.server.acts["WATCH"] = [hold_back]
        await (await scene.watch("a")).wait_for("Running")
        await scene.wait_until(lambda: scene.count("WATCH") == 2 and scene.count("LIST") >= 4)
        scene.server.bookmark()
        await scene.wait_until(lambda: scene.informer.events == 1)
        lists = scene.count("LIST")
        await asyncio.sleep(0.2)
        assert scene.count("LIST") <= lists + 1  # one may have been sent

    monkeypatch.setattr(pod_requests, "_SILENCE_S", 0.5)
    play(act, build_pod("a"))


async def send_an_event(request: web.Request) -> web.StreamResponse | None:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "1000"}}}\n')
    await answer_never(request)
    return response


def test_connection_that_is_lost_after_an_event_is_not_ascribed_to_a_proxy(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async def act(scene: Scene) -> None:
        scene.server.acts["WATCH"] = [send_an_event]
        watcher = await scene.watch("a")
        await watcher.wait_for("Running")
        scene.server.put(build_ended("a"))
        await watcher.wait_for("Succeeded 0")

    monkeypatch.setattr(pod_requests, "_SILENCE_S", 0.3)
    play(act, build_pod("a"))
    assert list_warnings(caplog) == []


@pytest.mark.parametrize("fault", ["connection", "answer"])
def test_connection_that_is_not_made_is_an_outage_and_no_silence(
    fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async def act(scene: Scene) -> None:
        if fault == "answer":
            scene.server.acts["WATCH"] = [answer_never, refusing(503)]
        watcher = await scene.watch("a")
        await scene.wait_until(lambda: scene.count("WATCH") > (2 if fault == "answer" else 0))
        assert scene.informer.interrupted_s > 0.05  # its begin is measured when the attempt has failed
        scene.server.bookmark()
        lists = scene.count("LIST")
        await asyncio.sleep(0.3)
        assert scene.count("LIST") == lists
        scene.server.put(build_ended("a"))
        await watcher.wait_for("Succeeded 0")

    errors = [aiohttp.ConnectionTimeoutError("no connection, or none of the pool is free")] * 2
    call = pod_requests._call

    async def fail_first(client: Any, request: Any) -> Any:
        if "watch" in request.query and fault != "answer" and errors:
            raise errors.pop()
        return await call(client, request)

    monkeypatch.setattr(pod_requests, "_call", fail_first)
    monkeypatch.setattr(pod_requests, "_SILENCE_S", 1)
    monkeypatch.setattr(pod_informer, "_SHORTEST_PAUSE_S", 0.2)
    monkeypatch.setattr(pod_informer, "_LONGEST_PAUSE_S", 0.2)
    play(act, build_pod("a"))
    assert list_warnings(caplog) == []


@pytest.mark.parametrize("act_once", [close, answer_garbage])
@pytest.mark.parametrize("request_name", ["LIST", "WATCH"])
def test_answer_that_is_none_is_asked_for_again(request_name: str, act_once: Any):
    async def act(scene: Scene) -> None:
        scene.server.acts[request_name] = [act_once] * 3
        watcher = await scene.watch("a")
        await scene.wait_until(lambda: not scene.server.acts[request_name])
        scene.server.put(build_ended("a"))
        await watcher.wait_for("Succeeded 0")

    play(act, build_pod("a"))


@pytest.mark.parametrize("line", [b"", b"[]", b'{"type": "ADDED", "object": {}}', b"\xff", b'{"type": "NEW"}'])
def test_line_of_a_watch_that_is_no_event_does_no_harm(line: bytes):
    async def act(scene: Scene) -> None:
        watcher = await scene.watch("a")
        await watcher.wait_for("Running")
        scene.server.send(line)
        scene.server.put(build_ended("a"))
        await watcher.wait_for("Succeeded 0")

    play(act, build_pod("a"))

"""triggers.pod_informer: answers that are none, and watches that a proxy holds back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from kpo_platform.airflow.triggers import pod_informer, pod_requests
from unit.support.informer_scene import Scene, build_ended, build_pod, play


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_informer, "_SHORTEST_PAUSE_S", 0.01)
    monkeypatch.setattr(pod_informer, "_LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(pod_informer, "_LOOK_S", 0.03)
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
    (line,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert line == (
        "The watch of the pods of namespace n is silent: a proxy may hold back what the Kubernetes API sends. The pods "
        "are listed beside it every 0 seconds. Let the proxy pass on answers at once."
    )


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

"""triggers.outage: outages are waited out, refusals that last are told, and who comes meanwhile is not forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kpo_platform.airflow.triggers import outage, pod_informer, pod_looks
from unit.support.informer_scene import Scene, build_ended, build_pod, play, play_with
from unit.support.namespace_server import HeldAnswer, NamespaceServer, refusing

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_informer, "_SHORTEST_PAUSE_S", 0.01)
    monkeypatch.setattr(pod_informer, "_LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(pod_looks, "_LOOK_S", 0.03)
    monkeypatch.setattr(outage, "_TOLD_AFTER_S", 0.05)
    monkeypatch.setattr(pod_informer, "_POLL_S", (0.02, 0.05))


@pytest.mark.parametrize("times", [1, 20])
@pytest.mark.parametrize("request_name", ["LIST", "WATCH"])
@pytest.mark.parametrize("code", [401, 429, 500, 503, 504])
def test_outage_is_waited_out(request_name: str, code: int, times: int):
    async def act(scene: Scene) -> None:
        scene.server.acts[request_name] = [refusing(code)] * times
        watcher = await scene.watch("a")
        await scene.wait_until(lambda: not scene.server.acts[request_name])
        scene.server.put(build_ended("a"))
        await watcher.wait_for("Succeeded 0")

    play(act, build_pod("a"))


def test_short_outage_is_not_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    """Else each end of a connection would be in the logs of thousands of tasks."""

    async def act(scene: Scene) -> None:
        watcher = await scene.watch("a")
        await watcher.wait_for("Running")
        watcher.news._changed.clear()
        for _ in range(3):
            watches = scene.count("WATCH")
            scene.server.acts["WATCH"] = [refusing(503)] * 3
            scene.server.cut()
            await scene.wait_until(lambda watches=watches: scene.count("WATCH") >= watches + 4)  # type: ignore[misc]
            assert not scene.informer.is_interrupted
        await asyncio.sleep(0.5)
        assert not scene.informer.is_interrupted
        assert not watcher.news._changed.is_set()

    monkeypatch.setattr(outage, "_TOLD_AFTER_S", 0.5)
    play(act, build_pod("a"))
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_outage_is_told_although_the_api_asks_for_a_long_wait():
    async def act(scene: Scene) -> None:
        scene.server.acts["LIST"] = [refusing(503, "busy", {"Retry-After": "60"})]
        watcher = await scene.watch("a")
        await scene.wait_until(lambda: scene.informer.is_interrupted)
        assert watcher.news._changed.is_set()

    play(act, build_pod("a"))


@pytest.mark.parametrize("has_other", [False, True])
def test_task_that_comes_during_an_outage_learns_that_its_pod_is_gone(has_other: bool, monkeypatch: pytest.MonkeyPatch):
    """The watch continues from its version: no list follows, and no event."""

    async def act(scene: Scene) -> None:
        await (await scene.watch("a")).wait_for("Running")
        scene.server.bookmark()
        await scene.wait_until(lambda: scene.informer.events == 1)
        scene.server.cut()
        await scene.wait_until(lambda: scene.informer.interrupted_since_s > 0)
        watcher = await scene.watch("b", uid="former")
        assert await watcher.wait_for("gone") == "gone"
        assert (scene.count("LIST"), scene.count("GET b")) == (1, 1)

    monkeypatch.setattr(pod_informer, "_SHORTEST_PAUSE_S", 0.5)
    monkeypatch.setattr(pod_informer, "_LONGEST_PAUSE_S", 0.5)
    play(act, build_pod("a"), *([build_pod("b")] if has_other else []))


@pytest.mark.parametrize("fault", ["outage", "relist", "first list"])
def test_task_that_comes_at_any_time_learns_of_its_pod(fault: str):
    async def act(scene: Scene) -> None:
        held = HeldAnswer(scene.server)
        if fault == "first list":
            scene.server.acts["LIST"] = [held]
        else:
            await (await scene.watch("a")).wait_for("Running")
            scene.server.acts["LIST"] = [refusing(503)] * 5 if fault == "outage" else [held]
            scene.server.restart()
        await scene.wait_until(lambda: held.asked.is_set() or scene.count("LIST") > 3)
        gone, hidden = await scene.watch("gone"), await scene.watch("hidden")
        held.released.set()
        await gone.wait_for("gone")
        await hidden.wait_for("Running")

    server = NamespaceServer()
    server.put(build_pod("a"))
    server.put(build_pod("hidden"), is_selected=False)
    play_with(act, server)


def test_outage_between_refusals_begins_their_time_again(monkeypatch: pytest.MonkeyPatch):
    """An API server that starts refuses what it will allow, before an outage and after it."""

    async def act(scene: Scene) -> None:
        refusal = refusing(403, 'User "u" cannot list resource "pods"')
        scene.server.acts["LIST"] = [refusal, *[refusing(503)] * 15, refusal]
        watcher = await scene.watch("a")
        assert await watcher.wait_for("Running", 'error: HTTP 403, User "u" cannot list resource "pods"') == "Running"

    monkeypatch.setattr(pod_informer, "_REFUSED_S", 0.2)
    play(act, build_pod("a"))


@pytest.mark.parametrize(("request_line", "verb", "pod"), [("LIST", "list", "a"), ("GET b", "get", "b")])
def test_refusal_is_told_when_it_lasts(request_line: str, verb: str, pod: str, monkeypatch: pytest.MonkeyPatch):
    async def act(scene: Scene) -> None:
        scene.server.acts[request_line] = [refusing(403, f'User "u" cannot {verb} resource "pods"')] * 1000
        watcher = await scene.watch(pod)
        said = f'error: HTTP 403, User "u" cannot {verb} resource "pods"'
        assert await watcher.wait_for(said) == said

    monkeypatch.setattr(pod_informer, "_REFUSED_S", 0.2)
    play(act, build_pod("a"))


def test_time_of_an_outage_is_counted():
    async def act(scene: Scene) -> None:
        watcher = await scene.watch("a")
        await watcher.wait_for("Running")
        before = scene.informer.interrupted_s
        scene.server.acts["LIST"] = scene.server.acts["WATCH"] = [refusing(503)] * 1000
        scene.server.cut()
        await scene.wait_until(lambda: scene.informer.is_interrupted)
        await asyncio.sleep(0.3)
        scene.server.acts.clear()
        await scene.wait_until(lambda: not scene.informer.is_interrupted)
        assert 0.3 <= scene.informer.interrupted_s - before <= 3

    play(act, build_pod("a"))

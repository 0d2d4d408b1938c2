"""triggers.pod_informer: one list and one watch for all deferred tasks of a namespace."""

from __future__ import annotations

from typing import Any

import pytest

from kpo_platform.airflow.triggers import outage, pod_informer, pod_looks, pod_requests
from kpo_platform.airflow.triggers.pod_cache import PodNews
from unit.support.informer_scene import Scene, Watcher, build_ended, build_pod, play, play_with
from unit.support.namespace_server import NamespaceServer, refusing
from unit.support.pod_statuses import WAITING

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_informer, "_SHORTEST_PAUSE_S", 0.01)
    monkeypatch.setattr(pod_informer, "_LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(pod_looks, "_LOOK_S", 0.03)
    monkeypatch.setattr(outage, "_TOLD_AFTER_S", 0.05)
    monkeypatch.setattr(pod_informer, "_POLL_S", (0.02, 0.05))


def test_pods_of_a_namespace_need_one_list_and_one_watch():
    async def act(scene: Scene) -> None:
        watchers = [await scene.watch(name) for name in ("a", "b", "c")]
        for watcher in watchers:
            await watcher.wait_for("Running")
        for name in ("a", "b", "c"):
            scene.server.put(build_ended(name, code=3 if name == "b" else 0))
        assert [await each.wait_for("Succeeded 0", "Failed 3") for each in watchers] == [
            *("Succeeded 0", "Failed 3", "Succeeded 0")
        ]
        assert scene.server.requests == ["LIST", "WATCH"]

    play(act, *map(build_pod, ("a", "b", "c")))


def test_long_list_is_read_in_pages(monkeypatch: pytest.MonkeyPatch):
    async def act(scene: Scene) -> None:
        watchers = [await scene.watch(f"p{number}") for number in range(25)]
        for watcher in watchers:
            await watcher.wait_for("Running")
        assert (scene.count("LIST"), scene.informer.pods) == (3, 25)

    monkeypatch.setattr(pod_requests, "_PAGE", 10)
    play(act, *(build_pod(f"p{number}") for number in range(25)))


def test_task_that_defers_later_learns_the_state_without_a_request():
    async def act(scene: Scene) -> None:
        await (await scene.watch("a")).wait_for("Running")
        assert (await scene.watch("b")).describe() == "Succeeded 0"
        await scene.wait_until(lambda: scene.count("WATCH") == 1)
        assert scene.server.requests == ["LIST", "WATCH"]

    play(act, build_pod("a"), build_ended("b"))


def test_pod_that_is_deleted_keeps_its_exit_code():
    async def act(scene: Scene) -> None:
        watcher = await scene.watch("a")
        await watcher.wait_for("Running")
        scene.server.put(build_ended("a", code=3))
        scene.server.delete("a")
        assert await watcher.wait_for("Failed 3, gone") == "Failed 3, gone"
        assert scene.count("GET a") == 1

    play(act, build_pod("a"))


def test_pod_that_loses_its_label_is_still_looked_at():
    async def act(scene: Scene) -> None:
        watcher = await scene.watch("a")
        await watcher.wait_for("Running")
        scene.server.put(build_pod("a"), is_selected=False)
        await scene.wait_until(lambda: scene.count("GET a") > 0)
        scene.server.put(build_ended("a"), is_selected=False)
        await watcher.wait_for("Succeeded 0")
        scene.server.delete("a")
        await watcher.wait_for("Succeeded 0, gone")

    play(act, build_pod("a"))


@pytest.mark.parametrize("cut", ["break", "restart"])
def test_end_during_a_broken_watch_is_seen(cut: str):
    async def act(scene: Scene) -> None:
        watchers = [await scene.watch(name) for name in ("a", "b")]
        for watcher in watchers:
            await watcher.wait_for("Running")
        scene.server.acts["WATCH"] = [refusing(503), refusing(500)]
        if cut == "break":
            scene.server.cut()
        else:
            scene.server.restart()  # the versions before are gone: 410
        scene.server.put(build_ended("a"))
        scene.server.delete("b")
        await watchers[0].wait_for("Succeeded 0")
        await watchers[1].wait_for("Running, gone")

    play(act, build_pod("a"), build_pod("b"))


def test_broken_watch_continues_from_its_version():
    async def act(scene: Scene) -> None:
        watcher = await scene.watch("a")
        await watcher.wait_for("Running")
        scene.server.bookmark()
        await scene.wait_until(lambda: scene.informer.events == 1)
        scene.server.cut()
        scene.server.put(build_ended("a"))
        await watcher.wait_for("Succeeded 0")
        assert scene.server.requests == ["LIST", "WATCH", "WATCH"]

    play(act, build_pod("a"))


def test_restored_cluster_with_an_older_version_is_listed_again():
    async def act(scene: Scene) -> None:
        scene.server.version = 500
        watcher = await scene.watch("a")
        await watcher.wait_for("Running")
        scene.server.bookmark()
        await scene.wait_until(lambda: scene.informer.events == 1)
        scene.server.restart(version=100)
        await scene.wait_until(lambda: scene.count("WATCH") > 1)
        scene.server.delete("a")
        scene.server._events = [(10_000, each[1]) for each in scene.server._events]  # a real one sends it, too
        scene.server._changed.set()
        await watcher.wait_for("Running, gone")

    play(act, build_pod("a"))


def test_refused_watch_becomes_one_list_for_all(caplog: pytest.LogCaptureFixture):
    async def act(scene: Scene) -> None:
        scene.server.acts["WATCH"] = [refusing(403, 'User "u" cannot watch resource "pods"')]
        watchers = [await scene.watch(name) for name in ("a", "b")]
        for watcher in watchers:
            await watcher.wait_for("Running")
        for name in ("a", "b"):
            scene.server.put(build_ended(name))
        for watcher in watchers:
            await watcher.wait_for("Succeeded 0")
        assert {each for each in scene.server.requests if each not in ("LIST", "WATCH")} == set()
        assert scene.count("WATCH") == 1

    play(act, build_pod("a"), build_pod("b"))
    (line,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert line == (
        'Cannot watch the pods of namespace n: HTTP 403, User "u" cannot watch resource "pods". They are listed every '
        "0 seconds instead. Give the task's connection this right."
    )


def test_state_that_has_not_changed_wakes_no_task():
    """The pods are listed every two to five seconds if the watch is refused."""

    async def act(scene: Scene) -> None:
        scene.server.acts["WATCH"] = [refusing(403, 'User "u" cannot watch resource "pods"')]
        watcher = await scene.watch("a")
        out_of_selection = await scene.watch("b")
        await watcher.wait_for("Running")
        await out_of_selection.wait_for("Running")
        for each in (watcher, out_of_selection):
            each.news._changed.clear()
        lists, reads = scene.informer.lists, scene.count("GET b")
        await scene.wait_until(lambda: scene.informer.lists >= lists + 3 and scene.count("GET b") >= reads + 3)
        assert not watcher.news._changed.is_set()
        assert not out_of_selection.news._changed.is_set()
        scene.server.put(build_ended("a"))
        scene.server.put(build_ended("b"), is_selected=False)
        await watcher.wait_for("Succeeded 0")
        await out_of_selection.wait_for("Succeeded 0")

    server = NamespaceServer()
    server.put(build_pod("a"))
    server.put(build_pod("b"), is_selected=False)
    play_with(act, server)


def test_another_pod_of_the_name_is_not_taken_for_the_tasks_own():
    async def act(scene: Scene) -> None:
        watcher = await scene.watch("a", uid="former")
        assert await watcher.wait_for("gone") == "gone"

    play(act, build_ended("a"))


@pytest.mark.parametrize(("start", "known"), [("s1", "Succeeded 0"), ("s2", "gone"), ("", "Succeeded 0")])
def test_pod_without_a_known_uid_is_found_by_its_start(start: str, known: str):
    async def act(scene: Scene) -> None:
        watcher = await scene.watch("a", uid="", start=start)
        assert await watcher.wait_for(known) == known

    labelled = build_ended("a")
    labelled["metadata"]["labels"] = {"kpo-platform/start": "s1"}
    play(act, labelled)


def test_one_who_leaves_does_not_disturb_the_others():
    async def act(scene: Scene) -> None:
        watcher = await scene.watch("a")
        news = PodNews("a", "uid-a")
        with pytest.raises(RuntimeError):
            async with scene.informer.subscribe(news):
                raise RuntimeError("of a trigger")
        scene.server.put(build_ended("a"))
        await watcher.wait_for("Succeeded 0")
        assert Watcher(news).describe() in ("unknown", "Running")

    play(act, build_pod("a"))


def test_pod_that_waits_is_known_as_pending():
    async def act(scene: Scene) -> None:
        assert await (await scene.watch("a")).wait_for("Pending") == "Pending"

    play(act, build_pod("a", "Pending", WAITING))

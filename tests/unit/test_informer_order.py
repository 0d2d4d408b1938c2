"""triggers.pod_moment, pod_cache, pod_looks: what is known of a pod does not give way to something older."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from kpo_platform.airflow.triggers import pod_informer, pod_looks, pod_requests
from kpo_platform.airflow.triggers.pod_cache import PodCache, PodNews
from kpo_platform.airflow.triggers.pod_moment import Moment
from kpo_platform.pod.summary import summarize_pod
from unit.support.informer_scene import Scene, Watcher, build_ended, build_pod, play
from unit.support.namespace_server import HeldAnswer

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_informer, "_SHORTEST_PAUSE_S", 0.01)
    monkeypatch.setattr(pod_informer, "_LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(pod_informer, "_POLL_S", (0.02, 0.05))
    monkeypatch.setattr(pod_looks, "_LOOK_S", 0.03)


def at(pod: Json, version: int | str, uid: str = "uid-a") -> Json:
    return {**pod, "metadata": {**pod["metadata"], "uid": uid, "resourceVersion": str(version)}}


@pytest.mark.parametrize(
    ("first", "second", "is_before"),
    [
        (Moment(1, "9"), Moment(1, "10"), True),
        (Moment(1, "10"), Moment(1, "9"), False),
        (Moment(1, "10"), Moment(1, "10"), False),
        (Moment(1, "500"), Moment(2, "100"), True),
        (Moment(2, "100"), Moment(1, "500"), False),
        (Moment(1, "9" * 5000), Moment(1, "1" + "0" * 5000), True),
        (Moment(1, "a9"), Moment(1, "b1"), False),
        (Moment(1, ""), Moment(1, "5"), False),
        (Moment(1, "4"), Moment(1, "²5"), False),
    ],
)
def test_order_of_two_moments(first: Moment, second: Moment, is_before: bool):
    assert first.is_before(second) is is_before


async def begin_held_look(scene: Scene, *, is_selected: bool | None) -> tuple[HeldAnswer, Watcher]:
    """Let a task wait for pod a, which is read: the answer is there, but does not arrive."""
    await scene.wait_until(lambda: scene.count("WATCH") == 1)
    if is_selected is not None:
        scene.server.put(build_pod("a"), is_selected=is_selected)
    held = HeldAnswer(scene.server)
    scene.server.acts["GET a"] = [held]
    watcher = await scene.watch("a")
    await held.asked.wait()
    return held, watcher


def test_late_answer_does_not_replace_the_end_of_a_program():
    async def act(scene: Scene) -> None:
        held, watcher = await begin_held_look(scene, is_selected=False)
        scene.server.put(build_ended("a", 3))
        await watcher.wait_for("Failed 3")
        held.released.set()
        await asyncio.sleep(0.2)
        assert (watcher.describe(), scene.count("GET a")) == ("Failed 3", 1)

    play(act)


def test_late_answer_does_not_replace_the_end_of_a_pod_that_is_gone():
    async def act(scene: Scene) -> None:
        held, watcher = await begin_held_look(scene, is_selected=False)
        scene.server.put(build_ended("a", 3))
        scene.server.delete("a")
        await watcher.wait_for("Failed 3")
        held.released.set()
        assert await watcher.wait_for("Failed 3, gone", "Running, gone") == "Failed 3, gone"

    play(act)


@pytest.mark.parametrize("has_other", [False, True])
def test_late_answer_does_not_declare_a_pod_gone_that_was_created_meanwhile(has_other: bool):
    async def act(scene: Scene) -> None:
        if has_other:
            scene.server.put(build_pod("a", uid="former"), is_selected=False)
        held, watcher = await begin_held_look(scene, is_selected=None)
        scene.server.put(build_pod("a"))
        await watcher.wait_for("Running")
        held.released.set()
        await asyncio.sleep(0.2)
        assert watcher.describe() == "Running"

    play(act)


def test_late_answer_does_not_declare_a_pod_gone_that_was_created_and_lost_its_label_meanwhile():
    async def act(scene: Scene) -> None:
        held, watcher = await begin_held_look(scene, is_selected=None)
        scene.server.put(build_pod("a"))
        scene.server.put(build_ended("a"), is_selected=False)
        await watcher.wait_for("Running")
        held.released.set()
        assert await watcher.wait_for("Running, gone", "Succeeded 0") == "Succeeded 0"

    play(act)


async def hold_back(request: web.Request) -> web.StreamResponse | None:
    response = web.StreamResponse()
    await response.prepare(request)
    await asyncio.sleep(2)
    return response


def test_late_list_beside_a_watch_brings_nothing_back(monkeypatch: pytest.MonkeyPatch):
    async def act(scene: Scene) -> None:
        scene.server.acts["WATCH"] = [hold_back]
        watchers = [await scene.watch(name) for name in ("a", "b")]
        held, next_held = HeldAnswer(scene.server), HeldAnswer(scene.server)
        scene.server.acts["LIST"] = [None, None, held, next_held]
        await held.asked.wait()
        scene.server.put(build_ended("a"))
        scene.server.delete("b")
        scene.server.put(build_pod("c"))
        await watchers[0].wait_for("Succeeded 0")
        await watchers[1].wait_for("Running, gone")
        held.released.set()
        await asyncio.sleep(0.2)
        known = {pod["metadata"]["name"] for pod in scene.informer.cache.list_pods()}
        assert (watchers[0].describe(), known) == ("Succeeded 0", {"a", "c"})
        next_held.released.set()

    monkeypatch.setattr(pod_requests, "_SILENCE_S", 1)
    play(act, build_pod("a"), build_pod("b"))


def test_events_that_were_held_back_bring_nothing_back(monkeypatch: pytest.MonkeyPatch):
    async def act(scene: Scene) -> None:
        released = asyncio.Event()
        old = [("MODIFIED", at(build_pod("a"), 3)), ("MODIFIED", at(build_pod("b"), 4, "uid-b"))]

        async def hold_back_until_released(request: web.Request) -> web.StreamResponse | None:
            response = web.StreamResponse()
            await response.prepare(request)
            await released.wait()
            for kind, pod in old:
                await response.write(json.dumps({"type": kind, "object": pod}).encode() + b"\n")
            await asyncio.sleep(5)
            return response

        scene.server.acts["WATCH"] = [hold_back, hold_back_until_released]
        watchers = [await scene.watch(name) for name in ("a", "b")]
        await scene.wait_until(lambda: scene.count("WATCH") == 2)
        scene.server.version = 10
        scene.server.put(build_ended("a"))
        scene.server.delete("b")
        await watchers[0].wait_for("Succeeded 0")
        await watchers[1].wait_for("Running, gone")
        released.set()
        await scene.wait_until(lambda: scene.informer.events == 2)
        assert (watchers[0].describe(), scene.informer.pods) == ("Succeeded 0", 1)

    monkeypatch.setattr(pod_requests, "_SILENCE_S", 0.5)
    play(act, build_pod("a"), build_pod("b"))


def test_state_in_a_restored_cluster_replaces_that_of_a_higher_version():
    async def act(scene: Scene) -> None:
        scene.server.version = 500
        scene.server.put(build_pod("a", "Pending"))
        watcher = await scene.watch("a")
        await watcher.wait_for("Pending")
        scene.server.restart(version=100)
        scene.server.oldest = 600  # so that the watch does not continue
        scene.server.pods["a"] = at(scene.server.pods["a"], 90)
        await scene.wait_until(lambda: scene.count("WATCH") > 1)
        scene.server.oldest = 0
        scene.server.put(build_pod("a"))
        await watcher.wait_for("Running")
        scene.server.put(build_ended("a"))
        await watcher.wait_for("Succeeded 0")

    play(act, build_pod("a"))


def build_cache(*pods: Json) -> tuple[PodCache, Watcher]:
    cache, news = PodCache(), PodNews("a", "uid-a")
    cache.add(news)
    for pod in pods:
        cache.put(pod, 1)
    return cache, Watcher(news)


def test_older_event_does_not_replace_an_answer():
    cache, watcher = build_cache()
    watcher.news.tell(summarize_pod(build_ended("a")), Moment(1, "12"))
    cache.put(at(build_pod("a"), 11), 1)
    assert (watcher.describe(), cache.knows(watcher.news)) == ("Succeeded 0", True)
    cache.put(at(build_ended("a"), 12), 1)
    assert watcher.describe() == "Succeeded 0"


def test_older_list_does_not_replace_an_answer_to_what_was_asked_after_it():
    cache, watcher = build_cache()
    watcher.news.tell(summarize_pod(build_ended("a")), Moment(2, "12"))
    cache.put(at(build_pod("a"), 11), 2)
    assert watcher.describe() == "Succeeded 0"


@pytest.mark.parametrize("version", ["c", ""])
def test_states_of_unknown_order_replace_each_other_as_they_arrive(version: str):
    cache, watcher = build_cache(at(build_pod("a"), "d"), at(build_ended("a"), version))
    assert watcher.describe() == "Succeeded 0"
    assert [pod["status"]["phase"] for pod in cache.list_pods()] == ["Succeeded"]


def test_deletion_of_a_former_pod_of_the_name_leaves_the_new_one():
    cache, watcher = build_cache(at(build_pod("a"), 5, "uid-b"))
    assert cache.take_out(at(build_ended("a"), 4), 1) == [watcher.news]
    assert (watcher.describe(), len(cache)) == ("Succeeded 0", 1)


def test_list_drops_only_what_is_not_newer():
    cache, _ = build_cache(at(build_pod("a"), 5), at(build_pod("b"), 9), at(build_pod("c"), "x"))
    cache.keep_only({"d"}, Moment(1, "8"))
    assert [pod["metadata"]["name"] for pod in cache.list_pods()] == ["b"]
    cache.keep_only(set(), Moment(2, "3"))
    assert len(cache) == 0


def test_time_in_the_cache_is_that_of_the_last_state():
    """A state that has not changed is still newer than an answer from before."""
    cache, watcher = build_cache(at(build_pod("a"), 5), at(build_pod("a"), 9))
    watcher.news.tell(summarize_pod(build_pod("a", "Pending")), Moment(1, "7"))
    assert watcher.describe() == "Running"
    assert cache.knows(watcher.news)

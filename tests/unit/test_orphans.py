"""triggers.orphans: pods that run although their tasks are over."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from kpo_platform.airflow.triggers import orphans
from kpo_platform.airflow.triggers.orphans import look_for_orphans, watch_for_orphans
from kpo_platform.airflow.triggers.pod_cache import PodCache
from kpo_platform.pod.task_mark import MarkedTask
from unit.support.contracts import TEAM, build_contract
from unit.support.informer_scene import build_ended, build_pod

NAMESPACE = "team-alpha"
REPORTED = "Pod a in namespace team-alpha runs, but its task is over. Delete it, or set policy.orphans to end."
ENDED = "Pod a in namespace team-alpha runs, but its task is over. It is ended."


class Scene:
    """The pods of a namespace, and what Airflow tells of their tasks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, policy: str) -> None:
        self.contract = build_contract(policy={**TEAM["policy"], "orphans": policy})
        self.cache, self.deleted = PodCache(), list[str]()
        self.states: dict[str, Any] = {}
        self.gauges: dict[str, float] = {}
        self.suspected: set[str] = set()
        monkeypatch.setattr(orphans, "load_contract", lambda: self.contract)
        monkeypatch.setattr(orphans.RuntimeTaskInstance, "get_task_states", staticmethod(self._read_states))
        gauge = SimpleNamespace(gauge=lambda name, value, *, tags: self.gauges.update({name: value}))
        monkeypatch.setattr(orphans, "stats", gauge)

    def _read_states(self, *, dag_id: str, task_ids: list[str], run_ids: list[str], map_index: int) -> Any:
        suffix = "" if map_index < 0 else f"_{map_index}"
        return {run_ids[0]: {f"{task}{suffix}": self.states[task] for task in task_ids if task in self.states}}

    def add(self, name: str, *, map_index: int = -1, is_kept: bool = False, pod: Any = None) -> None:
        """Add a running pod of the task with its name."""
        found = pod or build_pod(name)
        marks = MarkedTask("d", "r", name, map_index).build_marks(self.contract, keeps_on_stop=is_kept)
        self.cache.put({**found, "metadata": {**found["metadata"], "annotations": marks}})

    def look(self, times: int = 2) -> None:
        async def delete(name: str, uid: str, grace_s: int | None) -> bool:
            assert (uid, grace_s) == (f"uid-{name}", None)
            self.deleted.append(name)
            return True

        informer: Any = SimpleNamespace(cache=self.cache, requests=SimpleNamespace(delete=delete))
        for _ in range(times):
            self.suspected = asyncio.run(look_for_orphans(informer, NAMESPACE, self.suspected))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    return lambda: [record.getMessage() for record in caplog.records if record.levelname != "INFO"]


@pytest.mark.parametrize(("policy", "line", "deleted"), [("report", REPORTED, []), ("end", ENDED, ["a"])])
@pytest.mark.parametrize("map_index", [-1, 4])
def test_pod_whose_task_is_over_at_two_looks_is_an_orphan(
    policy: str, line: str, deleted: list[str], map_index: int, lines: Any, monkeypatch: pytest.MonkeyPatch
):
    scene = Scene(monkeypatch, policy)
    scene.add("a", map_index=map_index)
    scene.states["a"] = "failed"
    scene.look(times=1)
    assert (lines(), scene.deleted) == ([], [])
    scene.look(times=1)
    assert (lines(), scene.deleted) == ([line], deleted)
    assert scene.gauges == {"kpo_platform.orphaned_pods": 1, "kpo_platform.orphans_refused": 0}


@pytest.mark.parametrize("state", ["running", "deferred", "queued", "up_for_retry", "restarting", None, "unknown"])
def test_pod_whose_task_is_not_over_is_none(state: Any, lines: Any, monkeypatch: pytest.MonkeyPatch):
    scene = Scene(monkeypatch, "end")
    scene.add("a")
    scene.states["a"] = state
    scene.look()
    assert (lines(), scene.deleted) == ([], [])


def test_pod_of_a_task_that_airflow_does_not_know_is_none(lines: Any, monkeypatch: pytest.MonkeyPatch):
    """The database may have been restored from a backup, or cleaned."""
    scene = Scene(monkeypatch, "end")
    scene.add("a")
    scene.look()
    assert (lines(), scene.deleted) == ([], [])


def test_pods_that_may_run_on_or_have_ended_are_none(lines: Any, monkeypatch: pytest.MonkeyPatch):
    scene = Scene(monkeypatch, "end")
    scene.add("kept", is_kept=True)
    scene.add("ended", pod=build_ended("ended"))
    deleted = build_pod("deleted")
    deleted["metadata"]["deletionTimestamp"] = "2026-11-30T09:00:00Z"
    scene.add("deleted", pod=deleted)
    scene.cache.put(build_pod("foreign"))
    scene.states = dict.fromkeys(("kept", "ended", "deleted", "foreign"), "failed")
    scene.look()
    assert (lines(), scene.deleted) == ([], [])


def test_task_that_is_over_only_once_is_forgotten(lines: Any, monkeypatch: pytest.MonkeyPatch):
    scene = Scene(monkeypatch, "end")
    scene.add("a")
    for state in ("failed", "running", "failed"):
        scene.states["a"] = state
        scene.look(times=1)
    assert (lines(), scene.deleted) == ([], [])


def test_more_than_a_tenth_of_the_pods_is_not_ended(lines: Any, monkeypatch: pytest.MonkeyPatch):
    scene = Scene(monkeypatch, "end")
    for number in range(30):
        scene.add(f"p{number}")
    scene.states = {f"p{number}": "failed" if number < 4 else "running" for number in range(30)}
    scene.look()
    assert lines() == [
        "4 of 30 running pods in namespace team-alpha belong to tasks that are over. No pod is ended, because so many "
        "are probably a fault of Airflow's database. Check the states of the tasks."
    ]
    assert (scene.deleted, scene.gauges["kpo_platform.orphans_refused"]) == ([], 1)


def test_metrics_do_not_keep_what_was_found_after_the_last_look(monkeypatch: pytest.MonkeyPatch):
    scene = Scene(monkeypatch, "report")
    scene.gauges = {"kpo_platform.orphaned_pods": 4, "kpo_platform.orphans_refused": 1}

    async def watch() -> None:
        informer: Any = SimpleNamespace(cache=scene.cache)
        task = asyncio.create_task(watch_for_orphans(informer, NAMESPACE))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(watch())
    assert scene.gauges == {"kpo_platform.orphaned_pods": 0, "kpo_platform.orphans_refused": 0}

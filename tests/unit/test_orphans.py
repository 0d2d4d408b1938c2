"""triggers.orphans: pods that run although their tasks are over."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from kubernetes.client import ApiException

from kpo_platform.airflow.triggers import orphans, over_tasks
from kpo_platform.airflow.triggers.orphans import look_for_orphans, watch_for_orphans
from kpo_platform.airflow.triggers.pod_cache import PodCache, PodNews
from kpo_platform.pod.task_mark import TASK, MarkedTask
from unit.support.contracts import TEAM, build_contract
from unit.support.informer_scene import build_ended, build_pod

NAMESPACE = "team-alpha"
REPORTED = "Delete the pod, or clear the task to continue with it."
DELETED = "Deleting it."


class Scene:
    """The pods of a namespace, and what Airflow tells of their tasks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, policy: str) -> None:
        self.contract = build_contract(policy={**TEAM["policy"], "orphans": policy})
        self.cache, self.deleted, self.refused = PodCache(), list[str](), set[str]()
        self.instances: dict[tuple[str, str, str, int], Any] = {}
        self.answers: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str, tuple[str, ...]]] = []
        self.gauges: dict[str, float] = {}
        self.suspected: set[str] = set()
        monkeypatch.setattr(orphans, "load_contract", lambda: self.contract)
        monkeypatch.setattr(over_tasks.RuntimeTaskInstance, "get_task_states", staticmethod(self._read_states))
        gauge = SimpleNamespace(gauge=lambda name, value, *, tags: self.gauges.update({name: value}))
        monkeypatch.setattr(orphans, "stats", gauge)

    def _read_states(
        self, *, dag_id: str, task_ids: list[str], run_ids: list[str], map_index: int | None = None
    ) -> Any:
        """Answer as Airflow's API does: with one key for a mapped task instance, and one for a task of such a name."""
        self.asked.append((dag_id, run_ids[0], tuple(sorted(task_ids))))
        for (dag, run, task, index), state in self.instances.items():
            if (dag, run) == (dag_id, run_ids[0]) and task in task_ids and map_index in (None, index):
                self.answers.setdefault(run, {})[task if index < 0 else f"{task}_{index}"] = state
        answer, self.answers = self.answers, {}
        return answer

    def add(
        self, name: str, state: Any = None, *, task: MarkedTask | None = None, is_kept: bool = False, pod: Any = None
    ) -> None:
        """Add a running pod of a task in a state, by default of the one with its name; without a state of no task."""
        found, task = pod or build_pod(name), task or MarkedTask("d", "r", name, -1)
        marks = task.build_marks(self.contract, keeps_on_stop=is_kept)
        self.cache.put({**found, "metadata": {**found["metadata"], "annotations": marks}})
        if state is not None:
            self.instances[task.dag_id, task.run_id, task.task_id, task.map_index] = state

    def look(self, times: int = 2) -> None:
        async def delete(name: str, uid: str, grace_s: int | None) -> bool:
            assert (uid, grace_s) == (f"uid-{name}", None)
            if name in self.refused:
                raise ApiException(403, "Forbidden")
            self.deleted.append(name)
            return True

        informer: Any = SimpleNamespace(cache=self.cache, requests=SimpleNamespace(delete=delete))
        for _ in range(times):
            self.suspected = asyncio.run(look_for_orphans(informer, NAMESPACE, self.suspected))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    return lambda: [record.getMessage() for record in caplog.records if record.levelname != "INFO"]


@pytest.mark.parametrize(("policy", "line", "deleted"), [("report", REPORTED, []), ("end", DELETED, ["a"])])
@pytest.mark.parametrize(("map_index", "index"), [(-1, ""), (4, ", map index 4")])
def test_pod_whose_task_is_over_at_two_looks_is_an_orphan(
    policy: str,
    line: str,
    deleted: list[str],
    map_index: int,
    index: str,
    lines: Any,
    monkeypatch: pytest.MonkeyPatch,
):
    scene = Scene(monkeypatch, policy)
    scene.add("a", "failed", task=MarkedTask("d", "r", "a", map_index))
    scene.look(times=1)
    assert (lines(), scene.deleted) == ([], [])
    scene.look(times=1)
    whole = f"Pod a in namespace team-alpha runs, but its task d.a (run r{index}) is over. {line}"
    assert (lines(), scene.deleted) == ([whole], deleted)
    assert scene.gauges == {"kpo_platform.orphaned_pods": 1, "kpo_platform.orphans_refused": 0}


@pytest.mark.parametrize("state", ["running", "deferred", "queued", "up_for_retry", "restarting", None, "unknown"])
def test_pod_whose_task_is_not_over_is_none(state: Any, lines: Any, monkeypatch: pytest.MonkeyPatch):
    scene = Scene(monkeypatch, "end")
    scene.add("a")
    scene.instances["d", "r", "a", -1] = state
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
    scene.add("kept", "failed", is_kept=True)
    scene.add("ended", "failed", pod=build_ended("ended"))
    deleted = build_pod("deleted")
    deleted["metadata"]["deletionTimestamp"] = "2026-11-30T09:00:00Z"
    scene.add("deleted", "failed", pod=deleted)
    scene.cache.put(build_pod("foreign"))
    scene.instances["d", "r", "foreign", -1] = "failed"
    scene.look()
    assert (lines(), scene.deleted) == ([], [])


def test_task_that_is_over_only_once_is_forgotten(lines: Any, monkeypatch: pytest.MonkeyPatch):
    scene = Scene(monkeypatch, "end")
    scene.add("a")
    for state in ("failed", "running", "failed"):
        scene.instances["d", "r", "a", -1] = state
        scene.look(times=1)
    assert (lines(), scene.deleted) == ([], [])


def test_more_than_a_tenth_of_the_pods_is_not_deleted(lines: Any, monkeypatch: pytest.MonkeyPatch):
    scene = Scene(monkeypatch, "end")
    for number in range(30):
        scene.add(f"p{number}", "failed" if number < 4 else "running")
    scene.look()
    assert lines() == [
        "4 of 30 running pods in namespace team-alpha belong to tasks that are over. No pod is deleted: Airflow's "
        "database may be wrong. Compare the tasks' states (runbook: AirflowOrphansRefused)."
    ]
    assert (scene.deleted, scene.gauges["kpo_platform.orphans_refused"]) == ([], 1)


def test_pod_that_cannot_be_deleted_is_named_and_the_others_are_deleted(lines: Any, monkeypatch: pytest.MonkeyPatch):
    scene = Scene(monkeypatch, "end")
    for name in "ab":
        scene.add(name, "failed")
    scene.refused = {"a"}
    scene.look()
    refusal = "Cannot delete pod a in namespace team-alpha: HTTP 403, Forbidden. Delete it with kubectl."
    assert (scene.deleted, lines()[1]) == (["b"], refusal)


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


def test_one_question_is_asked_about_all_tasks_of_a_run(monkeypatch: pytest.MonkeyPatch):
    scene = Scene(monkeypatch, "end")
    for index in range(30):
        scene.add(f"m{index}", "failed" if index == 7 else "running", task=MarkedTask("d", "r", "mapped", index))
    scene.add("other", "running", task=MarkedTask("d", "r", "other", -1))
    scene.add("next", "failed", task=MarkedTask("d", "r2", "mapped", 7))
    scene.look()
    assert sorted(scene.asked) == [("d", "r", ("mapped", "other"))] * 2 + [("d", "r2", ("mapped",))] * 2
    assert sorted(scene.deleted) == ["m7", "next"]


NAMESAKES = [
    MarkedTask("d", "r", "a", 1),
    MarkedTask("d", "r", "a_1", -1),
    MarkedTask("d", "r", "a_1", 2),
    MarkedTask("d", "r", "a_1_2", -1),
    MarkedTask("d", "r", "a_1_2_3", -1),
]


@pytest.mark.parametrize("over", NAMESAKES)
def test_mapped_task_is_not_taken_for_a_task_of_its_name(over: MarkedTask, monkeypatch: pytest.MonkeyPatch):
    """Airflow's answer names the first of the mapped task "a" as it names the task "a_1"."""
    scene = Scene(monkeypatch, "end")
    for number, task in enumerate(NAMESAKES):
        scene.add(f"p{number}", "failed" if task == over else "running", task=task)
    scene.look()
    assert scene.deleted == [f"p{NAMESAKES.index(over)}"]


@pytest.mark.parametrize("letter", ["x", "\N{CJK UNIFIED IDEOGRAPH-4E00}"])
def test_many_tasks_of_a_run_are_asked_for_in_parts(letter: str, monkeypatch: pytest.MonkeyPatch):
    """The names are in the address of the request, which has a largest length."""
    scene = Scene(monkeypatch, "end")
    names = [f"{number:03}{letter * 240}" for number in range(300)]
    for number, name in enumerate(names):
        scene.add(f"p{number}", "failed" if number == 250 else "running", task=MarkedTask("d", "r", name, -1))
    scene.look()
    assert scene.deleted == ["p250"]
    for _, _, asked in scene.asked:
        httpx.URL("http://in-process.invalid", params=[("task_ids", each) for each in asked])
    assert len(scene.asked) <= 2 * 25


def test_pod_that_a_trigger_here_waits_for_is_not_asked_about(lines: Any, monkeypatch: pytest.MonkeyPatch):
    """Airflow takes the trigger away when the task is over."""
    scene = Scene(monkeypatch, "end")
    for name in "abcd":
        scene.add(name, "failed")
    scene.cache.add(by_uid := PodNews("a", "uid-a"))
    scene.cache.add(PodNews("b"))
    scene.cache.add(PodNews("c", "uid of an earlier pod"))
    scene.look()
    assert {task for _, _, tasks in scene.asked for task in tasks} == {"c", "d"}
    assert scene.deleted == ["c", "d"]
    scene.cache.remove(by_uid)
    scene.look(times=1)
    assert "a" not in scene.deleted
    scene.look(times=1)
    assert "a" in scene.deleted


def test_pods_that_triggers_wait_for_count_as_running(monkeypatch: pytest.MonkeyPatch):
    """Else a few orphans beside many deferred tasks would be most of the pods."""
    scene = Scene(monkeypatch, "end")
    for number in range(100):
        scene.add(f"p{number}", "failed" if number < 5 else "deferred")
        if number >= 5:
            scene.cache.add(PodNews(f"p{number}"))
    scene.look()
    assert len(scene.deleted) == 5


def test_look_lets_the_triggers_run(monkeypatch: pytest.MonkeyPatch):
    scene, turns = Scene(monkeypatch, "report"), list[int]()
    for number in range(2000):
        scene.add(f"p{number}", "running", task=MarkedTask("d", "r", "mapped", number))

    async def count() -> None:
        while not scene.asked:
            turns.append(1)
            await asyncio.sleep(0)

    async def look() -> None:
        informer: Any = SimpleNamespace(cache=scene.cache)
        await asyncio.gather(count(), look_for_orphans(informer, NAMESPACE, set()))

    asyncio.run(look())
    assert len(turns) >= 20


HOSTILE = {
    "deep": "[" * 100_000,
    "deep and short": "[" * 2000,
    "surrogate": json.dumps({"dag_id": "\ud800", "run_id": "r", "task_id": "t", "map_index": -1}),
    "null character": json.dumps({"dag_id": "d", "run_id": "r\0", "task_id": "t", "map_index": -1}),
    "large index": json.dumps({"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 2**31}),
    "large number": '{"map_index": ' + "9" * 5000 + "}",
    "negative index": json.dumps({"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -2}),
}


@pytest.mark.parametrize("mark", HOSTILE.values(), ids=HOSTILE.keys())
def test_mark_that_someone_has_written_does_not_stop_the_look(mark: str, monkeypatch: pytest.MonkeyPatch):
    scene = Scene(monkeypatch, "end")
    scene.add("a", "failed")
    hostile = build_pod("b")
    annotations = {**MarkedTask("d", "r", "b", -1).build_marks(scene.contract, keeps_on_stop=False), TASK: mark}
    scene.cache.put({**hostile, "metadata": {**hostile["metadata"], "annotations": annotations}})
    scene.look()
    assert (scene.deleted, {asked[:2] for asked in scene.asked}) == (["a"], {("d", "r")})

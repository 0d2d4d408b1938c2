"""triggers.finish: a task whose pod has succeeded ends in the triggerer, if that needs no worker."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from kpo_platform.airflow.triggers import finish, team_pod
from kpo_platform.airflow.triggers.finish import FinishPlan
from kpo_platform.airflow.triggers.team_pod import TeamPodTrigger
from kpo_platform.pod.log_lines import LogPosition
from kpo_platform.pod.message_result import FIELDS
from unit.support.informer_scene import build_ended, build_pod
from unit.support.namespace_server import NamespaceServer, refusing, serve
from unit.support.pod_statuses import ended
from unit.support.pod_trigger import build_trigger, serve_pods
from unit.support.task_log import Log

Json = dict[str, Any]
LINES = ["2026-11-30T09:00:06.100000000Z one", "2026-11-30T09:00:07.100000000Z ERROR: two"]


@pytest.fixture(autouse=True)
def log(trigger_log: Log, monkeypatch: pytest.MonkeyPatch) -> Log:
    monkeypatch.setattr(team_pod, "_STORED_PAUSE_S", 0.01)
    return trigger_log


def end_with(message: str) -> Json:
    done = build_pod("a", "Succeeded", ended(0, message=message))
    return {**done, "spec": {**done["spec"], "containers": [{"name": "base", **FIELDS}]}}


def play(
    server: NamespaceServer, plan: FinishPlan | None, states: list[Any] | None = None, *, in_triggerer: bool = True
) -> list[TriggerEvent]:
    """Run a trigger with a plan to its end, while Airflow tells these states of the task, and return its events."""
    told = states or ["success"]

    async def read_state(_: Any) -> Any:
        return told.pop(0) if len(told) > 1 else told[0]

    async def run() -> list[TriggerEvent]:
        trigger = build_trigger(finish=plan and plan.serialize())
        trigger.task_instance = SimpleNamespace(task_id="work") if in_triggerer else None
        async with serve(server) as open_client, asyncio.timeout(10):
            trigger._build_hook = lambda: SimpleNamespace(get_conn=open_client)  # type: ignore[assignment,return-value]
            trigger.get_task_state = lambda: read_state(trigger)  # type: ignore[method-assign]
            events = [event async for event in trigger.run()]
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            return events

    return asyncio.run(run())


def test_trigger_that_runs_without_a_triggerer_leaves_the_end_to_the_task():
    """``dag.test`` takes the first event for that of a trigger whose task continues."""
    (event,) = play(serve_pods(build_ended("a")), FinishPlan({}), in_triggerer=False)
    assert (type(event), event.payload["status"]) == (TriggerEvent, "success")


def test_success_without_a_log_or_result_ends_the_task_and_its_pod():
    server = serve_pods(build_ended("a"))
    (event,) = play(server, FinishPlan({}), ["deferred", "deferred", "success"])
    assert isinstance(event, TaskSuccessEvent)
    assert (event.xcoms, server.pods) == ({}, {})


def test_rest_of_the_log_and_the_result_are_in_airflow(log: Log):
    server = serve_pods(end_with('{"rows": 3}'))
    server.logs["a"] = LINES
    written = LogPosition("2026-11-30T09:00:06.100000000", 1)
    (event,) = play(server, FinishPlan({"base": written}, has_result=True, links={"Pod": "https://console.test/a"}))
    assert isinstance(event, TaskSuccessEvent)
    assert event.xcoms == {"return_value": {"rows": 3}, "Pod": "https://console.test/a"}
    assert log.lines == ["Pod a has started.", "error: [base] ERROR: two", "The result has 11 bytes."]


def test_pod_is_kept_until_airflow_has_stored_the_success():
    server = serve_pods(build_ended("a"))
    seen: list[bool] = []

    class States(list[Any]):
        def pop(self, index: Any = -1) -> Any:
            seen.append("a" in server.pods)
            return super().pop(index)

    play(server, FinishPlan({}), States(["deferred", "scheduled", "success", "success"]))
    assert (seen, server.pods) == ([True, True, True], {})


@pytest.mark.parametrize("state", ["success", "running", "failed"])
def test_triggerer_that_loses_a_task_it_has_ended_deletes_the_pod_of_a_success(state: str):
    server = serve_pods(build_ended("a"))

    async def read_state() -> str:
        return state

    async def run() -> None:
        trigger = build_trigger(finish=FinishPlan({}).serialize())
        trigger.task_instance = SimpleNamespace(task_id="work")
        async with serve(server) as open_client, asyncio.timeout(10):
            trigger._build_hook = lambda: SimpleNamespace(get_conn=open_client)  # type: ignore[assignment,return-value]
            trigger.get_task_state = read_state  # type: ignore[method-assign]
            await anext(aiter(trigger.run()))
            await trigger.on_kill()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    asyncio.run(run())
    assert ("a" not in server.pods) is (state == "success")


ROTATED = LogPosition("2026-11-30T08:00:00", 1)
LONG = [f"2026-11-30T09:00:0{number}.000000000Z {'x' * 100}" for number in range(9)]


@pytest.mark.parametrize(
    ("pod", "plan", "lines", "why"),
    [
        (end_with("{"), FinishPlan({}, has_result=True), [], "its result is no JSON"),
        (end_with("NaN"), FinishPlan({}, has_result=True), [], "its result is no JSON"),
        (end_with('"\\u0000"'), FinishPlan({}, has_result=True), [], "its result has a null character"),
        (end_with('"' + "x" * 5000 + '"'), FinishPlan({}, has_result=True), [], "its result is not whole"),
        (build_ended("a"), FinishPlan({}, has_result=True), [], "its result is not whole"),
        (build_ended("a"), FinishPlan({"base": None}), LONG, "its log is large"),
        (build_ended("a"), FinishPlan({"base": None}), ["no stamp"], "its log may have a gap"),
        (build_ended("a"), FinishPlan({"base": ROTATED}), LINES, "its log may have a gap"),
    ],
)
def test_task_that_needs_a_worker_gets_one(
    pod: Json, plan: FinishPlan, lines: list[str], why: str, log: Log, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(finish, "LARGEST_LOG", 500)
    server = serve_pods(pod)
    server.logs["a"] = lines
    (event,) = play(server, plan)
    assert (event.payload["status"], "a" in server.pods) == ("success", True)
    assert log.lines == ["Pod a has started.", f"A worker ends the task: {why}."]


def test_log_that_cannot_be_read_needs_a_worker(log: Log):
    server = serve_pods(build_ended("a"))
    server.acts["LOG a"] = [refusing(500, "no node")]
    (event,) = play(server, FinishPlan({"base": None}))
    assert (event.payload["status"], log.lines[1:]) == ("success", ["A worker ends the task: HTTP 500, no node."])


def test_log_that_is_longer_at_its_end_needs_a_worker(log: Log):
    async def write_more(_: Any) -> None:
        server.logs["a"] = [*LINES, "2026-11-30T09:00:08.000000000Z three"]

    server = serve_pods(build_ended("a"))
    server.logs["a"] = LINES
    server.acts["LOG a"] = [None, write_more]
    (event,) = play(server, FinishPlan({"base": None}))
    assert log.lines[1:] == ["A worker ends the task: its log may not be whole."]
    assert event.payload["status"] == "success"


@pytest.mark.parametrize("code", [1, 137])
def test_failure_needs_a_worker(code: int):
    (event,) = play(serve_pods(build_ended("a", code)), FinishPlan({}))
    assert event.payload["status"] == "failed"


def test_task_without_a_plan_needs_a_worker():
    (event,) = play(serve_pods(build_ended("a")), None)
    assert event.payload["status"] == "success"


@pytest.mark.parametrize(
    "plan",
    [
        FinishPlan({}),
        FinishPlan({"base": None, "aside": LogPosition("2026", 3, latest="2027")}, has_result=True, has_prefix=False),
        FinishPlan({}, links={"Pod": "https://console.test"}),
    ],
)
def test_stored_plan_is_the_same(plan: FinishPlan):
    assert FinishPlan.parse(plan.serialize()) == plan


@pytest.mark.parametrize("stored", [None, {}, [], "x", {"positions": {"base": {"new": 1}}}])
def test_stored_plan_of_another_release_is_none_if_it_is_not_known(stored: Any):
    assert FinishPlan.parse(stored) is None


def test_trigger_reads_the_plan_of_its_stored_form():
    trigger = build_trigger(finish=FinishPlan({"base": None}).serialize())
    _, arguments = trigger.serialize()
    assert TeamPodTrigger(**arguments).finish == trigger.finish

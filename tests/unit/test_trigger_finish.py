"""triggers.finish: a task whose pod has succeeded ends in the triggerer, if that needs no worker."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import SetXCom, _RequestFrame
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from kpo_platform.airflow.triggers import finish, team_pod
from kpo_platform.airflow.triggers.finish import FinishedTask, FinishPlan
from kpo_platform.airflow.triggers.pod_requests import PodRequests
from kpo_platform.pod.log_lines import LogPosition
from kpo_platform.pod.message_result import FIELDS
from kpo_platform.pod.state import parse_pod_state
from unit.support.informer_scene import build_ended, build_pod
from unit.support.namespace_server import NamespaceServer, refusing, serve
from unit.support.pod_statuses import ended
from unit.support.pod_trigger import build_trigger, serve_pods
from unit.support.task_log import Log

Json = dict[str, Any]
INSTANCE = SimpleNamespace(dag_id="d", run_id="r", task_id="work", map_index=-1)
LINES = ["2026-11-30T09:00:06.100000000Z one", "2026-11-30T09:00:07.100000000Z ERROR: two"]


@pytest.fixture(autouse=True)
def log(trigger_log: Log, monkeypatch: pytest.MonkeyPatch) -> Log:
    monkeypatch.setattr(team_pod, "_STORED_PAUSE_S", 0.01)
    return trigger_log


class Comms:
    """Takes messages to the triggerer's main process, encoded as Airflow encodes them."""

    def __init__(self) -> None:
        self.xcoms: dict[str, Any] = {}

    async def asend(self, message: SetXCom) -> None:
        _RequestFrame(id=1, body=message.model_dump()).as_bytes()
        assert (message.dag_id, message.run_id, message.task_id, message.map_index) == ("d", "r", "work", -1)
        self.xcoms[message.key] = message.value


@pytest.fixture(autouse=True)
def comms(monkeypatch: pytest.MonkeyPatch) -> Comms:
    found = Comms()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", found, raising=False)
    return found


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, str]]]:
    """The metrics that are sent."""
    sent: list[tuple[str, dict[str, str]]] = []
    stats = SimpleNamespace(incr=lambda name, *, tags: sent.append((name, tags)))
    monkeypatch.setattr(finish, "stats", stats)
    return sent


def end_with(message: str) -> Json:
    done = build_pod("a", "Succeeded", ended(0, message=message))
    return {**done, "spec": {**done["spec"], "containers": [{"name": "base", **FIELDS}]}}


def play(
    server: NamespaceServer, plan: FinishPlan | None, states: list[Any] | None = None, *, in_triggerer: bool = True
) -> list[TriggerEvent]:
    """Run a trigger with a plan to its end, while Airflow tells these states of the task, and return its events."""
    answers = states or ["deferred", "success"]

    async def read_state(_: Any) -> Any:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def run() -> list[TriggerEvent]:
        trigger = build_trigger(finish=plan and plan.serialize())
        trigger.task_instance = INSTANCE if in_triggerer else None
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


def test_success_without_a_log_or_result_ends_the_task_and_its_pod(comms: Comms, counted: list[Any]):
    server = serve_pods(build_ended("a"))
    (event,) = play(server, FinishPlan({}, operator="TeamPodOperator"), ["deferred", "deferred", "success"])
    assert isinstance(event, TaskSuccessEvent)
    assert (event.xcoms, comms.xcoms, server.pods) == (None, {}, {})
    tags = {"dag_id": "d", "task_id": "work"}
    assert counted == [
        ("operator_successes", {**tags, "operator_name": "TeamPodOperator"}),
        ("ti_successes", tags),
        ("ti.finish", {**tags, "state": "success"}),
    ]


@pytest.mark.parametrize("value", [{"rows": 3}, 3, "text", [], False, {"": {"x": [1.5, None]}}])
def test_result_is_stored_as_a_worker_stores_it(value: Any, comms: Comms):
    """Not by the event, whose XComs Airflow stores as JSON in a string."""
    (event,) = play(serve_pods(end_with(json.dumps(value))), FinishPlan({}, has_result=True))
    assert isinstance(event, TaskSuccessEvent)
    assert (event.xcoms, comms.xcoms) == (None, {"return_value": BaseXCom.serialize_value(value)})


def test_result_that_is_null_is_no_xcom(comms: Comms):
    (event,) = play(serve_pods(end_with("null")), FinishPlan({}, has_result=True))
    assert (type(event), comms.xcoms) == (TaskSuccessEvent, {})


@pytest.mark.parametrize("message", ['{"__classname__": 1}', str(2**64), str(-(2**63) - 1), '"\\udce9"', "[1e999]"])
def test_result_that_airflow_cannot_store_needs_a_worker(message: str, comms: Comms, counted: list[Any], log: Log):
    server = serve_pods(end_with(message))
    server.logs["a"] = LINES
    (event,) = play(server, FinishPlan({"base": None}, has_result=True), ["deferred"])
    assert (event.payload["status"], "a" in server.pods, comms.xcoms, counted) == ("success", True, {}, [])
    (line,) = log.lines[1:]
    assert line.startswith("A worker finishes the task: XCom return_value cannot be stored")


@pytest.mark.parametrize("lines", [[], LINES])
def test_task_that_is_over_gets_neither_log_nor_result(lines: list[str], log: Log, comms: Comms, counted: list[Any]):
    """Another triggerer was faster, or a user has ended the task: Airflow ignores the event."""
    server = serve_pods(end_with('{"rows": 3}'))
    server.logs["a"] = lines
    (event,) = play(server, FinishPlan({"base": None}, has_result=True), ["success"])
    assert (type(event), log.lines) == (TaskSuccessEvent, ["Pod a has started."])
    assert (comms.xcoms, counted) == ({}, [])


@pytest.mark.parametrize("name", ["dag_id", "run_id", "task_id"])
def test_id_that_leads_elsewhere_in_a_url_needs_a_worker(name: str, comms: Comms):
    task = FinishedTask(SimpleNamespace(**{**vars(INSTANCE), name: ".."}), Log(), lambda: asyncio.sleep(0, "deferred"))
    pod, requests = parse_pod_state(end_with("3")), cast(PodRequests, None)
    assert not asyncio.run(finish.finish(FinishPlan({}, has_result=True), requests, pod, "base", task))
    assert (task.log.lines, comms.xcoms) == (["A worker finishes the task: an id has no letter or digit."], {})


def test_log_that_is_not_read_in_time_needs_a_worker(log: Log, monkeypatch: pytest.MonkeyPatch):
    async def hang(_: Any) -> None:
        await asyncio.sleep(5)

    monkeypatch.setattr(finish, "LONGEST_READ_S", 0.1)
    server = serve_pods(build_ended("a"))
    server.acts["LOG a"] = [hang]
    (event,) = play(server, FinishPlan({"base": None}))
    assert event.payload["status"] == "success"
    assert log.lines[1:] == ["A worker finishes the task: the log was not read within 0.1 s."]


def test_log_of_a_container_that_the_pod_does_not_have_needs_a_worker(log: Log):
    (event,) = play(serve_pods(build_ended("a")), FinishPlan({"base": None, "gone": None}))
    assert event.payload["status"] == "success"
    assert log.lines[1:] == ["A worker finishes the task: the state of container gone is not known."]


def test_rest_of_the_log_and_the_result_are_in_airflow(log: Log, comms: Comms):
    server = serve_pods(end_with('{"rows": 3}'))
    server.logs["a"] = LINES
    written = LogPosition("2026-11-30T09:00:06.100000000", 1)
    plan = FinishPlan({"base": written}, has_result=True, links={"Pod": "https://console.test/a"})
    (event,) = play(server, plan, ["deferred", "success"])
    assert isinstance(event, TaskSuccessEvent)
    assert comms.xcoms == {"return_value": {"rows": 3}, "Pod": "https://console.test/a"}
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


@pytest.mark.parametrize("state", ["success", "running"])
def test_triggerer_that_loses_a_task_it_has_ended_deletes_the_pod_of_a_success(state: str):
    server = serve_pods(build_ended("a"))

    async def read_state() -> str:
        return state

    async def run() -> None:
        trigger = build_trigger(finish=FinishPlan({}).serialize())
        trigger.task_instance = INSTANCE
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
        (end_with("{"), FinishPlan({}, has_result=True), [], "the result is not JSON"),
        (end_with("NaN"), FinishPlan({}, has_result=True), [], "the result is not JSON"),
        (end_with('"\\u0000"'), FinishPlan({}, has_result=True), [], "XCom return_value has a null character"),
        (end_with('"' + "x" * 5000 + '"'), FinishPlan({}, has_result=True), [], "the result is missing or incomplete"),
        (build_ended("a"), FinishPlan({}, has_result=True), [], "the result is missing or incomplete"),
        (build_ended("a"), FinishPlan({}, links={"Pod": "a\0"}), [], "XCom Pod has a null character"),
        (build_ended("a"), FinishPlan({"base": None}), LONG, "the rest of the log has 1 KiB or more"),
        (build_ended("a"), FinishPlan({"base": None}), ["no stamp"], "the log may have a gap"),
        (build_ended("a"), FinishPlan({"base": ROTATED}), LINES, "the log may have a gap"),
    ],
)
def test_task_that_needs_a_worker_gets_one(
    pod: Json, plan: FinishPlan, lines: list[str], why: str, log: Log, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(finish, "LARGEST_LOG", 1024)
    server = serve_pods(pod)
    server.logs["a"] = lines
    (event,) = play(server, plan)
    assert (event.payload["status"], "a" in server.pods) == ("success", True)
    assert log.lines == ["Pod a has started.", f"A worker finishes the task: {why}."]


def test_log_that_cannot_be_read_needs_a_worker(log: Log):
    server = serve_pods(build_ended("a"))
    server.acts["LOG a"] = [refusing(500, "no node")]
    (event,) = play(server, FinishPlan({"base": None}))
    assert (event.payload["status"], log.lines[1:]) == ("success", ["A worker finishes the task: HTTP 500, no node."])


def test_log_that_is_longer_at_its_end_needs_a_worker(log: Log):
    async def write_more(_: Any) -> None:
        server.logs["a"] = [*LINES, "2026-11-30T09:00:08.000000000Z three"]

    server = serve_pods(build_ended("a"))
    server.logs["a"] = LINES
    server.acts["LOG a"] = [None, write_more]
    (event,) = play(server, FinishPlan({"base": None}))
    assert log.lines[1:] == ["A worker finishes the task: the log may be incomplete."]
    assert event.payload["status"] == "success"


@pytest.mark.parametrize("code", [1, 137])
def test_failure_needs_a_worker(code: int):
    (event,) = play(serve_pods(build_ended("a", code)), FinishPlan({}))
    assert event.payload["status"] == "failed"


def test_task_without_a_plan_needs_a_worker():
    (event,) = play(serve_pods(build_ended("a")), None)
    assert event.payload["status"] == "success"


@pytest.mark.parametrize(
    "key", ["../../../other_dag/run/task/return_value", "a/b", "..", "", "a%2e", "a b", "a\n", "x" * 251]
)
def test_link_whose_key_is_no_plain_name_needs_a_worker(key: str):
    """The key becomes part of a URL of an API that allows the triggerer everything."""
    assert FinishPlan.parse({"positions": {}, "links": {key: "https://console.test/a"}}) is None


def test_more_links_than_a_task_has_need_a_worker():
    assert FinishPlan.parse({"positions": {}, "links": {f"link_{number}": "" for number in range(21)}}) is None

"""triggers.team_pod: the pod of a task that has ended in its trigger is deleted when Airflow says that it is over."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.triggers.base import TaskSuccessEvent

from kpo_platform.airflow.triggers import team_pod
from kpo_platform.airflow.triggers.finish import FinishPlan
from unit.support.contracts import CONTRACT, TEAM
from unit.support.informer_scene import build_pod
from unit.support.namespace_server import NamespaceServer, refusing
from unit.support.pod_statuses import ended
from unit.support.pod_trigger import TRIGGER, build_running, build_trigger, serve_pods, use
from unit.support.published_contract import Publish
from unit.support.task_log import Log
from unit.support.task_states import TaskStates, build_instance

STOPPED = ("failed", "skipped", "removed", "upstream_failed", "gone")
NOT_OVER = ("deferred", None, "scheduled", "queued", "running", "restarting", "up_for_retry", "up_for_reschedule")


@pytest.fixture(autouse=True)
def log(trigger_log: Log, monkeypatch: pytest.MonkeyPatch) -> Log:
    monkeypatch.setattr(team_pod, "_STORED_PAUSE_S", 0.01)
    return trigger_log


def end(server: NamespaceServer, task_states: TaskStates, state: str | None, **arguments: Any) -> None:
    """Let a trigger end its task, which is in another state when Airflow is to store that, and is lost."""

    async def act() -> None:
        assert isinstance(await anext(aiter(trigger.run())), TaskSuccessEvent)
        task_states.state = state
        await trigger.on_kill()

    trigger = build_trigger(finish=FinishPlan({}).serialize(), **arguments)
    trigger.task_instance, trigger.trigger_id = build_instance(), TRIGGER
    asyncio.run(use(server, trigger, act))


@pytest.mark.parametrize("state", STOPPED)
def test_pod_of_a_task_that_a_user_ends_before_its_success_is_stored_is_deleted(
    state: str, task_states: TaskStates, log: Log
):
    end(server := serve_pods(build_running(ended(0))), task_states, state)
    assert (server.pods, log.lines) == ({}, ["Pod a has started.", "Deleting pod a in namespace n."])


@pytest.mark.parametrize("state", NOT_OVER)
def test_pod_of_a_task_that_is_not_over_is_kept(state: str | None, task_states: TaskStates, log: Log):
    """The next process of the task may need it, and removes it otherwise."""
    end(server := serve_pods(build_running(ended(0))), task_states, state)
    assert ("a" in server.pods, log.lines) == (True, ["Pod a has started."])


def test_stop_keeps_the_pod_of_a_task_that_says_so(task_states: TaskStates):
    end(server := serve_pods(build_running(ended(0))), task_states, "failed", on_kill_action="keep_pod")
    assert "a" in server.pods


def test_stop_keeps_a_pod_that_a_worker_has_kept_for_its_author(task_states: TaskStates):
    end(server := serve_pods(build_running(ended(0), is_handled=True)), task_states, "failed")
    assert "a" in server.pods


def test_stop_keeps_a_new_pod_of_the_name(task_states: TaskStates):
    async def replace(_: Any) -> None:
        server.put(build_pod("a", uid="uid-other"))

    server = serve_pods(build_running(ended(0)))
    server.acts["GET a"] = [replace]
    end(server, task_states, "failed")
    assert "a" in server.pods


def test_trigger_that_is_not_cancelled_deletes_the_pod_of_a_stopped_task(task_states: TaskStates):
    async def run() -> None:
        async for _ in trigger.run():
            task_states.state = "failed"

    server, trigger = serve_pods(build_running(ended(0))), build_trigger(finish=FinishPlan({}).serialize())
    trigger.task_instance, trigger.trigger_id = build_instance(), TRIGGER
    asyncio.run(use(server, trigger, run))
    assert server.pods == {}


@pytest.mark.parametrize(
    ("finish", "shared_logs", "namespace", "ends_in_triggerer"),
    [
        ("triggerer", True, "n", True),
        ("worker", True, "n", False),
        ("triggerer", False, "n", False),
        ("worker", True, "of-another-team", True),
    ],
)
def test_deferred_task_ends_where_the_contract_says_when_its_pod_has_ended(
    finish: str,
    shared_logs: bool,
    namespace: str,
    ends_in_triggerer: bool,
    task_states: TaskStates,
    log: Log,
    publish: Publish,
    monkeypatch: pytest.MonkeyPatch,
):
    """`policy.finish: worker` also counts for tasks that were deferred before."""

    async def act() -> Any:
        return await anext(aiter(trigger.run()))

    task_states.state = "deferred"
    monkeypatch.setitem(CONTRACT, "airflow", {**CONTRACT["airflow"], "sharedLogs": shared_logs})
    publish(beta={"namespace": namespace, "policy": {**TEAM["policy"], "finish": finish}})
    trigger = build_trigger(finish=FinishPlan({}).serialize())
    trigger.task_instance, trigger.trigger_id = build_instance(), TRIGGER
    event = asyncio.run(use(serve_pods(build_running(ended(0))), trigger, act))
    why = ["A worker finishes the task: policy.finish, or where Airflow keeps its logs, has changed."]
    assert isinstance(event, TaskSuccessEvent) is ends_in_triggerer
    assert log.lines == ["Pod a has started.", *([] if ends_in_triggerer else why)]


@pytest.mark.parametrize("is_lost", [False, True])
def test_deletion_after_a_success_outlasts_a_short_outage(is_lost: bool, task_states: TaskStates, log: Log):
    async def end_task(trigger: Any) -> None:
        async for _ in trigger.run():
            task_states.state, task_states.failures = "success", {"GetTaskStates": 3}
            server.acts["DELETE a"] = [refusing(503), refusing(429), refusing(500)]
            if is_lost:
                return await trigger.on_kill()
        return None

    server, trigger = serve_pods(build_running(ended(0))), build_trigger(finish=FinishPlan({}).serialize())
    trigger.task_instance, trigger.trigger_id = build_instance(), TRIGGER
    asyncio.run(use(server, trigger, lambda: end_task(trigger)))
    assert (server.pods, [line for line in log.lines if "warning" in line]) == ({}, [])

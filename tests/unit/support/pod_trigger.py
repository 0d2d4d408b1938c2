"""A trigger of TeamPodOperator in an event loop with its API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from kpo_platform.airflow.triggers import outage, pod_informer, task_stop
from kpo_platform.airflow.triggers.team_pod import TeamPodTrigger
from unit.support.informer_scene import build_pod
from unit.support.namespace_server import NamespaceServer, serve
from unit.support.pod_statuses import RUNNING
from unit.support.task_log import Log
from unit.support.task_states import build_instance

Json = dict[str, Any]
TRIGGER = 7
"""The id of the trigger that is lost."""

STARTED_AT = datetime(2026, 11, 30, 9, tzinfo=UTC)


@pytest.fixture
def trigger_log(monkeypatch: pytest.MonkeyPatch) -> Log:
    """Collect the log of triggers, whose waits are short."""
    log = Log()
    monkeypatch.setattr(TeamPodTrigger, "log", property(lambda self: log))
    monkeypatch.setattr(pod_informer, "_SHORTEST_PAUSE_S", 0.01)
    monkeypatch.setattr(pod_informer, "_LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(outage, "_TOLD_AFTER_S", 0.05)
    monkeypatch.setattr(task_stop, "_PAUSE_S", 0.01)
    monkeypatch.setattr(task_stop, "KILL_S", 2.0)
    monkeypatch.setattr(task_stop, "STATE_S", 1.0)
    return log


def build_trigger(**arguments: Any) -> TeamPodTrigger:
    stock = {
        "pod_name": "a",
        "pod_namespace": "n",
        "trigger_start_time": STARTED_AT,
        "base_container_name": "base",
        "kubernetes_conn_id": "k8s_default",
        "schedule_timeout": 86400,
        "startup_timeout": 300,
        "pod_uid": "uid-a",
    }
    return TeamPodTrigger(**{**stock, **arguments})


def build_running(state: Json = RUNNING, *, is_handled: bool = False) -> Json:
    """Build a pod, which a worker may have kept for its author."""
    found = build_pod("a", state=state)
    return {**found, "metadata": {**found["metadata"], "labels": {"already_checked": "True"} if is_handled else {}}}


def lose(server: NamespaceServer, *, map_index: int = -1, **arguments: Any) -> None:
    """Let the triggerer lose a trigger as Airflow does: for a user's stop as for a hand-over."""
    trigger = build_trigger(**arguments)
    trigger.task_instance, trigger.trigger_id = build_instance(map_index=map_index), TRIGGER
    asyncio.run(use(server, trigger, trigger.on_kill))


async def use(server: NamespaceServer, trigger: TeamPodTrigger, act: Callable[[], Awaitable[Any]]) -> Any:
    async with serve(server) as open_client:
        trigger._build_hook = lambda: SimpleNamespace(get_conn=open_client)  # type: ignore[assignment,return-value]
        try:
            async with asyncio.timeout(10):
                return await act()
        finally:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()


def fire(server: NamespaceServer, trigger: TeamPodTrigger, *later: Callable[[], object]) -> Any:
    """Run a trigger until it fires, and return the payload as Airflow stores it."""

    async def change_pods() -> None:
        for _ in range(100):
            if "WATCH" in server.requests:
                break
            await asyncio.sleep(0.01)
        for change in later:
            await asyncio.sleep(0.1)
            change()

    async def act() -> Any:
        changes = asyncio.create_task(change_pods())
        stored = json.loads(json.dumps((await anext(aiter(trigger.run()))).payload))
        changes.cancel()
        return {**stored, "pod": json.loads(stored["pod"])} if "pod" in stored else stored

    return asyncio.run(use(server, trigger, act))


def serve_pods(*pods: Json) -> NamespaceServer:
    server = NamespaceServer()
    for each in pods:
        server.put(each)
    return server

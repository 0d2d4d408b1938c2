"""triggers.team_pod: a triggerer loses a trigger, because a user has stopped its task or another triggerer has it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kpo_platform.airflow.triggers.team_pod import TeamPodTrigger
from unit.support.informer_scene import build_pod
from unit.support.pod_statuses import RUNNING, ended
from unit.support.pod_trigger import build_trigger, serve_pods, use
from unit.support.task_log import Log

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def log(trigger_log: Log) -> Log:
    return trigger_log


BEGUN_AGAIN = ("scheduled", "queued", "running", "restarting", "up_for_retry")


@pytest.mark.parametrize(
    ("state", "found", "is_deleted"),
    [
        *((state, RUNNING, True) for state in ("failed", "success", "skipped", "removed", "upstream_failed", None)),
        ("deferred", RUNNING, False),
        *((state, RUNNING, True) for state in BEGUN_AGAIN),
        *((state, ended(0), False) for state in BEGUN_AGAIN),
        (OSError("no answer"), RUNNING, False),
    ],
)
def test_pod_is_deleted_only_if_a_user_has_ended_or_cleared_the_task(
    state: Any, found: Json, is_deleted: bool, log: Log, monkeypatch: pytest.MonkeyPatch
):
    async def read_state(_: Any) -> Any:
        if isinstance(state, Exception):
            raise state
        return state

    monkeypatch.setattr(TeamPodTrigger, "get_task_state", read_state)
    server, trigger = serve_pods(build_pod("a", state=found)), build_trigger()
    asyncio.run(use(server, trigger, trigger.on_kill))
    assert ("a" in server.pods) is not is_deleted
    (line,) = log.lines
    expected = "Deleting pod a in namespace n." if is_deleted else f"Pod a is kept: the task is {state}."
    assert line == ("warning: Pod a may still run: no answer." if isinstance(state, Exception) else expected)


def test_stop_keeps_a_pod_whose_task_says_so():
    server, trigger = serve_pods(build_pod("a")), build_trigger(on_kill_action="keep_pod")
    asyncio.run(use(server, trigger, trigger.on_kill))
    assert ("a" in server.pods, server.requests) == (True, [])

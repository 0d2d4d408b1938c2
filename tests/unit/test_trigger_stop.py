"""triggers.team_pod: a triggerer loses a trigger, because a user has stopped its task or another triggerer has it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from kpo_platform.airflow.triggers import pod_requests, task_stop
from unit.support.informer_scene import build_pod
from unit.support.namespace_server import Act, refusing
from unit.support.pod_statuses import RUNNING, WAITING, ended
from unit.support.pod_trigger import TRIGGER, build_running, build_trigger, lose, serve_pods, use
from unit.support.task_log import Log
from unit.support.task_states import TaskStates, build_instance

Json = dict[str, Any]
UNKNOWN = (
    "warning: Cannot find out whether to delete pod a: no answer. If the task was stopped, delete the pod with kubectl."
)
ENDED = ("failed", "success", "skipped", "removed", "upstream_failed")
WAITS_FOR_WORKER = ("scheduled", "queued", "running")
HAS_ANOTHER_PROCESS = ("deferred", "restarting", "up_for_retry", "up_for_reschedule", "awaiting_input", "of 2030")


@pytest.fixture(autouse=True)
def log(trigger_log: Log) -> Log:
    return trigger_log


@pytest.mark.parametrize("state", [*ENDED, *WAITS_FOR_WORKER, None, "gone"])
@pytest.mark.parametrize("pod", [RUNNING, WAITING])
@pytest.mark.parametrize("map_index", [-1, 3])
def test_user_who_ends_clears_or_removes_a_task_ends_its_pod(
    state: str | None, pod: Json, map_index: int, task_states: TaskStates, log: Log
):
    task_states.state = state
    lose(server := serve_pods(build_running(pod)), map_index=map_index)
    assert (server.pods, log.lines) == ({}, ["Deleting pod a in namespace n."])


@pytest.mark.parametrize("pod", [build_running(), build_running(ended(0)), build_running(is_handled=True)])
@pytest.mark.parametrize("state", HAS_ANOTHER_PROCESS)
def test_pod_that_another_process_has_is_kept(state: str, pod: Json, task_states: TaskStates, log: Log):
    task_states.state = state
    lose(server := serve_pods(pod))
    assert ("a" in server.pods, log.lines) == (True, [f"Pod a is kept: the task is {state}."])


@pytest.mark.parametrize("state", [*WAITS_FOR_WORKER, None])
def test_ended_pod_whose_end_another_triggerer_has_seen_is_kept(state: str | None, task_states: TaskStates):
    task_states.state = state
    lose(server := serve_pods(build_running(ended(3))))
    assert "a" in server.pods


@pytest.mark.parametrize("state", [*ENDED, "gone"])
def test_pod_that_a_worker_has_kept_for_its_author_is_kept(state: str, task_states: TaskStates):
    """Another triggerer has seen the pod's end, and the task has ended since."""
    task_states.state = state
    lose(server := serve_pods(build_running(ended(3), is_handled=True)))
    assert "a" in server.pods


@pytest.mark.parametrize("known", [{}, {"pod_uid": None, "start": "s1"}])
@pytest.mark.parametrize("state", ["failed", "scheduled"])
def test_new_pod_of_the_name_is_kept(state: str, known: Json, task_states: TaskStates, log: Log):
    """A cleared task with `random_name_suffix=False` may have created it."""
    task_states.state = state
    server = serve_pods(build_pod("a", uid="uid-other"))
    lose(server, **known)
    assert ("a" in server.pods, log.lines) == (True, ["Pod a no longer exists."])


def test_only_the_pod_that_was_looked_at_is_deleted(task_states: TaskStates):
    async def check(request: Any) -> None:
        assert (await request.json())["preconditions"] == {"uid": "uid-a"}

    task_states.state = "failed"
    server = serve_pods(build_running())
    server.acts["DELETE a"] = [check]
    lose(server, pod_uid=None)
    assert server.pods == {}


def test_pod_that_is_gone_is_not_deleted(task_states: TaskStates, log: Log):
    task_states.state = "failed"
    lose(server := serve_pods())
    assert (server.requests.count("DELETE a"), log.lines) == (0, ["Pod a no longer exists."])


def test_pod_is_kept_if_airflow_does_not_tell_the_state(task_states: TaskStates, log: Log):
    task_states.state = OSError("no answer")
    lose(server := serve_pods(build_running()))
    assert ("a" in server.pods, log.lines) == (True, [UNKNOWN])


@pytest.mark.parametrize(
    "acts",
    [
        {"DELETE a": [refusing(503), refusing(429), refusing(500)]},
        {"GET a": [refusing(503), refusing(504)]},
        {"DELETE a": [refusing(401), refusing(403, "pods is forbidden: x cannot delete")]},
    ],
)
def test_stop_outlasts_a_short_outage(acts: dict[str, list[Act | None]], task_states: TaskStates, log: Log):
    task_states.state, task_states.failures = "failed", {"GetTaskStates": 3}
    server = serve_pods(build_running())
    server.acts = acts
    lose(server)
    assert (server.pods, log.lines) == ({}, ["Deleting pod a in namespace n."])


def test_stop_reads_credentials_again_that_have_expired(
    task_states: TaskStates, log: Log, monkeypatch: pytest.MonkeyPatch
):
    """The watch that runs does not notice it, and its client is that of the stop."""

    async def stop() -> None:
        waiting = asyncio.create_task(anext(aiter(trigger.run())))
        while "WATCH" not in server.requests:
            await asyncio.sleep(0.01)
        server.expired = 1
        waiting.cancel("__airflow_user_action__")
        await asyncio.gather(waiting, return_exceptions=True)
        await trigger.on_kill()

    monkeypatch.setattr(pod_requests, "_YOUNG_S", 0.0)
    task_states.state = "failed"
    server, trigger = serve_pods(build_running()), build_trigger()
    trigger.task_instance, trigger.trigger_id = build_instance(), TRIGGER
    asyncio.run(use(server, trigger, stop))
    assert (server.pods, log.lines[-1]) == ({}, "Deleting pod a in namespace n.")


def test_stop_gives_up_after_a_refusal_that_stays(task_states: TaskStates, log: Log):
    task_states.state = "failed"
    server = serve_pods(build_running())
    server.acts["DELETE a"] = [refusing(422, "invalid")]
    lose(server)
    assert server.requests.count("DELETE a") == 1
    assert log.lines[1:] == ["warning: Cannot delete pod a: HTTP 422, invalid. Delete it with kubectl."]


def test_stop_gives_up_before_airflow_ends_it(task_states: TaskStates, log: Log):
    async def hang(_: Any) -> None:
        await asyncio.sleep(5)

    task_states.state = "failed"
    server = serve_pods(build_running())
    server.acts["DELETE a"] = [hang]
    lose(server)
    assert log.lines[1:] == ["warning: Cannot delete pod a: no answer in time. Delete it with kubectl."]


def test_task_that_begins_to_wait_again_during_an_outage_keeps_its_pod(task_states: TaskStates):
    async def defer(_: Any) -> Any:
        task_states.state = "deferred"
        return await refusing(503)(_)

    task_states.state = "queued"
    server = serve_pods(build_running())
    server.acts["DELETE a"] = [defer]
    lose(server)
    assert ("a" in server.pods, server.requests.count("DELETE a")) == (True, 1)


def test_stop_keeps_a_pod_whose_task_says_so(task_states: TaskStates):
    task_states.state = "failed"
    lose(server := serve_pods(build_pod("a")), on_kill_action="keep_pod")
    assert ("a" in server.pods, server.requests) == (True, [])


def test_stop_that_comes_while_airflow_is_asked_is_still_a_stop(
    task_states: TaskStates, monkeypatch: pytest.MonkeyPatch
):
    """Airflow tells a stop from a shutdown by the message of the cancellation."""

    def answer_late(_: Any) -> None:
        time.sleep(0.3)

    monkeypatch.setattr(task_states, "send", answer_late)
    monkeypatch.setattr(task_states, "asend", lambda _: asyncio.sleep(0.3))
    trigger = build_trigger()
    trigger.task_instance = build_instance()

    async def stop() -> tuple[Any, ...]:
        asking = asyncio.create_task(trigger.get_task_state())
        await asyncio.sleep(0.05)
        asking.cancel("__airflow_user_action__")
        with pytest.raises(asyncio.CancelledError) as raised:
            await asking
        return raised.value.args

    assert asyncio.run(stop()) == ("__airflow_user_action__",)


def test_time_for_a_stop_is_within_airflows():
    from airflow.jobs import triggerer_job_runner

    assert triggerer_job_runner._ON_CANCEL_TIMEOUT - task_stop._read_kill_s() == 5

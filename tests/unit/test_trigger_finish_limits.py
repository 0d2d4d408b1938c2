"""triggers.finish and triggers.log_channel: many tasks that end at once, and long logs, do not hold up the others."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from kpo_platform.airflow.triggers import finish, log_channel
from kpo_platform.airflow.triggers.finish import FinishedTask, FinishPlan
from kpo_platform.pod.state import parse_pod_state
from unit.support.informer_scene import build_ended
from unit.support.numbered_log import NumberedLog
from unit.support.task_log import Log

INSTANCE = SimpleNamespace(dag_id="d", run_id="r", task_id="work", map_index=-1)


@pytest.fixture(autouse=True)
def no_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finish, "stats", SimpleNamespace(incr=lambda *_, **__: None))


def finish_many(count: int, *, reads_s: float = 0, ends_s: float = 0) -> tuple[list[bool], list[Log], dict[str, int]]:
    """Finish tasks at the same time; return what came out, their logs, and how many were read or ended at once."""
    at_once, most = {"read": 0, "end": 0}, {"read": 0, "end": 0}

    async def last(what: str, seconds: float, answer: Any) -> Any:
        at_once[what] += 1
        most[what] = max(most[what], at_once[what])
        await asyncio.sleep(seconds)
        at_once[what] -= 1
        return answer

    async def end_all() -> list[bool]:
        requests: Any = SimpleNamespace(read_log=lambda *_, **__: last("read", reads_s, b""))
        pod, plan = parse_pod_state(build_ended("a")), FinishPlan({"base": None})
        tasks = [FinishedTask(INSTANCE, log, lambda: last("end", ends_s, "deferred")) for log in logs]
        return list(await asyncio.gather(*(finish.finish(plan, requests, pod, "base", task) for task in tasks)))

    logs = [Log() for _ in range(count)]
    return asyncio.run(end_all()), logs, most


def test_only_some_tasks_end_at_once():
    """The pods of a large mapped task may end together, and other triggers must not wait for all of them."""
    done, _, most = finish_many(100, reads_s=0.01, ends_s=0.001)
    assert (done, most) == ([True] * 100, {"read": 64, "end": 8})


def test_task_whose_turn_does_not_come_in_time_needs_a_worker(monkeypatch: pytest.MonkeyPatch):
    """Airflow fails a deferred task 60 seconds after its ``execution_timeout``, also if its pod has succeeded."""
    monkeypatch.setattr(finish, "LONGEST_TURN_S", 0.1)
    done, logs, _ = finish_many(9, ends_s=0.3)
    assert done == [True] * 8 + [False]
    why = "too many tasks end, so that the triggerer did not come to it within 0.1 s"
    assert logs[-1].lines == [f"A worker finishes the task: {why}."]


class Channel:
    """The socket to the main process, and its other end."""

    def __init__(self) -> None:
        self.sent, self.received = socket.socketpair()
        self.file = self.sent.makefile("wb", buffering=0)


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the logs of this process go through a socket, as those of the triggers do."""
    found = Channel()
    config = {"logger_factory": SimpleNamespace(io=found.file)}
    monkeypatch.setattr(structlog, "get_config", lambda: config)
    yield found
    for each in (found.file, found.sent, found.received):
        each.close()


def test_triggerer_waits_until_all_lines_are_read(channel: Channel):
    read: list[bytes] = []

    async def read_slowly() -> None:
        while sum(map(len, read)) < 10_000:
            await asyncio.sleep(0.02)
            read.append(channel.received.recv(4096))

    async def wait() -> None:
        channel.file.write(b"x" * 10_000)
        reader = asyncio.create_task(read_slowly())
        await log_channel.wait_until_read()
        assert len(read) == 3
        await reader

    asyncio.run(wait())


def test_wait_for_a_main_process_that_does_not_read_has_an_end(channel: Channel, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(log_channel, "_LONGEST_S", 0.1)
    channel.file.write(b"x")
    asyncio.run(asyncio.wait_for(log_channel.wait_until_read(), 5))


def test_closed_socket_is_not_waited_for(channel: Channel):
    channel.file.close()
    asyncio.run(asyncio.wait_for(log_channel.wait_until_read(), 5))


def test_file_and_console_are_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Any):
    with (tmp_path / "log").open("wb") as file:
        monkeypatch.setattr(structlog, "get_config", lambda: {"logger_factory": SimpleNamespace(io=file)})
        file.write(b"x")
        asyncio.run(asyncio.wait_for(log_channel.wait_until_read(), 5))


def test_lines_are_sent_in_parts_that_the_main_process_has_read(monkeypatch: pytest.MonkeyPatch):
    """More lines than fit into the socket would block the event loop of all triggers."""
    log, before = Log(), []

    async def wait() -> None:
        before.append(len(log.lines))

    monkeypatch.setattr(finish, "wait_until_read", wait)
    requests: Any = NumberedLog(120)
    task = FinishedTask(INSTANCE, log, lambda: asyncio.sleep(0, "deferred"))
    pod = parse_pod_state(build_ended("a"))
    assert asyncio.run(finish.finish(FinishPlan({"base": None}), requests, pod, "base", task))
    assert before == [0, 50, 100, 120]

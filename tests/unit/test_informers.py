"""triggers.informers: one informer for each cluster, identity and namespace, as long as someone needs it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse, GetConnection

from kpo_platform.airflow.triggers import informers, pod_informer
from kpo_platform.airflow.triggers.informers import InformerKey, use_informer
from kpo_platform.airflow.triggers.pod_cache import PodNews
from unit.support.informer_scene import build_pod
from unit.support.namespace_server import NamespaceServer, serve

KEY = InformerKey("k8s_default", None, None, "", "n")


@pytest.fixture(autouse=True)
def short_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informers, "_LINGER_S", 0.1)


def play(act: Callable[[NamespaceServer, Any], Awaitable[None]]) -> NamespaceServer:
    server = NamespaceServer()
    server.put(build_pod("a"))

    async def run() -> None:
        async with serve(server) as open_client, asyncio.timeout(10):
            await act(server, open_client)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    asyncio.run(run())
    return server


async def wait_until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("other", "is_shared"),
    [
        (KEY, True),
        (replace(KEY, connection="other"), False),
        (replace(KEY, cluster_context="other"), False),
        (replace(KEY, in_cluster=True), False),
        (replace(KEY, config="other"), False),
        (replace(KEY, namespace="m"), False),
    ],
)
def test_informer_is_shared_by_what_has_the_same_key(other: InformerKey, is_shared: bool):
    async def act(server: NamespaceServer, open_client: Any) -> None:
        async with use_informer(KEY, open_client) as first, use_informer(other, open_client) as second:
            assert (first is second) is is_shared

    play(act)


def test_informer_stays_for_a_moment_and_ends_then():
    async def act(server: NamespaceServer, open_client: Any) -> None:
        async with use_informer(KEY, open_client) as first:
            await wait_until(lambda: first.pods == 1)
        async with use_informer(KEY, open_client) as second:
            assert second is first
        await wait_until(lambda: first.has_ended)
        async with use_informer(KEY, open_client) as third:
            assert third is not first
            await wait_until(lambda: third.pods == 1)

    assert play(act).requests.count("LIST") == 2


def test_informer_has_none_of_the_context_of_its_first_trigger():
    context = contextvars.ContextVar("context", default="none")
    seen: list[str] = []

    async def act(server: NamespaceServer, open_client: Any) -> None:
        def open_and_look() -> Any:
            seen.append(context.get())
            return open_client()

        context.set("of the first trigger")
        async with use_informer(KEY, open_and_look) as informer:
            await wait_until(lambda: informer.pods == 1)

    play(act)
    assert seen == ["none"]


def test_informer_that_has_failed_is_replaced(monkeypatch: pytest.MonkeyPatch):
    async def act(server: NamespaceServer, open_client: Any) -> None:
        async with use_informer(KEY, open_client) as first:
            await wait_until(lambda: first.pods == 1)
            assert first._task is not None
            first._task.cancel()
            await wait_until(lambda: first.has_ended)
            async with use_informer(KEY, open_client) as second:
                assert second is not first

    play(act)


class Supervisor:
    """What Airflow's API answers about a connection: "no", an error, or the connection."""

    def __init__(self, *answers: ErrorType | Exception | None) -> None:
        self.answers = list(answers)

    async def asend(self, message: GetConnection) -> object:
        assert message.conn_id == "k8s_default"
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer and ErrorResponse(error=answer)


class Lookup:
    """A client whose connection Airflow does not give out, some times."""

    def __init__(self, open_client: Any, times: int) -> None:
        self.open_client, self.times = open_client, times

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        if self.times:
            self.times -= 1
            raise AirflowNotFoundException("The conn_id `k8s_default` isn't defined")
        async with self.open_client() as client:
            yield client


@pytest.fixture
def short_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_informer, "_REFUSED_S", 0.2)
    monkeypatch.setattr(pod_informer, "_SHORTEST_PAUSE_S", 0.02)
    monkeypatch.setattr(pod_informer, "_LONGEST_PAUSE_S", 0.05)


@pytest.mark.parametrize(
    "answer",
    [
        ErrorType.API_SERVER_ERROR,
        ErrorType.GENERIC_ERROR,
        AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR)),
        OSError("the supervisor does not answer"),
        None,
    ],
)
@pytest.mark.usefixtures("short_refusals")
def test_connection_that_airflow_cannot_read_now_is_waited_for(
    answer: ErrorType | Exception | None, monkeypatch: pytest.MonkeyPatch
):
    async def act(_: NamespaceServer, open_client: Any) -> None:
        news = PodNews("a", "uid-a")
        async with use_informer(KEY, Lookup(open_client, times=30).open) as informer, informer.subscribe(news):
            await wait_until(lambda: news.pod is not None or news.error is not None)
            assert (news.error, informer.interrupted_s > 0.2) == (None, True)

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(answer), raising=False)
    play(act)


@pytest.mark.parametrize(
    "answer",
    [
        ErrorType.CONNECTION_NOT_FOUND,
        ErrorType.PERMISSION_DENIED,
        AirflowRuntimeError(ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND)),
    ],
)
@pytest.mark.usefixtures("short_refusals")
def test_connection_that_airflow_does_not_have_is_told(answer: ErrorType | Exception, monkeypatch: pytest.MonkeyPatch):
    async def act(_: NamespaceServer, open_client: Any) -> None:
        news = PodNews("a", "uid-a")
        async with use_informer(KEY, Lookup(open_client, times=1000).open) as informer, informer.subscribe(news):
            await wait_until(lambda: news.error is not None)
            assert str(news.error) == "The conn_id `k8s_default` isn't defined"

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(answer), raising=False)
    play(act)

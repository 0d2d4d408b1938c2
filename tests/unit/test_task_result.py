"""The result of a task is read with the real websocket client."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from kubernetes.client import ApiClient, ApiException, Configuration, CoreV1Api, V1ObjectMeta, V1Pod

from kpo_platform.airflow.operators.lifecycle.pod_manager import TeamPodManager
from kpo_platform.airflow.operators.lifecycle.task_result import SIDECAR, read_result, remove_result
from kpo_platform.pod.message_result import RESULT_FILE
from kpo_platform.pod.state import ContainerState, PodState
from unit.support.http_server import Answer, Request, Server, serving

POD = SimpleNamespace(
    state=SimpleNamespace(
        name="p",
        has_ended=False,
        containers=(),
        container=lambda name: ContainerState(name, phase="running" if name == SIDECAR else "terminated"),
    ),
    is_gone=False,
    manifest={},
    model=V1Pod(metadata=V1ObjectMeta(name="p", namespace="n")),
    refresh=lambda: None,
)
WARNING = "Cannot read the result of pod p: {}. It is tried again."


@contextmanager
def refusing(*statuses: int) -> Iterator[tuple[Any, list[str], Server]]:
    """Serve refusals of `exec`; yields an operator that has a result after them, and its log."""
    left, log = list(statuses), []

    def answer(request: Request) -> Answer:
        return left.pop(0), {"kind": "Status", "message": "refused"}

    with serving(answer) as server:
        configuration = Configuration()
        configuration.host = server.url

        def extract(pod: Any) -> Any:
            if left:
                TeamPodManager(kube_client=CoreV1Api(ApiClient(configuration))).extract_xcom(pod)
            return 42

        yield (
            SimpleNamespace(
                base_container_name="base",
                extract_xcom=extract,
                log=SimpleNamespace(warning=lambda text, *values: log.append(text % values)),
                stop_signal=SimpleNamespace(sleep=lambda seconds: None),
            ),
            log,
            server,
        )


def test_read_is_repeated_while_the_api_server_does_not_open_a_websocket():
    with refusing(503, 503) as (operator, log, server):
        assert read_result(operator, POD) == 42
        assert (log, len(server.seen)) == ([WARNING.format("HTTP 503, refused")], 2)


def test_missing_right_to_exec_is_told_after_a_minute():
    """An API server that has just started refuses what is allowed."""
    with refusing(*[403] * 100) as (operator, log, server), pytest.raises(ApiException) as caught:
        read_result(operator, POD)
    assert (caught.value.status, log) == (403, [WARNING.format("HTTP 403, refused")])
    assert 50 < len(server.seen) <= 61  # one a second
    told = "".join(traceback.format_exception(caught.value))  # as Airflow logs it
    assert ("HTTP 403, refused" in told, "Handshake status" in told, "-+-+-" in told) == (True, False, False)


def test_message_that_was_not_reported_is_not_blamed_on_a_sidecar():
    base = ContainerState("base", message_path=RESULT_FILE)
    pod = SimpleNamespace(state=PodState("p", phase="Succeeded", containers=(base,)), is_gone=False, manifest={})
    with pytest.raises(AirflowFailException) as caught:
        read_result(SimpleNamespace(base_container_name="base"), pod)  # type: ignore[arg-type]
    assert str(caught.value) == (
        "The program succeeded, but pod p lost its container base before its result was read. "
        "The task is not tried again, because its work is done. [KPO-RES108: docs/troubleshooting.md#kpo-res108]"
    )


def test_pod_that_was_gone_before_it_was_read_has_no_result_to_remove():
    assert remove_result(POD) == POD.model

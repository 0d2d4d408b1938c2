"""lifecycle.pod_manager: commands in a container end in time, with their whole output or an error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.client import ApiException, CoreV1Api, V1ObjectMeta, V1Pod

from kpo_platform.airflow.api_errors import is_transient
from kpo_platform.airflow.operators.lifecycle.pod_manager import CommandFailed, TeamPodManager, run_command
from unit.support.exec_server import CLOSE, HANG, SUCCESS, ExecServer, end, serving_exec, stderr, stdout

POD = V1Pod(metadata=V1ObjectMeta(name="p", namespace="n"))
EXIT_1 = {
    "status": "Failure",
    "reason": "NonZeroExitCode",
    "message": "command terminated with exit code 1",
    "details": {"causes": [{"reason": "ExitCode", "message": "1"}]},
}
NO_CONTAINER = {"status": "Failure", "reason": "InternalError", "code": 500, "message": "container not found"}


@pytest.fixture
def server() -> Iterator[ExecServer]:
    with serving_exec() as exec_server:
        yield exec_server


def run(server: ExecServer, **limits: float) -> str:
    return run_command(server.client(), ("p", "n"), "c", ["cat", "a b"], **{"timeout_s": 5, **limits})


def test_command_is_sent_with_the_credentials_of_the_client(server: ExecServer):
    server.frames = [end(SUCCESS), CLOSE]
    assert run(server) == ""
    first, *headers = server.requests[0].split("\n")
    query = "container=c&stdout=true&stderr=true&command=cat&command=a+b"
    assert first == f"GET /api/v1/namespaces/n/pods/p/exec?{query} HTTP/1.1"
    assert "authorization: Bearer token-of-the-test" in headers
    assert "sec-websocket-protocol: v5.channel.k8s.io,v4.channel.k8s.io" in headers


def test_output_is_put_together_without_the_standard_error(server: ExecServer):
    text = "größer " * 50
    data = text.encode()
    server.frames = [stdout(b""), stdout(data[:3]), stderr(b"warning"), stdout(data[3:]), end(SUCCESS), CLOSE]
    assert run(server) == text


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [stdout(b"12")],
        [stdout(b"12"), CLOSE],
        [stdout(b"12"), end(SUCCESS)],
        [stdout(b"12"), (2, b"\x03no json"), CLOSE],
        [stdout(b"12"), end({"status": None}), CLOSE],
    ],
    ids=["nothing", "cut", "no status", "no close", "bad status", "empty status"],
)
def test_connection_that_breaks_is_no_result(server: ExecServer, frames: Any):
    server.frames = frames
    with pytest.raises((OSError, ApiException)) as caught:
        run(server)
    assert is_transient(caught.value)


@pytest.mark.parametrize(("frames", "limit"), [([stdout(b"12"), HANG], "silence_s"), ([HANG], "timeout_s")])
def test_dead_connection_is_noticed(server: ExecServer, frames: Any, limit: str):
    server.frames = frames
    began_at = time.monotonic()
    with pytest.raises(OSError, match=r"timed out|in time"):
        run(server, **{limit: 0.3})
    assert 0.3 <= time.monotonic() - began_at < 5


def test_command_that_writes_without_end_is_left(server: ExecServer):
    server.frames = [stdout(b"12")] * 1000
    with pytest.raises(OSError, match=r"timed out|in time"):
        run(server, timeout_s=0.3)


def test_server_that_does_not_answer_is_left(server: ExecServer):
    server.is_mute = True
    began_at = time.monotonic()
    with pytest.raises(OSError, match="timed out"):
        run(server, timeout_s=0.3)
    assert time.monotonic() - began_at < 5


def test_failed_command_and_missing_container_are_told_apart(server: ExecServer):
    server.frames = [end(EXIT_1), CLOSE]
    with pytest.raises(CommandFailed, match="command terminated with exit code 1"):
        run(server)
    server.frames = [end(NO_CONTAINER), CLOSE]
    with pytest.raises(ApiException) as caught:
        run(server)
    assert (caught.value.status, caught.value.reason) == (500, "container not found")


def test_refusal_has_status_body_and_headers(server: ExecServer):
    server.refusal = 'HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 19\r\n\r\n{"message": "busy"}'
    with pytest.raises(ApiException) as caught:
        run(server)
    error = caught.value
    assert (error.status, error.body, error.headers["retry-after"]) == (429, '{"message": "busy"}', "7")


def test_server_that_is_away_is_asked_again(server: ExecServer):
    client = server.client()
    client.configuration.host = "http://127.0.0.1:1"
    with pytest.raises(OSError, match="refused") as caught:
        run_command(client, ("p", "n"), "c", ["true"], timeout_s=5)
    assert is_transient(caught.value)


def test_manager_reads_the_result_and_leaves_the_sidecar(server: ExecServer):
    server.frames = [stdout(b'{"rows": 3}'), end(SUCCESS), CLOSE]
    manager = TeamPodManager(kube_client=CoreV1Api(server.client()))
    assert (manager.extract_xcom(POD), len(server.requests)) == ('{"rows": 3}', 1)


def test_manager_ends_the_sidecar_although_the_signal_ends_the_command(server: ExecServer):
    server.frames = [end({**EXIT_1, "message": "command terminated with exit code 130"}), CLOSE]
    TeamPodManager(kube_client=CoreV1Api(server.client())).extract_xcom_kill(POD)
    assert len(server.requests) == 1

"""The fault proxy in front of a small API server: what its clients see, and what it counts."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient, Configuration, CoreV1Api
from kubernetes.stream import stream

from common.polling import NotYet, wait_for
from faults.fault import Answer, CutBody, Delay, Fault, HangUp, Hold
from faults.proxy import FaultProxy, run_fault_proxy
from unit.support.fault_upstream import LOG, PARTS, PODS, RESULT, ApiServer, serving_api


@pytest.fixture
def api_server(tmp_path: Path) -> Iterator[ApiServer]:
    with serving_api(tmp_path / "upstream") as running:
        yield running


@pytest.fixture
def proxy(api_server: ApiServer, tmp_path: Path) -> Iterator[FaultProxy]:
    with run_fault_proxy(api_server.address, api_server.context, "127.0.0.1", tmp_path) as running:
        yield running


def connect(proxy: FaultProxy) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=proxy.certificate)
    return http.client.HTTPSConnection(proxy.url.removeprefix("https://"), timeout=10, context=context)


def send(proxy: FaultProxy, method: str, path: str, body: Any = None) -> tuple[int, str]:
    """Send a request; return status and body of the response."""
    connection = connect(proxy)
    content = None if body is None else json.dumps(body)
    connection.request(method, path, content, {"Authorization": "Bearer token"})
    response = connection.getresponse()
    return response.status, response.read().decode()


def make_pod(name: str, task: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"dag_id": "dag", "task_id": task, "map_index": "3"}}}


def test_request_without_a_fault_passes_with_body_and_credentials(proxy: FaultProxy, api_server: ApiServer):
    pod = make_pod("one", "work")
    assert send(proxy, "POST", PODS, pod) == (201, json.dumps(pod))
    assert send(proxy, "GET", f"{PODS}/one") == (200, "Bearer token")
    assert send(proxy, "GET", f"{PODS}/one/log?follow=true") == (200, LOG)
    assert api_server.received == [f"POST {PODS}", f"GET {PODS}/one", f"GET {PODS}/one/log?follow=true"]


def test_one_connection_carries_several_requests(proxy: FaultProxy):
    connection = connect(proxy)
    for _ in range(3):
        connection.request("GET", f"{PODS}/one/log")
        assert connection.getresponse().read().decode() == LOG


def test_answer_is_passed_on_as_it_arrives(proxy: FaultProxy, api_server: ApiServer):
    connection = connect(proxy)
    connection.request("GET", f"{PODS}?watch=true&parts=all")
    response = connection.getresponse()
    assert response.readline() == PARTS[0]
    api_server.released.set()
    assert response.read() == PARTS[1]


def test_answer_that_breaks_off_breaks_off_for_the_client(proxy: FaultProxy, api_server: ApiServer):
    api_server.released.set()
    connection = connect(proxy)
    connection.request("GET", f"{PODS}?watch=true&parts=broken")
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.getresponse().read()


def test_client_of_kubernetes_executes_a_command_through_the_proxy(proxy: FaultProxy):
    configuration = Configuration()
    configuration.host, configuration.ssl_ca_cert = proxy.url, str(proxy.certificate)
    connect_exec = CoreV1Api(ApiClient(configuration)).connect_get_namespaced_pod_exec
    client = stream(connect_exec, "one", "team-alpha", command=["cat"], _preload_content=False)
    client.run_forever(timeout=10)
    assert (client.read_all(), proxy.count("get pods/exec")) == (RESULT.decode(), 1)


def test_error_answer_has_a_status_and_the_time_to_wait(proxy: FaultProxy, api_server: ApiServer):
    with proxy.inject(Fault("* pods*", Answer(429, retry_after="7"))):
        connection = connect(proxy)
        connection.request("GET", f"{PODS}/one")
        response = connection.getresponse()
        status = json.loads(response.read())
    assert (response.status, response.headers["Retry-After"], status["kind"], status["code"]) == (
        429,
        "7",
        "Status",
        429,
    )
    assert api_server.received == []
    assert send(proxy, "GET", f"{PODS}/one")[0] == 200


@pytest.mark.parametrize(("is_delivered", "received"), [(True, [f"POST {PODS}"]), (False, [])])
def test_connection_is_closed_before_or_after_the_delivery(
    proxy: FaultProxy, api_server: ApiServer, is_delivered: bool, received: list[str]
):
    with proxy.inject(Fault("create pods", HangUp(is_delivered), times=1)):
        with pytest.raises((http.client.HTTPException, OSError)):
            send(proxy, "POST", PODS, make_pod("one", "work"))
        assert api_server.received == received
        assert send(proxy, "POST", PODS, make_pod("one", "work"))[0] == 201


def test_delayed_request_gets_its_answer_later(proxy: FaultProxy):
    start = time.monotonic()
    with proxy.inject(Fault("get pods", Delay(0.2))):
        assert send(proxy, "GET", f"{PODS}/one")[0] == 200
    assert time.monotonic() - start >= 0.2


@pytest.mark.parametrize("is_clean", [True, False])
def test_log_is_cut_in_the_middle_of_a_line(proxy: FaultProxy, is_clean: bool):
    with proxy.inject(Fault("get pods/log", CutBody(38, is_clean), times=1)):
        connection = connect(proxy)
        connection.request("GET", f"{PODS}/one/log")
        response = connection.getresponse()
        if is_clean:
            assert response.read() == LOG.encode()[:39]
        else:
            with pytest.raises((http.client.HTTPException, OSError)):
                response.read()
    assert LOG[37:39] == "\n2"
    assert send(proxy, "GET", f"{PODS}/one/log") == (200, LOG)


def test_short_body_is_not_cut_and_does_not_count(proxy: FaultProxy):
    fault = Fault("get pods/log", CutBody(10_000), times=1)
    with proxy.inject(fault):
        assert send(proxy, "GET", f"{PODS}/one/log") == (200, LOG)
        assert send(proxy, "GET", f"{PODS}/one/log") == (200, LOG)
    wait_for("the fault to be counted", lambda: check_hits(fault, 0), deadline_s=10, interval_s=0.01)


def check_hits(fault: Fault, hits: int) -> None:
    if fault.hits != hits:
        raise NotYet(str(fault.hits))


@pytest.mark.parametrize(("is_delivered", "received"), [(True, [f"GET {PODS}/one"]), (False, [])])
def test_held_request_continues_after_its_release(
    proxy: FaultProxy, api_server: ApiServer, is_delivered: bool, received: list[str]
):
    hold, responses = Hold(is_delivered), []
    with proxy.inject(Fault("get pods", hold)):
        thread = threading.Thread(target=lambda: responses.append(send(proxy, "GET", f"{PODS}/one")))
        thread.start()
        hold.wait_until_reached(10)
        time.sleep(0.1)
        assert (api_server.received, responses) == (received, [])
        hold.release()
        thread.join(10)
        assert responses == [(200, "Bearer token")]


def test_fault_of_a_task_affects_the_pods_that_it_created(proxy: FaultProxy):
    for name in ("one", "two"):
        send(proxy, "POST", PODS, make_pod(name, f"task-{name}"))
    with proxy.inject(Fault("get pods*", Answer(503), task="dag.task-one[3]")):
        statuses = [send(proxy, "GET", f"{PODS}/{path}")[0] for path in ("one", "one/log", "two", "two/log")]
    assert statuses == [503, 503, 200, 200]


def test_fault_of_a_client_affects_only_its_address(proxy: FaultProxy):
    with proxy.inject(Fault("get pods", Answer(503), client="127.0.0.9")):
        assert send(proxy, "GET", f"{PODS}/one")[0] == 200
    with proxy.inject(Fault("get pods", Answer(503), client="127.0.0.1")):
        assert send(proxy, "GET", f"{PODS}/one")[0] == 503


def test_connections_are_refused_until_the_proxy_listens_again(proxy: FaultProxy):
    connection = connect(proxy)
    connection.request("GET", f"{PODS}/one/log")
    connection.getresponse().read()
    with proxy.refusing():
        with pytest.raises((http.client.HTTPException, OSError)):
            connection.sock.settimeout(5)
            connection.request("GET", f"{PODS}/one/log")
            connection.getresponse()
        with pytest.raises(ConnectionRefusedError):
            send(proxy, "GET", f"{PODS}/one")
    assert send(proxy, "GET", f"{PODS}/one")[0] == 200


def test_upgraded_connection_passes_bytes_in_both_directions(proxy: FaultProxy):
    connection = connect(proxy)
    connection.connect()
    assert isinstance(connection.sock, socket.socket)
    path = f"{PODS}/one/exec?command=cat"
    connection.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n".encode())
    connection.sock.sendall(b"result\n")
    received = b""
    while data := connection.sock.recv(1000):
        received += data
    assert received == b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\nresult\n"


def test_requests_are_counted_by_verb_resource_and_task(proxy: FaultProxy):
    send(proxy, "POST", PODS, make_pod("one", "work"))
    for path in (f"{PODS}/one", f"{PODS}/one/log", f"{PODS}/one/log?follow=true", f"{PODS}/two", PODS):
        send(proxy, "GET", path)
    send(proxy, "GET", f"{PODS}?watch=true&fieldSelector=metadata.name%3Done")
    send(proxy, "GET", f"{PODS.replace('pods', 'events')}?fieldSelector=involvedObject.name%3Done")
    requests = ("create pods", "get pods", "get pods/log", "list pods", "watch pods", "list events", "delete pods")
    assert {name: proxy.count(name) for name in requests} == {
        "create pods": 1,
        "get pods": 2,
        "get pods/log": 2,
        "list pods": 1,
        "watch pods": 1,
        "list events": 1,
        "delete pods": 0,
    }
    assert [proxy.count(name, "dag.work[3]") for name in requests] == [1, 1, 2, 0, 1, 1, 0]

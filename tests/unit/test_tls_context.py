"""lifecycle.connection: the TLS context that the connections of a task's client share."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from kubernetes.client import ApiClient, ApiException, Configuration, CoreV1Api

from kpo_platform.airflow.operators.lifecycle.api_request import send_request
from kpo_platform.airflow.operators.lifecycle.connection import get_tls_context, read_client
from kpo_platform.airflow.operators.lifecycle.pod_manager import run_command
from kpo_platform.airflow.operators.lifecycle.stream_connection import StreamConnection
from unit.support.certificates import create_certificate
from unit.support.cluster_server import Cluster
from unit.support.fake_kubelet import Program
from unit.support.http_server import Answer, Request, serving
from unit.support.task_process import StartTask

NAME = "api.test"
TIMEOUT_S = (5.0, 5.0)


@dataclass
class Tls:
    """An API server over TLS.

    Attributes:
        url: its address, which its certificate does not have.
        trusted: its certificate.
        contexts: the TLS contexts that clients have created.
        loads: how often the system's certificates were loaded.
    """

    url: str
    trusted: Path
    contexts: list[ssl.SSLContext]
    loads: int = 0

    def client(self, **fields: Any) -> ApiClient:
        """Create a client, by default one that trusts the server's certificate, as a task's process does."""
        configuration = Configuration(host=self.url)
        for name, value in {"ssl_ca_cert": str(self.trusted), "tls_server_name": NAME, **fields}.items():
            setattr(configuration, name, value)
        core = CoreV1Api(ApiClient(configuration))
        operator = SimpleNamespace(hook=SimpleNamespace(core_v1_client=core), client=core)
        return read_client(operator).api_client


def answer(request: Request) -> Answer:
    """Answer a request; a watch with one event, and then with nothing until the test ends."""
    if "watch" not in request.path:
        return 200, {"kind": "Pod"}

    def events() -> Iterator[bytes]:
        yield b"{}\n"
        time.sleep(20)

    return 200, events()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Create a key with its certificate, and the certificate."""
    folder = tmp_path_factory.mktemp("certificates")
    create_certificate(folder / "key.pem", folder / "ca.crt", NAME)
    return folder / "key.pem", folder / "ca.crt"


@pytest.fixture
def contexts(monkeypatch: pytest.MonkeyPatch) -> list[ssl.SSLContext]:
    """Record the TLS contexts of clients."""
    contexts: list[ssl.SSLContext] = []
    create = ssl.SSLContext.__new__

    def record(*arguments: Any, **options: Any) -> ssl.SSLContext:
        contexts.append(create(*arguments, **options))
        return contexts[-1]

    monkeypatch.setattr(ssl.SSLContext, "__new__", record)
    return contexts


@pytest.fixture
def tls(
    certificates: tuple[Path, Path], contexts: list[ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Tls]:
    """Serve an API server over TLS."""
    key, trusted = certificates
    with serving(answer, key) as server:
        contexts.clear()
        tls, load = Tls(server.url, trusted, contexts), ssl.SSLContext.load_default_certs

        def count(*arguments: Any) -> None:
            tls.loads += 1
            load(*arguments)

        monkeypatch.setattr(ssl.SSLContext, "load_default_certs", count)
        yield tls


def send_command(client: ApiClient) -> None:
    with pytest.raises(ApiException, match="the command was refused"):
        run_command(client, ("p", "n"), "base", ["true"], timeout_s=5)


def read_pod(client: ApiClient) -> None:
    assert send_request(client, "GET", "/pods/p") == {"kind": "Pod"}


def connect_all(client: ApiClient) -> None:
    """Connect as a task does: for requests, for its watch, for a log that is read twice, and for a command."""
    read_pod(client)
    for _ in range(2):
        stream = open_stream(client)
        stream.open("/log", {}, TIMEOUT_S).close()
        stream.open("/log", {}, TIMEOUT_S).close()
    send_command(client)


def open_stream(client: ApiClient, is_wanted: Callable[[], bool] = lambda: True) -> StreamConnection:
    return StreamConnection(lambda: client, is_wanted)


def test_all_connections_of_a_client_share_one_context(tls: Tls):
    client = tls.client()
    connect_all(client)
    assert tls.contexts == [get_tls_context(client)]


@pytest.mark.parametrize("xcom", [None, "sidecar"])
def test_run_of_a_task_creates_one_context(
    xcom: str | None,
    fake_cluster: Cluster,
    start_task: StartTask,
    certificates: tuple[Path, Path],
    contexts: list[ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    key, trusted = certificates
    fake_cluster.programs["base"] = Program(runs_s=5)
    with serving(fake_cluster, key) as server:
        contexts.clear()
        content = json.loads(Path(server.kubeconfig(tmp_path)).read_text())
        content["clusters"][0]["cluster"] |= {"certificate-authority": str(trusted), "tls-server-name": NAME}
        connection = {"conn_type": "kubernetes", "extra": {"kube_config": json.dumps(content)}}
        monkeypatch.setenv("AIRFLOW_CONN_K8S_DEFAULT", json.dumps(connection))
        run = start_task(xcom=xcom).run()
        assert (run.outcome, len(contexts)) == ({"rows": 3} if xcom else None, 1)
        assert len(fake_cluster.log_queries) > 1


def test_certificates_of_the_system_are_loaded_once(tls: Tls, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.trusted))
    connect_all(tls.client(ssl_ca_cert=None))
    assert (len(tls.contexts), tls.loads) == (1, 1)


def test_unverified_connections_share_a_context_without_certificates(tls: Tls):
    connect_all(tls.client(verify_ssl=False, ssl_ca_cert=None, tls_server_name=None))
    assert (len(tls.contexts), tls.loads) == (1, 0)


def test_client_certificates_have_a_context_for_each_connection(tls: Tls, certificates: tuple[Path, Path]):
    key, _ = certificates
    client = tls.client(cert_file=str(key), key_file=str(key))
    connect_all(client)
    assert (get_tls_context(client), len(set(tls.contexts)) > 3) == (None, True)


def test_host_name_that_the_certificate_lacks_is_refused(tls: Tls):
    client = tls.client(tls_server_name=None)
    for _ in range(2):
        with pytest.raises(urllib3.exceptions.SSLError, match="IP address mismatch"):
            send_request(client, "GET", "/pods/p")
        with pytest.raises(urllib3.exceptions.SSLError, match="IP address mismatch"):
            open_stream(client).open("/log", {}, TIMEOUT_S)


@pytest.mark.parametrize("connect", [read_pod, send_command])
def test_replaced_file_of_authorities_counts_for_the_next_connection(
    tls: Tls, tmp_path: Path, connect: Callable[[ApiClient], None]
):
    create_certificate(tmp_path / "key.pem", tmp_path / "ca.crt", NAME)
    client = tls.client(ssl_ca_cert=str(tmp_path / "ca.crt"))
    with pytest.raises(urllib3.exceptions.SSLError, match="self-signed certificate"):
        send_request(client, "GET", "/pods/p")
    (tmp_path / "ca.crt").write_text(tls.trusted.read_text())
    connect(client)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_unreadable_file_of_authorities_is_told_by_the_request(tls: Tls, tmp_path: Path, content: str | None):
    file = tmp_path / "ca.crt"
    if content is not None:
        file.write_text(content)
    client = tls.client(ssl_ca_cert=str(file))
    with pytest.raises(urllib3.exceptions.SSLError):
        send_request(client, "GET", "/pods/p")
    file.write_text(tls.trusted.read_text())
    read_pod(client)


def test_plain_http_has_no_context(tls: Tls):
    with serving(answer) as server:
        tls.url = server.url
        connect_all(tls.client())
    assert tls.contexts == []


def test_proxy_of_the_connection_is_the_streams_too(tls: Tls):
    client = tls.client(proxy="http://127.0.0.1:9")
    with pytest.raises(urllib3.exceptions.ProxyError):
        open_stream(client).open("/log", {}, TIMEOUT_S)


def test_thread_that_reads_over_the_shared_context_can_be_woken_up(tls: Tls):
    client, is_ended, errors = tls.client(), threading.Event(), list[str]()
    stream = open_stream(client, lambda: not is_ended.is_set())
    response = stream.open("/pods?watch=true", {}, (5, 30))

    def read() -> None:
        try:
            list(response.stream(100))
        except urllib3.exceptions.ProtocolError as error:
            errors.append(str(error))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    is_ended.set()
    with stream.lock:
        stream.break_if_unwanted()
    thread.join(10)
    assert (thread.is_alive(), errors) == (False, ["Response ended prematurely"])
    read_pod(client)

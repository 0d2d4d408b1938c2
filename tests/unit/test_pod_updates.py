"""lifecycle.pod_updates: a wait ends when another thread has news; the thread of a watch has them as they come."""

from __future__ import annotations

import json
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client import ApiClient, Configuration

from kpo_platform.airflow.operators.lifecycle import pod_updates
from kpo_platform.airflow.operators.lifecycle.bell import Bell
from kpo_platform.airflow.operators.lifecycle.pod_updates import PodUpdates
from kpo_platform.airflow.operators.lifecycle.pod_watch import PodWatch, WatchEnd
from kpo_platform.airflow.operators.lifecycle.stop_signal import StopSignal
from kpo_platform.pod.state import PodState


class SilentWatch:
    """A watch that works and reports nothing."""

    has_worked, end, version = True, None, ""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def start(self) -> None:
        pass

    def take(self) -> tuple[None, bool]:
        return None, False


@pytest.fixture
def pod() -> Any:
    return SimpleNamespace(
        state=PodState("p", "n"),
        outcome=None,
        version_of_creation="",
        has_left_pending=True,
        refresh_with_version=lambda: "1",
    )


def test_news_of_a_log_between_two_watches_end_the_wait(pod: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pod_updates, "PodWatch", SilentWatch)
    monkeypatch.setattr(pod_updates, "read_client", lambda _: None)
    bell = Bell()
    updates = PodUpdates(SimpleNamespace(stop_signal=StopSignal(), set_names=()), pod, bell)
    updates._watches_from = time.monotonic() + 0.6
    threading.Timer(0.2, bell.ring).start()
    start = time.monotonic()
    updates.wait(20)
    assert time.monotonic() - start < 10


EVENT = json.dumps({"type": "MODIFIED", "object": {"metadata": {"name": "p", "uid": "u", "resourceVersion": "5"}}})
LINE = EVENT.encode() + b"\n"


def compress(data: bytes) -> bytes:
    """Compress a part of a stream, which does not end."""
    gzip = zlib.compressobj(wbits=31)
    return gzip.compress(data) + gzip.flush(zlib.Z_SYNC_FLUSH)


@contextmanager
def sending(answer: bytes) -> Iterator[str]:
    """Send this to the first request, and keep the connection open; yields the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections: list[socket.socket] = []

        def serve() -> None:
            connections.append(listener.accept()[0])
            connections[0].recv(65536)
            connections[0].sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)
        connections[0].close()


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", b"%x\r\n%s\r\n" % (len(LINE), LINE)),
        ("HTTP/1.1 200 OK\r\nConnection: close", LINE),
        ("HTTP/1.0 200 OK", LINE),
        ("HTTP/1.0 200 OK\r\nContent-Encoding: gzip", compress(LINE)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100000", LINE),
    ],
    ids=["chunks", "until the end", "HTTP/1.0", "gzip", "with a length"],
)
def test_event_is_reported_when_it_comes(head: str, body: bytes):
    has_come = threading.Event()
    with sending(f"{head}\r\n\r\n".encode() + body) as url:
        client = ApiClient(Configuration(host=url))
        watch = PodWatch(lambda: client, ("p", "n", "u"), "1", on_change=has_come.set)
        watch.start()
        assert (has_come.wait(5), watch.version, watch.end) == (True, "5", None)
        watch.close()


def test_end_of_an_answer_without_chunks_ends_the_watch():
    with sending(b"HTTP/1.0 200 OK\r\n\r\n" + LINE) as url:
        client, has_ended = ApiClient(Configuration(host=url)), threading.Event()
        watch = PodWatch(lambda: client, ("p", "n", "u"), "1", on_change=lambda: watch.end and has_ended.set())
        watch.start()
    assert (has_ended.wait(5), watch.end, watch.version) == (True, WatchEnd(), "5")

"""The log endpoint of API server and kubelet, on a real socket.

It follows the kubelet's reader (cri-client, pkg/logs): ``sinceTime`` filters fragments and the API server truncates it
to seconds; fragments of a long line are joined and only the first has a stamp; ``tailLines`` counts fragments; headers
come with the first bytes, or at the end.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Fragment:
    stamp: str
    data: bytes
    is_partial: bool = False


@dataclass(frozen=True)
class Refuse:
    """Answer a request with an error."""

    status: int
    message: str = "refused"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cut:
    """End the body after so many bytes, cleanly or by closing the connection, after an action."""

    size: int
    is_clean: bool = False
    then: Callable[[], object] = lambda: None


class FakeLog:
    """A container's log file and its endpoint.

    Attributes:
        faults: one for each of the next requests; None answers normally.
        queries: the parameters of all requests.
        error: the kubelet's error at the end of every body.
        has_chunks: whether bodies are sent in chunks; else they end with their connection, as of an HTTP/1.0 proxy.
    """

    def __init__(self) -> None:
        self.faults: deque[Refuse | Cut | None] = deque()
        self.queries: list[dict[str, str]] = []
        self.error, self.has_chunks = b"", True
        self._fragments: list[Fragment] = []
        self._is_running, self._changed = True, threading.Condition()

    def add(self, *lines: tuple[str, bytes] | Fragment) -> None:
        """Append lines, each a stamp within 2026-01-01T00:00 ("05.000000001") and bytes."""
        with self._changed:
            for line in lines:
                self._fragments.append(line if isinstance(line, Fragment) else Fragment(at(line[0]), line[1]))
            self._changed.notify_all()

    def rotate(self) -> None:
        """Replace the file by an empty one."""
        with self._changed:
            self._fragments = []

    def end(self) -> None:
        """End the container."""
        with self._changed:
            self._is_running = False
            self._changed.notify_all()

    def answer(self, query: dict[str, str]) -> Iterator[bytes]:
        """Yield the body; for a follower, as it is written."""
        since = f"{query['sinceTime'][:19]}Z" if "sinceTime" in query else ""
        fragments, done, is_new_line = self._fragments, 0, True
        if "tailLines" in query:
            done = max(0, len(fragments) - int(query["tailLines"]))
        while True:
            with self._changed:
                while query.get("follow") and self._is_running and len(fragments) == done:
                    self._changed.wait(10)
                    if fragments is not self._fragments:
                        fragments, done = self._fragments, 0
                batch, is_over = fragments[done:], not (query.get("follow") and self._is_running)
            body = bytearray()
            for each in batch:
                if each.stamp[:19] + "Z" >= since:
                    has_stamp = is_new_line and "timestamps" in query
                    body += (each.stamp.encode() + b" " if has_stamp else b"") + each.data
                    body += b"" if each.is_partial else b"\n"
                is_new_line = not each.is_partial
            done += len(batch)
            yield bytes(body)
            if is_over:
                yield self.error
                return


def at(stamp: str) -> str:
    return f"2026-01-01T00:00:{stamp}Z"


@dataclass
class LogServer:
    """An API server whose listening socket can be closed and opened again."""

    log: FakeLog
    port: int = 0
    _server: Any = None
    _open: list[Any] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def listen(self) -> None:
        self._server = _Server(("127.0.0.1", self.port), self._build_handler())
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _build_handler(self) -> type[BaseHTTPRequestHandler]:
        log = self.log

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
                log.queries.append(query)
                fault = log.faults.popleft() if log.faults else None
                if isinstance(fault, Refuse):
                    self.refuse(fault)
                else:
                    self.send_log(query, fault)

            def send_log(self, query: dict[str, str], fault: Cut | None) -> None:
                chunks = limit(log.answer(query), fault)
                first = next(chunks, b"")
                self.send_response(200)
                self.send_header(*(("Transfer-Encoding", "chunked") if log.has_chunks else ("Connection", "close")))
                self.end_headers()
                for chunk in filter(None, chain([first], chunks)):
                    self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" if log.has_chunks else chunk)
                    self.wfile.flush()
                if fault is not None:
                    fault.then()
                    self.close_connection |= not fault.is_clean
                if log.has_chunks and (fault is None or fault.is_clean):
                    self.wfile.write(b"0\r\n\r\n")

            def refuse(self, fault: Refuse) -> None:
                body = f'{{"kind": "Status", "message": "{fault.message}"}}'.encode()
                self.send_response(fault.status)
                for name, value in fault.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Ignore errors: the follower closes connections."""


def limit(chunks: Iterator[bytes], fault: Cut | None) -> Iterator[bytes]:
    """Yield the chunks that are not empty, up to the size of the cut."""
    left = fault.size if fault else None
    for chunk in chunks:
        part = chunk if left is None else chunk[:left]
        if part:
            yield part
        if left is not None:
            left -= len(part)
            if not left:
                return


@contextmanager
def serving_log() -> Iterator[LogServer]:
    """Serve a container's log on a loopback port."""
    server = LogServer(FakeLog())
    server.listen()
    try:
        yield server
    finally:
        server.log.end()
        server.close()

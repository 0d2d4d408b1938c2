"""Small HTTP servers that answer as the Kubernetes API or Airflow would, for tests without either."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict, compare=False)


class Fault(Enum):
    """What a server does instead of an answer."""

    CLOSE = "close the connection without an answer"
    CUT = "reset the connection in the middle of an answer"
    HANG = "send nothing until the test ends"


Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]] | Fault
"""Status, content (JSON, text, or chunks of bytes), and headers if there are any; or a fault."""


@dataclass
class Server:
    url: str
    seen: list[Request]

    def kubeconfig(self, directory: Path) -> str:
        file = directory / "kubeconfig"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": self.url}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "users": [{"name": "test", "user": {"token": "token-of-the-test"}}],
            "current-context": "test",
        }
        file.write_text(json.dumps(content))
        return str(file)


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Ignore errors: in some tests the client closes the connection."""

    def use_tls(self, key: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(key)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)


class _StreamingHandler(BaseHTTPRequestHandler):
    def stream(self, status: int, chunks: Iterator[bytes]) -> None:
        first = next((chunk for chunk in chunks if chunk), b"")  # the kubelet's headers come with the first bytes
        self.send_response(status)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in chain(filter(None, chain([first], chunks)), [b""]):
            self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(answer: Callable[[Request], Answer], key: Path | None = None) -> Iterator[Server]:
    """Serve a function's answers, each a status and JSON or text, on a loopback port; record the requests.

    With the file of a key and its certificate over TLS.
    """
    seen: list[Request] = []
    has_ended = threading.Event()

    class Handler(_StreamingHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            request = Request(self.command, self.path, body, {k.lower(): v for k, v in self.headers.items()})
            seen.append(request)
            given = answer(request)
            if isinstance(given, Fault):
                self.fail(given)
                return
            status, content, *headers = given
            if isinstance(content, Iterator):
                self.stream(status, content)
                return
            text = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers[0] if headers else {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def fail(self, fault: Fault) -> None:
            self.close_connection = True
            if fault is Fault.HANG:
                has_ended.wait(60)
            elif fault is Fault.CUT:
                self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"metadata": {')
                self.wfile.flush()
                # Closing a socket that lingers for no time sends RST.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any  # noqa: N815

    server = _QuietServer(("127.0.0.1", 0), Handler)
    if key is not None:
        server.use_tls(key)
    threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True).start()
    try:
        yield Server(f"http{'s' if key else ''}://127.0.0.1:{server.server_address[1]}", seen)
    finally:
        has_ended.set()
        server.shutdown()
        server.server_close()


def status(code: int, message: str) -> Answer:
    """A refusal about pods in the form of the Kubernetes API."""
    details = {"kind": "pods"}
    return code, {"kind": "Status", "status": "Failure", "code": code, "message": message, "details": details}

"""An API server that runs commands in containers over a websocket, frame by frame as a test says."""

from __future__ import annotations

import base64
import hashlib
import json
import socketserver
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kubernetes.client import ApiClient, Configuration

_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE = 2, 8

SUCCESS: dict[str, Any] = {"kind": "Status", "status": "Success"}


def stdout(data: bytes) -> tuple[int, bytes]:
    """Send standard output."""
    return _BINARY, b"\x01" + data


def stderr(data: bytes) -> tuple[int, bytes]:
    """Send standard error."""
    return _BINARY, b"\x02" + data


def end(status: dict[str, Any]) -> tuple[int, bytes]:
    """Send how the command ended."""
    return _BINARY, b"\x03" + json.dumps(status).encode()


CLOSE = (_CLOSE, struct.pack("!H", 1000))
HANG = (-1, b"")
"""Send nothing more until the test ends; the connection ends where the frames do."""


@dataclass
class ExecServer:
    """The server.

    Attributes:
        frames: what it sends.
        refusal: the answer instead of a websocket: status, headers and body.
        is_mute: whether it does not answer at all.
        requests: the first line and headers of each request.
    """

    port: int = 0
    frames: Sequence[tuple[int, bytes]] = ()
    refusal: str = ""
    is_mute: bool = False
    requests: list[str] = field(default_factory=list)

    def client(self) -> ApiClient:
        """Create a client of this server."""
        configuration = Configuration(host=f"http://127.0.0.1:{self.port}")
        configuration.api_key = {"authorization": "Bearer token-of-the-test"}
        return ApiClient(configuration)


@contextmanager
def serving_exec() -> Iterator[ExecServer]:
    """Serve on a loopback port."""
    exec_server, has_ended = ExecServer(), threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            lines = [line.decode().strip() for line in iter(self.rfile.readline, b"\r\n")]
            exec_server.requests.append("\n".join(lines))
            if exec_server.is_mute:
                has_ended.wait(30)
            elif exec_server.refusal:
                self.wfile.write(exec_server.refusal.encode())
            else:
                self._answer({name.lower(): text for name, _, text in (line.partition(": ") for line in lines)})

        def _answer(self, headers: dict[str, str]) -> None:
            accept = base64.b64encode(hashlib.sha1(headers["sec-websocket-key"].encode() + _KEY).digest()).decode()
            answer = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
            answer += [f"Sec-WebSocket-Accept: {accept}", "Sec-WebSocket-Protocol: v4.channel.k8s.io", "", ""]
            self.wfile.write("\r\n".join(answer).encode())
            for kind, data in exec_server.frames:
                if (kind, data) == HANG:
                    has_ended.wait(30)
                    return
                has_ended.wait(0.01)
                length = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack("!H", len(data))
                self.wfile.write(bytes([0x80 | kind]) + length + data)

    class QuietServer(socketserver.ThreadingTCPServer):
        daemon_threads = allow_reuse_address = True

        def handle_error(self, *_: Any) -> None:
            """Ignore errors: in some tests the client closes the connection."""

    server = QuietServer(("127.0.0.1", 0), Handler)
    exec_server.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True).start()
    try:
        yield exec_server
    finally:
        has_ended.set()
        server.shutdown()
        server.server_close()

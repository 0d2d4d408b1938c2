"""A small API server behind the fault proxy."""

from __future__ import annotations

import base64
import hashlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from faults.proxy import make_server_context

PODS = "/api/v1/namespaces/team-alpha/pods"
LOG = "".join(f"2026-11-29T10:00:0{number}.000000000Z line {number}\n" for number in range(6))
PARTS = (b'{"type": "ADDED"}\n', b'{"type": "MODIFIED"}\n')
RESULT = b'{"rows": 3}\n'


@dataclass
class ApiServer:
    """A small API server.

    Attributes:
        received: method and path of every request.
        address: its `host:port`.
        context: verifies its certificate.
        released: lets an answer that is sent in parts continue.
    """

    address: str
    context: ssl.SSLContext
    received: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving_api(folder: Path) -> Iterator[ApiServer]:
    """Serve a small API server, whose certificate is written to a new folder."""
    folder.mkdir()
    server_context = make_server_context("127.0.0.1", folder / "tls.crt", folder / "tls.key")
    received: list[str] = []
    released = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(received, released))
    server.daemon_threads = True
    server.socket = server_context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    context = ssl.create_default_context(cafile=folder / "tls.crt")
    yield ApiServer(f"127.0.0.1:{server.server_address[1]}", context, received, released)
    released.set()
    server.shutdown()
    server.server_close()


def make_handler(received: list[str], released: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received.append(f"{self.command} {self.path}")
            if "Sec-WebSocket-Key" in self.headers:
                self.execute()
                return
            if "Upgrade" in self.headers:
                self.echo()
                return
            if "parts=" in self.path:
                self.send_parts()
                return
            content = LOG.encode() if "/log" in self.path else body or self.headers["Authorization"].encode()
            self.send_response(201 if self.command == "POST" else 200)
            self.send_header("Content-Type", "text/plain" if "/log" in self.path else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815

        def send_parts(self) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in PARTS:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                released.wait(10)
                if "parts=broken" in self.path:
                    self.close_connection = True
                    return
            self.wfile.write(b"0\r\n\r\n")

        def execute(self) -> None:
            """Write a result and the end of the command, as the kubelet does."""
            self.close_connection = True
            key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
            lines = ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade")
            more = (f"Sec-WebSocket-Accept: {accept}", "Sec-WebSocket-Protocol: v4.channel.k8s.io", "", "")
            self.wfile.write("\r\n".join((*lines, *more)).encode())
            for payload in (b"\x01" + RESULT, b'\x03{"status": "Success"}'):
                self.wfile.write(bytes((0x82, len(payload))) + payload)
            self.wfile.write(b"\x88\x00")

        def echo(self) -> None:
            self.close_connection = True
            self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n")
            self.wfile.write(self.rfile.readline())

        def log_message(self, *_: Any) -> None:
            pass

    return Handler

"""The HTTP server of the fault proxy: it passes requests on, streams answers and acts on faults."""

from __future__ import annotations

import http.client
import json
import select
import socket
import ssl
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from faults.api_request import ApiRequest, parse_request
from faults.fault import Action, Answer, CutBody, Delay, Fault, HangUp, Hold

_CHUNK_BYTES = 65536
_UPSTREAM_TIMEOUT_S = 3600.0  # a followed log may be silent for as long as a task runs
_CONNECTION_HEADERS = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})


class Control(Protocol):
    """What the server needs of the proxy."""

    upstream: str
    upstream_context: ssl.SSLContext

    def record_body(self, request: ApiRequest, body: bytes) -> str:
        """Return the task of a request's pod."""

    def take_fault(self, request: ApiRequest, task: str, client: str) -> Fault | None:
        """Count a request; return the fault that affects it."""

    def give_back(self, fault: Fault) -> None:
        """Take a request back to which a fault could do nothing."""


class ProxyServer(ThreadingHTTPServer):
    """A server with TLS that knows its open connections.

    Args:
        address: IP address and port; 0 for a free port.
        context: has the server's certificate.
        control: counts requests and has the faults.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, control: Control) -> None:
        self._context = context
        self._connections: set[socket.socket] = set()
        self.control = control
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; its thread does the handshake, so that no client blocks the others."""
        connection, address = super().get_request()
        wrapped = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self._connections.add(wrapped)
        return wrapped, address

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """Close all open connections."""
        for connection in list(self._connections):
            _hang_up(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ProxyServer

    def forward(self) -> None:
        """Pass a request on, or act on the fault that affects it."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request, control = parse_request(self.command, self.path), self.server.control
        task = control.record_body(request, body)
        fault = control.take_fault(request, task, self.client_address[0])
        action = fault.action if fault is not None else None
        if isinstance(action, Answer):
            self._send_status(action)
        elif isinstance(action, HangUp) and not action.is_delivered:
            self._close()
        else:
            self._wait(action)
            was_cut = self._pass_on(body, action)
            if fault is not None and isinstance(action, CutBody) and not was_cut:
                control.give_back(fault)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815

    def _wait(self, action: Action | None) -> None:
        if isinstance(action, Delay):
            time.sleep(action.seconds)
        elif isinstance(action, Hold) and not action.is_delivered:
            action.block()

    def _pass_on(self, body: bytes, action: Action | None) -> bool:
        """Pass a request and its answer on; return whether the answer's body was cut."""
        if "Upgrade" in self.headers:
            self._tunnel()
            return False
        upstream = http.client.HTTPSConnection(
            self.server.control.upstream, timeout=_UPSTREAM_TIMEOUT_S, context=self.server.control.upstream_context
        )
        try:
            headers = {key: text for key, text in self.headers.items() if key.lower() not in _CONNECTION_HEADERS}
            upstream.request(self.command, self.path, body or None, headers)
            return self._answer(upstream.getresponse(), action)
        except (OSError, http.client.HTTPException):
            self._close()  # as the API server does that has gone
            return False
        finally:
            upstream.close()

    def _answer(self, response: http.client.HTTPResponse, action: Action | None) -> bool:
        if isinstance(action, HangUp):
            response.read()
            self._close()
            return False
        if isinstance(action, Hold) and action.is_delivered:
            action.block()
        self.send_response(response.status)
        for key, text in response.getheaders():
            if key.lower() not in _CONNECTION_HEADERS | {"date", "server"}:
                self.send_header(key, text)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        return self._send_body(response, action if isinstance(action, CutBody) else None)

    def _send_body(self, response: http.client.HTTPResponse, cut: CutBody | None) -> bool:
        sent_bytes = 0
        while data := response.read1(_CHUNK_BYTES):
            end = None if cut is None else _find_cut(data, cut.after_bytes - sent_bytes)
            self._send_chunk(data[:end])
            sent_bytes += len(data)
            if cut is not None and end is not None:
                break
        else:
            cut = None
        if cut is not None and not cut.is_clean:
            self._close()
        else:
            self.wfile.write(b"0\r\n\r\n")
        return cut is not None

    def _send_chunk(self, data: bytes) -> None:
        if data:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _send_status(self, answer: Answer) -> None:
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": answer.status}
        content = json.dumps({**status, "message": "answer of the fault proxy"}).encode()
        self.send_response(answer.status)
        if answer.retry_after:
            self.send_header("Retry-After", answer.retry_after)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _tunnel(self) -> None:
        """Pass bytes on in both directions, as `exec` needs it."""
        self.close_connection = True
        host, _, port = self.server.control.upstream.rpartition(":")
        plain = socket.create_connection((host, int(port)), timeout=10)
        with self.server.control.upstream_context.wrap_socket(plain, server_hostname=host) as upstream:
            upstream.settimeout(None)
            headers = "".join(f"{key}: {text}\r\n" for key, text in self.headers.items())
            upstream.sendall(f"{self.requestline}\r\n{headers}\r\n".encode("latin-1"))
            _copy_both_ways(self.connection, upstream)

    def _close(self) -> None:
        self.close_connection = True
        _hang_up(self.connection)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def _find_cut(data: bytes, least_bytes: int) -> int | None:
    """Return where to cut data so that the cut is inside a line; None for no place."""
    for end in range(max(least_bytes, 1), len(data)):
        if data[end - 1 : end] != b"\n" and data[end : end + 1] != b"\n":
            return end
    return None


def _copy_both_ways(client: ssl.SSLSocket, upstream: ssl.SSLSocket) -> None:
    """Copy until one side closes."""
    peers = {client: upstream, upstream: client}
    with suppress(OSError):
        while True:
            ready = [side for side in peers if side.pending()] or select.select(list(peers), [], [], 60)[0]
            for side in ready:
                data = side.recv(_CHUNK_BYTES)
                if not data:
                    return
                peers[side].sendall(data)


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)

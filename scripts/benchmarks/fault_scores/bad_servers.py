"""Servers that misbehave, run in the cluster's network: `python -m benchmarks.fault_scores.bad_servers FOLDER`."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.fault_scores.hosts import (
    ANSWERS,
    CLOSING,
    EXPIRED,
    PLAIN_HTTP,
    PROXY,
    SELF_SIGNED,
    SILENT,
    WEBHOOK,
)

_REASONS = {401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 429: "TOOMANYREQUESTS"}


class _Registry(BaseHTTPRequestHandler):
    """Answers with the status that the repository's name begins with; `drop` closes the connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a request for a manifest."""
        word = self.path.removeprefix("/v2/").partition("/")[0]
        if word == "drop":
            self.close_connection = True
            return
        status = int(word) if word.isdecimal() else 200
        code = _REASONS.get(status, "UNKNOWN")
        content = json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="private"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Write no log."""


class _Proxy(_Registry):
    """Requires a login."""

    def do_GET(self) -> None:
        """Refuse a request."""
        self.send_response(407, "Proxy Authentication Required")
        self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_CONNECT = do_GET  # noqa: N815


class _Webhook(_Registry):
    """Denies every pod with the path as the reason."""

    def do_POST(self) -> None:
        """Answer an AdmissionReview."""
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        reason = self.path.partition("?")[0].rpartition("/")[2]
        status = {"message": f"pods need the annotation {reason}"}
        response = {"uid": review["request"]["uid"], "allowed": False, "status": status}
        content = json.dumps({**review, "request": None, "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main(folder: Path) -> None:
    """Run the servers until the process ends, and create the file `ready` when they listen."""
    servers: list[Any] = [
        _listen(ANSWERS, _Registry),
        _listen(PLAIN_HTTP, _Registry),
        _listen(PROXY, _Proxy),
        _listen(SELF_SIGNED, _Registry, folder / "self-signed"),
        _listen(EXPIRED, _Registry, folder / "expired"),
        _listen(WEBHOOK, _Webhook, folder / "webhook"),
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    for address, is_silent in ((SILENT, True), (CLOSING, False)):
        threading.Thread(target=_accept, args=(_bind(address), is_silent), daemon=True).start()
    (folder / "ready").touch()
    while True:
        time.sleep(3600)


def _listen(address: str, handler: type[_Registry], certificate: Path | None = None) -> ThreadingHTTPServer:
    host, _, port = address.partition(":")
    server = ThreadingHTTPServer((host, int(port)), handler)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{certificate}.crt", f"{certificate}.key")
        # The handshake happens in the thread of the connection, so that no client blocks the others.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


def _bind(address: str) -> socket.socket:
    host, _, port = address.partition(":")
    return socket.create_server((host, int(port)), backlog=64)


def _accept(listener: socket.socket, is_silent: bool) -> None:
    """Accept connections: keep them open without a word, or close them in the middle of the answer."""
    kept = []
    while True:
        connection, _ = listener.accept()
        if is_silent:
            kept.append(connection)
            continue
        connection.recv(4096)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close with a reset
        connection.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

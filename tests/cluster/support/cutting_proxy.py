"""A proxy for platformctl's API requests that cuts the connection at the n-th write."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from common.files import write_atomically
from stack.release import Stack

WRITES = ("POST", "PUT", "PATCH", "DELETE")
PASSED_HEADERS = ("authorization", "content-type", "accept")

Connect = Callable[[str], http.client.HTTPConnection]
"""Opens a connection for the path of a request."""


@dataclass
class CuttingProxy:
    """The state of the proxy.

    Attributes:
        url: its URL, with the paths of the Kubernetes API and of Airflow's API.
        writes: method and path of each write, except renewals of the Lease, whose number depends on the time.
        cut_at: the number of the write, from 1, at which the connection is cut; 0 for never.
        is_delivered: whether that write is delivered and only its response is lost.
    """

    url: str = ""
    writes: list[str] = field(default_factory=list)
    cut_at: int = 0
    is_delivered: bool = False

    def reset(self, cut_at: int = 0, is_delivered: bool = False) -> None:
        """Restore the connection, and set the next cut."""
        self.writes, self.cut_at, self.is_delivered = [], cut_at, is_delivered

    @property
    def is_cut(self) -> bool:
        """Whether the connection has been cut."""
        return 0 < self.cut_at <= len(self.writes)

    def write_kubeconfig(self, folder: Path) -> Path:
        """Write a kubeconfig for the proxy, which adds the administrator's credentials."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": {"server": self.url}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "users": [{"name": "proxy", "user": {}}],
            "current-context": "proxy",
        }
        file = folder / "proxy"
        file.write_text(json.dumps(content), encoding="utf-8")
        return file


@contextmanager
def run_cutting_proxy(stack: Stack, airflow: str, folder: Path) -> Iterator[CuttingProxy]:
    """Run the proxy.

    Args:
        stack: the cluster; the proxy uses its administrator's credentials.
        airflow: ``host:port`` of Airflow.
        folder: a folder for the administrator's certificate.
    """
    proxy = CuttingProxy()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _make_handler(proxy, _connector(stack, airflow, folder)))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()


def _make_handler(proxy: CuttingProxy, connect: Connect) -> type[BaseHTTPRequestHandler]:
    """Return a handler that forwards requests, records writes, and hangs up from the cut on."""

    class Handler(BaseHTTPRequestHandler):
        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            was_cut = proxy.is_cut
            if self.is_counted() and not was_cut:
                proxy.writes.append(f"{self.command} {urlsplit(self.path).path}")
            if was_cut or (proxy.is_cut and not proxy.is_delivered):
                self.close_connection = True
                return
            response, content = self.send_upstream(body)
            if proxy.is_cut:
                self.close_connection = True
                return
            self.send_response(response.status)
            self.send_header("Content-Type", response.headers.get("Content-Type", ""))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def is_counted(self) -> bool:
            is_renewal = self.command == "PUT" and "/leases/" in self.path
            return (
                self.command in WRITES and not is_renewal and "dryRun" not in self.path and self.path != "/auth/token"
            )

        def send_upstream(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
            headers = {key: value for key, value in self.headers.items() if key.lower() in PASSED_HEADERS}
            upstream = connect(self.path)
            upstream.request(self.command, self.path, body or None, headers)
            response = upstream.getresponse()
            content = response.read()
            upstream.close()
            return response, content

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def _connector(stack: Stack, airflow: str, folder: Path) -> Connect:
    """Return a function that connects to the server of a request's path."""
    kubeconfig = stack.read_kubeconfig()
    cluster, user = kubeconfig["clusters"][0]["cluster"], kubeconfig["users"][0]["user"]
    ssl_context = ssl.create_default_context(cadata=_decode(cluster["certificate-authority-data"]))
    identity = folder / "administrator.pem"
    pair = (_decode(user[key]) for key in ("client-certificate-data", "client-key-data"))
    write_atomically(identity, "".join(pair), mode=0o600)
    ssl_context.load_cert_chain(identity)
    server = urlsplit(cluster["server"]).netloc

    def connect(path: str) -> http.client.HTTPConnection:
        if path.startswith(("/auth/", "/api/v2/")):
            return http.client.HTTPConnection(airflow, timeout=30)
        return http.client.HTTPSConnection(server, timeout=30, context=ssl_context)

    return connect


def _decode(text: str) -> str:
    return base64.b64decode(text).decode()

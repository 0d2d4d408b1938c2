"""A proxy between platformctl and what it writes to, that cuts the line at the n-th write and lets it be cut."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from common.files import write_atomically
from stack.release import Stack

WRITES = ("POST", "PUT", "PATCH", "DELETE")
PASSED_ON = ("authorization", "content-type", "accept")


@dataclass
class Line:
    """The line, as a test sees it.

    Attributes:
        url: where it is reached; below it lie the API server's paths and Airflow's.
        writes: method and path of each write so far, but for renewals of the Lease: their number is a matter of time.
        cut_at: the number of the write, counted from 1, at which the line is cut; 0 for never.
        heard: whether that write still arrives, and only its answer is lost.
    """

    url: str = ""
    writes: list[str] = field(default_factory=list)
    cut_at: int = 0
    heard: bool = False

    def mend(self, cut_at: int = 0, heard: bool = False) -> None:
        """Have a whole line again, and say where it is cut next."""
        self.writes, self.cut_at, self.heard = [], cut_at, heard

    @property
    def broken(self) -> bool:
        """Whether the line was cut."""
        return 0 < self.cut_at <= len(self.writes)

    def kubeconfig(self, folder: Path) -> Path:
        """A kubeconfig that leads over the line; the proxy signs in itself."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "line", "cluster": {"server": self.url}}],
            "contexts": [{"name": "line", "context": {"cluster": "line", "user": "line"}}],
            "users": [{"name": "line", "user": {}}],
            "current-context": "line",
        }
        file = folder / "line"
        file.write_text(json.dumps(content), encoding="utf-8")
        return file


@contextmanager
def line(stack: Stack, airflow: str, folder: Path) -> Iterator[Line]:
    """Run the proxy.

    Args:
        stack: the cluster, whose administrator the proxy is.
        airflow: ``host:port`` of Airflow.
        folder: for the administrator's certificate.
    """
    it, dial = Line(), _dialer(stack, airflow, folder)

    class Handler(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            was_broken = it.broken
            if self.is_counted() and not was_broken:
                it.writes.append(f"{self.command} {urlsplit(self.path).path}")
            if was_broken or (it.broken and not it.heard):
                self.hang_up()
                return
            headers = {key: value for key, value in self.headers.items() if key.lower() in PASSED_ON}
            upstream = dial(self.path)
            upstream.request(self.command, self.path, body or None, headers)
            answer = upstream.getresponse()
            text = answer.read()
            upstream.close()
            if it.broken:
                self.hang_up()
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def is_counted(self) -> bool:
            renews = self.command == "PUT" and "/leases/" in self.path
            return self.command in WRITES and not renews and "dryRun" not in self.path and self.path != "/auth/token"

        def hang_up(self) -> None:
            self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    it.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield it
    finally:
        server.shutdown()
        server.server_close()


def _dialer(stack: Stack, airflow: str, folder: Path) -> Any:
    view = stack.read_kubeconfig()
    cluster, user = view["clusters"][0]["cluster"], view["users"][0]["user"]
    trust = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
    identity = folder / "administrator.pem"
    pair = (_decoded(user[key]) for key in ("client-certificate-data", "client-key-data"))
    write_atomically(identity, "".join(pair), mode=0o600)
    trust.load_cert_chain(identity)
    server = urlsplit(cluster["server"]).netloc

    def dial(path: str) -> http.client.HTTPConnection:
        if path.startswith(("/auth/", "/api/v2/")):
            return http.client.HTTPConnection(airflow, timeout=30)
        return http.client.HTTPSConnection(server, timeout=30, context=trust)

    return dial


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()

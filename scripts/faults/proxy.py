"""A proxy for the Kubernetes API that injects faults into the requests of those who use it.

It passes on the credentials of its clients, so it needs none. Everybody else reaches the API server directly.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.command import capture_output
from faults.api_request import ApiRequest
from faults.fault import Fault
from faults.proxy_server import ProxyServer


class FaultProxy:
    """A proxy whose faults a test controls.

    Args:
        upstream: `host:port` of the API server.
        upstream_context: verifies the API server.
        host: the IP address on which the proxy listens.
        folder: an empty folder for the proxy's certificate.
    """

    def __init__(self, upstream: str, upstream_context: ssl.SSLContext, host: str, folder: Path) -> None:
        self.upstream = upstream
        self.upstream_context = upstream_context
        self.certificate = folder / "proxy.crt"
        self._context = make_server_context(host, self.certificate, folder / "proxy.key")
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._tasks: dict[str, str] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._server: ProxyServer | None = None
        self._address = (host, 0)
        self.listen()

    @property
    def url(self) -> str:
        """The proxy's URL, the same after a refusal of connections."""
        return f"https://{self._address[0]}:{self._address[1]}"

    def listen(self) -> None:
        """Accept connections."""
        if self._server is None:
            self._server = ProxyServer(self._address, self._context, self)
            self._address = (self._address[0], self._server.server_address[1])
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def refuse(self) -> None:
        """Close all connections, and refuse new ones until `listen`."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.close_connections()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse connections during the block."""
        self.refuse()
        try:
            yield
        finally:
            self.listen()

    @contextmanager
    def inject(self, *faults: Fault) -> Iterator[None]:
        """Inject faults during the block; the first that matches a request affects it."""
        with self._lock:
            self._faults += faults
        try:
            yield
        finally:
            with self._lock:
                self._faults = [fault for fault in self._faults if all(fault is not ended for ended in faults)]

    def count(self, requests: str, task: str = "") -> int:
        """Return the number of requests, such as `create pods`, about the pods of a task or about all."""
        with self._lock:
            return sum(n for (name, of_task), n in self._counts.items() if name == requests and task in ("", of_task))

    def record_body(self, request: ApiRequest, body: bytes) -> str:
        """Remember the task of a created pod; return the task of a request's pod, or an empty string."""
        name = request.name
        if str(request) == "create pods":
            metadata = json.loads(body)["metadata"]
            name = metadata.get("name", "")
            with self._lock:
                self._tasks[name] = _name_task(metadata.get("labels", {}))
        with self._lock:
            return self._tasks.get(name, "")

    def take_fault(self, request: ApiRequest, task: str, client: str) -> Fault | None:
        """Count a request; return the fault that affects it."""
        with self._lock:
            self._counts[str(request), task] += 1
            for fault in self._faults:
                if fault.matches(request, task, client):
                    fault.hits += 1
                    return fault
        return None

    def give_back(self, fault: Fault) -> None:
        """Take a request back to which a fault could do nothing, such as a cut of a short body."""
        with self._lock:
            fault.hits -= 1


@contextmanager
def run_fault_proxy(upstream: str, upstream_context: ssl.SSLContext, host: str, folder: Path) -> Iterator[FaultProxy]:
    """Run a proxy during the block.

    Args:
        upstream: `host:port` of the API server.
        upstream_context: verifies the API server.
        host: the IP address on which the proxy listens.
        folder: an empty folder for the proxy's certificate.
    """
    proxy = FaultProxy(upstream, upstream_context, host, folder)
    try:
        yield proxy
    finally:
        proxy.refuse()


def _name_task(labels: dict[str, str]) -> str:
    """Return the task of a pod's labels, such as `dag.task` or `dag.task[3]`."""
    index = f"[{labels['map_index']}]" if "map_index" in labels else ""
    return f"{labels.get('dag_id', '')}.{labels.get('task_id', '')}{index}"


def make_server_context(host: str, certificate: Path, key: Path) -> ssl.SSLContext:
    """Create a self-signed certificate for an IP address, and a context that serves it."""
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", key)
    name = ("-subj", "/CN=fault-proxy", "-addext", f"subjectAltName=IP:{host}", "-days", "2")
    capture_output(("openssl", "req", "-x509", "-nodes", *new_key, *name, "-out", certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context

"""Fake of a registry with TLS on a loopback port, with several authentication schemes and failures."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from unit.support.certificates import create_certificate
from unit.support.platform_server import Platform

NAME = "registry.test"
USER, PASSWORD = "robot", "s3cret"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@dataclass
class Registry:
    """A registry, its mode and the requests that it received.

    Attributes:
        port: the port of the server.
        mode: ``basic``, ``bearer``, ``open``, ``redirect``, ``plain-token``, ``unknown-scheme`` or ``down``.
        seen: path and authorization of each request.
    """

    port: int
    mode: str = "basic"
    seen: list[tuple[str, str]] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"{NAME}:{self.port}"

    def answer(self, path: str, authorization: str) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and content of an answer."""
        if path.startswith("/token"):
            known = authorization == BASIC
            return (200, {}, {"token": "of-the-service"}) if known else (401, {}, {"details": "incorrect"})
        if self.mode == "open" or authorization in (BASIC, "Bearer of-the-service"):
            return 200, {}, {}
        if self.mode == "down":
            return 503, {}, {}
        if self.mode == "redirect":
            return 302, {"Location": "https://elsewhere.test/v2/"}, {}
        scheme = "http" if self.mode == "plain-token" else "https"
        token = f'Bearer realm="{scheme}://{self.host}/token",service="registry, of tests"'
        challenges = {"basic": 'Basic realm="tests"', "unknown-scheme": "Negotiate"}
        return 401, {"WWW-Authenticate": challenges.get(self.mode, token)}, {}


def build_config(host: str, password: str) -> str:
    """Return the configuration file of docker with a login of the registry's user."""
    return json.dumps({"auths": {host: {"username": USER, "password": password}}})


def set_registry_host(host: str, platform: Platform) -> None:
    """Set the registry of team alpha in the contract."""
    data = platform.objects["/api/v1/namespaces/airflow/configmaps/airflow-contract"]["data"]
    data["contract.json"] = data["contract.json"].replace('"registry.test"', f'"{host}"')


@contextmanager
def serve_registry(folder: Path, *, tls: bool = True) -> Iterator[Registry]:
    """Run a registry, and write its certificate to the folder of docker's trusted certificates."""
    registries: list[Registry] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            authorization = self.headers.get("Authorization", "")
            registries[0].seen.append((self.path, authorization))
            status, headers, content = registries[0].answer(self.path, authorization)
            text = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    registries.append(Registry(server.server_address[1]))
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_create_certificate(folder, registries[0].host))
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True).start()
    try:
        yield registries[0]
    finally:
        server.shutdown()
        server.server_close()


def patch_name_resolution(patch: Any) -> None:
    """Resolve the registry's name to this machine, and no other test name."""
    real = socket.getaddrinfo

    def lookup(host: Any, *more: Any, **options: Any) -> Any:
        if str(host).endswith(".test") and host != NAME:
            raise socket.gaierror(-2, "Name or service not known")
        return real("127.0.0.1" if host == NAME else host, *more, **options)

    patch.setattr("socket.getaddrinfo", lookup)


def _create_certificate(folder: Path, host: str) -> Path:
    """Create a key with a self-signed certificate, and return the file with both."""
    both, trusted = folder / "registry.pem", folder / host / "ca.crt"
    trusted.parent.mkdir(parents=True)
    create_certificate(both, trusted, NAME)
    return both

"""Airflow's REST API, as far as bootstrap needs it, over the standard library's HTTP client."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlsplit

from kpo_platform.contract import Service
from kpo_platform.errors import AirflowError
from kpo_platform.kube import Deadline, Kube, Tunnel

_SECONDS = 30.0
_UNAUTHORIZED, _NOT_FOUND, _CONFLICT = 401, 404, 409


class AirflowApi:
    """One Airflow, spoken to by its REST API, version 2.

    Args:
        name: how messages call it.
        dial: gives a fresh HTTP connection for each request, which may take so many seconds.
        deadline: when all requests together have to be done; one takes at most 30 seconds.
        base: the path below which the API lies, without a slash at its end.
        token: a token of an earlier sign-in.
    """

    def __init__(
        self, name: str, dial: Callable[[float], HTTPConnection], deadline: Deadline, base: str = "", token: str = ""
    ) -> None:
        self.name = name
        self.token = token
        self._dial = dial
        self._deadline = deadline
        self._base = base

    def log_in(self, username: str, password: str, remedy: str) -> None:
        """Get a token for the following calls.

        Args:
            username: the user.
            password: the user's password.
            remedy: what to do where Airflow does not know the two together.

        Raises:
            AirflowError: Airflow does not answer, or does not know this user with this password.
        """
        status, body = self._send("POST", "/auth/token", {"username": username, "password": password})
        if status == _UNAUTHORIZED:
            raise AirflowError(f"{self.name} refused the user name or the password given for it: {remedy}.")
        self.token = str(self._checked(status, body, "sign in").get("access_token", ""))

    def get_connection(self, name: str) -> dict[str, Any] | None:
        """One connection, or nothing where there is none of this id.

        Raises:
            AirflowError: it could not be read.
        """
        status, body = self._send("GET", f"/api/v2/connections/{quote(name, safe='')}")
        if status == _NOT_FOUND:
            return None
        return self._checked(status, body, f"read connection {name}")

    def put_connection(self, body: Mapping[str, Any]) -> None:
        """Create a connection, or change the one of the same id.

        Raises:
            AirflowError: it could not be written.
        """
        name = str(body["connection_id"])
        status, answer = self._send("POST", "/api/v2/connections", body)
        if status == _CONFLICT:
            status, answer = self._send("PATCH", f"/api/v2/connections/{quote(name, safe='')}", body)
        self._checked(status, answer, f"write connection {name}")

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        headers = {"Accept": "application/json", "Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        seconds = min(self._deadline.remaining_seconds(), _SECONDS)
        if not seconds:
            raise AirflowError(f"Out of time before {self.name} could be asked; give more with --timeout.")
        connection = self._dial(seconds)
        try:
            connection.request(method, self._base + path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, _parsed(answer.read())
        except (OSError, HTTPException) as error:
            seen = _tunnel_error(connection) or str(error) or type(error).__name__
            raise AirflowError(
                f"No answer from {self.name} ({seen}); is its api-server up and the address right?"
            ) from error
        finally:
            connection.close()

    def _checked(self, status: int, body: Any, deed: str) -> dict[str, Any]:
        if status == _UNAUTHORIZED:
            raise AirflowError(f"{self.name} no longer takes the token to {deed}; run again.")
        if not 200 <= status < 300 or not isinstance(body, dict):
            raise AirflowError(f"{self.name} would not {deed}: {_reason(status, body)}")
        return body


class _TunnelConnection(HTTPConnection):
    def __init__(self, dial: Callable[[], Tunnel]) -> None:
        super().__init__("localhost")
        self._dial_tunnel = dial
        self.tunnel: Tunnel | None = None

    def connect(self) -> None:
        self.tunnel = self._dial_tunnel()
        self.sock = self.tunnel.socket


def connect_by_port_forward(kube: Kube, namespace: str, service: Service, token: str = "") -> AirflowApi:
    """The Airflow behind a Service, reached through the Kubernetes API."""
    name = f"Airflow ({namespace}/{service.name})"

    def dial(_: float) -> HTTPConnection:  # the cluster keeps to the same deadline
        return _TunnelConnection(lambda: kube.port_forward(service.name, namespace, service.port))

    return AirflowApi(name, dial, kube.deadline, service.path, token)


def connect_by_url(url: str, deadline: Deadline, token: str = "") -> AirflowApi:
    """The Airflow at a URL, which may have a path.

    Args:
        url: the URL.
        deadline: when all requests together have to be done.
        token: a token of an earlier sign-in.

    Raises:
        AirflowError: it is no URL of HTTP.
    """
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if parts.scheme not in ("http", "https") or not host:
        raise AirflowError(f"{url!r} is no address of Airflow; expected such as https://airflow.example.com.")
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    base = parts.path.rstrip("/")
    return AirflowApi(f"Airflow ({url})", lambda seconds: kind(host, port, timeout=seconds), deadline, base, token)


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _tunnel_error(connection: HTTPConnection) -> str:
    tunnel = connection.tunnel if isinstance(connection, _TunnelConnection) else None
    return tunnel.error() if tunnel else ""


def _reason(status: int, body: Any) -> str:
    """Airflow's own words without its echo of the request, which may hold secrets."""
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, list):
        detail = "; ".join(f"{'.'.join(map(str, each.get('loc', ())))}: {each.get('msg')}" for each in detail)
    return f"HTTP status {status}" + (f", {str(detail)[:300]}" if detail else "")

"""Client for the part of Airflow's REST API that bootstrap uses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlsplit

from kpo_platform.contract import Service
from kpo_platform.errors import AirflowError
from kpo_platform.kube import Deadline, Kube, Tunnel

_TIMEOUT_SECONDS = 30.0
_UNAUTHORIZED, _NOT_FOUND, _CONFLICT = 401, 404, 409


class AirflowApi:
    """Client for the REST API, version 2, of one Airflow.

    Args:
        name: the name of this Airflow in messages.
        dial: creates an HTTP connection for one request; its argument is the timeout in seconds.
        deadline: the deadline of all requests together. One request also times out after 30 seconds.
        base: the path of the API without a trailing slash.
        token: a token from an earlier login.
    """

    def __init__(
        self, name: str, dial: Callable[[float], HTTPConnection], deadline: Deadline, base: str = "", token: str = ""
    ) -> None:
        self.name = name
        self.token = token
        self._dial = dial
        self._deadline = deadline
        self._base = base

    def log_in(self, username: str, password: str, fix: str) -> None:
        """Get a token for later requests.

        Args:
            username: the user.
            password: the user's password.
            fix: the end of the error message if Airflow rejects the credentials: what to do, as a sentence.

        Raises:
            AirflowError: Airflow does not answer or rejects the credentials.
        """
        status, body = self._send("POST", "/auth/token", {"username": username, "password": password})
        if status == _UNAUTHORIZED:
            raise AirflowError(f"{self.name} rejected the user name or password. {fix}")
        self.token = str(self._check(status, body, "the login").get("access_token", ""))

    def get_connection(self, connection_id: str) -> dict[str, Any] | None:
        """Get a connection; None if there is no connection with this id.

        Raises:
            AirflowError: the connection cannot be read.
        """
        status, body = self._send("GET", f"/api/v2/connections/{quote(connection_id, safe='')}")
        if status == _NOT_FOUND:
            return None
        return self._check(status, body, f"the read of connection {connection_id}")

    def put_connection(self, body: Mapping[str, Any]) -> None:
        """Create a connection, or change the one with the same id.

        Raises:
            AirflowError: the connection cannot be written.
        """
        connection_id = str(body["connection_id"])
        status, answer = self._send("POST", "/api/v2/connections", body)
        if status == _CONFLICT:
            status, answer = self._send("PATCH", f"/api/v2/connections/{quote(connection_id, safe='')}", body)
        self._check(status, answer, f"the write of connection {connection_id}")

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        seconds = min(self._deadline.remaining_seconds(), _TIMEOUT_SECONDS)
        if not seconds:
            raise AirflowError(f"Cannot send a request to {self.name}: the timeout has expired. Raise --timeout.")
        connection = self._dial(seconds)
        text = None if body is None else json.dumps(body)
        try:
            connection.request(method, self._base + path, text, self._build_headers(has_body=body is not None))
            answer = connection.getresponse()
            return answer.status, _parse_json(answer.read())
        except (OSError, HTTPException) as error:
            cause = _get_tunnel_error(connection) or str(error) or type(error).__name__
            raise AirflowError(
                f"{self.name} did not answer: {cause}. Check that its api-server runs and that the address is correct."
            ) from error
        finally:
            connection.close()

    def _build_headers(self, *, has_body: bool) -> dict[str, str]:
        headers = {"Accept": "application/json", "Connection": "close"}
        if has_body:
            headers["Content-Type"] = "application/json"
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers

    def _check(self, status: int, body: Any, request: str) -> dict[str, Any]:
        if status == _UNAUTHORIZED:
            raise AirflowError(f"{self.name} rejected the token for {request}: it may have expired. Run again.")
        if not 200 <= status < 300 or not isinstance(body, dict):
            reason = _describe_error(status, body)
            raise AirflowError(f"{self.name} rejected {request}: {reason}. See the log of its api-server.")
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
    """Connect to the Airflow behind a Service, with a port-forward through the Kubernetes API."""
    name = f"Airflow ({namespace}/{service.name})"

    def dial(_: float) -> HTTPConnection:  # the port-forward has the deadline of the Kubernetes client
        return _TunnelConnection(lambda: kube.port_forward(service.name, namespace, service.port))

    return AirflowApi(name, dial, kube.deadline, service.path, token)


def connect_by_url(url: str, deadline: Deadline, token: str = "") -> AirflowApi:
    """Connect to the Airflow at a URL.

    Args:
        url: the URL, with or without a path.
        deadline: the deadline of all requests together.
        token: a token from an earlier login.

    Raises:
        AirflowError: the URL is not an HTTP URL.
    """
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if parts.scheme not in ("http", "https") or not host:
        raise AirflowError(f"{url!r} is not a URL of Airflow. Pass a URL such as https://airflow.example.com.")
    connection_class = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    base = parts.path.rstrip("/")
    return AirflowApi(
        f"Airflow ({url})", lambda seconds: connection_class(host, port, timeout=seconds), deadline, base, token
    )


def _parse_json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _get_tunnel_error(connection: HTTPConnection) -> str:
    tunnel = connection.tunnel if isinstance(connection, _TunnelConnection) else None
    return tunnel.error() if tunnel else ""


def _describe_error(status: int, body: Any) -> str:
    """Describe an error without Airflow's echo of the request, which may hold secrets."""
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, list):
        detail = "; ".join(f"{'.'.join(map(str, item.get('loc', ())))}: {item.get('msg')}" for item in detail)
    return f"HTTP {status}" + (f", {str(detail)[:300].rstrip('.')}" if detail else "")

"""Run a command in a container and read its output, within a time limit."""

from __future__ import annotations

import json
import ssl
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import certifi
from kubernetes.client import ApiClient, ApiException
from kubernetes.stream.ws_client import websocket_proxycare
from websocket import ABNF, WebSocket, WebSocketBadStatusException, WebSocketException

SILENCE_S = 60.0
"""How long the server may send nothing."""

_CONNECT_S = 30.0
_STDOUT, _STATUS = 1, 3
_PROTOCOLS = "v5.channel.k8s.io,v4.channel.k8s.io"


class CommandFailed(Exception):  # noqa: N818
    """The command ended with another exit code than 0."""


def run_command(
    api: ApiClient,
    pod: tuple[str, str],
    container: str,
    command: Sequence[str],
    *,
    timeout_s: float,
    silence_s: float = SILENCE_S,
) -> str:
    """Run a command, and return its whole standard output.

    The client library's own method waits without a limit, mixes both outputs, and takes a connection that is lost
    for the end of the output.

    Args:
        api: the client with host and credentials.
        pod: the pod's name and namespace.
        container: the container.
        command: the command and its arguments.
        timeout_s: how long all of it may take.
        silence_s: how long the server may send nothing.

    Raises:
        ApiException: the API server refused the command, or the node could not run it.
        CommandFailed: the command failed.
        OSError: the connection broke, or the time is over.
    """
    deadline = time.monotonic() + timeout_s
    try:
        socket = _connect(api, _build_url(api, pod, container, command), min(timeout_s, _CONNECT_S))
        try:
            output = _read(socket, deadline, silence_s)
        finally:
            socket.shutdown()  # `close` would wait for an answer
    except WebSocketBadStatusException as error:
        raise _build_refusal(error) from error
    except WebSocketException as error:
        raise ConnectionError(str(error) or type(error).__name__) from error
    _check_status(output[_STATUS])
    return output[_STDOUT].decode(errors="replace")


def _build_url(api: ApiClient, pod: tuple[str, str], container: str, command: Sequence[str]) -> str:
    name, namespace = pod
    query = [("container", container), ("stdout", "true"), ("stderr", "true"), *(("command", word) for word in command)]
    host = str(api.configuration.host).removeprefix("http")
    return f"ws{host}/api/v1/namespaces/{namespace}/pods/{name}/exec?{urlencode(query)}"


def _connect(api: ApiClient, url: str, timeout_s: float) -> Any:
    configuration, headers = api.configuration, dict[str, str]()
    api.update_params_for_auth(headers, [], ["BearerToken"])
    lines = [f"{name}: {value}" for name, value in headers.items()] + [f"sec-websocket-protocol: {_PROTOCOLS}"]
    options: dict[str, Any] = {"header": lines, "timeout": timeout_s, "http_proxy_timeout": timeout_s}
    if configuration.proxy or configuration.proxy_headers:
        options = websocket_proxycare(options, configuration, url, headers)
    socket: Any = WebSocket(sslopt=_build_tls_options(configuration))
    try:
        socket.connect(url, **options)
    except BaseException:
        socket.shutdown()
        raise
    return socket


def _build_tls_options(configuration: Any) -> dict[str, Any]:
    """Build the options as the client library does for its own websockets."""
    options: dict[str, Any] = {"cert_reqs": ssl.CERT_NONE}
    if configuration.verify_ssl:
        options = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": configuration.ssl_ca_cert or certifi.where()}
        if configuration.assert_hostname is not None:
            options["check_hostname"] = configuration.assert_hostname
    names = {"certfile": "cert_file", "keyfile": "key_file", "server_hostname": "tls_server_name"}
    values = {option: getattr(configuration, name, None) for option, name in names.items()}
    return options | {option: value for option, value in values.items() if value}


def _read(socket: Any, deadline: float, silence_s: float) -> Mapping[int, bytearray]:
    """Read the channels to the server's last frame; without that one, something may be missing."""
    channels: dict[int, bytearray] = defaultdict(bytearray)
    while True:
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            raise TimeoutError("the command did not end in time")
        socket.settimeout(min(remaining_s, silence_s))
        kind, frame = socket.recv_data_frame(True)
        if kind == ABNF.OPCODE_CLOSE:
            return channels
        if kind in (ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT) and frame.data:
            channels[frame.data[0]] += frame.data[1:]


def _check_status(content: bytes | bytearray) -> None:
    """Check how the command ended, by the Kubernetes ``Status`` that follows its output."""
    try:
        status: Any = json.loads(content)
        has_succeeded = status["status"] == "Success"
        message, reason = str(status.get("message")), status.get("reason")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConnectionError("the command's end was not reported") from None
    if reason == "NonZeroExitCode":
        raise CommandFailed(message)
    if not has_succeeded:
        raise ApiException(status=status.get("code") or 500, reason=message)


def _build_refusal(error: WebSocketBadStatusException) -> ApiException:
    refusal = ApiException(status=error.status_code, reason="the command was refused")
    refusal.body = (error.resp_body or b"").decode(errors="replace")
    refusal.headers = error.resp_headers
    return refusal

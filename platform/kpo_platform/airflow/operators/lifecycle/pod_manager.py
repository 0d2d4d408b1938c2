"""The stock pod manager, with commands in the XCom sidecar that end in time and give their whole output."""

from __future__ import annotations

import json
import ssl
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import certifi
from airflow.providers.cncf.kubernetes.utils.pod_manager import EMPTY_XCOM_RESULT, PodManager
from kubernetes.client import ApiClient
from kubernetes.client import models as k8s
from kubernetes.stream.ws_client import get_websocket_url, websocket_proxycare
from websocket import ABNF, WebSocket, WebSocketBadStatusException, WebSocketException

from kpo_platform.airflow.api_errors import ApiRefusal
from kpo_platform.airflow.operators.lifecycle.connection import get_tls_context
from kpo_platform.airflow.operators.lifecycle.result_check import check_result
from kpo_platform.errors import PlatformError
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.compose import BASE
from kpo_platform.pod.message_result import RESULT_FILE, count_bytes
from kpo_platform.pod.state import parse_pod_state
from kpo_platform.pod.xcom import XCOM_CONTAINER

_SILENCE_S, _CONNECT_S = 60.0, 30.0
_STDOUT, _STATUS = 1, 3
_PROTOCOLS = "v5.channel.k8s.io,v4.channel.k8s.io"

_READ_S, _END_S = 600.0, 10.0
_READ = f"if [ -s {RESULT_FILE} ]; then cat {RESULT_FILE}; else echo {EMPTY_XCOM_RESULT}; fi"
_END = (
    "kill -2 $(pgrep -u $(id -u) -f 'sh') || for f in /proc/[0-9]*/comm; do "
    '[ -O $f ] && read c < $f && [ "$c" = "sh" ] && pid=${f%/comm} && kill -2 ${pid##*/}; done'
)
"""The stock manager's two commands: SIGINT for every shell, as process 1 need not be the sidecar's."""


class CommandFailed(PlatformError):  # noqa: N818
    """A command in a pod ended with another exit code than 0."""


class TeamPodManager(PodManager):
    """The stock manager, with `extract_xcom` in two steps and with a time limit.

    The stock method ends the sidecar, and with it the result, before it is stored; and it waits without a limit for a
    connection that is dead. Exceptions are those of `run_command`.
    """

    def extract_xcom(self, pod: k8s.V1Pod, **_: Any) -> str:
        """Read the result, and log its size; `extract_xcom_kill` ends the sidecar."""
        json_pod = self._client.api_client.sanitize_for_serialization(pod)
        message = parse_pod_state(json_pod).container(BASE).result
        text = str(self.extract_xcom_json(pod)) if message is None else message or EMPTY_XCOM_RESULT
        size = 0 if text.rstrip() == EMPTY_XCOM_RESULT else count_bytes(text)
        self.log.info("The result has %d bytes.", size)
        cause = check_result(json_pod, BASE, text=text)
        if cause is not None and cause.finding.severity == "warning":  # other causes fail the task
            self.log.warning("%s", cause)
        return text

    def extract_xcom_json(self, pod: k8s.V1Pod) -> str:
        """Read the file with the result in the sidecar; the caller parses it."""
        return self._run(pod, _READ, _READ_S)

    def extract_xcom_kill(self, pod: k8s.V1Pod) -> None:
        """End the sidecar."""
        with suppress(CommandFailed):  # the signal ends the command, too
            self._run(pod, _END, _END_S)

    def _run(self, pod: k8s.V1Pod, command: str, timeout_s: float) -> str:
        where, words = (pod.metadata.name, pod.metadata.namespace), ["/bin/sh", "-c", command]
        return run_command(self._client.api_client, where, XCOM_CONTAINER, words, timeout_s=timeout_s)


def run_command(
    api: ApiClient,
    pod: tuple[str, str],
    container: str,
    command: Sequence[str],
    *,
    timeout_s: float,
    silence_s: float = _SILENCE_S,
) -> str:
    """Run a command in a container, and return its whole standard output.

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
    deadline, (name, namespace) = time.monotonic() + timeout_s, pod
    query = [("container", container), ("stdout", "true"), ("stderr", "true"), ("command", [*command])]
    url = get_websocket_url(f"{api.configuration.host}/api/v1/namespaces/{namespace}/pods/{name}/exec", query)
    try:
        socket = _connect(api, url, min(timeout_s, _CONNECT_S))
        try:
            output = _read(socket, deadline, silence_s)
        finally:
            socket.shutdown()  # `close` would wait for an answer
    except WebSocketBadStatusException as error:
        refusal = ApiRefusal(status=error.status_code, reason="the command was refused")
        refusal.body, refusal.headers = (error.resp_body or b"").decode(errors="replace"), error.resp_headers
        raise refusal from None  # the error's own text has the raw headers and body, and Airflow would log it
    except WebSocketException as error:
        raise ConnectionError(sanitize(error) or type(error).__name__) from None
    _check_status(output[_STATUS])
    return output[_STDOUT].decode(errors="replace")


def _connect(api: ApiClient, url: str, timeout_s: float) -> Any:
    configuration, headers = api.configuration, dict[str, str]()
    api.update_params_for_auth(headers, [], ["BearerToken"])
    lines = [f"{name}: {value}" for name, value in headers.items()] + [f"sec-websocket-protocol: {_PROTOCOLS}"]
    options: dict[str, Any] = {"header": lines, "timeout": timeout_s, "http_proxy_timeout": timeout_s}
    if configuration.proxy or configuration.proxy_headers:
        options = websocket_proxycare(options, configuration, url, headers)
    socket: Any = WebSocket(sslopt=_build_tls_options(configuration, get_tls_context(api)))
    socket.connect(url, **options)
    return socket


def _build_tls_options(configuration: Any, context: ssl.SSLContext | None) -> dict[str, Any]:
    """Build the options as the client library does for its own websockets; a context replaces some of them."""
    options: dict[str, Any] = {"cert_reqs": ssl.CERT_NONE}
    if configuration.verify_ssl:
        options = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": configuration.ssl_ca_cert or certifi.where()}
        if configuration.assert_hostname is not None:
            options["check_hostname"] = configuration.assert_hostname
    names = {"certfile": "cert_file", "keyfile": "key_file", "server_hostname": "tls_server_name"}
    values = {option: getattr(configuration, name, None) for option, name in names.items()} | {"context": context}
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
        raise CommandFailed(sanitize(message))
    if not has_succeeded:
        raise ApiRefusal(status=status.get("code") or 500, reason=message)

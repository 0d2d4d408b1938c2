"""A stream of bytes to one port of a pod, through the API server."""

from __future__ import annotations

import socket

from kubernetes import client
from kubernetes.stream import ws_client

from kpo_platform.kube.deadline import run_with_timeout
from kpo_platform.kube.resource import Object


class Tunnel:
    """An open stream to one port of a pod."""

    def __init__(self, forward: ws_client.PortForward, port: int, seconds: float) -> None:
        self._forward = forward
        self._port = port
        self.socket: socket.socket = forward.socket(port)
        self.socket.settimeout(seconds)

    def error(self) -> str:
        """What the node said went wrong, or an empty text."""
        return str(self._forward.error(self._port) or "").strip()


def open_tunnel(api: client.ApiClient, path: str, port: int, seconds: float) -> Tunnel:
    """Open a stream.

    Args:
        api: the client whose server and credentials are used.
        path: the path of the pod's ``portforward`` subresource.
        port: a port of the pod.
        seconds: how long opening it may take, and each later read or write.

    Raises:
        TimeoutError: it took longer.
        Exception: whatever the client library raises.
    """
    # The library's websocket has no deadline of its own.
    return Tunnel(run_with_timeout(seconds, lambda: _connect(api, path, port)), port, seconds)


def _connect(api: client.ApiClient, path: str, port: int) -> ws_client.PortForward:
    # Not by stream.portforward(): in it every refusal ends as an AttributeError of the library's own.
    headers: dict[str, str] = {}
    api.update_params_for_auth(headers, [], ["BearerToken"])
    url = api.configuration.host + path
    query = [("ports", str(port))]
    return ws_client.portforward_call(api.configuration, "GET", url, query_params=query, headers=headers)


def is_ready(pod: Object) -> bool:
    """Whether a pod takes requests."""
    conditions = pod.get("status", {}).get("conditions") or []
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def resolve_pod_port(service: Object, port: int, pod: Object) -> int:
    """The port of the pod that a Service's port leads to; targets may be numbers or names."""
    ports = service["spec"].get("ports") or []
    target = next((each.get("targetPort", port) for each in ports if each["port"] == port), port)
    if isinstance(target, int):
        return target
    named = [each for container in pod["spec"]["containers"] for each in container.get("ports") or []]
    return next((int(each["containerPort"]) for each in named if each.get("name") == target), port)

"""Port forwarding to a pod, through the API server."""

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
        """Return the error that the kubelet reported; empty if there is none."""
        return str(self._forward.error(self._port) or "").strip()


def open_tunnel(api: client.ApiClient, path: str, port: int, seconds: float) -> Tunnel:
    """Open a stream to a port of a pod.

    Args:
        api: the client, with server and credentials.
        path: the path of the pod's ``portforward`` subresource.
        port: the pod's port.
        seconds: timeout of opening the stream, and of each later read or write.

    Raises:
        TimeoutError: the stream was not opened in time.
        Exception: whatever the client library raises.
    """
    # The library's websocket has no timeout.
    return Tunnel(run_with_timeout(seconds, lambda: _connect(api, path, port)), port, seconds)


def _connect(api: client.ApiClient, path: str, port: int) -> ws_client.PortForward:
    # Not stream.portforward(), which raises AttributeError when the API server rejects the request.
    headers: dict[str, str] = {}
    api.update_params_for_auth(headers, [], ["BearerToken"])
    url = api.configuration.host + path
    query = [("ports", str(port))]
    return ws_client.portforward_call(api.configuration, "GET", url, query_params=query, headers=headers)


def is_ready(pod: Object) -> bool:
    """Whether a pod is ready and not being deleted."""
    conditions = pod.get("status", {}).get("conditions") or []
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def resolve_pod_port(service: Object, port: int, pod: Object) -> int:
    """Return the pod's port for a port of a Service, whose targetPort may be a number or a name."""
    ports = service["spec"].get("ports") or []
    target = next((entry.get("targetPort", port) for entry in ports if entry["port"] == port), port)
    if isinstance(target, int):
        return target
    container_ports = [entry for container in pod["spec"]["containers"] for entry in container.get("ports") or []]
    return next((int(entry["containerPort"]) for entry in container_ports if entry.get("name") == target), port)

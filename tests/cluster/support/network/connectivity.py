"""Connection attempts between pods, the host and other targets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from cluster.support.pods.sleeper import POD
from local_cluster.addresses import HOST_IP
from stack.release import Stack

CONNECT_TIMEOUT_S = 3
"""Seconds after which a connection counts as rejected: policies drop packets without a response."""

_TRY = f"""
if command -v bash >/dev/null
then try() {{ timeout {CONNECT_TIMEOUT_S} bash -c "</dev/tcp/$1/$2"; }}
else try() {{ nc -w {CONNECT_TIMEOUT_S} "$1" "$2" -e true; }}
fi
while read -r name host port; do (try "$host" "$port" 2>/dev/null && echo "$name") & done
wait
"""


def find_reachable(stack: Stack, pod: str, targets: dict[str, str]) -> set[str]:
    """Connect from a pod to all targets in parallel.

    Args:
        stack: the cluster.
        pod: namespace and name, separated by a slash.
        targets: name (without spaces) → `host:port`.

    Returns:
        The names of the targets that accepted the connection.
    """
    namespace, name = pod.split("/")
    lines = "".join(f"{target} {' '.join(at.rsplit(':', 1))}\n" for target, at in targets.items())
    words = ("exec", "-i", "-n", namespace, name, "--", "sh", "-c", _TRY)
    return set(stack.kubectl(*words, stdin=lines).split())


def pod_address(stack: Stack, pod: str, port: int) -> str:
    """Return `host:port` of a pod."""
    namespace, name = pod.split("/")
    return f"{stack.get('pod', name, '-n', namespace)['status']['podIP']}:{port}"


@contextmanager
def open_host_ports(count: int) -> Iterator[list[int]]:
    """Listen on ports of this machine, which is outside the cluster, and yield their numbers."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server((HOST_IP, 0), backlog=1024)) for _ in range(count)]
        yield [listener.getsockname()[1] for listener in sockets]


@contextmanager
def run_servers(stack: Stack, *pods: str) -> Iterator[None]:
    """Run pods that accept connections on port `web`; create their missing namespaces, and delete them afterwards."""
    existing = {item["metadata"]["name"] for item in stack.get("namespaces")["items"]}
    missing = sorted({pod.split("/")[0] for pod in pods} - existing)
    try:
        for namespace in missing:
            stack.kubectl("create", "namespace", namespace)
        for pod in pods:
            namespace, name = pod.split("/")
            stack.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(_server(name)))
        for pod in pods:
            namespace, name = pod.split("/")
            stack.kubectl(
                "wait", "-n", namespace, f"pod/{name}", "--for=condition=Ready", "--timeout=60s", timeout_s=70
            )
        yield
    finally:
        for pod in pods:
            namespace, name = pod.split("/")
            stack.kubectl("delete", "pod", name, "-n", namespace, "--ignore-not-found", "--grace-period=1")
        for namespace in missing:
            stack.kubectl("delete", "namespace", namespace, "--ignore-not-found", timeout_s=120)


def _server(name: str) -> dict[str, Any]:
    pod: dict[str, Any] = json.loads(json.dumps(POD))
    pod["metadata"] = {"name": name, "labels": {"app": name}}
    command = ["httpd", "-f", "-p", "8000", "-h", "/tmp"]
    pod["spec"]["containers"][0] |= {"command": command, "ports": [{"name": "web", "containerPort": 8000}]}
    return pod

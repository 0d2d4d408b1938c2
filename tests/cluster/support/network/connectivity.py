"""Who can connect to whom, tried by pods that say where they got."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from cluster.support.pods.sleeper import POD
from local_cluster.addresses import HOST_IP
from stack.release import Stack

WAIT_S = 3
"""After which a connection counts as refused: what a policy refuses gets no answer."""

_TRY = f"""
if command -v bash >/dev/null
then try() {{ timeout {WAIT_S} bash -c "</dev/tcp/$1/$2"; }}
else try() {{ nc -w {WAIT_S} "$1" "$2" -e true; }}
fi
while read -r name host port; do (try "$host" "$port" 2>/dev/null && echo "$name") & done
wait
"""


def reached(stack: Stack, pod: str, targets: dict[str, str]) -> set[str]:
    """Try to connect from a pod, to all at once.

    Args:
        stack: the cluster.
        pod: its namespace and name, with a slash between.
        targets: name without a space → `host:port`.

    Returns:
        The names of those that answered.
    """
    space, name = pod.split("/")
    lines = "".join(f"{target} {' '.join(at.rsplit(':', 1))}\n" for target, at in targets.items())
    words = ("exec", "-i", "-n", space, name, "--", "sh", "-c", _TRY)
    return set(stack.kubectl(*words, stdin=lines).split())


def address(stack: Stack, pod: str, port: int) -> str:
    """Give `host:port` of a pod."""
    space, name = pod.split("/")
    return f"{stack.get('pod', name, '-n', space)['status']['podIP']}:{port}"


@contextmanager
def outside(count: int) -> Iterator[list[int]]:
    """Give ports of this machine that take connections; it is outside the cluster."""
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.create_server((HOST_IP, 0), backlog=1024)) for _ in range(count)]
        yield [each.getsockname()[1] for each in sockets]


@contextmanager
def standing(stack: Stack, *pods: str) -> Iterator[None]:
    """Run pods that let connect to their port `web`; the namespaces that are not there come and go with them."""
    there = {each["metadata"]["name"] for each in stack.get("namespaces")["items"]}
    made = sorted({pod.split("/")[0] for pod in pods} - there)
    try:
        for space in made:
            stack.kubectl("create", "namespace", space)
        for pod in pods:
            space, name = pod.split("/")
            stack.kubectl("create", "-n", space, "-f", "-", stdin=json.dumps(_server(name)))
        for pod in pods:
            space, name = pod.split("/")
            stack.kubectl("wait", "-n", space, f"pod/{name}", "--for=condition=Ready", "--timeout=60s", timeout_s=70)
        yield
    finally:
        for pod in pods:
            space, name = pod.split("/")
            stack.kubectl("delete", "pod", name, "-n", space, "--ignore-not-found", "--grace-period=1")
        for space in made:
            stack.kubectl("delete", "namespace", space, "--ignore-not-found", timeout_s=120)


def _server(name: str) -> dict[str, Any]:
    pod: dict[str, Any] = json.loads(json.dumps(POD))
    pod["metadata"] = {"name": name, "labels": {"app": name}}
    command = ["httpd", "-f", "-p", "8000", "-h", "/tmp"]
    pod["spec"]["containers"][0] |= {"command": command, "ports": [{"name": "web", "containerPort": 8000}]}
    return pod

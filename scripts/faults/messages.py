"""Pods whose containers write termination messages, and what the kubelet reports of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from common.polling import NotYet, wait_for
from kpo_platform.pod.message_result import FIELDS, RESULT_FILE, count_bytes, find_limit
from kpo_platform.pod.state import parse_pod_state
from stack.release import Stack

_POD_SPEC: dict[str, Any] = {
    "restartPolicy": "Never",
    "securityContext": {"runAsNonRoot": True, "runAsUser": 50000, "seccompProfile": {"type": "RuntimeDefault"}},
}
_CONTAINER: dict[str, Any] = {
    "image": "localhost/kpo-platform/busybox:1.35",
    "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"cpu": "100m", "memory": "32Mi"}},
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}

COUNTS = (1, 2, 3, 4, 5, 6, 9, 12)
"""Containers of the pods of a batch; each container writes a message."""

_WIDE = "éß€文😀"


@dataclass(frozen=True)
class Report:
    """A message as the API server has it, and the content of the file; `limit` is that of the package for the pod."""

    content: bytes
    message: str | None
    limit: int

    @property
    def is_cut(self) -> bool:
        """Whether the message may be incomplete by its real size."""
        return len(self.content) >= self.limit

    @property
    def is_taken(self) -> bool:
        """Whether the package takes the message as a whole result."""
        return self.message is not None and count_bytes(self.message) < self.limit

    @property
    def is_false(self) -> bool:
        """Whether a result that may be cut is taken, or a whole one refused or changed.

        Bytes that are not UTF-8 may look too large: each becomes U+FFFD, which has three bytes.
        """
        if self.is_cut or self.message is None:
            return self.is_taken or self.message is None
        try:
            text = self.content.decode()
        except UnicodeDecodeError:
            return False
        return not self.is_taken or self.message != text


def report_batch(stack: Stack, namespace: str, number: int, random: Random) -> Iterator[Report]:
    """Run a batch of pods to their ends, and yield a report for each of their containers."""
    contents = {f"batch-{number}-{count}": _build_contents(count, random) for count in COUNTS}
    pods = [_build_pod(name, parts, has_init=random.random() < 0.5) for name, parts in contents.items()]
    stack.kubectl(
        "create", "-n", namespace, "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": pods})
    )
    ended = _wait_for_ends(stack, namespace, set(contents))
    stack.kubectl("delete", "pods", "-n", namespace, *contents, "--wait=false")
    for pod in ended:
        state = parse_pod_state(pod)
        for index, content in enumerate(contents[state.name]):
            yield Report(content, state.container(f"c{index}").result, state.result_limit)


def _wait_for_ends(stack: Stack, namespace: str, names: set[str]) -> list[dict[str, Any]]:
    def probe() -> list[dict[str, Any]]:
        pods = [pod for pod in stack.get("pods", "-n", namespace)["items"] if pod["metadata"]["name"] in names]
        phases = {pod["metadata"]["name"]: pod["status"].get("phase") for pod in pods}
        if set(phases.values()) != {"Succeeded"}:
            raise NotYet(f"{phases}")
        return pods

    return wait_for("a batch of pods to succeed", probe, deadline_s=300, interval_s=2)


def _build_contents(count: int, random: Random) -> list[bytes]:
    limit = find_limit({"spec": {"containers": [{}] * count}})
    near = [limit + random.randint(-4, 4) for _ in range(count)]
    sizes = [random.randrange(2, 2 * limit) if random.random() < 0.25 else size for size in near]
    return [random.choice((_build_text, _build_wide_text, _build_bytes))(size, random) for size in sizes]


def _build_text(size: int, random: Random) -> bytes:
    return json.dumps("x" * (size - 2)).encode()


def _build_wide_text(size: int, random: Random) -> bytes:
    """Build a JSON string of so many bytes that consists of one character of several bytes, as far as it fits."""
    character = random.choice(_WIDE)
    count, rest = divmod(size - 2, len(character.encode()))
    return f'"{"x" * rest}{character * count}"'.encode()


def _build_bytes(size: int, random: Random) -> bytes:
    return random.randbytes(size)


def _build_pod(name: str, contents: list[bytes], *, has_init: bool) -> dict[str, Any]:
    """Build a pod in which each container writes its content; the last one may be an init container."""
    containers = [
        {**_CONTAINER, "name": f"c{index}", "command": ["sh", "-c", _build_program(content)], **FIELDS}
        for index, content in enumerate(contents)
    ]
    init = [containers.pop()] if has_init and len(containers) > 1 else []
    spec = {**_POD_SPEC, "containers": containers, "initContainers": init}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def _build_program(content: bytes) -> str:
    octal = "".join(f"\\{byte:03o}" for byte in content)
    return f"printf '{octal}' > {RESULT_FILE}"

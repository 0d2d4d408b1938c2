"""Nodes without a kubelet, and a scarce resource of the real node, for faults of scheduling."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from common.errors import ScriptError
from local_cluster.addresses import NODE
from stack.release import Stack

TAINTED, CORDONED, LOST = "spare-tainted", "spare-cordoned", "spare-lost"
"""The names of the nodes."""

TAINT = "example.com/batch"
SCARCE = "example.com/license"
"""A resource of which the real node has one."""

_HEARTBEAT_S = 15.0
_ALLOCATABLE = {"cpu": "4", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi"}
_NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


@contextmanager
def run_nodes(stack: Stack) -> Iterator[None]:
    """Create the nodes for the block, and give the real one its resource; delete_nodes deletes them."""
    _create_nodes(stack)
    stopped = threading.Event()
    heart = threading.Thread(target=_report_ready, args=(stack, stopped), daemon=True)
    heart.start()
    try:
        yield
    finally:
        stopped.set()
        heart.join(_HEARTBEAT_S)


def delete_nodes(stack: Stack) -> None:
    """Delete the nodes and the resource."""
    stack.kubectl("delete", "node", TAINTED, CORDONED, LOST, "--ignore-not-found")
    _patch_status(stack, NODE, {"capacity": {SCARCE: None}, "allocatable": {SCARCE: None}})


def _create_nodes(stack: Stack) -> None:
    specs: dict[str, dict[str, Any]] = {
        TAINTED: {"taints": [{"key": TAINT, "value": "only", "effect": "NoSchedule"}]},
        CORDONED: {"unschedulable": True},
        LOST: {"taints": [_NOT_READY]},
    }
    for name, spec in specs.items():
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": spec}
        stack.kubectl("apply", "-f", "-", stdin=json.dumps(node))
    _patch_status(stack, NODE, {"capacity": {SCARCE: "1"}, "allocatable": {SCARCE: "1"}})


def _report_ready(stack: Stack, stopped: threading.Event) -> None:
    """Report the states of the nodes; the cluster gives up a node that is silent for 50 s."""
    while not stopped.is_set():
        with suppress(ScriptError):  # the next report is soon
            _report_once(stack)
        stopped.wait(_HEARTBEAT_S)


def _report_once(stack: Stack) -> None:
    for name, is_ready in ((TAINTED, "True"), (CORDONED, "True"), (LOST, "False")):
        ready = {"type": "Ready", "status": is_ready, "reason": "KubeletReport", "lastHeartbeatTime": _now()}
        _patch_status(stack, name, {"allocatable": _ALLOCATABLE, "capacity": _ALLOCATABLE, "conditions": [ready]})


def _patch_status(stack: Stack, node: str, status: dict[str, Any]) -> None:
    stack.kubectl("patch", "node", node, "--subresource=status", "-p", json.dumps({"status": status}))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

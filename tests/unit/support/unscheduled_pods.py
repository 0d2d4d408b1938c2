"""Nodes, and pods that have none."""

from __future__ import annotations

from typing import Any

from kpo_platform.diagnosis.cause import Cause
from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.need import Need
from unit.support.contracts import build_contract
from unit.support.diagnosis import IMAGE, answer, build_pod

TEAM = build_contract().teams["alpha"]
NO_RIGHT = answer(refusal="HTTP 403")
PREEMPTION = (
    " preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found "
    "for incoming pod."
)
TAINT = "node(s) had untolerated taint(s)"
SELECTOR = "node(s) didn't match Pod's node affinity/selector"


def build_node(
    name: str,
    taints: tuple[str, ...] = (),
    labels: dict[str, str] | None = None,
    is_cordoned: bool = False,
    **allocatable: str,
) -> dict[str, Any]:
    """Return a v1 Node; a taint is written as key=value:effect."""
    split = [(*taint.rpartition(":")[0].partition("="), taint.rpartition(":")[2]) for taint in taints]
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {
            "unschedulable": is_cordoned,
            "taints": [{"key": key, "value": value, "effect": effect} for key, _, value, effect in split],
        },
        "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110", **allocatable}},
    }


CONTROL_PLANE = build_node("control-plane", ("node-role.kubernetes.io/control-plane:NoSchedule",))


def pend(message: str, spec: dict[str, Any] | None = None, reason: str = "Unschedulable", **status: Any) -> Facts:
    """Return a pod without a node."""
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    return Facts(pod=build_pod(spec, conditions=[condition], **status), team=TEAM, team_name="alpha")


def count(*parts: str) -> str:
    """Return the scheduler's message."""
    total = sum(int(part.partition(" ")[0]) for part in parts)
    return f"0/{total} nodes are available: {', '.join(parts)}.{PREEMPTION}"


def request(**requests: str) -> dict[str, Any]:
    """Return the spec of a pod that requests resources; `gpu` is short for its long name."""
    names = {key.replace("_", "-").replace("gpu", "nvidia.com/gpu"): value for key, value in requests.items()}
    return {"containers": [{"name": "base", "image": IMAGE, "resources": {"requests": names}}]}


def find_main(facts: Facts, *nodes: dict[str, Any]) -> Cause:
    """Find the first cause; without nodes there is no right to read them."""
    main = diagnose(facts, {Need("Node"): answer(*nodes) if nodes else NO_RIGHT}).main
    assert main is not None
    return main

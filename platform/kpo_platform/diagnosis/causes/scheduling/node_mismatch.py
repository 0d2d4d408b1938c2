"""Why nodes cannot take a pod, apart from their room."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from kpo_platform.diagnosis.cause import PLATFORM_TEAM
from kpo_platform.diagnosis.causes.scheduling.nodes import (
    CONTROL_PLANE,
    CONTROL_PLANE_DISTANCE,
    Node,
    Requirement,
    Taint,
    list_terms,
)
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.fixes.amounts import patch_containers
from kpo_platform.finding import Fix
from kpo_platform.pod.json_fields import read_objects, read_text
from kpo_platform.pod.merge import Json


@dataclass
class Reasons:
    """Why nodes cannot take the pod, from the scheduler's message and the nodes of now.

    Attributes:
        total: the number of nodes.
        counts: the number of nodes by kind of reason.
        details: what a reason names, such as resources, by kind.
        nodes: the nodes of now; None if they are not known.
    """

    total: int
    counts: dict[str, int] = field(default_factory=dict)
    details: dict[str, list[str]] = field(default_factory=dict)
    nodes: list[Node] | None = None

    def tell_count(self, kind: str) -> str:
        """Tell how many nodes have a reason."""
        return f"{self.counts[kind]} of {self.total} nodes" if self.total else "The nodes"


@dataclass(frozen=True)
class NodeReason:
    """What is said about a reason: the name of its rule, how far the nearest node is, the sentence, and the fix."""

    rule: str
    distance: int
    text: str
    fix: Fix


def describe_nodes(facts: Facts, reasons: Reasons) -> Iterator[NodeReason]:
    """Describe the reasons except those of `describe_room`."""
    for kind in reasons.counts:
        if kind == "taints":
            yield from _describe_taints(facts, reasons)
        elif kind == "cordoned":
            yield from _describe_cordoned(reasons)
        elif kind == "node-selector":
            yield from _describe_selector(facts, reasons)
        elif kind == "host-ports":
            yield NodeReason(kind, 0, *_describe_ports(facts, reasons.tell_count(kind)))
        elif kind in _OTHERS:
            text, fix, patch = _OTHERS[kind]
            fix_of_kind = Fix(fix, patch=patch, who="" if patch else PLATFORM_TEAM)
            yield NodeReason(kind, 0, text.format(count=reasons.tell_count(kind)), fix_of_kind)


def is_complete(facts: Facts) -> bool:
    """Whether the pod's spec is known, not only its summary."""
    return any(container.get("image") for container in facts.list_containers())


def join_names(names: list[str]) -> str:
    """Join names, of many the first ones."""
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _describe_taints(facts: Facts, reasons: Reasons) -> Iterator[NodeReason]:
    """Tell taints that keep tasks away from those that the cluster sets on nodes that do not work."""
    nodes = [node for node in reasons.nodes or () if node.taints]
    if reasons.nodes is None:
        yield from _describe_named_taints(facts, reasons)
        return
    of_tasks = [node for node in nodes if any(not taint.is_of_state for taint in node.taints)]
    if of_tasks:
        nearest = min(of_tasks, key=lambda node: node.distance)
        taints = dict.fromkeys(taint for node in of_tasks for taint in node.taints if not taint.is_of_state)
        told = ", ".join(f"{each} ({join_names([n.name for n in of_tasks if each in n.taints])})" for each in taints)
        text = f"{len(of_tasks)} of {len(reasons.nodes)} nodes have taints that the pod does not tolerate: {told}"
        needed = [taint for taint in nearest.taints if not taint.is_of_state]
        yield NodeReason("taints", nearest.distance, text, _build_toleration(facts, needed))
    yield from _describe_broken([node for node in nodes if node not in of_tasks])


def _describe_broken(nodes: list[Node]) -> Iterator[NodeReason]:
    if not nodes:
        return
    keys = dict.fromkeys(taint.key for node in nodes for taint in node.taints)
    text = (
        f"{join_names([node.name for node in nodes])} cannot take pods because of the node's state: {', '.join(keys)}"
    )
    fix = Fix("Look at the node:", (f"kubectl describe node {shlex.quote(nodes[0].name)}",), who=PLATFORM_TEAM)
    yield NodeReason("nodes-not-ready", min(node.distance for node in nodes), f"Node {text}", fix)


def _describe_named_taints(facts: Facts, reasons: Reasons) -> Iterator[NodeReason]:
    """Tell the taints that the message names, as before Kubernetes 1.35."""
    named = [detail.partition(":") for detail in reasons.details["taints"] if detail]
    taints = list(dict.fromkeys(Taint(key.strip(), value.strip()) for key, _, value in named))
    count = reasons.tell_count("taints")
    broken = [taint.key for taint in taints if taint.is_of_state]
    needed = [taint for taint in taints if not taint.is_of_state]
    if broken:
        fix = Fix("Look at the nodes:", ("kubectl describe nodes",), who=PLATFORM_TEAM)
        yield NodeReason(
            "nodes-not-ready", 1, f"Nodes cannot take pods because of their state: {', '.join(broken)}", fix
        )
    if needed:
        told = ", ".join(map(str, needed))
        is_control_plane = all(taint.key in CONTROL_PLANE for taint in needed)
        text = f"{count} have taints that the pod does not tolerate: {told}"
        yield NodeReason(
            "taints", CONTROL_PLANE_DISTANCE if is_control_plane else 1, text, _build_toleration(facts, needed[:1])
        )
    if not taints:
        command = "kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints"
        fix = Fix("Ask the platform team which entry in tolerations the pod needs:", (command,))
        yield NodeReason(
            "taints", 1, f"{count} have a taint that the pod does not tolerate; Kubernetes does not name it", fix
        )


def _build_toleration(facts: Facts, taints: list[Taint]) -> Fix:
    added = [taint.toleration for taint in taints]
    present = read_objects(facts.spec.get("tolerations"))
    text = f"If the pod may run there, add to tolerations: {added}. Else ask the platform team for other nodes."
    return Fix(text, patch={"spec": {"tolerations": [*present, *added]}} if is_complete(facts) else None)


def _describe_cordoned(reasons: Reasons) -> Iterator[NodeReason]:
    nodes = [node for node in reasons.nodes or () if node.is_cordoned]
    names = [node.name for node in nodes]
    if reasons.nodes is not None and not nodes:
        return
    count = f"{len(names)} of {len(reasons.nodes or ())} nodes" if names else reasons.tell_count("cordoned")
    text = f"{count} are cordoned, and take no new pods{': ' * bool(names)}{join_names(names)}"
    commands = tuple(f"kubectl uncordon {shlex.quote(name)}" for name in names[:3])
    advice = "When their maintenance is over, allow new pods there again:"
    if not names:
        advice, commands = (
            "Find them (SchedulingDisabled), and run kubectl uncordon with a name:",
            ("kubectl get nodes",),
        )
    fix = Fix(advice, commands, who=PLATFORM_TEAM)
    distance = min((node.distance for node in nodes), default=1)
    yield NodeReason("cordoned", distance, text, fix)


def _describe_selector(facts: Facts, reasons: Reasons) -> Iterator[NodeReason]:
    """Tell which required label no node has."""
    terms, nodes = list_terms(facts.spec), reasons.nodes
    listed = " or ".join(" and ".join(map(str, term)) for term in terms)
    required = f", which requires {listed}" if listed else ""
    if nodes is None:
        text = f"{reasons.tell_count('node-selector')} do not match the node selector or affinity of the pod{required}"
        yield NodeReason("node-selector", 2, text, Fix("Correct node_selector or affinity."))
        return
    others = [node for node in nodes if not node.is_selected]
    unmet = [each for each in (terms[0] if len(terms) == 1 else ()) if not any(each.is_met(node) for node in nodes)]
    if not others:
        return
    distance = min(node.distance for node in others)
    if not unmet or len(others) < len(nodes):
        text = f"{len(others)} of {len(nodes)} nodes do not match the node selector or affinity of the pod{required}"
        yield NodeReason("node-selector", distance, text, Fix("Correct node_selector or affinity."))
        return
    told = " and ".join(map(str, unmet))
    text = f"No node has the label that the pod requires: {told}"
    yield NodeReason("node-selector", distance, text, _fix_selector(unmet, nodes))


def _fix_selector(unmet: list[Requirement], nodes: list[Node]) -> Fix:
    """Advise to remove required labels that no node has, or to use the only value that the nodes have."""
    values = sorted({node.labels[each.key] for each in unmet for node in nodes if each.key in node.labels})
    is_one = len(unmet) == 1
    known = f" The nodes have {unmet[0].key}: {join_names(values)}." if values and is_one else ""
    only = values[0] if is_one and len(values) == 1 else None
    selector = {each.key: only for each in unmet if each.is_of_selector}
    spec: Json = {"nodeSelector": selector} if selector else {}
    if len(selector) < len(unmet):
        spec["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": None}}
    where = " and ".join(["node_selector"] * bool(selector) + ["affinity"] * ("affinity" in spec))
    text = f"Correct {where}, or leave it out.{known} Or ask {PLATFORM_TEAM} for nodes with it."
    return Fix(text, patch={"spec": spec})


def _describe_ports(facts: Facts, count: str) -> tuple[str, Fix]:
    changes: dict[str, Json] = {}
    taken: list[str] = []
    for container in facts.list_containers():
        ports = [each for each in read_objects(container.get("ports")) if each.get("hostPort")]
        taken += [str(port["hostPort"]) for port in ports]
        if ports:
            fields = {"ports": [{**port, "hostPort": None} for port in ports]}
            changes[read_text(container.get("name"))] = fields
    text = f"The hostPort{' ' * bool(taken)}{', '.join(taken)} of the pod is already in use on {count}"
    fix = "Leave out hostPort in ports, or wait until the pod that has the port has ended."
    return text, Fix(fix, patch=patch_containers(facts, changes) if changes else None)


_OTHERS: dict[str, tuple[str, str, Json | None]] = {
    "pod-affinity": (
        "{count} do not run the pods beside which this pod must run (podAffinity)",
        "Start those pods, or correct affinity.",
        {"spec": {"affinity": {"podAffinity": None}}},
    ),
    "pod-anti-affinity": (
        "{count} run a pod that must not share a node with this pod (podAntiAffinity)",
        "Wait until that pod has ended, or correct affinity.",
        {"spec": {"affinity": {"podAntiAffinity": None}}},
    ),
    "topology-spread": (
        "{count} would make the distribution of pods too uneven (topologySpreadConstraints), or lack its label",
        "Set whenUnsatisfiable: ScheduleAnyway in topologySpreadConstraints (pod_override), or leave them out.",
        {"spec": {"topologySpreadConstraints": None}},
    ),
    "nodes-not-ready": ("{count} are not ready", "Look at their conditions: kubectl describe nodes", None),
    "node-name": (
        "{count} are not the node that the pod names (nodeName)",
        "Leave out nodeName of the pod's template or pod_override.",
        {"spec": {"nodeName": None}},
    ),
    "devices": (
        "The devices that the pod claims (resourceClaims) cannot be allocated on {count}",
        "Wait until they are free, or ask the platform team about the ResourceClaim and its device class.",
        None,
    ),
    "pod-group": (
        "The pod waits for other pods of its group, which must be scheduled together",
        "Create the other pods of the group, or ask the platform team about it.",
        None,
    ),
}

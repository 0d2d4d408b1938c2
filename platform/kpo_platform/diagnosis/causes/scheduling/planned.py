"""Whether a node of now can take a pod that is not created yet."""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.diagnosis.cause import Cause
from kpo_platform.diagnosis.causes.scheduling.node_mismatch import Reasons, is_complete
from kpo_platform.diagnosis.causes.scheduling.nodes import Node, judge_nodes
from kpo_platform.diagnosis.causes.scheduling.scheduling import (
    describe_gates,
    describe_missing_node,
    describe_no_nodes,
    describe_reasons,
)
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.pod.json_fields import read_objects, read_text


def check_nodes(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find why no node can take the pod, by labels, taints and sizes; what is free on a node is not known."""
    name = read_text(facts.spec.get("nodeName"))
    if name:  # such a pod has no scheduler
        if lookup.get("Node", name).is_absent:
            yield describe_missing_node(name, Signal("spec", "", f"nodeName is {name}"))
        return
    gates = [read_text(each.get("name")) for each in read_objects(facts.spec.get("schedulingGates"))]
    if gates:
        yield describe_gates(facts, Signal("spec", "", f"schedulingGates: {', '.join(gates)}"))
    listed = lookup.list_objects("Node")
    if listed is None or not is_complete(facts):
        return
    signal = Signal("spec", "", f"Nodes in the cluster now: {len(listed)}")
    if not listed:
        yield describe_no_nodes(facts, signal)
        return
    nodes = judge_nodes(facts, listed)
    if not any(node.is_open and not node.too_small for node in nodes):
        yield from describe_reasons(facts, _collect_reasons(nodes), signal)


def _collect_reasons(nodes: list[Node]) -> Reasons:
    counts = {
        "taints": sum(bool(node.taints) for node in nodes),
        "cordoned": sum(node.is_cordoned for node in nodes),
        "node-selector": sum(not node.is_selected for node in nodes),
    }
    open_nodes = [node for node in nodes if node.is_open]
    small = [node.too_small for node in open_nodes or nodes]
    missing = frozenset.intersection(*small) or (frozenset.union(*small) if open_nodes else frozenset())
    counts = {kind: count for kind, count in counts.items() if count}
    return Reasons(len(nodes), counts, {"room": sorted(missing)}, nodes)

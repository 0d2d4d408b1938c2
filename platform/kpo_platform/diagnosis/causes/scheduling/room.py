"""Pods that request more than nodes have, or have free."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from kpo_platform.diagnosis.cause import PLATFORM_TEAM
from kpo_platform.diagnosis.causes.scheduling.node_mismatch import NodeReason, Reasons, join_names
from kpo_platform.diagnosis.causes.scheduling.nodes import Node
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.fixes.amounts import KINDS, compute_amounts, format_amount, patch_containers, suggest_less
from kpo_platform.finding import Fix
from kpo_platform.pod.json_fields import read_object, read_text

_USABLE = Decimal("0.9")
"""How much of a node a pod can have at most; the rest is used by the node's own pods."""

_MANY_PODS = "Too many pods"
_ORDINARY = frozenset({"cpu", "memory", "ephemeral-storage"})


def describe_room(facts: Facts, reasons: Reasons) -> Iterator[NodeReason]:
    """Describe the resources that are insufficient: larger than every node, on no node, or not free now."""
    named = list(dict.fromkeys(reasons.details.get("room", ())))
    known = reasons.nodes or []
    usable = [node for node in known if node.is_open] or known
    lacking = [each for each in named if known and not any(node.allocatable.get(each) for node in usable)]
    lacking = [each for each in lacking if each != _MANY_PODS]
    large = [each for each in named if known and each not in lacking and all(each in node.too_small for node in usable)]
    distance = min((node.distance for node in usable), default=0)
    if large:
        yield NodeReason("too-large", distance, *_describe_large(facts, large, usable))
    if lacking:
        yield NodeReason("no-resource", distance, *_describe_lacking(facts, lacking))
    free = [each for each in named if each not in (*large, *lacking, _MANY_PODS)]
    if free:
        # Without the nodes it is not known whether one has such a resource at all.
        is_other = reasons.nodes is None and _ORDINARY.isdisjoint(free)
        nearest = distance + 1 if large or lacking else int(is_other)  # no room helps a pod that fits nowhere
        yield NodeReason("no-room", nearest, *_describe_full(facts, free))
    if _MANY_PODS in named:
        fix = Fix(f"Wait until other pods have ended, or ask {PLATFORM_TEAM} for more nodes.")
        yield NodeReason("pod-number", 0, "The nodes already run as many pods as they can", fix)


def _describe_large(facts: Facts, resources: list[str], nodes: list[Node]) -> tuple[str, Fix]:
    requests = compute_amounts(facts, "requests")
    told = []
    for each in resources:
        node = max(nodes, key=lambda node, each=each: node.allocatable.get(each, Decimal(0)))  # type: ignore[misc]
        told.append(
            f"{each} {format_amount(each, requests[each])}, and the largest node that it can use ({node.name}) has "
            f"{format_amount(each, node.allocatable.get(each, Decimal(0)))}"
        )
    largest = max(nodes, key=lambda node: node.allocatable.get(resources[0], Decimal(0)))
    most = {
        each: largest.allocatable.get(each, Decimal(0)) * _USABLE for each in requests if each in largest.allocatable
    }
    less = suggest_less(facts, most, share="0.5")
    fix = Fix(f"{less.text or 'Request less.'} Or ask {PLATFORM_TEAM} for larger nodes.", patch=less.patch)
    return f"No node is large enough for the pod: it requests {'; '.join(told)}", fix


def _describe_lacking(facts: Facts, resources: list[str]) -> tuple[str, Fix]:
    names = join_names(resources)
    changes = {
        read_text(each.get("name")): {"resources": {kind: dict.fromkeys(resources) for kind in KINDS}}
        for each in facts.list_containers()
        if any(name in str(each.get("resources")) for name in resources)
    }
    fix = Fix(
        f"Leave {names} out of container_resources, or use a size without it, if the program can do without; else ask "
        f"{PLATFORM_TEAM} for nodes with {names}.",
        patch=patch_containers(facts, changes) if changes else None,
    )
    return f"No node that the pod can use has {names}, which the pod requests", fix


def _describe_full(facts: Facts, resources: list[str]) -> tuple[str, Fix]:
    requests = compute_amounts(facts, "requests")
    told = [f"{each} {format_amount(each, requests[each])}" if each in requests else each for each in resources]
    text = f"No node has room for the pod now: it requests {' and '.join(told)}"
    nominated = read_text(read_object(read_object(facts.pod).get("status")).get("nominatedNodeName"))
    if nominated:
        return text, Fix(f"Wait: the scheduler makes room on node {nominated} by ending pods of lower priority.")
    if facts.select(("TriggeredScaleUp", "Nominated")):
        return text, Fix("Wait: a node is being added for it.")
    advice = "Wait until other pods have ended, or use a smaller size or smaller container_resources"
    return text, Fix(f"{advice}; if it lasts, ask {PLATFORM_TEAM} for nodes.")

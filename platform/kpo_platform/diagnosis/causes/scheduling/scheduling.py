"""Pods that get no node; what concerns their volumes is told by another family."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import timedelta

from kpo_platform.diagnosis.cause import PLATFORM_TEAM, Cause, Outlook, build_cause
from kpo_platform.diagnosis.causes.scheduling.node_mismatch import Reasons, describe_nodes, is_complete, join_names
from kpo_platform.diagnosis.causes.scheduling.nodes import CONTROL_PLANE_DISTANCE, judge_nodes
from kpo_platform.diagnosis.causes.scheduling.room import describe_room
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, ObjectRef, Rule
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.json_fields import read_object, read_objects, read_text

RULES: dict[str, Rule] = {
    "node-unknown": Rule("KPO-SCH100", "The scheduler finds a node for the pod."),
    "too-large": Rule("KPO-SCH101", "A node is large enough for the pod."),
    "no-room": Rule("KPO-SCH102", "A node has enough free for the pod."),
    "no-resource": Rule("KPO-SCH103", "A node has every resource that the pod requests."),
    "pod-number": Rule("KPO-SCH104", "A node may run one more pod."),
    "node-selector": Rule("KPO-SCH105", "A node has the labels that the pod requires."),
    "taints": Rule("KPO-SCH106", "The pod tolerates the taints of a node."),
    "cordoned": Rule("KPO-SCH107", "A node takes new pods."),
    "nodes-not-ready": Rule("KPO-SCH108", "A node is ready."),
    "host-ports": Rule("KPO-SCH109", "A node has the host ports of the pod free."),
    "pod-affinity": Rule("KPO-SCH110", "A node meets the pod's affinity to other pods."),
    "pod-anti-affinity": Rule("KPO-SCH111", "A node runs no pods that the pod must be apart from."),
    "topology-spread": Rule("KPO-SCH112", "A node meets the pod's topology spread constraints."),
    "node-name": Rule("KPO-SCH113", "The node that the pod names exists."),
    "no-nodes": Rule("KPO-SCH114", "The cluster has nodes."),
    "scheduler-error": Rule("KPO-SCH115", "The scheduler works without errors."),
    "gates": Rule("KPO-SCH116", "The pod has no scheduling gates."),
    "no-scheduler": Rule("KPO-SCH117", "A scheduler handles the pod."),
    "node-silent": Rule("KPO-SCH118", "The node accepts the pods that it gets."),
    "devices": Rule("KPO-SCH119", "The resource claims of the pod can be allocated."),
    "pod-group": Rule("KPO-SCH120", "The pods of the pod's group can be scheduled together."),
}
"""The causes of this family by name."""

_PATTERNS = {
    "volumes": r"persistentvolume|\bpvc|\bpvs?\b|volume|available disk|free storage",
    "room": r"^Insufficient (\S+)|^(Too many pods)",
    "pod-anti-affinity": r"anti-affinity",
    "node-selector": r"Pod's node affinity|node selector|enforced node affinity|affinity terms conflict|NodeAffinity",
    "pod-affinity": r"pod affinity",
    "topology-spread": r"topology spread",
    "taints": r"\btaints?\b(?:.*\{([^}]*)\})?",
    "cordoned": r"were unschedulable",
    "nodes-not-ready": r"not ready|unknown conditions|had condition",
    "host-ports": r"free ports",
    "node-name": r"requested node name",
    "devices": r"resource ?claim|device class|allocate all claims|fit resource",
    "pod-group": r"\bgang\b|pod group|minCount",
}
_PART = re.compile(r"(?:^|, )(\d+) (.+?)(?=, \d+ |\.?\s*$)", re.DOTALL)
_HEAD = re.compile(r"^0/(\d+) nodes are available: ?")
_TAIL = re.compile(r"[.,]?\s*(?:\bpreemption:|no new claims to deallocate|still not schedulable).*", re.DOTALL)
_LONGEST_MESSAGE = 4096
_NO_NODES = "no nodes available to schedule pods"
_PATIENCE = timedelta(seconds=30)
"""How long scheduler and node may be silent."""

_HANDLED = ("nominatedNodeName", "startTime", "containerStatuses", "initContainerStatuses")
"""Fields of a status that tell that a scheduler or a node has handled the pod."""

_DEFAULT_SCHEDULER = "default-scheduler"
_QUEUE_GATES = ("kueue.x-k8s.io/", "batch.x-k8s.io/", "scheduling.x-k8s.io/")
"""Prefixes of gates with which a queue holds pods until there is room."""

_GROWTH = ("TriggeredScaleUp", "NotTriggerScaleUp", "Nominated")
"""Events in which an autoscaler says whether it adds a node."""

_FROM_NODES = frozenset({"room", "taints", "cordoned", "node-selector"})
"""Kinds of reasons of which the nodes of now tell more."""


def find_scheduling_problems(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find why a pod has no node, or its node does not take it."""
    state = facts.state
    if facts.rejection or state.phase not in ("", "Pending") or state.deletion_requested_at:
        return
    if not state.is_scheduled and facts.select(("Scheduled", "Pulling", "Started")):
        return  # the state is older than its events
    signal = _find_signal(facts)
    if state.is_scheduled:
        yield from _find_silent_node(facts, lookup)
    elif signal is None:
        yield from _find_missing_scheduler(facts)
    elif signal.reason == "SchedulingGated":
        yield describe_gates(facts, signal)
    elif _NO_NODES in signal.message:
        yield describe_no_nodes(facts, signal)
    else:
        yield from _describe_message(facts, lookup, signal)


def parse_reasons(message: str) -> tuple[int, list[tuple[int, str]]]:
    """Parse a scheduler's message: the number of nodes, and each reason with how many nodes have it.

    What it says about preemption is left out. A reason for all nodes has no number.
    """
    text = _TAIL.sub("", message[:_LONGEST_MESSAGE].strip())
    head = _HEAD.match(text)
    total = int(head[1]) if head else 0
    text = text[head.end() :] if head else text
    parts = [(int(count), reason.strip()) for count, reason in _PART.findall(text)] if text[:1].isdigit() else []
    return total, parts or [(total, text.strip().rstrip("."))]


def _find_signal(facts: Facts) -> Signal | None:
    condition = facts.state.condition("PodScheduled")
    reason = condition.reason if condition and condition.status == "False" else ""
    for signal in facts.signals:
        if signal.source == "condition" and signal.reason == reason:
            return signal
        if signal.source == "event" and signal.reason == "FailedScheduling" and signal.about is None:
            return signal
    return None


def _describe_message(facts: Facts, lookup: Lookup, signal: Signal) -> Iterator[Cause]:
    reasons, unknown = _collect_reasons(signal.message)
    has_volumes = reasons.counts.pop("volumes", None) is not None
    if reasons.counts.keys() & _FROM_NODES and is_complete(facts):
        listed = lookup.list_objects("Node")
        reasons.nodes = judge_nodes(facts, listed) if listed else None
    causes = list(describe_reasons(facts, reasons, signal, has_volumes=has_volumes))
    yield from causes
    if unknown or not (causes or has_volumes):
        yield _describe_unknown(facts, signal, "; ".join(unknown))


def describe_reasons(facts: Facts, reasons: Reasons, signal: Signal, *, has_volumes: bool = False) -> Iterator[Cause]:
    """Describe why nodes cannot take the pod, the nearest node first; its volumes are told by another family."""
    told = [*describe_room(facts, reasons), *describe_nodes(facts, reasons)]
    told.sort(key=lambda each: each.distance)
    # A node that is far from taking the pod explains less than one that is only full, or whose volume is elsewhere.
    lowest = 0 if has_volumes else min((each.distance for each in told), default=0)
    told = [each for each in told if each.rule != "taints" or each.distance - lowest < CONTROL_PLANE_DISTANCE // 2]
    evidence = _list_evidence(facts, reasons)
    for each in told:
        is_vague, rule = each.distance > lowest, RULES[each.rule]
        yield build_cause(
            rule, facts.pod_ref, each.text, signal, each.fix, "waits", evidence=evidence, is_vague=is_vague
        )


def _collect_reasons(message: str) -> tuple[Reasons, list[str]]:
    """Collect the reasons in a scheduler's message by kind, and those that are not known."""
    total, parts = parse_reasons(message)
    reasons, unknown = Reasons(total), []
    for count, text in parts:
        kind, detail = _classify(text)
        if not kind:
            unknown.append(text)
            continue
        reasons.counts[kind] = reasons.counts.get(kind, 0) + count
        reasons.details.setdefault(kind, []).append(detail)
    return reasons, unknown


def _classify(text: str) -> tuple[str, str]:
    """Return the kind of a reason, empty if it is unknown, and what it names."""
    for kind, pattern in _PATTERNS.items():
        if match := re.search(pattern, text, re.IGNORECASE):
            return kind, next((group for group in match.groups() if group), "")
    return "", ""


def _list_evidence(facts: Facts, reasons: Reasons) -> tuple[str, ...]:
    events = [each.evidence for each in facts.select(_GROWTH) if each.about is None][:2]
    if reasons.nodes is not None and reasons.total and len(reasons.nodes) != reasons.total:
        events.append(f"Nodes in the cluster now: {len(reasons.nodes)}; in the message: {reasons.total}")
    return tuple(events)


def _describe_unknown(facts: Facts, signal: Signal, unknown: str) -> Cause:
    if signal.reason == "SchedulerError":
        text, fix = (
            f"The scheduler has an error: {sanitize(unknown, 500)}",
            Fix("It tries again; if it lasts, the platform team reads its log.", who=PLATFORM_TEAM),
        )
        return build_cause(RULES["scheduler-error"], facts.pod_ref, text, signal, fix, "waits", is_vague=True)
    text = f"No node can take the pod: {sanitize(unknown, 500)}"
    if not unknown:
        text = "The scheduler has not tried again since the nodes have changed; its last message: "
        text += sanitize(signal.message, 500)
    fix = Fix("Wait, or ask the platform team.")
    return build_cause(RULES["node-unknown"], facts.pod_ref, text, signal, fix, "waits", is_vague=True)


def describe_no_nodes(facts: Facts, signal: Signal) -> Cause:
    """Describe a cluster without nodes."""
    fix = Fix("Add a node to the cluster.", who=PLATFORM_TEAM)
    return build_cause(RULES["no-nodes"], facts.pod_ref, "The cluster has no nodes", signal, fix, "waits")


def describe_gates(facts: Facts, signal: Signal) -> Cause:
    """Describe a pod that scheduling gates hold back."""
    names = [read_text(each.get("name")) for each in read_objects(facts.spec.get("schedulingGates"))]
    outlook: Outlook = "waits" if names and all(name.startswith(_QUEUE_GATES) for name in names) else "grace"
    told = f" {join_names(names)}" if names else ""
    text = f"The pod is held back by scheduling gates{told}, which a controller must remove"
    fix = Fix(
        "The platform team checks the controller that removes them; if the task sets them, leave out schedulingGates.",
        patch={"spec": {"schedulingGates": None}},
        who=PLATFORM_TEAM,
    )
    return build_cause(RULES["gates"], facts.pod_ref, text, signal, fix, outlook)


def _find_missing_scheduler(facts: Facts) -> Iterator[Cause]:
    """Find a pod at which no scheduler has looked: one that waits for a volume has a nominated node."""
    created_at, status = facts.state.created_at, read_object(read_object(facts.pod).get("status"))
    is_early = created_at is None or facts.now - created_at < _PATIENCE
    if is_early or facts.state.condition("PodScheduled") or any(status.get(key) for key in _HANDLED):
        return
    name = read_text(facts.spec.get("schedulerName"))
    is_other = name not in ("", _DEFAULT_SCHEDULER)
    told = f'No scheduler with the name "{name}" has' if is_other else "The scheduler has not"
    fix = Fix("Look at the scheduler of the cluster.", who=PLATFORM_TEAM)
    if is_other:
        fix = Fix("Correct or leave out schedulername.", patch={"spec": {"schedulerName": _DEFAULT_SCHEDULER}})
    signal = Signal("status", "Pending", f"created at {created_at:%H:%M:%S}, and no scheduler has set a condition")
    rule, text = RULES["no-scheduler"], f"{told} looked at the pod since it was created"
    yield build_cause(rule, facts.pod_ref, text, signal, fix, "waits", is_vague=not is_other)


def _find_silent_node(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find a node that does not take the pod that it got."""
    condition, state = facts.state.condition("PodScheduled"), facts.state
    since = (condition.changed_at if condition else None) or state.created_at
    name = read_text(facts.spec.get("nodeName"))
    if state.started_at or since is None or facts.now - since < _PATIENCE or not name:
        return
    node, about = lookup.get("Node", name), ObjectRef("Node", name)
    signal = Signal("status", "Pending", f"on node {name} since {since:%H:%M:%S}, and not yet accepted by it")
    if node.is_absent:
        yield describe_missing_node(name, signal)
        return
    conditions = read_objects(read_object((node.found or {}).get("status")).get("conditions"))
    ready = next((each for each in conditions if each.get("type") == "Ready"), {})
    is_broken = ready.get("status") in ("False", "Unknown")
    told = f": it is not ready ({read_text(ready.get('reason'))})" if is_broken else ""
    text = f'The node "{name}" has not yet accepted the pod{told}'
    fix = Fix("Look at the node:", (f"kubectl describe node {shlex.quote(name)}",), who=PLATFORM_TEAM)
    yield build_cause(RULES["node-silent"], about, text, signal, fix, "waits", is_vague=not is_broken)


def describe_missing_node(name: str, signal: Signal) -> Cause:
    """Describe a node that the pod names and that does not exist."""
    fix = Fix("Leave out nodeName of the pod's template or pod_override.", patch={"spec": {"nodeName": None}})
    text = f'The node "{name}" of the pod does not exist'
    return build_cause(RULES["node-name"], ObjectRef("Node", name), text, signal, fix, "grace")

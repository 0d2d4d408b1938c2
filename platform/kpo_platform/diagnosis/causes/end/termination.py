"""Ends of pods that their programs did not decide: by the cluster, by a deadline or by a limit of the pod."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kpo_platform.diagnosis.cause import PLATFORM_TEAM, Cause, build_cause
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.diagnosis.fixes.sizes import Resource, build_fix
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, ObjectRef, Rule
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.disruption import DEADLINE, DELETED, GONE, LOST, NOT_STARTED, Termination, is_refusal
from kpo_platform.pod.json_fields import read_integer, read_object, read_objects, read_text
from kpo_platform.pod.outcome_message import find_phrase
from kpo_platform.pod.quantity import parse_quantity_or_zero

RULES: dict[str, Rule] = {
    "end-unknown": Rule("KPO-END100", "The program decides how its pod ends."),
    "pod-deadline": Rule("KPO-END113", "The pod ends before its deadline."),
    "own-storage": Rule("KPO-END114", "The pod writes no more than its limits of ephemeral storage allow."),
    "node-unsupported": Rule("KPO-END115", "The node supports what the pod asks for."),
    "node-refusal": Rule("KPO-END116", "The node accepts the pod."),
    "node-pressure": Rule("KPO-END117", "The node has enough memory, disk and process numbers for its pods."),
    "node-lost": Rule("KPO-END118", "The node answers until the program has ended."),
    "node-shutdown": Rule("KPO-END119", "The node runs until the program has ended."),
    "preemption": Rule("KPO-END120", "No pod of higher priority needs the pod's place."),
    "eviction": Rule("KPO-END121", "The pod stays on its node until the program has ended."),
    "node-taint": Rule("KPO-END122", "The pod tolerates the taints of its node."),
    "container-lost": Rule("KPO-END123", "The node knows how the program ended."),
    "pod-deletion": Rule("KPO-END124", "The pod exists until the program has ended."),
}
"""The causes of this module by name."""

_RESTART = "Start the task again; TeamPodOperator does so without using a retry."
_REPEATED = "If it happens often, ask the platform team."
_DISRUPTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "pod-deletion": (
        (DELETED, GONE),
        "A person, a cleanup job or an autoscaler has deleted it: the platform team finds it in the audit log.",
    ),
    "container-lost": ((LOST, NOT_STARTED, "Unknown"), _REPEATED),
    "node-lost": (
        ("NodeLost", "DeletionByPodGC", "NodeNotReady"),
        "If it happens again, the platform team checks the node.",
    ),
    "node-taint": (
        ("DeletionByTaintManager", "TaintManagerEviction", "DeviceTaintManagerEviction", "TaintToleration"),
        "If it may run on such nodes, add the taint to tolerations; otherwise ask the platform team.",
    ),
    "node-pressure": (("Evicted",), _REPEATED),
    "eviction": (
        ("EvictionByEvictionAPI",),
        "To delay the drain of a node, ask the platform team for a PodDisruptionBudget.",
    ),
    "node-shutdown": (("NodeShutdown", "Shutdown", "Terminated"), _REPEATED),
    "preemption": (
        ("Preempted", "PreemptionByScheduler", "Preempting"),
        "If it happens often, ask the platform team for a higher priority_class_name or more nodes.",
    ),
}
"""Kinds of disruptions: their names in `RULES`, Kubernetes' reasons, and what else to do."""

_ABOUT_NODE = frozenset({"node-lost", "node-shutdown", "node-taint"})

_SHORT_OF = re.compile(r"low on resource: ([\w.-]+)|\b(\w+)Pressure\b")
_USAGE = re.compile(
    r"Container (\S+) was using (\S+), request is (\S+), has larger consumption of (memory|ephemeral-storage)\b"
)
_VOLUME = re.compile(r'EmptyDir volume "([^"]+)" exceeds the limit "([^"]+)"')
_CONTAINER = re.compile(r"Container (\S+) exceeded its local")
_LIMIT = re.compile(r'limit "([^"]+)"|limit of containers ([^\s"]+?)\.?\s*$')


def describe_termination(facts: Facts, lookup: Lookup, termination: Termination) -> Cause:
    """Describe why a pod ended that its program did not end."""
    signal = Signal("status", termination.reason, termination.message)
    if termination.is_disruption:
        return _describe_disruption(facts, lookup, signal)
    special: dict[str, Callable[[Facts, Signal], Cause]] = {DEADLINE: _describe_deadline, "Evicted": _describe_storage}
    return special.get(termination.reason, _describe_unsupported)(facts, signal)


def _describe_disruption(facts: Facts, lookup: Lookup, signal: Signal) -> Cause:
    """Describe an end by the cluster; another start can help."""
    default = "node-refusal" if is_refusal(signal.reason) else "end-unknown"
    name = next((name for name, (reasons, _) in _DISRUPTIONS.items() if signal.reason in reasons), default)
    if name == "node-pressure":
        return _describe_pressure(facts, signal)
    phrase, node = find_phrase(signal.reason), read_text(facts.spec.get("nodeName"))
    taint = _read_taint(lookup, node) if name == "node-taint" else ""
    if "unreachable" in taint or "not-ready" in taint:
        name, phrase = "node-lost", "its node does not answer"
    elif taint:
        phrase = f"its node has the taint {taint}, which the pod does not tolerate"
    phrase = phrase.replace("its node", f"its {_name_node(facts)}", 1)
    about = ObjectRef("Node", node) if node and name in _ABOUT_NODE else facts.pod_ref
    detail = f": {sanitize(signal.message, 300)}" if signal.message and name in ("end-unknown", "node-refusal") else ""
    extra = _DISRUPTIONS[name][1] if name in _DISRUPTIONS else _REPEATED
    fix = Fix(f"{_RESTART} {extra}".strip(), who=PLATFORM_TEAM)
    text = f"The pod {facts.pod_ref.name} was disrupted by the cluster: {phrase}{detail.rstrip('. ')}"
    return build_cause(RULES[name], about, text, signal, fix, is_vague=name == "end-unknown")


def _read_taint(lookup: Lookup, node: str) -> str:
    """Read the first taint of a node that ends pods; empty if it is not known."""
    found = lookup.get("Node", node).found if node else None
    taints = read_objects(read_object(read_object(found).get("spec")).get("taints"))
    taint = next((each for each in taints if each.get("effect") == "NoExecute"), {})
    key, value = read_text(taint.get("key")), read_text(taint.get("value"))
    return f"{key}={value}:NoExecute" if value else f"{key}:NoExecute" if key else ""


def _describe_pressure(facts: Facts, signal: Signal) -> Cause:
    """Describe an eviction by a node that was short of a resource; its message may tell what the program used."""
    found = _SHORT_OF.search(signal.message)
    what = (found[1] or found[2].lower()).rstrip(".") if found else "a resource"
    text = f"The {_name_node(facts)} was short of {what} and evicted the pod {facts.pod_ref.name}"
    usage = next((each for each in _USAGE.finditer(signal.message) if each[1] == facts.program.name), None)
    if usage is None:
        fix = Fix(f"{_RESTART} If it happens often, ask the platform team for nodes with more.", who=PLATFORM_TEAM)
        return build_cause(RULES["node-pressure"], facts.pod_ref, text, signal, fix)
    text += f": the program used {usage[2]}, more than its request of {usage[3]}"
    kind: Resource = "memory" if usage[4] == "memory" else "ephemeral-storage"
    advice, kinds = ", so that its request covers what it uses", ("limits", "requests")
    fix = build_fix(facts, facts.program.name, kind, usage[2], advice, kinds)
    return build_cause(RULES["node-pressure"], facts.pod_ref, text, signal, fix)


def _name_node(facts: Facts) -> str:
    node = read_text(facts.spec.get("nodeName"))
    return f'node "{node}"' if node else "node"


def _describe_deadline(facts: Facts, signal: Signal) -> Cause:
    """Describe the end by ``activeDeadlineSeconds``; the team has a maximum, or none."""
    seconds = read_integer(facts.spec.get("activeDeadlineSeconds"))
    length = f" of {seconds} s" if seconds is not None else ""
    has_run = facts.program.has_started
    text = f"The pod {facts.pod_ref.name} ran longer than its activeDeadlineSeconds{length}"
    if not has_run:
        text += ", and its program had not started"
    longest = facts.team.policy.max_runtime if facts.team else 0
    patch: dict[str, Any] | None = {"spec": {"activeDeadlineSeconds": longest or None}}
    fix, who = "Raise active_deadline_seconds, or let the program end earlier.", ""
    if longest and (seconds is None or seconds >= longest):
        fix, who, patch = f"Ask the platform team for a longer policy.maxRuntime than {longest} s.", PLATFORM_TEAM, None
    elif longest:
        fix = f"Raise active_deadline_seconds: the team's policy.maxRuntime allows {longest} s."
    return build_cause(
        RULES["pod-deadline"], facts.pod_ref, text, signal, Fix(fix, patch=patch, who=who), is_vague=not has_run
    )


def _describe_storage(facts: Facts, signal: Signal) -> Cause:
    """Describe an eviction because of the pod's own limit: of a container, of all containers or of a volume."""
    rule, advice = RULES["own-storage"], ", write less, or write to a volume"
    if volume := _VOLUME.search(signal.message):
        name, limit = volume[1], volume[2]
        text = f'The volume "{name}" (emptyDir) of the pod {facts.pod_ref.name} is fuller than its limit of {limit}'
        fix = Fix(f'Raise sizeLimit of the volume "{name}", or write less into it.', patch=_enlarge(facts, name, limit))
        return build_cause(rule, facts.pod_ref, text, signal, fix)
    named, found = _CONTAINER.search(signal.message), _LIMIT.search(signal.message)
    limit = next(filter(None, found.groups()), "") if found else ""
    container = named[1] if named else facts.program.name
    whose = f'container "{container}"' if named else f"the pod {facts.pod_ref.name}"
    text = f"The program wrote more to the disk of its node than the limit of {whose}{f', {limit}' if limit else ''}"
    return build_cause(
        rule, facts.pod_ref, text, signal, build_fix(facts, container, "ephemeral-storage", limit, advice)
    )


def _enlarge(facts: Facts, name: str, limit: str) -> dict[str, Any]:
    volumes = read_objects(facts.spec.get("volumes"))
    source = next((read_object(each.get("emptyDir")) for each in volumes if each.get("name") == name), {})
    amount = int(parse_quantity_or_zero(limit) * 2)
    return {"spec": {"volumes": [{"name": name, "emptyDir": {**source, "sizeLimit": str(amount)}}]}}


def _describe_unsupported(facts: Facts, signal: Signal) -> Cause:
    text = f"The {_name_node(facts)} refused the pod {facts.pod_ref.name}, and will refuse it again"
    detail = f": {sanitize(signal.message, 300).rstrip('. ')}" if signal.message else ""
    fix = Fix("Remove from the pod what its nodes do not support, or select other nodes with node_selector.")
    return build_cause(RULES["node-unsupported"], facts.pod_ref, text + detail, signal, fix)

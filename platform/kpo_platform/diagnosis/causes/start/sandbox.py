"""Pods that a node cannot set up: network, runtime and process of the sandbox."""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.diagnosis.cause import PLATFORM_TEAM, Cause, build_cause
from kpo_platform.diagnosis.causes.message_kind import MessageKind, find_kind
from kpo_platform.diagnosis.causes.progress import cut, is_prepared
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.fixes.sizes import build_fix
from kpo_platform.finding import Fix, Rule
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.json_fields import read_text

RULES: dict[str, Rule] = {
    "sandbox-unknown": Rule("KPO-STA120", "The node can set up the pod."),
    "sandbox-addresses": Rule("KPO-STA121", "The network has an address for the pod."),
    "sandbox-network": Rule("KPO-STA122", "The network plugin of the node works."),
    "sandbox-runtime": Rule("KPO-STA123", "The node has the runtime of the pod's RuntimeClass."),
    "sandbox-image": Rule("KPO-STA124", "The node can pull the image of its pause container."),
    "sandbox-memory": Rule("KPO-STA125", "The memory limit of the pod suffices to set it up."),
}
"""The causes of this module by name."""

_REASONS = ("FailedCreatePodSandBox", "NetworkNotReady", "FailedPrepareDynamicResources", "FailedCreatePodContainer")


_KINDS = (
    MessageKind(
        "sandbox-runtime",
        r"no runtime for|runtime handler|RuntimeHandler|failed to lookup RuntimeClass",
        "final",
        "The node does not have the runtime of the RuntimeClass{runtime_class}: {detail}",
        "Remove runtime_class_name, or select nodes that have the runtime with node_selector.",
    ),
    MessageKind(
        "sandbox-memory",
        r"OOM-killed|memory limit too low|memory limit \d+ too low|cannot allocate memory",
        "final",
        "The memory limit of the pod is too low to set it up",
        "",
    ),
    MessageKind(
        "sandbox-image",
        r"get sandbox image|/pause\b",
        "waits",
        "The node cannot get the image of its pause container: {detail}",
        "Give the nodes access to the registry of the image, or set another one in their container runtime.",
    ),
    MessageKind(
        "sandbox-addresses",
        r"no (available |more |free )?(IPs?|IP address(es)?|addresses)\b|assign an IP address|allocate (an )?IP|"
        r"(IPs?|addresse?s?|CIDR|range|subnet|pool)\b.* (full|exhausted)|ran out of IP|insufficient .*\bIP",
        "waits",
        "The network of the node has no address left for the pod",
        "The node tries again. If it lasts, the platform team enlarges the address range, or allows fewer pods on "
        "a node.",
    ),
    MessageKind(
        "sandbox-network",
        r"\bcni\b|network (for|plugin|is not ready)|NetworkPlugin|plugin type=|dial unix",
        "waits",
        "The network plugin of the node does not work: {detail}",
        "The node tries again. If it lasts, the platform team checks the pods of the network plugin on this node.",
    ),
)


def find_sandbox_problems(facts: Facts) -> Iterator[Cause]:
    """Find why a node cannot set up a pod before its containers start."""
    signal = next((each for each in facts.select(_REASONS) if each.about is None), None)
    if signal is None or is_prepared(facts, signal):
        return
    signal = cut(signal)
    detail = sanitize(signal.message.rpartition("desc = ")[2], 300).rstrip(". ")
    kind, _ = find_kind(_KINDS, signal.message)
    fix = Fix("The node tries again. If it lasts, the platform team checks the node.", who=PLATFORM_TEAM)
    if kind is None:
        text = f"The node cannot set up the pod: {detail}"
        yield build_cause(RULES["sandbox-unknown"], facts.pod_ref, text, signal, fix, "waits", is_vague=True)
        return
    runtime_class = read_text(facts.spec.get("runtimeClassName"))
    text = kind.text.format(detail=detail, runtime_class=f' "{runtime_class}"' if runtime_class else "")
    fix = Fix(kind.fix, who="" if kind.outlook == "final" else PLATFORM_TEAM)
    if kind.name == "sandbox-memory":
        fix = build_fix(facts, facts.program.name, "memory", "64Mi")
    elif kind.name == "sandbox-runtime":
        fix = Fix(kind.fix, patch={"spec": {"runtimeClassName": None}})
    yield build_cause(RULES[kind.name], facts.pod_ref, text, signal, fix, kind.outlook)

"""NetworkPolicies as one table of nftables: from what the API shows to what `nft -f` takes, and nothing else.

A pod that no policy of a direction selects is open in that direction; else only what one of their rules lists passes. A
connection needs both, the way out of where it begins and the way in where it ends; its answers need nothing. What is
refused is dropped without an answer, as most networks do it. The node itself reaches every pod.

Rules for addresses of IPv6 allow nothing, for the local cluster has none, nor does a port by name at an `ipBlock`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

TABLE = "inet network-policies"
REMOVAL = f"table {TABLE}\ndelete table {TABLE}\n"
"""Removes the table, also where there is none."""

_ENDS_BY_ITSELF = "60s"  # after whoever applies the table was killed: the next test is not to suffer from it
_OPERATORS = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, values: value is not None,
    "DoesNotExist": lambda value, values: value is None,
}


@dataclass(frozen=True, eq=False)
class Pod:
    """A pod that has an address.

    Attributes:
        name: namespace and name, for those who read the table.
        namespace: its namespace.
        address: its address.
        labels: its labels.
        zone: the labels of its namespace.
        ports: its ports by name and protocol.
    """

    name: str
    namespace: str
    address: str
    labels: dict[str, str]
    zone: dict[str, str]
    ports: dict[tuple[str, str], int]


def ruleset(policies: Iterable[Object], pods: Iterable[Object], namespaces: Iterable[Object], network: str) -> str:
    """Give the table that enforces policies; it takes the place of the one before in one step.

    Args:
        policies: the NetworkPolicies of all namespaces.
        pods: the pods of all namespaces.
        namespaces: the namespaces.
        network: where all pods have their addresses. One that is in use and that no pod shows yet reaches nothing and
            is not reached, so a pod that has just started is never open by mistake.
    """
    found = _with_addresses(pods, {each["metadata"]["name"]: _labels(each) for each in namespaces})
    listed = sorted(policies, key=lambda policy: (policy["metadata"]["namespace"], policy["metadata"]["name"]))
    out = {pod: rules for pod in found if (rules := _rules(pod, "Egress", listed)) is not None}
    into = {pod: rules for pod in found if (rules := _rules(pod, "Ingress", listed)) is not None}
    chains = [
        *(_chain(pod, "out", _ways_out(pod, rules, found)) for pod, rules in out.items()),
        *(_chain(pod, "in", _ways_in(pod, rules, found)) for pod, rules in into.items()),
    ]
    return "\n".join([REMOVAL, f"table {TABLE} {{", *_frame(found, out, into, network), *chains, "}", ""])


def _with_addresses(pods: Iterable[Object], zones: dict[str, dict[str, str]]) -> list[Pod]:
    """Read the pods that have an address and still use it, those of the node's own network aside."""
    found = []
    for each in pods:
        meta, spec, status = each["metadata"], each["spec"], each.get("status", {})
        if spec.get("hostNetwork") or status.get("phase") in {"Succeeded", "Failed"} or "podIP" not in status:
            continue
        space, name = meta["namespace"], f"{meta['namespace']}/{meta['name']}"
        found.append(Pod(name, space, status["podIP"], _labels(each), zones.get(space, {}), _named_ports(spec)))
    return sorted(found, key=lambda pod: pod.name)


def _labels(item: Object) -> dict[str, str]:
    return dict(item["metadata"].get("labels") or {})


def _named_ports(spec: Object) -> dict[tuple[str, str], int]:
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    ports = [port for container in containers for port in container.get("ports", []) if "name" in port]
    return {(port["name"], port.get("protocol", "TCP")): port["containerPort"] for port in ports}


def _frame(found: list[Pod], out: Iterable[Pod], into: Iterable[Pod], network: str) -> Iterator[str]:
    """What every packet passes: between pods and to the outside by `forward`, to the node by `input`."""
    addresses = ", ".join(pod.address for pod in found)
    elements = f" elements = {{ {addresses} }}" if addresses else ""
    yield f"  set alive {{ type nf_proto; timeout {_ENDS_BY_ITSELF}; elements = {{ ipv4 }} }}"
    yield f"  set pods {{ type ipv4_addr;{elements} }}"
    for hook, ends in {"forward": ("saddr", "daddr"), "input": ("saddr",)}.items():
        yield f"  chain {hook} {{"
        yield f"    type filter hook {hook} priority filter; policy accept;"
        yield "    meta nfproto != @alive accept"
        yield "    ct state established,related accept"
        for end in ends:
            yield f"    ip {end} {network} ip {end} != @pods drop"
        for end in ends:
            if jumps := _jumps(end, out if end == "saddr" else into):
                yield jumps
        yield "  }"


def _jumps(end: str, pods: Iterable[Pod]) -> str:
    way = "out" if end == "saddr" else "in"
    jumps = ", ".join(f"{pod.address} : jump {way}-{pod.address}" for pod in pods)
    return f"    ip {end} vmap {{ {jumps} }}" if jumps else ""


def _chain(pod: Pod, way: str, allowed: Iterable[str]) -> str:
    """Return where something is allowed: the other end has its say as well."""
    itself = f"ip {'daddr' if way == 'out' else 'saddr'} {pod.address}"
    rules = [f"    {match} return" if match else "    return" for match in (itself, *allowed)]
    return "\n".join([f"  # {pod.name}", f"  chain {way}-{pod.address} {{", *rules, "    drop", "  }"])


def _rules(pod: Pod, direction: str, policies: list[Object]) -> list[tuple[str, Object]] | None:
    """The rules of a direction, each with the namespace that it stands in; None where no policy selects the pod."""
    selecting = [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == pod.namespace
        and direction in policy["spec"]["policyTypes"]
        and selects(policy["spec"].get("podSelector", {}), pod.labels)
    ]
    if not selecting:
        return None
    return [(pod.namespace, rule) for policy in selecting for rule in policy["spec"].get(direction.lower()) or []]


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Tell whether a selector of labels selects these."""
    expressions = selector.get("matchExpressions") or []
    return (selector.get("matchLabels") or {}).items() <= labels.items() and all(
        _OPERATORS[each["operator"]](labels.get(each["key"]), each.get("values") or []) for each in expressions
    )


def _ways_in(pod: Pod, rules: list[tuple[str, Object]], pods: list[Pod]) -> Iterator[str]:
    for space, rule in rules:
        for _, others in _peers(rule.get("from"), space, pods, "saddr"):
            for port in rule.get("ports") or [{}]:
                number = port.get("port")
                if not isinstance(number, str):
                    yield _match(others, port, number)
                elif known := pod.ports.get((number, port["protocol"])):
                    yield _match(others, port, known)


def _ways_out(pod: Pod, rules: list[tuple[str, Object]], pods: list[Pod]) -> Iterator[str]:
    """A port by name is another number at each of those that are reached."""
    for space, rule in rules:
        for peers, others in _peers(rule.get("to"), space, pods, "daddr"):
            for port in rule.get("ports") or [{}]:
                number = port.get("port")
                if not isinstance(number, str):
                    yield _match(others, port, number)
                    continue
                for peer in peers:
                    if known := peer.ports.get((number, port["protocol"])):
                        yield _match(f"ip daddr {peer.address}", port, known)


def _peers(peers: list[Object] | None, space: str, pods: list[Pod], end: str) -> Iterator[tuple[list[Pod], str]]:
    """The other ends that a rule lists, each as pods and as what nftables compares; nothing listed is everybody."""
    if not peers:
        yield pods, ""
        return
    for peer in peers:
        if block := peer.get("ipBlock"):
            if ipaddress.ip_network(block["cidr"]).version == 4:
                yield [], _block(block, end)
        elif chosen := [pod for pod in pods if _is_peer(peer, pod, space)]:
            yield chosen, f"ip {end} {{ {', '.join(pod.address for pod in chosen)} }}"


def _block(block: Object, end: str) -> str:
    excepted = ", ".join(block.get("except") or [])
    return f"ip {end} {block['cidr']}" + (f" ip {end} != {{ {excepted} }}" if excepted else "")


def _is_peer(peer: Object, pod: Pod, space: str) -> bool:
    """A selector of pods alone means those of the policy's own namespace."""
    there = selects(peer["namespaceSelector"], pod.zone) if "namespaceSelector" in peer else pod.namespace == space
    return there and selects(peer.get("podSelector") or {}, pod.labels)


def _match(others: str, port: Object, number: int | None) -> str:
    """What nftables compares: the other end, and a port of a rule; no port is every port."""
    words = [others] if others else []
    if number is not None:
        words.append(
            f"{port['protocol'].lower()} dport {number}" + (f"-{port['endPort']}" if "endPort" in port else "")
        )
    elif port:
        words.append(f"meta l4proto {port['protocol'].lower()}")
    return " ".join(words)

"""NetworkPolicies compiled to one nftables table: from objects of the API to the input of `nft -f`.

A pod that no policy selects for a direction is open in that direction; otherwise only what a rule lists is allowed. A
connection must be allowed in both directions: as egress of its source and as ingress of its destination. Responses are
always allowed. Rejected packets are dropped, as most network plugins do. The node can connect to every pod.

Rules for IPv6 addresses allow nothing, because the local cluster has none; neither does a named port at an `ipBlock`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

TABLE = "inet network-policies"
TABLE_DELETION = f"table {TABLE}\ndelete table {TABLE}\n"
"""Deletes the table, even if it does not exist."""

_EXPIRY = "60s"  # so that a killed enforcer does not affect later tests
_OPERATORS = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, values: value is not None,
    "DoesNotExist": lambda value, values: value is None,
}


@dataclass(frozen=True, eq=False)
class Pod:
    """A pod with an IP address.

    Attributes:
        name: namespace and name, for readers of the table.
        namespace: its namespace.
        address: its IP address.
        labels: its labels.
        namespace_labels: the labels of its namespace.
        ports: its ports by name and protocol.
    """

    name: str
    namespace: str
    address: str
    labels: dict[str, str]
    namespace_labels: dict[str, str]
    ports: dict[tuple[str, str], int]


def render_ruleset(
    policies: Iterable[Object], pods: Iterable[Object], namespaces: Iterable[Object], network: str
) -> str:
    """Return the table that enforces policies; it replaces the previous one atomically.

    Args:
        policies: the NetworkPolicies of all namespaces.
        pods: the pods of all namespaces.
        namespaces: the namespaces.
        network: the range of pod addresses. Addresses that no pod has reported yet are blocked, so a pod that has just
            started is never open by mistake.
    """
    known_pods = _read_pods(pods, {item["metadata"]["name"]: _labels(item) for item in namespaces})
    ordered = sorted(policies, key=lambda policy: (policy["metadata"]["namespace"], policy["metadata"]["name"]))
    egress = {pod: rules for pod in known_pods if (rules := _rules(pod, "Egress", ordered)) is not None}
    ingress = {pod: rules for pod in known_pods if (rules := _rules(pod, "Ingress", ordered)) is not None}
    chains = [
        *(_chain(pod, "out", _egress_matches(pod, rules, known_pods)) for pod, rules in egress.items()),
        *(_chain(pod, "in", _ingress_matches(pod, rules, known_pods)) for pod, rules in ingress.items()),
    ]
    return "\n".join(
        [TABLE_DELETION, f"table {TABLE} {{", *_base_chains(known_pods, egress, ingress, network), *chains, "}", ""]
    )


def _read_pods(pods: Iterable[Object], namespace_labels: dict[str, dict[str, str]]) -> list[Pod]:
    """Return running pods with an address of their own, without those of the node's network."""
    result = []
    for item in pods:
        meta, spec, status = item["metadata"], item["spec"], item.get("status", {})
        if spec.get("hostNetwork") or status.get("phase") in {"Succeeded", "Failed"} or "podIP" not in status:
            continue
        namespace, name = meta["namespace"], f"{meta['namespace']}/{meta['name']}"
        labels = namespace_labels.get(namespace, {})
        result.append(Pod(name, namespace, status["podIP"], _labels(item), labels, _named_ports(spec)))
    return sorted(result, key=lambda pod: pod.name)


def _labels(item: Object) -> dict[str, str]:
    return dict(item["metadata"].get("labels") or {})


def _named_ports(spec: Object) -> dict[tuple[str, str], int]:
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    ports = [port for container in containers for port in container.get("ports", []) if "name" in port]
    return {(port["name"], port.get("protocol", "TCP")): port["containerPort"] for port in ports}


def _base_chains(pods: list[Pod], egress: Iterable[Pod], ingress: Iterable[Pod], network: str) -> Iterator[str]:
    """Yield the chains for all packets: `forward` between pods and to other networks, `input` to the node."""
    addresses = ", ".join(pod.address for pod in pods)
    elements = f" elements = {{ {addresses} }}" if addresses else ""
    yield f"  set alive {{ type nf_proto; timeout {_EXPIRY}; elements = {{ ipv4 }} }}"
    yield f"  set pods {{ type ipv4_addr;{elements} }}"
    for hook, ends in {"forward": ("saddr", "daddr"), "input": ("saddr",)}.items():
        yield f"  chain {hook} {{"
        yield f"    type filter hook {hook} priority filter; policy accept;"
        yield "    meta nfproto != @alive accept"
        yield "    ct state established,related accept"
        for end in ends:
            yield f"    ip {end} {network} ip {end} != @pods drop"
        for end in ends:
            if jumps := _jumps(end, egress if end == "saddr" else ingress):
                yield jumps
        yield "  }"


def _jumps(end: str, pods: Iterable[Pod]) -> str:
    direction = "out" if end == "saddr" else "in"
    jumps = ", ".join(f"{pod.address} : jump {direction}-{pod.address}" for pod in pods)
    return f"    ip {end} vmap {{ {jumps} }}" if jumps else ""


def _chain(pod: Pod, direction: str, allowed: Iterable[str]) -> str:
    """Return a pod's chain; allowed packets return, because the other pod's chain must allow them, too."""
    own_address = f"ip {'daddr' if direction == 'out' else 'saddr'} {pod.address}"
    rules = [f"    {match} return" if match else "    return" for match in (own_address, *allowed)]
    return "\n".join([f"  # {pod.name}", f"  chain {direction}-{pod.address} {{", *rules, "    drop", "  }"])


def _rules(pod: Pod, direction: str, policies: list[Object]) -> list[tuple[str, Object]] | None:
    """Return the rules of a direction with their namespaces, or None if no policy selects the pod."""
    selecting = [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == pod.namespace
        and direction in policy["spec"]["policyTypes"]
        and matches_selector(policy["spec"].get("podSelector", {}), pod.labels)
    ]
    if not selecting:
        return None
    return [(pod.namespace, rule) for policy in selecting for rule in policy["spec"].get(direction.lower()) or []]


def matches_selector(selector: Object, labels: dict[str, str]) -> bool:
    """Return whether a label selector matches labels."""
    expressions = selector.get("matchExpressions") or []
    return (selector.get("matchLabels") or {}).items() <= labels.items() and all(
        _OPERATORS[expression["operator"]](labels.get(expression["key"]), expression.get("values") or [])
        for expression in expressions
    )


def _ingress_matches(pod: Pod, rules: list[tuple[str, Object]], pods: list[Pod]) -> Iterator[str]:
    for namespace, rule in rules:
        for _, others in _peers(rule.get("from"), namespace, pods, "saddr"):
            for port in rule.get("ports") or [{}]:
                number = port.get("port")
                if not isinstance(number, str):
                    yield _match(others, port, number)
                elif resolved := pod.ports.get((number, port["protocol"])):
                    yield _match(others, port, resolved)


def _egress_matches(pod: Pod, rules: list[tuple[str, Object]], pods: list[Pod]) -> Iterator[str]:
    """Yield matches per destination pod for named ports, whose numbers differ between pods."""
    for namespace, rule in rules:
        for peers, others in _peers(rule.get("to"), namespace, pods, "daddr"):
            for port in rule.get("ports") or [{}]:
                number = port.get("port")
                if not isinstance(number, str):
                    yield _match(others, port, number)
                    continue
                for peer in peers:
                    if resolved := peer.ports.get((number, port["protocol"])):
                        yield _match(f"ip daddr {peer.address}", port, resolved)


def _peers(peers: list[Object] | None, namespace: str, pods: list[Pod], end: str) -> Iterator[tuple[list[Pod], str]]:
    """Yield the peers of a rule as pods and as nftables match; an empty list means any peer."""
    if not peers:
        yield pods, ""
        return
    for peer in peers:
        if block := peer.get("ipBlock"):
            if ipaddress.ip_network(block["cidr"]).version == 4:
                yield [], _block(block, end)
        elif selected := [pod for pod in pods if _is_peer(peer, pod, namespace)]:
            yield selected, f"ip {end} {{ {', '.join(pod.address for pod in selected)} }}"


def _block(block: Object, end: str) -> str:
    excepted = ", ".join(block.get("except") or [])
    return f"ip {end} {block['cidr']}" + (f" ip {end} != {{ {excepted} }}" if excepted else "")


def _is_peer(peer: Object, pod: Pod, namespace: str) -> bool:
    """Return whether a peer selects a pod; without a namespaceSelector it is limited to the policy's namespace."""
    if "namespaceSelector" in peer:
        is_in_namespace = matches_selector(peer["namespaceSelector"], pod.namespace_labels)
    else:
        is_in_namespace = pod.namespace == namespace
    return is_in_namespace and matches_selector(peer.get("podSelector") or {}, pod.labels)


def _match(others: str, port: Object, number: int | None) -> str:
    """Return the nftables match of a peer and of a rule's port; no port means all ports."""
    words = [others] if others else []
    if number is not None:
        words.append(
            f"{port['protocol'].lower()} dport {number}" + (f"-{port['endPort']}" if "endPort" in port else "")
        )
    elif port:
        words.append(f"meta l4proto {port['protocol'].lower()}")
    return " ".join(words)

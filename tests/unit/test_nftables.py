"""NetworkPolicies compiled to nftables for the cluster tests."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.support.network.nftables import TABLE_DELETION, matches_selector, render_ruleset

Object = dict[str, Any]

NAMESPACES = [{"metadata": {"name": name, "labels": {"zone": name}}} for name in ("shop", "bank")]
FRAME = """
table inet network-policies {
  set alive { type nf_proto; timeout 60s; elements = { ipv4 } }
  set pods { type ipv4_addr; elements = { 10.0.0.3, 10.0.0.1, 10.0.0.2 } }
  chain forward {
    type filter hook forward priority filter; policy accept;
    meta nfproto != @alive accept
    ct state established,related accept
    ip saddr 10.0.0.0/16 ip saddr != @pods drop
    ip daddr 10.0.0.0/16 ip daddr != @pods drop
%s  }
  chain input {
    type filter hook input priority filter; policy accept;
    meta nfproto != @alive accept
    ct state established,related accept
    ip saddr 10.0.0.0/16 ip saddr != @pods drop
%s  }
%s}
"""


def pod(name: str, address: str, port: int, **status: str) -> Object:
    namespace, short = name.split("/")
    container = {"ports": [{"name": "web", "containerPort": port}]}
    return {
        "metadata": {"name": short, "namespace": namespace, "labels": {"app": short}},
        "spec": {"containers": [container]},
        "status": {"podIP": address, **status},
    }


PODS = [
    pod("shop/one", "10.0.0.1", 81),
    pod("shop/two", "10.0.0.2", 82),
    pod("bank/safe", "10.0.0.3", 83),
    pod("shop/ended", "10.0.0.4", 84, phase="Succeeded"),
]


def policy(app: str, **rules: list[Object]) -> Object:
    """Return a policy for the pods with an app label in namespace `shop`."""
    types = [direction.title() for direction in rules]
    spec = {"podSelector": {"matchLabels": {"app": app}}, "policyTypes": types, **rules}
    return {"metadata": {"name": app, "namespace": "shop"}, "spec": spec}


def table(*policies: Object) -> str:
    return render_ruleset(policies, PODS, NAMESPACES, "10.0.0.0/16")


def chain(*policies: Object) -> list[str]:
    """Return the matches that the only chain allows."""
    body = table(*policies).partition("# shop/one\n")[2].splitlines()
    lines = [line.strip() for line in body[1 : body.index("  }")]]
    assert lines[-1] == "drop"
    return lines[1:-1]


def test_pods_without_policies_are_open() -> None:
    assert table() == TABLE_DELETION + FRAME % ("", "", "")


def test_selected_pod_is_closed_in_the_policy_direction() -> None:
    ingress = "  # shop/one\n  chain in-10.0.0.1 {\n    ip saddr 10.0.0.1 return\n    drop\n  }\n"
    jump = "    ip daddr vmap { 10.0.0.1 : jump in-10.0.0.1 }\n"
    assert table(policy("one", ingress=[])) == TABLE_DELETION + FRAME % (jump, "", ingress)
    egress = "  # shop/one\n  chain out-10.0.0.1 {\n    ip daddr 10.0.0.1 return\n    drop\n  }\n"
    jump = "    ip saddr vmap { 10.0.0.1 : jump out-10.0.0.1 }\n"
    assert table(policy("one", egress=[])) == TABLE_DELETION + FRAME % (jump, jump, egress)


WEB, DNS = {"port": "web", "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}
BANK = {"namespaceSelector": {"matchLabels": {"zone": "bank"}}}
TWO = {"podSelector": {"matchLabels": {"app": "two"}}}
BLOCK = {"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.8/32"]}}


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ({}, [""]),
        ({"from": [TWO]}, ["ip saddr { 10.0.0.2 }"]),
        ({"from": [{**BANK, **TWO}]}, []),
        (
            {"from": [BANK], "ports": [WEB, DNS]},
            ["ip saddr { 10.0.0.3 } tcp dport 81", "ip saddr { 10.0.0.3 } udp dport 53"],
        ),
        (
            {"from": [BLOCK], "ports": [{"protocol": "TCP"}]},
            ["ip saddr 192.0.2.0/24 ip saddr != { 192.0.2.8/32 } meta l4proto tcp"],
        ),
        ({"from": [{"ipBlock": {"cidr": "fd00::/8"}}]}, []),
        ({"ports": [{"port": 80, "endPort": 90, "protocol": "TCP"}]}, ["tcp dport 80-90"]),
        ({"ports": [{"port": "unknown", "protocol": "TCP"}]}, []),
    ],
)
def test_ingress_rule_allows_what_it_lists(rule: Object, matches: list[str]) -> None:
    assert chain(policy("one", ingress=[rule])) == [f"{match} return".strip() for match in matches]


def test_egress_named_port_is_resolved_per_destination() -> None:
    assert chain(policy("one", egress=[{"to": [BANK, TWO], "ports": [WEB, DNS]}])) == [
        "ip daddr 10.0.0.3 tcp dport 83 return",
        "ip daddr { 10.0.0.3 } udp dport 53 return",
        "ip daddr 10.0.0.2 tcp dport 82 return",
        "ip daddr { 10.0.0.2 } udp dport 53 return",
    ]


@pytest.mark.parametrize(
    ("expression", "labels"),
    [
        ({"key": "a", "operator": "In", "values": ["x", "y"]}, [{"a": "x"}]),
        ({"key": "a", "operator": "NotIn", "values": ["x", "y"]}, [{"a": "z"}, {}]),
        ({"key": "a", "operator": "Exists"}, [{"a": "x"}, {"a": "z"}]),
        ({"key": "a", "operator": "DoesNotExist"}, [{}]),
    ],
)
def test_expression_selects_matching_labels(expression: Object, labels: list[dict[str, str]]) -> None:
    candidates: list[dict[str, str]] = [{"a": "x"}, {"a": "z"}, {}]
    assert [item for item in candidates if matches_selector({"matchExpressions": [expression]}, item)] == labels

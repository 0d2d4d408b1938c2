"""The API server takes the network policies that the chart renders, and reads in them what the values say.

No connection is tried here; group `network-enforcement` does that.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from common.command import capture_output
from common.errors import ScriptError
from stack.release import CHART, NAMESPACE, RELEASE, Stack

Policy = dict[str, Any]

EGRESS: list[Policy] = [
    {"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"port": 5432}]},
    {"to": [{"ipBlock": {"cidr": "fd00::/8"}}], "ports": [{"port": 8000, "endPort": 8010}, {"port": "web"}]},
    {"to": [{"namespaceSelector": {"matchLabels": {"zone": "data"}}}], "ports": [{"port": 53, "protocol": "UDP"}]},
]
GUARDED = ("api-server", "dag-processor", "postgresql", "scheduler", "triggerer")
INGRESS: list[Policy] = [{"from": [{"podSelector": {}}], "ports": [{"port": 7078}]}]


def rendered(stack: Stack, network: Policy) -> list[Policy]:
    """The policies of a release with one team that has this network, and with one that has a name only."""
    values = json.dumps({"teams": {"open": {"network": network}, "plain": {}}})
    words = [stack.programs / "helm", "template", RELEASE, CHART, "--namespace", NAMESPACE, "--values", "-"]
    objects = yaml.safe_load_all(capture_output(words, stdin=values))
    return [found for found in objects if found and found["kind"] == "NetworkPolicy"]


def accepted(stack: Stack, policy: Policy) -> Policy:
    """The spec as the API server would keep it; nothing is kept, and the teams' namespaces need not be there."""
    moved = {**policy, "metadata": {"name": policy["metadata"]["name"], "namespace": "default"}}
    words = ("create", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-")
    spec: Policy = json.loads(stack.kubectl(*words, stdin=json.dumps(moved)))["spec"]
    return spec


def with_defaults(spec: Policy) -> Policy:
    """The spec as Kubernetes writes it: a port that names no protocol is one of TCP, and an empty list is left out."""
    whole: Policy = json.loads(json.dumps({key: value for key, value in spec.items() if value != []}))
    for rule in [*whole.get("ingress", []), *whole.get("egress", [])]:
        rule["ports"] = [{"protocol": "TCP", **port} for port in rule["ports"]]
    return whole


def test_every_policy_is_kept_as_it_was_rendered(stack: Stack):
    policies = rendered(stack, {"egress": EGRESS, "ingress": INGRESS})
    assert {(policy["metadata"]["namespace"], policy["metadata"]["name"]) for policy in policies} == {
        *((NAMESPACE, f"{RELEASE}-{component}") for component in GUARDED),
        ("team-open", "team"),
        ("team-plain", "team"),
    }
    for policy in policies:
        assert accepted(stack, policy) == with_defaults(policy["spec"]), policy["metadata"]


def test_the_team_s_rules_are_in_its_policy_and_in_no_other(stack: Stack):
    policies = rendered(stack, {"egress": EGRESS, "ingress": INGRESS})
    kept = {each["metadata"]["namespace"]: accepted(stack, each) for each in policies}
    expected = with_defaults({"egress": EGRESS, "ingress": INGRESS})
    assert kept["team-open"]["egress"][-len(EGRESS) :] == expected["egress"]
    assert kept["team-open"]["ingress"] == expected["ingress"]
    assert kept["team-open"]["egress"][: -len(EGRESS)] == kept["team-plain"]["egress"]
    assert "ingress" not in kept["team-plain"]


def test_a_policy_that_says_nonsense_is_refused(stack: Stack):
    """The control: what is tried here is the API server's own judgement of a policy."""
    wrong = [{"to": [{"ipBlock": {"cidr": "10.0.0.0/99"}}], "ports": [{"port": 5432}]}]
    (policy,) = [p for p in rendered(stack, {"egress": wrong}) if p["metadata"]["namespace"] == "team-open"]
    with pytest.raises(ScriptError, match=r'Invalid value: "10\.0\.0\.0/99"'):
        accepted(stack, policy)

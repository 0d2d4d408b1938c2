"""The API server accepts the rendered network policies without changing their meaning.

The group `network-enforcement` tests connections.
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
COMPONENTS = ("api-server", "dag-processor", "postgresql", "scheduler", "triggerer")
INGRESS: list[Policy] = [{"from": [{"podSelector": {}}], "ports": [{"port": 7078}]}]


def render_policies(stack: Stack, network: Policy) -> list[Policy]:
    """Return the policies of a release with a team with these network settings, and a team with defaults."""
    values = json.dumps({"teams": {"open": {"network": network}, "plain": {}}})
    words = [stack.programs / "helm", "template", RELEASE, CHART, "--namespace", NAMESPACE, "--values", "-"]
    objects = yaml.safe_load_all(capture_output(words, stdin=values))
    return [item for item in objects if item and item["kind"] == "NetworkPolicy"]


def dry_run_spec(stack: Stack, policy: Policy) -> Policy:
    """Return the spec that the API server would store, from a dry run.

    Uses the namespace `default`, because the teams' namespaces need not exist.
    """
    default_policy = {**policy, "metadata": {"name": policy["metadata"]["name"], "namespace": "default"}}
    words = ("create", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-")
    spec: Policy = json.loads(stack.kubectl(*words, stdin=json.dumps(default_policy)))["spec"]
    return spec


def with_defaults(spec: Policy) -> Policy:
    """Return the spec with Kubernetes' defaults: protocol TCP, and no empty lists."""
    result: Policy = json.loads(json.dumps({key: value for key, value in spec.items() if value != []}))
    for rule in [*result.get("ingress", []), *result.get("egress", [])]:
        rule["ports"] = [{"protocol": "TCP", **port} for port in rule["ports"]]
    return result


def test_every_policy_is_stored_as_rendered(stack: Stack):
    policies = render_policies(stack, {"egress": EGRESS, "ingress": INGRESS})
    assert {(policy["metadata"]["namespace"], policy["metadata"]["name"]) for policy in policies} == {
        *((NAMESPACE, f"{RELEASE}-{component}") for component in COMPONENTS),
        ("team-open", "team"),
        ("team-plain", "team"),
    }
    for policy in policies:
        assert dry_run_spec(stack, policy) == with_defaults(policy["spec"]), policy["metadata"]


def test_team_rules_are_only_in_the_team_policy(stack: Stack):
    policies = render_policies(stack, {"egress": EGRESS, "ingress": INGRESS})
    specs = {policy["metadata"]["namespace"]: dry_run_spec(stack, policy) for policy in policies}
    expected = with_defaults({"egress": EGRESS, "ingress": INGRESS})
    assert specs["team-open"]["egress"][-len(EGRESS) :] == expected["egress"]
    assert specs["team-open"]["ingress"] == expected["ingress"]
    assert specs["team-open"]["egress"][: -len(EGRESS)] == specs["team-plain"]["egress"]
    assert "ingress" not in specs["team-plain"]


def test_invalid_policy_is_rejected(stack: Stack):
    """Positive control: the API server validates the policies of these tests."""
    invalid_egress = [{"to": [{"ipBlock": {"cidr": "10.0.0.0/99"}}], "ports": [{"port": 5432}]}]
    (policy,) = [
        policy
        for policy in render_policies(stack, {"egress": invalid_egress})
        if policy["metadata"]["namespace"] == "team-open"
    ]
    with pytest.raises(ScriptError, match=r'Invalid value: "10\.0\.0\.0/99"'):
        dry_run_spec(stack, policy)

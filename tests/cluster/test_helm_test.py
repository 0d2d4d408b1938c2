"""`helm test`: a pod per team, and a token without access to other teams."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from common.command import CommandError
from stack.release import NAMESPACE, RELEASE, Stack

POD = f"{RELEASE}-test"


@pytest.fixture(autouse=True)
def clean_up(stack: Stack) -> Iterator[None]:
    """Delete the pods and the rights of each test."""
    yield
    stack.kubectl("delete", "rolebinding", "helm-test-right", "-n", "team-beta", "--ignore-not-found")
    stack.kubectl("delete", "role", "helm-test-right", "-n", "team-beta", "--ignore-not-found")
    stack.kubectl("delete", "pod", POD, "-n", NAMESPACE, "--ignore-not-found", "--grace-period=1")


def run_helm_test(stack: Stack) -> None:
    stack.helm(["test", RELEASE, "--namespace", NAMESPACE, "--timeout", "4m"], lambda _: None, timeout_s=250)


def read_team_lines(stack: Stack) -> list[str]:
    """Return the lines about teams in the log of the test's pod."""
    return [line for line in stack.kubectl("logs", POD, "-n", NAMESPACE).splitlines() if line.startswith("Team ")]


def test_every_team_pod_runs_and_its_token_has_no_rights(stack: Stack):
    run_helm_test(stack)
    assert read_team_lines(stack) == [
        "Team alpha: a pod has returned its result, and its token was tested",
        "Team beta: a pod has returned its result, and its token was tested",
    ]
    remaining = stack.get("pods", "-A", "-l", "dag_id=helm_test")["items"]
    assert [pod["metadata"]["name"] for pod in remaining if "deletionTimestamp" not in pod["metadata"]] == []


def test_access_to_another_team_is_reported(stack: Stack):
    """Positive control: an excessive right is detected, so the refusals above come from the cluster."""
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    meta = {"name": "helm-test-right", "namespace": "team-beta"}
    api = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": meta, "rules": [rule]}
    binding = {
        "apiVersion": f"{api}/v1",
        "kind": "RoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": api, "kind": "Role", "name": "helm-test-right"},
        "subjects": [{"kind": "ServiceAccount", "name": "team-pod", "namespace": "team-alpha"}],
    }
    for item in (role, binding):
        stack.kubectl("apply", "-f", "-", stdin=json.dumps(item))
    with pytest.raises(CommandError):
        run_helm_test(stack)
    # Not necessarily the last line: it is written to stderr, and the node does not order the streams.
    assert "Team alpha: the token may list pods in team-beta. Remove that right" in read_team_lines(stack)

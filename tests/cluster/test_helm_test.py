"""`helm test`: a real pod in every team's namespace, and a team's token that opens no other's door."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from common.command import CommandError
from stack.release import NAMESPACE, RELEASE, Stack

POD = f"{RELEASE}-test"


@pytest.fixture(autouse=True)
def nothing_left(stack: Stack) -> Iterator[None]:
    """Each test's own pods go, and so does what it allowed."""
    yield
    stack.kubectl("delete", "rolebinding", "helmtest-opened", "-n", "team-beta", "--ignore-not-found")
    stack.kubectl("delete", "role", "helmtest-opened", "-n", "team-beta", "--ignore-not-found")
    stack.kubectl("delete", "pod", POD, "-n", NAMESPACE, "--ignore-not-found", "--grace-period=1")


def helm_test(stack: Stack) -> None:
    stack.helm(["test", RELEASE, "--namespace", NAMESPACE, "--timeout", "4m"], lambda _: None, timeout_s=250)


def said(stack: Stack) -> list[str]:
    """What the test's pod wrote about teams."""
    return [line for line in stack.kubectl("logs", POD, "-n", NAMESPACE).splitlines() if line.startswith("team ")]


def test_every_team_s_pod_runs_and_its_token_opens_nothing(stack: Stack):
    helm_test(stack)
    assert said(stack) == [
        "team alpha: its pod handed over its result, and its token was tried",
        "team beta: its pod handed over its result, and its token was tried",
    ]
    left = stack.get("pods", "-A", "-l", "dag_id=helm_test")["items"]
    assert [pod["metadata"]["name"] for pod in left if "deletionTimestamp" not in pod["metadata"]] == []


def test_a_team_that_can_look_into_another_is_found(stack: Stack):
    """The positive control: the refusals above are the cluster's, and a right too much does not pass."""
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    meta = {"name": "helmtest-opened", "namespace": "team-beta"}
    api = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": meta, "rules": [rule]}
    binding = {
        "apiVersion": f"{api}/v1",
        "kind": "RoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": api, "kind": "Role", "name": "helmtest-opened"},
        "subjects": [{"kind": "ServiceAccount", "name": "team-pod", "namespace": "team-alpha"}],
    }
    for item in (role, binding):
        stack.kubectl("apply", "-f", "-", stdin=json.dumps(item))
    with pytest.raises(CommandError):
        helm_test(stack)
    # Not the last line for sure: it comes by stderr, and of two streams the node keeps no order.
    assert "team alpha: its token lists the pods of team-beta" in said(stack)

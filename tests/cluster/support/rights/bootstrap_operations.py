"""What platformctl does with the rights of rbac/bootstrap-operator*.yaml, each operation made so that it needs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cluster.support.rights.operations import Somebody
from stack.airflow_api import AirflowApi
from stack.release import NAMESPACE, Stack
from stack.temporary_teams import LOGIN, publish_teams

OUTSIDE = "mutationout"
"""The namespace of a contract whose team has a connection to another cluster, by the environment."""

_TURN: dict[str, Any] = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "platformctl-bootstrap", "namespace": NAMESPACE},
    "spec": {"holderIdentity": "killed", "leaseDurationSeconds": 1},
}
_CLAIM: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {
        "name": "mutation",
        "namespace": "team-beta",
        "labels": {"app.kubernetes.io/managed-by": "platformctl", "kpo-platform/team": "beta"},
    },
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
}


@contextmanager
def outside(stack: Stack, airflow: AirflowApi) -> Iterator[None]:
    """Have the contract whose connection leads out, and the account in whose name it does."""
    more: dict[str, Any] = {
        "connection": {"id": "k8s_mutation", "mode": "remote", "via": "env"},
        "registry": {"host": "", "pullSecret": "regcred"},
    }
    with publish_teams(stack, airflow, OUTSIDE, teams=1, volumes=0, **more):
        stack.kubectl("create", "serviceaccount", "launcher", "-n", OUTSIDE)
        yield


def take_over(who: Somebody) -> str:
    """Bootstrap after a run that was killed, and give the turn back."""
    stack = who.mutant.stack
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(_TURN))
    said = who.run(who.programs / "platformctl", "bootstrap", "--team", "beta", "--yes")
    name = _TURN["metadata"]["name"]
    left = [each for each in stack.get("leases", "-n", NAMESPACE)["items"] if each["metadata"]["name"] == name]
    stack.kubectl("delete", "lease", name, "-n", NAMESPACE, "--ignore-not-found")
    return f"{said}\nturns left: {len(left)}"


def delete_data(who: Somebody) -> str:
    """Delete what data team beta has: a claim that is nobody's but this test's, and its own, which come back."""
    who.mutant.stack.kubectl("apply", "-f", "-", stdin=json.dumps(_CLAIM))
    return who.run(who.programs / "platformctl", "teams", "delete", "beta", "--delete-data", "--confirm", "beta")


def lead_out(who: Somebody) -> str:
    """Plan a connection to another cluster: everything is tried there and here, and nothing kept."""
    target = ("--target-kubeconfig", who.mutant.kubeconfig, "--target-account", f"{OUTSIDE}/launcher")
    return who.run(who.programs / "platformctl", "bootstrap", "--namespace", OUTSIDE, "--dry-run", *target)


def ask_a_node(who: Somebody) -> str:
    """Bootstrap with a sign-in for a registry that nobody knows: a node is asked."""
    who.mutant.stack.kubectl("delete", "secret", "regcred", "-n", "team-beta", "--ignore-not-found")
    words = ("bootstrap", "--team", "beta", "--yes", "--registry-config", "-")
    return who.run(who.programs / "platformctl", *words, stdin=LOGIN)

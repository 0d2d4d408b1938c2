"""Operations of platformctl, each of which needs rights of rbac/bootstrap-operator*.yaml."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cluster.support.rights.operations import Actor
from stack.airflow_api import AirflowApi
from stack.release import NAMESPACE, Stack
from stack.temporary_teams import LOGIN, publish_teams

REMOTE_NAMESPACE = "mutationout"
"""The namespace of a contract whose team has a remote connection in an environment variable."""

_LEASE: dict[str, Any] = {
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
def publish_remote_team(stack: Stack, airflow: AirflowApi) -> Iterator[None]:
    """Publish a contract with a remote connection, and create its target account."""
    fields: dict[str, Any] = {
        "connection": {"id": "k8s_mutation", "mode": "remote", "via": "env"},
        "registry": {"host": "", "pullSecret": "regcred"},
    }
    with publish_teams(stack, airflow, REMOTE_NAMESPACE, teams=1, volumes=0, **fields):
        stack.kubectl("create", "serviceaccount", "launcher", "-n", REMOTE_NAMESPACE)
        yield


def take_over_lease(actor: Actor) -> str:
    """Run bootstrap after a killed run, which takes over its Lease."""
    stack = actor.account.stack
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(_LEASE))
    output = actor.run(actor.programs / "platformctl", "bootstrap", "--team", "beta", "--yes")
    name = _LEASE["metadata"]["name"]
    leases = [item for item in stack.get("leases", "-n", NAMESPACE)["items"] if item["metadata"]["name"] == name]
    stack.kubectl("delete", "lease", name, "-n", NAMESPACE, "--ignore-not-found")
    return f"{output}\nleases left: {len(leases)}"


def delete_data(actor: Actor) -> str:
    """Delete the data of team beta.

    That is a claim of this test, and the team's own, which bootstrap creates again.
    """
    actor.account.stack.kubectl("apply", "-f", "-", stdin=json.dumps(_CLAIM))
    return actor.run(actor.programs / "platformctl", "teams", "delete", "beta", "--delete-data", "--confirm", "beta")


def plan_remote_connection(actor: Actor) -> str:
    """Plan a remote connection, which checks the target cluster and writes nothing."""
    target = ("--target-kubeconfig", actor.account.kubeconfig, "--target-account", f"{REMOTE_NAMESPACE}/launcher")
    return actor.run(actor.programs / "platformctl", "bootstrap", "--namespace", REMOTE_NAMESPACE, "--dry-run", *target)


def check_login_on_node(actor: Actor) -> str:
    """Run bootstrap with a login for an unknown registry, which a node checks."""
    actor.account.stack.kubectl("delete", "secret", "regcred", "-n", "team-beta", "--ignore-not-found")
    words = ("bootstrap", "--team", "beta", "--yes", "--registry-config", "-")
    return actor.run(actor.programs / "platformctl", *words, stdin=LOGIN)

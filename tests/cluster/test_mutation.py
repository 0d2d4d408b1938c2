"""Necessity of every right in rbac/: an operation fails without it.

The operations are real: a task of TeamPodOperator, a command of platformctl, a chart script, a kubectl command of a
team's owner. Each runs with the complete role first, then without the right. A right without an operation in the table
below fails the test.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.support.pods.sleeper import POD
from cluster.support.rights.bootstrap_operations import (
    REMOTE_NAMESPACE,
    check_login_on_node,
    delete_data,
    plan_remote_connection,
    publish_remote_team,
    take_over_lease,
)
from cluster.support.rights.operations import (
    TEAM,
    Actor,
    Operation,
    bootstrap_team,
    create_secret,
    delete_finished_pod,
    get_first,
    handle_worker_pod,
    list_teams,
    read_operations,
    run_doctor,
    run_kubectl,
    run_task,
)
from cluster.support.rights.reduced_account import ReducedAccount, Right, list_rights, read_role, rules_without
from common.paths import REPOSITORY
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.install import run_bootstrap
from stack.release import NAMESPACE, Stack

NAMESPACES: dict[str, tuple[str, ...]] = {
    "pod-launcher": (TEAM,),
    "pod-cleaner": (TEAM,),
    "team-developer": (TEAM,),
    "bootstrap-operator": ("team-beta", f"{REMOTE_NAMESPACE}-0"),
    "bootstrap-operator-release": (NAMESPACE, REMOTE_NAMESPACE),
    "bootstrap-operator-cluster": ("",),
    "bootstrap-operator-delete": ("team-beta",),
    "bootstrap-operator-environment": (NAMESPACE,),
    "bootstrap-operator-registry": ("team-beta",),
    "bootstrap-operator-target": (REMOTE_NAMESPACE,),
    "doctor": (NAMESPACE,),
    "secret-maker": (NAMESPACE,),
    "worker-launcher": (NAMESPACE,),
    "node-reader": ("",),
}
"""The namespaces of each role's binding."""

TEST_OBJECTS: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {**POD, "metadata": {"name": "mutation"}},
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "mutation"}, "spec": {"limits": []}},
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "mutation"}, "spec": {"hard": {}}},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "mutation"},
            "spec": {
                "storageClassName": "mutation-none",
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Mi"}},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": "mutation"},
            "spec": {
                "storageClassName": "mutation-other",
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "1Mi"},
                "hostPath": {"path": "/nonexistent"},
            },
        },
    ],
}
"""Objects to read in the team's namespace, and a volume of the cluster."""

_BOOTSTRAP = ("bootstrap-operator", "bootstrap-operator-release", "bootstrap-operator-cluster")
_REMOTE = ("bootstrap-operator-environment", "bootstrap-operator-target")
COMBINED_ROLES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_BOOTSTRAP, _BOOTSTRAP),
    **dict.fromkeys(_REMOTE, (*_BOOTSTRAP, *_REMOTE)),
    "bootstrap-operator-delete": (
        "bootstrap-operator-release",
        "bootstrap-operator-cluster",
        "bootstrap-operator-delete",
    ),
    "bootstrap-operator-registry": (*_BOOTSTRAP, "bootstrap-operator-registry"),
}
"""Roles that are granted together."""


_NODE_CHECK_RIGHTS = [
    *((verb, "pods") for verb in ("create", "delete", "get", "patch")),
    *((verb, "secrets") for verb in ("create", "delete", "patch")),
]
"""The rights for checking a registry login on a node."""

_DOCTOR_RESOURCES = ("configmaps", "cronjobs", "deployments", "events", "jobs", "pods", "statefulsets")
"""The resources that doctor lists."""

WAITING, FAILING, DEFERRED, STOCK, RETRIED, UNBOUND = map(
    run_task, ("waiting", "failing", "deferred", "stock", "retried", "unbound")
)

OPERATIONS: dict[str, dict[tuple[str, str], Operation]] = {
    "pod-launcher": {
        **{(verb, "pods"): WAITING for verb in ("create", "delete", "watch")},
        ("get", "pods"): DEFERRED,
        ("list", "pods"): RETRIED,
        ("patch", "pods"): FAILING,
        ("get", "pods/log"): WAITING,
        **{(verb, "pods/exec"): WAITING for verb in ("create", "get")},
        ("get", "persistentvolumeclaims"): UNBOUND,
        ("list", "events"): FAILING,
        ("watch", "events"): STOCK,
    },
    "pod-cleaner": {("list", "pods"): delete_finished_pod, ("delete", "pods"): delete_finished_pod},
    "secret-maker": {("create", "secrets"): create_secret},
    "worker-launcher": {(verb, "pods"): handle_worker_pod for verb in ("create", "delete", "list", "patch", "watch")},
    "team-developer": {
        **read_operations("pods", "mutation"),
        ("delete", "pods"): run_kubectl("delete pod mutation --dry-run=server"),
        ("get", "pods/log"): run_kubectl("logs mutation"),
        **read_operations("events", "{event}"),
        **read_operations("limitranges", "mutation"),
        **read_operations("resourcequotas", "mutation"),
        **read_operations("persistentvolumeclaims", "data"),
    },
    "bootstrap-operator": {
        **{(verb, "secrets"): bootstrap_team for verb in ("create", "get", "patch")},
        **{(verb, "persistentvolumeclaims"): bootstrap_team for verb in ("create", "list", "patch")},
    },
    "bootstrap-operator-release": {
        ("list", "configmaps"): bootstrap_team,
        ("get", "secrets"): bootstrap_team,
        ("get", "services"): bootstrap_team,
        ("list", "pods"): bootstrap_team,
        **{(verb, "pods/portforward"): bootstrap_team for verb in ("create", "get")},
        **{(verb, "leases"): bootstrap_team for verb in ("create", "get")},
        **{(verb, "leases"): take_over_lease for verb in ("update", "delete")},
    },
    "bootstrap-operator-delete": {(verb, "persistentvolumeclaims"): delete_data for verb in ("delete", "get", "list")},
    "bootstrap-operator-environment": {
        (verb, "secrets"): plan_remote_connection for verb in ("create", "get", "patch")
    },
    "bootstrap-operator-registry": dict.fromkeys(_NODE_CHECK_RIGHTS, check_login_on_node),
    "bootstrap-operator-target": {("create", "serviceaccounts/token"): plan_remote_connection},
    "node-reader": {
        ("list", "nodes"): run_kubectl("get nodes"),
        ("list", "storageclasses"): run_kubectl("get storageclasses"),
        ("get", "persistentvolumes"): run_kubectl("get persistentvolumes mutation"),
        **{("get", kind): get_first(kind) for kind in ("nodes", "storageclasses")},
    },
    "doctor": {("get", "secrets"): run_doctor, **{("list", kind): run_doctor for kind in _DOCTOR_RESOURCES}},
    "bootstrap-operator-cluster": {
        ("get", "namespaces"): bootstrap_team,
        ("list", "namespaces"): list_teams,
        ("list", "storageclasses"): bootstrap_team,
    },
}

REFUSED = r'cannot \w+ resource|HTTP Error 403|"raised": "ApiException'
"""A pattern that no operation outputs if it has all rights."""

MISSING_RIGHT_SIGNS: dict[tuple[str, str, str], str] = {
    ("pod-launcher", "delete", "pods"): r"pods left: 1",
    ("pod-launcher", "patch", "pods"): r"marked as handled: no",
    ("pod-launcher", "get", "persistentvolumeclaims"): r"found no node within 10 s(?!.*mutation-none)",
    **{("pod-launcher", verb, "pods/exec"): "Cannot read the result of pod .*: HTTP 403" for verb in ("create", "get")},
    **{
        ("bootstrap-operator-release", verb, "pods/portforward"): "Cannot get and create pods/portforward"
        for verb in ("create", "get")
    },
    ("bootstrap-operator-release", "delete", "leases"): r"leases left: 1",
    **{
        ("bootstrap-operator-registry", *right): "this needs the rights of rbac/bootstrap-operator-registry"
        for right in _NODE_CHECK_RIGHTS
    },
    ("doctor", "get", "secrets"): r"not checked: no right to get it",
    ("pod-cleaner", "list", "pods"): r"(?s)in list_pods.*HTTP Error 403",
    ("pod-cleaner", "delete", "pods"): r"(?s)in delete_pod.*HTTP Error 403",
    ("secret-maker", "create", "secrets"): r"HTTP Error 403",
    ("worker-launcher", "patch", "pods"): r'"marked": false',
}
"""The output of operations that continue without the right; others repeat the API server's refusal."""


def missing_right_sign(right: Right) -> str:
    refusal = rf'cannot {right.verb} resource [\\"]*{right.resource}[\\"]* in API group'
    return MISSING_RIGHT_SIGNS.get((right.role, right.verb, right.resource), refusal)


@pytest.fixture(scope="module")
def actor(
    stack: Stack,
    airflow: AirflowApi,
    programs: Path,
    namespace_factory: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Actor]:
    """The account, and objects to read in team alpha's namespace."""
    folder = tmp_path_factory.mktemp("account")
    contract = folder / "contract.json"
    contract.write_text(json.dumps(stack.read_contract()))
    account = ReducedAccount.create(stack, str(namespace_factory("mutation").name), folder)
    try:
        stack.kubectl("apply", "-n", TEAM, "-f", "-", stdin=json.dumps(TEST_OBJECTS))
        stack.kubectl("wait", "pod/mutation", "-n", TEAM, "--for=condition=Ready", "--timeout=60s", timeout_s=70)
        with publish_remote_team(stack, airflow):
            yield Actor(account, contract, programs)
    finally:
        account.revoke_grants()
        kinds = "pod,limitrange,resourcequota,persistentvolumeclaim,persistentvolume"
        stack.kubectl("delete", kinds, "mutation", "-n", TEAM, "--ignore-not-found", "--grace-period=1")
        stack.kubectl("delete", "secret", "mutation", "-n", NAMESPACE, "--ignore-not-found")
        stack.kubectl("delete", "pvc", "mutation", "-n", "team-beta", "--ignore-not-found")
        run_bootstrap(Steps(), stack, programs)


@pytest.fixture(scope="module")
def control(actor: Actor) -> Callable[[Operation], str]:
    """Returns the output of an operation with all rights; runs each operation once."""
    outputs: dict[Operation, str] = {}

    def run(operation: Operation) -> str:
        if operation not in outputs:
            outputs[operation] = operation(actor)
        return outputs[operation]

    return run


def grant_role(actor: Actor, role: str) -> None:
    """Grant the account exactly this role and those that are granted with it."""
    actor.account.revoke_grants()
    for combined_role in COMBINED_ROLES.get(role, (role,)):
        actor.account.grant(combined_role, read_role(combined_role), NAMESPACES[combined_role])


@pytest.mark.parametrize("right", [pytest.param(right, id=str(right)) for right in list_rights()])
def test_operation_fails_without_the_right(actor: Actor, control: Callable[[Operation], str], right: Right) -> None:
    operation = OPERATIONS[right.role][right.verb, right.resource]
    namespace = NAMESPACES[right.role][0]
    grant_role(actor, right.role)
    actor.account.wait_until_decided(right, namespace, allowed=True)
    complete = control(operation)
    assert not re.search(missing_right_sign(right), complete), complete
    assert not re.search(REFUSED, complete), complete
    actor.account.grant(right.role, rules_without(right), NAMESPACES[right.role])
    actor.account.wait_until_decided(right, namespace, allowed=False)
    incomplete = operation(actor)
    assert re.search(missing_right_sign(right), incomplete), incomplete


def test_every_role_is_tested_and_team_pod_has_no_rights() -> None:
    roles = {file.stem for file in (REPOSITORY / "rbac").glob("*.yaml")}
    assert roles - {right.role for right in list_rights()} == {"team-pod"}

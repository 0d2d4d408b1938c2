"""No right is too many: each verb of each rule under rbac/ is taken away in turn, and something of the product breaks.

What breaks is always a real operation: a task of TeamPodOperator, a command of platformctl, the clean-up script, a
command of kubectl as docs/teams.md gives it to a team's people. It works with the whole role first, then without the
one right. A right without an operation in the table below fails the test.
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

PLACES: dict[str, tuple[str, ...]] = {
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
}
"""Where each role is bound."""

THINGS: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {**POD, "metadata": {"name": "mutation"}},
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "mutation"}, "spec": {"limits": []}},
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "mutation"}, "spec": {"hard": {}}},
    ],
}
"""What there is to be looked at in the team's namespace."""

_BOOTSTRAP = ("bootstrap-operator", "bootstrap-operator-release", "bootstrap-operator-cluster")
_OUTSIDE = ("bootstrap-operator-environment", "bootstrap-operator-target")
TOGETHER: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_BOOTSTRAP, _BOOTSTRAP),
    **dict.fromkeys(_OUTSIDE, (*_BOOTSTRAP, *_OUTSIDE)),
    "bootstrap-operator-delete": ("bootstrap-operator-release", "bootstrap-operator-delete"),
    "bootstrap-operator-registry": (*_BOOTSTRAP, "bootstrap-operator-registry"),
}
"""Roles that the same person has."""


_OF_A_NODE = [
    *((verb, "pods") for verb in ("create", "delete", "get", "patch")),
    *((verb, "secrets") for verb in ("create", "delete", "patch")),
]
"""The rights by which a node is asked about a registry."""

_DOCTORED = ("configmaps", "cronjobs", "deployments", "jobs", "pods", "statefulsets")
"""What a doctor lists."""

WAITING, FAILING, DEFERRED = run_task("waiting"), run_task("failing"), run_task("deferred")

OPERATIONS: dict[str, dict[tuple[str, str], Operation]] = {
    "pod-launcher": {
        **{(verb, "pods"): WAITING for verb in ("create", "delete", "get", "list")},
        ("patch", "pods"): FAILING,
        ("get", "pods/log"): WAITING,
        **{(verb, "pods/exec"): WAITING for verb in ("create", "get")},
        ("list", "events"): FAILING,
        ("watch", "events"): DEFERRED,
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
    "bootstrap-operator-registry": dict.fromkeys(_OF_A_NODE, check_login_on_node),
    "bootstrap-operator-target": {("create", "serviceaccounts/token"): plan_remote_connection},
    "doctor": {("get", "secrets"): run_doctor, **{("list", kind): run_doctor for kind in _DOCTORED}},
    "bootstrap-operator-cluster": {
        ("get", "namespaces"): bootstrap_team,
        ("list", "namespaces"): list_teams,
        ("list", "storageclasses"): bootstrap_team,
    },
}

REFUSED = r'cannot \w+ resource|HTTP Error 403|"raised": "ApiException'
"""What no operation says that had all its rights."""

SIGNS: dict[tuple[str, str, str], str] = {
    ("pod-launcher", "delete", "pods"): r"pods left: 1",
    ("pod-launcher", "patch", "pods"): r"marked as handled: no",
    # The client library trips over the refusal of a websocket: it has no body to decode.
    **{
        ("pod-launcher", verb, "pods/exec"): r"'NoneType' object has no attribute 'decode'"
        for verb in ("create", "get")
    },
    **{
        ("bootstrap-operator-release", verb, "pods/portforward"): "You may not get and create pods/portforward"
        for verb in ("create", "get")
    },
    ("bootstrap-operator-release", "delete", "leases"): r"leases left: 1",
    **{
        ("bootstrap-operator-registry", *right): "that needs the rights of rbac/bootstrap-operator-registry"
        for right in _OF_A_NODE
    },
    ("doctor", "get", "secrets"): r"takes the right to get it",
    ("pod-cleaner", "list", "pods"): r"(?s)in finished_pods.*HTTP Error 403",
    ("pod-cleaner", "delete", "pods"): r"(?s)in remove.*HTTP Error 403",
    ("secret-maker", "create", "secrets"): r"HTTP Error 403",
    ("worker-launcher", "patch", "pods"): r'"marked": false',
}
"""What is seen where the product goes on without the right, worse than before; elsewhere it repeats the refusal."""


def sign_of(right: Right) -> str:
    refusal = rf'cannot {right.verb} resource [\\"]*{right.resource}[\\"]* in API group'
    return SIGNS.get((right.role, right.verb, right.resource), refusal)


@pytest.fixture(scope="module")
def somebody(
    stack: Stack,
    airflow: AirflowApi,
    programs: Path,
    namespace_factory: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Actor]:
    """The account, and what there is to be looked at in team alpha's namespace."""
    folder = tmp_path_factory.mktemp("mutant")
    contract = folder / "contract.json"
    contract.write_text(json.dumps(stack.read_contract()))
    mutant = ReducedAccount.create(stack, str(namespace_factory("mutation").name), folder)
    try:
        stack.kubectl("apply", "-n", TEAM, "-f", "-", stdin=json.dumps(THINGS))
        stack.kubectl("wait", "pod/mutation", "-n", TEAM, "--for=condition=Ready", "--timeout=60s", timeout_s=70)
        with publish_remote_team(stack, airflow):
            yield Actor(mutant, contract, programs)
    finally:
        mutant.revoke_grants()
        kinds = "pod,limitrange,resourcequota"
        stack.kubectl("delete", kinds, "mutation", "-n", TEAM, "--ignore-not-found", "--grace-period=1")
        stack.kubectl("delete", "secret", "mutation", "-n", NAMESPACE, "--ignore-not-found")
        stack.kubectl("delete", "pvc", "mutation", "-n", "team-beta", "--ignore-not-found")
        run_bootstrap(Steps(), stack, programs)


@pytest.fixture(scope="module")
def control(somebody: Actor) -> Callable[[Operation], str]:
    """Gives what an operation says where nothing is missing; each is run once."""
    said: dict[Operation, str] = {}

    def run(operation: Operation) -> str:
        if operation not in said:
            said[operation] = operation(somebody)
        return said[operation]

    return run


def grant_everything(somebody: Actor, role: str) -> None:
    """Give somebody this role and those that go with it, and nothing else."""
    somebody.account.revoke_grants()
    for each in TOGETHER.get(role, (role,)):
        somebody.account.grant(each, read_role(each), PLACES[each])


@pytest.mark.parametrize("right", [pytest.param(right, id=str(right)) for right in list_rights()])
def test_without_this_right_something_breaks(
    somebody: Actor, control: Callable[[Operation], str], right: Right
) -> None:
    operation = OPERATIONS[right.role][right.verb, right.resource]
    place = PLACES[right.role][0]
    grant_everything(somebody, right.role)
    somebody.account.wait_until_decided(right, place, allowed=True)
    whole = control(operation)
    assert not re.search(sign_of(right), whole), whole
    assert not re.search(REFUSED, whole), whole
    somebody.account.grant(right.role, rules_without(right), PLACES[right.role])
    somebody.account.wait_until_decided(right, place, allowed=False)
    broken = operation(somebody)
    assert re.search(sign_of(right), broken), broken


def test_every_role_is_tried_and_that_of_the_teams_pods_has_no_rights() -> None:
    roles = {file.stem for file in (REPOSITORY / "rbac").glob("*.yaml")}
    assert roles - {right.role for right in list_rights()} == {"team-pod"}

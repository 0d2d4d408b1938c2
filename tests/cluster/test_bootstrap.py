"""platformctl bootstrap on the cluster: its objects exist, and a second run changes nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.command import CommandError, capture_output
from common.paths import REPOSITORY
from stack.airflow_api import AirflowApi
from stack.release import Stack

TEAMS = ["alpha", "beta"]


def test_second_run_changes_nothing(stack: Stack, programs: Path):
    words = [programs / "platformctl", "bootstrap", "--dry-run", "--detailed-exitcode", "-o", "json"]
    plan = json.loads(capture_output(words, env=stack.environment, timeout_s=120))
    assert {action["action"] for action in plan["actions"]} == {"unchanged"}
    assert len(plan["actions"]) == 5  # a secret and a claim per team, and one connection


@pytest.mark.parametrize("team", TEAMS)
def test_each_team_has_the_secret_of_its_registry(stack: Stack, team: str):
    secret = stack.get("secret", "regcred", "-n", f"team-{team}")
    config = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))
    assert (secret["type"], list(config["auths"])) == (
        "kubernetes.io/dockerconfigjson",
        ["registry.kpo-platform.test"],
    )


@pytest.mark.parametrize("team", TEAMS)
def test_each_team_has_its_claim(stack: Stack, team: str):
    claim = stack.get("pvc", "data", "-n", f"team-{team}")
    assert claim["spec"]["resources"]["requests"]["storage"] == "100Mi"
    assert claim["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "platformctl"


def test_connection_has_a_sidecar_that_restricted_allows(airflow: AirflowApi):
    connection = airflow.get("connections/k8s_default")
    extra = json.loads(connection["extra"])
    assert connection["conn_type"] == "kubernetes"
    assert extra["in_cluster"] is True
    assert extra["xcom_sidecar_container_image"] == "localhost/kpo-platform/xcom-sidecar:12"
    context = json.loads(extra["xcom_sidecar_container_security_context"])
    assert context["allowPrivilegeEscalation"] is False


ROLES = {
    "bootstrap-operator": ("team-alpha", "team-beta"),
    "bootstrap-operator-release": ("airflow",),
    "bootstrap-operator-cluster": (),
}
"""The roles that docs/bootstrap.md binds, and their namespaces."""


@pytest.fixture(scope="module")
def operator(stack: Stack, namespace_factory: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A kubeconfig with the rights of rbac/bootstrap-operator*.yaml and no others."""
    namespace = str(namespace_factory("bootstrap-operator").name)
    apply(stack, "create", "serviceaccount", "operator", "-n", namespace)
    for role, namespaces in ROLES.items():
        stack.kubectl("apply", "-f", REPOSITORY / "rbac" / f"{role}.yaml")
        subjects = (role, f"--clusterrole={role}", f"--serviceaccount={namespace}:operator")
        for bound_namespace in namespaces:
            apply(stack, "create", "rolebinding", *subjects, "-n", bound_namespace)
        if not namespaces:
            apply(stack, "create", "clusterrolebinding", *subjects)
    yield stack.write_account_kubeconfig("operator", namespace, tmp_path_factory.mktemp("operator"))
    for role, namespaces in ROLES.items():
        stack.kubectl("delete", "clusterrole,clusterrolebinding", role, "--ignore-not-found")
        for namespace in namespaces:
            stack.kubectl("delete", "rolebinding", role, "-n", namespace, "--ignore-not-found")


def apply(stack: Stack, *words: str) -> None:
    """Run `kubectl create …` idempotently."""
    stack.kubectl("apply", "-f", "-", stdin=stack.kubectl(*words, "--dry-run=client", "-o", "json"))


def test_bootstrap_operator_has_sufficient_rights(stack: Stack, programs: Path, operator: Path):
    """Recreates team beta's claim, which is empty and not in use."""
    stack.kubectl("delete", "pvc", "data", "-n", "team-beta", "--wait=true")
    words = [programs / "platformctl", "bootstrap", "--yes", "-o", "json"]
    result = json.loads(capture_output(words, env={"KUBECONFIG": str(operator)}, timeout_s=120))
    created = [action["target"] for action in result["actions"] if action["action"] == "create"]
    assert (result["applied"], created) == (
        True,
        [{"kind": "PersistentVolumeClaim", "namespace": "team-beta", "name": "data"}],
    )
    assert stack.get("pvc", "data", "-n", "team-beta")["status"]["phase"] == "Pending"


@pytest.mark.parametrize(
    "words",
    [
        "get secrets",
        "get secret own",
        "apply --server-side -f -",
        "create secret generic more",
        "delete secret regcred",
    ],
)
def test_bootstrap_operator_has_rights_on_the_pull_secret_only(stack: Stack, operator: Path, words: str):
    own = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "own", "namespace": "team-alpha"}}
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(own))
    try:
        with pytest.raises(CommandError, match=r"secrets.* is forbidden: .* cannot"):
            options = ("-n", "team-alpha", "--kubeconfig", operator)
            stack.kubectl(*words.split(), *options, stdin=json.dumps({**own, "stringData": {"key": "value"}}))
    finally:
        stack.kubectl("delete", "secret", "own", "-n", "team-alpha")


def test_missing_right_is_named_and_nothing_is_written(stack: Stack, programs: Path, operator: Path):
    words = [programs / "platformctl", "bootstrap", "--yes"]
    stack.kubectl("delete", "pvc", "data", "-n", "team-beta", "--wait=true")
    stack.kubectl("delete", "rolebinding", "bootstrap-operator", "-n", "team-beta")
    try:
        with pytest.raises(CommandError) as error:
            capture_output(words, env={"KUBECONFIG": str(operator)}, timeout_s=120)
        remaining = [item["metadata"]["name"] for item in stack.get("pvc,leases", "-n", "team-beta")["items"]]
        remaining += [item["metadata"]["name"] for item in stack.get("leases", "-n", "airflow")["items"]]
    finally:
        capture_output(words, env=stack.environment, timeout_s=120)
    assert remaining == []
    assert stack.get("pvc", "data", "-n", "team-beta")["status"]["phase"] == "Pending"
    assert error.value.code == 3
    assert "Error: Cannot get secrets/regcred in namespace team-beta: " in error.value.output
    assert ". Ask for the rights of rbac/bootstrap-operator.yaml." in error.value.output

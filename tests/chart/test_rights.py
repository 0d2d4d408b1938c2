"""Rendered roles and bindings are those under rbac/, and no others."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from chart.objects import read_generated_secrets
from chart.rendering import CHART, ROOT, TWO_TEAMS, Object, find_object, load_role, render
from kpo_platform.bootstrap import lease
from kpo_platform.bootstrap.registry import node_check

ROLES = sorted(path.stem for path in (ROOT / "rbac").glob("*.yaml"))


@pytest.mark.parametrize("namespace", ["team-alpha", "data-beta"])
def test_airflow_has_the_role_pod_launcher_in_team_namespaces(namespace: str) -> None:
    role = find_object(render(TWO_TEAMS), "Role", "pod-launcher", namespace)
    assert role["rules"] == load_role("pod-launcher")["rules"]


@pytest.mark.parametrize("namespace", ["team-alpha", "data-beta"])
def test_only_scheduler_and_triggerer_may_launch_pods(namespace: str) -> None:
    binding = find_object(render(TWO_TEAMS), "RoleBinding", "pod-launcher", namespace)
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": "pod-launcher",
    }
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "airflow-scheduler", "namespace": "airflow"},
        {"kind": "ServiceAccount", "name": "airflow-triggerer", "namespace": "airflow"},
    ]


def test_default_values_grant_no_other_roles() -> None:
    objects = [
        (item["kind"], item["metadata"]["namespace"], item["metadata"]["name"])
        for item in render(TWO_TEAMS)
        if "rbac.authorization.k8s.io" in item["apiVersion"]
    ]
    assert sorted(objects) == [
        ("Role", "airflow", "airflow-secrets"),
        ("Role", "data-beta", "pod-launcher"),
        ("Role", "team-alpha", "pod-launcher"),
        ("RoleBinding", "airflow", "airflow-secrets"),
        ("RoleBinding", "data-beta", "pod-launcher"),
        ("RoleBinding", "team-alpha", "pod-launcher"),
    ]


WITH_OWNERS: Object = {
    "teams": {"alpha": {"owners": [{"group": "data"}, {"user": "ada@example.com"}], "cleanup": {"maxAge": 60}}}
}
JOBS = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get"]}


def test_owners_get_the_role_team_developer() -> None:
    objects = render(WITH_OWNERS)
    assert find_object(objects, "Role", "team-developer", "team-alpha")["rules"] == load_role("team-developer")["rules"]
    binding = find_object(objects, "RoleBinding", "team-developer", "team-alpha")
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "team-developer"}
    assert binding["subjects"] == [
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "data"},
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ada@example.com"},
    ]


def test_pod_cleaner_is_granted_for_teams_with_cleanup_only() -> None:
    values = {"teams": {"alpha": {"cleanup": {"maxAge": 60}}, "beta": {}}}
    objects = render(values)
    namespaces = [item["metadata"]["namespace"] for item in objects if item["metadata"]["name"] == "pod-cleaner"]
    assert namespaces == ["team-alpha", "team-alpha"]
    assert find_object(objects, "Role", "pod-cleaner", "team-alpha")["rules"] == load_role("pod-cleaner")["rules"]
    assert find_object(objects, "RoleBinding", "pod-cleaner", "team-alpha")["subjects"] == [
        {"kind": "ServiceAccount", "name": "airflow-cleanup", "namespace": "airflow"}
    ]


def test_extra_rules_are_added_and_exec_is_removed() -> None:
    rules = load_role("pod-launcher")["rules"]
    values = {"teams": {"alpha": {"rbac": {"exec": False, "extraRules": [JOBS]}}, "beta": {}}}
    without = [rule for rule in rules if rule["resources"] != ["pods/exec"]]
    assert find_object(render(values), "Role", "pod-launcher", "team-alpha")["rules"] == [*without, JOBS]
    assert find_object(render(values), "Role", "pod-launcher", "team-beta")["rules"] == rules


def test_scope_cluster_binds_shared_rules_in_team_namespaces() -> None:
    values = {"rbac": {"scope": "cluster"}, "teams": {"alpha": {}, "beta": {"rbac": {"extraRules": [JOBS]}}}}
    objects = render(values)
    kinds = {item["kind"] for item in objects}
    names = ("pod-launcher", "pod-cleaner", "team-developer")
    assert "ClusterRoleBinding" not in kinds
    assert {item["metadata"]["name"]: item["rules"] for item in objects if item["kind"] == "ClusterRole"} == {
        f"airflow-airflow-{name}": load_role(name)["rules"] for name in names
    }
    assert find_object(objects, "RoleBinding", "airflow-airflow-pod-launcher", "team-alpha")["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "airflow-airflow-pod-launcher",
    }
    assert find_object(objects, "RoleBinding", "pod-launcher", "team-beta")["roleRef"]["kind"] == "Role"
    roles = [item["metadata"]["namespace"] for item in objects if item["kind"] == "Role"]
    assert sorted(roles) == ["airflow", "team-beta"]


def test_changed_scope_creates_new_bindings() -> None:
    def bindings(values: Object) -> set[tuple[str, str]]:
        items = [item for item in render({**WITH_OWNERS, **values}) if item["kind"] == "RoleBinding"]
        return {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items}

    assert bindings({}) & bindings({"rbac": {"scope": "cluster"}}) == {("airflow", "airflow-secrets")}


def test_secrets_job_may_only_create_secrets() -> None:
    role = find_object(render(), "Role", "airflow-secrets")
    assert role["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}]
    binding = find_object(render(), "RoleBinding", "airflow-secrets")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "airflow-secrets", "namespace": "airflow"}]


def test_no_role_of_airflow_may_read_secrets() -> None:
    for name in ("pod-cleaner", "pod-launcher", "team-pod", "team-developer"):
        resources = [resource for rule in load_role(name)["rules"] for resource in rule["resources"]]
        assert "secrets" not in resources, name


@pytest.mark.parametrize("name", ROLES)
def test_no_rule_has_a_wildcard(name: str) -> None:
    assert "*" not in str(load_role(name)["rules"])


@pytest.mark.parametrize("name", ROLES)
def test_every_rule_has_a_reason(name: str) -> None:
    text = (ROOT / "rbac" / f"{name}.yaml").read_text()
    reasons = re.findall(r"^  # why: .+\n(?:  # .+\n)*  - apiGroups:", text, flags=re.MULTILINE)
    assert len(reasons) == len(load_role(name)["rules"])


def test_team_pods_have_no_rights_and_no_token() -> None:
    assert load_role("team-pod")["rules"] == []
    account = find_object(render(TWO_TEAMS), "ServiceAccount", "team-pod", "team-alpha")
    assert account["automountServiceAccountToken"] is False


def test_every_role_file_with_rules_is_granted() -> None:
    """The chart's helper grantedRoles lists every file under rbac/ that is a Role; the ClusterRoles are for people."""
    kubernetes_executor = {"executor": "KubernetesExecutor", "logs": {"persistence": {"existingClaim": "logs"}}}
    rendered = [item["rules"] for item in render({**WITH_OWNERS, **kubernetes_executor}) if item["kind"] == "Role"]
    files = [role for role in map(load_role, ROLES) if role["kind"] == "Role"]
    assert [role["metadata"]["name"] for role in files if role["rules"] and role["rules"] not in rendered] == []


def list_resource_names(role: str) -> set[tuple[str, str]]:
    """Return the (resource, name) pairs that the rules of a role file are limited to."""
    rules = load_role(role)["rules"]
    return {(kind, name) for rule in rules for kind in rule["resources"] for name in rule.get("resourceNames", [])}


def test_role_files_name_the_objects_of_bootstrap() -> None:
    contract = json.loads(find_object(render(), "ConfigMap", "airflow-contract")["data"]["contract.json"])
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())["teamDefaults"]
    assert list_resource_names("bootstrap-operator") == {("secrets", defaults["registry"]["pullSecret"])}
    assert list_resource_names("bootstrap-operator-environment") == {
        ("secrets", contract["airflow"]["connectionsSecret"])
    }
    generated = read_generated_secrets({"executor": "CeleryExecutor"})
    assert list_resource_names("doctor") == {("secrets", name) for name in generated.values()}
    assert list_resource_names("bootstrap-operator-registry") == {
        ("pods", node_check.NAME),
        ("secrets", node_check.NAME),
    }
    assert list_resource_names("bootstrap-operator-release") == {
        ("secrets", contract["airflow"]["adminSecret"]),
        ("leases", lease.NAME),
    }

"""Who may do what: the rendered rights are those that rbac/ writes down, and no others."""

from __future__ import annotations

import re

import pytest

from chart.rendering import ROOT, TWO_TEAMS, Object, find_object, load_role, render

ROLES = sorted(path.stem for path in (ROOT / "rbac").glob("*.yaml"))


@pytest.mark.parametrize("namespace", ["team-alpha", "data-beta"])
def test_airflow_has_exactly_the_written_rights_in_a_team_s_namespace(namespace: str) -> None:
    role = find_object(render(TWO_TEAMS), "Role", "pod-launcher", namespace)
    assert role["rules"] == load_role("pod-launcher")["rules"]


@pytest.mark.parametrize("namespace", ["team-alpha", "data-beta"])
def test_only_scheduler_and_triggerer_launch_pods(namespace: str) -> None:
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


def test_there_are_no_other_roles_and_none_for_the_whole_cluster() -> None:
    rights = [
        (item["kind"], item["metadata"]["namespace"], item["metadata"]["name"])
        for item in render(TWO_TEAMS)
        if "rbac.authorization.k8s.io" in item["apiVersion"]
    ]
    assert sorted(rights) == [
        ("Role", "airflow", "airflow-secrets"),
        ("Role", "data-beta", "pod-launcher"),
        ("Role", "team-alpha", "pod-launcher"),
        ("RoleBinding", "airflow", "airflow-secrets"),
        ("RoleBinding", "data-beta", "pod-launcher"),
        ("RoleBinding", "team-alpha", "pod-launcher"),
    ]


WITH_PEOPLE: Object = {
    "teams": {"alpha": {"owners": [{"group": "data"}, {"user": "ada@example.com"}], "cleanup": {"maxAge": 60}}}
}
JOBS = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get"]}


def test_the_people_of_a_team_get_what_is_written_for_them() -> None:
    objects = render(WITH_PEOPLE)
    assert find_object(objects, "Role", "team-developer", "team-alpha")["rules"] == load_role("team-developer")["rules"]
    binding = find_object(objects, "RoleBinding", "team-developer", "team-alpha")
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "team-developer"}
    assert binding["subjects"] == [
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "data"},
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ada@example.com"},
    ]


def test_the_clean_up_gets_what_is_written_for_it_where_a_team_wants_it() -> None:
    values = {"teams": {"alpha": {"cleanup": {"maxAge": 60}}, "beta": {}}}
    objects = render(values)
    bound = [item["metadata"]["namespace"] for item in objects if item["metadata"]["name"] == "pod-cleaner"]
    assert bound == ["team-alpha", "team-alpha"]
    assert find_object(objects, "Role", "pod-cleaner", "team-alpha")["rules"] == load_role("pod-cleaner")["rules"]
    assert find_object(objects, "RoleBinding", "pod-cleaner", "team-alpha")["subjects"] == [
        {"kind": "ServiceAccount", "name": "airflow-cleanup", "namespace": "airflow"}
    ]


def test_a_team_s_own_rules_come_on_top_and_exec_goes_away_where_it_says_so() -> None:
    written = load_role("pod-launcher")["rules"]
    values = {"teams": {"alpha": {"rbac": {"exec": False, "extraRules": [JOBS]}}, "beta": {}}}
    without = [rule for rule in written if rule["resources"] != ["pods/exec"]]
    assert find_object(render(values), "Role", "pod-launcher", "team-alpha")["rules"] == [*without, JOBS]
    assert find_object(render(values), "Role", "pod-launcher", "team-beta")["rules"] == written


def test_with_the_scope_cluster_the_rules_stand_once_and_hold_in_the_teams_namespaces_only() -> None:
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


def test_a_change_of_scope_makes_new_bindings_because_a_binding_keeps_its_role() -> None:
    def bindings(values: Object) -> set[tuple[str, str]]:
        found = [item for item in render({**WITH_PEOPLE, **values}) if item["kind"] == "RoleBinding"]
        return {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in found}

    assert bindings({}) & bindings({"rbac": {"scope": "cluster"}}) == {("airflow", "airflow-secrets")}


def test_the_job_that_makes_secrets_can_make_them_and_nothing_else() -> None:
    role = find_object(render(), "Role", "airflow-secrets")
    assert role["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}]
    binding = find_object(render(), "RoleBinding", "airflow-secrets")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "airflow-secrets", "namespace": "airflow"}]


def test_no_one_who_runs_airflow_reads_secrets() -> None:
    for name in ("pod-cleaner", "pod-launcher", "team-pod", "team-developer"):
        resources = [resource for rule in load_role(name)["rules"] for resource in rule["resources"]]
        assert "secrets" not in resources, name


@pytest.mark.parametrize("name", ROLES)
def test_no_rule_says_everything(name: str) -> None:
    assert "*" not in str(load_role(name)["rules"])


@pytest.mark.parametrize("name", ROLES)
def test_every_rule_says_why(name: str) -> None:
    text = (ROOT / "rbac" / f"{name}.yaml").read_text()
    reasons = re.findall(r"^  # why: .+\n(?:  # .+\n)*  - apiGroups:", text, flags=re.MULTILINE)
    assert len(reasons) == len(load_role(name)["rules"])


def test_a_team_s_own_pods_have_no_rights_and_no_token() -> None:
    assert load_role("team-pod")["rules"] == []
    account = find_object(render(TWO_TEAMS), "ServiceAccount", "team-pod", "team-alpha")
    assert account["automountServiceAccountToken"] is False

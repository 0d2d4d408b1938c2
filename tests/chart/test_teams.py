"""Objects of a team."""

from __future__ import annotations

from chart.rendering import NAMESPACE, TWO_TEAMS, Object, find_object, render
from common.airflow_version import AIRFLOW_VERSION


def build_labels(team: str) -> Object:
    return {
        "app.kubernetes.io/name": "kpo-platform",
        "app.kubernetes.io/instance": "airflow",
        "app.kubernetes.io/component": "team",
        "app.kubernetes.io/part-of": "kpo-platform",
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/version": AIRFLOW_VERSION,
        "kpo-platform/team": team,
    }


RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("audit", "enforce", "warn")}


def list_team_objects(objects: list[Object], namespace: str) -> list[tuple[str, str]]:
    return sorted(
        (item["kind"], item["metadata"]["name"])
        for item in objects
        if namespace in (item["metadata"].get("namespace"), item["metadata"]["name"])
    )


def test_empty_team_gets_these_objects() -> None:
    assert list_team_objects(render({"teams": {"alpha": {}}}), "team-alpha") == [
        ("LimitRange", "team"),
        ("Namespace", "team-alpha"),
        ("NetworkPolicy", "team"),
        ("Role", "pod-launcher"),
        ("RoleBinding", "pod-launcher"),
        ("ServiceAccount", "team-pod"),
    ]


def test_namespace_is_restricted_and_kept() -> None:
    assert find_object(render(TWO_TEAMS), "Namespace", "data-beta") == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "data-beta",
            "labels": {**build_labels("beta"), **RESTRICTED, "cost-centre": "42"},
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
    }


def test_team_labels_cannot_change_the_pod_security_level() -> None:
    own = {"pod-security.kubernetes.io/enforce": "privileged", "kpo-platform/team": "beta"}
    namespace = find_object(render({"teams": {"alpha": {"labels": own}}}), "Namespace", "team-alpha")
    assert namespace["metadata"]["labels"] == {**build_labels("alpha"), **RESTRICTED}


def test_existing_namespace_is_not_rendered() -> None:
    kinds = [
        kind for kind, _ in list_team_objects(render({"teams": {"alpha": {"createNamespace": False}}}), "team-alpha")
    ]
    assert kinds == ["LimitRange", "NetworkPolicy", "Role", "RoleBinding", "ServiceAccount"]


def test_baseline_level_applies_to_the_namespace() -> None:
    namespace = find_object(render({"teams": {"alpha": {"podSecurity": "baseline"}}}), "Namespace", "team-alpha")
    levels = {f"pod-security.kubernetes.io/{mode}": "baseline" for mode in ("audit", "enforce", "warn")}
    assert namespace["metadata"]["labels"] == {**build_labels("alpha"), **levels}


def test_quota_becomes_a_resource_quota() -> None:
    values = {"teams": {"alpha": {"quota": {"pods": 20, "limits.memory": "64Gi"}}, "beta": {}}}
    quotas = [item for item in render(values) if item["kind"] == "ResourceQuota"]
    assert quotas == [
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "team", "namespace": "team-alpha", "labels": build_labels("alpha")},
            "spec": {"hard": {"pods": "20", "limits.memory": "64Gi"}},
        }
    ]


def test_limits_become_a_limit_range() -> None:
    values = {"teams": {"alpha": {"limits": {"max": {"cpu": "8"}, "default": {"cpu": "500m"}}}}}
    assert find_object(render(values), "LimitRange", "team", "team-alpha") == {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "team", "namespace": "team-alpha", "labels": build_labels("alpha")},
        "spec": {
            "limits": [
                {
                    "type": "Container",
                    "default": {"cpu": "500m", "memory": "1Gi"},
                    "defaultRequest": {"cpu": "100m", "memory": "128Mi"},
                    "max": {"cpu": "8"},
                }
            ]
        },
    }


DNS: Object = {
    "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
}


def find_network_policy(team: Object) -> Object:
    policy = find_object(render({"teams": {"alpha": team}}), "NetworkPolicy", "team", "team-alpha")
    assert policy["metadata"] == {"name": "team", "namespace": "team-alpha", "labels": build_labels("alpha")}
    spec: Object = policy["spec"]
    return spec


def test_default_network_policy_allows_dns_only() -> None:
    assert find_network_policy({}) == {
        "podSelector": {},
        "policyTypes": ["Egress", "Ingress"],
        "ingress": [],
        "egress": [DNS],
    }


def test_network_policy_contains_the_team_s_rules() -> None:
    egress = [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 5432}]}, {"ports": [{"port": 443}]}]
    ingress = [{"from": [{"podSelector": {}}], "ports": [{"port": 7078}]}]
    assert find_network_policy({"network": {"egress": egress, "ingress": ingress}}) == {
        "podSelector": {},
        "policyTypes": ["Egress", "Ingress"],
        "ingress": ingress,
        "egress": [DNS, *egress],
    }


def test_service_account_has_the_team_s_annotations() -> None:
    annotations = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/alpha"}
    values = {"teams": {"alpha": {"serviceAccount": {"annotations": annotations}}}}
    assert find_object(render(values), "ServiceAccount", "team-pod", "team-alpha") == {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": "team-pod",
            "namespace": "team-alpha",
            "labels": build_labels("alpha"),
            "annotations": annotations,
        },
        "automountServiceAccountToken": False,
    }


def test_team_with_a_registry_has_a_pull_secret() -> None:
    assert find_object(render(TWO_TEAMS), "ServiceAccount", "team-pod", "data-beta") == {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "team-pod", "namespace": "data-beta", "labels": build_labels("beta")},
        "automountServiceAccountToken": False,
        "imagePullSecrets": [{"name": "regcred"}],
    }


def test_team_without_a_registry_has_no_pull_secret() -> None:
    assert "imagePullSecrets" not in find_object(render(TWO_TEAMS), "ServiceAccount", "team-pod", "team-alpha")


def test_teams_add_only_their_settings_to_the_release_namespace() -> None:
    def names(values: Object) -> list[tuple[str, str]]:
        return [
            (item["kind"], item["metadata"]["name"])
            for item in render(values)
            if item["metadata"].get("namespace") == NAMESPACE
        ]

    added = [(kind, name) for kind, name in names(TWO_TEAMS) if (kind, name) not in names({})]
    assert sorted((kind, name[:21]) for kind, name in added) == [
        ("ConfigMap", "airflow-team-settings"),
        ("Job", "airflow-team-settings"),
        ("Pod", "airflow-test"),
        ("ServiceAccount", "airflow-team-settings"),
    ]

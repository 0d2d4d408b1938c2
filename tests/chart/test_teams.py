"""The objects that a team gets."""

from __future__ import annotations

from chart.rendering import NAMESPACE, TWO_TEAMS, Object, one, render


def labels(team: str) -> Object:
    return {
        "app.kubernetes.io/name": "kpo-platform",
        "app.kubernetes.io/instance": "airflow",
        "app.kubernetes.io/component": "team",
        "app.kubernetes.io/part-of": "kpo-platform",
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/version": "3.3.2",
        "kpo-platform/team": team,
    }


RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("audit", "enforce", "warn")}


def of_team(objects: list[Object], namespace: str) -> list[tuple[str, str]]:
    return sorted(
        (item["kind"], item["metadata"]["name"])
        for item in objects
        if namespace in (item["metadata"].get("namespace"), item["metadata"]["name"])
    )


def test_a_name_alone_gives_a_namespace_an_identity_and_airflow_s_rights() -> None:
    assert of_team(render({"teams": {"alpha": {}}}), "team-alpha") == [
        ("Namespace", "team-alpha"),
        ("Role", "pod-launcher"),
        ("RoleBinding", "pod-launcher"),
        ("ServiceAccount", "team-pod"),
    ]


def test_the_namespace_is_restricted_and_outlives_the_release() -> None:
    assert one(render(TWO_TEAMS), "Namespace", "data-beta") == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "data-beta",
            "labels": {**labels("beta"), **RESTRICTED, "cost-centre": "42"},
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
    }


def test_a_team_cannot_loosen_its_namespace_by_a_label() -> None:
    own = {"pod-security.kubernetes.io/enforce": "privileged", "kpo-platform/team": "beta"}
    namespace = one(render({"teams": {"alpha": {"labels": own}}}), "Namespace", "team-alpha")
    assert namespace["metadata"]["labels"] == {**labels("alpha"), **RESTRICTED}


def test_a_namespace_that_somebody_else_makes_is_left_alone() -> None:
    kinds = [kind for kind, _ in of_team(render({"teams": {"alpha": {"createNamespace": False}}}), "team-alpha")]
    assert kinds == ["Role", "RoleBinding", "ServiceAccount"]


def test_a_team_with_a_registry_pulls_with_its_secret() -> None:
    assert one(render(TWO_TEAMS), "ServiceAccount", "team-pod", "data-beta") == {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "team-pod", "namespace": "data-beta", "labels": labels("beta")},
        "automountServiceAccountToken": False,
        "imagePullSecrets": [{"name": "regcred"}],
    }


def test_a_team_without_a_registry_has_no_pull_secret() -> None:
    assert "imagePullSecrets" not in one(render(TWO_TEAMS), "ServiceAccount", "team-pod", "team-alpha")


def test_teams_bring_nothing_into_the_release_s_namespace() -> None:
    def names(values: Object) -> list[tuple[str, str]]:
        return [
            (item["kind"], item["metadata"]["name"])
            for item in render(values)
            if item["metadata"].get("namespace") == NAMESPACE
        ]

    assert names(TWO_TEAMS) == names({})

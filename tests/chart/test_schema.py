"""What the schema of the values refuses, in Helm's words: before any template is rendered."""

from __future__ import annotations

import pytest

from chart.rendering import Object, render, render_errors


def test_an_unknown_key_is_refused() -> None:
    assert render_errors({"teems": {}}) == ["- at '': additional properties 'teems' not allowed"]


def test_an_unknown_key_of_a_team_is_refused() -> None:
    assert render_errors({"teams": {"alpha": {"nmespace": "x"}}}) == [
        "- at '/teams/alpha': additional properties 'nmespace' not allowed"
    ]


def test_an_executor_that_the_chart_does_not_run_is_refused() -> None:
    assert render_errors({"executor": "SequentialExecutor"}) == [
        "- at '/executor': value must be one of 'LocalExecutor', 'CeleryExecutor', 'KubernetesExecutor'"
    ]


@pytest.mark.parametrize(
    ("team", "sentence"),
    [
        ({"images": {"pin": "sha"}}, "images/pin': value must be one of 'none', 'tag', 'digest'"),
        ({"images": {"allow": [""]}}, "images/allow/0': minLength: got 0, want 1"),
        ({"policy": {"onFailure": "stop"}}, "policy/onFailure': value must be one of '', 'keep', 'delete'"),
        ({"pool": {"slots": -1}}, "pool/slots': minimum: got -1, want 0"),
        ({"dags": {"credentialsSecret": 5}}, "dags/credentialsSecret': got number, want string"),
    ],
)
def test_a_value_that_a_field_does_not_take_is_refused(team: Object, sentence: str) -> None:
    assert render_errors({"teams": {"alpha": team}}) == [f"- at '/teams/alpha/{sentence}"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"network": {"egress": [{"to": [{"ipBlok": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 443}]}]}}, "ipBlok"),
        ({"scheduling": {"tolerations": [{"kye": "gpu"}]}}, "kye"),
        ({"scheduling": {"affinity": {"nodeAfinity": {}}}}, "nodeAfinity"),
        ({"env": [{"name": "A", "valeu": "b"}]}, "valeu"),
        ({"envFrom": [{"secretReff": {"name": "a"}}]}, "secretReff"),
    ],
)
def test_a_misspelt_key_in_an_object_of_kubernetes_own_is_refused(values: Object, sentence: str) -> None:
    (line,) = render_errors({"teams": {"alpha": values}})
    assert line.endswith(f"additional properties '{sentence}' not allowed")


def test_a_misspelt_resource_field_is_refused_and_a_resource_of_any_name_is_taken() -> None:
    assert render_errors({"scheduler": {"resources": {"limit": {"memory": "1Gi"}}}}) == [
        "- at '/scheduler/resources': additional properties 'limit' not allowed"
    ]
    assert render({"scheduler": {"resources": {"limits": {"example.com/dongle": 1}}}})


def test_labels_that_kubernetes_would_refuse_are_refused() -> None:
    assert render_errors({"teams": {"alpha": {"labels": {"cost centre": "7"}}}}) == [
        "- at '/teams/alpha/labels': additional properties 'cost centre' not allowed"
    ]
    assert render_errors({"scheduler": {"nodeSelector": {"zone": "eu west"}}}) == [
        "- at '/scheduler/nodeSelector/zone': 'eu west' does not match pattern "
        "'^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$'"
    ]


@pytest.mark.parametrize("field", ["resources", "verbs"])
def test_a_right_to_everything_is_refused(field: str) -> None:
    rule = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"], field: ["*"]}
    assert render_errors({"teams": {"alpha": {"rbac": {"extraRules": [rule]}}}}) == [
        f"- at '/teams/alpha/rbac/extraRules/0/{field}/0': '*' does not match pattern '^[^*]*$'"
    ]


def test_an_owner_is_a_group_or_a_user() -> None:
    assert render_errors({"teams": {"alpha": {"owners": [{"group": "data", "user": "ada"}]}}}) == [
        "- at '/teams/alpha/owners/0': maxProperties: got 2, want 1"
    ]

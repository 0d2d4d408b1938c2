"""Values that the schema refuses, with Helm's messages, before any template is rendered."""

from __future__ import annotations

import pytest

from chart.rendering import Object, render, render_errors


def test_unknown_key_is_refused() -> None:
    assert render_errors({"teems": {}}) == ["- at '': additional properties 'teems' not allowed"]


def test_unknown_team_key_is_refused() -> None:
    assert render_errors({"teams": {"alpha": {"nmespace": "x"}}}) == [
        "- at '/teams/alpha': additional properties 'nmespace' not allowed"
    ]


def test_unsupported_executor_is_refused() -> None:
    assert render_errors({"executor": "SequentialExecutor"}) == [
        "- at '/executor': value must be one of 'LocalExecutor', 'CeleryExecutor', 'KubernetesExecutor'"
    ]


@pytest.mark.parametrize(
    ("team", "message"),
    [
        ({"images": {"pin": "sha"}}, "images/pin': value must be one of 'none', 'tag', 'digest'"),
        ({"images": {"allow": [""]}}, "images/allow/0': minLength: got 0, want 1"),
        ({"policy": {"onFailure": "stop"}}, "policy/onFailure': value must be one of '', 'keep', 'delete'"),
        ({"policy": {"xcom": "file"}}, "policy/xcom': value must be one of 'message', 'sidecar'"),
        ({"policy": {"orphans": "keep"}}, "policy/orphans': value must be one of 'report', 'end'"),
        ({"policy": {"finish": "here"}}, "policy/finish': value must be one of 'triggerer', 'worker'"),
        ({"policy": {"deferAfter": -1}}, "policy/deferAfter': minimum: got -1, want 0"),
        ({"policy": {"roomTimeout": 59}}, "policy/roomTimeout': minimum: got 59, want 60"),
        ({"policy": {"apiServerTimeout": 599}}, "policy/apiServerTimeout': minimum: got 599, want 600"),
        ({"policy": {"missingObjectTimeout": -1}}, "policy/missingObjectTimeout': minimum: got -1, want 0"),
        ({"pool": {"slots": -1}}, "pool/slots': minimum: got -1, want 0"),
        ({"dags": {"credentialsSecret": 5}}, "dags/credentialsSecret': got number, want string"),
    ],
)
def test_invalid_field_value_is_refused(team: Object, message: str) -> None:
    assert render_errors({"teams": {"alpha": team}}) == [f"- at '/teams/alpha/{message}"]


def test_only_the_airflow_image_may_have_an_empty_tag() -> None:
    assert render({"images": {"airflow": {"tag": ""}}}) == render()
    assert render_errors({"images": {"redis": {"tag": ""}}}) == ["- at '/images/redis/tag': minLength: got 0, want 1"]


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"network": {"egress": [{"to": [{"ipBlok": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 443}]}]}}, "ipBlok"),
        ({"scheduling": {"tolerations": [{"kye": "gpu"}]}}, "kye"),
        ({"scheduling": {"affinity": {"nodeAfinity": {}}}}, "nodeAfinity"),
        ({"env": [{"name": "A", "valeu": "b"}]}, "valeu"),
        ({"envFrom": [{"secretReff": {"name": "a"}}]}, "secretReff"),
    ],
)
def test_misspelled_key_in_a_kubernetes_object_is_refused(values: Object, key: str) -> None:
    (message,) = render_errors({"teams": {"alpha": values}})
    assert message.endswith(f"additional properties '{key}' not allowed")


def test_unknown_resource_field_is_refused_but_not_a_resource() -> None:
    assert render_errors({"scheduler": {"resources": {"limit": {"memory": "1Gi"}}}}) == [
        "- at '/scheduler/resources': additional properties 'limit' not allowed"
    ]
    assert render({"scheduler": {"resources": {"limits": {"example.com/dongle": 1}}}})


def test_invalid_labels_are_refused() -> None:
    assert render_errors({"teams": {"alpha": {"labels": {"cost centre": "7"}}}}) == [
        "- at '/teams/alpha/labels': additional properties 'cost centre' not allowed"
    ]
    assert render_errors({"scheduler": {"nodeSelector": {"zone": "eu west"}}}) == [
        "- at '/scheduler/nodeSelector/zone': 'eu west' does not match pattern "
        "'^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$'"
    ]


@pytest.mark.parametrize("field", ["resources", "verbs"])
def test_wildcard_in_extra_rules_is_refused(field: str) -> None:
    rule = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"], field: ["*"]}
    assert render_errors({"teams": {"alpha": {"rbac": {"extraRules": [rule]}}}}) == [
        f"- at '/teams/alpha/rbac/extraRules/0/{field}/0': '*' does not match pattern '^[^*]*$'"
    ]


def test_owner_with_group_and_user_is_refused() -> None:
    assert render_errors({"teams": {"alpha": {"owners": [{"group": "data", "user": "ada"}]}}}) == [
        "- at '/teams/alpha/owners/0': maxProperties: got 2, want 1"
    ]

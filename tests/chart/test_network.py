"""Network policies of Airflow's own pods."""

from __future__ import annotations

import pytest

from chart.rendering import Object, map_pods_by_component, render

OWN = {"app.kubernetes.io/name": "kpo-platform", "app.kubernetes.io/instance": "airflow"}
API = [{"podSelector": {"matchLabels": {**OWN, "app.kubernetes.io/component": "api-server"}}}]


COMPONENTS = {"key": "app.kubernetes.io/component", "operator": "In", "values": ["scheduler", "worker"]}
TASK_RUNNERS = [{"podSelector": {"matchLabels": OWN, "matchExpressions": [COMPONENTS]}}]
TASKS = {"from": TASK_RUNNERS, "ports": [{"port": "api-server"}]}
CONTROLLER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}


def render_policies(values: Object) -> dict[str, Object]:
    """Return the specs of the policies in the release's namespace by name."""
    items = [item for item in render(values) if item["kind"] == "NetworkPolicy"]
    return {item["metadata"]["name"]: item["spec"] for item in items if item["metadata"]["namespace"] == "airflow"}


def build_policy(component: str, *rules: Object) -> Object:
    selector = {"matchLabels": {**OWN, "app.kubernetes.io/component": component}}
    return {"podSelector": selector, "policyTypes": ["Ingress"], **({"ingress": list(rules)} if rules else {})}


def test_default_policies_allow_only_known_peers() -> None:
    assert render_policies({"teams": {"alpha": {}}}) == {
        "airflow-api-server": build_policy("api-server", TASKS),
        "airflow-dag-processor": build_policy("dag-processor"),
        "airflow-postgresql": build_policy(
            "postgresql", {"from": [{"podSelector": {"matchLabels": OWN}}], "ports": [{"port": "postgresql"}]}
        ),
        "airflow-scheduler": build_policy("scheduler", {"from": API, "ports": [{"port": "logs"}]}),
        "airflow-triggerer": build_policy("triggerer", {"from": API, "ports": [{"port": "logs"}]}),
    }


def test_broker_and_worker_logs_are_restricted_too() -> None:
    rendered = render_policies({"executor": "CeleryExecutor"})
    own = [{"podSelector": {"matchLabels": OWN}}]
    assert rendered["airflow-redis"] == build_policy("redis", {"from": own, "ports": [{"port": "redis"}]})
    assert rendered["airflow-worker"] == build_policy("worker", {"from": API, "ports": [{"port": "logs"}]})


def test_all_pods_have_the_labels_that_policies_select() -> None:
    for name, pod in map_pods_by_component(render({"teams": {"alpha": {}}, "executor": "CeleryExecutor"})).items():
        assert pod["metadata"]["labels"].items() >= OWN.items(), name


def test_pods_name_the_ports_of_the_policies() -> None:
    pods = map_pods_by_component(render({"executor": "CeleryExecutor"}))
    own = {"api-server": "api-server", "postgresql": "postgresql", "redis": "redis"}
    for component, port in {**own, **dict.fromkeys(("scheduler", "triggerer", "worker"), "logs")}.items():
        (container,) = pods[component]["spec"]["containers"]
        assert [item["name"] for item in container["ports"]] == [port]


@pytest.mark.parametrize(
    ("values", "clients"),
    [
        ({}, []),
        ({"publicUrl": "https://data.example.com"}, [{"ports": [{"port": "api-server"}]}]),
        (
            {"apiServer": {"networkPolicy": {"ingress": {"from": [CONTROLLER]}}}},
            [{"from": [CONTROLLER], "ports": [{"port": "api-server"}]}],
        ),
    ],
)
def test_api_server_accepts_tasks_and_configured_clients(values: Object, clients: list[Object]) -> None:
    assert render_policies(values)["airflow-api-server"] == build_policy("api-server", TASKS, *clients)


def test_network_policies_can_be_disabled() -> None:
    assert render_policies({"networkPolicies": {"enabled": False}}) == {}


def test_external_database_has_no_policy() -> None:
    values = {"postgresql": {"enabled": False}, "data": {"metadataSecretName": "my-database"}}
    assert sorted(render_policies(values)) == [
        "airflow-api-server",
        "airflow-dag-processor",
        "airflow-scheduler",
        "airflow-triggerer",
    ]

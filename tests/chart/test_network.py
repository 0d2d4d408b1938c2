"""Who may connect to Airflow's own pods."""

from __future__ import annotations

import pytest

from chart.rendering import Object, pods_by_component, render

OWN = {"app.kubernetes.io/name": "kpo-platform", "app.kubernetes.io/instance": "airflow"}
API = [{"podSelector": {"matchLabels": {**OWN, "app.kubernetes.io/component": "api-server"}}}]


COMPONENTS = {"key": "app.kubernetes.io/component", "operator": "In", "values": ["scheduler", "worker"]}
WHERE_TASKS_RUN = [{"podSelector": {"matchLabels": OWN, "matchExpressions": [COMPONENTS]}}]
TASKS = {"from": WHERE_TASKS_RUN, "ports": [{"port": "api-server"}]}
CONTROLLER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}


def policies(values: Object) -> dict[str, Object]:
    """The policies of the release's namespace: name → spec."""
    found = [item for item in render(values) if item["kind"] == "NetworkPolicy"]
    return {item["metadata"]["name"]: item["spec"] for item in found if item["metadata"]["namespace"] == "airflow"}


def policy(component: str, *rules: Object) -> Object:
    selector = {"matchLabels": {**OWN, "app.kubernetes.io/component": component}}
    return {"podSelector": selector, "policyTypes": ["Ingress"], **({"ingress": list(rules)} if rules else {})}


def test_these_may_connect() -> None:
    assert policies({"teams": {"alpha": {}}}) == {
        "airflow-api-server": policy("api-server", TASKS),
        "airflow-dag-processor": policy("dag-processor"),
        "airflow-postgresql": policy(
            "postgresql", {"from": [{"podSelector": {"matchLabels": OWN}}], "ports": [{"port": "postgresql"}]}
        ),
        "airflow-scheduler": policy("scheduler", {"from": API, "ports": [{"port": "logs"}]}),
        "airflow-triggerer": policy("triggerer", {"from": API, "ports": [{"port": "logs"}]}),
    }


def test_the_broker_is_for_the_release_and_the_logs_of_workers_for_the_api_server() -> None:
    found = policies({"executor": "CeleryExecutor"})
    own = [{"podSelector": {"matchLabels": OWN}}]
    assert found["airflow-redis"] == policy("redis", {"from": own, "ports": [{"port": "redis"}]})
    assert found["airflow-worker"] == policy("worker", {"from": API, "ports": [{"port": "logs"}]})


def test_all_who_use_the_database_bear_the_labels_that_open_it() -> None:
    for name, pod in pods_by_component(render({"teams": {"alpha": {}}, "executor": "CeleryExecutor"})).items():
        assert pod["metadata"]["labels"].items() >= OWN.items(), name


def test_the_ports_of_the_policies_are_named_so_in_the_pods() -> None:
    found = pods_by_component(render({"executor": "CeleryExecutor"}))
    own = {"api-server": "api-server", "postgresql": "postgresql", "redis": "redis"}
    for component, port in {**own, **dict.fromkeys(("scheduler", "triggerer", "worker"), "logs")}.items():
        (container,) = found[component]["spec"]["containers"]
        assert [one["name"] for one in container["ports"]] == [port]


@pytest.mark.parametrize(
    ("values", "people"),
    [
        ({}, []),
        ({"publicUrl": "https://data.example.com"}, [{"ports": [{"port": "api-server"}]}]),
        (
            {"apiServer": {"networkPolicy": {"ingress": {"from": [CONTROLLER]}}}},
            [{"from": [CONTROLLER], "ports": [{"port": "api-server"}]}],
        ),
    ],
)
def test_people_come_the_way_that_the_values_say_and_tasks_always(values: Object, people: list[Object]) -> None:
    assert policies(values)["airflow-api-server"] == policy("api-server", TASKS, *people)


def test_there_are_none_where_they_are_not_wanted() -> None:
    assert policies({"networkPolicies": {"enabled": False}}) == {}


def test_another_database_is_not_the_chart_s_to_guard() -> None:
    values = {"postgresql": {"enabled": False}, "data": {"metadataSecretName": "mine"}}
    assert sorted(policies(values)) == [
        "airflow-api-server",
        "airflow-dag-processor",
        "airflow-scheduler",
        "airflow-triggerer",
    ]

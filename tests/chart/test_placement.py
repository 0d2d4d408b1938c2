"""Which images run, where, and how many of each pod."""

from __future__ import annotations

from typing import Any

import pytest

from chart.rendering import Object, find_by_prefix, find_object, list_containers, pods_by_component, render

TEAM: Object = {"teams": {"alpha": {}}}
AIRFLOW = ["api-server", "dag-processor", "migration", "scheduler", "secrets", "team-settings", "triggerer"]
PLACE: dict[str, Any] = {
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "platform", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
}
KEYS = {
    "api-server": "apiServer",
    "dag-processor": "dagProcessor",
    "scheduler": "scheduler",
    "triggerer": "triggerer",
    "worker": "workers",
}
CELERY = {"executor": "CeleryExecutor"}


def images(values: Object) -> dict[str, set[str]]:
    """The images of every component."""
    found = pods_by_component(render(values)).items()
    return {name: {container["image"] for container in list_containers(pod)} for name, pod in found if name != "test"}


def xcom_image(values: Object) -> str:
    published = find_by_prefix(render(values), "ConfigMap", "airflow-contract")["data"]["contract.json"]
    return str(published).partition('"xcomSidecar":{"image":"')[2].partition('"')[0]


def test_these_are_the_images() -> None:
    given = {key: {"docker.io/apache/airflow:3.3.2"} for key in AIRFLOW}
    assert images(TEAM) == given | {"postgresql": {"docker.io/library/postgres:17"}}
    assert xcom_image(TEAM) == "docker.io/library/alpine:3.22"


def test_one_prefix_takes_the_place_of_every_registry() -> None:
    mirror = TEAM | {"images": {"registryPrefix": "mirror.example:5000/hub"}}
    given = {key: {"mirror.example:5000/hub/apache/airflow:3.3.2"} for key in AIRFLOW}
    assert images(mirror) == given | {"postgresql": {"mirror.example:5000/hub/library/postgres:17"}}
    assert xcom_image(mirror) == "mirror.example:5000/hub/library/alpine:3.22"


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("apache/airflow", "mirror.example/apache/airflow:1"),
        ("airflow", "mirror.example/airflow:1"),
        ("localhost/ours/airflow", "mirror.example/ours/airflow:1"),
        ("localhost:5000/airflow", "mirror.example/airflow:1"),
    ],
)
def test_what_is_a_registry_in_a_name_is_told_as_by_every_container_runtime(repository: str, expected: str) -> None:
    given = {"images": {"registryPrefix": "mirror.example", "airflow": {"repository": repository, "tag": "1"}}}
    assert images(given)["scheduler"] == {expected}


def test_a_digest_names_the_image_and_migrates_anew() -> None:
    digest = "sha256:" + "0" * 64
    given = {"images": {"airflow": {"digest": digest}}}
    assert images(given)["scheduler"] == {f"docker.io/apache/airflow@{digest}"}
    jobs = [find_by_prefix(render(values), "Job", "airflow-migration-") for values in ({}, given)]
    assert jobs[0]["metadata"]["name"] != jobs[1]["metadata"]["name"]


@pytest.mark.parametrize("component", KEYS)
def test_a_component_runs_where_its_values_say_and_no_other_does(component: str) -> None:
    placed = pods_by_component(render({**CELERY, KEYS[component]: PLACE}))
    where = {name: {key: pod["spec"][key] for key in PLACE if key in pod["spec"]} for name, pod in placed.items()}
    assert where == {key: {} for key in placed} | {component: PLACE}


@pytest.mark.parametrize("component", ["postgresql", "redis"])
def test_database_and_broker_run_where_their_values_say(component: str) -> None:
    given = {key: value for key, value in PLACE.items() if key != "topologySpreadConstraints"}
    spec = pods_by_component(render({**CELERY, component: given}))[component]["spec"]
    assert {key: spec[key] for key in given} == given


def test_one_pod_of_a_kind_has_no_disruption_budget_that_would_hold_up_its_node() -> None:
    assert [item for item in render() if item["kind"] == "PodDisruptionBudget"] == []


@pytest.mark.parametrize(
    ("component", "kind"), [("api-server", "Deployment"), ("scheduler", "StatefulSet"), ("triggerer", "StatefulSet")]
)
def test_two_pods_of_a_kind_go_one_after_the_other(component: str, kind: str) -> None:
    objects = render({KEYS[component]: {"replicas": 2}})
    workload = find_object(objects, kind, f"airflow-{component}")
    assert workload["spec"]["replicas"] == 2
    budgets = [item for item in objects if item["kind"] == "PodDisruptionBudget"]
    assert budgets == [
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {
                "name": f"airflow-{component}",
                "namespace": "airflow",
                "labels": workload["metadata"]["labels"],
            },
            "spec": {"maxUnavailable": 1, "selector": workload["spec"]["selector"]},
        }
    ]

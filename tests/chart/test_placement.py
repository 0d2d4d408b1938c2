"""Images, scheduling and replicas of all components."""

from __future__ import annotations

from typing import Any

import pytest

from chart.rendering import Object, find_by_prefix, find_object, list_containers, map_pods_by_component, render
from common.airflow_version import AIRFLOW_VERSION

TEAM: Object = {"teams": {"alpha": {}}}
AIRFLOW = ["api-server", "dag-processor", "migration", "scheduler", "secrets", "team-settings", "triggerer"]
SCHEDULING: dict[str, Any] = {
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "platform", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
}
VALUE_KEYS = {
    "api-server": "apiServer",
    "dag-processor": "dagProcessor",
    "scheduler": "scheduler",
    "triggerer": "triggerer",
    "worker": "workers",
}
CELERY = {"executor": "CeleryExecutor"}


def list_images(values: Object) -> dict[str, set[str]]:
    """Return the images of each component."""
    pods = map_pods_by_component(render(values)).items()
    return {name: {container["image"] for container in list_containers(pod)} for name, pod in pods if name != "test"}


def read_xcom_image(values: Object) -> str:
    published = find_by_prefix(render(values), "ConfigMap", "airflow-contract")["data"]["contract.json"]
    return str(published).partition('"xcomSidecar":{"image":"')[2].partition('"')[0]


def test_default_images() -> None:
    airflow = {key: {f"docker.io/apache/airflow:{AIRFLOW_VERSION}"} for key in AIRFLOW}
    assert list_images(TEAM) == airflow | {"postgresql": {"docker.io/library/postgres:17"}}
    assert read_xcom_image(TEAM) == "docker.io/library/alpine:3.22"


def test_registry_prefix_replaces_every_registry() -> None:
    mirror = TEAM | {"images": {"registryPrefix": "mirror.example:5000/hub"}}
    airflow = {key: {f"mirror.example:5000/hub/apache/airflow:{AIRFLOW_VERSION}"} for key in AIRFLOW}
    assert list_images(mirror) == airflow | {"postgresql": {"mirror.example:5000/hub/library/postgres:17"}}
    assert read_xcom_image(mirror) == "mirror.example:5000/hub/library/alpine:3.22"


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("apache/airflow", "mirror.example/apache/airflow:1"),
        ("airflow", "mirror.example/airflow:1"),
        ("localhost/team/airflow", "mirror.example/team/airflow:1"),
        ("localhost:5000/airflow", "mirror.example/airflow:1"),
    ],
)
def test_registry_is_recognized_as_by_container_runtimes(repository: str, expected: str) -> None:
    values = {"images": {"registryPrefix": "mirror.example", "airflow": {"repository": repository, "tag": "1"}}}
    assert list_images(values)["scheduler"] == {expected}


def test_digest_overrides_the_tag_and_runs_the_migration_again() -> None:
    digest = "sha256:" + "0" * 64
    values = {"images": {"airflow": {"digest": digest}}}
    assert list_images(values)["scheduler"] == {f"docker.io/apache/airflow@{digest}"}
    jobs = [find_by_prefix(render(item), "Job", "airflow-migration-") for item in ({}, values)]
    assert jobs[0]["metadata"]["name"] != jobs[1]["metadata"]["name"]


@pytest.mark.parametrize("component", VALUE_KEYS)
def test_scheduling_values_apply_to_their_component_only(component: str) -> None:
    pods = map_pods_by_component(render({**CELERY, VALUE_KEYS[component]: SCHEDULING}))
    scheduling = {
        name: {key: pod["spec"][key] for key in SCHEDULING if key in pod["spec"]} for name, pod in pods.items()
    }
    assert scheduling == {key: {} for key in pods} | {component: SCHEDULING}


@pytest.mark.parametrize("component", ["postgresql", "redis"])
def test_scheduling_values_apply_to_database_and_broker(component: str) -> None:
    values = {key: value for key, value in SCHEDULING.items() if key != "topologySpreadConstraints"}
    spec = map_pods_by_component(render({**CELERY, component: values}))[component]["spec"]
    assert {key: spec[key] for key in values} == values


def test_single_replica_has_no_disruption_budget() -> None:
    assert [item for item in render() if item["kind"] == "PodDisruptionBudget"] == []


@pytest.mark.parametrize(
    ("component", "kind"), [("api-server", "Deployment"), ("scheduler", "StatefulSet"), ("triggerer", "StatefulSet")]
)
def test_two_replicas_have_a_disruption_budget(component: str, kind: str) -> None:
    objects = render({VALUE_KEYS[component]: {"replicas": 2}})
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

"""Rules for all pods of the release and all pod templates."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from chart.objects import assert_restricted
from chart.rendering import KUBERNETES, ROOT, Object, list_containers, map_pods_by_component, render

LOCAL: Object = {"teams": {"alpha": {"cleanup": {"maxAge": 3600}}}}
ALL: Object = {
    **LOCAL,
    "executor": "CeleryExecutor",
    "databaseCleanup": {"enabled": True},
    "statsd": {"enabled": True},
    "dags": {"gitSync": {"enabled": True, "repo": "https://git.example/all.git"}},
    "imagePullSecrets": [{"name": "mirror"}],
}
"""Values that render every workload and every sidecar of the chart."""

COMPONENTS = [
    "api-server",
    "cleanup",
    "dag-processor",
    "database-cleanup",
    "migration",
    "postgresql",
    "redis",
    "scheduler",
    "secrets",
    "statsd",
    "team-settings",
    "test",
    "triggerer",
    "worker",
]
TEMPLATES = sorted((ROOT / "pod_templates").glob("*.yaml"))
SIDECARS = sorted((ROOT / "pod_templates" / "sidecars").glob("*.yaml"))


def sum_millicores(pod: Object) -> int:
    """Return the CPU requests of the pod's containers."""
    requests = [container["resources"]["requests"]["cpu"] for container in pod["spec"]["containers"]]
    assert all(quantity.endswith("m") for quantity in requests)
    return sum(int(quantity.removesuffix("m")) for quantity in requests)


def test_all_values_render_these_components() -> None:
    assert sorted(map_pods_by_component(render(ALL))) == COMPONENTS


@pytest.mark.parametrize("component", COMPONENTS)
def test_pod_passes_the_restricted_level(component: str) -> None:
    assert_restricted(map_pods_by_component(render(ALL))[component])


@pytest.mark.parametrize("component", COMPONENTS)
def test_pod_has_no_service_links(component: str) -> None:
    assert map_pods_by_component(render(ALL))[component]["spec"]["enableServiceLinks"] is False


@pytest.mark.parametrize("component", COMPONENTS)
def test_pod_has_the_configured_pull_secrets(component: str) -> None:
    assert map_pods_by_component(render(ALL))[component]["spec"]["imagePullSecrets"] == [{"name": "mirror"}]
    assert "imagePullSecrets" not in map_pods_by_component(render({**ALL, "imagePullSecrets": []}))[component]["spec"]


@pytest.mark.parametrize("component", [name for name in COMPONENTS if name not in ("postgresql", "redis", "statsd")])
def test_airflow_containers_keep_the_image_entrypoint(component: str) -> None:
    assert all(
        "command" not in container for container in list_containers(map_pods_by_component(render(ALL))[component])
    )


def test_all_pods_request_at_most_one_core() -> None:
    assert sum(sum_millicores(pod) for pod in map_pods_by_component(render(LOCAL)).values()) <= 1000


def test_every_container_has_resource_requests() -> None:
    """A namespace with a quota rejects pods with a container without requests."""
    sidecars = {
        "dags": {"gitSync": {"enabled": True, "repo": "https://git.example/dags.git"}},
        "statsd": {"enabled": True},
    }
    without = [
        f"{component}/{container['name']}"
        for component, pod in map_pods_by_component(
            render({**ALL, **sidecars, "databaseCleanup": {"enabled": True}})
        ).items()
        for container in list_containers(pod)
        if {"cpu", "memory"} - container.get("resources", {}).get("requests", {}).keys()
    ]
    assert without == []


@pytest.mark.parametrize("component", ["api-server", "dag-processor", "scheduler", "triggerer"])
def test_waiting_containers_have_the_resources_of_the_component(component: str) -> None:
    spec = map_pods_by_component(render(ALL))[component]["spec"]
    resources = spec["containers"][0]["resources"]
    waiting = [item["resources"] for item in spec["initContainers"] if item["name"].startswith("wait-for-")]
    assert waiting == [resources] * len(waiting)


def test_startup_probes_wait_15_minutes() -> None:
    timeouts = {
        component: probe["periodSeconds"] * probe["failureThreshold"]
        for component, pod in map_pods_by_component(render({**ALL, "statsd": {"enabled": True}})).items()
        if (probe := pod["spec"]["containers"][0].get("startupProbe"))
    }
    airflow = ("api-server", "dag-processor", "scheduler", "triggerer", "worker")
    assert timeouts == dict.fromkeys([*airflow, "postgresql", "redis", "statsd"], 900)


@pytest.mark.parametrize("component", ["api-server", "dag-processor", "scheduler", "triggerer"])
def test_component_waits_for_migrations(component: str) -> None:
    waiting = map_pods_by_component(render())[component]["spec"]["initContainers"]
    assert [container["args"] for container in waiting if "restartPolicy" not in container] == [
        ["python", "/opt/kpo-platform/scripts/wait_for_migrations.py"]
    ]


def test_api_server_answers_until_its_endpoint_is_removed() -> None:
    spec = map_pods_by_component(render())["api-server"]["spec"]
    (container,) = spec["containers"]
    assert container["lifecycle"] == {"preStop": {"exec": {"command": ["sleep", "10"]}}}
    assert spec["terminationGracePeriodSeconds"] > 10


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_template_passes_the_restricted_level(path: Path) -> None:
    template = yaml.safe_load(path.read_text())
    assert_restricted(template)
    assert [container["name"] for container in template["spec"]["containers"]] == ["base"]
    assert template["spec"]["restartPolicy"] == "Never"
    assert template["spec"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_template_with_an_image_is_a_valid_pod(path: Path) -> None:
    template = yaml.safe_load(path.read_text())
    template["spec"]["containers"][0]["image"] = "example:1"
    kubernetes_validate.validate(template, KUBERNETES, strict=True)


@pytest.mark.parametrize("path", SIDECARS, ids=lambda path: path.stem)
def test_sidecar_is_native_and_fits_the_default_template(path: Path) -> None:
    template = yaml.safe_load((ROOT / "pod_templates" / "default.yaml").read_text())
    template["spec"]["containers"][0]["image"] = "example:1"
    sidecars = yaml.safe_load(path.read_text())["spec"]["initContainers"]
    template["spec"]["initContainers"] = sidecars
    assert [sidecar["restartPolicy"] for sidecar in sidecars] == ["Always"]
    assert all({"limits", "requests"} <= sidecar["resources"].keys() for sidecar in sidecars)
    assert_restricted(template)
    kubernetes_validate.validate(template, KUBERNETES, strict=True)

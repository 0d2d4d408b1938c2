"""The image list in the notes is complete for all values."""

from __future__ import annotations

import json
import re
import shlex
import subprocess

import pytest
import yaml

from chart.rendering import CHART, ROOT, Object, find_object, list_containers, map_pods_by_component, render, run_helm
from kpo_platform.pod.images import add_registry_prefix

TEAMS: Object = {"alpha": {"cleanup": {"maxAge": 60}}, "beta": {"images": {"registryPrefix": "teams.example/"}}}
EVERYTHING: Object = {
    "teams": TEAMS,
    "dags": {"gitSync": {"enabled": True, "repo": "https://git.example/dags.git"}},
    "statsd": {"enabled": True},
    "databaseCleanup": {"enabled": True},
}


def run_install(values: Object) -> str:
    """Return what `helm install` prints, without a cluster."""
    words = ("install", "airflow", str(CHART), "--namespace", "airflow", "--dry-run=client", "--values", "-")
    return run_helm(*words, stdin=json.dumps(values)).stdout


def list_images_in_notes(values: Object) -> list[str]:
    """Return the images that the notes of `helm install` list."""
    notes = run_install(values).rpartition("pods, pod templates and sidecars use these:")[2]
    lines = notes.partition("`helm uninstall`")[0].splitlines()[1:]
    return [line.strip() for line in lines if line.strip()]


def list_release_images(values: Object) -> set[str]:
    """Return the images of all pods of the release, of a task pod, and of the XCom sidecar."""
    objects = render(values)
    rendered_pods = list(map_pods_by_component(objects).values())
    if values.get("executor") == "KubernetesExecutor":
        rendered_pods.append(
            yaml.safe_load(find_object(objects, "ConfigMap", "airflow-config")["data"]["task-pod.yaml"])
        )
    contract = json.loads(find_object(objects, "ConfigMap", "airflow-contract")["data"]["contract.json"])
    return {container["image"] for pod in rendered_pods for container in list_containers(pod)} | {
        contract["xcomSidecar"]["image"]
    }


def list_template_images(values: Object) -> set[str]:
    """Return the images in pod templates and sidecars with the teams' registry prefixes."""
    specs = [yaml.safe_load(path.read_text())["spec"] for path in (ROOT / "pod_templates").rglob("*.yaml")]
    parts = [part for spec in specs for part in [*spec.get("initContainers", []), *spec.get("containers", [])]]
    images = {part["image"] for part in parts if "image" in part}
    if mirror := values.get("images", {}).get("registryPrefix"):
        return {f"{mirror}/{image.removeprefix('registry.k8s.io/')}" for image in images}
    prefixes = [team.get("images", {}).get("registryPrefix", "") for team in values.get("teams", {}).values()] or [""]
    return {add_registry_prefix(image, prefix) for image in images for prefix in prefixes}


@pytest.mark.parametrize(
    "values",
    [
        {},
        EVERYTHING,
        {**EVERYTHING, "executor": "CeleryExecutor", "images": {"registryPrefix": "mirror.example"}},
        {**EVERYTHING, "executor": "KubernetesExecutor", "logs": {"persistence": {"existingClaim": "logs"}}},
        {"teams": TEAMS, "postgresql": {"enabled": False}, "data": {"metadataSecretName": "my-database"}},
        {
            "teams": TEAMS,
            "airflow": {"enabled": False, "serviceAccounts": [{"name": "scheduler", "namespace": "airflow"}]},
        },
        {
            "teams": {"gamma": {}},
            "airflow": {"enabled": False, "serviceAccounts": [{"name": "scheduler", "namespace": "x"}]},
        },
    ],
    ids=[
        "by default",
        "everything",
        "Celery",
        "Kubernetes",
        "another database",
        "team layer",
        "team layer without pods",
    ],
)
def test_notes_list_every_image_exactly_once(values: Object) -> None:
    images = list_images_in_notes(values)
    assert len(images) == len(set(images))
    assert set(images) == list_release_images(values) | list_template_images(values)


def test_command_in_docs_prints_the_image_list() -> None:
    page = (ROOT / "docs" / "images.md").read_text()
    [command] = re.findall(r"^helm install .* \| (sed .*)$", page, re.MULTILINE)
    printed = subprocess.run(shlex.split(command), input=run_install({}), capture_output=True, text=True, check=True)
    images = [line.strip() for line in printed.stdout.splitlines() if line.startswith("    ")]
    assert images == list_images_in_notes({}) != []


def test_pod_templates_name_images() -> None:
    assert list_template_images({}) == {"busybox:1.35", "registry.k8s.io/git-sync/git-sync:v4.4.2"}


@pytest.mark.parametrize(
    "values", [{}, {"images": {"registryPrefix": "mirror.example/hub"}}], ids=["as it is", "mirror"]
)
def test_contract_and_mounted_files_hold_the_same_templates(values: Object) -> None:
    objects = render(values)
    contract = json.loads(find_object(objects, "ConfigMap", "airflow-contract")["data"]["contract.json"])
    for kind, name in (("podTemplates", "airflow-pod-templates"), ("sidecars", "airflow-sidecars")):
        files = find_object(objects, "ConfigMap", name)["data"]
        assert {path.removesuffix(".yaml"): yaml.safe_load(text) for path, text in files.items()} == contract[kind]
    named = {part["image"] for pod in contract["sidecars"].values() for part in pod["spec"]["initContainers"]}
    assert named == list_template_images(values)

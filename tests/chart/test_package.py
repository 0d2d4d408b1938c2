"""The Python package in the chart, and the packaged chart."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.rendering import (
    CHART,
    ROOT,
    TWO_TEAMS,
    find_object,
    map_package,
    map_pods_by_component,
    render,
    run_helm,
)
from project import PROJECT, VERSION

# Runs in a process of its own, like a task that is forked from a scheduler with older settings.
LATE_TEAM = """
import os, pathlib
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.sdk.execution_time.task_runner import TaskRunnerMarker
from airflow.sdk.listener import get_listener_manager
before = list(DagBundlesManager().get_all_bundle_names())
pathlib.Path(os.environ["AIRFLOW_CONFIG"]).write_text(pathlib.Path(os.environ["LATER_CONFIG"]).read_text())
get_listener_manager().hook.on_starting(component=TaskRunnerMarker())
print(before, list(DagBundlesManager().get_all_bundle_names()))
"""


@pytest.fixture(scope="module")
def packaged_chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Package the chart with `helm package`."""
    folder = tmp_path_factory.mktemp("package")
    completed = run_helm("package", str(CHART), "--destination", str(folder))
    assert completed.returncode == 0, completed.stderr
    return next(folder.glob("*.tgz"))


@pytest.fixture
def mounted_package(tmp_path: Path) -> Path:
    """Write the package's ConfigMap to a folder, as the kubelet mounts it on PYTHONPATH."""
    objects = render(TWO_TEAMS)
    volumes = {volume["name"]: volume for volume in map_pods_by_component(objects)["scheduler"]["spec"]["volumes"]}
    for place, (name, key) in map_package(volumes["python"]).items():
        path = tmp_path / "python" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(find_object(objects, "ConfigMap", name)["data"][key])
    return tmp_path / "python"


def run_python(program: str, path: Path, home: Path, **variables: str) -> str:
    """Run a program with a folder on PYTHONPATH and an Airflow home, and return its last output line."""
    environment = {**os.environ, "PYTHONPATH": str(path), "AIRFLOW_HOME": str(home), **variables}
    completed = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout.splitlines()[-1]


def read_files(folder: Path) -> dict[str, str]:
    """Return the files below a folder: path → text."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_mounted_package_has_the_entry_points_of_pyproject(mounted_package: Path) -> None:
    carried = configparser.ConfigParser()
    carried.read(mounted_package.glob("kpo_platform-*.dist-info/entry_points.txt"))
    declared = PROJECT["entry-points"]
    assert {group: dict(carried[group]) for group in declared} == declared


def test_mounted_package_is_importable(mounted_package: Path, tmp_path: Path) -> None:
    program = "import kpo_platform; print(kpo_platform.__file__, kpo_platform.TeamPodOperator.__name__)"
    module_file = mounted_package / "kpo_platform" / "__init__.py"
    assert run_python(program, mounted_package, tmp_path) == f"{module_file} TeamPodOperator"


def test_mounted_package_has_a_version(mounted_package: Path, tmp_path: Path) -> None:
    program = "import importlib.metadata; print(importlib.metadata.version('kpo-platform'))"
    assert run_python(program, mounted_package, tmp_path) == VERSION


def test_task_of_a_new_team_finds_its_bundle(mounted_package: Path, tmp_path: Path) -> None:
    now, later = tmp_path / "airflow.cfg", tmp_path / "later.cfg"
    repository = {"dags": {"repo": "https://git.example/x.git"}}
    for path, names in ((now, ["alpha"]), (later, ["alpha", "beta"])):
        objects = render({"teams": dict.fromkeys(names, repository)})
        text = find_object(objects, "ConfigMap", "airflow-config")["data"]["airflow.cfg"]
        path.write_text(text.replace("/opt/airflow", str(tmp_path)))
    output = run_python(LATE_TEAM, mounted_package, tmp_path, AIRFLOW_CONFIG=str(now), LATER_CONFIG=str(later))
    assert output == "['alpha'] ['alpha', 'beta']"


@pytest.mark.parametrize("component", ["dag-processor", "scheduler", "triggerer"])
def test_templates_and_sidecars_are_mounted_as_files(component: str) -> None:
    objects = render()
    pod = map_pods_by_component(objects)[component]["spec"]
    mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounted_files = {}
    for folder in ("pod_templates", "sidecars"):
        source = volumes[mounts[f"/opt/kpo-platform/{folder}"]]["configMap"]
        assert source.keys() == {"name"}  # the whole ConfigMap, so that new files appear without a restart
        mounted_files[folder] = find_object(objects, "ConfigMap", source["name"])["data"]
    assert mounted_files == {
        "pod_templates": {path.name: path.read_text() for path in (ROOT / "pod_templates").glob("*.yaml")},
        "sidecars": {path.name: path.read_text() for path in (ROOT / "pod_templates" / "sidecars").glob("*.yaml")},
    }


def test_stock_operator_accepts_a_template_file(tmp_path: Path) -> None:
    file = tmp_path / "default.yaml"
    file.write_text(find_object(render(), "ConfigMap", "airflow-pod-templates")["data"]["default.yaml"])
    stock = """
import json, sys
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import ApiClient
task = KubernetesPodOperator(task_id="t", image="busybox:1.35", namespace="team-alpha", pod_template_file=%r)
pod = ApiClient().sanitize_for_serialization(task.build_pod_request_obj(dry_run=True))["spec"]
print(json.dumps([pod["containers"][0]["image"], pod["securityContext"], pod["volumes"]]))
"""
    template = yaml.safe_load(file.read_text())["spec"]
    assert json.loads(run_python(stock % str(file), tmp_path, tmp_path)) == [
        "busybox:1.35",
        template["securityContext"],
        template["volumes"],
    ]


def list_package_configmaps() -> list[dict[str, Any]]:
    return [item for item in render() if item["metadata"]["name"].startswith("airflow-code-")]


def test_package_configmaps_are_immutable_and_have_each_file_once() -> None:
    parts = list_package_configmaps()
    assert [part["immutable"] for part in parts] == [True] * len(parts)
    keys = [key for part in parts for key in part["data"]]
    assert len(keys) == len(set(keys)) > 100


def test_every_object_fits_into_the_annotation_of_kubectl_apply() -> None:
    """Kubernetes allows 256 KiB for all annotations of an object; kubectl stores the whole object in one."""
    sizes = {f"{item['kind']}/{item['metadata']['name']}": len(json.dumps(item)) for item in render(TWO_TEAMS)}
    assert {name: size for name, size in sizes.items() if size > 250_000} == {}


def test_packaged_chart_has_files_instead_of_links(packaged_chart: Path, tmp_path: Path) -> None:
    with tarfile.open(packaged_chart) as archive:
        assert all(member.isfile() for member in archive.getmembers())
        archive.extractall(tmp_path, filter="data")
    for folder in ("rbac", "pod_templates"):
        assert read_files(tmp_path / CHART.name / "files" / folder) == read_files(ROOT / folder)


def test_packaged_chart_has_only_the_mounted_modules(packaged_chart: Path) -> None:
    prefix = "kpo-platform/charts/code/files/"
    with tarfile.open(packaged_chart) as archive:
        carried = {name.removeprefix(prefix) for name in archive.getnames() if name.startswith(f"{prefix}kpo_platform")}
    volumes = {volume["name"]: volume for volume in map_pods_by_component(render())["scheduler"]["spec"]["volumes"]}
    assert carried == {path for path in map_package(volumes["python"]) if path.startswith("kpo_platform/")}


def test_packaged_chart_renders_like_the_folder(packaged_chart: Path) -> None:
    assert render(TWO_TEAMS, packaged_chart) == render(TWO_TEAMS)


def test_package_in_the_image_is_not_mounted_but_checked() -> None:
    objects = render({**TWO_TEAMS, "platform": {"package": "image"}})
    assert [item for item in objects if item["metadata"]["name"].startswith("airflow-code-")] == []
    for name, pod in map_pods_by_component(objects).items():
        assert "/opt/kpo-platform/python" not in json.dumps(pod), name
    for component in ("api-server", "dag-processor", "scheduler", "triggerer"):
        spec = map_pods_by_component(objects)[component]["spec"]
        env = {variable["name"]: variable.get("value") for variable in spec["containers"][0]["env"]}
        assert env["KPO_PLATFORM_CONTRACT"] == "/opt/kpo-platform/contract/contract.json"
        (waiting,) = [item for item in spec["initContainers"] if item["name"] == "wait-for-migrations"]
        assert {"name": "EXPECTED_PACKAGE", "value": VERSION} in waiting["env"]

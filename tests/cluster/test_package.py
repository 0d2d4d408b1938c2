"""The packaged chart, a .tgz; and an image that contains the platform's package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cluster.support.docs.derived_image import REPOSITORY_NAME, TAG, build_image_with_package
from common.command import capture_output
from common.steps import Steps
from local_cluster import cluster
from project import VERSION
from stack.install import install_release
from stack.release import CHART, NAMESPACE, RELEASE, Stack
from stack.sample_run import connect_airflow, run_sample

IMAGE_VALUES = {
    "platform": {"package": "image"},
    "images": {"airflow": {"repository": REPOSITORY_NAME, "tag": TAG}},
}
PACKAGE_SCRIPT = "import kpo_platform, importlib.metadata as m; print(kpo_platform.__file__, m.version('kpo-platform'))"


@pytest.fixture(scope="module")
def packaged(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The archive of `helm package`; afterwards the release uses the folder again."""
    folder = tmp_path_factory.mktemp("packaged")
    capture_output([stack.programs / "helm", "package", CHART, "--destination", folder])
    (archive,) = folder.glob("*.tgz")
    try:
        yield archive
    finally:
        install_release(Steps(), stack)


def list_code_maps(stack: Stack) -> list[str]:
    """Return the names of the ConfigMaps that contain the package."""
    items = stack.get("configmaps", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=code")["items"]
    return sorted(item["metadata"]["name"] for item in items)


def list_mounted_maps(stack: Stack) -> list[str]:
    """Return the names of the ConfigMaps from which the scheduler has the package."""
    spec = stack.get("statefulset", f"{RELEASE}-scheduler", "-n", NAMESPACE)["spec"]["template"]["spec"]
    (volume,) = [volume for volume in spec["volumes"] if volume["name"] == "python"]
    return sorted(source["configMap"]["name"] for source in volume["projected"]["sources"])


def read_package(stack: Stack, component: str) -> list[str]:
    """Return the path and the version of a component's package."""
    words = ("exec", "-n", NAMESPACE, component, "--", "python", "-c", PACKAGE_SCRIPT)
    return stack.kubectl(*words).split()


def test_release_from_the_archive_runs_a_dag(stack: Stack, packaged: Path):
    stack.helm(["uninstall", RELEASE, "-n", NAMESPACE, "--wait", "--timeout", "5m"], lambda _: None, timeout_s=310)
    install_release(Steps(), stack, packaged=packaged)
    assert read_package(stack, f"statefulset/{RELEASE}-scheduler") == [
        "/opt/kpo-platform/python/kpo_platform/__init__.py",
        VERSION,
    ]
    assert list_code_maps(stack) == list_mounted_maps(stack)
    assert run_sample(Steps(), stack, connect_airflow(stack)).state == "success"


def test_release_with_the_package_in_the_image_runs_a_dag(stack: Stack, packaged: Path, tmp_path: Path):
    cluster.load([build_image_with_package(tmp_path)], print)
    values = tmp_path / "image.yaml"
    values.write_text(yaml.safe_dump(IMAGE_VALUES))
    install_release(Steps(), stack, values, packaged=packaged)
    path, version = read_package(stack, f"statefulset/{RELEASE}-scheduler")
    assert (path, version) == ("/home/airflow/.local/lib/python3.11/site-packages/kpo_platform/__init__.py", VERSION)
    assert list_code_maps(stack) == []
    assert run_sample(Steps(), stack, connect_airflow(stack)).state == "success"

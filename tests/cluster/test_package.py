"""The chart as people get it, a .tgz; and an image that has the platform's package in it already."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cluster.support.docs.derived_image import REPOSITORY_NAME, TAG, build_image_with_package
from common.command import capture_output
from common.steps import Steps
from local_cluster import cluster
from stack.install import install_release
from stack.release import CHART, NAMESPACE, RELEASE, Stack
from stack.sample_run import connect_airflow, run_sample

IN_THE_IMAGE = {
    "platform": {"package": "image"},
    "images": {"airflow": {"repository": REPOSITORY_NAME, "tag": TAG}},
}
WHERE = "import kpo_platform, importlib.metadata as m; print(kpo_platform.__file__, m.version('kpo-platform'))"


@pytest.fixture(scope="module")
def packaged(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The chart as `helm package` makes it; afterwards the release comes from the folder again."""
    folder = tmp_path_factory.mktemp("packaged")
    capture_output([stack.programs / "helm", "package", CHART, "--destination", folder])
    (archive,) = folder.glob("*.tgz")
    try:
        yield archive
    finally:
        install_release(Steps(), stack)


def code_maps(stack: Stack) -> list[str]:
    """The names of the ConfigMaps that carry the package."""
    found = stack.get("configmaps", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=code")["items"]
    return [one["metadata"]["name"] for one in found]


def package_of(stack: Stack, component: str) -> list[str]:
    """Where a component has the package from, and its version."""
    words = ("exec", "-n", NAMESPACE, component, "--", "python", "-c", WHERE)
    return stack.kubectl(*words).split()


def test_a_release_installed_from_the_archive_runs_a_dag(stack: Stack, packaged: Path):
    stack.helm(["uninstall", RELEASE, "-n", NAMESPACE, "--wait", "--timeout", "5m"], lambda _: None, timeout_s=310)
    install_release(Steps(), stack, packaged=packaged)
    assert package_of(stack, f"statefulset/{RELEASE}-scheduler") == [
        "/opt/kpo-platform/python/kpo_platform/__init__.py",
        "0.1.0",
    ]
    assert len(code_maps(stack)) == 1
    assert run_sample(Steps(), stack, connect_airflow(stack)).state == "success"


def test_with_the_package_in_the_image_none_is_carried_and_a_dag_runs(stack: Stack, packaged: Path, tmp_path: Path):
    cluster.load([build_image_with_package(tmp_path)], print)
    values = tmp_path / "image.yaml"
    values.write_text(yaml.safe_dump(IN_THE_IMAGE))
    install_release(Steps(), stack, values, packaged=packaged)
    where, version = package_of(stack, f"statefulset/{RELEASE}-scheduler")
    assert (where, version) == ("/home/airflow/.local/lib/python3.11/site-packages/kpo_platform/__init__.py", "0.1.0")
    assert code_maps(stack) == []
    assert run_sample(Steps(), stack, connect_airflow(stack)).state == "success"

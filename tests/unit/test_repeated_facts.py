"""Facts that several files state: every copy has the value of the source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import yaml

from chart.rendering import KUBERNETES
from common.airflow_version import AIRFLOW_VERSION
from common.command import capture_output
from common.paths import REPOSITORY
from images.recipes import OPTIONAL_RECIPES, RECIPES
from kpo_platform.airflow.provider_version import NEWEST, OLDEST
from kpo_platform.cli.exit_codes import Exit
from local_cluster import toolchain
from local_cluster.node_images.base_images import BUSYBOX
from project import PROJECT, PYPROJECT, VERSION
from testing import newer_python
from unit.test_style import FUNCTION_LINES, MODULE_LINES, TEMPLATE_LINES


def read_text(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def read_pin(lock: str, package: str) -> str:
    """Return the version of a package in a lock file."""
    match = re.search(rf"^{package}==(\S+)", read_text(f"requirements/{lock}.txt"), re.MULTILINE)
    assert match, f"{lock}.txt does not pin {package}"
    return match[1]


def cut_patch(version: str) -> str:
    """Return the first two numbers of a version such as v1.37.2."""
    return ".".join(version.removeprefix("v").split(".")[:2])


def read_module_version(module: str) -> str:
    """Return the first two numbers of a Go module's version on the local cluster."""
    return cut_patch(toolchain.module_version(read_text("scripts/local_cluster/toolchain/go.mod"), module))


TEMPLATES = "helm/kpo-platform/templates"
CHART = yaml.safe_load(read_text("helm/kpo-platform/Chart.yaml"))
AIRFLOW = AIRFLOW_VERSION
KUBERNETES_OLDEST = CHART["kubeVersion"].removeprefix(">=").removesuffix(".0-0")
PROVIDER = "apache-airflow-providers-cncf-kubernetes"
PROVIDER_OLDEST, PROVIDER_NEWEST = (".".join(map(str, version)) for version in (OLDEST, NEWEST))
PROVIDER_RANGE = f"{PROVIDER_OLDEST} to {PROVIDER_NEWEST}"
PYTHON_OLDEST = PROJECT["requires-python"].removeprefix(">=")
ANSIBLE_OLDEST = cut_patch(read_pin("dev", "ansible-core"))
RELEASE_JOBS = ("secrets", "migration", "team-settings")
ATTEMPTS = str(int(re.findall(r"backoffLimit: (\d+)", read_text(f"{TEMPLATES}/migration/job.yaml"))[0]) + 1)


class Copy(NamedTuple):
    """A place that repeats a fact.

    Attributes:
        file: the file, relative to the checkout.
        pattern: a regular expression with one group, the value.
        value: the value of the source.
        count: the number of times that the file states it.
    """

    file: str
    pattern: str
    value: str
    count: int = 1


AIRFLOW_COPIES = (
    Copy("README.md", r"\| Airflow \| ([\d.]+),", AIRFLOW),
    Copy("docs/images.md", r"FROM apache/airflow:(\S+)", AIRFLOW),
    Copy("docs/images.md", r"tag: ([\d.]+)-kpo-", AIRFLOW),
    Copy("docs/local-cluster.md", r"kpo-platform/airflow:([\d.]+)`", AIRFLOW),
    Copy("helm/kpo-platform/Chart.yaml", r'^appVersion: "(.+)"', AIRFLOW),
    Copy("requirements/airflow.in", r"^apache-airflow==(\S+)", AIRFLOW),
    Copy("requirements/airflow.in", r"those of its (\S+) tag", AIRFLOW),
    Copy("requirements/providers.in", r"^apache-airflow==(\S+)", AIRFLOW),
    Copy("requirements/remote-logs.in", r"^apache-airflow==(\S+)", AIRFLOW),
    Copy("scripts/images/containers/airflow/Containerfile", r"apache/airflow:(\S+)", AIRFLOW),
    Copy("scripts/lock-requirements", r"image of Airflow (\S+) of", AIRFLOW),
)

PROVIDER_COPIES = (
    Copy("README.md", r"^\| provider cncf-kubernetes \| ([\d.]+) \| `--only unit`", read_pin("airflow", PROVIDER)),
    Copy("README.md", r"^\| provider cncf-kubernetes \| ([\d.]+) \| `--only prov", read_pin("providers", PROVIDER)),
    Copy("README.md", r"the Kubernetes provider ([\d.]+),", PROVIDER_NEWEST),
    Copy("docs/existing-airflow.md", r"provider cncf-kubernetes ([\d.]+ to [\d.]+\d)", PROVIDER_RANGE),
    Copy("docs/operator.md", r"providers? (?:cncf-kubernetes )?([\d.]+ to [\d.]+\d)", PROVIDER_RANGE, 2),
    Copy("platform/kpo_platform/pod/rules/argument_names.py", r"providers ([\d.]+ to [\d.]+\d)", PROVIDER_RANGE),
    Copy("pyproject.toml", r"providers ([\d.]+ to [\d.]+\d) share", PROVIDER_RANGE),
    Copy("pyproject.toml", rf"{PROVIDER}>=([\d.]+),", PROVIDER_OLDEST),
    Copy("pyproject.toml", rf"{PROVIDER}>=[\d.]+,<([\d.]+)", f"{NEWEST[0]}.{NEWEST[1] + 1}"),
    Copy("requirements/airflow.in", rf"{PROVIDER}==(\S+)", read_pin("airflow", PROVIDER)),
    Copy("requirements/providers.in", rf"{PROVIDER}==(\S+)", read_pin("providers", PROVIDER)),
)

OTHER_COPIES = (
    Copy("README.md", r"You need Kubernetes (\S+) or newer", KUBERNETES_OLDEST),
    Copy("README.md", r"the chart requires ([\d.]+),", KUBERNETES_OLDEST),
    Copy("README.md", r"^\| Kubernetes \| ([\d.]+), one node", read_module_version("k8s.io/kubernetes")),
    Copy("README.md", r"schemas of ([\d.]+):", KUBERNETES),
    Copy("docs/local-cluster.md", r"kubectl ([\d.]+) \|", read_module_version("k8s.io/kubernetes")),
    Copy("requirements/dev.in", r"kubernetes-validate==(\d+\.\d+)", KUBERNETES),
    Copy("README.md", r"^\| Helm \| ([\d.]+) \| `--only chart`", read_module_version("helm.sh/helm/v4")),
    Copy("README.md", r"ansible-core \| ([\d.]+, [\d.]+) \|", f"{PYTHON_OLDEST}, {ANSIBLE_OLDEST}"),
    Copy(
        "README.md",
        r"ansible-core \| newest of (.+) \| `--only newer`",
        f"3.{newer_python.OLDEST} to 3.{newer_python.NEWEST} on the machine, "
        f"{cut_patch(read_pin('newer', 'ansible-core'))}",
    ),
    Copy("README.md", r"Python (\S+) or newer", PYTHON_OLDEST),
    Copy("CONTRIBUTING.md", r"newest Python \((\S+) or newer\)", f"3.{newer_python.OLDEST}"),
    Copy("CONTRIBUTING.md", r"`integration` have (\S+ and [\d.]+) ", f"{PYTHON_OLDEST} and {ANSIBLE_OLDEST}"),
    Copy("docs/platformctl.md", r"Python (\S+) or newer", PYTHON_OLDEST),
    Copy("CONTRIBUTING.md", r"Functions and .* at most (\d+) lines", str(FUNCTION_LINES)),
    Copy("CONTRIBUTING.md", r"chart templates have at most (\d+) lines", str(TEMPLATE_LINES)),
    Copy("CONTRIBUTING.md", r"modules at most (\d+);", str(MODULE_LINES)),
    Copy("helm/kpo-platform/Chart.yaml", r"^version: (\S+)", VERSION),
    Copy("docs/images.md", r"tag: [\d.]+-kpo-([\d.]+)}", VERSION),
    Copy("docs/upgrade.md", r"Each makes (\d+) attempts", ATTEMPTS),
)

COPIES = AIRFLOW_COPIES + PROVIDER_COPIES + OTHER_COPIES


@pytest.mark.parametrize("copy", COPIES, ids=lambda copy: f"{copy.file}: {copy.pattern}")
def test_copy_has_the_value_of_the_source(copy: Copy):
    assert re.findall(copy.pattern, read_text(copy.file), re.MULTILINE) == [copy.value] * copy.count


def test_jobs_of_the_release_make_the_same_number_of_attempts():
    limits = [re.findall(r"backoffLimit: (\d+)", read_text(f"{TEMPLATES}/{job}/job.yaml")) for job in RELEASE_JOBS]
    assert limits == [[str(int(ATTEMPTS) - 1)]] * len(RELEASE_JOBS)


def test_contributing_shows_the_layers_of_the_package():
    (layers,) = (
        contract["layers"]
        for contract in PYPROJECT["tool"]["importlinter"]["contracts"]
        if contract["name"] == "Imports point down only"
    )
    assert "\n".join(["```", *layers, "```"]) in read_text("CONTRIBUTING.md")


def test_local_cluster_page_shows_images_that_recipes_build():
    shown = re.findall(r"^\| `([^`]+:[^`]+)` \|", read_text("docs/local-cluster.md"), re.MULTILINE)
    built = {recipe.reference for recipe in (*RECIPES.values(), *OPTIONAL_RECIPES.values())}
    assert set(shown) - built == {BUSYBOX}


def list_files_with(text: str, *folders: str) -> Iterator[str]:
    """Yield the files of the checkout that contain a text, without the lock files and the results of measurements."""
    words = ["git", "grep", "--files-with-matches", "--untracked", "-I", "--fixed-strings", "--word-regexp", "-e", text]
    found = capture_output([*words, "--", *folders], cwd=REPOSITORY).splitlines()
    locks = re.compile(r"requirements/.*\.txt|docs/benchmarks.*|.*/go\.(mod|sum)")
    yield from (name for name in found if not locks.fullmatch(name))


def test_every_file_with_the_airflow_version_is_compared():
    folders = ("*.md", "docs", "helm", "platform", "pyproject.toml", "requirements", "scripts", "tests")
    assert set(list_files_with(AIRFLOW, *folders)) == {copy.file for copy in AIRFLOW_COPIES}


def test_every_page_with_the_provider_range_is_compared():
    pages = set(list_files_with(PROVIDER_RANGE, "*.md", "docs", "platform", "pyproject.toml"))
    assert pages <= {copy.file for copy in PROVIDER_COPIES}


def test_airflow_range_of_the_package_has_the_chart_s_airflow():
    major, minor, _ = AIRFLOW.split(".")
    expected = f"apache-airflow>={major}.{minor},<{major}.{int(minor) + 1}"
    assert expected in PROJECT["optional-dependencies"]["airflow"]


def test_locks_have_the_chart_s_airflow():
    locks = ("airflow", "dev", "providers", "remote-logs")
    assert {lock: read_pin(lock, "apache-airflow") for lock in locks} == dict.fromkeys(locks, AIRFLOW)


def test_exit_codes_in_help_and_page_are_those_of_the_program():
    codes = [str(int(code)) for code in Exit]
    help_text = read_text("platform/kpo_platform/cli/main.py").partition("Exit codes:")[2].partition("\n\n")[0]
    page = read_text("docs/platformctl.md").partition("## Exit codes")[2].partition("\n## ")[0]
    assert re.findall(r"(\d+) [a-z]", help_text) == codes
    assert re.findall(r"^\| (\d+) \|", page, re.MULTILINE) == codes

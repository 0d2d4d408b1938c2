"""sdist and wheel: their files, and the wheel in new environments with only its declared dependencies."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from common.paths import REPOSITORY
from project import PROJECT, VERSION

PROGRAMS = Path(sys.executable).parent
IMPORT = "import kpo_platform; print(kpo_platform.__version__, kpo_platform.__file__)"
ENTRY_POINTS = """
import importlib.metadata, json
points = importlib.metadata.distribution("kpo-platform").entry_points
assert all(point.load() for point in points)
print(json.dumps([[point.group, point.name, point.value] for point in points]))
"""


def run(*words: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program that cannot import anything from the checkout."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False)


def build_archive(target: str, source: Path, folder: Path) -> Path:
    result = run(PROGRAMS / "hatchling", "build", "-t", target, "-d", folder, cwd=source)
    assert result.returncode == 0, result.stderr
    (file,) = folder.iterdir()
    return file


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_archive("sdist", REPOSITORY, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the sdist as pip does."""
    source = tmp_path_factory.mktemp("source")
    with tarfile.open(sdist) as archive:
        archive.extractall(source, filter="data")
    return build_archive("wheel", source / f"kpo_platform-{VERSION}", tmp_path_factory.mktemp("wheel"))


def create_environment(folder: Path, wheel: Path, extra: str = "") -> Path:
    """Create a virtual environment with the wheel and links to its dependencies, and return its folder of programs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    python = folder / "bin" / "python"
    result = run(PROGRAMS / "uv", "pip", "install", "--offline", "--no-deps", "--python", python, wheel, cwd=folder)
    assert result.returncode == 0, result.stderr
    (packages,) = folder.glob("lib/*/site-packages")
    (installed,) = importlib.metadata.distributions(name="kpo-platform", path=[str(packages)])
    for dependency in find_dependencies(installed.requires or (), extra):
        for name in {file.parts[0] for file in dependency.files or ()} - {"..", "__pycache__"}:
            if not (packages / name).exists():
                (packages / name).symlink_to(dependency.locate_file(name))
    return folder / "bin"


def find_dependencies(declared: Iterable[str], extra: str) -> Iterator[importlib.metadata.Distribution]:
    """Find the distributions of this environment that fulfil requirements, directly and transitively."""
    pending = [(Requirement(text), extra) for text in declared]
    seen = set()
    while pending:
        requirement, active_extra = pending.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": active_extra}):
            continue
        for requested_extra in ("", *requirement.extras):
            if (key := (canonicalize_name(requirement.name), requested_extra)) not in seen:
                seen.add(key)
                distribution = importlib.metadata.distribution(requirement.name)
                pending += [(Requirement(text), requested_extra) for text in distribution.requires or ()]
                yield distribution


def list_checkout() -> set[str]:
    """List the files of the checkout. A link to a folder is replaced by the files in the folder."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    output = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=30).stdout
    names = {name for name in output.splitlines() if (REPOSITORY / name).exists()}
    links = {name: (REPOSITORY / name).resolve() for name in names if (REPOSITORY / name).is_symlink()}
    targets = {name: str(path.relative_to(REPOSITORY)) for name, path in links.items()}
    linked_files = {
        name.replace(target, link, 1)
        for link, target in targets.items()
        for name in names
        if name.startswith(f"{target}/")
    }
    return (names - links.keys()) | linked_files


def test_sdist_has_all_files_except_those_of_ci(sdist: Path):
    with tarfile.open(sdist) as archive:
        names = {name.removeprefix(f"kpo_platform-{VERSION}/") for name in archive.getnames()}
    assert names == list_checkout() - {".ci/run"} | {"PKG-INFO"}


def test_wheel_has_only_the_package_and_its_metadata(wheel: Path):
    root = "platform/"
    package = {name.removeprefix(root) for name in list_checkout() if name.startswith(root)}
    names = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    metadata_files = {f"kpo_platform-{VERSION}.dist-info/{name}" for name in names}
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == package | metadata_files


def test_wheel_needs_only_the_dependencies_it_declares(wheel: Path, tmp_path: Path):
    programs = create_environment(tmp_path / "env", wheel)
    imported = run(programs / "python", "-c", IMPORT, cwd=tmp_path)
    (packages,) = (tmp_path / "env").glob("lib/*/site-packages")
    assert (imported.stdout, imported.stderr) == (f"{VERSION} {packages}/kpo_platform/__init__.py\n", "")
    version = run(programs / "platformctl", "version", cwd=tmp_path, KUBECONFIG=str(tmp_path / "none"))
    assert (version.returncode, version.stdout) == (3, f"platformctl {VERSION}\ncontract 1\n")


def test_entry_points_load_beside_airflow(wheel: Path, tmp_path: Path):
    programs = create_environment(tmp_path / "env", wheel, "airflow")
    loaded = run(programs / "python", "-c", ENTRY_POINTS, cwd=tmp_path, AIRFLOW_HOME=str(tmp_path))
    assert loaded.returncode == 0, loaded.stderr
    declared = {"console_scripts": PROJECT["scripts"], **PROJECT["entry-points"]}
    assert sorted(json.loads(loaded.stdout.splitlines()[-1])) == sorted(
        [group, name, value] for group, points in declared.items() for name, value in points.items()
    )

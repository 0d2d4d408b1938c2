"""The operator's tests with the newest provider of Airflow that it is made for, in an environment of its own."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from common.command import capture_output
from common.files import atomic_folder, hash_files
from common.package_index import package_index_variables
from common.paths import REPOSITORY, cache_path
from common.venv import make_venv

TESTS = (
    "arguments",
    "conformance",
    "differences",
    "given",
    "home",
    "import",
    "late",
    "layers",
    "leaving",
    "mapped",
    "pod_run",
    "policy",
    "properties",
    "provider",
    "room",
    "team_pod",
    "templated",
    "twins",
)
"""Those of tests/unit that meet the stock operator; `.venv` runs them with the oldest provider."""

_INSTALL_TIMEOUT_S = 600


def newest_provider(programs: Path) -> Path:
    """Make the environment when the cache does not have it yet.

    Args:
        programs: those of `.venv`, uv among them.

    Returns:
        The folder of its programs.

    Raises:
        ScriptError: it could not be made.
    """
    lock = REPOSITORY / "requirements" / "providers.txt"
    folder = cache_path("venv", f"providers-{hash_files([lock], sys.version)}")
    if not folder.exists():
        with atomic_folder(folder) as draft:
            make_venv(draft)
            install = (programs / "uv", "pip", "install", "--python", draft / "bin" / "python")
            access = package_index_variables()
            capture_output((*install, "--require-hashes", "-r", lock), timeout_s=_INSTALL_TIMEOUT_S, env=access)
    _name_the_package(programs.parent, folder)
    return folder / "bin"


def _name_the_package(known: Path, folder: Path) -> None:
    """Let Airflow find the cluster policy there too: by the entry points that `.venv` knows of the package."""
    (entry_points,) = known.glob("lib/*/site-packages/kpo_platform-*.dist-info")
    (packages,) = folder.glob("lib/*/site-packages")
    for former in packages.glob("kpo_platform-*.dist-info"):
        shutil.rmtree(former)
    shutil.copytree(entry_points, packages / entry_points.name)


def files() -> list[str]:
    """Give the test files to run, below the checkout."""
    return [f"tests/unit/test_{name}.py" for name in TESTS]

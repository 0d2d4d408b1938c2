"""The environment of bootstrap's tests with a newer Python and its newer Ansible."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from common.command import capture_output
from common.errors import ScriptError
from common.files import atomic_folder, hash_files
from common.package_index import package_index_variables
from common.paths import REPOSITORY, cache_path
from common.python_env import build_install_command

OLDEST, NEWEST = 12, 14
"""The range of minor versions of Python 3."""

_TESTS = (
    "integration/test_ansible_*.py",
    "unit/test_airflow_api.py",
    "unit/test_bootstrap_*.py",
    "unit/test_channel.py",
    "unit/test_claim.py",
    "unit/test_cli.py",
    "unit/test_connection.py",
    "unit/test_deletion.py",
    "unit/test_docker_config.py",
    "unit/test_env_secret.py",
    "unit/test_kube.py",
    "unit/test_lease.py",
    "unit/test_login_check.py",
    "unit/test_plan.py",
    "unit/test_registry_checks.py",
    "unit/test_target_cluster.py",
    "unit/test_verify.py",
)
_INSTALL_TIMEOUT_S = 600


def find_newest_python() -> Path | None:
    """Return the newest Python in PATH or pyenv; None if none is newer than 3.11."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for minor in range(NEWEST, OLDEST - 1, -1):
        in_path = shutil.which(f"python3.{minor}")
        candidates = sorted(root.glob(f"versions/3.{minor}.*/bin/python")) + ([Path(in_path)] if in_path else [])
        if python := next((candidate for candidate in candidates if _has_version(candidate, minor)), None):
            return python
    return None


def ensure_environment(programs: Path, python: Path) -> Path:
    """Create the environment unless the cache contains it.

    Args:
        programs: the folder of `.venv`'s programs, which include uv.
        python: the Python of the environment.

    Returns:
        The folder of its programs.

    Raises:
        ScriptError: an installation failed.
    """
    lock = REPOSITORY / "requirements" / "newer.txt"
    version = capture_output((python, "-VV"))
    folder = cache_path("venv", f"newer-{hash_files([lock], str(python), version)}")
    if not folder.exists():
        with atomic_folder(folder) as draft:
            uv, access = programs / "uv", package_index_variables()
            # Relocatable: the draft folder is renamed, and ansible-playbook contains the path of its Python.
            capture_output((uv, "venv", "--quiet", "--clear", "--relocatable", "--python", python, draft), env=access)
            install = build_install_command(uv, draft / "bin" / "python", lock)
            capture_output(install, timeout_s=_INSTALL_TIMEOUT_S, env=access)
    return folder / "bin"


def list_test_files() -> list[str]:
    """Return the test files, relative to the checkout."""
    paths = [file for pattern in _TESTS for file in sorted((REPOSITORY / "tests").glob(pattern))]
    return [str(path.relative_to(REPOSITORY)) for path in paths]


def _has_version(python: Path, minor: int) -> bool:
    """Return whether a Python starts and has this minor version.

    A pyenv shim may exist without its Python.
    """
    try:
        version = capture_output((python, "-c", "import sys; print(sys.version_info[1])"), timeout_s=30)
    except ScriptError:
        return False
    return version.strip() == str(minor)

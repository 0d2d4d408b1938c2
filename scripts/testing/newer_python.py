"""Bootstrap's tests with a newer Python, for which Ansible is a newer one too, in an environment of its own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from common.command import capture_output
from common.errors import ScriptError
from common.files import atomic_folder, hash_files
from common.package_index import package_index_variables
from common.paths import REPOSITORY, cache_path

OLDEST, NEWEST = 12, 14
"""The minor versions of Python 3 that are looked for."""

_TESTS = (
    "integration/test_ansible_*.py",
    "unit/test_bootstrap_*.py",
    "unit/test_cli.py",
    "unit/test_credentials.py",
    "unit/test_kube.py",
    "unit/test_plan.py",
)
_INSTALL_TIMEOUT_S = 600


def newest_python() -> Path | None:
    """Give the newest Python of this machine that runs, in PATH or of pyenv; None where 3.11 is the newest."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for minor in range(NEWEST, OLDEST - 1, -1):
        in_path = shutil.which(f"python3.{minor}")
        found = sorted(root.glob(f"versions/3.{minor}.*/bin/python")) + ([Path(in_path)] if in_path else [])
        if python := next((each for each in found if _runs(each, minor)), None):
            return python
    return None


def newer_environment(programs: Path, python: Path) -> Path:
    """Make the environment when the cache does not have it yet.

    Args:
        programs: those of `.venv`, uv among them.
        python: the Python that it is for.

    Returns:
        The folder of its programs.

    Raises:
        ScriptError: it could not be made.
    """
    lock = REPOSITORY / "requirements" / "newer.txt"
    version = capture_output((python, "-VV"))
    folder = cache_path("venv", f"newer-{hash_files([lock], str(python), version)}")
    if not folder.exists():
        with atomic_folder(folder) as draft:
            uv, access = programs / "uv", package_index_variables()
            # Relocatable, for ansible-playbook is a script that names its Python, and the draft is moved.
            capture_output((uv, "venv", "--quiet", "--clear", "--relocatable", "--python", python, draft), env=access)
            install = (uv, "pip", "install", "--python", draft / "bin" / "python", "--require-hashes", "-r", lock)
            capture_output(install, timeout_s=_INSTALL_TIMEOUT_S, env=access)
    return folder / "bin"


def files() -> list[str]:
    """Give the test files to run, below the checkout."""
    found = [file for pattern in _TESTS for file in sorted((REPOSITORY / "tests").glob(pattern))]
    return [str(file.relative_to(REPOSITORY)) for file in found]


def _runs(python: Path, minor: int) -> bool:
    """Whether it is what it is called; a shim of pyenv may stand for nothing."""
    try:
        return capture_output((python, "-c", "import sys; print(sys.version_info[1])"), timeout_s=30).strip() == str(
            minor
        )
    except ScriptError:
        return False

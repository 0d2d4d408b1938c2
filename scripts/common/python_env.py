"""The checkout's Python environment `.venv`: all locked packages, recreated when a lock changes."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from common.command import Progress, run_logged
from common.errors import ScriptError
from common.files import hash_files, write_atomically
from common.mutex import hold_lock
from common.package_index import package_index_variables
from common.paths import REPOSITORY, cache_path
from common.venv import make_venv

_REQUIREMENTS = REPOSITORY / "requirements"
_STAMP = ".made-of"


def ensure_environment(progress: Progress) -> Path:
    """Create `.venv` with the locked packages and this checkout, unless it is up to date.

    Args:
        progress: called with the current activity.

    Returns:
        The folder of its programs: python, platformctl, pytest, ruff …

    Raises:
        ScriptError: an installation failed; contains the last lines of its command.
    """
    folder = REPOSITORY / ".venv"
    locks = [_REQUIREMENTS / "tools.txt", _REQUIREMENTS / "dev.txt", REPOSITORY / "pyproject.toml"]
    digest = hash_files(locks, str(REPOSITORY), sys.version)
    stamp = folder / _STAMP
    with hold_lock(cache_path("environment.lock"), "creating the Python environment", progress):
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != digest:
            _check_owner(folder, stamp)
            write_atomically(_owner_marker(folder), "")
            _create(folder, progress)
            write_atomically(stamp, digest)
    return folder / "bin"


def _check_owner(folder: Path, stamp: Path) -> None:
    """Refuse to replace an environment that these scripts did not create.

    Raises:
        ScriptError: there is such an environment.
    """
    if folder.exists() and not (stamp.exists() or _owner_marker(folder).exists()):
        raise ScriptError(f"Cannot create {folder}: another tool created it. Move it away.")


def _owner_marker(folder: Path) -> Path:
    """Return the file that marks `.venv` as created by these scripts, even if that was interrupted."""
    return folder.with_name(".venv.ours")


def _create(folder: Path, progress: Progress) -> None:
    log = cache_path("logs", "environment.log")
    shutil.rmtree(folder, ignore_errors=True)
    make_venv(folder)
    python = folder / "bin" / "python"
    access = package_index_variables()

    def install(*words: str | Path) -> None:
        run_logged(words, log, env=access, timeout_s=900, progress=progress)

    install(python, "-m", "pip", "install", "--require-hashes", "-r", _REQUIREMENTS / "tools.txt")
    uv = folder / "bin" / "uv"
    install(*build_install_command(uv, python, _REQUIREMENTS / "dev.txt"))
    install(uv, "pip", "install", "--python", python, "--no-deps", "--no-build-isolation", "--editable", REPOSITORY)


def build_install_command(uv: Path, python: Path, lock: Path) -> tuple[str | Path, ...]:
    """Return the command that installs the packages of a lock file, with their hashes, for a Python.

    It compiles them. Else every process would compile Airflow again where PYTHONDONTWRITEBYTECODE is set, and the first
    tests elsewhere.
    """
    return (uv, "pip", "install", "--python", python, "--require-hashes", "--compile-bytecode", "-r", lock)

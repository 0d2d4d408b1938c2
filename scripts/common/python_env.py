"""The Python environment of the checkout, `.venv`: everything locked, made in seconds, again when a lock changes."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from common.errors import ScriptError
from common.files import digest_of_files, write_whole
from common.mutex import only_one_run
from common.package_access import package_variables
from common.paths import REPOSITORY, cache_folder
from common.run import Say, run_logged
from common.venv import make_venv

_REQUIREMENTS = REPOSITORY / "requirements"
_STAMP = ".made-of"


def environment(say: Say) -> Path:
    """Make sure that `.venv` holds what the locks say, with this checkout installed in it.

    Args:
        say: told what is happening.

    Returns:
        The folder of its programs: python, platformctl, pytest, ruff …

    Raises:
        ScriptError: it could not be made; the message has the last lines of the command that failed.
    """
    folder = REPOSITORY / ".venv"
    locks = [_REQUIREMENTS / "tools.txt", _REQUIREMENTS / "dev.txt", REPOSITORY / "pyproject.toml"]
    digest = digest_of_files(locks, str(REPOSITORY), sys.version)
    stamp = folder / _STAMP
    with only_one_run(cache_folder("environment.lock"), "making a Python environment", say):
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != digest:
            _require_ours(folder, stamp)
            write_whole(_claim(folder), "")
            _make(folder, say)
            write_whole(stamp, digest)
    return folder / "bin"


def _require_ours(folder: Path, stamp: Path) -> None:
    """Refuse to replace an environment that somebody else made.

    Raises:
        ScriptError: there is one.
    """
    if folder.exists() and not (stamp.exists() or _claim(folder).exists()):
        raise ScriptError(f"{folder} was not made by these scripts, and they need the place: move it away.")


def _claim(folder: Path) -> Path:
    """Give the file that says, also after an interruption, that the environment is ours to replace."""
    return folder.with_name(".venv.ours")


def _make(folder: Path, say: Say) -> None:
    log = cache_folder("logs", "environment.log")
    shutil.rmtree(folder, ignore_errors=True)
    make_venv(folder)
    python = folder / "bin" / "python"
    access = package_variables()

    def install(*words: str | Path) -> None:
        run_logged(words, log, env=access, timeout_s=900, say=say)

    install(python, "-m", "pip", "install", "--require-hashes", "-r", _REQUIREMENTS / "tools.txt")
    uv = (folder / "bin" / "uv", "pip", "install", "--python", python)
    install(*uv, "--require-hashes", "-r", _REQUIREMENTS / "dev.txt")
    install(*uv, "--no-deps", "--no-build-isolation", "--editable", REPOSITORY)

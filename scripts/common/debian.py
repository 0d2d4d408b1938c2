"""Debian packages: install what a machine lacks, or unpack one without installing it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from common.errors import ScriptError
from common.files import whole_folder
from common.paths import cache_folder
from common.run import CommandError, Say, capture, run_logged

# Another apt may be at work; waiting for it is apt's own business.
_APT = ("apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3")
_QUIETLY = {"DEBIAN_FRONTEND": "noninteractive"}


def missing_packages(needs: Mapping[str, str]) -> list[str]:
    """Give the packages whose programs this machine lacks.

    Args:
        needs: program (a name to be found in PATH, or an absolute path) → the package that has it.
    """
    return sorted({package for program, package in needs.items() if not _is_there(program)})


def install_packages(packages: Iterable[str], say: Say | None = None) -> None:
    """Install packages without the ones they merely recommend; what is there already stays as it is.

    Args:
        packages: names of packages.
        say: told the latest line of apt's output.

    Raises:
        ScriptError: there is no apt-get, this user may not install, or apt failed.
    """
    wanted = list(packages)
    if not wanted:
        return
    _require_apt(f"the packages {', '.join(wanted)} are missing")
    if os.geteuid() != 0:
        raise ScriptError(f"The packages {', '.join(wanted)} are missing: run this as root, or install them first.")
    log = cache_folder("logs", "apt.log")
    install = (*_APT, "install", "-y", "--no-install-recommends", "--no-upgrade", *wanted)
    try:
        run_logged(install, log, timeout_s=900, env=_QUIETLY, say=say)
    except CommandError:
        # The usual reason is that the machine's package lists are absent or out of date.
        run_logged((*_APT, "update"), log, timeout_s=600, env=_QUIETLY, say=say)
        run_logged(install, log, timeout_s=900, env=_QUIETLY, say=say)


def unpack_package(package: str, folder: Path) -> None:
    """Download a package and unpack its files into a folder, leaving the system untouched.

    For programs that go into images: installing them could displace others (busybox-static and busybox).

    Args:
        package: its name.
        folder: where its files appear, as below `/`.

    Raises:
        ScriptError: there is no apt-get, or the package could not be fetched.
    """
    _require_apt(f"the package {package} is needed")
    with whole_folder(folder) as draft:
        try:
            capture((*_APT, "download", package), timeout_s=300, cwd=draft)
        except CommandError:
            run_logged((*_APT, "update"), cache_folder("logs", "apt.log"), timeout_s=600, env=_QUIETLY)
            capture((*_APT, "download", package), timeout_s=300, cwd=draft)
        (archive,) = draft.glob("*.deb")
        capture(("dpkg-deb", "--extract", archive, draft), timeout_s=60)
        archive.unlink()


def _is_there(program: str) -> bool:
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    return shutil.which(program, path=path) is not None


def _require_apt(why: str) -> None:
    if not shutil.which("apt-get"):
        raise ScriptError(f"This machine has no apt-get, and {why}: install what is missing by hand and try again.")

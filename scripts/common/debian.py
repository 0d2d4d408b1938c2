"""Debian packages: install missing ones, or unpack one without installing it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from common.command import CommandError, Progress, capture_output, run_logged
from common.errors import ScriptError
from common.files import atomic_folder
from common.paths import cache_path

# apt itself waits for a lock that another apt process holds.
_APT = ("apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3")
_NONINTERACTIVE = {"DEBIAN_FRONTEND": "noninteractive"}


def find_missing_packages(needs: Mapping[str, str]) -> list[str]:
    """Return the packages that contain programs which this machine lacks.

    Args:
        needs: program (a name to find in PATH, or an absolute path) → the package that contains it.
    """
    return sorted({package for program, package in needs.items() if not _is_installed(program)})


def install_packages(packages: Iterable[str], progress: Progress | None = None) -> None:
    """Install packages without recommended ones; do not upgrade installed packages.

    Args:
        packages: names of packages.
        progress: called with the latest line of apt's output.

    Raises:
        ScriptError: apt-get does not exist, this user is not root, or apt failed.
    """
    names = list(packages)
    if not names:
        return
    _require_apt(names)
    if os.geteuid() != 0:
        raise ScriptError(
            f"Cannot install {', '.join(names)}: apt-get requires root. Run this as root, or install them first."
        )
    log = cache_path("logs", "apt.log")
    install = (*_APT, "install", "-y", "--no-install-recommends", "--no-upgrade", *names)
    try:
        run_logged(install, log, timeout_s=900, env=_NONINTERACTIVE, progress=progress)
    except CommandError:
        # The usual cause: the machine's package lists are absent or out of date.
        run_logged((*_APT, "update"), log, timeout_s=600, env=_NONINTERACTIVE, progress=progress)
        run_logged(install, log, timeout_s=900, env=_NONINTERACTIVE, progress=progress)


def unpack_package(package: str, folder: Path) -> None:
    """Download a package and unpack its files into a folder; the system does not change.

    Used for programs of images: installing them could replace other packages (busybox-static and busybox).

    Args:
        package: name of the package.
        folder: root of the unpacked files.

    Raises:
        ScriptError: apt-get does not exist, or the download failed.
    """
    _require_apt([package])
    with atomic_folder(folder) as draft:
        try:
            capture_output((*_APT, "download", package), timeout_s=300, cwd=draft)
        except CommandError:
            run_logged((*_APT, "update"), cache_path("logs", "apt.log"), timeout_s=600, env=_NONINTERACTIVE)
            capture_output((*_APT, "download", package), timeout_s=300, cwd=draft)
        (archive,) = draft.glob("*.deb")
        capture_output(("dpkg-deb", "--extract", archive, draft), timeout_s=60)
        archive.unlink()


def _is_installed(program: str) -> bool:
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    return shutil.which(program, path=path) is not None


def _require_apt(packages: list[str]) -> None:
    if not shutil.which("apt-get"):
        raise ScriptError(
            f"Cannot install {', '.join(packages)}: this machine has no apt-get. Install the programs of these Debian "
            "packages, then run this again."
        )

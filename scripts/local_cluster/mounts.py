"""The machine's mounts, and taking down those below a folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from common.errors import ScriptError
from common.run import CommandError, capture


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo.

    Attributes:
        point: where it is mounted.
        kind: the type of file system.
        options: the options of the file system, not of the mount.
    """

    point: Path
    kind: str
    options: frozenset[str]


def parse_mounts(mountinfo: str) -> list[Mount]:
    """Read the text of `/proc/self/mountinfo`, whose fields proc(5) describes."""
    found = []
    for line in mountinfo.splitlines():
        own, _, tail = line.partition(" - ")
        kind, _, options = tail.split(" ", 2)
        found.append(Mount(Path(_unescaped(own.split()[4])), kind, frozenset(options.split(","))))
    return found


def read_mounts() -> list[Mount]:
    """Give the mounts this process sees."""
    return parse_mounts(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))


def unmount_below(folder: Path) -> None:
    """Take down all mounts at or below a folder, the latest first.

    Raises:
        ScriptError: one is still there afterwards. Removing files below it could then remove somebody's data.
    """
    for point in reversed(_points_below(folder)):
        try:
            capture(("umount", point))
        except CommandError:
            # Busy: some process outside of the cluster looks into it. It goes away when that one leaves.
            capture(("umount", "--lazy", point))
    if left := _points_below(folder):
        raise ScriptError(f"{left[-1]} is still mounted: unmount it by hand and try again.")


def _points_below(folder: Path) -> list[Path]:
    return [mount.point for mount in read_mounts() if mount.point.is_relative_to(folder)]


def _unescaped(field: str) -> str:
    """Give a field of mountinfo as it was: space, tab, newline and backslash are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
